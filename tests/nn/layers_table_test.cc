// The layer that takes the rows of tables.
#include <gmock/gmock.h>

#include <cmath>

#include "soma/error.h"
#include "soma/network.h"
#include "tests/expect_error.h"

namespace soma {
namespace {

using testing::HasSubstr;

const float nan = std::nanf("");

/// What the layer gives, on the CPU and in the interpreter.
void expect_encoded(const std::string& encodings, const Tensor& rows,
                    const std::vector<float>& wanted, double tolerance = 1e-5) {
  Network net = Network::parse("table " + encodings, Shape{rows.shape()[1]});
  for (const Device& device : {Device::cpu(1), Device::reference()}) {
    const Tensor found = net.predict(rows, device);
    ASSERT_EQ(found.elements(), static_cast<int64_t>(wanted.size())) << encodings;
    for (size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_NEAR(found.at(static_cast<int64_t>(i)), wanted[i], tolerance) << encodings << " " << i;
    }
  }
}

TEST(TableLayer, StandardizesNumbersAndFillsInTheMean) {
  const Tensor rows = Tensor::of({3, 1}, std::vector<float>{1, nan, 7});
  expect_encoded("[number(3 2)]", rows, {-1, 0, 2});
  expect_encoded("[number(3 2 missing=true)]", rows, {-1, 0, 0, 1, 2, 0});
  expect_encoded("[number]", Tensor::of({1, 1}, {4}), {4});
  // Side by side, with others between.
  expect_encoded("[number(3 2) number(1 4) one_hot(2) number(0 2) number(2 1) number(1 1 true)]",
                 Tensor::of({2, 6}, std::vector<float>{5, 3, 1, 4, nan, 2,  //
                                                       nan, 1, 0, 0, 7, nan}),
                 {1, 0.5, 0, 1, 2, 0, 1, 0, 0, 0, 1, 0, 0, 5, 0, 1});
}

TEST(TableLayer, GivesEachCategoryItsNumber) {
  // Known ones, an unknown one, a missing one.
  const Tensor rows = Tensor::of({4, 1}, std::vector<float>{0, 2, 3, nan});
  expect_encoded("[one_hot(3)]", rows, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0});
  expect_encoded("[one_hot(3 missing=true)]", rows,
                 {1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

TEST(TableLayer, KnowsTheYearAndTheWeek) {
  const double day = 19000;
  const auto at = [&](double period) { return 2 * M_PI * day / period; };
  expect_encoded(
      "[date(18000 500)]", Tensor::of({1, 1}, {19000}),
      {2, static_cast<float>(std::sin(at(365.2425))), static_cast<float>(std::cos(at(365.2425))),
       static_cast<float>(std::sin(at(7))), static_cast<float>(std::cos(at(7)))},
      1e-4);
  const Network net = Network::parse("table [date(18000 500)]", Shape{1});
  const Tensor missing = net.predict(Tensor::of({1, 1}, std::vector<float>{nan}));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(std::isfinite(missing.at(i)));
}

TEST(TableLayer, EmbedsManyCategories) {
  Network net = Network::parse("table [number(0 1) embedding(3 2)]", Shape{2});
  Tensor& table = net.tensors().at("table1/embedding1");
  ASSERT_EQ(table.shape(), (Shape{4, 2}));
  for (int64_t i = 0; i < 8; ++i) table.set(i, static_cast<double>(i));
  const Tensor rows = Tensor::of({4, 2}, std::vector<float>{5, 0, 5, 2, 5, 3, 5, nan});
  const Tensor found = net.predict(rows);
  EXPECT_EQ(found, Tensor::of({4, 3}, {5, 0, 1, 5, 4, 5, 5, 6, 7, 5, 6, 7}));
  EXPECT_EQ(net.info().parameters, 8);
}

TEST(TableLayer, ReadsItsText) {
  const std::string text =
      "input 3, table [number(mean=43.9 deviation=5.5 missing=true) one_hot(3) embedding(40 6)], "
      "64 relu, 1";
  const Network net = Network::parse(text);
  EXPECT_EQ(Network::parse(net.text()), net);
  EXPECT_EQ(net.info().layers[0].output, (Shape{2 + 3 + 6}));
  EXPECT_ERROR(ArgumentError, Network::parse("table [numbr(1 2)]", Shape{1}), "numbr", "number");
  EXPECT_ERROR(ArgumentError, Network::parse("table number", Shape{1}), "columns like");
  EXPECT_ERROR(ArgumentError, Network::parse("table [number(1 0)]", Shape{1}), "deviation");
  EXPECT_ERROR(ArgumentError, Network::parse("table [one_hot]", Shape{1}), "categories");
  EXPECT_ERROR(ShapeError, Network::parse("table [number(1 2)]", Shape{2}), "1 column", "[1, 2]");
  EXPECT_ERROR(ShapeError, Network::parse("table []", Shape{2}), "0 columns");
}

}  // namespace
}  // namespace soma
