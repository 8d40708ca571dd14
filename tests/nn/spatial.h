// What the tests of convolution, pooling, padding and resampling share: arrays read by hand, and
// one check that holds a function against the interpreter, the CPU and finite differences.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "soma/convolution.h"
#include "soma/gradcheck.h"
#include "soma/gradient.h"
#include "tests/exec/compare.h"
#include "tests/expect_error.h"

namespace soma::test {

using Build = std::function<Value(std::span<const Value>)>;

inline Tensor random_tensor(Shape shape, uint64_t seed) {
  Random random(seed, 0);
  Tensor result(shape, f64);
  for (int64_t i = 0; i < result.elements(); ++i) result.set(i, 2 * random.uniform() - 1);
  return result;
}

/// 1, 2, 3, … in row-major order.
inline Tensor counted(Shape shape) {
  Tensor result(shape, f64);
  for (int64_t i = 0; i < result.elements(); ++i) result.set(i, static_cast<double>(i + 1));
  return result;
}

inline std::vector<double> values(const Tensor& tensor) {
  std::vector<double> result;
  for (int64_t i = 0; i < tensor.elements(); ++i) result.push_back(tensor.at(i));
  return result;
}

/// An array [batch, channels, spatial…] read as if it had three spatial axes.
class Field {
 public:
  explicit Field(Tensor tensor) : tensor_(std::move(tensor)) {
    const Shape& shape = tensor_.shape();
    shape_ = {shape[0], shape[1]};
    for (int i = shape.rank(); i < 5; ++i) shape_.push_back(1);
    for (int i = 2; i < shape.rank(); ++i) shape_.push_back(shape[i]);
  }
  const Shape& shape() const { return shape_; }
  const Tensor& tensor() const { return tensor_; }
  bool inside(const Dims& at) const {
    for (int i = 0; i < 5; ++i) {
      if (at[i] < 0 || at[i] >= shape_[i]) return false;
    }
    return true;
  }
  double operator()(const Dims& at) const { return tensor_.at(place(at)); }
  void set(const Dims& at, double value) { tensor_.set(place(at), value); }
  void add(const Dims& at, double value) { set(at, (*this)(at) + value); }

 private:
  int64_t place(const Dims& at) const {
    int64_t result = 0;
    for (int i = 0; i < 5; ++i) result = result * shape_[i] + at[i];
    return result;
  }
  Tensor tensor_;
  Shape shape_;
};

/// A list with one entry for each spatial axis, for three of them.
inline Dims three(const Dims& list, int64_t otherwise) {
  Dims result;
  for (int i = list.size(); i < 3; ++i) result.push_back(otherwise);
  for (const int64_t value : list) result.push_back(value);
  return result;
}

/// Calls visit(index) for every index of the shape.
template <class F>
void for_each_index(const Shape& shape, F&& visit) {
  Dims at = Dims::filled(shape.rank(), 0);
  for (int64_t left = shape.elements(); left > 0; --left) {
    visit(std::as_const(at));
    for (int i = shape.rank() - 1; i >= 0 && ++at[i] == shape[i]; --i) at[i] = 0;
  }
}

/// The value in f64 by the interpreter.
inline Tensor meaning_of(const Build& build, const std::vector<Tensor>& points) {
  Graph graph;
  std::vector<Value> in;
  for (size_t i = 0; i < points.size(); ++i) {
    in.push_back(graph.input(cat("x", i), points[i].shape(), points[i].type()));
  }
  graph.output("y", build(in));
  return interpret(graph, points).outputs.at(0);
}

/// The CPU agrees with the interpreter on the value and its gradients, in f32, and the gradients to
/// second order with finite differences; gives the value in f64.
inline Tensor checked(const Build& build, const std::vector<Tensor>& points,
                      const std::string& what = "", int order = 2) {
  SCOPED_TRACE(what);
  GradCheckOptions options;
  options.order = order;
  options.directions = 1;
  const auto result =
      gradcheck([&](Graph&, std::span<const Value> in) { return build(in); }, points, options);
  EXPECT_TRUE(result) << result.message;

  Graph graph;
  std::vector<Value> in;
  std::vector<Tensor> singles;
  for (size_t i = 0; i < points.size(); ++i) {
    singles.push_back(points[i].cast(f32));
    in.push_back(graph.input(cat("x", i), points[i].shape(), f32));
  }
  const Value y = build(in);
  graph.output("y", y);
  const auto slopes = gradients(sum(square(y)), in);
  for (size_t i = 0; i < slopes.size(); ++i) graph.output(cat("slope", i), slopes[i]);
  expect_cpu_agrees(graph, singles, 1e-4);
  return meaning_of(build, points);
}

}  // namespace soma::test
