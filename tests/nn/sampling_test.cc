// Sampling at free places against loops written by hand.
#include <cmath>

#include "soma/convolution.h"
#include "tests/nn/spatial.h"

namespace soma::test {

namespace {

/// A coordinate in elements, from the definition.
double element_of(double v, int64_t extent, const GridOptions& o) {
  const auto e = static_cast<double>(extent);
  double at = o.align_corners ? (v + 1) / 2 * (e - 1) : ((v + 1) * e - 1) / 2;
  const double low = o.align_corners ? 0 : -0.5, high = o.align_corners ? e - 1 : e - 0.5;
  if (o.outside == Outside::reflection) {
    while (high > low && (at < low || at > high)) at = at < low ? 2 * low - at : 2 * high - at;
  }
  if (o.outside != Outside::zeros) at = std::min(std::max(at, 0.0), e - 1);
  return at;
}

/// Every element of x weighed by its nearness.
Tensor by_hand(const Tensor& x_values, const Tensor& grid, const GridOptions& o) {
  const Field x(x_values);
  const int n = x_values.shape().rank() - 2;
  Shape shape{x_values.shape()[0], x_values.shape()[1]};
  for (int i = 0; i < n; ++i) shape.push_back(grid.shape()[i + 1]);
  Field y(Tensor(shape, f64));
  for_each_index(y.shape(), [&](const Dims& at) {
    int64_t row = at[0];
    for (int i = 0; i < 3; ++i) row = row * y.shape()[i + 2] + at[i + 2];
    std::array<double, 3> place{};
    for (int i = 0; i < n; ++i) {
      place[static_cast<size_t>(3 - n + i)] =
          element_of(grid.at(row * n + n - 1 - i), x.shape()[5 - n + i], o);
    }
    for_each_index(x.shape(), [&](const Dims& from) {
      if (from[0] != at[0] || from[1] != at[1]) return;
      double weight = 1;
      for (int i = 0; i < 3; ++i) {
        const double d = std::abs(static_cast<double>(from[i + 2]) - place[static_cast<size_t>(i)]);
        weight *= o.mode == Interpolation::linear ? std::max(0.0, 1 - d) : d < 0.5 ? 1 : 0;
      }
      y.add(at, weight * x(from));
    });
  });
  return y.tensor();
}

Tensor scaled(Tensor tensor, double by) {
  for (int64_t i = 0; i < tensor.elements(); ++i) tensor.set(i, tensor.at(i) * by);
  return tensor;
}

}  // namespace

TEST(GridSample, ReadsBetweenTheElements) {
  const std::pair<Shape, Shape> shapes[] = {{{2, 3, 4, 5}, {2, 3, 2, 2}},
                                            {{1, 2, 3, 2, 4}, {1, 2, 1, 3, 3}}};
  for (const auto& [array, places] : shapes) {
    // Some places lie well outside.
    const Tensor x = random_tensor(array, 1), grid = scaled(random_tensor(places, 2), 2.3);
    for (const Outside outside : {Outside::zeros, Outside::border, Outside::reflection}) {
      for (const bool align : {false, true}) {
        for (const Interpolation mode : {Interpolation::linear, Interpolation::nearest}) {
          const GridOptions o{mode, outside, align};
          const Tensor found =
              checked([&](std::span<const Value> in) { return grid_sample(in[0], in[1], o); },
                      {x, grid}, cat("outside ", static_cast<int>(outside), " align ", align));
          expect_near(found, by_hand(x, grid, o), 1e-9, "grid_sample");
        }
      }
    }
  }
}

TEST(GridSample, CubicEqualsTheOneOfResize) {
  // Places of a finer grid, in rows and columns, and the edges repeated.
  const Tensor x = random_tensor({1, 2, 3, 4}, 1);
  const Tensor theta = Tensor::of({1, 2, 3}, std::vector<double>{1, 0, 0, 0, 1, 0});
  const auto sampled = [&](Outside outside, bool align) {
    return meaning_of(
        [&](std::span<const Value> in) {
          return grid_sample(in[0], affine_grid(in[1], {7, 5}, align),
                             {Interpolation::cubic, outside, align});
        },
        {x, theta});
  };
  for (const bool align : {false, true}) {
    const Tensor wanted = meaning_of(
        [&](std::span<const Value> in) {
          const auto how = align ? Coordinates::align_corners : Coordinates::half_pixel;
          return resize(in[0], {7, 5}, {.mode = Interpolation::cubic, .coordinates = how});
        },
        {x});
    expect_near(sampled(Outside::border, align), wanted, 1e-9, "border");
  }
  const Tensor grid = scaled(random_tensor({1, 2, 2, 2}, 2), 1.6);
  for (const Outside outside : {Outside::zeros, Outside::border, Outside::reflection}) {
    checked(
        [&](std::span<const Value> in) {
          return grid_sample(in[0], in[1], {Interpolation::cubic, outside, false});
        },
        {x, grid}, cat("outside ", static_cast<int>(outside)));
  }
}

TEST(AffineGrid, OfTheIdentityReadsTheArrayItself) {
  const Tensor x = random_tensor({2, 3, 4, 5}, 1);
  const Tensor theta = Tensor::of({2, 2, 3}, std::vector<double>{1, 0, 0, 0, 1, 0,  //
                                                                 -1, 0, 0, 0, 1, 0});
  for (const bool align : {false, true}) {
    const Tensor found = checked(
        [&](std::span<const Value> in) {
          const Value grid = affine_grid(in[1], {4, 5}, align);
          return grid_sample(in[0], grid, {.align_corners = align});
        },
        {x, random_tensor({2, 2, 3}, 3)});
    ASSERT_EQ(found.shape(), x.shape());
    const Tensor same = meaning_of(
        [&](std::span<const Value> in) {
          return grid_sample(in[0], affine_grid(in[1], {4, 5}, align), {.align_corners = align});
        },
        {x, theta});
    const Field from(x), y(same);  // the second map turns the width round
    for_each_index(y.shape(), [&](const Dims& at) {
      const Dims source{at[0], at[1], 0, at[3], at[0] == 0 ? at[4] : 4 - at[4]};
      EXPECT_NEAR(y(at), from(source), 1e-9);
    });
  }
}

TEST(GridSample, SaysWhatDoesNotFit) {
  Graph g;
  const Value x = g.input("x", {2, 3, 4, 5}), grid = g.input("grid", {2, 2, 2, 2});
  EXPECT_ERROR(ShapeError, grid_sample(x, g.input("g3", {2, 2, 2, 3})), "[batch, places…, 2]",
               "[2, 2, 2, 3]");
  EXPECT_ERROR(ShapeError, grid_sample(g.input("row", {2, 3, 4}), grid), "two or three spatial");
  EXPECT_ERROR(TypeError, grid_sample(x, g.input("g64", {2, 2, 2, 2}, f64)), "f32 and f64");
  EXPECT_ERROR(ShapeError, affine_grid(grid, {4, 5}), "maps [batch, 2, 3]");
}

}  // namespace soma::test
