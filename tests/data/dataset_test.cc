#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "soma/data.h"
#include "tests/expect_error.h"

namespace soma {
namespace {

using data::in_memory;

/// Row i holds the numbers 10i, 10i + 1, 10i + 2 and the label i % 3.
Dataset counting(int64_t n) {
  Tensor inputs({n, 3}), labels({n}, i32);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < 3; ++j) inputs.set(3 * i + j, static_cast<double>(10 * i + j));
    labels.set(i, static_cast<double>(i % 3));
  }
  Dataset dataset = in_memory(inputs, labels, {"a", "b", "c"});
  dataset.name = "counting";
  return dataset;
}

TEST(Dataset, KnowsItsShape) {
  const Dataset dataset = counting(6);
  EXPECT_EQ(dataset.size(), 6);
  EXPECT_EQ(dataset.input_shape(), (Shape{3}));
  EXPECT_EQ(dataset.target_shape(), Shape{});
  EXPECT_EQ(dataset.features(), 3);
  EXPECT_TRUE(dataset.is_classification());
  EXPECT_EQ(dataset.classes(), 3);
  EXPECT_EQ(Dataset{}.size(), 0);
  EXPECT_EQ(Dataset{}.classes(), 0);
}

TEST(Dataset, CountsClassesWithoutNames) {
  EXPECT_EQ(in_memory(Tensor({3, 1}), Tensor::of<int32_t>({3}, {4, 0, 1})).classes(), 5);
}

TEST(Dataset, CutsRows) {
  const Dataset part = counting(6).subset(2, 4);
  EXPECT_EQ(part.inputs, Tensor::of({2, 3}, {20, 21, 22, 30, 31, 32}));
  EXPECT_EQ(part.targets, Tensor::of<int32_t>({2}, {2, 0}));
  EXPECT_EQ(part.class_names, counting(6).class_names);
  EXPECT_EQ(counting(6).subset(3, 3).size(), 0);
  const int64_t twice[] = {5, 5};
  EXPECT_EQ(counting(6).rows(twice).inputs, Tensor::of({2, 3}, {50, 51, 52, 50, 51, 52}));
}

TEST(Dataset, SplitsIntoAllRowsOnceBySeed) {
  const Dataset all = counting(100);
  const auto [train, test] = all.split(0.8, 7);
  EXPECT_EQ(train.size(), 80);
  EXPECT_EQ(test.size(), 20);
  std::vector<float> firsts;
  for (const Dataset* part : {&train, &test}) {
    for (int64_t i = 0; i < part->size(); ++i) {
      const auto first = static_cast<float>(part->inputs.at(3 * i));
      firsts.push_back(first);
      EXPECT_EQ(part->targets.at(i), static_cast<int64_t>(first / 10) % 3);
    }
  }
  EXPECT_FALSE(std::is_sorted(firsts.begin(), firsts.end()));
  std::sort(firsts.begin(), firsts.end());
  for (size_t i = 0; i < firsts.size(); ++i) EXPECT_EQ(firsts[i], 10 * i);

  EXPECT_EQ(all.split(0.8, 7).first.inputs, train.inputs);
  EXPECT_NE(all.split(0.8, 8).first.inputs, train.inputs);
  EXPECT_EQ(all.split(0, 1).first.size(), 0);
  EXPECT_EQ(all.split(1, 1).second.size(), 0);
}

TEST(Dataset, PermutationsDependOnSeedAndRound) {
  const auto order = data::permutation(10, 3);
  EXPECT_EQ(order, data::permutation(10, 3));
  EXPECT_NE(order, data::permutation(10, 3, 1));
  EXPECT_NE(order, data::permutation(10, 4));
  EXPECT_TRUE(data::permutation(0, 1).empty());
}

TEST(Dataset, GathersABatch) {
  const Dataset dataset = counting(6);
  const std::vector<int64_t> rows{4, 0};
  std::vector<float> inputs(6);
  std::vector<int32_t> labels(2);
  dataset.gather_inputs(rows, inputs);
  dataset.gather_targets(rows, labels);
  EXPECT_EQ(inputs, (std::vector<float>{40, 41, 42, 0, 1, 2}));
  EXPECT_EQ(labels, (std::vector<int32_t>{1, 0}));

  Tensor batch({3, 3}, f64), targets({3});  // longer than the rows: the rest stays
  dataset.gather_batch(rows, batch, targets);
  EXPECT_EQ(batch, Tensor::of<double>({3, 3}, {40, 41, 42, 0, 1, 2, 0, 0, 0}));
  EXPECT_EQ(targets, Tensor::of({3}, {1, 0, 0}));
}

TEST(Dataset, ScalesBytesExactlyToTheUnitInterval) {
  Dataset dataset = in_memory(Tensor::of<uint8_t>({4, 1}, {0, 1, 128, 255}), Tensor({4, 1}));
  dataset.input_scale = 1.0 / 255;
  const std::vector<int64_t> rows{0, 1, 2, 3};
  std::vector<float> out(4);
  dataset.gather_inputs(rows, out);
  EXPECT_EQ(out[0], 0.0f);
  EXPECT_FLOAT_EQ(out[1], 1 / 255.0f);
  EXPECT_FLOAT_EQ(out[2], 128 / 255.0f);
  EXPECT_EQ(out[3], 1.0f);
  dataset.input_shift = -0.5;
  dataset.gather_inputs(rows, out);
  EXPECT_EQ(out[3], 0.5f);
}

