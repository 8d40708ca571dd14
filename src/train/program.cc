// Programs of networks with a loss, and the gathering of their batches.
#include "src/train/program.h"

#include <algorithm>
#include <cstring>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma::train {
namespace {

void gather_bytes(const Dataset& dataset, std::span<const int64_t> rows, std::span<uint8_t> out) {
  const auto all = dataset.inputs.data<uint8_t>();
  const auto width = static_cast<size_t>(dataset.features());
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(&out[i * width], &all[static_cast<size_t>(rows[i]) * width], width);
  }
}

}  // namespace

Objective objective_of(const Network& net, const Dataset& dataset, const FitOptions& options) {
  Objective objective{
      options.loss, options.loss_weight, check_fit(net, dataset, options.loss), "", "", {}};
  for (const OutputLoss& more : options.more_losses) {
    objective.more.push_back({more, check_fit(net, dataset, more.loss, more.output, more.target)});
  }
  return objective;
}

Program::Program(const Graph& graph, const Network& net, const Objective& objective,
                 const Dataset& dataset, const Device& device)
    : plan_(compile(graph, device)), fed_target_(!objective.wanted.empty()) {
  const auto feed = [&](const std::string& name, const Tensor& from) {
    const auto rows = static_cast<size_t>(from.shape()[0]);
    const auto to = from.type() == f32 ? std::as_writable_bytes(plan_.input<float>(name))
                                       : std::as_writable_bytes(plan_.input<int32_t>(name));
    feeds_.push_back({&from, to.data(), from.bytes() / rows});
  };
  const std::string& first = net.inputs()[0].name;
  for (const Id id : graph.inputs()) {
    const std::string& name = graph[id].as<InputAttr>().name;
    if (name == first && graph[id].type == u8) bytes_ = plan_.input<uint8_t>(name);
    if (name == first && graph[id].type == f32) inputs_ = plan_.input<float>(name);
    if (name == "key") key_ = plan_.input<int64_t>(name);
    if (name != "target") continue;
    if (!objective.wanted.empty()) {
      feed(name, dataset.more_target(objective.wanted));
    } else if (graph[id].type == i32) {
      labels_ = plan_.input<int32_t>(name);
    } else {
      numbers_ = plan_.input<float>(name);
    }
  }
  if (dataset.weights.elements() > 0) feed("sample_weight", dataset.weights);
  for (const NetworkInput& input : net.inputs().subspan(1)) {
    feed(input.name, dataset.more_input(input.name));
  }
  for (const auto& [spec, target] : objective.more) {
    if (!spec.target.empty()) feed(cat("target/", spec.output), dataset.more_target(spec.target));
  }
  if (fed_target_) {  // the metrics read what was fed
    if (objective.target.type == i32) labels_ = plan_.input<int32_t>("target");
    if (objective.target.type == f32) numbers_ = plan_.input<float>("target");
  }
}

void Program::set_key(uint64_t seed, int64_t step) {
  if (key_.empty()) return;
  key_[0] = static_cast<int64_t>(seed);
  key_[1] = step;
}

void Program::bind(const Graph& graph, const Tensors& tensors) {
  for (const Id id : graph.inputs()) {
    const auto& input = graph[id].as<InputAttr>();
    if (input.kind == InputKind::data) continue;
    const auto found = tensors.find(input.name);
    if (found == tensors.end()) {
      throw GraphError(cat("the network has no tensor \"", input.name, "\"; it was built without"));
    }
    plan_.bind(input.name, static_cast<const void*>(found->second.raw()));
  }
}

void Program::gather(const Dataset& dataset, std::span<const int64_t> rows, const Batch* prepared) {
  if (prepared && bytes_.empty()) {
    std::ranges::copy(prepared->inputs.data<float>(), inputs_.begin());
  } else if (prepared) {
    std::ranges::copy(prepared->inputs.data<uint8_t>(), bytes_.begin());
  } else if (bytes_.empty()) {
    dataset.gather_inputs(rows, inputs_);
  } else {
    gather_bytes(dataset, rows, bytes_);
  }
  for (const Feed& feed : feeds_) {
    for (size_t i = 0; i < rows.size(); ++i) {
      std::memcpy(feed.to + i * feed.row_bytes,
                  feed.from->raw() + static_cast<size_t>(rows[i]) * feed.row_bytes, feed.row_bytes);
    }
  }
  if (fed_target_) return;
  if (!labels_.empty()) dataset.gather_targets(rows, labels_);
  if (numbers_.empty()) return;
  if (prepared) {
    std::ranges::copy(prepared->targets.data<float>(), numbers_.begin());
  } else {
    dataset.gather_targets(rows, numbers_);
  }
}

Answers Program::answers(double threshold) const {
  const View outputs = plan_.output("output");
  const int64_t width = outputs.shape.rank() > 1 ? outputs.shape.back() : 1;
  return {outputs.as<float>(), width, labels_, numbers_, threshold};
}

LossGraph::LossGraph(const Network& net, const Dataset& dataset, const Objective& objective,
                     int64_t rows, BuildMode mode) {
  const auto batch_of = [rows](const Shape& row) {
    Shape shape{rows};
    for (const int64_t extent : row) shape.push_back(extent);
    return shape;
  };
  const bool bytes = dataset.inputs.type() == u8;
  Values data;
  Value in = graph.input(net.inputs()[0].name, batch_of(net.sample_shape()), bytes ? u8 : f32);
  if (bytes) {
    in = cast(in, f32) * dataset.input_scale;
    if (dataset.input_shift != 0) in = in + dataset.input_shift;
  }
  data[net.inputs()[0].name] = in;
  for (const NetworkInput& input : net.inputs().subspan(1)) {
    data[input.name] = graph.input(input.name, batch_of(input.shape));
  }
  const Value wanted =
      graph.input("target", batch_of(objective.target.shape), objective.target.type);
  std::vector<Value> penalties;
  BuildOptions options{.mode = mode, .taps = &taps, .penalties = &penalties};
  if (mode == BuildMode::training) options.key = graph.input("key", {2}, i64);
  const Values all = net.build(graph, data, options);
  const auto output = [&](const std::string& name) {
    return all.at(name.empty() ? net.outputs().back() : name);
  };
  const Value out = output(objective.output);
  const bool weighted = dataset.weights.elements() > 0;
  const Value weights = weighted ? graph.input("sample_weight", {rows}) : Value{};
  loss = loss_of(objective.loss, objective.target, out, wanted, weights);
  if (objective.weight != 1) loss = objective.weight * loss;
  for (const auto& [spec, target] : objective.more) {
    const Value goal = spec.target.empty() ? wanted
                                           : graph.input(cat("target/", spec.output),
                                                         batch_of(target.shape), target.type);
    loss = loss + spec.weight * loss_of(spec.loss, target, output(spec.output), goal, weights);
  }
  for (const Value penalty : penalties) loss = loss + penalty;
  graph.output("output", out);
  // As large as the loss itself, to compare with that of other data.
  graph.output("loss", objective.weight == 0 ? loss : loss / objective.weight);
}

}  // namespace soma::train
