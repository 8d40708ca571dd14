// Batches prepared ahead: the same ones, in the same order, whatever happens in between. A folder
// of its own, so that the thread sanitizer sees all of it.
#include "soma/loader.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>

#include "tests/expect_error.h"

namespace soma {
namespace {

Dataset images(int64_t rows = 50) {
  std::vector<uint8_t> pixels(static_cast<size_t>(rows) * 64);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * 37 % 251);
  std::vector<int32_t> labels(static_cast<size_t>(rows));
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int32_t>(i % 3);
  Dataset dataset = data::in_memory(Tensor::of<uint8_t>({rows, 8, 8}, pixels),
                                    Tensor::of<int32_t>({rows}, labels));
  dataset.input_scale = 1.0 / 255;
  return dataset;
}

/// All that the batches of some epochs hold, joined.
struct Taken {
  std::vector<int64_t> rows;
  std::vector<float> inputs;
  std::vector<int32_t> targets;
  friend bool operator==(const Taken&, const Taken&) = default;
};
Taken take(Loader& loader, int64_t batches) {
  Taken all;
  for (int64_t i = 0; i < batches; ++i) {
    const Batch& batch = loader.next();
    const auto inputs = batch.inputs.data<float>();
    const auto targets = batch.targets.data<int32_t>();
    all.rows.insert(all.rows.end(), batch.rows.begin(), batch.rows.end());
    all.inputs.insert(all.inputs.end(), inputs.begin(), inputs.end());
    all.targets.insert(all.targets.end(), targets.begin(), targets.end());
  }
  return all;
}

TEST(Loader, GivesEachRowOnceInAnEpoch) {
  const Dataset dataset = images();
  Loader loader(dataset, {.batch = 8, .seed = 4, .prefetch = 2});
  ASSERT_EQ(loader.batches(), 7);
  for (int64_t epoch = 1; epoch <= 3; ++epoch) {
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < 7; ++i) {
      const Batch& batch = loader.next();
      EXPECT_EQ(batch.epoch, epoch);
      EXPECT_EQ(batch.index, i);
      EXPECT_EQ(batch.inputs.shape(), (Shape{i < 6 ? 8 : 2, 8, 8}));
      for (size_t row = 0; row < batch.rows.size(); ++row) {
        rows.push_back(batch.rows[row]);
        EXPECT_EQ(batch.targets.at(static_cast<int64_t>(row)),
                  static_cast<double>(rows.back() % 3));
        EXPECT_FLOAT_EQ(static_cast<float>(batch.inputs.at(static_cast<int64_t>(row) * 64)),
                        static_cast<float>(dataset.inputs.at(rows.back() * 64) / 255));
      }
    }
    EXPECT_EQ(rows, data::permutation(50, 4, static_cast<uint64_t>(epoch)));
  }
}

TEST(Loader, GivesTheSameHoweverManyAreAhead) {
  const Dataset dataset = images();
  const auto taken = [&](int prefetch) {
    Loader loader(dataset, {.batch = 8,
                            .seed = 4,
                            .augment = augment::flip() + augment::crop(2) + augment::rotate(),
                            .prefetch = prefetch});
    return take(loader, 20);
  };
  const Taken without = taken(0);
  for (const int prefetch : {1, 2, 7, 30}) EXPECT_TRUE(taken(prefetch) == without) << prefetch;
}

TEST(Loader, KeepsTheOrderAndDropsTheRestWhenAsked) {
  const Dataset dataset = images();
  Loader loader(dataset, {.batch = 8, .shuffle = false, .drop_last = true, .bytes = true});
  ASSERT_EQ(loader.batches(), 6);
  int64_t expected = 0;
  for (int i = 0; i < 6; ++i) {
    const Batch& batch = loader.next();
    ASSERT_EQ(batch.inputs.type(), u8);
    for (const int64_t row : batch.rows) EXPECT_EQ(row, expected++);
    EXPECT_EQ(batch.inputs.at(0), dataset.inputs.at(batch.rows[0] * 64));
  }
  EXPECT_EQ(loader.next().rows[0], 0) << "the next epoch";
}

TEST(Loader, GoesToAnyBatch) {
  const Dataset dataset = images();
  const LoaderOptions options{.batch = 8, .seed = 9, .augment = augment::flip(), .prefetch = 3};
  Loader straight(dataset, options), jumping(dataset, options);
  std::vector<Taken> batches;
  for (int i = 0; i < 21; ++i) batches.push_back(take(straight, 1));
  for (const int number : {5, 6, 2, 20, 0, 1, 7, 7, 13, 4}) {
    jumping.seek(number / 7 + 1, number % 7);
    EXPECT_TRUE(take(jumping, 1) == batches[static_cast<size_t>(number)]) << number;
  }
  Loader moved = std::move(jumping);
  EXPECT_TRUE(take(moved, 1) == batches[5]);
}

/// Fails in the row whose first pixel is 37 * 64 % 251 = 109: row 1.
Augmentation failing() {
  const auto add = [] {
    augmentations().add({{"failing", "", "", "", {}},
                         true,
                         false,
                         [](AugmentedRow& row, std::span<const std::string>) {
                           if (row.values[0] == 109) throw std::runtime_error("row 1 is torn");
                         }});
    return true;
  };
  static const bool added = add();
  return added ? augmentation_named("failing") : Augmentation();
}

TEST(Loader, HandsOverWhatPreparationThrew) {
  const Dataset dataset = images();
  for (const int prefetch : {0, 1, 4}) {
    Loader loader(dataset,
                  {.batch = 1, .shuffle = false, .augment = failing(), .prefetch = prefetch});
    EXPECT_EQ(loader.next().rows[0], 0);
    for (int again = 0; again < 2; ++again) {
      try {
        loader.next();
        ADD_FAILURE() << "row 1 was given";
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "row 1 is torn");
      }
      EXPECT_EQ(loader.next().rows[0], 2);
      loader.seek(1, 1);
    }
  }
}

TEST(Loader, EndsWhileItPrepares) {
  const Dataset dataset = images();
  for (int i = 0; i < 50; ++i) {
    Loader loader(dataset, {.batch = 8, .augment = augment::rotate(), .prefetch = 1 + i % 3});
    for (int taken = 0; taken < i % 4; ++taken) loader.next();
    if (i % 5 == 0) loader.seek(3, 2);
  }
}

TEST(Loader, RefusesOptionsThatDoNotFit) {
  const Dataset dataset = images(3);
  EXPECT_ERROR(ArgumentError, Loader(dataset, {.batch = 0}), "at least one row", "0");
  EXPECT_ERROR(ArgumentError, Loader(dataset, {.prefetch = -1}), "-1");
  EXPECT_ERROR(ArgumentError, Loader(dataset, {.batch = 4, .drop_last = true}), "3 rows",
               "no batch of 4");
  EXPECT_ERROR(ArgumentError, Loader(dataset, {.augment = augment::mixup()}), "mixup");
  Loader loader(dataset, {.batch = 2});
  EXPECT_ERROR(ArgumentError, loader.seek(1, 2), "no batch 2 of epoch 1");
  EXPECT_ERROR(ArgumentError, loader.seek(0, 0), "epoch 0");
}

}  // namespace
}  // namespace soma
