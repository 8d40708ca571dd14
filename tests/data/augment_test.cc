#include "soma/augment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/expect_error.h"

namespace soma {
namespace {

/// Images of different pixels, as bytes, and a number for each.
Dataset images(int64_t rows = 4, Shape sample = {3, 5, 7}) {
  Shape shape{rows};
  for (const int64_t extent : sample) shape.push_back(extent);
  Tensor pixels(shape, u8), targets({rows, 2});
  for (int64_t i = 0; i < pixels.elements(); ++i) pixels.set(i, static_cast<double>(i * 7 % 251));
  for (int64_t i = 0; i < targets.elements(); ++i) targets.set(i, static_cast<double>(i));
  return data::in_memory(std::move(pixels), std::move(targets));
}

struct Gathered {
  std::vector<float> inputs, targets;
  friend bool operator==(const Gathered&, const Gathered&) = default;
};

Gathered gather(const Dataset& dataset, const Augmentation& augmentation,
                const std::vector<int64_t>& rows, int64_t epoch = 1, uint64_t seed = 1) {
  Gathered result{std::vector<float>(rows.size() * static_cast<size_t>(dataset.features())),
                  std::vector<float>(rows.size() * 2)};
  Augmenter(augmentation, dataset, seed).gather(rows, epoch, result.inputs, result.targets);
  return result;
}
std::vector<float> plain(const Dataset& dataset, int64_t row) {
  std::vector<float> values(static_cast<size_t>(dataset.features()));
  dataset.gather_inputs({&row, 1}, values);
  return values;
}

TEST(Augmentation, ReadsAndWritesItsText) {
  const Augmentation both = augment::flip() + augment::crop(2);
  EXPECT_EQ(both.text(), "flip + crop(pad=2)");
  EXPECT_EQ(augmentation_named(both.text()).text(), both.text());
  EXPECT_EQ(augmentation_named("flip(0.25)+rotate + mixup").text(),
            "flip(chance=0.25) + rotate + mixup");
  EXPECT_TRUE(augmentation_named(" ").empty());
  for (const AugmentationRow& row : augmentations()) {
    EXPECT_EQ(augmentation_named(example_text(row)).text(), row.name);
  }
  EXPECT_ERROR(ArgumentError, augmentation_named("flop"), "flop", "flip");
  EXPECT_ERROR(ArgumentError, augmentation_named("crop(-1)"), "pad", "-1");
  EXPECT_ERROR(ArgumentError, augmentation_named("flip +"), "augmentation");
  EXPECT_ERROR(ArgumentError, augment::mixup(2), "alpha");
}

TEST(Augmentation, DependsOnSeedEpochAndRowAlone) {
  const Dataset dataset = images(40);
  const Augmentation all =
      augmentation_named("flip + crop(2) + shift + rotate + cutout(3) + mixup");
  const Gathered three = gather(dataset, all, {3}), more = gather(dataset, all, {7, 3, 0});
  const auto width = static_cast<std::ptrdiff_t>(dataset.features());
  EXPECT_TRUE(std::equal(three.inputs.begin(), three.inputs.end(), more.inputs.begin() + width));
  EXPECT_TRUE(std::equal(three.targets.begin(), three.targets.end(), more.targets.begin() + 2));
  EXPECT_EQ(three, gather(dataset, all, {3}));
  EXPECT_NE(three, gather(dataset, all, {3}, 2));
  EXPECT_NE(three, gather(dataset, all, {3}, 1, 2));
}

TEST(Augmentation, OfNothingGathersAsTheDataSetDoes) {
  Dataset dataset = images();
  dataset.input_scale = 1.0 / 255;
  dataset.input_shift = -0.5;
  EXPECT_EQ(gather(dataset, {}, {2}).inputs, plain(dataset, 2));
  std::vector<uint8_t> bytes(105);
  std::vector<float> none;
  const int64_t row = 2;
  Augmenter({}, dataset, 1).gather({&row, 1}, 1, bytes, none);
  const auto all = dataset.inputs.data<uint8_t>();
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), all.begin() + 210));
}

