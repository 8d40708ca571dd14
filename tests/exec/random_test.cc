// The CPU backend against the interpreter on random graphs over all ops, and on their gradients.
#include <gtest/gtest.h>

#include "soma/gradient.h"
#include "tests/exec/compare.h"
#include "tests/support/random_graph.h"

namespace soma {
namespace {

TEST(CpuRandom, AgreesOnAnyGraph) {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    const test::RandomGraph random = test::random_graph(seed);
    SCOPED_TRACE(cat("seed ", seed));
    expect_cpu_agrees(random.graph, random.inputs, 1e-4);
    if (HasFailure()) {
      FAIL() << print(random.graph);
    }
  }
}

TEST(CpuRandom, AgreesOnGradients) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    test::RandomGraph random = test::random_graph(seed, {.steps = 15, .smooth = true});
    Graph& g = random.graph;
    std::vector<Value> wrt;
    for (const Id id : g.inputs()) {
      if (is_float(g[id].type)) wrt.push_back(g.value(id));
    }
    const auto d = gradients(g.value(g.output_id("loss")), wrt);
    for (size_t i = 0; i < d.size(); ++i) g.output(cat("gradient ", i), d[i]);
    SCOPED_TRACE(cat("seed ", seed));
    expect_cpu_agrees(g, random.inputs, 1e-3);
    if (HasFailure()) FAIL() << print(g);
  }
}

}  // namespace
}  // namespace soma
