// Networks as parts of a program: one net used twice, several results, two nets against each other.
//
// 1. A siamese net: the same weights look at two images and say whether they show the same class.
// 2. Two heads: one body, one result that is a class and one that is a number, each with its loss.
// 3. Generator against discriminator (Goodfellow+ 2014): two optimizers in one program; the
//    generator learns to draw points on a ring from noise.
#include <cmath>
#include <iostream>
#include <random>

#include "real_data.h"

using namespace soma;
using example::check;

namespace {

// ---- 1

/// Pairs of points from three clouds: the same cloud or not.
Dataset pairs_of_points(int64_t n, uint32_t seed) {
  std::mt19937 engine(seed);
  const auto uniform = [&] { return static_cast<double>(engine()) * 0x1p-32; };
  Tensor left({n, 2}), right({n, 2}), same({n, 1});
  for (int64_t i = 0; i < n; ++i) {
    const auto a = engine() % 3, b = engine() % 2 ? a : engine() % 3;
    const auto put = [&](Tensor& tensor, auto cloud) {
      const double angle = 2.1 * static_cast<double>(cloud);
      tensor.set(2 * i, std::cos(angle) + 0.5 * (uniform() - 0.5));
      tensor.set(2 * i + 1, std::sin(angle) + 0.5 * (uniform() - 0.5));
    };
    put(left, a), put(right, b);
    same.set(i, a == b ? 1 : 0);
  }
  Dataset data = data::in_memory(std::move(left), std::move(same));
  data.more_inputs.push_back({"right", std::move(right)});
  return data;
}

void siamese() {
  std::cout << "1. A siamese net\n";
  Network net = Network::parse(
      "input 2 name=left, input 2 name=right,"
      "16 tanh name=eye from=left, 4 name=seen from=eye,"
      "16 tanh name=other_eye from=right share=eye, 4 name=seen_too from=other_eye share=seen,"
      "subtract from=seen+seen_too, activation quadratic, 1");
  net.summary(std::cout);
  fit(net, pairs_of_points(600, 1),
      {.loss = binary_cross_entropy(),
       .optimizer = adam(0.01),
       .epochs = 40,
       .batch = 50,
       .seed = 1});
  const double accuracy =
      evaluate(net, pairs_of_points(500, 2), binary_cross_entropy())["accuracy"];
  check(accuracy > 0.95, "it says of new pairs whether they belong together");
}

// ---- 2

void two_heads() {
  std::cout << "2. Two heads\n";
  Dataset moons = data::two_moons(600, 0.1, 1);
  Tensor height({moons.size(), 1});  // how high the point lies, scaled: a number to learn besides
  for (int64_t i = 0; i < moons.size(); ++i) height.set(i, 2 * moons.inputs.at(2 * i + 1) - 0.5);
  moons.more_targets.push_back({"height", std::move(height)});
  const auto [train, test] = moons.split(0.8, 1);
  Network net =
      Network::parse("input 2, 32 tanh name=body, 1 name=height from=body, 2 name=moon from=body");
  FitOptions options{
      .loss = cross_entropy(), .optimizer = adam(0.01), .epochs = 60, .batch = 40, .seed = 1};
  options.more_losses = {{"height", mean_squared_error(), 0.5, "height"}};
  fit(net, train, options);
  const double moon = evaluate(net, test, cross_entropy())["accuracy"];
  const double r2 =
      evaluate(net, test, mean_squared_error(), {.output = "height", .target = "height"})["r2"];
  check(moon > 0.97 && r2 > 0.97, "one body serves a class and a number");
}

// ---- 3

void adversaries() {
  std::cout << "3. Generator against discriminator\n";
  constexpr int64_t batch = 128, noise_size = 4;
  Network generator = Network::parse("32 relu, 32 relu, 2", Shape{noise_size});
  Network discriminator = Network::parse("48 leaky_relu(0.2), 48 leaky_relu(0.2), 1", Shape{2});
  generator.initialize(1);
  discriminator.initialize(2);

  // The data is part of the program, too: noise, and points on a ring of radius 1, new each step.
  Graph graph;
  const Value key = graph.input("key", {2}, i64);
  const Value noise = rng(key, {batch, noise_size}, 1) * 2.0 - 1.0;
  const Value angle = rng(key, {batch, 1}, 2) * 6.283185307179586;
  const Value radius = 1.0 + 0.1 * (rng(key, {batch, 1}, 3) - 0.5);
  const Value real = concat({radius * cos(angle), radius * sin(angle)}, 1);
  const auto inside = [&](const char* scope, const Network& net, Value x) {
    const Graph::Scope open(graph, scope);
    return net.build(graph, x);
  };
  const Value drawn = inside("generator", generator, noise);
  // The discriminator is built twice in its scope, and so has the same weights both times.
  const Value says_real = inside("discriminator", discriminator, real);
  const Value says_drawn = inside("discriminator", discriminator, drawn);
  const Value yes = graph.constant(0.9, {batch, 1}, f32), no = graph.constant(0, {batch, 1}, f32);
  const Loss loss = binary_cross_entropy();
  const Value judging = loss(says_real, yes) + loss(says_drawn, no);
  const Value fooling = loss(says_drawn, graph.constant(1, {batch, 1}, f32));
  // Each optimizer changes the parameters of its own net, in the same step.
  ApplyOptions mine, yours;
  mine.name = "generator_optimizer";
  yours.name = "discriminator_optimizer";
  apply(adam(1e-3, 0.5), fooling, parameters_of(graph, "generator/*"), mine);
  apply(adam(2e-3, 0.5), judging, parameters_of(graph, "discriminator/*"), yours);

  Plan step = compile(graph, Device::cpu(2));
  generator.bind(step, "generator");
  discriminator.bind(step, "discriminator");
  Tensors carried = initialize(graph, 0);  // among it what the optimizers remember
  for (auto& [name, tensor] : carried) {
    if (name.find("_optimizer/") != name.npos) step.bind(name, tensor);
  }
  for (int64_t i = 0; i < 4000; ++i) {
    step.input<int64_t>("key")[1] = i;
    step.run();
  }
  const Tensor fresh =
      initial_value({"noise", InputKind::data, {1000, noise_size}, f32, "uniform(-1 1)"}, 3);
  const Tensor ring = generator.predict(fresh);
  double off = 0;
  bool quarter[4] = {};
  for (int64_t i = 0; i < 1000; ++i) {
    const double x = ring.at(2 * i), y = ring.at(2 * i + 1);
    off += std::abs(std::hypot(x, y) - 1) / 1000;
    quarter[(x > 0) + 2 * (y > 0)] = true;
  }
  std::cout << "  mean distance from the ring: " << off << '\n';
  check(off < 0.25, "the generator draws points near the ring");
  check(quarter[0] && quarter[1] && quarter[2] && quarter[3], "on all sides of it");
}

}  // namespace

int main() {
  siamese();
  two_heads();
  adversaries();
  return example::failures;
}
