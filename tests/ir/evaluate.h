// Short ways to ask the interpreter for one value.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "soma/graph.h"
#include "src/base/philox.h"

namespace soma {

inline constexpr double inf = std::numeric_limits<double>::infinity();
inline constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// What `build` makes of inputs that hold these arrays.
inline Tensor evaluated(const std::vector<Tensor>& inputs,
                        const std::function<Value(const std::vector<Value>&)>& build,
                        bool as_double = false) {
  Graph g;
  std::vector<Value> in;
  for (const Tensor& t : inputs) {
    in.push_back(g.input("x" + std::to_string(in.size()), t.shape(), t.type()));
  }
  g.output("y", build(in));
  verify(g);
  return interpret(g, inputs, as_double).outputs[0];
}

/// Numbers in row-major order as any type.
inline Tensor array(Shape shape, const std::vector<double>& values, DType type = f32) {
  return Tensor::of(shape, values).cast(type);
}
inline Tensor list(const std::vector<double>& values, DType type = f32) {
  return array({static_cast<int64_t>(values.size())}, values, type);
}
/// 0, 1, 2, …
inline Tensor counting(Shape shape, DType type = f32) {
  Tensor t(shape, type);
  for (int64_t i = 0; i < t.elements(); ++i) t.set(i, static_cast<double>(i));
  return t;
}
inline Tensor noise(Shape shape, Random& random, DType type = f64) {
  Tensor t(shape, type);
  for (int64_t i = 0; i < t.elements(); ++i) t.set(i, 2 * random.uniform_double() - 1);
  return t;
}

/// Shape, type and numbers; floats may differ by `tolerance`, NaN equals NaN.
inline void expect_tensor(const Tensor& found, const Tensor& wanted, double tolerance = 0) {
  EXPECT_EQ(found.type(), wanted.type());
  ASSERT_EQ(found.shape(), wanted.shape());
  for (int64_t i = 0; i < wanted.elements(); ++i) {
    const double a = found.at(i), b = wanted.at(i);
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    EXPECT_LE(std::abs(a - b), tolerance * std::max(1.0, std::abs(b)))
        << "element " << i << " is " << a << ", not " << b;
  }
}

/// The inner product of two arrays.
inline double inner(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double sum = 0;
  for (int64_t i = 0; i < a.elements(); ++i) sum += a.at(i) * b.at(i);
  return sum;
}

}  // namespace soma
