// Points and small helpers that the tests of gradients share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

#include "soma/gradcheck.h"
#include "soma/graph.h"

namespace soma::test {

using Build = std::function<Value(Graph&, std::span<const Value>)>;

inline uint64_t scramble(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/// Evenly spaced numbers in [lo, hi) in an order that depends on the seed. Arrays with different
/// seeds (modulo 3) have no number in common: comparisons do not flip within a small step.
inline Tensor spread(const Shape& shape, double lo, double hi, int seed = 0) {
  Tensor result(shape);
  const auto count = static_cast<size_t>(shape.elements());
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  const auto key = [&](size_t i) { return scramble(i * 1000 + static_cast<size_t>(seed) + 1); };
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key(a) < key(b); });
  const double width = (hi - lo) / static_cast<double>(count);
  for (size_t i = 0; i < count; ++i) {
    // Each seed has its own place within the width, so that no two arrays tie.
    const double place = 0.2 + 0.25 * (seed % 3);
    result.set(static_cast<int64_t>(i), lo + width * (static_cast<double>(order[i]) + place));
  }
  return result;
}

/// Around zero.
inline Tensor around_zero(const Shape& shape, int seed = 0) { return spread(shape, -1, 1, seed); }

/// A curved function of any array, element by element.
inline Value curved(Value x) { return tanh(x) * x; }

/// Gradients of that function at these points agree with differences to that order.
inline void expect_gradients(const Build& build, std::span<const Tensor> points, int order = 1) {
  GradCheckOptions options;
  options.order = order;
  options.directions = 2;
  const auto result = gradcheck(build, points, options);
  EXPECT_TRUE(result) << result.message;
}

}  // namespace soma::test
