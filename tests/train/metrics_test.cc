// Metrics against figures worked out by hand and, for r2, by scikit-learn 1.2 (r2_score).
#include "src/train/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/expect_error.h"

namespace soma::train {
namespace {

double measure(const std::string& name, const Answers& answers) {
  Metrics metrics({name}, !answers.labels.empty(), answers.width);
  metrics.add(answers);
  return metrics.scores()[0].value;
}

TEST(Accuracy, CountsTheLargestOutput) {
  const std::vector<float> outputs = {1, 3, 2, /**/ 5, 0, 0, /**/ 0, 0, 7, /**/ 1, 2, 3};
  const std::vector<int32_t> labels = {1, 0, 1, 2};
  EXPECT_DOUBLE_EQ(measure("accuracy", {outputs, 3, labels, {}}), 0.75);
}

TEST(Accuracy, GivesATieToTheFirst) {
  const std::vector<float> outputs = {2, 2, 1};
  const std::vector<int32_t> first = {0}, second = {1};
  EXPECT_EQ(measure("accuracy", {outputs, 3, first, {}}), 1);
  EXPECT_EQ(measure("accuracy", {outputs, 3, second, {}}), 0);
}

TEST(Accuracy, NeverCountsNaNAsRight) {
  const std::vector<float> outputs = {NAN, NAN};
  for (const int32_t label : {0, 1}) {
    EXPECT_EQ(measure("accuracy", {outputs, 2, std::vector<int32_t>{label}, {}}), 0);
  }
}

TEST(Accuracy, OfOneOutputLooksAtTheThreshold) {
  const std::vector<float> outputs = {-1, 0.2f, 0.7f, 3};
  const std::vector<float> numbers = {0, 1, 1, 0};
  const std::vector<int32_t> labels = {0, 1, 1, 0};
  EXPECT_EQ(measure("accuracy", {outputs, 1, {}, numbers, 0}), 0.75);
  EXPECT_EQ(measure("accuracy", {outputs, 1, {}, numbers, 0.5}), 0.5);
  EXPECT_EQ(measure("accuracy", {outputs, 1, labels, {}, 0.5}), 0.5);
}

TEST(TopAccuracy, LooksAtTheLargestFew) {
  const std::vector<float> outputs = {9, 8, 7, 6, 5, 4};
  for (int32_t label = 0; label < 6; ++label) {
    const std::vector<int32_t> labels = {label};
    EXPECT_EQ(measure("top3_accuracy", {outputs, 6, labels, {}}), label < 3);
    EXPECT_EQ(measure("top5_accuracy", {outputs, 6, labels, {}}), label < 5);
  }
}

TEST(Errors, AreThoseOfTheDefinition) {
  const std::vector<float> outputs = {2.5f, 0, 2, 8}, numbers = {3, -0.5f, 2, 7};
  const Answers answers{outputs, 1, {}, numbers};
  EXPECT_DOUBLE_EQ(measure("mse", answers), 0.375);
  EXPECT_DOUBLE_EQ(measure("rmse", answers), std::sqrt(0.375));
  EXPECT_DOUBLE_EQ(measure("mae", answers), 0.5);
  EXPECT_NEAR(measure("r2", answers), 0.948608137, 1e-9);
}

TEST(R2, IsAveragedOverColumns) {
  const std::vector<float> numbers = {0.5f, 1, -1, 1, 7, -6}, outputs = {0, 2, -1, 2, 8, -5};
  EXPECT_NEAR(measure("r2", {outputs, 2, {}, numbers}), 0.936800526662278, 1e-9);
}

TEST(R2, KeepsItsDigitsFarFromZero) {
  std::vector<float> numbers, outputs;
  for (int i = 0; i < 1000; ++i) {
    numbers.push_back(1e6f + static_cast<float>(i % 10));
    outputs.push_back(1e6f + static_cast<float>(i % 10) + (i % 2 ? 1.0f : -1.0f));
  }
  EXPECT_NEAR(measure("r2", {outputs, 1, {}, numbers}), 1 - 1 / 8.25, 1e-9);
}

TEST(Metrics, DoNotDependOnTheSizesOfBatches) {
  const std::vector<float> outputs = {1, 2, 4, 8, 16}, numbers = {1, 3, 3, 9, 12};
  for (const MetricInfo& info : metric_table()) {
    if (info.name.find("top") == 0) continue;
    Metrics metrics({std::string(info.name)}, false, 1);
    for (size_t i = 0; i < outputs.size(); ++i) {
      metrics.add({std::span(outputs).subspan(i, 1), 1, {}, std::span(numbers).subspan(i, 1)});
    }
    EXPECT_EQ(metrics.scores()[0].value,
              measure(std::string(info.name), {outputs, 1, {}, numbers}));
    metrics.reset();
    metrics.add({outputs, 1, {}, numbers});
    EXPECT_EQ(metrics.scores()[0].value,
              measure(std::string(info.name), {outputs, 1, {}, numbers}));
  }
}

TEST(Metrics, RefuseWhatDoesNotFit) {
  EXPECT_ERROR(ArgumentError, Metrics({"acuracy"}, true, 3), "acuracy", "accuracy");
  EXPECT_ERROR(ArgumentError, Metrics({"r2"}, true, 3), "r2", "classes");
  EXPECT_ERROR(ArgumentError, Metrics({"top3_accuracy"}, false, 3), "numbers");
}

}  // namespace
}  // namespace soma::train
