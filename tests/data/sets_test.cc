// The data sets with a name, against what is known of them from elsewhere.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "soma/data.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace soma {
namespace {

constexpr const char* fashion_folder = "/usr/share/datasets/fashion-mnist";

bool fashion_is_here() {
#ifdef SOMA_ZLIB
  return std::filesystem::exists(fashion_folder);
#else
  return false;  // its files are compressed
#endif
}

TEST(Sets, IrisIsTheRealOne) {
  const Dataset iris = data::iris();
  EXPECT_EQ(iris.size(), 150);
  EXPECT_EQ(iris.features(), 4);
  EXPECT_EQ(iris.class_names, (std::vector<std::string>{"setosa", "versicolor", "virginica"}));
  EXPECT_EQ(iris.schema.inputs()[2]->name, "petal length");
  const double means[] = {5.8433, 3.0573, 3.758, 1.1993};
  const double deviations[] = {0.8253, 0.4344, 1.7594, 0.7597};
  const data::Standardization s = data::measure_standardization(iris);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(s.mean[i], means[i], 5e-5);
    EXPECT_NEAR(s.deviation[i], deviations[i], 1e-4);
  }
  // Rows 34 and 37, which many copies have wrong.
  EXPECT_EQ(iris.subset(34, 35).inputs, Tensor::of({1, 4}, {4.9f, 3.1f, 1.5f, 0.2f}));
  EXPECT_EQ(iris.subset(37, 38).inputs, Tensor::of({1, 4}, {4.9f, 3.6f, 1.4f, 0.1f}));
  for (int64_t i = 0; i < 150; ++i) EXPECT_EQ(iris.targets.at(i), i / 50);
  EXPECT_EQ(data::load_csv(SOMA_SOURCE_DIR "/data/iris.csv").inputs, iris.inputs);
}

TEST(Sets, SunspotsAreTheRealOnes) {
  const Tensor series = data::sunspots();
  EXPECT_EQ(series.shape(), (Shape{3177}));
  double sum = 0;
  int64_t top = 0;
  for (int64_t i = 0; i < 3177; ++i) {
    sum += series.at(i);
    if (series.at(i) > series.at(top)) top = i;
  }
  // As R says of its sunspot.month: mean() and which.max(), October 1957.
  EXPECT_NEAR(sum / 3177, 51.96481, 1e-5);
  EXPECT_EQ(top, (1957 - 1749) * 12 + 9);
  EXPECT_NEAR(series.at(top), 253.8, 1e-4);

  const auto [train, test] = data::named("sunspots");
  EXPECT_EQ(train.size(), 2399);
  EXPECT_EQ(test.size(), 624);
  EXPECT_EQ(test.targets.at(test.targets.elements() - 1), series.at(3176));
  // The first month to be predicted is the last training target's successor.
  EXPECT_EQ(test.targets.at(0), series.at(3177 - 635));
  EXPECT_EQ(train.targets.at(train.targets.elements() - 1), series.at(3177 - 636));
}

TEST(Windows, HoldStepsAndWhatComesNext) {
  const Dataset one = data::windows(Tensor::of({5}, {1, 2, 3, 4, 5}), 2, 2);
  EXPECT_EQ(one.inputs, Tensor::of({2, 2, 1}, {1, 2, 2, 3}));
  EXPECT_EQ(one.targets, Tensor::of({2, 2}, {3, 4, 4, 5}));
  const Tensor pairs = Tensor::of({3, 2}, {1, 10, 2, 20, 3, 30});
  const Dataset two = data::windows(pairs, 2, 1, 1);
  EXPECT_EQ(two.inputs, Tensor::of({1, 2, 2}, {1, 10, 2, 20}));
  EXPECT_EQ(two.targets, Tensor::of({1, 1}, {30}));
  EXPECT_ERROR(ArgumentError, data::windows(pairs, 3), "do not fit into a series of 3 steps");
  EXPECT_ERROR(ArgumentError, data::windows(pairs, 1, 1, 2), "of a series of 2 columns");
  EXPECT_ERROR(ShapeError, data::windows(Tensor(Shape{2, 2, 2}), 1), "[time, columns]");
  EXPECT_ERROR(TypeError, data::windows(Tensor({4}, i32), 1), "cast it first");
}

