// Points and small helpers that the tests of gradients share.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "soma/gradcheck.h"
#include "soma/graph.h"
#include "src/ad/cases.h"

namespace soma::test {

using Build = std::function<Value(Graph&, std::span<const Value>)>;

using ad::around_zero;
using ad::curved;
using ad::spread;

/// Gradients of that function at these points agree with differences to that order.
inline void expect_gradients(const Build& build, std::span<const Tensor> points, int order = 1) {
  GradCheckOptions options;
  options.order = order;
  options.directions = 2;
  const auto result = gradcheck(build, points, options);
  EXPECT_TRUE(result) << result.message;
}

}  // namespace soma::test
