// Networks in use: prediction, activation functions of single neurons, and the glass box against
// calculations by hand.
#include "soma/network.h"

#include <gmock/gmock.h>

#include <cmath>

#include "soma/error.h"
#include "soma/optim.h"

namespace soma {
namespace {

using ::testing::HasSubstr;

Tensor ramp(Shape shape, float from, float step) {
  Tensor result(shape);
  const auto values = result.data<float>();
  for (size_t i = 0; i < values.size(); ++i) values[i] = from + step * static_cast<float>(i);
  return result;
}

// ---- prediction

TEST(Predict, AnyNumberOfRowsGivesTheRowsAlone) {
  Network net{input({3}), dense(5, tanh), dense(2)};
  net.initialize(1);
  const Tensor inputs = ramp({300, 3}, -2, 0.01f);
  const Tensor all = net.predict(inputs);
  ASSERT_EQ(all.shape(), (Shape{300, 2}));
  for (const int64_t row : {0, 1, 255, 256, 299}) {
    Tensor one(Shape{1, 3});
    for (int64_t i = 0; i < 3; ++i) one.set(i, inputs.at(row * 3 + i));
    const Tensor result = net.predict(one);
    for (int64_t i = 0; i < 2; ++i) EXPECT_NEAR(result.at(i), all.at(row * 2 + i), 1e-6) << row;
  }
  EXPECT_EQ(net.predict(Tensor(Shape{0, 3})).shape(), (Shape{0, 2}));
}

TEST(Predict, AgreesWithTheReference) {
  Network net{input({2, 3}), dense(4, gelu).named("h"), dense(3).from({"input", "h"}),
              activation(softmax)};
  net.initialize(2);
  const Tensor inputs = ramp({7, 2, 3}, -1, 0.05f);
  const Tensor a = net.predict(inputs), b = net.predict(inputs, Device::reference());
  for (int64_t i = 0; i < a.elements(); ++i) EXPECT_NEAR(a.at(i), b.at(i), 1e-6) << i;
}

TEST(Predict, SeesChangedWeights) {
  Network net{input({1}), dense(1)};
  net.neuron("output", 0).set_weight(0, 2);
  EXPECT_EQ(net.predict(Tensor::of(Shape{1, 1}, {3})).at(0), 6);
  net.neuron("output", 0).set_bias(1);
  EXPECT_EQ(net.predict(Tensor::of(Shape{1, 1}, {3})).at(0), 7);
  net.tensors().at("output/weights") = Tensor::of(Shape{1, 1}, {10});
  EXPECT_EQ(net.predict(Tensor::of(Shape{1, 1}, {3})).at(0), 31);
  Network copy = net;
  copy.neuron("output", 0).set_bias(0);
  EXPECT_EQ(copy.predict(Tensor::of(Shape{1, 1}, {3})).at(0), 30);
  EXPECT_EQ(net.predict(Tensor::of(Shape{1, 1}, {3})).at(0), 31);
}

TEST(Predict, TakesBytesAndRefusesOtherShapes) {
  Network net{input({2}), dense(1)};
  net.neuron("output", 0).set_weights(std::vector<float>{1, 10});
  EXPECT_EQ(net.predict(Tensor::of(Shape{1, 2}, std::vector<uint8_t>{3, 4})).at(0), 43);
  EXPECT_THROW(net.predict(Tensor(Shape{2})), ShapeError);
  EXPECT_THROW(net.predict(Tensor(Shape{2, 3})), ShapeError);
}

// ---- activation functions of single neurons

TEST(PerNeuron, EqualsSeparateComputation) {
  // Each neuron alone, as a network of one neuron with the same weights.
  const std::vector<Activation> functions{relu, tanh, tanh, sigmoid, leaky_relu(0.2), identity};
  Network net{input({3}), dense(functions)};
  net.initialize(11);
  const Tensor inputs = ramp({9, 3}, -1.3f, 0.1f);
  const Tensor together = net.predict(inputs);
  for (int64_t k = 0; k < 6; ++k) {
    Network alone{input({3}), dense(1, functions[static_cast<size_t>(k)])};
    alone.neuron("output", 0).set_weights(net.neuron("output", k).weights());
    alone.neuron("output", 0).set_bias(net.neuron("output", k).bias());
    const Tensor single = alone.predict(inputs);
    for (int64_t row = 0; row < 9; ++row) {
      EXPECT_NEAR(single.at(row), together.at(row * 6 + k), 1e-6) << k << " " << row;
    }
  }
}

TEST(PerNeuron, OneActivationChangesOneOutput) {
  Network net{input({2}), dense(4, tanh)};
  net.initialize(4);
  const Tensor sample = Tensor::of(Shape{1, 2}, {0.3f, -0.8f});
  const Tensor before = net.predict(sample);
  net.neuron("output", 2).set_activation(identity);
  const Tensor after = net.predict(sample);
  for (int64_t i = 0; i < 4; ++i) {
    if (i == 2) {
      EXPECT_NEAR(std::tanh(after.at(i)), before.at(i), 1e-6);
    } else {
      EXPECT_NEAR(after.at(i), before.at(i), 1e-7);
    }
  }
}

// ---- links that skip layers

TEST(SkipLinks, AddWhatTheyCarry) {
  // y = 2·h + 5·x0 - x1 + 1 with h = x0 + x1.
  Network net{input({2}), dense(1).named("h"), dense(1).from({"h", "input"})};
  net.neuron("h", 0).set_weights(std::vector<float>{1, 1});
  net.neuron("output", 0).set_weights(std::vector<float>{2, 5, -1});
  net.neuron("output", 0).set_bias(1);
  EXPECT_EQ(net.neuron("output", 0).links(),
            (std::vector<std::string>{"h:0", "input:0", "input:1"}));
  EXPECT_EQ(net.predict(Tensor::of(Shape{1, 2}, {3, 4})).at(0), 2 * 7 + 15 - 4 + 1);
}

TEST(SkipLinks, ConnectingLeavesTheFunctionAsItWas) {
  Network net{input({3}), dense(4, tanh).named("h"), dense(2)};
  net.initialize(6);
  const Tensor sample = ramp({5, 3}, -1, 0.2f);
  const Tensor before = net.predict(sample);
  net.connect("input", "output");
  const Tensor after = net.predict(sample);
  for (int64_t i = 0; i < before.elements(); ++i) EXPECT_NEAR(after.at(i), before.at(i), 1e-6);
}

// ---- frozen neurons

TEST(Frozen, KeepTheirBitsWhileTheOthersLearn) {
  Network net{input({3}), dense(4, tanh).named("h"), dense(2)};
  net.initialize(12);
  net.freeze("h", 2);
  const Tensors before = net.tensors();
  Tensors masks = net.masks();

  Graph graph;
  const Value out = net.build(graph, graph.input("input", {8, 3}), {.mode = BuildMode::training});
  const Value loss = mean_squared_error()(out, graph.input("target", {8, 2}));
  const std::vector<Value> parameters = parameters_of(graph);
  ApplyOptions options;
  for (const Value parameter : parameters) {
    const std::string name = parameter.node().as<InputAttr>().name;
    options.masks.push_back(masks.count(name) ? graph.input("mask of " + name, parameter.shape())
                                              : Value());
  }
  apply(adamw(0.1), loss, parameters, options);
  Tensors arrays = initialize(graph, 0);
  for (auto& [name, tensor] : arrays) {
    if (net.tensors().count(name)) tensor = net.tensors().at(name);
  }
  Plan plan = compile(graph, Device::cpu(1));
  plan.bind(arrays);
  for (auto& [name, mask] : masks) plan.bind("mask of " + name, mask);
  Tensor inputs = ramp({8, 3}, -1, 0.1f), targets = ramp({8, 2}, 1, -0.1f);
  plan.bind("input", inputs);
  plan.bind("target", targets);
  for (int step = 0; step < 20; ++step) plan.run();

  for (int64_t i = 0; i < 12; ++i) {
    const double now = arrays.at("h/weights").at(i), then = before.at("h/weights").at(i);
    EXPECT_EQ(now == then, i % 4 == 2) << i;
  }
  for (int64_t i = 0; i < 4; ++i) {
    const double now = arrays.at("h/bias").at(i), then = before.at("h/bias").at(i);
    EXPECT_EQ(now == then, i == 2) << i;
  }
}

// ---- the glass box

/// 2 inputs, 2 hidden neurons with leaky_relu(0.25), 1 linear output neuron.
Network small_network() {
  Network net{input({2}), dense(2, leaky_relu(0.25)).named("h"), dense(1).named("y")};
  net.neuron("h", 0).set_weights(std::vector<float>{1, 0.5f});
  net.neuron("h", 0).set_bias(0.5f);
  net.neuron("h", 1).set_weights(std::vector<float>{-1, 2});
  net.neuron("h", 1).set_bias(-4);
  net.neuron("y", 0).set_weights(std::vector<float>{2, 3});
  net.neuron("y", 0).set_bias(1);
  return net;
}

TEST(Probe, ForwardEqualsTheHand) {
  // x = (1, 2)
  // h: w·x = (1·1 + 0.5·2, -1·1 + 2·2) = (2, 3); + b = (2.5, -1); f = (2.5, -0.25)
  // y: w·h = 2·2.5 + 3·(-0.25) = 4.25; + b = 5.25
  const Network net = small_network();
  const Probe probe = net.probe(Tensor::of(Shape{2}, {1, 2}));
  EXPECT_EQ(probe["h"].in, Tensor::of(Shape{2}, {1, 2}));
  EXPECT_EQ(probe["h"].activation_value, Tensor::of(Shape{2}, {2, 3}));
  EXPECT_EQ(probe["h"].sum, Tensor::of(Shape{2}, {2.5f, -1}));
  EXPECT_EQ(probe["h"].out, Tensor::of(Shape{2}, {2.5f, -0.25f}));
  EXPECT_EQ(probe["y"].in, probe["h"].out);
  EXPECT_EQ(probe["y"].activation_value, Tensor::of(Shape{1}, {4.25f}));
  EXPECT_EQ(probe["y"].sum, Tensor::of(Shape{1}, {5.25f}));
  EXPECT_EQ(probe.out, Tensor::of(Shape{1}, {5.25f}));
  EXPECT_FALSE(probe.loss.has_value());
}

TEST(Probe, BackwardEqualsTheHand) {
  // Target 4.25: L = (y - t)² = 1, dL/dy = 2·(5.25 - 4.25) = 2 = dL/dsum of y.
  // dL/dw of y = h·2 = (5, -0.5); dL/db = 2.
  // dL/dh = w·2 = (4, 6); through f' = (1, 0.25): dL/dsum = (4, 1.5).
  // dL/dw of h = x ⊗ (4, 1.5) = ((4, 1.5), (8, 3)); dL/db = (4, 1.5).
  const Network net = small_network();
  const Probe probe =
      net.probe(Tensor::of(Shape{2}, {1, 2}), Tensor::of(Shape{1}, {4.25f}), mean_squared_error());
  EXPECT_EQ(probe.loss, 1.0);
  EXPECT_EQ(probe["y"].out_gradient, Tensor::of(Shape{1}, {2}));
  EXPECT_EQ(probe["y"].sum_gradient, Tensor::of(Shape{1}, {2}));
  EXPECT_EQ(probe["y"].weights_gradient, Tensor::of(Shape{2, 1}, {5, -0.5f}));
  EXPECT_EQ(probe["y"].bias_gradient, Tensor::of(Shape{1}, {2}));
  EXPECT_EQ(probe["h"].out_gradient, Tensor::of(Shape{2}, {4, 6}));
  EXPECT_EQ(probe["h"].sum_gradient, Tensor::of(Shape{2}, {4, 1.5f}));
  EXPECT_EQ(probe["h"].weights_gradient, Tensor::of(Shape{2, 2}, {4, 1.5f, 8, 3}));
  EXPECT_EQ(probe["h"].bias_gradient, Tensor::of(Shape{2}, {4, 1.5f}));
}

TEST(Probe, LinksContributeToTheErrorAsTheySay) {
  // Moving one weight a little moves the loss by dL/dw times as much.
  Network net{input({3}), dense(4, tanh).named("h"), dense(3).from({"h", "input"})};
  net.initialize(9);
  const Tensor sample = Tensor::of(Shape{3}, {0.3f, -0.7f, 1.1f});
  const Tensor label = Tensor::of(Shape{}, std::vector<int32_t>{2});
  const auto loss = [&] { return *net.probe(sample, label, cross_entropy()).loss; };
  const Probe probe = net.probe(sample, label, cross_entropy());
  for (const int64_t link : {0, 1, 2}) {
    Neuron neuron = net.neuron("h", 1);
    const float weight = neuron.weight(link);
    neuron.set_weight(link, weight + 0.01f);
    const double up = loss();
    neuron.set_weight(link, weight - 0.01f);
    const double down = loss();
    neuron.set_weight(link, weight);
    EXPECT_NEAR((up - down) / 0.02, probe["h"].weights_gradient.at(link * 4 + 1), 1e-3) << link;
  }
}

TEST(Probe, TakesSamplesWithAndWithoutABatchAxis) {
  const Network net = small_network();
  EXPECT_EQ(net.probe(Tensor::of(Shape{1, 2}, {1, 2})).out, Tensor::of(Shape{1}, {5.25f}));
  EXPECT_EQ(net.probe(Tensor::of(Shape{1, 2}, {1, 2}), Tensor::of(Shape{1, 1}, {4.25f}),
                      mean_squared_error())
                .loss,
            1.0);
  EXPECT_THROW(net.probe(Tensor(Shape{2, 2})), ShapeError);
  EXPECT_THROW(net.probe(Tensor::of(Shape{2}, {1, 2}))["hh"], ArgumentError);
}

TEST(Probe, StepsWithoutNeuronsHaveAnOutput) {
  Network net{input({2, 2}), flatten(), dense(3), activation(softmax).named("chances")};
  net.initialize(1);
  const Probe probe = net.probe(Tensor::of(Shape{2, 2}, {1, 2, 3, 4}));
  EXPECT_EQ(probe["flatten1"].out, Tensor::of(Shape{4}, {1, 2, 3, 4}));
  EXPECT_EQ(probe["flatten1"].sum.elements(), 0);
  double total = 0;
  for (int64_t i = 0; i < 3; ++i) total += probe["chances"].out.at(i);
  EXPECT_NEAR(total, 1, 1e-6);
}

}  // namespace
}  // namespace soma
