// Programs of networks with a loss, and the gathering of their batches.
#include "src/train/program.h"

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

Program::Program(const Graph& graph, const Device& device) : plan_(compile(graph, device)) {
  for (const Id id : graph.inputs()) {
    const std::string& name = graph[id].as<InputAttr>().name;
    if (name == "input" && graph[id].type == u8) bytes_ = plan_.input<uint8_t>(name);
    if (name == "input" && graph[id].type == f32) inputs_ = plan_.input<float>(name);
    if (name == "target" && graph[id].type == i32) labels_ = plan_.input<int32_t>(name);
    if (name == "target" && graph[id].type == f32) numbers_ = plan_.input<float>(name);
  }
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

void Program::gather(const Dataset& dataset, std::span<const int64_t> rows) {
  if (bytes_.empty()) {
    dataset.gather_inputs(rows, inputs_);
  } else {
    gather_bytes(dataset, rows, bytes_);
  }
  if (!labels_.empty()) dataset.gather_targets(rows, labels_);
  if (!numbers_.empty()) dataset.gather_targets(rows, numbers_);
}

Answers Program::answers(double threshold) const {
  const View outputs = plan_.output("output");
  const int64_t width = outputs.shape.rank() > 1 ? outputs.shape.back() : 1;
  return {outputs.as<float>(), width, labels_, numbers_, threshold};
}

LossGraph::LossGraph(const Network& net, const Dataset& dataset, const Loss& function,
                     const Target& target, int64_t rows, bool training) {
  const auto batch_of = [rows](const Shape& row) {
    Shape shape{rows};
    for (const int64_t extent : row) shape.push_back(extent);
    return shape;
  };
  const bool bytes = dataset.inputs.type() == u8;
  Value in = graph.input("input", batch_of(net.sample_shape()), bytes ? u8 : f32);
  if (bytes) {
    in = cast(in, f32) * dataset.input_scale;
    if (dataset.input_shift != 0) in = in + dataset.input_shift;
  }
  const Value wanted = graph.input("target", batch_of(target.shape), target.type);
  const Value out = net.build(graph, in, training, &taps);
  loss = loss_of(function, target, out, wanted);
  graph.output("output", out);
  graph.output("loss", loss);
}

}  // namespace soma::train
