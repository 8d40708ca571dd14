// Layers that are random in training: nothing in inference, new numbers each step, the same bits
// for any number of threads.
#include "soma/model.h"
#include "soma/train.h"
#include "tests/expect_error.h"
#include "tests/nn/network_function.h"

namespace soma::test {

namespace {

const std::vector<std::string> noises{"dropout 0.4",          "dropout 0.4 shared=[1]",
                                      "spatial_dropout 0.4",  "spatial_dropout 0.4 axis=-1",
                                      "alpha_dropout 0.4",    "alpha_dropout 0.4 shared=[2]",
                                      "gaussian_dropout 0.4", "gaussian_noise 0.4",
                                      "stochastic_depth 0.4"};

Tensor in_training(const Network& net, const Tensor& x, int64_t step) {
  Graph graph;
  const Value in = graph.input("x", x.shape()), key = graph.input("key", {2}, i64);
  graph.output("y", net.build(graph, in, {.mode = BuildMode::training, .key = key}));
  return interpret(graph, std::vector{x, Tensor::of({2}, std::vector<int64_t>{1, step})})
      .outputs[0];
}

}  // namespace

TEST(NoiseLayers, HaveGradientsAndRunOnTheCpu) {
  for (const std::string& noise : noises) expect_sound_network("input 4x3, " + noise);
  expect_sound_network("input 6, gaussian_sample");
}

TEST(NoiseLayers, DoNothingInInferenceAndDrawAnewEachStep) {
  const Tensor x = points({6, 4, 3}, 0, f32);
  for (const std::string& noise : noises) {
    const Network net = Network::parse("input 4x3, " + noise);
    EXPECT_TRUE(result_of(net, x) == x) << noise;
    EXPECT_TRUE(in_training(net, x, 0) == in_training(net, x, 0)) << noise;
    EXPECT_FALSE(in_training(net, x, 0) == in_training(net, x, 1)) << noise;
    EXPECT_FALSE(in_training(net, x, 0) == x) << noise;
  }
  const Network twice = Network::parse("input 4x3, dropout 0.5, dropout 0.5");
  int64_t kept = 0;  // two masks of their own: a quarter is left
  const Tensor many = points({500, 4, 3}, 0, f32);
  for (const double v : numbers(in_training(twice, many, 0))) kept += v != 0;
  EXPECT_NEAR(static_cast<double>(kept) / 6000, 0.25, 0.02);
}

TEST(NoiseLayers, ShareTheirMaskWhereToldTo) {
  const Network net = Network::parse("input 4x3, dropout 0.5 shared=[1]");
  Tensor x({5, 4, 3}, f32);
  for (int64_t i = 0; i < x.elements(); ++i) x.set(i, 1);
  const Tensor y = in_training(net, x, 0);
  for (int64_t i = 0; i < x.elements(); ++i) {
    EXPECT_EQ(y.at(i), y.at(i / 12 * 12 + i % 3)) << i;  // as at the first step
  }
}

TEST(NoiseLayers, GaussianSampleIsTheMeanInInference) {
  const Network net = Network::parse("input 4, gaussian_sample beta=0.5");
  const Tensor x = Tensor::of({2, 4}, {1, -1, 0.5, -0.5, 2, 0, -3, 1});
  EXPECT_EQ(numbers(result_of(net, x)), (std::vector<double>{1, -1, 2, 0}));
  // The penalty against the closed form, and samples against mean and variance.
  Graph graph;
  const Value in = graph.input("x", {2, 4});
  std::vector<Value> penalties;
  net.build(graph, in,
            {.mode = BuildMode::training, .key = fixed_key(graph), .penalties = &penalties});
  ASSERT_EQ(penalties.size(), 1u);
  double wanted = 0;
  for (int64_t row = 0; row < 2; ++row) {
    for (int64_t i = 0; i < 2; ++i) {
      const double m = x.at(row * 4 + i), v = x.at(row * 4 + 2 + i);
      wanted += 0.5 * (m * m + std::exp(v) - 1 - v) * 0.5 / 2;
    }
  }
  EXPECT_NEAR(evaluate(graph, penalties[0], {{"x", x}}).at(0), wanted, 1e-6);
  Tensor many({20000, 2}, f32);
  for (int64_t i = 0; i < 20000; ++i) many.set(2 * i, 3), many.set(2 * i + 1, std::log(0.25));
  const Network one = Network::parse("input 2, gaussian_sample");
  double mean = 0, variance = 0;
  const auto samples = numbers(in_training(one, many, 0));
  for (const double v : samples) mean += v / 20000;
  for (const double v : samples) variance += (v - mean) * (v - mean) / 20000;
  EXPECT_NEAR(mean, 3, 0.02);
  EXPECT_NEAR(variance, 0.25, 0.01);
}

TEST(NoiseLayers, TrainToTheSameBitsForAnyNumberOfThreads) {
  const std::string text =
      "input 6, 16 relu, batch_norm, dropout 0.3, residual [16 selu, alpha_dropout 0.1, "
      "stochastic_depth 0.2], spectral_norm [8 tanh], gaussian_noise 0.1, drop_connect [8 relu] "
      "rate=0.2, 3";
  const Dataset rows = data::in_memory(points({70, 6}, 0, f32), points({70, 3}, 1, f32));
  std::string first;
  for (const int threads : {1, 2, 3}) {
    Network net = Network::parse(text);
    fit(net, rows,
        {.loss = mean_squared_error(),
         .optimizer = adam(0.01),
         .epochs = 3,
         .batch = 32,
         .seed = 5,
         .device = Device::cpu(threads)});
    const std::string sha = weights_sha256(net);
    if (first.empty()) first = sha;
    EXPECT_EQ(sha, first) << threads << " threads";
  }
}

TEST(NoiseLayers, SayWhatDoesNotFit) {
  const auto parse = [](const std::string& text) { (void)Network::parse(text); };
  EXPECT_ERROR(ArgumentError, parse("input 4, dropout 1.5"), "rate", "[0,1]");
  EXPECT_ERROR(ShapeError, parse("input 4, dropout 0.5 shared=[2]"), "no axis 2");
  EXPECT_ERROR(ShapeError, parse("input 4, dropout 0.5 shared=[0]"), "batch");
  EXPECT_ERROR(ShapeError, parse("input 5, gaussian_sample"), "5 numbers");
  Graph graph;
  const Network net = Network::parse("input 4, dropout name=d");
  const Value x = graph.input("x", {2, 4});
  EXPECT_ERROR(ShapeError, net.build(graph, x, {.mode = BuildMode::training}), "\"d\"", "key");
}

}  // namespace soma::test