TEST(Dataset, TakesTargetsOfManyTypes) {
  const Tensor inputs({2, 1});
  EXPECT_EQ(in_memory(inputs, Tensor::of<double>({2}, {1.5, 2})).targets,
            Tensor::of({2, 1}, {1.5, 2}));
  EXPECT_EQ(in_memory(inputs, Tensor::of<int64_t>({2}, {1, 0})).targets,
            Tensor::of<int32_t>({2}, {1, 0}));
  EXPECT_EQ(in_memory(inputs, Tensor::of<uint8_t>({2}, {1, 0})).targets,
            Tensor::of<int32_t>({2}, {1, 0}));
  EXPECT_FALSE(in_memory(inputs, Tensor({2, 3})).is_classification());
}

TEST(Dataset, StandardizesWithTheTrainingRows) {
  Dataset train =
      in_memory(Tensor::of({4, 3}, {1, 5, 100, 3, 5, 200, 5, 5, 300, 7, 5, 400}), Tensor({4, 1}));
  Dataset test = train.subset(3, 4);
  const data::Standardization s = data::standardize(train);
  EXPECT_EQ(s.mean, (std::vector<float>{4, 5, 250}));
  EXPECT_FLOAT_EQ(s.deviation[0], std::sqrt(5.0f));
  EXPECT_EQ(s.deviation[1], 1.0f);  // never changes
  for (int64_t feature : {0, 2}) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < 4; ++i) {
      sum += train.inputs.at(3 * i + feature);
      squares += std::pow(train.inputs.at(3 * i + feature), 2);
    }
    EXPECT_NEAR(sum, 0, 1e-6);
    EXPECT_NEAR(squares / 4, 1, 1e-6);
  }
  data::standardize(test, s);
  EXPECT_EQ(test.inputs, train.subset(3, 4).inputs);
}

TEST(Dataset, StandardizesScaledBytesAsTheNumbersANetSees) {
  Dataset dataset = in_memory(Tensor::of<uint8_t>({2, 1}, {0, 255}), Tensor({2, 1}));
  dataset.input_scale = 1.0 / 255;
  const data::Standardization s = data::standardize(dataset);
  EXPECT_FLOAT_EQ(s.mean[0], 0.5f);
  EXPECT_FLOAT_EQ(s.deviation[0], 0.5f);
  EXPECT_EQ(dataset.inputs, Tensor::of({2, 1}, {-1, 1}));
  EXPECT_EQ(dataset.input_scale, 1);
}

TEST(Dataset, RefusesWhatDoesNotFit) {
  const Tensor two({2, 1});
  const Tensor labels = Tensor::of<int32_t>({2}, {0, 1});
  EXPECT_ERROR(ShapeError, in_memory(Tensor(Shape{}), labels), "at least one row", "[]");
  EXPECT_ERROR(ShapeError, in_memory(Tensor({0, 4}), Tensor({0})), "at least one row", "[0, 4]");
  EXPECT_ERROR(ShapeError, in_memory(two, Tensor({3})), "[2, 1]", "[3]", "number of rows");
  EXPECT_ERROR(TypeError, in_memory(two, Tensor({2}), {"a"}), "class names", "f32");
  EXPECT_ERROR(ArgumentError, in_memory(two, Tensor::of<int32_t>({2}, {0, -1})), "target 1", "-1");
  EXPECT_ERROR(ArgumentError, in_memory(two, labels, {"only"}), "target 1", "at most 0");
  EXPECT_ERROR(ArgumentError, in_memory(two, Tensor::of<int64_t>({2}, {0, int64_t{1} << 40})),
               "target 1");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_ERROR(ArgumentError, in_memory(Tensor::of({2, 2}, {1, 2, 3, nan}), labels), "row 1",
               "inputs", "nan", "place 1");
  EXPECT_ERROR(ArgumentError, in_memory(two, Tensor::of({2}, {1, INFINITY})), "targets", "inf");
}

TEST(Dataset, RefusesRowsAndBuffersThatAreNotThere) {
  const Dataset dataset = counting(6);
  std::vector<float> six(6);
  std::vector<int32_t> labels(9);
  const std::vector<int64_t> beyond{6}, before{-1}, three{0, 1, 2};
  EXPECT_ERROR(ArgumentError, dataset.gather_inputs(beyond, six), "counting", "6 rows", "row 6");
  EXPECT_ERROR(ArgumentError, dataset.rows(before), "counting", "row -1");
  EXPECT_ERROR(ArgumentError, dataset.gather_inputs(three, six), "3 rows of 3", "buffer of 6");
  EXPECT_ERROR(TypeError, dataset.gather_inputs(three, labels), "counting", "f32", "i32");
  Tensor bytes({3, 3}, u8), targets({3});
  EXPECT_ERROR(TypeError, dataset.gather_batch(three, bytes, targets), "u8", "use f32");
  EXPECT_ERROR(ArgumentError, dataset.subset(4, 7), "counting", "6 rows", "from 4 to 7");
  EXPECT_ERROR(ArgumentError, dataset.split(1.5, 1), "counting", "1.5");
  EXPECT_ERROR(ArgumentError, dataset.split(nan(""), 1), "counting", "nan");
  EXPECT_ERROR(ArgumentError, data::permutation(-1, 1), "-1");
  Dataset empty = dataset.subset(0, 0);
  EXPECT_ERROR(ArgumentError, data::standardize(empty), "counting", "empty");
  EXPECT_ERROR(ShapeError, data::standardize(empty, data::Standardization{{0}, {1}}), "3 features",
               "made for 1");
}

}  // namespace
}  // namespace soma
