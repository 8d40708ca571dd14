// Links given one by one: sparse layers, nets built neuron by neuron, pruning.
#include <gmock/gmock.h>

#include <cmath>

#include "soma/error.h"
#include "soma/gradcheck.h"
#include "soma/model.h"
#include "soma/train.h"
#include "tests/expect_error.h"

namespace soma {
namespace {

using ::testing::ElementsAre;

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

TEST(Sparse, HasThoseLinksOnly) {
  const std::string text = "input 3, sparse 2 [i0>0 i2>0 i1>1] tanh, 1";
  Network net = Network::parse(text);
  EXPECT_EQ(net.text(), text);
  EXPECT_EQ(net.info().links, 3 + 2);
  EXPECT_EQ(net.info().parameters, 3 + 2 + 2 + 1);
  EXPECT_THAT(net.neuron("hidden1", 0).links(), ElementsAre("input:0", "input:2"));
  EXPECT_THAT(net.neuron("hidden1", 1).links(), ElementsAre("input:1"));
  net.neuron("hidden1", 0).set_weights(std::vector{0.5f, -2.0f});
  net.neuron("hidden1", 1).set_weight(0, 3);
  net.neuron("hidden1", 1).set_bias(0.25f);
  const Probe seen = net.probe(Tensor::of({3}, {1.0f, 2.0f, 0.5f}));
  EXPECT_NEAR(seen["hidden1"].sum.at(0), 0.5 * 1 - 2 * 0.5, 1e-6);
  EXPECT_NEAR(seen["hidden1"].out.at(1), std::tanh(3 * 2 + 0.25), 1e-6);
}

TEST(Sparse, EqualsADenseLayerWithAllLinks) {
  Network full = Network::parse("input 4, sparse 3 random(1) sigmoid");
  full.initialize(5);
  Network plain = Network::parse("input 4, 3 sigmoid");
  for (int64_t n = 0; n < 3; ++n) {
    plain.neuron("output", n).set_weights(full.neuron("output", n).weights());
  }
  Tensor x({5, 4});
  for (int64_t i = 0; i < 20; ++i) x.set(i, std::sin(static_cast<double>(i)));
  const Tensor a = full.predict(x), b = plain.predict(x);
  for (int64_t i = 0; i < a.elements(); ++i) EXPECT_NEAR(a.at(i), b.at(i), 1e-6);
}

TEST(Sparse, GradientsAreChecked) {
  const Network net = Network::parse("input 3, sparse 2 [i0>0 i2>0 i1>1 i2>1] tanh");
  const Tensor points[] = {Tensor::of({2, 3}, {0.3f, -1.0f, 0.7f, 1.1f, 0.2f, -0.4f})};
  const auto result = gradcheck([&](Graph& graph, auto in) { return net.build(graph, in[0]); },
                                points, {.order = 2, .directions = 1});
  EXPECT_TRUE(result) << result.message;
}

TEST(Sparse, TrainsAndReadsBack) {
  Network net = Network::parse("input 2, sparse 16 random(0.7 3) tanh, 2");
  fit(net, data::two_moons(200, 0.1, 1),
      {.loss = cross_entropy(), .optimizer = adam(0.05), .epochs = 40, .batch = 20, .seed = 1});
  EXPECT_GT(evaluate(net, data::two_moons(200, 0.1, 2), cross_entropy())["accuracy"], 0.95);
  const std::string path = testing::TempDir() + "sparse.soma";
  save(net, path);
  EXPECT_EQ(load(path), net);
}

TEST(Sparse, FrozenNeuronsKeepTheirWeights) {
  Network net = Network::parse("input 2, sparse 3 random(1) tanh, 2");
  net.initialize(1);
  net.freeze("hidden1", 1);
  const auto before = net.neuron("hidden1", 1).weights(),
             other = net.neuron("hidden1", 0).weights();
  fit(net, data::two_moons(40, 0.1, 1), {.loss = cross_entropy(), .epochs = 2});
  EXPECT_EQ(net.neuron("hidden1", 1).weights(), before);
  EXPECT_NE(net.neuron("hidden1", 0).weights(), other);
}

TEST(Sparse, RefusesInSentences) {
  const auto parse = [](const char* text) { (void)Network::parse(text, Shape{3}); };
  EXPECT_ERROR(ArgumentError, parse("sparse 2 [i0>5]"), "i0>5", "does not exist");
  EXPECT_ERROR(ArgumentError, parse("sparse 2 [i3>0]"), "i3>0");
  EXPECT_ERROR(ArgumentError, parse("sparse 2 [i0>0 i0>0]"), "twice");
  EXPECT_ERROR(ArgumentError, parse("sparse 2 [i0-0]"), "links like");
  EXPECT_ERROR(ArgumentError, parse("sparse 2 []"), "links like");
  EXPECT_ERROR(ArgumentError, parse("sparse 2 random(2)"), "links like");
  EXPECT_ERROR(GraphError, parse("sparse 2 [i0>0 0>1]"), "neurons of one layer are not linked");
  EXPECT_ERROR(ShapeError, parse("sparse 2 [i0>0:1 i0>1]"), "a weight to start from");
}

TEST(Wired, ExclusiveOrOfTwoNeurons) {
  // The smallest net that knows it: a hidden neuron, and links from the inputs past it.
  Wiring wiring(2);
  const int both = wiring.neuron(step), out = wiring.neuron(step);
  wiring.link_input(0, both, 1);
  wiring.link_input(1, both, 1);
  wiring.link_input(0, out, 1);
  wiring.link_input(1, out, 1);
  wiring.link(both, out, -2);
  Network net{input({2}), wiring.layer().named("net")};
  net.initialize(1);
  net.neuron("net", both).set_bias(-1.5f);
  net.neuron("net", out).set_bias(-0.5f);
  const Dataset gate = data::xor_gate();
  const Tensor y = net.predict(gate.inputs.cast(f32));
  for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(y.at(i), gate.targets.at(i));
  EXPECT_EQ(net.info().links, 5);
  EXPECT_EQ(net.info().neurons, 2);
  EXPECT_THAT(net.neuron("net", out).links(), ElementsAre("input:0", "input:1", "net:0"));
  EXPECT_EQ(Network::parse(net.text()).text(), net.text());
}

TEST(Wired, AnyAcyclicShapeWithAFunctionEach) {
  Network net = Network::parse(
      "input 2, wired 4 [i0>2:0.5 2>0:2 i1>0:-1 2>3:1 0>3:0.25 i0>1:3] [tanh identity sigmoid "
      "relu] name=w");
  net.initialize(1);
  const double x0 = 0.8, x1 = -0.3, n2 = sigmoid_of(0.5 * x0), n0 = std::tanh(2 * n2 - x1),
               n3 = std::max(0.0, n2 + 0.25 * n0), n1 = 3 * x0;
  const Tensor y = net.predict(Tensor::of({1, 2}, {0.8f, -0.3f}));
  EXPECT_EQ(y.shape(), (Shape{1, 2}));  // neurons 1 and 3: nobody takes their values
  EXPECT_NEAR(y.at(0), n1, 1e-6);
  EXPECT_NEAR(y.at(1), n3, 1e-6);
  const Probe seen = net.probe(Tensor::of({2}, {0.8f, -0.3f}));
  EXPECT_NEAR(seen["w"].sum.at(0), 2 * n2 - x1, 1e-6);
}

TEST(Wired, DelayedLinksCarryTheStepBefore) {
  // A neuron that adds up: y_t = x_t + y_(t-1); and one that sees it a step later.
  Network net =
      Network::parse("input 4x1, wired 2 [i0>0:1 0~>0:1 0~>1:10] outputs=[0 1] returns=all");
  net.initialize(1);
  const Tensor y = net.predict(Tensor::of({1, 4, 1}, {1.0f, 2.0f, 3.0f, 4.0f}));
  std::vector<double> all;
  for (int64_t i = 0; i < 8; ++i) all.push_back(y.at(i));
  EXPECT_THAT(all, ElementsAre(1, 0, 3, 10, 6, 30, 10, 60));
  // One step at a time, the same.
  Plan plan = compile(net.streaming_graph(1), Device::cpu(1));
  Tensors state{{"output/values", Tensor({1, 2})}};
  for (const auto& [name, tensor] : net.tensors()) state.emplace(name, tensor);
  plan.bind(state);
  for (int t = 0; t < 4; ++t) {
    plan.input<float>("input")[0] = static_cast<float>(t + 1);
    plan.run();
    EXPECT_EQ(plan.output("output").as<float>()[1], y.at(2 * t + 1));
  }
}

TEST(Wired, GradientsAreChecked) {
  for (const char* text :
       {"input 3x2, wired 3 [i0>0 0>1 1~>0 i1>2 2~>2 2>1] [tanh sigmoid tanh]",
        "input 2, wired 3 [i0>0 0>1 i1>2 2>1] [tanh sigmoid snake(alpha=learned)]"}) {
    const Network net = Network::parse(text);
    Shape shape{2};
    for (const int64_t extent : net.sample_shape()) shape.push_back(extent);
    Tensor x(shape);
    for (int64_t i = 0; i < x.elements(); ++i) x.set(i, std::cos(static_cast<double>(i)));
    const Tensor points[] = {x};
    const auto result = gradcheck([&](Graph& graph, auto in) { return net.build(graph, in[0]); },
                                  points, {.order = 2, .directions = 1});
    EXPECT_TRUE(result) << text << ": " << result.message;
  }
}

TEST(Wired, RefusesCyclesAndWhatDoesNotExist) {
  const auto parse = [](const char* text) { (void)Network::parse(text, Shape{2}); };
  EXPECT_ERROR(GraphError, parse("wired 3 [i0>0 0>1 1>2 2>0]"), "cycle", "delay", "output");
  EXPECT_ERROR(GraphError, parse("wired 1 [i0>0 0>0]"), "0 > 0", "cycle");
  EXPECT_ERROR(ShapeError, parse("wired 1 [i0>0 0~>0]"), "sequences");
  EXPECT_ERROR(ArgumentError, parse("wired 1 [i0~>0]"), "delayed");
  EXPECT_ERROR(ShapeError, parse("wired 2 [i0>0 0>1] outputs=[2]"), "neuron 2");
  Wiring wiring(1);
  EXPECT_ERROR(ArgumentError, wiring.layer(), "at least one neuron");
  wiring.neuron();
  EXPECT_ERROR(ArgumentError, wiring.link(0, 1), "does not exist");
}

TEST(Pruning, CutsTheSmallestAndKeepsThemCut) {
  const Dataset moons = data::two_moons(300, 0.1, 1);
  Network net = Network::parse("input 2, 32 tanh, 32 tanh, 2");
  const FitOptions options{
      .loss = cross_entropy(), .optimizer = adamw(0.01), .epochs = 30, .batch = 30, .seed = 1};
  fit(net, moons, options);
  const int64_t links = net.info().links;
  std::vector<float> sizes;
  for (const char* name : {"hidden1/weights", "hidden2/weights", "output/weights"}) {
    for (const float w : std::as_const(net).tensors().at(name).data<float>())
      sizes.push_back(std::abs(w));
  }
  std::ranges::sort(sizes);
  const auto cut = static_cast<size_t>(net.prune(0.8));
  EXPECT_EQ(cut, static_cast<size_t>(std::llround(0.8 * static_cast<double>(links))));
  EXPECT_EQ(net.info().links, links - static_cast<int64_t>(cut));
  float smallest_left = 1e9f;
  for (const auto& [name, tensor] : std::as_const(net).tensors()) {
    if (tensor.shape().rank() < 2) continue;
    for (const float w : tensor.data<float>()) {
      if (w != 0) smallest_left = std::min(smallest_left, std::abs(w));
    }
  }
  EXPECT_GE(smallest_left, sizes[cut - 1]);
  fit(net, moons, options);  // fine-tuning, with an optimizer that moves everything it may
  int64_t left = 0;
  for (const auto& [name, tensor] : std::as_const(net).tensors()) {
    if (tensor.shape().rank() < 2) continue;
    for (const float w : tensor.data<float>()) left += w != 0;
  }
  EXPECT_EQ(left, links - static_cast<int64_t>(cut));
  EXPECT_GT(evaluate(net, data::two_moons(300, 0.1, 2), cross_entropy())["accuracy"], 0.97);
  const std::string path = testing::TempDir() + "pruned.soma";
  save(net, path);
  const Network again = load(path);
  EXPECT_EQ(again, net);
  EXPECT_EQ(again.info().links, net.info().links);
}

TEST(Pruning, OfOneLayerAndInSentences) {
  Network net = Network::parse("input 3, 4 tanh, 2");
  net.initialize(1);
  const std::string layer[] = {"output"}, unknown[] = {"outptu"};
  EXPECT_EQ(net.prune(0.5, layer), 4);
  EXPECT_EQ(net.info().layers[0].links, 12);
  EXPECT_EQ(net.prune(0.5, layer), 2);  // of those that are left
  EXPECT_ERROR(ArgumentError, net.prune(1.5), "0 to 1");
  EXPECT_ERROR(ArgumentError, net.prune(0.5, unknown), "outptu");
}

}  // namespace
}  // namespace soma
