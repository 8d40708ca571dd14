// What gradients are where a derivative does not exist, and what is refused.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "soma/error.h"
#include "soma/gradient.h"
#include "tests/ad/points.h"

namespace soma::test {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// d(sum(f(x)))/dx for each x.
std::vector<double> slopes(const Build& build, std::span<const Tensor> points) {
  Graph graph;
  std::vector<Value> in;
  for (const Tensor& point : points) {
    in.push_back(graph.input("x" + std::to_string(in.size()), point.shape(), point.type()));
  }
  const auto found = gradients(sum(build(graph, in)), in);
  for (size_t i = 0; i < in.size(); ++i) graph.output("d" + std::to_string(i), found[i]);
  verify(graph);
  std::vector<double> all;
  for (const Tensor& slope : interpret(graph, points).outputs) {
    for (int64_t k = 0; k < slope.elements(); ++k) all.push_back(slope.at(k));
  }
  return all;
}
std::vector<double> slopes(const Build& build, const Tensor& point) {
  return slopes(build, std::span(&point, 1));
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing was thrown";
}

}  // namespace

TEST(GradientConvention, TiesShare) {
  const std::vector<Tensor> pair = {Tensor::of({3}, {1, 2, 3}), Tensor::of({3}, {1, 3, 2})};
  EXPECT_THAT(slopes([](Graph&, auto x) { return max(x[0], x[1]); }, pair),
              ElementsAre(0.5, 0, 1, 0.5, 1, 0));
  EXPECT_THAT(slopes([](Graph&, auto x) { return min(x[0], x[1]); }, pair),
              ElementsAre(0.5, 1, 0, 0.5, 0, 1));
  EXPECT_THAT(
      slopes([](Graph&, auto x) { return max_over(x[0], {0}); }, Tensor::of({4}, {5, 1, 5, 0})),
      ElementsAre(0.5, 0, 0.5, 0));
}

TEST(GradientConvention, AbsIsFlatAtZero) {
  EXPECT_THAT(slopes([](Graph&, auto x) { return abs(x[0]); }, Tensor::of({3}, {-2, 0, 3})),
              ElementsAre(-1, 0, 1));
}

TEST(GradientConvention, PowersOfZero) {
  const Tensor zero = Tensor::of({1}, {0});
  EXPECT_THAT(slopes([](Graph&, auto x) { return pow(x[0], 0.0); }, zero), ElementsAre(0));
  EXPECT_THAT(slopes([](Graph&, auto x) { return pow(x[0], 1.0); }, zero), ElementsAre(1));
  EXPECT_THAT(slopes([](Graph&, auto x) { return pow(x[0], 2.0); }, zero), ElementsAre(0));
  EXPECT_THAT(slopes([](Graph&, auto x) { return pow(0.0, x[0]); }, Tensor::of({2}, {2, 0})),
              ElementsAre(0, 0));
  // And once more differentiated: x² has curvature 2 at 0, x and x⁰ have none.
  const auto curvature = [](double p) -> Build {
    return [p](Graph&, auto x) { return gradients(sum(pow(x[0], p)), std::span(&x[0], 1))[0]; };
  };
  EXPECT_THAT(slopes(curvature(2), zero), ElementsAre(2));
  EXPECT_THAT(slopes(curvature(1), zero), ElementsAre(0));
  EXPECT_THAT(slopes(curvature(0), zero), ElementsAre(0));
}

TEST(GradientConvention, SqrtIsSteepAtZero) {
  EXPECT_THAT(slopes([](Graph&, auto x) { return sqrt(x[0]); }, Tensor::of({1}, {0})),
              ElementsAre(std::numeric_limits<double>::infinity()));
}

TEST(Gradient, DoesNotFlowThroughDecisions) {
  const Tensor x = Tensor::of({3}, {-1, 0.5, 2});
  EXPECT_THAT(slopes([](Graph&, auto v) { return stop(v[0]) * v[0]; }, x), ElementsAre(-1, 0.5, 2));
  EXPECT_THAT(slopes([](Graph&, auto v) { return cast(0.0 < v[0], f32); }, x),
              ElementsAre(0, 0, 0));
  EXPECT_THAT(slopes([](Graph&, auto v) { return cast(eq(v[0], 2.0), f32); }, x),
              ElementsAre(0, 0, 0));
  EXPECT_THAT(slopes([](Graph&, auto v) { return cast(cast(v[0], i32), f32); }, x),
              ElementsAre(0, 0, 0));
  EXPECT_THAT(slopes([](Graph&, auto v) { return cast(argmax(v[0], 0), f32); }, x),
              ElementsAre(0, 0, 0));
}

TEST(Gradient, ReachesIntermediateValuesAndWhatTheyComeFrom) {
  Graph graph;
  const Value x = graph.input("x", {}), h = x * x, y = h * h;
  const Value wrt[] = {h, x, y};
  const auto found = gradients(y, wrt);
  for (size_t i = 0; i < 3; ++i) graph.output("d" + std::to_string(i), found[i]);
  const auto values = interpret(graph, std::vector{Tensor::scalar(3)}).outputs;
  EXPECT_EQ(values[0].at(0), 18);   // 2h
  EXPECT_EQ(values[1].at(0), 108);  // 4x³
  EXPECT_EQ(values[2].at(0), 1);
}

