// Joining network, loss and optimizer to one program.
#include "src/train/step.h"

#include <algorithm>

#include "soma/error.h"
#include "soma/train.h"
#include "src/base/text.h"

namespace soma {
namespace train {
namespace {

/// The place of the argument "lr" of a part; -1 where it has none.
int64_t place_of_rate(const Optimizer::Part& part) {
  const auto& parameters = part.row().parameters;
  const auto rate = std::ranges::find(parameters, "lr", &Parameter::name);
  return rate == parameters.end() ? -1 : rate - parameters.begin();
}

/// The learning rate of this step, where the optimizer has one.
Value rate_of(Graph& graph, const Optimizer& optimizer) {
  for (const Optimizer::Part& part : optimizer.parts()) {
    if (place_of_rate(part) < 0) continue;
    const auto index = static_cast<size_t>(place_of_rate(part));
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

Optimizer with_learning_rate(const Optimizer& optimizer, const Schedule& rate) {
  const auto parts = optimizer.parts();
  size_t at = parts.size();  // the last that takes a rate
  for (size_t i = 0; i < parts.size(); ++i) {
    if (train::place_of_rate(parts[i]) >= 0) at = i;
  }
  if (at == parts.size()) {
    throw ArgumentError(cat("the optimizer ", optimizer.text(), " takes no learning rate"));
  }
  const Optimizer::Part& old = parts[at];
  std::vector<std::string> arguments;
  for (size_t i = 0; i < old.arguments().size(); ++i) {
    const bool replaced = static_cast<int64_t>(i) == train::place_of_rate(old);
    arguments.push_back(
        cat(old.row().parameters[i].name, "=", replaced ? rate.text() : old.arguments()[i]));
  }
  const Optimizer changed = optimizer_named(cat(old.name(), "(", join(arguments, " "), ")"));
  std::vector<Optimizer::Part> all(parts.begin(), parts.end());
  all[at] = changed.only(old.only).parts()[0];
  return Optimizer(std::move(all));
}

Graph train_step(Graph graph, Value loss, const Optimizer& optimizer) {
  const Value own = graph.value(loss.id());  // the same node in this copy
  train::add_step(graph, own, optimizer, {});
  graph.output("loss", own);
  return graph;
}

}  // namespace soma