TEST(Sets, FashionMnistIsTheRealOne) {
  if (!fashion_is_here()) GTEST_SKIP() << "dataset-fashion-mnist or zlib is missing";
  const auto [train, test] = data::fashion_mnist();
  EXPECT_EQ(train.inputs.shape(), (Shape{60000, 28, 28}));
  EXPECT_EQ(test.inputs.shape(), (Shape{10000, 28, 28}));
  EXPECT_EQ(train.inputs.type(), u8);
  EXPECT_EQ(train.features(), 784);
  EXPECT_EQ(train.classes(), 10);
  EXPECT_EQ(train.class_names[9], "ankle boot");
  const auto labels = train.targets.data<int32_t>();
  EXPECT_EQ(std::vector<int32_t>(labels.begin(), labels.begin() + 5),
            (std::vector<int32_t>{9, 0, 0, 3, 0}));
  std::vector<int> counts(10), test_counts(10);
  for (const int32_t label : labels) ++counts[label];
  for (const int32_t label : test.targets.data<int32_t>()) ++test_counts[label];
  EXPECT_EQ(counts, std::vector<int>(10, 6000));
  EXPECT_EQ(test_counts, std::vector<int>(10, 1000));
  // The published mean and deviation of the scaled pixels: 0.2860 and 0.3530.
  const auto pixels = train.inputs.data<uint8_t>();
  double sum = 0, squares = 0;
  for (const uint8_t pixel : pixels) sum += pixel, squares += pixel * pixel;
  const auto count = static_cast<double>(pixels.size());
  const double mean = sum / count / 255;
  EXPECT_NEAR(mean, 0.2860, 5e-5);
  EXPECT_NEAR(std::sqrt(squares / count / 255 / 255 - mean * mean), 0.3530, 5e-5);
  std::vector<float> image(784);
  const int64_t first = 0;
  train.gather_inputs({&first, 1}, image);
  EXPECT_EQ(*std::max_element(image.begin(), image.end()), 1.0f);
}

TEST(Sets, FashionMnistIsFoundWhereTheUserSays) {
  if (!fashion_is_here()) GTEST_SKIP() << "dataset-fashion-mnist or zlib is missing";
  const TemporaryFolder folder;
  EXPECT_ERROR(FileError, data::fashion_mnist(folder.path()), folder.path(),
               "train-images-idx3-ubyte", "apt-get install dataset-fashion-mnist", "SOMA_DATA");
  for (const auto& entry : std::filesystem::directory_iterator(fashion_folder)) {
    std::filesystem::create_symlink(entry, folder / entry.path().filename().string());
  }
  setenv("SOMA_DATA", folder.path().c_str(), 1);
  EXPECT_EQ(data::fashion_mnist().test.size(), 10000);
  // Another data set under the right name is told apart.
  std::filesystem::remove(folder / "t10k-images-idx3-ubyte.gz");
  folder.write("t10k-images-idx3-ubyte", std::string("\0\0\x08\1\0\0\0\2ab", 10));
  EXPECT_ERROR(FileError, data::fashion_mnist(), "t10k-images-idx3-ubyte", "[2]",
               "[10000, 28, 28]");
  unsetenv("SOMA_DATA");
}

TEST(Sets, XorIsXor) {
  const Dataset dataset = data::xor_gate();
  for (int64_t i = 0; i < 4; ++i) {
    const bool a = dataset.inputs.at(2 * i) != 0, b = dataset.inputs.at(2 * i + 1) != 0;
    EXPECT_EQ(dataset.targets.at(i), a != b);
  }
}

TEST(Sets, GeneratedSetsAreReproducibleAndBalanced) {
  for (const auto make : {+[](uint64_t seed) { return data::two_spirals(100, seed); },
                          +[](uint64_t seed) { return data::two_moons(100, 0.1, seed); }}) {
    const Dataset dataset = make(1);
    EXPECT_EQ(dataset.size(), 100);
    EXPECT_EQ(dataset.classes(), 2);
    const auto labels = dataset.targets.data<int32_t>();
    EXPECT_EQ(std::accumulate(labels.begin(), labels.end(), 0), 50);
    EXPECT_EQ(make(1).inputs, dataset.inputs);
    EXPECT_NE(make(2).inputs, dataset.inputs);
  }
}

TEST(Sets, PointsLieOnTheirCurves) {
  const Dataset moons = data::two_moons(50, 0), spirals = data::two_spirals(50);
  for (int64_t i = 0; i < 50; ++i) {
    const double label = moons.targets.at(i);
    EXPECT_NEAR(std::hypot(moons.inputs.at(2 * i) - label, moons.inputs.at(2 * i + 1) - label / 2),
                1, 1e-6);
    const double x = spirals.inputs.at(2 * i), y = spirals.inputs.at(2 * i + 1);
    const double turn = 3 * std::hypot(x, y) + spirals.targets.at(i);
    EXPECT_NEAR(std::remainder(turn - std::atan2(y, x) / M_PI, 2), 0, 1e-5);
  }
}

TEST(Sets, EveryNameLoads) {
  for (const data::NamedDataset& row : data::registry()) {
    EXPECT_FALSE(row.description.empty() || row.rows.empty() || row.shape.empty() ||
                 row.source.empty() || row.licence.empty())
        << row.name;
    if (row.name == "fashion-mnist" && !fashion_is_here()) continue;
    EXPECT_EQ(data::named(row.name).train.name, row.name);
  }
  EXPECT_EQ(data::named("iris").test.size(), 0);
}

TEST(Sets, RefuseWhatMakesNoSense) {
  EXPECT_ERROR(ArgumentError, data::named("irish"), "\"irish\"", "did you mean \"iris\"",
               "fashion-mnist");
  EXPECT_ERROR(ArgumentError, data::two_spirals(1), "spirals", "at least 2", "1 were");
  EXPECT_ERROR(ArgumentError, data::two_moons(10, -1), "noise", "-1");
}

}  // namespace
}  // namespace soma
