// Checks that every function over values must pass.
#pragma once

#include <functional>

#include "soma/gradcheck.h"
#include "tests/exec/compare.h"
#include "tests/nn/evaluate.h"

namespace soma::test {

using Function = std::function<Value(std::span<const Value>)>;

/// Irregular numbers about 0, so that no kink and no tie is hit.
inline Tensor points(const Shape& shape, int seed = 0, DType type = f64) {
  Tensor result(shape, type);
  for (int64_t i = 0; i < result.elements(); ++i) {
    result.set(i, 1.3 * std::sin(1.7 * static_cast<double>(i + 1) + 2.3 * seed + 0.1234));
  }
  return result;
}

inline Graph graph_of(const Function& f, const std::vector<Tensor>& inputs, DType type) {
  Graph graph;
  std::vector<Value> in;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const DType own = inputs[i].type();
    in.push_back(
        graph.input("x" + std::to_string(i), inputs[i].shape(), is_float(own) ? type : own));
  }
  graph.output("y", f(in));
  return graph;
}

/// f in double precision, by the interpreter.
inline Tensor value_of(const Function& f, const std::vector<Tensor>& inputs) {
  return interpret(graph_of(f, inputs, f64), inputs, true).outputs[0];
}

/// Gradients to second order, and the CPU, in f32, agrees with the interpreter on the value and on
/// the first gradients, with the same bits for any number of threads.
inline void expect_sound(const Function& f, const std::vector<Tensor>& inputs,
                         double tolerance = 2e-5) {
  const auto result = gradcheck([&f](Graph&, std::span<const Value> in) { return f(in); }, inputs);
  EXPECT_TRUE(result.passed) << result.message;
  Graph graph = graph_of(f, inputs, f32);
  const Value y = graph.value(graph.output_id("y"));
  std::vector<Value> wrt;
  for (const Id id : graph.inputs()) {
    if (is_float(graph[id].type)) wrt.push_back(graph.value(id));
  }
  const auto slopes = gradients(sum(sin(y)), wrt);
  for (size_t i = 0; i < slopes.size(); ++i) graph.output("slope" + std::to_string(i), slopes[i]);
  std::vector<Tensor> single;
  for (const Tensor& t : inputs) single.push_back(is_float(t.type()) ? t.cast(f32) : t);
  expect_cpu_agrees(graph, single, tolerance);
}

}  // namespace soma::test