TEST(Augmentation, FlipsHalfOfTheRows) {
  const Dataset dataset = images(400, {2, 3});
  int flipped = 0;
  for (int64_t row = 0; row < 400; ++row) {
    std::vector<float> mirrored = plain(dataset, row);
    std::reverse(mirrored.begin(), mirrored.begin() + 3);
    std::reverse(mirrored.begin() + 3, mirrored.end());
    const auto found = gather(dataset, augment::flip(), {row}).inputs;
    EXPECT_TRUE(found == mirrored || found == plain(dataset, row));
    flipped += found == mirrored;
    EXPECT_EQ(gather(dataset, augment::flip(1), {row}).inputs, mirrored);
    EXPECT_EQ(gather(dataset, augment::flip(0), {row}).inputs, plain(dataset, row));
  }
  EXPECT_NEAR(flipped, 200, 40);
}

TEST(Augmentation, CropsAtEveryPlace) {
  const Dataset dataset = images(1, {4, 4});
  const auto old = plain(dataset, 0);
  std::set<std::pair<int, int>> seen;
  for (int64_t epoch = 1; epoch <= 300; ++epoch) {
    const auto found = gather(dataset, augment::crop(1), {0}, epoch).inputs;
    int fits = 0;
    for (int down = -1; down <= 1; ++down) {
      for (int right = -1; right <= 1; ++right) {
        bool same = true;
        for (int i = 0; i < 16; ++i) {
          const int y = i / 4 + down, x = i % 4 + right;
          const bool inside = y >= 0 && y < 4 && x >= 0 && x < 4;
          same = same && found[static_cast<size_t>(i)] ==
                             (inside ? old[static_cast<size_t>(4 * y + x)] : 0);
        }
        fits += same;
        if (same) seen.insert({down, right});
      }
    }
    EXPECT_EQ(fits, 1);
  }
  EXPECT_EQ(seen.size(), 9u);
}

TEST(Augmentation, TurnsAndShiftsAboutTheCentre) {
  const Dataset dataset = images(1, {1, 5, 5});
  EXPECT_EQ(gather(dataset, augment::rotate(0), {0}).inputs, plain(dataset, 0));
  EXPECT_EQ(gather(dataset, augment::shift(0), {0}).inputs, plain(dataset, 0));
  // The centre stays where it is, whatever the angle; the mean of a ramp does, too.
  Dataset ramp = images(1, {5, 5});
  for (int64_t i = 0; i < 25; ++i) ramp.inputs.set(i, static_cast<double>(10 * (i % 5)));
  bool turned = false;
  for (int64_t epoch = 1; epoch < 50; ++epoch) {
    const auto found = gather(dataset, augment::rotate(180), {0}, epoch).inputs;
    EXPECT_NEAR(found[12], plain(dataset, 0)[12], 1e-3);
    const auto slope = gather(ramp, augment::rotate(180), {0}, epoch).inputs;
    const double across = slope[13] - slope[11], down = slope[17] - slope[7];
    EXPECT_NEAR(across * across + down * down, 400, 1);  // the length of the gradient stays
    turned = turned || std::abs(down) > 10;
    const auto moved = gather(ramp, augment::shift(0.2), {0}, epoch).inputs;
    for (int i = 0; i < 25; ++i) EXPECT_NEAR(moved[static_cast<size_t>(i)], 10 * (i % 5), 10.001);
    EXPECT_NEAR(moved[12] - moved[11], 10, 1e-3);
  }
  EXPECT_TRUE(turned);
}

TEST(Augmentation, CutsOutASquareOfTheMean) {
  const Dataset dataset = images(60, {1, 9, 9});
  std::set<int> sizes;
  for (int64_t row = 0; row < 60; ++row) {
    const auto old = plain(dataset, row), found = gather(dataset, augment::cutout(3), {row}).inputs;
    const float mean = std::accumulate(old.begin(), old.end(), 0.0f) / 81;
    int changed = 0;
    for (size_t i = 0; i < 81; ++i) {
      if (found[i] == old[i]) continue;
      EXPECT_NEAR(found[i], mean, 1e-3);
      ++changed;
    }
    EXPECT_LE(changed, 9);
    sizes.insert(changed);
  }
  EXPECT_TRUE(sizes.contains(9));
  EXPECT_TRUE(sizes.contains(6) || sizes.contains(4));  // partly outside
}

