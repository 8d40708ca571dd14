// Functions over values, run on a device.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "soma/plan.h"

namespace soma::test {

using Build = std::function<Value(Graph&, std::span<const Value>)>;

/// The result of a function of some arrays, on a device.
inline Tensor run_on(const Device& device, const Build& build, std::span<const Tensor> points) {
  Graph graph;
  std::vector<Value> in;
  for (const Tensor& point : points) {
    in.push_back(graph.input("x" + std::to_string(in.size()), point.shape(), point.type()));
  }
  graph.output("y", build(graph, in));
  Plan plan = compile(graph, device);
  for (size_t i = 0; i < points.size(); ++i) plan.bind("x" + std::to_string(i), points[i].raw());
  plan.run();
  return plan.output("y").copy();
}

inline Tensor run(const Build& build, std::span<const Tensor> points) {
  return run_on(Device::reference(), build, points);
}

/// Irregular numbers in (-scale, scale).
inline Tensor irregular(const Shape& shape, int seed = 0, double scale = 1, DType type = f64) {
  Tensor result(shape, type);
  for (int64_t i = 0; i < result.elements(); ++i) {
    result.set(i, scale * std::sin(1.7 * static_cast<double>(i * (seed + 1)) + 2.3 * seed + 0.12));
  }
  return result;
}

}  // namespace soma::test
