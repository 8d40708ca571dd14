// What the watch measures is what the optimizer did, and watching changes nothing.
#include "soma/layer_watch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <set>

#include "soma/layers.h"
#include "soma/model.h"
#include "soma/normalization.h"

namespace soma {
namespace {

FitOptions options_for(const Optimizer& optimizer, int64_t batch, int epochs) {
  return {.loss = cross_entropy(),
          .optimizer = optimizer,
          .epochs = epochs,
          .batch = batch,
          .seed = 2,
          .device = Device::cpu(1)};
}

TEST(LayerWatch, UpdatesAreTheRateTimesTheGradient) {
  const Dataset all = data::iris();
  Network net{input({4}), dense(6, tanh).named("h"), dense(3).named("o")};
  FitOptions options = options_for(sgd(0.05), all.size(), 4);  // a batch is everything
  LayerWatch watch(net, all, options);
  options.callbacks = {std::ref(watch)};
  fit(net, all, options);
  ASSERT_EQ(watch.sizes().size(), 2u * 4);
  for (size_t i = 0; i < watch.sizes().size(); ++i) {
    const LayerSizes& sizes = watch.sizes()[i];
    EXPECT_EQ(sizes.step, static_cast<int64_t>(i / 2 + 1));
    EXPECT_EQ(sizes.layer, i % 2 == 0 ? "h" : "o");
    EXPECT_GT(sizes.gradient, 0);
    EXPECT_NEAR(sizes.update, 0.05 * sizes.gradient, 1e-3 * sizes.update);
  }
}

TEST(LayerWatch, SizesOfWeightsAreThoseBeforeTheStep) {
  const Dataset all = data::iris();
  Network net{input({4}), dense(3).named("o")};
  net.initialize(2);
  double squares = 0;
  for (const auto& [name, tensor] : net.tensors()) {
    for (int64_t i = 0; i < tensor.elements(); ++i) squares += tensor.at(i) * tensor.at(i);
  }
  FitOptions options = options_for(sgd(0.05), 50, 1);
  LayerWatch watch(net, all, options);
  options.callbacks = {std::ref(watch)};
  fit(net, all, options);
  ASSERT_FALSE(watch.sizes().empty());
  EXPECT_NEAR(watch.sizes()[0].weights, std::sqrt(squares / 15), 1e-12);
}

TEST(LayerWatch, LeavesEveryBitAsItIsAndMeasuresSometimes) {
  const Dataset all = data::iris();
  const auto train = [&](bool watched) {
    Network net(parse_layers("input 4, 8 relu, batch_norm, dropout 0.3, 3"));
    FitOptions options = options_for(adam(0.01), 8, 30);
    LayerWatch watch(net, all, options, 10);
    if (watched) options.callbacks = {std::ref(watch)};
    fit(net, all, options);
    std::set<int64_t> steps;
    for (const LayerSizes& sizes : watch.sizes()) {
      steps.insert(sizes.step);
      EXPECT_TRUE(std::isfinite(sizes.gradient));
    }
    EXPECT_EQ(steps.size(), watched ? 11u : 0u) << "the first step, and ten times on the way";
    return weights_sha256(net);
  };
  EXPECT_EQ(train(true), train(false));
}

}  // namespace
}  // namespace soma
