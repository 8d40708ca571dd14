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
// A part, or an optimizer, may be for some parameters only, chosen by name: layers of their own
// rate, no decay of biases.
//
//   Optimizer o = adam(1e-3).only("!output/*") + sgd(0.01).only("output/*");
//   Optimizer o = optimizer_named("weight_decay(0.01) for *weights + sgd(0.1)");
//
// The step becomes part of the graph: gradients, states "optimizer/<parameter>/m", the counter
// "optimizer/step" and the updates of all of them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "soma/graph.h"
#include "soma/named.h"
#include "soma/plan.h"

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

#define SOMA_SCHEDULE(name, ...)                                                      \
  Schedule name(Argument, Argument = {}, Argument = {}, Argument = {}, Argument = {}, \
                Argument = {});
#include "soma/schedules.def"

// ---------------------------------------------------------------- optimizers

struct Step;
/// Turns the gradients of all parameters into new ones; what leaves the last transform is
/// subtracted from the parameters.
using Transform = std::function<std::vector<Value>(Step&, std::span<const Value> gradients)>;
using Chain = std::vector<Transform>;

/// One training step while it is built.
struct Step {
  Graph& graph;
  std::span<const Value> params;
  Value done;               ///< i64: how many steps came before this one.
  std::string name = {};    ///< What the names of all states begin with: "optimizer".
  Value loss = {};          ///< Empty where apply_gradients() was given gradients alone.
  Value active = {};        ///< bool: whether this run takes the step; empty: always.
  bool restricted = false;  ///< These are some of the parameters, not all.
  /// Which elements of each parameter are trained (bool, of its shape); empty: all.
  std::vector<Value> trained = {};
  /// The gradients of the loss where the parameters are `points`: for methods that look twice.
  /// Empty as `loss` is, and behind accumulate(), where the loss is of many batches.
  std::function<std::vector<Value>(std::span<const Value> points)> gradients_at = {};
  /// Transforms of the new parameters, in order: projections, averages. Parts append to it.
  std::vector<Transform> after = {};
  std::shared_ptr<std::map<std::string, int>> names = {};  ///< Names of states that are taken.

  /// An array kept from step to step, in the shape of parameter i, zero at first (or `init`): the
  /// state "optimizer/<parameter>/<name>", or <name>_2 where an earlier part has one of that name.
  Value state(size_t i, std::string_view state_name, std::string init = "0") const;
  /// The same in a shape of its own.
  Value state(size_t i, std::string_view state_name, Shape shape, std::string init = "0") const;
  /// A number kept for all parameters: "optimizer/<name>".
  Value scalar(std::string_view state_name, std::string init = "0", DType type = f32) const;
  /// After this step `state` holds `value`; it keeps what it has where the step is not taken.
  void update(Value state, Value value) const;
  /// Keeps `value` as "optimizer/<parameter>/average", see averages_of(); where an element is not
  /// trained its own value.
  void keep_average(size_t i, Value state, Value value) const;
  /// Steps done, and the number of this one (1 for the first), as a float scalar for parameter i.
  Value before(size_t i) const;
  Value number(size_t i) const;
  /// A state that starts as parameter i is before the first step: the state, and what it holds now.
  struct Kept {
    Value state, now;
  };
  Kept copy_of_start(size_t i, std::string_view state_name) const;
};

struct OptimizerRow : Row {
  bool complete = true;  ///< Chooses the size of the step itself; else it is a part for chains.
  std::function<Chain(std::span<const std::string>)> build;
};
Registry<OptimizerRow>& optimizers();

/// Whether a name fits a pattern: * stands for any characters, ? for one, | separates
/// alternatives, ! in front turns the whole around. "*weights", "hidden*|output/bias", "!*bias".
bool matches(std::string_view name, std::string_view pattern);

class Optimizer {
 public:
  /// A row with its arguments, for the parameters whose names match a pattern (empty: all).
  struct Part : Named<OptimizerRow> {
    explicit Part(Named named, std::string pattern = "")
        : Named(std::move(named)), only(std::move(pattern)) {}
    std::string only;
    /// "sgd(lr=0.1) for output/*"
    std::string text() const;
  };

  Optimizer(std::string_view name, std::initializer_list<Argument> arguments)
      : parts_{Part(Named<OptimizerRow>(optimizers(), name, arguments))} {}
  explicit Optimizer(std::vector<Part> parts) : parts_(std::move(parts)) {}
  /// First this one's transforms, then the other's.
  friend Optimizer operator+(Optimizer a, const Optimizer& b) {
    a.parts_.insert(a.parts_.end(), b.parts_.begin(), b.parts_.end());
    return a;
  }
  /// The same for the parameters whose names match; see matches(). Norms over "all gradients" then
  /// mean those of these parameters.
  Optimizer only(std::string_view pattern) const;
  std::span<const Part> parts() const { return parts_; }
  Chain chain() const;
  /// "clip_global_norm(max=1) + adam(lr=0.01)".
  std::string text() const;

 private:
  std::vector<Part> parts_;
};
/// The optimizer of a text like "adam(lr=0.001)"; parts are joined with " + ", and " for pattern"
/// after a part restricts it. Throws ArgumentError for unknown names, wrong arguments and a chain
/// without an optimizer in it.
Optimizer optimizer_named(std::string_view text);

#define SOMA_TRANSFORM(name, ...)                                                           \
  Optimizer name(Argument = {}, Argument = {}, Argument = {}, Argument = {}, Argument = {}, \
                 Argument = {}, Argument = {}, Argument = {}, Argument = {});
#include "soma/optimizers.def"

// ---------------------------------------------------------------- steps

struct ApplyOptions {
  /// Which elements of each parameter are trained: empty, or one for each parameter, itself empty
  /// (all of it) or of a shape that broadcasts to the parameter's; zero means frozen. Frozen
  /// elements keep their bits, whatever the optimizer, and count for nothing in gradient norms.
  std::vector<Value> masks = {};
  /// What the names of the optimizer's states begin with. Two optimizers in one graph (those of a
  /// generator and a discriminator) need different names.
  std::string name = "optimizer";
};

/// Adds one training step: gradients of the scalar `loss`, the chain, the updates of parameters and
/// states. Several steps may be added to one graph, each with its own loss, parameters and name:
/// all start from the same parameters. Throws ArgumentError when a mask does not fit, the chain has
/// no optimizer, a pattern fits no parameter or a parameter is left without an optimizer.
void apply(const Optimizer& optimizer, Value loss, std::span<const Value> params,
           const ApplyOptions& options = {});
/// The same with gradients from elsewhere. Optimizers that need the loss (polyak_sgd,
/// reduce_on_plateau, sharpness_aware) throw ArgumentError.
void apply_gradients(const Optimizer& optimizer, std::span<const Value> params,
                     std::span<const Value> gradients, const ApplyOptions& options = {});
/// Every parameter of the graph whose name matches (see matches()), in the order they were made.
std::vector<Value> parameters_of(Graph& graph, std::string_view pattern = "*");

/// The averages of parameters that an optimizer keeps (ema_weights, average_weights, asgd,
/// schedule_free_sgd, schedule_free_adamw), by the names of the parameters, out of all its states.
Tensors averages_of(const Tensors& states, std::string_view name = "optimizer");

}  // namespace soma
