#include "src/ad/gradcheck.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma {

namespace {

// Numbers in [-1, 1) from a counter (SplitMix64: Steele, Lea, Flood 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  double next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1;
  }
  Tensor tensor(const Shape& shape) {
    Tensor result(shape, f64);
    for (double& x : result.data<double>()) x = next();
    return result;
  }

 private:
  uint64_t state_;
};

Tensor wide(const Tensor& x) { return x.type() == f32 ? x.cast(f64) : x; }

// What the parameter or state starts at when its initializer is a number.
double initial_number(const InputAttr& attr) {
  double value = 0;
  std::from_chars(attr.init.data(), attr.init.data() + attr.init.size(), value);
  return value;
}

// A graph of some of another's nodes, with all of its inputs in the same order.
Graph program(const Graph& graph, std::span<const Value> results) {
  Graph part;
  std::unordered_map<Id, Value> replaced;
  for (const Id id : graph.inputs()) {
    const auto& attr = graph[id].as<InputAttr>();
    replaced[id] = part.input(attr.name, attr.shape, attr.type);
  }
  std::vector<Id> wanted;
  for (const Value value : results) wanted.push_back(value.id());
  const std::vector<Value> values = part.splice(graph, wanted, replaced);
  for (size_t i = 0; i < values.size(); ++i) part.output(cat("y", i), values[i]);
  return part;
}

// The derivative at 0 of a function of one number, by central differences extrapolated to step
// zero; of all the extrapolations, the one that agrees best with its neighbours.
template <class F>
double derivative(const F& f, double step) {
  constexpr int levels = 5;
  std::array<std::array<double, levels>, levels> table{};
  double best = std::numeric_limits<double>::quiet_NaN();
  double best_error = std::numeric_limits<double>::infinity();
  for (int i = 0; i < levels; ++i, step /= 2) {
    table[i][0] = (f(step) - f(-step)) / (2 * step);
    double power = 1;
    for (int j = 1; j <= i; ++j) {
      power *= 4;
      table[i][j] = (table[i][j - 1] * power - table[i - 1][j - 1]) / (power - 1);
      const double error = std::max(std::abs(table[i][j] - table[i][j - 1]),
                                    std::abs(table[i][j] - table[i - 1][j - 1]));
      if (error <= best_error) {
        best_error = error;
        best = table[i][j];
      }
    }
  }
  return best;
}

class Checker {
 public:
  Checker(std::span<const Tensor> points, const GradCheckOptions& options, const ad::Options& how)
      : options_(options), how_(how), random_(options.seed) {
    for (const Tensor& point : points) {
      in_.push_back(graph_.input(cat("x", in_.size()), point.shape(), point.type()));
      at_.push_back(wide(point));
      if (is_float(point.type())) add_checked(in_.size() - 1);
    }
  }

  GradCheckResult run(const std::function<Value(Graph&, std::span<const Value>)>& build) {
    const Value result = build(graph_, in_);
    if (!is_float(result.type())) {
      throw TypeError(cat("gradcheck: the function gives ", result.type(),
                          "; only f32 and f64 values have gradients"));
    }
    start_inputs_of_build();
    Value function = weighted_sum(std::span(&result, 1));
    for (int order = 1; order <= options_.order; ++order) {
      std::vector<Value> wrt;
      for (const size_t i : checked_) wrt.push_back(in_[i]);
      const Value seed = graph_.constant(1, function.type());
      const auto gradients = ad::gradients(std::span(&function, 1), std::span(&seed, 1), wrt, how_);
      compare(order, function, gradients);
      if (result_.worst > options_.tolerance) break;
      function = weighted_sum(gradients);
    }
    result_.passed = result_.worst <= options_.tolerance;
    if (result_.passed) result_.message.clear();
    return std::move(result_);
  }

 private:
  void add_checked(size_t input) {
    checked_.push_back(input);
    result_.inputs.push_back({in_[input].node().as<InputAttr>().name, 0});
  }

  void start_inputs_of_build() {
    const std::vector<Id> ids(graph_.inputs().begin() + static_cast<ptrdiff_t>(in_.size()),
                              graph_.inputs().end());
    for (const Id id : ids) {
      const auto attr = graph_[id].as<InputAttr>();
      if (attr.kind == InputKind::data) {
        throw ArgumentError(cat("gradcheck: the function made the data input \"", attr.name,
                                "\"; take it from the arguments and give it a point"));
      }
      in_.push_back(graph_.value(id));
      Tensor start(attr.shape, attr.type == f32 ? f64 : attr.type);
      const bool is_checked = attr.kind == InputKind::parameter && is_float(attr.type);
      for (int64_t i = 0; i < start.elements(); ++i) {
        start.set(i, initial_number(attr) + (is_checked ? random_.next() / 2 : 0));
      }
      at_.push_back(std::move(start));
      if (is_checked) add_checked(in_.size() - 1);
    }
  }

