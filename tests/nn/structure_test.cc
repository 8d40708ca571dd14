// Networks beyond a chain of layers: layers inside layers, shared arrays, several inputs and
// results, states, random numbers, other lengths.
#include <gmock/gmock.h>

#include "soma/error.h"
#include "soma/gradcheck.h"
#include "soma/network.h"
#include "soma/plan.h"
#include "tests/expect_error.h"

namespace soma {
namespace {

using ::testing::ElementsAre;

// A layer with layers inside, for these tests: x + f(x).
Value build_around(LayerBuild& at, Layers inner) { return at.in() + at.build(inner, at.in()); }
// Counts its uses in training and streaming; adds the count to what it is given.
Value build_counter(LayerBuild& at) {
  const Value count = at.state("count", {});
  at.update(count, count + 1.0);
  return at.in() + count;
}
Value build_noisy(LayerBuild& at) {
  if (!at.training()) return at.in();
  const Value a = at.random(at.in().shape()), b = at.random(at.in().shape());
  at.penalize(0.5 * sum(square(at.in())));
  return at.in() + a * 10.0 + b;
}
Value build_twice(LayerBuild& at) {
  return at.in() + at.parameter("a", {1}, "0") + at.parameter("a", {1}, "0");
}

const bool defined = [] {
  define_layer("around", build_around, "layers", "The input and what layers make of it, added.");
  define_layer("counter", build_counter, "", "Counts training steps.");
  define_layer("noisy", build_noisy, "", "Adds noise in training.");
  define_layer("twice", build_twice, "", "Makes an array twice.");
  return true;
}();

std::vector<float> numbers(const Tensor& t) {
  return {t.data<float>().begin(), t.data<float>().end()};
}

TEST(LayersInside, HaveTextNamesAndArraysOfTheirOwn) {
  const std::string text = "input 4, around [4 tanh, around [4 relu]], 2";
  Network net = Network::parse(text);
  EXPECT_EQ(net.text(), text);
  EXPECT_EQ(Network::parse(net.text()), net);
  EXPECT_THAT(net.info().layers[0].tensors,
              ElementsAre("around1/dense1/weights", "around1/dense1/bias",
                          "around1/around1/dense1/weights", "around1/around1/dense1/bias"));
  EXPECT_EQ(net.info().layers[0].parameters, 2 * (16 + 4));
  const Network same{
      input({4}),
      Layer("around",
            {LayerArgument{dense(4, tanh), Layer("around", {LayerArgument(dense(4, relu))})}}),
      dense(2)};
  EXPECT_EQ(same.text(), text);
}

TEST(LayersInside, ComputeWhatTheySay) {
  Network net = Network::parse("input 2, around [2 name=f, 2 from=input+f]");
  net.initialize(3);
  const Tensor x = Tensor::of({1, 2}, {1.0f, -2.0f});
  const auto array = [&](const char* name) { return numbers(net.tensors().at(name)); };
  const auto w = array("around1/f/weights"), v = array("around1/dense1/weights");
  const float f[] = {w[0] - 2 * w[2], w[1] - 2 * w[3]}, in[] = {1, -2, f[0], f[1]};
  const auto y = numbers(net.predict(x, Device::reference()));
  for (size_t j = 0; j < 2; ++j) {
    float sum = in[j];
    for (size_t i = 0; i < 4; ++i) sum += in[i] * v[2 * i + j];
    EXPECT_NEAR(y[j], sum, 1e-5);
  }
}

TEST(LayersInside, AreRefusedInSentences) {
  EXPECT_ERROR(ArgumentError, Network::parse("input 4, around [4 tnah]"), "tanh");
  EXPECT_ERROR(ArgumentError, Network::parse("input 4, around []"), "empty");
  EXPECT_ERROR(GraphError, Network::parse("input 4, around [4 from=nowhere]"), "no layer");
  EXPECT_ERROR(ShapeError, Network::parse("input 4, around [3]"), "around1");
  EXPECT_ERROR(ShapeError, Network::parse("input 4, twice"), "twice");
}

TEST(SharedArrays, ExistOnceAndReadBack) {
  const std::string text =
      "input 3 name=left, input 3 name=right, 4 prelu(a=learned) name=a from=left, 4 "
      "prelu(a=learned) name=b from=right share=a, "
      "1 from=a+b";
  Network net = Network::parse(text);
  EXPECT_EQ(Network::parse(net.text()), net);
  EXPECT_EQ(net.info().parameters, 3 * 4 + 4 + 4 + 8 + 1);
  EXPECT_EQ(net.info().layers[1].parameters, 0);
  EXPECT_EQ(net.info().layers[1].links, 12);  // as many links, with the weights of the first
  EXPECT_EQ(net.info().layers[0].flops, net.info().layers[1].flops);
  net.initialize(1);
  // The same layer: swapping the sides swaps what comes out, seen through equal output weights.
  for (float& w : net.tensors().at("output/weights").data<float>()) w = 1;
  const Tensor u = Tensor::of({1, 3}, {1.0f, 2.0f, 3.0f}),
               v = Tensor::of({1, 3}, {-1.0f, 0.5f, 2.0f});
  const auto one = net.predict(Tensors{{"left", u}, {"right", v}});
  const auto two = net.predict(Tensors{{"left", v}, {"right", u}});
  EXPECT_NEAR(one.at("output").at(0), two.at("output").at(0), 1e-5);
  EXPECT_ERROR(GraphError, Network::parse("input 3, 4 share=b, 4 name=b"), "later layer");
  EXPECT_ERROR(GraphError, Network::parse("input 3, 4 name=a, 5 share=a"), "already");
}

TEST(SharedArrays, ANetworkBuiltTwiceInAGraphSharesItsWeights) {
  const Network net = Network::parse("input 3, 4 tanh, 2");
  Graph graph;
  const Value x = graph.input("x", {5, 3}), y = graph.input("y", {5, 3});
  net.build(graph, x);
  net.build(graph, y);
  EXPECT_EQ(graph.inputs().size(), 2u + 4u);
  {
    const Graph::Scope scope(graph, "other");
    net.build(graph, x);
  }
  EXPECT_EQ(graph.inputs().size(), 2u + 8u);  // in a scope of its own it has its own
}

TEST(SeveralResults, AreTheLayersNobodyTakes) {
  const Network net =
      Network::parse("input 3, 4 tanh name=trunk, 2 name=a from=trunk, 3 name=b from=trunk");
  EXPECT_THAT(net.outputs(), ElementsAre("a", "b"));
  EXPECT_EQ(net.output_shape(), (Shape{3}));
  const Tensor x({7, 3});
  const Tensors found = net.predict(Tensors{{"input", x}});
  EXPECT_EQ(found.at("a").shape(), (Shape{7, 2}));
  EXPECT_EQ(found.at("b").shape(), (Shape{7, 3}));
  EXPECT_EQ(net.predict(x), found.at("b"));
  EXPECT_ERROR(ArgumentError, net.predict(Tensors{{"imput", x}}), "needs a tensor for the input");
}

TEST(SeveralInputs, AreChecked) {
  const Network net = Network::parse("input 3 name=a, input 2 name=b, 4 from=a+b");
  EXPECT_ERROR(ArgumentError, net.predict(Tensor({1, 3})), "2 inputs");
  EXPECT_ERROR(ShapeError, net.predict(Tensors{{"a", Tensor({1, 3})}, {"b", Tensor({2, 2})}}),
               "rows");
  EXPECT_ERROR(GraphError, Network::parse("input 3 name=a, input 2 name=a, 4"), "two inputs");
  EXPECT_ERROR(GraphError, Network::parse("input 3, 4, input 2 name=b"), "in front");
  EXPECT_ERROR(GraphError, Network::parse("input 3 name=a, 4 name=a"), "named \"a\"");
}

TEST(PerStep, TheSameNeuronsLookAtEachPlace) {
  Network net = Network::parse("input 5x3, 2 [tanh relu] per_step=true name=d");
  net.initialize(2);
  EXPECT_EQ(net.info().links, 6);
  EXPECT_EQ(net.info().neurons, 2);
  EXPECT_EQ(net.output_shape(), (Shape{5, 2}));
  Network one = Network::parse("input 3, 2 [tanh relu] name=d");
  for (auto& [name, tensor] : one.tensors()) tensor = net.tensors().at(name);
  Tensor x({1, 5, 3});
  for (int64_t i = 0; i < 15; ++i) x.set(i, 0.3 * static_cast<double>(i) - 2);
  EXPECT_EQ(numbers(net.predict(x)), numbers(one.predict(x.reshaped({5, 3}))));
  EXPECT_ERROR(ShapeError, Network::parse("input 3, 2 per_step=true"), "per step");
}

TEST(States, ChangeInTrainingAndStreamingOnly) {
  Network net = Network::parse("input 2, counter");
  EXPECT_EQ(net.tensors().count("counter1/count"), 1u);
  EXPECT_EQ(net.info().parameters, 0);
  for (const BuildMode mode : {BuildMode::inference, BuildMode::training, BuildMode::streaming}) {
    net.initialize(1);
    Graph graph;
    graph.output("y", net.build(graph, graph.input("x", {1, 2}), {.mode = mode}));
    Plan plan = compile(graph, Device::cpu(1));
    plan.bind(net.tensors());
    for (int i = 0; i < 3; ++i) plan.run();
    EXPECT_EQ(plan.output("y").scalar(), mode == BuildMode::inference ? 0 : 2);
    EXPECT_EQ(net.tensors().at("counter1/count").at(0), mode == BuildMode::inference ? 0 : 3);
  }
  // A frozen layer stays as it is.
  Network still = Network::parse("input 2, counter frozen=all");
  Graph graph;
  still.build(graph, graph.input("x", {1, 2}), {.mode = BuildMode::training});
  EXPECT_TRUE(graph.updates().empty());
}

TEST(RandomNumbers, DifferByStepPlaceAndCall) {
  const Network net = Network::parse("input 4, noisy, noisy");
  Graph graph;
  std::vector<Value> penalties;
  const Value x = graph.input("x", {1, 4}), key = graph.input("key", {2}, i64);
  graph.output(
      "y", net.build(graph, x, {.mode = BuildMode::training, .key = key, .penalties = &penalties}));
  EXPECT_EQ(penalties.size(), 2u);
  Plan plan = compile(graph, Device::cpu(1));
  const auto run = [&](int64_t step) {
    plan.input<int64_t>("key")[1] = step;
    plan.run();
    return numbers(plan.output("y").copy());
  };
  const auto first = run(1), second = run(2);
  EXPECT_NE(first, second);
  EXPECT_EQ(first, run(1));
  Graph without;
  EXPECT_ERROR(ShapeError,
               net.build(without, without.input("x", {1, 4}), {.mode = BuildMode::training}),
               "random");
}

TEST(Resized, KeepsWeightsForOtherLengths) {
  Network net = Network::parse("input 5x3, 2 per_step=true");
  net.initialize(4);
  const Network longer = net.resized({9, 3});
  EXPECT_EQ(longer.output_shape(), (Shape{9, 2}));
  EXPECT_EQ(longer.tensors(), std::as_const(net).tensors());
  EXPECT_ERROR(ShapeError, Network::parse("input 5x3, 2").resized({9, 3}), "output/weights");
}

TEST(Glass, SharedWeightsHaveNoSingleNeuron) {
  Network net = Network::parse("input 2, around [2]");
  EXPECT_ERROR(ArgumentError, net.neuron("around1", 0), "share weights");
  EXPECT_EQ(net.info().layer_count, 1);  // the one inside
  EXPECT_EQ(net.info().neurons, 2);
}

}  // namespace
}  // namespace soma
