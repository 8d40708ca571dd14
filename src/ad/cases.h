// A small function for every op whose gradient needs that op's rule, at points where it is smooth:
// what the tests and the command `soma gradcheck` run over.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "soma/graph.h"

namespace soma::ad {

/// A linear op is followed by a curved function, so that its rule also counts in second
/// derivatives.
struct GradientCase {
  Op op;
  std::string name;
  std::vector<Tensor> points;
  std::function<Value(Graph&, std::span<const Value>)> build;
};
const std::vector<GradientCase>& gradient_cases();

/// Why an op deliberately has no gradient; "" when it has one.
std::string_view reason_without_gradient(Op op);

/// Evenly spaced numbers in [lo, hi) in an order that depends on the seed. Arrays with different
/// seeds (modulo 3) have no number in common: comparisons do not flip within a small step.
Tensor spread(const Shape& shape, double lo, double hi, int seed = 0);
/// Around zero.
Tensor around_zero(const Shape& shape, int seed = 0);
/// A curved function of any array, element by element.
Value curved(Value x);

}  // namespace soma::ad
