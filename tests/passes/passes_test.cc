// Each pass keeps the meaning of a graph and does what it is for.
#include "src/passes/passes.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "soma/gradient.h"
#include "tests/exec/compare.h"

namespace soma::passes {
namespace {

int count(const Graph& graph, Op op) {
  return static_cast<int>(
      std::ranges::count_if(graph.nodes(), [&](const Node& node) { return node.op == op; }));
}
const Graph& body_of(const Graph& graph, int which = 0) {
  for (const Node& node : graph.nodes()) {
    if (node.op == Op::scan && which-- == 0) return *node.as<ScanAttr>().body;
  }
  throw std::logic_error("the graph has no such scan");
}
Graph swept(const Graph& graph) {  // only what is needed
  return rewrite(graph, [](Graph&, const Node&, std::span<const Value>) { return Value{}; });
}

/// The pass changes nothing that can be seen.
void expect_same_meaning(const Graph& before, const Graph& after, double tolerance = 1e-6) {
  verify(after);
  const auto inputs = random_inputs(before, 3);
  const Interpretation a = interpret(before, inputs), b = interpret(after, inputs);
  for (size_t i = 0; i < a.outputs.size(); ++i) {
    expect_near(b.outputs[i], a.outputs[i], tolerance, before.outputs()[i].name);
  }
}

struct Rule {
  const char* name;
  Value (*build)(Value x, Value y);  // x, y: f32[4, 3]
  size_t nodes;                      // left after simplification, inputs included
};
class Simplify : public testing::TestWithParam<Rule> {};

TEST_P(Simplify, LeavesFewerNodes) {
  Graph g;
  g.output("z", GetParam().build(g.input("x", {4, 3}), g.input("y", {4, 3})));
  const Graph simple = swept(simplify(g));
  EXPECT_EQ(simple.size(), GetParam().nodes) << print(simple);
  expect_same_meaning(g, simple);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, Simplify,
    testing::Values(
        Rule{"add_zero", [](Value x, Value) { return x + 0.0; }, 2},
        Rule{"zero_add", [](Value x, Value) { return 0.0 + x; }, 2},
        Rule{"sub_zero", [](Value x, Value) { return x - 0.0; }, 2},
        Rule{"zero_sub", [](Value x, Value) { return 0.0 - x; }, 3},
        Rule{"add_neg", [](Value x, Value y) { return x + -y; }, 3},
        Rule{"mul_one", [](Value x, Value) { return x * 1.0; }, 2},
        Rule{"mul_minus_one", [](Value x, Value) { return x * -1.0; }, 3},
        Rule{"div_one", [](Value x, Value) { return x / 1.0; }, 2},
        Rule{"pow_one", [](Value x, Value) { return pow(x, 1.0); }, 2},
        Rule{"pow_two", [](Value x, Value) { return pow(x, 2.0); }, 3},
        Rule{"neg_neg", [](Value x, Value) { return -(-x); }, 2},
        Rule{"stop", [](Value x, Value) { return stop(x); }, 2},
        Rule{"select_same", [](Value x, Value y) { return select(x < y, y, y); }, 2},
        Rule{"select_true",
             [](Value x, Value y) {
               return select(x.graph().constant(1, {4, 3}, boolean), x, y);
             },
             2},
        Rule{"constants_fold",
             [](Value x, Value) {
               Graph& g = x.graph();
               return x * exp(g.constant(0.5, {}, f32) + g.constant(0.25, {}, f32));
             },
             5},
        Rule{"reshape_reshape",
             [](Value x, Value) {
               return reshape(reshape(x, {12}), {3, 4});
             },
             3},
        Rule{"reshape_back",
             [](Value x, Value) {
               return reshape(reshape(x, {12}), {4, 3});
             },
             2},
        Rule{"pads_that_tile",  // the gradient of split
             [](Value x, Value y) {
               return pad(x, {0, 3}, {0, 6}, {0, 0}) + pad(y, {0, 0}, {0, 9}, {0, 0}) +
                      (pad(y, {0, 9}, {0, 0}, {0, 0}) + pad(x, {0, 6}, {0, 3}, {0, 0}));
             },
             3},
        Rule{"pads_that_overlap",
             [](Value x, Value y) {
               return pad(x, {0, 1}, {0, 2}, {0, 0}) + pad(y, {0, 3}, {0, 0}, {0, 0});
             },
             5},
        Rule{"transpose_back", [](Value x, Value) { return transpose(transpose(x)); }, 2},
        Rule{"broadcast_twice",
             [](Value x, Value) {
               return broadcast(broadcast(x, {2, 4, 3}, {1, 2}), {2, 4, 3, 5}, {0, 1, 2});
             },
             3},
        Rule{"sum_of_sum", [](Value x, Value) { return sum(sum(x, {0}), {0}); }, 3},
        Rule{"sum_of_repeats",
             [](Value x, Value) {
               return sum(broadcast(x, {4, 3, 5}, {0, 1}), {2});
             },
             5},
        Rule{"sum_of_single",
             [](Value x, Value) {
               return sum(reshape(x, {4, 1, 3}), {1});
             },
             2}),
    [](const auto& test) { return test.param.name; });

TEST(InlineCalls, LeavesClaimedOnesAlone) {
  Graph g;
  const Value x = g.input("x", {2, 3});
  const auto twice = [](const std::vector<Value>& in) { return in[0] * 2.0; };
  g.output("y", call("outer", {x}, [&](const std::vector<Value>& in) {
             return call("inner", {in[0]}, twice) + 1.0;
           }));
  const Graph open = swept(inline_calls(g));
  EXPECT_EQ(count(open, Op::call), 0);
  expect_same_meaning(g, open);
  EXPECT_EQ(count(swept(inline_calls(g, {"inner"})), Op::call), 1);
}

TEST(Layout, TransposesBecomeFlags) {
  Graph g;
  const Value x = g.input("x", {4, 3}), w = g.input("w", {5, 3});
  g.output("y", dot(x, transpose(w)));
  g.output("z", dot(transpose(x), dot(x, w, false, true), false, false));
  const Graph flat = swept(layout(g));
  EXPECT_EQ(count(flat, Op::transpose), 0);
  expect_same_meaning(g, flat);
}

/// h' = tanh(x_t·W + h·U), with its gradient.
Graph recurrent_net(int64_t steps = 6) {
  Graph g;
  const Value x = g.input("x", {steps, 4, 3}), w = g.parameter("w", {3, 5});
  const Value u = g.parameter("u", {5, 5});
  Graph body;
  const Value bw = body.input("w", {3, 5}), bu = body.input("u", {5, 5});
  const Value h = body.input("h", {4, 5}), xt = body.input("x", {4, 3});
  const Value next = tanh(dot(xt, bw) + dot(h, bu));
  body.output("h", next);
  body.output("y", next);
  const auto results =
      scan(g, std::move(body), std::vector<Value>{w, u},
           std::vector<Value>{g.constant(0, {4, 5}, f32)}, std::vector<Value>{x}, steps);
  const Value loss = sum(square(results[1]));
  g.output("loss", loss);
  const auto d = gradients(loss, std::vector<Value>{w, u});
  g.output("dw", d[0]);
  g.output("du", d[1]);
  return g;
}

TEST(Scans, OneStepIsNoLoop) {
  const Graph g = swept(inline_calls(recurrent_net(1)));
  const Graph flat = swept(unroll_scans(g));
  EXPECT_EQ(count(g, Op::scan), 3);
  EXPECT_EQ(count(flat, Op::scan), 0);
  expect_same_meaning(g, flat);
  const Graph longer = swept(inline_calls(recurrent_net(2)));
  EXPECT_EQ(count(swept(unroll_scans(longer)), Op::scan), 3);
}

TEST(Scans, ForwardAndItsRerunMerge) {
  const Graph g = swept(inline_calls(recurrent_net()));
  const Graph merged = swept(merge_scans(g));
  EXPECT_EQ(count(g, Op::scan), 3);  // forward, forward with residuals, backward
  EXPECT_EQ(count(merged, Op::scan), 2);
  expect_same_meaning(g, merged);
}

TEST(Scans, ProductsOfTheSequenceLeaveTheLoop) {
  const Graph merged = swept(merge_scans(simplify(recurrent_net())));
  const Graph hoisted = swept(hoist_scan(merged));
  EXPECT_EQ(count(body_of(merged), Op::dot), 2);
  EXPECT_EQ(count(body_of(hoisted), Op::dot), 1);  // h·U stays
  expect_same_meaning(merged, hoisted);
}

TEST(Scans, UnreadResultsVanish) {
  Graph g;
  const Value x = g.input("x", {3, 2});
  Graph body;
  const Value c = body.input("c", {2}), xt = body.input("x", {2});
  body.output("c", c + xt);
  body.output("unread", exp(c));
  g.output("y", scan(g, std::move(body), {}, std::vector<Value>{g.constant(0, {2}, f32)},
                     std::vector<Value>{x}, 3)[0]);
  const Graph after = swept(hoist_scan(g));
  EXPECT_EQ(body_of(after).outputs().size(), 1u);
  EXPECT_EQ(count(body_of(after), Op::exp), 0);
  expect_same_meaning(g, after);
}

TEST(SplitReductions, RowsFirstWhereOtherAxesJoinThem) {
  Graph g;
  const Value x = g.input("x", {7, 3, 5, 6});
  g.output("channels", sum(x, {0, 2, 3}));
  g.output("channels' largest", max_over(x, {0, 2, 3}));
  const Graph after = split_reductions(g);
  EXPECT_EQ(count(swept(after), Op::reduce), 4);
  expect_same_meaning(g, after, 1e-5);
  Graph others;  // rows alone, columns alone, all, short rows, few elements
  const Value y = others.input("y", {7, 3, 5, 6});
  for (const Dims& axes : {Dims{2, 3}, Dims{0, 1}, Dims{0, 1, 2, 3}, Dims{0, 3}, Dims{1}}) {
    others.output(axes.text(), sum(y, axes));
  }
  EXPECT_EQ(count(swept(split_reductions(others)), Op::reduce), 5);
}

TEST(SplitProducts, LongDepthInParts) {
  Graph g;
  const Value x = g.input("x", {2048, 3}), y = g.input("y", {2048, 5});
  g.output("gradient", dot(x, y, true, false));
  g.output("short", dot(slice_axis(x, 0, 0, 1024), slice_axis(y, 0, 0, 1024), true, false));
  const Graph after = swept(split_products(g));
  EXPECT_EQ(count(after, Op::add), 7);
  EXPECT_EQ(after[after.outputs()[1].id].op, Op::dot);
  expect_same_meaning(g, after, 1e-4);
}

TEST(Pipeline, EveryPassKeepsTheMeaning) {
  Graph g = recurrent_net();
  for (const Pass& pass : pipeline()) {
    const Graph next = pass.run(g);
    SCOPED_TRACE(pass.name);
    expect_same_meaning(g, next, 1e-5);
    g = next;
  }
}

}  // namespace
}  // namespace soma::passes
