// Runs a graph on the CPU in several ways and on the interpreter, and compares.
#pragma once

#include <gtest/gtest.h>

#include <cmath>

#include "soma/plan.h"
#include "src/base/philox.h"
#include "src/base/text.h"

namespace soma {

/// Inputs for a graph: floats in [-1, 1), small non-negative integers, booleans.
inline std::vector<Tensor> random_inputs(const Graph& graph, uint64_t seed) {
  std::vector<Tensor> inputs;
  uint32_t stream = 0;
  for (const Id id : graph.inputs()) {
    Random random(seed, stream++);
    Tensor t(graph[id].shape, graph[id].type);
    for (int64_t i = 0; i < t.elements(); ++i) {
      const double u = random.uniform();
      if (is_float(t.type())) {
        t.set(i, 2 * u - 1);
      } else {
        t.set(i, std::floor(u * (t.type() == boolean ? 2 : 5)));
      }
    }
    inputs.push_back(std::move(t));
  }
  return inputs;
}

/// Equal, or for floats near: |a - b| <= tolerance · max(1, |b|).
inline void expect_near(const Tensor& found, const Tensor& wanted, double tolerance,
                        const std::string& what) {
  ASSERT_EQ(found.shape(), wanted.shape()) << what;
  ASSERT_EQ(found.type(), wanted.type()) << what;
  for (int64_t i = 0; i < wanted.elements(); ++i) {
    const double a = found.at(i), b = wanted.at(i);
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    const bool close =
        is_float(wanted.type()) && std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b));
    ASSERT_TRUE(close) << what << ": element " << i << " is " << a << ", should be " << b;
  }
}

struct RunResult {
  std::vector<Tensor> outputs, updates;
};

inline RunResult run_plan(const Graph& graph, std::vector<Tensor> inputs, const Device& device,
                          const CompileOptions& options = {}) {
  Plan plan = compile(graph, device, options);
  for (size_t i = 0; i < inputs.size(); ++i) {
    plan.bind(graph[graph.inputs()[i]].as<InputAttr>().name, inputs[i]);
  }
  plan.run();
  RunResult result;
  for (const auto& [name, id] : graph.outputs()) result.outputs.push_back(plan.output(name).copy());
  for (const auto& [state, value] : graph.updates()) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (graph.inputs()[i] == state) result.updates.push_back(inputs[i]);
    }
  }
  return result;
}

/// The CPU agrees with the interpreter, with and without fusion and simplification, and gives the
/// same bits for any number of threads.
inline void expect_cpu_agrees(const Graph& graph, const std::vector<Tensor>& inputs,
                              double tolerance, Precision precision = Precision::fp32) {
  const Interpretation wanted = interpret(graph, inputs, false, precision);
  const auto compare = [&](const RunResult& found, const std::string& what) {
    for (size_t i = 0; i < wanted.outputs.size(); ++i) {
      expect_near(found.outputs[i], wanted.outputs[i], tolerance,
                  cat(what, ", output ", graph.outputs()[i].name));
    }
    for (size_t i = 0; i < wanted.updates.size(); ++i) {
      expect_near(found.updates[i], wanted.updates[i], tolerance, cat(what, ", update ", i));
    }
  };
  const RunResult one = run_plan(graph, inputs, Device::cpu(1, precision));
  compare(one, "fused");
  compare(run_plan(graph, inputs, Device::cpu(1, precision), {{"fuse"}, {}}), "not fused");
  compare(run_plan(graph, inputs, Device::cpu(1, precision),
                   {{"simplify", "hoist_scan", "merge_scans"}, {}}),
          "not simplified");
  for (const int threads : {2, 3}) {
    const RunResult many = run_plan(graph, inputs, Device::cpu(threads, precision));
    EXPECT_TRUE(many.outputs == one.outputs && many.updates == one.updates)
        << "the bits differ with " << threads << " threads";
  }
}
inline void expect_cpu_agrees(const Graph& graph, uint64_t seed = 1, double tolerance = 2e-5) {
  expect_cpu_agrees(graph, random_inputs(graph, seed), tolerance);
}

}  // namespace soma
