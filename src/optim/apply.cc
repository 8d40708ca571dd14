// The training step that an optimizer adds to a graph.
#include "soma/error.h"
#include "soma/gradient.h"
#include "soma/optim.h"
#include "src/base/text.h"

namespace soma {

namespace {

const std::string& name_of_parameter(Value parameter) {
  const Node& node = parameter.node();
  if (node.op != Op::input || node.as<InputAttr>().kind != InputKind::parameter) {
    throw ArgumentError(
        "an optimizer trains parameters; found a value that is computed, data or state");
  }
  return node.as<InputAttr>().name;
}

// The name, or name_2, name_3… where earlier parts of the chain took it.
std::string free_name(const Step& step, const std::string& name) {
  const int count = ++(*step.names)[name];
  return count == 1 ? name : cat(name, "_", count);
}

// The masks as conditions of the parameters' shapes; empty where everything is trained.
std::vector<Value> conditions(std::span<const Value> params, const ApplyOptions& options) {
  std::vector<Value> result(params.size());
  if (options.masks.empty()) return result;
  if (options.masks.size() != params.size()) {
    throw ArgumentError(cat("there are ", params.size(), " parameters, but ", options.masks.size(),
                            " masks; give one for each, empty where all of it is trained"));
  }
  for (size_t i = 0; i < params.size(); ++i) {
    const Value mask = options.masks[i];
    if (!mask) continue;
    const Value on = mask.type() == boolean ? mask : ne(mask, 0.0);
    result[i] = broadcast_to(on, params[i].shape());
  }
  return result;
}

// Frozen elements count for nothing.
std::vector<Value> masked(std::vector<Value> gradients, std::span<const Value> trained) {
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (trained[i]) gradients[i] = select(trained[i], gradients[i], 0.0);
  }
  return gradients;
}

void check(const Optimizer& optimizer, std::span<const Value> params,
           std::span<const Value> gradients) {
  if (params.empty())
    throw ArgumentError("there is nothing to train: the list of parameters is empty");
  if (params.size() != gradients.size()) {
    throw ArgumentError(cat("there are ", params.size(), " parameters, but ", gradients.size(),
                            " gradients; each parameter needs its own"));
  }
  for (const Value p : params) {
    const std::string& name = name_of_parameter(p);
    bool stepped = false;
    for (const Optimizer::Part& part : optimizer.parts()) {
      stepped = stepped || (part.row().complete && (part.only.empty() || matches(name, part.only)));
    }
    if (!stepped) {
      throw ArgumentError(cat("\"", optimizer.text(), "\" has no optimizer for \"", name,
                              "\"; add one whose pattern fits, or freeze the layer"));
    }
  }
}

// The gradients of the loss elsewhere: a copy of what leads to it, with other parameters.
std::vector<Value> gradients_elsewhere(Value loss, std::span<const Value> params,
                                       std::span<const Value> points) {
  Graph& graph = loss.graph();
  const Graph body = graph;  // splice reads one graph and writes another
  std::unordered_map<Id, Value> replaced;
  for (const Id id : body.inputs()) replaced[id] = graph.value(id);
  for (size_t i = 0; i < params.size(); ++i) replaced[params[i].id()] = points[i];
  const Id wanted[] = {loss.id()};
  return gradients(graph.splice(body, wanted, replaced)[0], points);
}

void build(const Optimizer& optimizer, Step& step, std::span<const Value> gradients) {
  const Chain chain = optimizer.chain();
  const auto params = step.params;
  std::vector<Value> change =
      masked(std::vector<Value>(gradients.begin(), gradients.end()), step.trained);
  for (const Transform& transform : chain) change = transform(step, change);
  const auto settle = [&](std::vector<Value>& moved) {
    for (size_t i = 0; i < params.size(); ++i) {
      if (step.trained[i]) moved[i] = select(step.trained[i], moved[i], params[i]);
    }
  };
  std::vector<Value> moved;
  for (size_t i = 0; i < params.size(); ++i) moved.push_back(params[i] - change[i]);
  settle(moved);
  for (size_t k = 0; k < step.after.size(); ++k) {
    const Transform after = step.after[k];
    moved = after(step, moved);
    settle(moved);
  }
  for (size_t i = 0; i < params.size(); ++i) step.update(params[i], moved[i]);
  step.update(step.done, step.done + 1.0);
}

Step start(std::span<const Value> params, const ApplyOptions& options) {
  Graph& graph = params[0].graph();
  Step step{graph, params, graph.state(cat(options.name, "/step"), {}, "0", i64)};
  for (const auto& [state, value] : graph.updates()) {
    if (state != step.done.id()) continue;
    throw ArgumentError(cat("an optimizer named \"", options.name,
                            "\" steps in this graph already; give each its own "
                            "ApplyOptions::name"));
  }
  step.name = options.name;
  step.trained = conditions(params, options);
  step.names = std::make_shared<std::map<std::string, int>>();
  return step;
}

}  // namespace