  // One number from many, such that no element's share is special.
  Value weighted_sum(std::span<const Value> values) {
    Value total;
    for (const Value value : values) {
      const Value weights = graph_.input(cat("weights ", in_.size()), value.shape(), value.type());
      in_.push_back(weights);
      at_.push_back(random_.tensor(value.shape()));
      const Value part = cast(sum(value * weights), f64);
      total = total ? total + part : part;
    }
    return total ? total : graph_.constant(0, f64);
  }

  void compare(int order, Value function, std::span<const Value> gradients) {
    const Graph value = program(graph_, std::span(&function, 1));
    const auto analytic = interpret(program(graph_, gradients), at_, true).outputs;
    for (size_t k = 0; k < checked_.size(); ++k) {
      for (int trial = 0; trial < options_.directions; ++trial) {
        compare_along(random_.tensor(at_[checked_[k]].shape()), wide(analytic[k]), value,
                      {k, order, trial});
      }
    }
  }

  struct Place {
    size_t input;  // index into checked_
    int order, trial;
  };
  struct Comparison {
    double analytic, numeric, error;
  };

  // Smaller steps are tried when the first disagree: a kink may lie within them, whereas a wrong
  // gradient is wrong at every step.
  void compare_along(const Tensor& direction, const Tensor& gradient, const Graph& value,
                     Place place) {
    Comparison best = compare_at_step(direction, gradient, value, place, options_.step);
    for (const double factor : {1e-2, 1e-4}) {
      if (best.error <= options_.tolerance) break;
      const Comparison next =
          compare_at_step(direction, gradient, value, place, options_.step * factor);
      if (next.error < best.error) best = next;
    }
    GradCheckResult::Input& input = result_.inputs[place.input];
    input.worst = std::max(input.worst, best.error);
    if (best.error <= result_.worst) return;
    result_.worst = best.error;
    result_.message = cat("the derivative of order ", place.order, " with respect to \"",
                          input.name, "\" along random direction ", place.trial, " is ",
                          number(best.analytic), " by backpropagation but ", number(best.numeric),
                          " by differences: a relative error of ", best.error,
                          ", more than the allowed ", options_.tolerance);
  }

  Comparison compare_at_step(const Tensor& direction, const Tensor& gradient, const Graph& value,
                             Place place, double step) {
    Tensor& at = at_[checked_[place.input]];
    const Tensor base = at;
    const auto ahead = direction.data<double>(), slope = gradient.data<double>();
    double analytic = 0, square = 0, largest = 0;
    for (size_t i = 0; i < ahead.size(); ++i) {
      analytic += ahead[i] * slope[i];
      square += ahead[i] * slope[i] * ahead[i] * slope[i];
    }
    const auto along = [&](double t) {
      for (size_t i = 0; i < ahead.size(); ++i) {
        at.data<double>()[i] = base.data<double>()[i] + t * ahead[i];
      }
      const double y = interpret(value, at_, true).outputs[0].at(0);
      largest = std::max(largest, std::abs(y));
      return y;
    };
    const double numeric = ahead.empty() ? 0 : derivative(along, step);
    at = base;
    // Relative to the parts of the sum, which may cancel; a derivative that is tiny beside the
    // function itself is lost in the rounding of its differences.
    const double scale = std::max({std::abs(analytic), std::abs(numeric), std::sqrt(square),
                                   1e-4 * largest, std::numeric_limits<double>::min()});
    const double error = std::abs(analytic - numeric) / scale;
    return {analytic, numeric, error >= 0 ? error : std::numeric_limits<double>::infinity()};
  }

  const GradCheckOptions& options_;
  const ad::Options& how_;
  Random random_;
  Graph graph_;
  std::vector<Value> in_;        // every input of graph_, in order
  std::vector<Tensor> at_;       // and its value
  std::vector<size_t> checked_;  // those with respect to which gradients are checked
  GradCheckResult result_;
};

}  // namespace

GradCheckResult ad::gradcheck(const std::function<Value(Graph&, std::span<const Value>)>& build,
                              std::span<const Tensor> points, const GradCheckOptions& options,
                              const Options& how) {
  return Checker(points, options, how).run(build);
}

GradCheckResult gradcheck(const std::function<Value(Graph&, std::span<const Value>)>& build,
                          std::span<const Tensor> points, const GradCheckOptions& options) {
  return ad::gradcheck(build, points, options, {});
}

}  // namespace soma
