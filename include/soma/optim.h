// Optimizers and learning-rate schedules.
//
// An optimizer is a chain of transforms: each takes the gradients (and may keep state, such as
// moments) and gives new ones; what leaves the chain is subtracted from the parameters. Chains are
// joined with +:
//
//   apply(adam(1e-3), loss, parameters);
//   apply(clip_global_norm(1) + adamw(warmup(100, cosine(1e-3, 1000))), loss, parameters);
//   Optimizer o = optimizer_named("clip_global_norm(1) + adam(lr=0.001 beta1=0.9)");
//
// The step becomes part of the graph: gradients, states "optimizer/<parameter>/m", the counter
// "optimizer/step" and the updates of all of them.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "soma/graph.h"
#include "soma/named.h"

namespace soma {

// ---------------------------------------------------------------- schedules

struct ScheduleRow : Row {
  std::function<Value(Value, std::span<const std::string>)> build;
};
Registry<ScheduleRow>& schedules();

/// A number that may depend on the step: a learning rate.
class Schedule {
 public:
  /// The same number at each step.
  Schedule(double value) : Schedule("constant", {value}) {}
  Schedule(std::string_view name, std::initializer_list<Argument> arguments)
      : named_(schedules(), name, arguments) {}
  explicit Schedule(Named<ScheduleRow> named) : named_(std::move(named)) {}
  /// The number at a step; `step` is a float scalar, 0 for the first.
  Value operator()(Value step) const { return named_.row().build(step, named_.arguments()); }
  /// "cosine(lr=0.001 steps=1000)"; a constant is just its number.
  std::string text() const;
  operator Argument() const { return text(); }

 private:
  Named<ScheduleRow> named_;
};
template <>
struct Reader<Schedule> {
  static Schedule read(std::string_view text);
  static std::string write(const Schedule& schedule) { return schedule.text(); }
};
/// The schedule that "cosine(0.001 1000)" or a plain number names. Throws ArgumentError.
Schedule schedule_named(std::string_view text);

#define SOMA_SCHEDULE(name, ...) Schedule name(Argument, Argument = {}, Argument = {});
#include "soma/schedules.def"

// ---------------------------------------------------------------- optimizers

/// One training step while it is built.
struct Step {
  Graph& graph;
  std::span<const Value> params;
  Value done;  ///< i64: how many steps came before this one.

  /// An array kept from step to step, in the shape of parameter i, zero at first (or `init`).
  Value state(size_t i, std::string_view name, std::string init = "0") const;
  /// Steps done, and the number of this one (1 for the first), as a float scalar for parameter i.
  Value before(size_t i) const;
  Value number(size_t i) const;
};

/// Turns the gradients of all parameters into new ones.
using Transform = std::function<std::vector<Value>(Step&, std::span<const Value> gradients)>;
using Chain = std::vector<Transform>;

struct OptimizerRow : Row {
  bool complete = true;  ///< Chooses the size of the step itself; else it is a part for chains.
  std::function<Chain(std::span<const std::string>)> build;
};
Registry<OptimizerRow>& optimizers();

class Optimizer {
 public:
  Optimizer(std::string_view name, std::initializer_list<Argument> arguments)
      : parts_{Named<OptimizerRow>(optimizers(), name, arguments)} {}
  explicit Optimizer(std::vector<Named<OptimizerRow>> parts) : parts_(std::move(parts)) {}
  /// First this one's transforms, then the other's.
  friend Optimizer operator+(Optimizer a, const Optimizer& b) {
    a.parts_.insert(a.parts_.end(), b.parts_.begin(), b.parts_.end());
    return a;
  }
  std::span<const Named<OptimizerRow>> parts() const { return parts_; }
  Chain chain() const;
  /// "clip_global_norm(max=1) + adam(lr=0.01)".
  std::string text() const;

 private:
  std::vector<Named<OptimizerRow>> parts_;
};
/// The optimizer of a text like "adam(lr=0.001)"; parts are joined with " + ". Throws ArgumentError
/// for unknown names, wrong arguments and a chain that has no optimizer at its end.
Optimizer optimizer_named(std::string_view text);

#define SOMA_TRANSFORM(name, ...)                                                           \
  Optimizer name(Argument = {}, Argument = {}, Argument = {}, Argument = {}, Argument = {}, \
                 Argument = {});
#include "soma/optimizers.def"

// ---------------------------------------------------------------- steps

struct ApplyOptions {
  /// Which elements of each parameter are trained: empty, or one for each parameter, itself empty
  /// (all of it) or of a shape that broadcasts to the parameter's; zero means frozen. Frozen
  /// elements keep their bits, whatever the optimizer, and count for nothing in gradient norms.
  std::vector<Value> masks;
};

/// Adds one training step: gradients of the scalar `loss`, the chain, the updates of parameters and
/// states. Throws ArgumentError when a mask does not fit or the chain has no optimizer at its end.
void apply(const Optimizer& optimizer, Value loss, std::span<const Value> params,
           const ApplyOptions& options = {});
/// The same with gradients from elsewhere.
void apply_gradients(const Optimizer& optimizer, std::span<const Value> params,
                     std::span<const Value> gradients, const ApplyOptions& options = {});
/// Every parameter of the graph, in the order they were made.
std::vector<Value> parameters_of(Graph& graph);

}  // namespace soma
