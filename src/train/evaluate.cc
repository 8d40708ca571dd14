// Running a network over a data set without changing it.
#include <algorithm>
#include <numeric>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/train/program.h"

namespace soma {
namespace train {

Program::Program(const Graph& graph, const Device& device) : plan_(compile(graph, device)) {
  inputs_ = plan_.input<float>("input");
  for (const Id id : graph.inputs()) {
    if (graph[id].as<InputAttr>().name != "target") continue;
    if (graph[id].type == i32) {
      labels_ = plan_.input<int32_t>("target");
    } else {
      numbers_ = plan_.input<float>("target");
    }
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
  dataset.gather_inputs(rows, inputs_);
  if (!labels_.empty()) dataset.gather_targets(rows, labels_);
  if (!numbers_.empty()) dataset.gather_targets(rows, numbers_);
}

Answers Program::answers(double threshold) const {
  const View outputs = plan_.output("output");
  const int64_t width = outputs.shape.rank() > 1 ? outputs.shape.back() : 1;
  return {outputs.as<float>(), width, labels_, numbers_, threshold};
}

LossGraph::LossGraph(const Network& net, const Loss& function, const Target& target, int64_t rows,
                     bool training) {
  const auto batch_of = [rows](const Shape& row) {
    Shape shape{rows};
    for (const int64_t extent : row) shape.push_back(extent);
    return shape;
  };
  const Value in = graph.input("input", batch_of(net.sample_shape()));
  const Value wanted = graph.input("target", batch_of(target.shape), target.type);
  const Value out = net.build(graph, in, training, &taps);
  loss = loss_of(function, target, out, wanted);
  graph.output("output", out);
  graph.output("loss", loss);
}

std::vector<std::string> metric_names(const std::vector<std::string>& asked, const Target& target) {
  if (!asked.empty()) return asked;
  if (target.decides) return {"accuracy"};
  if (target.width == 1 || target.threshold > 0) return {"mae", "r2"};
  return {};  // shares of classes as targets
}

Evaluator::Evaluator(const Network& net, const Dataset& dataset, const Loss& loss,
                     const Device& device, int64_t batch, const std::vector<std::string>& metrics)
    : dataset_(dataset),
      target_(check_fit(net, dataset, loss)),
      batch_(std::min(batch, dataset.size())),
      metrics_(metric_names(metrics, target_), target_.type == i32, target_.width) {
  if (batch < 1) throw ArgumentError(cat("a batch needs at least one row; found ", batch));
  const auto program = [&](int64_t rows) {
    const LossGraph built(net, loss, target_, rows, false);
    Program result(built.graph, device);
    result.bind(built.graph, net.tensors());
    return result;
  };
  if (const int64_t left = dataset.size() % batch_; left > 0) rest_.emplace(program(left));
  full_.emplace(program(batch_));
}

Evaluation Evaluator::run() {
  std::vector<int64_t> order(static_cast<size_t>(batch_));
  metrics_.reset();
  double loss = 0;
  for (int64_t first = 0; first < dataset_.size(); first += batch_) {
    const int64_t count = std::min(batch_, dataset_.size() - first);
    const auto rows = std::span(order).first(static_cast<size_t>(count));
    std::iota(rows.begin(), rows.end(), first);
    Program& program = count == batch_ ? *full_ : *rest_;
    program.gather(dataset_, rows);
    program.run();
    loss += program.loss() * static_cast<double>(count);
    metrics_.add(program.answers(target_.threshold));
  }
  return {loss / static_cast<double>(dataset_.size()), metrics_.scores(), dataset_.size()};
}

}  // namespace train

Evaluation evaluate(const Network& net, const Dataset& dataset, const Loss& loss,
                    const EvaluateOptions& options) {
  return train::Evaluator(net, dataset, loss, options.device, options.batch, options.metrics).run();
}

}  // namespace soma
