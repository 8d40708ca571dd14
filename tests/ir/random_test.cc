// What holds for any graph: it verifies, its text reads back to an equal graph, corrupted text
// never does worse than GraphError, and the interpreter agrees with itself in double.
#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "soma/error.h"
#include "tests/support/random_graph.h"

namespace soma {
namespace {

using test::random_graph;

TEST(RandomGraph, IsTheSameForTheSameSeed) {
  EXPECT_EQ(print(random_graph(7).graph), print(random_graph(7).graph));
  EXPECT_NE(print(random_graph(7).graph), print(random_graph(8).graph));
}

void count_ops(const Graph& graph, std::set<std::string_view>& seen) {
  for (const Node& node : graph.nodes()) {
    seen.insert(info(node.op).name);
    if (node.op == Op::call) count_ops(*node.as<CallAttr>().body, seen);
    if (node.op == Op::scan) count_ops(*node.as<ScanAttr>().body, seen);
  }
}
TEST(RandomGraph, CoversEveryOp) {
  std::set<std::string_view> seen;
  for (uint64_t seed = 0; seed < 200; ++seed) count_ops(random_graph(seed).graph, seen);
  for (const OpInfo& row : op_table()) EXPECT_TRUE(seen.count(row.name)) << row.name;
}

TEST(RandomGraph, SmoothOnesHaveOnlySmoothOpsAndALoss) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const auto [graph, inputs] = random_graph(seed, {.steps = 20, .smooth = true, .type = f64});
    for (const Node& node : graph.nodes()) {
      EXPECT_TRUE(info(node.op).is(OpInfo::smooth) || info(node.op).kind == OpClass::leaf);
    }
    const Tensor loss = interpret(graph, inputs).outputs[0];
    EXPECT_EQ(loss.shape(), Shape{});
    EXPECT_TRUE(std::isfinite(loss.at(0))) << seed;
  }
}

RC_GTEST_PROP(AnyGraph, VerifiesAndRoundTrips, (uint64_t seed)) {
  const Graph graph = random_graph(seed).graph;
  verify(graph);
  const std::string text = print(graph);
  const Graph again = parse(text);
  RC_ASSERT(graph == again);
  RC_ASSERT(graph.fingerprint() == again.fingerprint());
  RC_ASSERT(print(again) == text);
}

RC_GTEST_PROP(AnyGraph, GivesWellConditionedResults, (uint64_t seed)) {
  const auto [graph, inputs] = random_graph(seed);
  const Interpretation single = interpret(graph, inputs), precise = interpret(graph, inputs, true);
  for (size_t i = 0; i < single.outputs.size(); ++i) {
    const Tensor &a = single.outputs[i], &b = precise.outputs[i];
    RC_ASSERT(a.shape() == b.shape());
    for (int64_t n = 0; n < a.elements(); ++n) {
      const double x = a.at(n), y = b.at(n);
      const double allowed = is_float(a.type()) ? 1e-2 : 0;
      RC_ASSERT(x == y || (std::isnan(x) && std::isnan(y)) || std::abs(x - y) <= allowed);
    }
  }
}

RC_GTEST_PROP(AnyText, CorruptedParsesOrIsRefused, (uint64_t seed)) {
  std::string text = print(random_graph(seed, {.steps = 8}).graph);
  Random random(seed, 1);
  for (int n = 0; n < 40; ++n) {
    std::string broken = text;
    for (uint64_t edits = 1 + random.below(3); edits > 0 && !broken.empty(); --edits) {
      const size_t at = random.below(broken.size());
      const size_t length = std::min<size_t>(1 + random.below(9), broken.size() - at);
      switch (random.below(5)) {
        case 0: broken.erase(at, length); break;
        case 1: broken.insert(at, broken.substr(random.below(broken.size()), length)); break;
        case 2: broken[at] = static_cast<char>(random.below(256)); break;
        case 3: broken.insert(at, std::to_string(random.bits64())); break;
        default: broken.resize(at);
      }
    }
    try {
      verify(parse(broken));
    } catch (const GraphError& e) {
      RC_ASSERT(std::string_view(e.what()).size() > 10);
    }
  }
}

}  // namespace
}  // namespace soma
