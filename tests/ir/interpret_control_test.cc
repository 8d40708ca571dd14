// The meaning of inputs, updates, calls and loops.
#include "tests/expect_error.h"
#include "tests/ir/evaluate.h"

namespace soma {
namespace {

TEST(Interpret, GivesOutputsAndUpdatesInOrder) {
  Graph g;
  const Value x = g.input("x", {2}), n = g.state("n", {}, "0", i64), w = g.parameter("w", {2});
  g.output("second", x * 2.0);
  g.output("first", x);
  g.update(w, w - x);
  g.update(n, n + 1.0);
  const Tensor inputs[] = {list({1, 2}), array({}, {41}, i64), list({10, 10})};
  const Interpretation result = interpret(g, inputs);
  expect_tensor(result.outputs[0], list({2, 4}));
  expect_tensor(result.outputs[1], list({1, 2}));
  expect_tensor(result.updates[0], list({9, 8}));
  expect_tensor(result.updates[1], array({}, {42}, i64));
}

TEST(Interpret, ChecksItsInputs) {
  Graph g;
  g.output("y", g.input("x", {2}));
  const auto run = [&](std::vector<Tensor> inputs, bool as_double = false) {
    return interpret(g, inputs, as_double);
  };
  EXPECT_ERROR(ArgumentError, run({}), "has 1 inputs, but 0 arrays");
  EXPECT_ERROR(ShapeError, run({list({1, 2, 3})}), "input \"x\" is [2], but was given [3]");
  EXPECT_ERROR(TypeError, run({list({1, 2}, f64)}), "input \"x\" is f32, but was given f64");
  EXPECT_EQ(run({list({1, 2}, f64)}, true).outputs[0].type(), f64);
}

TEST(Call, MeansItsBody) {
  Graph body;
  const Value a = body.input("a", {2}), b = body.input("b", {2});
  body.output("sum", a + b);
  body.output("product", a * b);
  for (const bool as_double : {false, true}) {
    const Tensor found = evaluated(
        {list({1, 2}), list({3, 5})},
        [&](const auto& in) {
          const auto results = call(in[0].graph(), "both", in, body);
          return results[1] - results[0];
        },
        as_double);
    expect_tensor(found, list({-1, 3}, as_double ? f64 : f32));
  }
}

// s' = factor * s + x; the result of each step is [s, s'].
Graph recurrence() {
  Graph body;
  const Value factor = body.input("factor", {}), s = body.input("s", {}), x = body.input("x", {});
  const Value next = factor * s + x;
  body.output("s", next);
  body.output("before", s);
  body.output("after", next);
  return body;
}
std::vector<Tensor> run_recurrence(int64_t length, bool reverse) {
  Graph g;
  const Value consts[] = {g.constant(2.0)}, carries[] = {g.constant(1.0)};
  const Value sequences[] = {g.input("x", {length})};
  for (const Value v : scan(g, recurrence(), consts, carries, sequences, length, reverse)) {
    g.output("y" + std::to_string(g.outputs().size()), v);
  }
  const Tensor inputs[] = {counting({length})};
  return interpret(g, inputs).outputs;
}
TEST(Scan, RunsForwards) {
  const auto y = run_recurrence(4, false);
  expect_tensor(y[0], array({}, {27}));
  expect_tensor(y[1], list({1, 2, 5, 12}));
  expect_tensor(y[2], list({2, 5, 12, 27}));
}
TEST(Scan, RunsInReverse) {
  const auto y = run_recurrence(4, true);
  expect_tensor(y[0], array({}, {50}));
  expect_tensor(y[1], list({25, 12, 5, 1}));
  expect_tensor(y[2], list({50, 25, 12, 5}));
}
TEST(Scan, OfNoSteps) {
  const auto y = run_recurrence(0, false);
  expect_tensor(y[0], array({}, {1}));
  expect_tensor(y[1], Tensor({0}));
}

TEST(Scan, CarriesSeveralStatesOfDifferentTypes) {
  Graph body;  // Fibonacci numbers and a count
  const Value a = body.input("a", {}, i64), b = body.input("b", {}, i64), n = body.input("n", {});
  body.output("a", b);
  body.output("b", a + b);
  body.output("n", n + 1.0);
  body.output("a now", a);
  Graph g;
  const Value carries[] = {g.constant(0, i64), g.constant(1, i64), g.constant(0.5)};
  const auto results = scan(g, body, {}, carries, {}, 10);
  for (size_t i = 0; i < results.size(); ++i) g.output("y" + std::to_string(i), results[i]);
  const auto y = interpret(g, {}).outputs;
  expect_tensor(y[0], array({}, {55}, i64));
  expect_tensor(y[1], array({}, {89}, i64));
  expect_tensor(y[2], array({}, {10.5}));
  expect_tensor(y[3], list({0, 1, 1, 2, 3, 5, 8, 13, 21, 34}, i64));
}

TEST(Scan, NestsInScan) {
  Graph inner;  // running sum of a row
  {
    const Value total = inner.input("total", {}), x = inner.input("x", {});
    inner.output("total", total + x);
    inner.output("so far", total + x);
  }
  Graph outer;  // the sum runs on from row to row
  {
    const Value total = outer.input("total", {}), row = outer.input("row", {3});
    const Value carries[] = {total}, sequences[] = {row};
    const auto results = scan(outer, inner, {}, carries, sequences, 3);
    outer.output("total", results[0]);
    outer.output("sums", results[1]);
  }
  const Tensor found = evaluated({counting({2, 3})}, [&](const auto& in) {
    const Value carries[] = {in[0].graph().constant(100.0)}, sequences[] = {in[0]};
    return scan(in[0].graph(), outer, {}, carries, sequences, 2)[1];
  });
  expect_tensor(found, array({2, 3}, {100, 101, 103, 106, 110, 115}));
}

TEST(Interpret, LimitsTheNestingOfBodies) {
  Graph g;
  g.output("y", g.input("x", {}));
  for (int depth = 0; depth < 17; ++depth) {
    Graph outer;
    const Value x = outer.input("x", {});
    outer.output("y", call(outer, "f", std::vector<Value>{x}, g)[0]);
    g = outer;
  }
  const Tensor inputs[] = {Tensor()};
  EXPECT_ERROR(GraphError, interpret(g, inputs), "nested more than 16 deep");
  EXPECT_ERROR(GraphError, verify(g), "nested more than 16 deep");
}

}  // namespace
}  // namespace soma