TEST(Gradient, StartsFromGivenCotangents) {
  Graph graph;
  const Value x = graph.input("x", {2}), seed = graph.input("seed", {2});
  const Value y = x * x, z = sin(x);
  graph.output("one", gradients(y, std::span(&x, 1), seed)[0]);
  const Value of[] = {y, z, y}, seeds[] = {seed, seed, seed};
  graph.output("sum", gradients(of, seeds, std::span(&x, 1))[0]);
  const auto values =
      interpret(graph, std::vector{Tensor::of({2}, {1, 0}), Tensor::of({2}, {10, 100})}).outputs;
  EXPECT_EQ(values[0].at(0), 20);
  EXPECT_FLOAT_EQ(static_cast<float>(values[1].at(0)), 40 + 10 * std::cos(1.0F));
  EXPECT_EQ(values[1].at(1), 100);
}

TEST(Gradient, OfAnUnrelatedValueIsZero) {
  Graph graph;
  const Value x = graph.input("x", {2}), other = graph.input("other", {3}, f64);
  const Value zero = gradients(sum(x), std::span(&other, 1))[0];
  EXPECT_EQ(zero.shape(), (Shape{3}));
  EXPECT_EQ(zero.type(), f64);
}

TEST(Gradient, HasTheTypeOfItsInput) {
  Graph graph;
  const Value x = graph.input("x", {2});
  EXPECT_EQ(gradients(sum(cast(x, f64) * 2.0), std::span(&x, 1))[0].type(), f32);
}

TEST(Gradient, BelongsToTheLayerItIsOf) {
  Graph graph;
  const Value x = graph.input("x", {2});
  Value y = x;
  for (const char* name : {"first", "second"}) {
    const Graph::Scope scope(graph, name);
    y = tanh(y);
  }
  const Value slope = gradients(sum(y), std::span(&x, 1))[0];
  EXPECT_EQ(graph.scope_of(slope.node()).name, "first");
  EXPECT_EQ(graph.scope_of(sin(x).node()).name, "");
}

TEST(Gradient, DeepGraphsNeedNoDeepStack) {
  Graph graph;
  const Value x = graph.input("x", {});
  Value y = x;
  for (int i = 0; i < 100'000; ++i) y = sin(y);
  EXPECT_GT(gradients(y, std::span(&x, 1))[0].id(), y.id());
}

TEST(Gradient, RefusesWhatHasNone) {
  Graph graph, other;
  const Value x = graph.input("x", {2}), n = graph.input("n", {2}, i32);
  const Value foreign = other.input("x", {2});
  EXPECT_THAT(message_of([&] { gradients(x * x, std::span(&x, 1)); }),
              HasSubstr("the loss is f32[2], not a scalar"));
  EXPECT_THAT(message_of([&] { gradients(sum(x), std::span(&n, 1)); }),
              HasSubstr("with respect to a value of type i32"));
  EXPECT_THAT(message_of([&] { gradients(sum(n), std::span(&x, 1)); }),
              HasSubstr("the loss is i32"));
  EXPECT_THAT(message_of([&] { gradients(sum(x), std::span(&foreign, 1)); }),
              HasSubstr("another graph"));
  EXPECT_THAT(message_of([&] { gradients(x, std::span(&x, 1), sum(x)); }),
              HasSubstr("its cotangent is f32[]"));
}

// ---- calls

TEST(CallGradient, IsACallWithAPrimeForWhatIsWanted) {
  Graph graph;
  const Value x = graph.input("x", {3}), w = graph.input("w", {3});
  const Value y = call("twist", {x, w}, [](auto in) { return tanh(in[0]) * in[1]; });
  gradients(sum(y), std::span(&x, 1));
  const auto is_prime = [](const Node& n) {
    return n.op == Op::call && n.as<CallAttr>().name == "twist'";
  };
  const auto found = std::find_if(graph.nodes().begin(), graph.nodes().end(), is_prime);
  ASSERT_NE(found, graph.nodes().end());
  EXPECT_EQ(found->in.size(), 3);  // x, w and the cotangent of y
  EXPECT_EQ(found->as<CallAttr>().body->outputs().size(), 1);
}

// ---- gradcheck itself

TEST(GradCheck, NamesTheInputThatFails) {
  // A stop where none belongs: the gradient of x1 is wrong, that of x0 is right.
  const Tensor points[] = {around_zero({3}), around_zero({3}, 1)};
  const auto result =
      gradcheck([](Graph&, auto x) { return x[0] * x[0] + stop(x[1]) * x[1]; }, points);
  EXPECT_FALSE(result);
  EXPECT_LT(result.inputs[0].worst, 1e-9);
  EXPECT_GT(result.inputs[1].worst, 0.1);
  EXPECT_THAT(result.message, HasSubstr("with respect to \"x1\""));
  EXPECT_THAT(result.message, HasSubstr("order 1"));
}

TEST(GradCheck, ChecksParametersThatTheFunctionMakes) {
  const Tensor x = around_zero({2, 3});
  const auto result = gradcheck(
      [](Graph& g, auto in) {
        const Value mean = g.state("running_mean", {2}, "0.5");
        return tanh(dot(in[0], g.parameter("w", {3, 2}, "glorot_uniform")) + mean);
      },
      std::span(&x, 1));
  EXPECT_TRUE(result) << result.message;
  ASSERT_EQ(result.inputs.size(), 2);
  EXPECT_EQ(result.inputs[1].name, "w");
}

TEST(GradCheck, RefusesInputsItCannotFill) {
  const Tensor x = around_zero({2});
  EXPECT_THAT(message_of([&] {
                gradcheck([](Graph& g, auto in) { return in[0] * g.input("label", {2}); },
                          std::span(&x, 1));
              }),
              HasSubstr("made the data input \"label\""));
}

}  // namespace soma::test