TEST(Augmentation, MixesRowsAndTargetsAlike) {
  Dataset dataset = images(50, {1, 1, 2});
  for (int64_t i = 0; i < 50; ++i) {  // each row says which it is
    dataset.inputs.set(2 * i, static_cast<double>(i));
    dataset.inputs.set(2 * i + 1, static_cast<double>(i));
  }
  double sum = 0, squares = 0;
  int count = 0;
  for (int64_t epoch = 1; epoch <= 60; ++epoch) {
    for (int64_t row = 0; row < 50; ++row) {
      const Gathered found = gather(dataset, augment::mixup(0.5), {row}, epoch);
      // targets of row i are 2 i and 2 i + 1: linear in the row, as the inputs are
      EXPECT_NEAR(found.targets[0], 2 * found.inputs[0], 1e-3);
      EXPECT_NEAR(found.targets[1], 2 * found.inputs[0] + 1, 1e-3);
    }
    // Mixed with a row that is 0, row 0 being the only one with a target of 0, the share shows.
    Dataset two = dataset.subset(0, 2);
    const double share = gather(two, augment::mixup(0.5), {1}, epoch).inputs[0];
    EXPECT_GE(share, 0);
    EXPECT_LE(share, 1);
    if (share < 0.9999) sum += share, squares += share * share, ++count;
  }
  EXPECT_GT(count, 10);  // else the other row was the row itself
  EXPECT_NEAR(sum / count, 0.5, 0.2);
  EXPECT_NEAR(squares / count - sum / count * sum / count, 0.125, 0.08);  // of Beta(1/2, 1/2)
}

TEST(Augmentation, RefusesWhatItCannotChange) {
  Dataset table = data::in_memory(Tensor({4, 3}), Tensor({4, 1}));
  EXPECT_ERROR(ArgumentError, Augmenter(augment::flip(), table, 1), "flip", "images", "[3]");
  EXPECT_NO_THROW(Augmenter(augment::mixup(), table, 1));
  Dataset labelled = data::in_memory(Tensor({4, 3, 3}, u8), Tensor({4}, i32));
  EXPECT_ERROR(ArgumentError, Augmenter(augment::mixup(), labelled, 1), "mixup", "one_hot");
  Dataset tokens = data::in_memory(Tensor({4, 3, 3}, i32), Tensor({4}, i32));
  EXPECT_ERROR(TypeError, Augmenter(augment::flip(), tokens, 1), "i32");
  std::vector<uint8_t> bytes(3);
  std::vector<float> none;
  const int64_t row = 0;
  const Augmenter mixing(augment::mixup(), table, 1);
  EXPECT_ERROR(TypeError, mixing.gather({&row, 1}, 1, bytes, none), "bytes");
}

TEST(Augmentation, TakesOthersIntoTheRegistry) {
  augmentations().add({{"darker", "half", "", "", {}},
                       true,
                       false,
                       [](AugmentedRow& row, std::span<const std::string>) {
                         for (float& value : row.values) value /= 2;
                       }});
  const Dataset dataset = images();
  const auto found = gather(dataset, augmentation_named("darker + flip(0)"), {1}).inputs;
  const auto old = plain(dataset, 1);
  for (size_t i = 0; i < old.size(); ++i) EXPECT_EQ(found[i], old[i] / 2);
}

TEST(OneHot, MakesSharesOfLabels) {
  Dataset labelled =
      data::in_memory(Tensor({3, 2}), Tensor::of<int32_t>({3}, {2, 0, 1}), {"a", "b", "c"});
  const Dataset shares = data::one_hot(labelled);
  EXPECT_EQ(shares.targets, Tensor::of({3, 3}, {0, 0, 1, 1, 0, 0, 0, 1, 0}));
  EXPECT_ERROR(TypeError, data::one_hot(shares), "one label for each row");
}

}  // namespace
}  // namespace soma
