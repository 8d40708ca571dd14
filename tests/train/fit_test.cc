// Training: small problems are learned, the same seed gives the same bits, and callbacks, history
// and options do what they say.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "soma/model.h"
#include "soma/train.h"
#include "src/base/half.h"
#include "tests/expect_error.h"

namespace soma {
namespace {

const Device one_thread = Device::cpu(1);

TEST(Fit, LearnsTheExclusiveOr) {
  Network net{input({2}), dense(8, tanh), dense(1)};
  const Dataset gate = data::xor_gate();
  fit(net, gate,
      {.loss = binary_cross_entropy(),
       .optimizer = adam(0.05),
       .epochs = 300,
       .batch = 4,
       .seed = 1,
       .device = one_thread});
  EXPECT_EQ(evaluate(net, gate, binary_cross_entropy())["accuracy"], 1);
}

TEST(Fit, CannotLearnTheExclusiveOrWithOneNeuron) {
  Network net{input({2}), dense(1)};
  const Dataset gate = data::xor_gate();
  fit(net, gate,
      {.loss = binary_cross_entropy(),
       .optimizer = adam(0.05),
       .epochs = 300,
       .batch = 4,
       .device = one_thread});
  EXPECT_LE(evaluate(net, gate, binary_cross_entropy())["accuracy"], 0.75);
}

TEST(Fit, LearnsTwoSpirals) {
  const Dataset spirals = data::two_spirals(200);
  Network net{input({2}), dense(32, tanh), dense(32, tanh), dense(2)};
  fit(net, spirals,
      {.loss = cross_entropy(),
       .optimizer = adam(0.01),
       .epochs = 400,
       .batch = 50,
       .seed = 1,
       .device = one_thread});
  EXPECT_GE(evaluate(net, spirals, cross_entropy())["accuracy"], 0.97);
}

TEST(Fit, LearnsIris) {
  auto [train, test] = data::iris().split(0.7, 1);
  const auto scale = data::standardize(train);
  data::standardize(test, scale);
  Network net{input({4}), dense(8, tanh), dense(3)};
  const History history = fit(net, train,
                              {.loss = cross_entropy(),
                               .optimizer = adam(0.02),
                               .epochs = 60,
                               .batch = 16,
                               .validation = &test,
                               .seed = 1,
                               .device = one_thread});
  EXPECT_GE(history.epochs.back().validation->metrics[0].value, 0.93);
  EXPECT_GE(history.epochs.back().metrics[0].value, 0.95);
}

TEST(Fit, FindsALine) {
  Tensor x({50, 1}), y({50, 1});
  for (int i = 0; i < 50; ++i) {
    x.set(i, i / 25.0 - 1);
    y.set(i, 3 * (i / 25.0 - 1) + 0.5);
  }
  Network net{input({1}), dense(1)};
  fit(net, data::in_memory(x, y),
      {.loss = mean_squared_error(),
       .optimizer = sgd(0.1),
       .epochs = 200,
       .batch = 10,
       .seed = 2,
       .device = one_thread});
  EXPECT_NEAR(net.neuron("output", 0).weight(0), 3, 1e-3);
  EXPECT_NEAR(net.neuron("output", 0).bias(), 0.5, 1e-3);
}

/// 103 rows: with batches of 16 the last one is short.
Dataset uneven() { return data::iris().subset(0, 103); }

Network small_net() { return Network{input({4}), dense(7, relu), dense(3)}; }

FitOptions small_options() {
  return {.loss = cross_entropy(),
          .optimizer = adam(0.01),
          .epochs = 3,
          .batch = 16,
          .seed = 5,
          .device = one_thread};
}

std::string trained_digest(FitOptions options) {
  Network net = small_net();
  fit(net, uneven(), options);
  return weights_sha256(net);
}

TEST(Determinism, SameSeedSameBitsForAnyNumberOfThreads) {
  const std::string digest = trained_digest(small_options());
  for (const int threads : {1, 2, 3, 4}) {
    FitOptions options = small_options();
    options.device = Device::cpu(threads);
    EXPECT_EQ(trained_digest(options), digest) << threads << " threads";
  }
}

TEST(Bf16, SameBitsForAnyNumberOfThreadsAndOtherOnesThanF32) {
  FitOptions options = small_options();
  const std::string plain = trained_digest(options);
  options.device = Device::cpu(1, Precision::bf16);
  const std::string digest = trained_digest(options);
  EXPECT_NE(digest, plain);
  for (const int threads : {2, 3, 4, 7}) {
    options.device = Device::cpu(threads, Precision::bf16);
    EXPECT_EQ(trained_digest(options), digest) << threads << " threads";
  }
}

TEST(Bf16, LearnsAsWellAndKeepsWeightsInF32) {
  auto [train, test] = data::iris().split(0.7, 1);
  data::standardize(test, data::standardize(train));
  const auto accuracy_of = [&, &rows = test, &learned = train](Precision precision) {
    const Device device = Device::cpu(2, precision);
    Network net{input({4}), dense(64, relu), dense(64, relu), dense(3)};
    fit(net, learned,
        {.loss = cross_entropy(),
         .optimizer = adam(0.01),
         .epochs = 40,
         .batch = 16,
         .seed = 1,
         .device = device});
    const Tensor& weights = net.tensors().at("hidden1/weights");
    EXPECT_EQ(weights.type(), f32);
    const auto finer = [](float w) { return from_bf16(to_bf16(w)) != w; };
    EXPECT_GT(std::ranges::count_if(weights.data<float>(), finer), weights.elements() / 2);
    return evaluate(net, rows, cross_entropy(), {.device = device})["accuracy"];
  };
  EXPECT_GE(accuracy_of(Precision::bf16), 0.93);
  EXPECT_NEAR(accuracy_of(Precision::bf16), accuracy_of(Precision::fp32), 0.05);
}

TEST(Bf16, MatchesTheReferenceDevice) {
  FitOptions options = small_options();
  options.epochs = 1;
  const auto losses = [&](const Device& device) {
    Network net = small_net();
    options.device = device;
    return fit(net, uneven(), options).epochs.back().loss;
  };
  const double wanted = losses(Device::reference(Precision::bf16));
  EXPECT_NEAR(losses(Device::cpu(2, Precision::bf16)), wanted, 1e-3);
}

TEST(Determinism, AnotherSeedGivesOtherWeights) {
  FitOptions options = small_options();
  options.seed = 6;
  EXPECT_NE(trained_digest(options), trained_digest(small_options()));
}

TEST(Determinism, ValidationAndCallbacksChangeNothing) {
  const Dataset other = data::iris();
  FitOptions options = small_options();
  options.validation = &other;
  options.callbacks = {[](const Event&) { return true; }};
  EXPECT_EQ(trained_digest(options), trained_digest(small_options()));
}

TEST(Fit, MatchesTheReferenceDevice) {
  Network fast = small_net(), slow = small_net();
  FitOptions options = small_options();
  options.optimizer = sgd(0.05);
  const History a = fit(fast, uneven(), options);
  options.device = Device::reference();
  const History b = fit(slow, uneven(), options);
  for (size_t i = 0; i < a.epochs.size(); ++i) {
    EXPECT_NEAR(a.epochs[i].loss, b.epochs[i].loss, 1e-4 * b.epochs[i].loss);
  }
}

TEST(Fit, ContinuesWithTheWeightsItFinds) {
  Network net = small_net();
  net.initialize(77);
  const float before = net.neuron("output", 0).weight(0);
  net.neuron("output", 0).freeze();
  FitOptions options = small_options();
  options.epochs = 1;
  fit(net, uneven(), options);
  EXPECT_EQ(net.neuron("output", 0).weight(0), before);
}

TEST(Fit, LeavesFrozenNeuronsAndLayersAsTheyAre) {
  Network net = small_net();
  net.initialize(3);
  net.freeze("hidden1", 2);
  net.freeze("output");
  const auto kept = net.neuron("hidden1", 2).weights(), other = net.neuron("hidden1", 1).weights();
  const auto layer = net.neuron("output", 1).weights();
  FitOptions options = small_options();
  options.optimizer = adamw(0.01);
  fit(net, uneven(), options);
  EXPECT_EQ(net.neuron("hidden1", 2).weights(), kept);
  EXPECT_NE(net.neuron("hidden1", 1).weights(), other);
  EXPECT_EQ(net.neuron("output", 1).weights(), layer);
}

TEST(Fit, GivesRareClassesTheirWeight) {
  // Two overlapping classes, one ten times as frequent: unweighted, the rare one is never answered.
  Tensor x({220, 1}), y({220}, i32);
  for (int i = 0; i < 220; ++i) {
    const bool rare = i % 11 == 0;
    x.set(i, (i * 37 % 101) / 101.0 + (rare ? 0.3 : 0));
    y.set(i, rare ? 1 : 0);
  }
  const Dataset dataset = data::in_memory(x, y);
  const auto answers_rare = [&](const Loss& loss) {
    Network net{input({1}), dense(2)};
    fit(net, dataset,
        {.loss = loss,
         .optimizer = adam(0.05),
         .epochs = 60,
         .batch = 20,
         .seed = 1,
         .device = one_thread});
    int64_t count = 0;
    const Tensor outputs = net.predict(x);
    for (int i = 0; i < 220; ++i) count += outputs.at(2 * i + 1) > outputs.at(2 * i);
    return count;
  };
  EXPECT_EQ(answers_rare(cross_entropy()), 0);
  EXPECT_GT(answers_rare(cross_entropy(0, std::vector<double>{1, 10})), 40);
}

TEST(Callbacks, HearOfEverythingInOrder) {
  std::string heard;
  int64_t steps = 0;
  FitOptions options = small_options();
  const Dataset validation = data::iris();
  options.validation = &validation;
  options.callbacks = {[&](const Event& event) {
    heard += "bset"[static_cast<int>(event.kind)];
    if (event.kind == Event::Kind::step) {
      ++steps;
      EXPECT_EQ(event.steps, 7);
      EXPECT_GE(event.step, 1);
      EXPECT_LE(event.step, 7);
      EXPECT_GT(event.step_loss, 0);
      EXPECT_EQ(event.metrics.size(), 1u);
      EXPECT_NEAR(event.learning_rate, 0.01, 1e-9);
      EXPECT_GE(event.seconds_left, 0);
      EXPECT_EQ(event.validation, nullptr);
    }
    if (event.kind == Event::Kind::epoch) {
      EXPECT_EQ(event.validation->rows, 150);
    }
    return true;
  }};
  Network net = small_net();
  const History history = fit(net, uneven(), options);
  EXPECT_EQ(heard,
            "bssssssse"
            "ssssssse"
            "ssssssse"
            "t");
  EXPECT_EQ(history.steps, 21);
  EXPECT_EQ(history.epochs.size(), 3u);
  EXPECT_FALSE(history.stopped);
}

TEST(Callbacks, StopAfterTheStepThatRuns) {
  FitOptions options = small_options();
  options.callbacks = {[](const Event& event) { return event.epoch < 2 || event.step < 3; }};
  Network net = small_net();
  const History history = fit(net, uneven(), options);
  EXPECT_TRUE(history.stopped);
  EXPECT_EQ(history.steps, 7 + 3);
  EXPECT_EQ(history.epochs.size(), 2u);
}

TEST(EarlyStopping, WaitsAndStops) {
  const Callback stop = early_stopping(2);
  std::vector<EpochRecord> history;
  const auto after = [&](double loss) {
    history.push_back({.loss = loss});
    return stop({.kind = Event::Kind::epoch, .history = history});
  };
  EXPECT_TRUE(after(3));
  EXPECT_TRUE(after(2));
  EXPECT_TRUE(after(2));
  EXPECT_TRUE(after(1));
  EXPECT_TRUE(after(1.5));
  EXPECT_FALSE(after(1));
  EXPECT_ERROR(ArgumentError, early_stopping(0), "0");
}

TEST(Evaluate, AveragesOverRowsWhateverTheBatch) {
  Network net = small_net();
  net.initialize(1);
  const Evaluation whole = evaluate(net, uneven(), cross_entropy(), {.batch = 103});
  for (const int64_t batch : {1, 16, 50, 1000}) {
    const Evaluation parts = evaluate(net, uneven(), cross_entropy(), {.batch = batch});
    EXPECT_NEAR(parts.loss, whole.loss, 1e-6);
    EXPECT_EQ(parts["accuracy"], whole["accuracy"]);
    EXPECT_EQ(parts.rows, 103);
  }
  EXPECT_ERROR(ArgumentError, static_cast<void>(whole["mae"]), "mae", "accuracy");
}

// ---- what is refused before the first batch

TEST(Refuses, DataThatDoesNotFit) {
  FitOptions options = small_options();
  Network narrow{input({3}), dense(3)}, few{input({4}), dense(2)}, one{input({4}), dense(1)};
  EXPECT_ERROR(ShapeError, fit(narrow, data::iris(), options), "[4]", "[3]");
  EXPECT_ERROR(ShapeError, fit(few, data::iris(), options), "3 classes", "2 neurons");
  EXPECT_ERROR(ArgumentError, fit(one, data::iris(), options), "cross_entropy", "1 neuron");
  Network net = small_net();
  EXPECT_ERROR(ArgumentError, fit(net, data::iris().subset(0, 0), options), "empty");
}

TEST(Refuses, ALossAfterTheWrongActivation) {
  Network net{input({4}), dense(3), activation(softmax)};
  Network direct{input({4}), dense(3, sigmoid)};
  EXPECT_ERROR(ArgumentError, fit(net, data::iris(), small_options()), "softmax", "cross_entropy");
  EXPECT_ERROR(ArgumentError, fit(direct, data::iris(), small_options()), "sigmoid", "output");
}

TEST(Refuses, OptionsOutOfRange) {
  Network net = small_net();
  FitOptions options = small_options();
  options.epochs = 0;
  EXPECT_ERROR(ArgumentError, fit(net, data::iris(), options), "epoch", "0");
  options = small_options();
  options.batch = 0;
  EXPECT_ERROR(ArgumentError, fit(net, data::iris(), options), "batch", "0");
}

/// Bars that lie or stand, as images of bytes.
Dataset bars() {
  Tensor pixels({60, 6, 6}, u8), labels({60}, i32);
  for (int64_t i = 0; i < 60; ++i) {
    labels.set(i, static_cast<double>(i % 2));
    for (int64_t p = 0; p < 6; ++p) {
      const int64_t line = i / 2 % 4 + 1;
      pixels.set(36 * i + (i % 2 ? 6 * p + line : 6 * line + p), 255);
    }
  }
  Dataset dataset = data::in_memory(std::move(pixels), std::move(labels), {"lying", "standing"});
  dataset.input_scale = 1.0 / 255;
  return dataset;
}

TEST(Augmentation, IsTheSameOnAnyNumberOfThreadsAndTeaches) {
  const Dataset labels = bars(), shares = data::one_hot(bars());
  const auto trained = [&](const Dataset& dataset, const std::string& augment, int threads) {
    Network net = Network::parse("6x6, conv2d 4 3 relu, 2");
    fit(net, dataset,
        {.loss = cross_entropy(),
         .optimizer = adam(0.01),
         .epochs = 8,
         .batch = 8,
         .seed = 1,
         .augment = augmentation_named(augment),
         .prefetch = threads - 1,
         .device = Device::cpu(threads)});
    EXPECT_GT(evaluate(net, labels, cross_entropy())["accuracy"], 0.8) << augment;
    return weights_sha256(net);
  };
  const std::string all = "flip + crop(1) + cutout(2) + mixup";
  EXPECT_EQ(trained(shares, all, 1), trained(shares, all, 2));
  EXPECT_EQ(trained(shares, all, 1), trained(shares, all, 3));
  EXPECT_NE(trained(labels, "flip + crop(1)", 1), trained(labels, "", 1));
  // A chain that changes nothing changes nothing.
  EXPECT_EQ(trained(labels, "flip(0) + crop(0) + rotate(0) + shift(0)", 1), trained(labels, "", 1));
  // Labels and shares are the same to the loss.
  EXPECT_EQ(trained(shares, "flip", 1), trained(labels, "flip", 1));
}

TEST(Augmentation, IsRefusedBeforeTheFirstBatch) {
  Network net = Network::parse("input 4, 8 relu, 3");
  EXPECT_ERROR(ArgumentError,
               fit(net, data::iris(), {.loss = cross_entropy(), .augment = augment::flip()}),
               "flip", "images");
  EXPECT_TRUE(net.fresh());
}

TEST(Fit, ComparesClassesAsNumbersForLossesOfNumbers) {
  Network net = small_net();
  FitOptions options = small_options();
  options.loss = mean_squared_error();
  options.epochs = 400;
  fit(net, data::iris(), options);
  EXPECT_GT(evaluate(net, data::iris(), mean_squared_error())["accuracy"], 0.8);
}

// ---- divergence

TEST(Divergence, NamesEpochStepAndTheFirstFault) {
  Network net = small_net();
  FitOptions options = small_options();
  options.optimizer = sgd(1e37);
  EXPECT_ERROR(DivergenceError, fit(net, data::iris(), options), "epoch 1", "step", "layer",
               "learning rate");
}

TEST(Divergence, LeavesTheLastGoodWeights) {
  Network net = small_net();
  net.initialize(1);
  const std::string before = weights_sha256(net);
  FitOptions options = small_options();
  options.loss = mean_squared_error();
  options.optimizer = sgd(1e30);
  EXPECT_THROW(fit(net, data::iris(), options), DivergenceError);
  EXPECT_EQ(weights_sha256(net), before);
}

TEST(Divergence, NamesAWeightThatWasBadFromTheStart) {
  Network net = small_net();
  net.initialize(1);
  net.tensors().find("hidden1/bias")->second.set(2, NAN);
  EXPECT_ERROR(DivergenceError, fit(net, data::iris(), small_options()), "hidden1/bias",
               "before training");
}

}  // namespace
}  // namespace soma
