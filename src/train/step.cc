// Joining network, loss and optimizer to one program.
#include "src/train/step.h"

#include <algorithm>

#include "soma/train.h"
#include "src/base/text.h"

namespace soma {
namespace train {
namespace {

/// The learning rate of this step, where the optimizer has one.
Value rate_of(Graph& graph, const Optimizer& optimizer) {
  for (const Named<OptimizerRow>& part : optimizer.parts()) {
    const auto& parameters = part.row().parameters;
    const auto rate = std::find_if(parameters.begin(), parameters.end(),
                                   [](const Parameter& p) { return p.name == "lr"; });
    if (rate == parameters.end()) continue;
    const auto index = static_cast<size_t>(rate - parameters.begin());
    const Value done = cast(graph.find_input("optimizer/step"), f32);
    return schedule_named(part.arguments()[index])(done);
  }
  return graph.constant(0);
}

}  // namespace

std::string mask_name(std::string_view parameter) { return cat("mask/", parameter); }

void add_step(Graph& graph, Value loss, const Optimizer& optimizer, const Tensors& masks) {
  const std::vector<Value> parameters = parameters_of(graph);
  ApplyOptions options;
  for (const Value parameter : parameters) {
    const std::string& name = parameter.node().as<InputAttr>().name;
    const bool masked = masks.find(name) != masks.end();
    options.masks.push_back(masked ? graph.input(mask_name(name), parameter.shape()) : Value());
  }
  apply(optimizer, loss, parameters, options);
  graph.output("learning_rate", rate_of(graph, optimizer));
}

}  // namespace train

Graph train_step(Graph graph, Value loss, const Optimizer& optimizer) {
  const Value own = graph.value(loss.id());  // the same node in this copy
  train::add_step(graph, own, optimizer, {});
  graph.output("loss", own);
  return graph;
}

}  // namespace soma
