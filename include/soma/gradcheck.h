// Checks gradients against finite differences: for your own layers, losses and formulas.
//
//   auto result = gradcheck([](Graph&, auto x) { return tanh(dot(x[0], x[1])); }, points);
//   if (!result) std::cout << result.message;
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "soma/graph.h"

namespace soma {

struct GradCheckOptions {
  /// 1 checks gradients, 2 also gradients of gradients, and so on.
  int order = 2;
  /// Random directions tried for each input and order.
  int directions = 3;
  /// The first and largest step; it is halved four times. Where the result disagrees, steps a
  /// hundred and ten thousand times smaller are tried, so a kink near a point does no harm.
  double step = 1e-2;
  /// Largest relative error that passes.
  double tolerance = 1e-6;
  /// Seed of the directions, and of the values of parameters that `build` creates.
  uint64_t seed = 1;
};

struct GradCheckResult {
  bool passed = true;
  /// The largest relative error of all.
  double worst = 0;
  /// One checked input: a point of floating-point type, or a parameter that `build` creates.
  struct Input {
    std::string name;  ///< "x0", "x1", … for the points.
    double worst = 0;  ///< Its largest relative error over all orders and directions.
  };
  std::vector<Input> inputs;
  /// A sentence that names the worst input, order and direction with both numbers; empty when
  /// passed.
  std::string message;

  explicit operator bool() const { return passed; }
};

/// Builds the function once and compares, along random directions, the derivative that
/// backpropagation gives with central differences whose step goes to zero (Richardson's
/// extrapolation as in Ridders 1982), all in double precision. Any result shape will do: the
/// function checked is a random weighted sum of its elements. Order n + 1 checks a random weighted
/// sum of the gradients of order n, unless those are wrong already. (Random directions to second
/// order: JAX's check_grads; derivatives as graph: Griewank and Walther, Evaluating Derivatives,
/// 2nd ed. 2008.)
///
/// `points` are the values of the inputs that `build` receives; integers and booleans are passed
/// through unchecked. Parameters that `build` creates take random values and are checked as well;
/// states start at their initial number, or zero, and are not. Throws TypeError when the result is
/// not floating-point, ArgumentError when `build` creates data inputs of its own.
GradCheckResult gradcheck(const std::function<Value(Graph&, std::span<const Value>)>& build,
                          std::span<const Tensor> points, const GradCheckOptions& options = {});

}  // namespace soma
