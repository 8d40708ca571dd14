// Optimizers in fit(): the same bits for any number of threads, averages in use, going on.
#include <gtest/gtest.h>

#include "soma/data.h"
#include "soma/train.h"
#include "tests/expect_error.h"

namespace soma::test {

namespace {

struct Trained {
  Network net;
  History history;
};
Trained trained(const std::string& optimizer, int epochs, int threads = 1,
                const Tensors* states = nullptr, const Network* from = nullptr) {
  Network net = from ? *from : Network{input({4}), dense(6, tanh), dense(3)};
  FitOptions options;
  options.loss = cross_entropy();
  options.optimizer = optimizer_named(optimizer);
  options.epochs = epochs;
  options.batch = 30;
  options.shuffle = false;
  options.seed = 7;
  options.device = Device::cpu(threads);
  options.optimizer_states = states;
  History history = fit(net, data::iris(), options);
  return {std::move(net), std::move(history)};
}
double loss_of(const Network& net) { return evaluate(net, data::iris(), cross_entropy()).loss; }

}  // namespace

TEST(FitOptimizers, SameBitsForAnyNumberOfThreads) {
  for (const char* text : {"accumulate(2) + clip_global_norm(1) + adamw(0.01) + ema_weights(0.9)",
                           "sharpness_aware + gradient_noise + momentum(0.05) + keep_max_norm",
                           "lbfgs(0.5)", "muon(0.02) for *weights + schedule_free_adamw for *bias",
                           "sgd(0.1) + reduce_on_plateau(patience=1 window=5)", "prodigy"}) {
    const Trained one = trained(text, 2), three = trained(text, 2, 3);
    EXPECT_TRUE(one.net == three.net) << text;
    EXPECT_TRUE(one.history.optimizer_states == three.history.optimizer_states) << text;
  }
}

TEST(FitOptimizers, AveragesTakeTheirPlace) {
  Trained it = trained("schedule_free_adamw(0.05)", 20);
  const Tensors averages = averages_of(it.history.optimizer_states);
  EXPECT_EQ(averages.size(), 4u);
  const Tensor before = it.net.tensors().begin()->second;
  const double last = loss_of(it.net);
  use_averages(it.net, it.history);
  EXPECT_FALSE(it.net.tensors().begin()->second == before);
  EXPECT_TRUE(it.net.tensors().begin()->second == averages.begin()->second);
  EXPECT_LT(loss_of(it.net), 0.4);
  EXPECT_NE(loss_of(it.net), last);
  EXPECT_ERROR(ArgumentError, use_averages(it.net, trained("adam", 1).history), "no averages",
               "ema_weights");
  Network other{input({4}), dense(5, tanh), dense(3)};
  EXPECT_ERROR(ArgumentError, use_averages(other, it.history), "another network");
}

TEST(FitOptimizers, GoOnFromTheirStates) {
  const std::string text = "adam(cosine(0.05 20)) + ema_weights(0.9)";
  const Trained whole = trained(text, 4), half = trained(text, 2);
  const Trained rest = trained(text, 2, 1, &half.history.optimizer_states, &half.net);
  EXPECT_TRUE(rest.net == whole.net);
  EXPECT_TRUE(rest.history.optimizer_states == whole.history.optimizer_states);
  EXPECT_EQ(whole.history.optimizer_states.at("optimizer/step").at(0), 20);
  EXPECT_FALSE(trained(text, 2, 1, nullptr, &half.net).net == whole.net);
}

TEST(FitOptimizers, AccumulationTakesOneStepForTwoBatches) {
  const Trained it = trained("accumulate(2) + adam(0.01)", 2);
  EXPECT_EQ(it.history.steps, 10);
  EXPECT_EQ(it.history.optimizer_states.at("optimizer/step").at(0), 5);
}

}  // namespace soma::test
