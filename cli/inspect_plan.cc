#include "cli/inspect_plan.h"

#include <chrono>

#include "cli/options.h"
#include "soma/train.h"
#include "src/base/philox.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

Shape batch_of(int64_t batch, const Shape& sample) {
  Shape shape{batch};
  for (const int64_t extent : sample) shape.push_back(extent);
  return shape;
}

/// One step of training with targets of the kind that the loss wants.
Graph training_graph(const Model& model, const PlanOptions& options) {
  const Network& net = model.network;
  if (model.info.loss.empty()) {
    throw UsageError(
        "the model does not say which loss it was trained with, so --training has "
        "nothing to make small");
  }
  const Loss loss = loss_named(model.info.loss);
  Graph graph;
  Values data;
  for (const NetworkInput& input : net.inputs()) {
    data[input.name] = graph.input(input.name, batch_of(options.batch, input.shape));
  }
  BuildOptions build{.mode = BuildMode::training};
  build.key = graph.input("key", {2}, i64);
  const Value output = net.build(graph, data, build).at(net.outputs().back());
  const bool classes = loss.row().answer == LossAnswer::classes;
  const Shape all = output.shape();
  const auto rank = static_cast<size_t>(all.rank() - (classes ? 1 : 0));
  const auto shape = Shape(std::span(all).first(rank));
  const Value target = graph.input("target", shape, classes ? i32 : f32);
  graph.output("output", output);
  const Value error = loss(output, target);
  return train_step(std::move(graph), error, optimizer_named(options.training));
}

}  // namespace

PlanReport measured_plan(Model& model, const PlanOptions& options) {
  Network& net = model.network;
  const Graph graph = options.training.empty() ? net.inference_graph(options.batch)
                                               : training_graph(model, options);
  Plan plan = compile(graph, Device::cpu(static_cast<int>(options.threads)));
  for (const Id id : graph.inputs()) {
    const std::string& name = graph[id].as<InputAttr>().name;
    const auto tensor = net.tensors().find(name);
    if (tensor != net.tensors().end()) plan.bind(name, tensor->second);
  }
  Random random(1);
  for (const NetworkInput& input : net.inputs()) {
    for (float& value : plan.input<float>(input.name)) value = random.uniform();
  }
  constexpr int most = 100;
  constexpr std::chrono::milliseconds enough(300);
  for (int i = 0; i < 2; ++i) plan.run();  // caches and pages
  plan.profile(true);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < most; ++i) {
    plan.run();
    if (std::chrono::steady_clock::now() - start > enough) break;
  }
  return plan.report();
}

}  // namespace soma::cli
