// Views and fusion: what is read through strides, what becomes one step, and that steps are in an
// order in which they can run.
#include "src/passes/fuse.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "soma/gradient.h"
#include "src/base/text.h"
#include "src/passes/passes.h"

namespace soma::passes {
namespace {

TEST(View, FollowsMovesToTheirSource) {
  Graph g;
  const Value x = g.input("x", {4, 6});
  const View turned = view_of(g, transpose(x).id());
  EXPECT_EQ(turned.strides, (Dims{1, 6}));
  const View part = view_of(g, slice(x, {1, 2}, {4, 6}, {2, 1}).id());
  EXPECT_EQ(part.offset, 8);
  EXPECT_EQ(part.strides, (Dims{12, 1}));
  const View windows = view_of(g, unfold(x, 1, 3, 2).id());
  EXPECT_EQ(windows.shape, (Shape{4, 2, 3}));
  EXPECT_EQ(windows.strides, (Dims{6, 2, 1}));
  const View repeated = view_of(g, broadcast(x, {4, 5, 6}, {0, 2}).id());
  EXPECT_EQ(repeated.strides, (Dims{6, 0, 1}));
  EXPECT_TRUE(view_of(g, reshape(x, {2, 12}).id()).contiguous());
  EXPECT_EQ(view_of(g, reshape(x, {2, 12}).id()).base, x.id());
}

TEST(View, StopsWhereOnlyACopyHelps) {
  Graph g;
  const Value x = g.input("x", {4, 6});
  const Value flat = reshape(transpose(x), {24});
  EXPECT_EQ(view_of(g, flat.id()).base, flat.id());
  const Value split_rows = reshape(transpose(x), {2, 3, 4});  // still strided
  EXPECT_EQ(view_of(g, split_rows.id()).base, x.id());
  EXPECT_EQ(view_of(g, split_rows.id()).strides, (Dims{3, 1, 6}));
}

TEST(View, StopsAtAProductThatIsWrittenTransposed) {
  Graph g;
  const Value y = dot(g.input("a", {2, 3, 5, 4}), g.input("b", {2, 3, 4, 6}));
  const Value merged = transpose(y, {0, 2, 1, 3});
  EXPECT_EQ(view_of(g, reshape(merged, {2, 5, 18}).id()).base, merged.id());
  EXPECT_EQ(source_of(g, merged.id()).base, y.id());
  EXPECT_EQ(source_of(g, merged.id()).strides, (Dims{90, 6, 30, 1}));
  EXPECT_EQ(view_of(g, transpose(y).id()).base, y.id()) << "not by whole rows";
}

/// Every array is written before it is read, and written once.
void expect_runnable(const Graph& graph, const std::vector<Step>& steps) {
  std::set<Id> known(graph.inputs().begin(), graph.inputs().end());
  for (const Step& step : steps) {
    for (const Id id : step.reads)
      EXPECT_TRUE(known.count(id)) << "%" << id << " is read too early";
    for (const Id id : step.writes) EXPECT_TRUE(known.insert(id).second) << "%" << id;
  }
  for (const auto& output : graph.outputs()) EXPECT_TRUE(known.count(output.id)) << output.name;
  for (const auto& update : graph.updates()) EXPECT_TRUE(known.count(update.value));
}

size_t steps_of(const Graph& graph) {
  const auto steps = fuse(graph);
  expect_runnable(graph, steps);
  expect_runnable(graph, fuse(graph, false));
  EXPECT_LE(steps.size(), fuse(graph, false).size());
  return steps.size();
}

TEST(Fuse, ChainsAreOneStep) {
  Graph g;
  const Value x = g.input("x", {8, 16}), b = g.input("b", {16});
  g.output("y", tanh(exp(x + b) * 2.0) - x);
  EXPECT_EQ(steps_of(g), 1u);
}

TEST(Fuse, SoftmaxIsOneStep) {
  Graph g;
  const Value x = g.input("x", {8, 16});
  const Value e = exp(x - max_over(x, {-1}, Keep::yes));
  g.output("y", e / sum(e, {-1}, Keep::yes));
  EXPECT_EQ(steps_of(simplify(g)), 1u);
}

TEST(Fuse, AProductTakesItsRowsAlong) {
  Graph g;
  const Value x = g.input("x", {8, 16}), w = g.input("w", {16, 10});
  const Value y = tanh(dot(x, w) + g.input("b", {10}));
  g.output("y", y);
  g.output("columns", sum(y, {0}));
  EXPECT_EQ(steps_of(g), 1u);
}

TEST(Fuse, AProductUsedTransposedIsWrittenSo) {
  Graph g;
  const Value y = dot(g.input("a", {2, 3, 5, 4}), g.input("b", {2, 3, 4, 6}));
  const Value merged = transpose(y, {0, 2, 1, 3});
  g.output("y", tanh(reshape(merged, {2, 5, 18})));
  EXPECT_EQ(steps_of(g), 2u);
  EXPECT_EQ(fuse(g)[0].writes, std::vector<Id>{merged.id()});
  g.output("as it is", y);
  EXPECT_EQ(steps_of(g), 3u) << "the product, its transpose, the map";
}

/// Arrays of the hidden layer's size that a training step with a gelu stores.
size_t hidden_arrays(int64_t batch) {
  Graph g;
  const Value x = g.input("x", {batch, 16});
  const std::vector<Value> params{g.parameter("w1", {16, 12}), g.parameter("w2", {12, 5})};
  const Value h = dot(x, params[0]);
  const Value gelu = 0.5 * h * (1.0 + tanh(0.8 * h * (1.0 + 0.04 * square(h))));
  const auto d = gradients(sum(square(dot(gelu, params[1]))), params);
  for (size_t i = 0; i < params.size(); ++i) g.output(cat("d", i), d[i]);
  Graph ready = g;
  for (const Pass& pass : pipeline()) ready = pass.run(ready);
  size_t stored = 0;
  for (const Step& step : fuse(ready)) {
    for (const Id id : step.writes) stored += ready[id].shape == Shape{batch, 12};
  }
  return stored;
}

TEST(Fuse, BackpropagationComputesLargeMapsAgain) {
  EXPECT_EQ(hidden_arrays(8192), 3u) << "the product, the gelu, and the gradient of the product";
  EXPECT_GT(hidden_arrays(8), 3u) << "tanh costs more than it is to read from a cache";
}

TEST(Fuse, WhatMustBeGatheredIsNotComputedAgain) {
  for (const bool by_channel : {true, false}) {
    Graph g;
    const Value x = g.input("x", {64, 32, 28, 28}),
                b = g.input("b", by_channel ? Shape{32, 1, 1} : Shape{28});
    const Value y = x + b;
    g.output("z", y - mean(y));
    int64_t stored = 0;
    for (const Step& step : fuse(g)) stored += std::ranges::count(step.writes, y.id());
    EXPECT_EQ(stored, by_channel ? 1 : 0);
  }
}

TEST(Order, UpdatesFollowTheirLayerAndTheLastReaderOfTheState) {
  Graph g;
  std::vector<Value> params;
  Value h = g.input("x", {4096, 512});
  for (int i = 0; i < 6; ++i) {
    params.push_back(g.parameter(cat("w", i), {512, 512}));
    h = tanh(dot(h, params.back()));
  }
  const auto d = gradients(sum(square(h)), params);
  for (size_t i = 0; i < params.size(); ++i) g.update(params[i], params[i] - d[i] * 0.1);
  Graph ready = g;
  for (const Pass& pass : pipeline()) ready = pass.run(ready);
  const auto steps = fuse(ready);
  expect_runnable(ready, steps);
  std::vector<size_t> updated;
  for (const auto& [state, value] : ready.updates()) {
    size_t last_reader = 0, writer = 0;
    for (size_t s = 0; s < steps.size(); ++s) {
      if (std::ranges::count(steps[s].reads, state)) last_reader = s;
      if (std::ranges::count(steps[s].writes, value)) writer = s;
    }
    EXPECT_EQ(last_reader, writer) << "overwritten in place";
    updated.push_back(writer);
  }
  EXPECT_LT(updated.back() + params.size(), steps.size()) << "not all of them at the end";
  EXPECT_GT(updated.front(), updated.back());
}

TEST(Fuse, NothingPassesThroughATranspose) {
  Graph g;
  const Value x = g.input("x", {8, 8});
  const Value y = exp(x);
  g.output("z", y + transpose(y));  // needs all of y first
  EXPECT_EQ(steps_of(g), 2u);
}

TEST(Fuse, SumsOverRowsEndAStep) {
  Graph g;
  const Value x = g.input("x", {8, 8});
  g.output("y", x / sum(exp(x)));
  EXPECT_EQ(steps_of(simplify(g)), 2u);
}

TEST(Fuse, TheStepsOfANetAreFew) {
  Graph g;
  const Value x = g.input("x", {32, 30}), t = g.input("t", {32, 5});
  const std::vector<Value> params{g.parameter("w1", {30, 20}), g.parameter("b1", {20}),
                                  g.parameter("w2", {20, 5}), g.parameter("b2", {5})};
  const Value h = tanh(dot(x, params[0]) + params[1]);
  const Value loss = mean(square(dot(h, params[2]) + params[3] - t));
  const auto d = gradients(loss, params);
  for (size_t i = 0; i < params.size(); ++i) g.update(params[i], params[i] - d[i] * 0.1);
  g.output("loss", loss);
  Graph ready = g;
  for (const Pass& pass : pipeline()) ready = pass.run(ready);
  // Two products forward, one back, two for the weights, and an update for each bias; the loss.
  EXPECT_LE(steps_of(ready), 8u) << print(ready);
}

}  // namespace
}  // namespace soma::passes
