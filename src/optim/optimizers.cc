// Optimizers as chains of transforms, and the training step they build.
#include <cmath>

#include "soma/error.h"
#include "soma/gradient.h"
#include "soma/optim.h"
#include "src/base/text.h"

namespace soma {

// ---------------------------------------------------------------- what transforms may use

static const std::string& name_of_parameter(Value parameter) {
  const Node& node = parameter.node();
  if (node.op != Op::input || node.as<InputAttr>().kind != InputKind::parameter) {
    throw ArgumentError(
        "an optimizer trains parameters; found a value that is computed, data or state");
  }
  return node.as<InputAttr>().name;
}

Value Step::state(size_t i, std::string_view name, std::string init) const {
  return graph.state(cat("optimizer/", name_of_parameter(params[i]), "/", name), params[i].shape(),
                     std::move(init), params[i].type());
}
Value Step::before(size_t i) const { return cast(done, params[i].type()); }
Value Step::number(size_t i) const { return before(i) + 1.0; }

namespace {

Chain operator+(Chain a, const Chain& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// A transform that treats each parameter for itself: f(step, i, gradient).
template <class F>
Chain each(F f) {
  return {[f](Step& step, std::span<const Value> gradients) {
    std::vector<Value> result;
    for (size_t i = 0; i < gradients.size(); ++i) result.push_back(f(step, i, gradients[i]));
    return result;
  }};
}

Chain by_rate(const Schedule& rate) {
  return each([rate](Step& step, size_t i, Value g) { return rate(step.before(i)) * g; });
}

Chain l2(double rate) {
  if (rate == 0) return {};
  return each([rate](Step& step, size_t i, Value g) { return g + rate * step.params[i]; });
}

Chain trace(double mu, bool nesterov) {
  if (mu == 0) return {};
  return each([=](Step& step, size_t i, Value g) {
    const Value old = step.state(i, "momentum"), v = mu * old + g;
    step.graph.update(old, v);
    return nesterov ? g + mu * v : v;
  });
}

// old <- decay old + (1 - decay) x
Value running_mean(Step& step, Value old, Value x, double decay) {
  const Value mean = decay * old + (1 - decay) * x;
  step.graph.update(old, mean);
  return mean;
}

// 1 - beta^t, exact to rounding even where beta^t is nearly 1.
Value bias_correction(Value t, double beta) {
  return beta == 0 ? t.graph().constant(1, t.type()) : -expm1(t * std::log(beta));
}

Chain adam_scale(double beta1, double beta2, double eps) {
  return each([=](Step& step, size_t i, Value g) {
    const Value m = running_mean(step, step.state(i, "m"), g, beta1);
    const Value v = running_mean(step, step.state(i, "v"), square(g), beta2);
    const Value t = step.number(i);
    const Value scale = reciprocal(bias_correction(t, beta1));
    const Value root = sqrt(v) * rsqrt(bias_correction(t, beta2));
    return scale * m / (root + eps);
  });
}

Chain rms_scale(double rho, double eps) {
  return each([=](Step& step, size_t i, Value g) {
    const Value v = running_mean(step, step.state(i, "v"), square(g), rho);
    return g / (sqrt(v) + eps);
  });
}

Chain adagrad_scale(double eps, double start) {
  return each([=](Step& step, size_t i, Value g) {
    const Value old = step.state(i, "sum", number(start)), total = old + square(g);
    step.graph.update(old, total);
    return g / (sqrt(total) + eps);
  });
}

Chain clip_each(double most) {
  return each([=](Step&, size_t, Value g) { return max(min(g, most), -most); });
}

Chain clip_together(double most) {
  return {[most](Step&, std::span<const Value> gradients) {
    Value total;
    for (const Value g : gradients) {
      const Value squares = sum(square(g));
      total = total ? total + cast(squares, total.type()) : squares;
    }
    std::vector<Value> result;
    for (const Value g : gradients) {
      const Value scale = min(most / (sqrt(total) + 1e-6), 1.0);
      result.push_back(g * cast(scale, g.type()));
    }
    return result;
  }};
}

Registry<OptimizerRow> built_in_optimizers() {
  Registry<OptimizerRow> registry("optimizer");
#define SOMA_CHAIN(complete, name, formula, source, note, specification, arguments, ...) \
  {                                                                                      \
    const auto make = +[] arguments -> Chain { return __VA_ARGS__; };                    \
    using Rows = detail::Bind<Chain>;                                                    \
    registry.add({{#name, formula, source, note, Rows::parameters(make, specification)}, \
                  complete,                                                              \
                  Rows::call(make)});                                                    \
  }
#define SOMA_OPTIMIZER(...) SOMA_CHAIN(true, __VA_ARGS__)
#define SOMA_TRANSFORM(...) SOMA_CHAIN(false, __VA_ARGS__)
#include "soma/optimizers.def"
#undef SOMA_CHAIN
  return registry;
}

}  // namespace

// ---------------------------------------------------------------- optimizers by name

Registry<OptimizerRow>& optimizers() {
  static Registry<OptimizerRow> registry = built_in_optimizers();
  return registry;
}

#define SOMA_TRANSFORM(name, ...)                                                          \
  Optimizer name(Argument a, Argument b, Argument c, Argument d, Argument e, Argument f) { \
    return Optimizer(#name, {a, b, c, d, e, f});                                           \
  }
#include "soma/optimizers.def"

Chain Optimizer::chain() const {
  if (parts_.empty() || !parts_.back().row().complete) {
    std::vector<std::string> names;
    for (const OptimizerRow& row : optimizers()) {
      if (row.complete) names.push_back(row.name);
    }
    throw ArgumentError(cat("\"", text(),
                            "\" does not say how far to step; end the chain with one of ",
                            join(names, ", "), ", as in \"clip_global_norm(1) + adam\""));
  }
  Chain chain;
  for (const auto& part : parts_) {
    const Chain next = part.row().build(part.arguments());
    chain.insert(chain.end(), next.begin(), next.end());
  }
  return chain;
}

std::string Optimizer::text() const {
  std::vector<std::string> words;
  for (const auto& part : parts_) words.push_back(part.text());
  return join(words, " + ");
}

Optimizer optimizer_named(std::string_view text) {
  std::vector<Named<OptimizerRow>> parts;
  for (const std::string_view part : detail::split_outside(text, '+')) {
    parts.emplace_back(optimizers(), part);
  }
  Optimizer optimizer(std::move(parts));
  (void)optimizer.chain();
  return optimizer;
}

// ---------------------------------------------------------------- steps

// The masks as conditions of the parameters' shapes; empty where everything is trained.
static std::vector<Value> conditions(std::span<const Value> params, const ApplyOptions& options) {
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

void apply_gradients(const Optimizer& optimizer, std::span<const Value> params,
                     std::span<const Value> gradients_, const ApplyOptions& options) {
  if (params.empty())
    throw ArgumentError("there is nothing to train: the list of parameters is empty");
  if (params.size() != gradients_.size()) {
    throw ArgumentError(cat("there are ", params.size(), " parameters, but ", gradients_.size(),
                            " gradients; each parameter needs its own"));
  }
  const Chain chain = optimizer.chain();
  const std::vector<Value> trained = conditions(params, options);
  Graph& graph = params[0].graph();
  const Value done = graph.state("optimizer/step", {}, "0", i64);
  Step step{graph, params, done};
  std::vector<Value> change(gradients_.begin(), gradients_.end());
  for (size_t i = 0; i < params.size(); ++i) {
    if (trained[i]) change[i] = select(trained[i], change[i], 0.0);
  }
  for (const Transform& transform : chain) change = transform(step, change);
  for (size_t i = 0; i < params.size(); ++i) {
    const Value moved = params[i] - change[i];
    graph.update(params[i], trained[i] ? select(trained[i], moved, params[i]) : moved);
  }
  graph.update(done, done + 1.0);
}

void apply(const Optimizer& optimizer, Value loss, std::span<const Value> params,
           const ApplyOptions& options) {
  apply_gradients(optimizer, params, gradients(loss, params), options);
}

std::vector<Value> parameters_of(Graph& graph) {
  std::vector<Value> result;
  for (const Id id : graph.inputs()) {
    if (graph[id].as<InputAttr>().kind == InputKind::parameter) result.push_back(graph.value(id));
  }
  return result;
}

}  // namespace soma
