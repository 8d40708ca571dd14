// Every loss of the registry trains a network through fit(), with the targets that it wants.
#include <gtest/gtest.h>

#include <cmath>

#include "soma/error.h"
#include "soma/train.h"
#include "tests/expect_error.h"

namespace soma {
namespace {

constexpr int64_t rows = 12;

Tensor points() {
  std::vector<float> x;
  for (int64_t i = 0; i < rows * 4; ++i) x.push_back(std::sin(2.7f * static_cast<float>(i)));
  return Tensor::of<float>({rows, 4}, x);
}
Dataset numbers(int64_t width) {
  std::vector<float> t;
  for (int64_t i = 0; i < rows * width; ++i) {
    t.push_back(0.5f + 0.4f * std::cos(static_cast<float>(i)));
  }
  return data::in_memory(points(), Tensor::of<float>({rows, width}, t));
}
Dataset labels(int32_t classes) {
  std::vector<int32_t> t;
  for (int32_t i = 0; i < rows; ++i) t.push_back(i % classes);
  return data::in_memory(points(), Tensor::of<int32_t>({rows}, t));
}
/// Two labels for each row, or one and a filler.
Dataset lists() {
  std::vector<int32_t> t;
  for (int32_t i = 0; i < rows; ++i) {
    t.push_back(1 + i % 2);
    t.push_back(i % 3 ? 2 - i % 2 : -1);
  }
  return data::in_memory(points(), Tensor::of<int32_t>({rows, 2}, t));
}

struct Trial {
  std::string network;  ///< "$" stands for the activation that the loss wants
  Dataset data;
};
std::vector<Trial> trials() {
  return {{"3 $", labels(3)},
          {"3 $", numbers(3)},
          {"2", numbers(1)},
          {"6", numbers(3)},
          {"4, reshape 2x2", labels(2)},
          {"6, reshape 3x2", labels(2)},
          {"12, reshape 4x3", lists()},
          {"3", lists()}};
}

Network network(std::string text, const Loss& loss) {
  const std::string& refuses = loss.row().refuses;
  const size_t bar = refuses.find('|'), dollar = text.find('$');
  if (dollar != std::string::npos) {
    const bool wants = bar != std::string::npos;
    text.replace(dollar, 1, wants ? refuses.substr(bar + 2) : "identity");
  }
  return Network::parse(text, Shape{4});
}

FitOptions options(const Loss& loss, int epochs) {
  return {.loss = loss,
          .optimizer = adam(0.02),
          .epochs = epochs,
          .batch = rows,
          .seed = 1,
          .device = Device::cpu(1)};
}

TEST(EveryLoss, TrainsThroughFit) {
  const std::vector<Trial> all = trials();
  for (const LossRow& row : losses()) {
    const Loss loss = loss_named(row.name);
    int found = 0;
    for (const Trial& trial : all) {
      Network net = network(trial.network, loss);
      History history;
      try {
        history = fit(net, trial.data, options(loss, 15));
      } catch (const Error&) {
        continue;  // not the targets it wants
      }
      ++found;
      // A gradient that takes a part for a constant need not make the value smaller.
      if (row.formula.find("stop(") != std::string::npos) continue;
      const double before = history.epochs.front().loss, after = history.epochs.back().loss;
      EXPECT_TRUE(after < before || (before == 0 && after == 0))
          << row.name << " on " << trial.network << ": " << before << " to " << after;
    }
    EXPECT_GE(found, 1) << row.name << " needs a network and data in this file";
  }
}

TEST(Ctc, LearnsToReadThroughFit) {
  Network net = Network::parse("24 tanh, 18, reshape 6x3", Shape{4});
  const Dataset data = lists();
  const History history = fit(net, data, options(ctc(), 150));
  EXPECT_LT(history.epochs.back().loss, 0.1);
  EXPECT_TRUE(history.epochs.back().metrics.empty());
  const Tensor scores = net.predict(points());
  for (int64_t i = 0; i < rows; ++i) {
    Tensor one({6, 3});
    std::vector<int32_t> wanted;
    for (int64_t k = 0; k < 18; ++k) {
      one.data<float>()[static_cast<size_t>(k)] = static_cast<float>(scores.at(i * 18 + k));
    }
    for (int64_t k = 0; k < 2; ++k) {
      if (data.targets.at(2 * i + k) >= 0) {
        wanted.push_back(static_cast<int32_t>(data.targets.at(2 * i + k)));
      }
    }
    EXPECT_EQ(ctc_best_path(one), wanted) << i;
  }
}

TEST(Sequences, StepsWithoutALabelCountForNothing) {
  Network net = Network::parse("6, reshape 2x3", Shape{4});
  Dataset data = lists();
  FitOptions wanted = options(cross_entropy(), 100);
  wanted.metrics = {"accuracy", "perplexity"};
  const History history = fit(net, data, wanted);
  const Evaluation found = evaluate(net, data, cross_entropy(), {.metrics = wanted.metrics});
  EXPECT_GE(found["accuracy"], 0.6);
  EXPECT_NEAR(found["perplexity"], std::exp(found.loss), 1e-4);
  for (int32_t& label : data.targets.data<int32_t>()) label = label < 0 ? -7 : label;
  EXPECT_EQ(evaluate(net, data, cross_entropy(), {.metrics = wanted.metrics}), found);
}

TEST(Metrics, AreRefusedWhereOutputsHaveNoTargetsOfTheirOwn) {
  Network net = Network::parse("12, reshape 4x3", Shape{4});
  FitOptions wanted = options(ctc(), 1);
  wanted.metrics = {"accuracy"};
  EXPECT_ERROR(ArgumentError, fit(net, lists(), wanted), "accuracy", "leave the metrics out");
}

}  // namespace
}  // namespace soma