// ---------------------------------------------------------------- what transforms may use

Value Step::state(size_t i, std::string_view state_name, std::string init) const {
  return state(i, state_name, params[i].shape(), std::move(init));
}
Value Step::state(size_t i, std::string_view state_name, Shape shape, std::string init) const {
  const std::string full = cat(name, "/", name_of_parameter(params[i]), "/", state_name);
  return graph.state(free_name(*this, full), shape, std::move(init), params[i].type());
}
Value Step::scalar(std::string_view state_name, std::string init, DType type) const {
  return graph.state(free_name(*this, cat(name, "/", state_name)), {}, std::move(init), type);
}
void Step::update(Value state, Value value) const {
  graph.update(state, active ? select(active, value, state) : value);
}
void Step::keep_average(size_t i, Value state, Value value) const {
  update(state, trained[i] ? select(trained[i], value, params[i]) : value);
}
Value Step::before(size_t i) const { return cast(done, params[i].type()); }
Value Step::number(size_t i) const { return before(i) + 1.0; }
Step::Kept Step::copy_of_start(size_t i, std::string_view state_name) const {
  const Value kept = state(i, state_name);
  return {kept, select(eq(done, 0.0), params[i], kept)};
}

// ---------------------------------------------------------------- steps

void apply_gradients(const Optimizer& optimizer, std::span<const Value> params,
                     std::span<const Value> gradients, const ApplyOptions& options) {
  check(optimizer, params, gradients);
  Step step = start(params, options);
  build(optimizer, step, gradients);
}

void apply(const Optimizer& optimizer, Value loss, std::span<const Value> params,
           const ApplyOptions& options) {
  const std::vector<Value> slopes = gradients(loss, params);
  check(optimizer, params, slopes);
  Step step = start(params, options);
  step.loss = loss;
  const std::vector<Value> trained = step.trained;
  step.gradients_at = [loss, params, trained](std::span<const Value> points) {
    return masked(gradients_elsewhere(loss, params, points), trained);
  };
  build(optimizer, step, slopes);
}

std::vector<Value> parameters_of(Graph& graph, std::string_view pattern) {
  std::vector<Value> result;
  for (const Id id : graph.inputs()) {
    const auto& input = graph[id].as<InputAttr>();
    if (input.kind == InputKind::parameter && matches(input.name, pattern)) {
      result.push_back(graph.value(id));
    }
  }
  return result;
}

Tensors averages_of(const Tensors& states, std::string_view name) {
  const std::string begin = cat(name, "/"), end = "/average";
  Tensors result;
  for (const auto& [full, tensor] : states) {
    if (!full.starts_with(begin) || !full.ends_with(end)) continue;
    if (full.size() <= begin.size() + end.size()) continue;
    result.emplace(full.substr(begin.size(), full.size() - begin.size() - end.size()), tensor);
  }
  return result;
}

}  // namespace soma
