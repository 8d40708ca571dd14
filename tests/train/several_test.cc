// Training networks of several inputs and results, with drop-in losses.
#include <gmock/gmock.h>

#include "soma/error.h"
#include "soma/model.h"
#include "soma/train.h"
#include "tests/expect_error.h"

namespace soma {
namespace {

/// Two inputs a and b of two numbers; targets: the sign of a0·b0 as a class, a1 + b1 as a number.
Dataset pairs(int64_t n) {
  Tensor a({n, 2}), b({n, 2}), label({n}, i32), number({n, 1});
  uint32_t seed = 5;
  const auto random = [&] {
    seed = seed * 1664525u + 1013904223u;
    return static_cast<double>(seed >> 8) * 0x1p-23 - 1;
  };
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < 2; ++k) a.set(2 * i + k, random()), b.set(2 * i + k, random());
    label.set(i, a.at(2 * i) * b.at(2 * i) > 0 ? 1 : 0);
    number.set(i, a.at(2 * i + 1) + b.at(2 * i + 1));
  }
  Dataset set = data::in_memory(std::move(a), std::move(label));
  set.more_inputs.push_back({"b", std::move(b)});
  set.more_targets.push_back({"total", std::move(number)});
  return set;
}

const char* const two_headed =
    "input 2 name=a, input 2 name=b, 24 tanh name=trunk from=a+b, 1 name=total from=trunk, "
    "2 name=sign from=trunk";

TEST(SeveralResults, LearnTogether) {
  const Dataset set = pairs(400);
  Network net = Network::parse(two_headed);
  FitOptions options{
      .loss = cross_entropy(), .optimizer = adam(0.02), .epochs = 40, .batch = 50, .seed = 1};
  options.more_losses = {{"total", mean_squared_error(), 2, "total"}};
  const History history = fit(net, set, options);
  EXPECT_LT(history.epochs.back().loss, 0.25 * history.epochs.front().loss);
  EXPECT_GT(evaluate(net, set, cross_entropy())["accuracy"], 0.93);
  const Evaluation total =
      evaluate(net, set, mean_squared_error(), {.output = "total", .target = "total"});
  EXPECT_GT(total["r2"], 0.95);
  // The same bits for any number of threads.
  Network again = Network::parse(two_headed);
  options.device = Device::cpu(3);
  options.epochs = 3;
  Network other = Network::parse(two_headed);
  fit(again, set, options);
  options.device = Device::cpu(1);
  fit(other, set, options);
  EXPECT_EQ(weights_sha256(again), weights_sha256(other));
}

TEST(SeveralResults, AWeightOfZeroLearnsNothing) {
  const Dataset set = pairs(60);
  Network net = Network::parse(two_headed);
  net.initialize(3);
  const Tensor before = net.tensors().at("total/weights");
  FitOptions options{.loss = cross_entropy(), .optimizer = sgd(0.1), .epochs = 2, .batch = 20};
  fit(net, set, options);
  EXPECT_EQ(net.tensors().at("total/weights"), before);
  options.more_losses = {{"total", mean_squared_error(), 1, "total"}};
  options.loss_weight = 0;
  const Tensor sign = net.tensors().at("sign/weights");
  fit(net, set, options);
  EXPECT_NE(net.tensors().at("total/weights"), before);
  EXPECT_EQ(net.tensors().at("sign/weights"), sign);
}

TEST(SeveralResults, SplitKeepsRowsTogether) {
  const auto [some, rest] = pairs(10).split(0.5, 1);
  for (int64_t i = 0; i < some.size(); ++i) {
    const double total = some.inputs.at(2 * i + 1) + some.more_input("b").at(2 * i + 1);
    EXPECT_FLOAT_EQ(static_cast<float>(some.more_target("total").at(i)), static_cast<float>(total));
  }
}

TEST(SeveralResults, AreRefusedInSentences) {
  Network net = Network::parse(two_headed);
  Dataset set = pairs(20);
  FitOptions options{.loss = cross_entropy()};
  options.more_losses = {{"totl", mean_squared_error(), 1, "total"}};
  EXPECT_ERROR(ArgumentError, fit(net, set, options), "total");
  options.more_losses = {{"total", mean_squared_error(), 1, "totl"}};
  EXPECT_ERROR(ArgumentError, fit(net, set, options), "totl");
  set.more_inputs[0].values = Tensor({20, 3});
  options.more_losses = {};
  EXPECT_ERROR(ShapeError, fit(net, set, options), "\"b\"");
  set.more_inputs.clear();
  EXPECT_ERROR(ArgumentError, fit(net, set, options), "\"b\"");
}

TEST(SeveralResults, ModelFilesHoldThem) {
  Network net = Network::parse(two_headed);
  net.initialize(9);
  const std::string path = testing::TempDir() + "two_headed.soma";
  save(net, path);
  EXPECT_EQ(load(path), net);
}

TEST(RandomLayers, GetTheKeyOfEveryStep) {
  // rrelu draws its slopes in training: the same seed gives the same bits, another seed others.
  const Dataset set = data::two_moons(80, 0.1, 1);
  const auto trained = [&](uint64_t seed, int threads) {
    Network net = Network::parse("input 2, 8 rrelu, 2");
    net.initialize(1);
    fit(net, set,
        {.loss = cross_entropy(),
         .epochs = 2,
         .batch = 16,
         .seed = seed,
         .shuffle = false,
         .device = Device::cpu(threads)});
    return weights_sha256(net);
  };
  EXPECT_EQ(trained(1, 1), trained(1, 3));
  EXPECT_NE(trained(1, 1), trained(2, 1));
}

}  // namespace
}  // namespace soma
