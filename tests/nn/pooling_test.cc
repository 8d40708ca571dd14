// Pooling against loops written by hand, to second order, on the CPU and the interpreter.
#include <algorithm>
#include <cmath>
#include <limits>

#include "soma/convolution.h"
#include "tests/nn/spatial.h"

namespace soma::test {

namespace {

struct Case {
  std::string what;
  Shape x;
  PoolOptions options;
  Dims lo, hi;  ///< The padding that must come out.
  Dims places;
};

/// What one window holds: elements of x, and how many of the padding count.
struct Window {
  std::vector<double> inside;
  int64_t padding = 0;
};

template <class F>
Tensor by_hand(const Case& c, const Tensor& values, F&& summary) {
  const int axes = c.x.rank() - 2;
  const auto all = [&](const Dims& list) {
    return three(list.size() == axes ? list : Dims::filled(axes, list[0]), 1);
  };
  const Dims size = all(c.options.size), dilation = all(c.options.dilation),
             stride = c.options.stride.empty() ? size : all(c.options.stride), lo = three(c.lo, 0),
             hi = three(c.hi, 0);
  const Field x(values);
  Shape shape{c.x[0], c.x[1]};
  for (const int64_t extent : c.places) shape.push_back(extent);
  Field y(Tensor(shape, f64));
  for_each_index(y.shape(), [&](const Dims& at) {
    Window window;
    for_each_index(size, [&](const Dims& k) {
      Dims from{at[0], at[1]};
      bool counts = true;
      for (int i = 0; i < 3; ++i) {
        from.push_back(at[i + 2] * stride[i] + k[i] * dilation[i] - lo[i]);
        counts = counts && from[i + 2] < x.shape()[i + 2] + hi[i];
      }
      if (x.inside(from)) {
        window.inside.push_back(x(from));
      } else if (counts) {
        ++window.padding;
      }
    });
    y.set(at, summary(window));
  });
  return y.tensor();
}

double largest(const Window& w) { return *std::max_element(w.inside.begin(), w.inside.end()); }
double total(const Window& w) {
  double sum = 0;
  for (const double v : w.inside) sum += v;
  return sum;
}

const std::vector<Case>& cases() {
  const auto rows = [](Dims size) { return PoolOptions{.size = size}; };
  static const std::vector<Case> list{
      {"one axis", {2, 3, 8}, rows({2}), {0}, {0}, {4}},
      {"a rest that no window reaches", {2, 2, 8}, rows({3}), {0}, {0}, {2}},
      {"one axis, overlapping", {1, 2, 9}, {.size = {3}, .stride = {2}}, {0}, {0}, {4}},
      {"one axis, padded", {1, 2, 6}, {.size = {3}, .stride = {2}, .padding = 1}, {1}, {1}, {3}},
      {"dilation", {1, 2, 9}, {.size = {3}, .stride = {1}, .dilation = {3}}, {0}, {0}, {3}},
      {"two axes", {2, 3, 4, 6}, rows({2, 3}), {0, 0}, {0, 0}, {2, 2}},
      {"same",
       {1, 2, 5, 6},
       {.size = {3}, .stride = {2}, .padding = Padding::same()},
       {1, 0},
       {1, 1},
       {3, 3}},
      {"same, lower",
       {1, 2, 5, 6},
       {.size = {3}, .stride = {2}, .padding = Padding::same_lower()},
       {1, 1},
       {1, 0},
       {3, 3}},
      {"uneven padding",
       {1, 2, 5, 4},
       {.size = {2, 3}, .stride = {1}, .padding = {{1, 0}, {0, 2}}},
       {1, 0},
       {0, 2},
       {5, 4}},
      {"a last window over the end",
       {1, 2, 6, 8},
       {.size = {3}, .stride = {2}, .ceil_mode = true},
       {0, 0},
       {0, 0},
       {3, 4}},
      {"a last window over the padding",
       {1, 1, 6},
       {.size = {3}, .stride = {3}, .padding = {{0}, {1}}, .ceil_mode = true},
       {0},
       {1},
       {2}},
      {"ceil_mode with padding",
       {1, 1, 7},
       {.size = {3}, .stride = {3}, .padding = 1, .ceil_mode = true},
       {1},
       {1},
       {3}},
      {"ceil_mode with more padding",
       {1, 2, 8},
       {.size = {4}, .stride = {3}, .padding = {{0}, {1}}, .ceil_mode = true},
       {0},
       {1},
       {3}},
      {"three axes",
       {1, 2, 4, 3, 5},
       {.size = {2, 3, 2}, .stride = {2, 1, 3}},
       {0, 0, 0},
       {0, 0, 0},
       {2, 1, 2}},
  };
  return list;
}

}  // namespace

TEST(MaxPool, TakesTheLargest) {
  for (const Case& c : cases()) {
    const Tensor x = random_tensor(c.x, 3);
    const Tensor found =
        checked([&](std::span<const Value> in) { return max_pool(in[0], c.options); }, {x}, c.what);
    expect_near(found, by_hand(c, x, largest), 0, c.what);
  }
}

TEST(MaxPool, PaddingNeverWins) {
  const Tensor x = Tensor::of({1, 1, 3}, std::vector<double>{-5, -7, -6});
  for (const DType type : {f32, f64, i32, i64}) {
    const Tensor found = meaning_of(
        [](std::span<const Value> in) {
          return max_pool(in[0], {.size = {2}, .stride = {2}, .padding = 1});
        },
        {x.cast(type)});
    EXPECT_EQ(values(found), (std::vector<double>{-5, -6})) << name_of(type);
  }
}

TEST(AvgPool, TakesTheMean) {
  for (const Case& c : cases()) {
    const Tensor x = random_tensor(c.x, 3);
    for (const bool padding_counts : {false, true}) {
      PoolOptions options = c.options;
      options.count_padding = padding_counts;
      const Tensor found =
          checked([&](std::span<const Value> in) { return avg_pool(in[0], options); }, {x}, c.what);
      const Tensor wanted = by_hand(c, x, [&](const Window& w) {
        const auto inside = static_cast<double>(w.inside.size());
        return total(w) / (padding_counts ? inside + static_cast<double>(w.padding) : inside);
      });
      expect_near(found, wanted, 1e-12, cat(c.what, padding_counts ? ", padding counts" : ""));
    }
  }
}

TEST(LpPool, TakesTheRootOfThePowers) {
  for (const Case& c : cases()) {
    const Tensor x = random_tensor(c.x, 3);
    for (const double p : {1.0, 2.0, 3.0}) {
      const Tensor found =
          checked([&](std::span<const Value> in) { return lp_pool(in[0], p, c.options); }, {x},
                  cat(c.what, " p ", p));
      const Tensor wanted = by_hand(c, x, [&](const Window& w) {
        double sum = 0;
        for (const double v : w.inside) sum += std::pow(std::abs(v), p);
        return std::pow(sum, 1 / p);
      });
      expect_near(found, wanted, 1e-12, c.what);
    }
  }
}

TEST(LpPool, AWindowOfZerosHasNoSlope) {
  for (const double p : {2.0, 3.0}) {
    const Tensor slope = meaning_of(
        [&](std::span<const Value> in) {
          const Value wrt[] = {in[0]};
          return gradients(sum(lp_pool(in[0], p, {.size = {2}})), wrt)[0];
        },
        {Tensor::of({1, 1, 4}, std::vector<double>{0, 0, 0, 3})});
    expect_near(slope, Tensor::of({1, 1, 4}, std::vector<double>{0, 0, 0, 1}), 1e-12, cat("p ", p));
  }
}

TEST(GlobalPool, CoversAllPlaces) {
  for (const Shape& shape : {Shape{2, 3, 5}, Shape{2, 3, 2, 4}, Shape{1, 2, 3, 2, 2}}) {
    Dims all(std::span(shape.begin() + 2, shape.end()));
    Dims ones = Dims::filled(all.size(), 1), none = Dims::filled(all.size(), 0);
    const Case c{"global", shape, {.size = all}, none, none, ones};
    const Tensor x = random_tensor(shape, 4);
    const auto n = static_cast<double>(all.elements());
    expect_near(checked([](auto in) { return global_max_pool(in[0]); }, {x}),
                by_hand(c, x, largest), 0, "max");
    expect_near(checked([](auto in) { return global_avg_pool(in[0]); }, {x}),
                by_hand(c, x, [&](const Window& w) { return total(w) / n; }), 1e-12, "mean");
    expect_near(checked([](auto in) { return global_lp_pool(in[0], 2); }, {x}),
                by_hand(c, x,
                        [&](const Window& w) {
                          double sum = 0;
                          for (const double v : w.inside) sum += v * v;
                          return std::sqrt(sum);
                        }),
                1e-12, "Lp");
  }
}

TEST(AdaptivePool, CutsTheAxisIntoAlmostEqualParts) {
  // 7 elements to 3 places: [0, 3), [2, 5), [4, 7); 5 to 4: [0, 2), [1, 3), [2, 4), [3, 5).
  const Tensor x = counted({1, 1, 7});
  const auto pooled = [&](const Tensor& of, Dims size, bool largest_one) {
    return checked(
        [&](std::span<const Value> in) {
          return largest_one ? adaptive_max_pool(in[0], size) : adaptive_avg_pool(in[0], size);
        },
        {of});
  };
  expect_near(pooled(x, {3}, false), Tensor::of({1, 1, 3}, std::vector<double>{2, 4, 6}), 1e-12,
              "7 to 3");
  expect_near(pooled(x, {3}, true), Tensor::of({1, 1, 3}, std::vector<double>{3, 5, 7}), 0,
              "7 to 3");
  expect_near(pooled(counted({1, 1, 5}), {4}, false),
              Tensor::of({1, 1, 4}, std::vector<double>{1.5, 2.5, 3.5, 4.5}), 1e-12, "5 to 4");
  expect_near(pooled(counted({1, 1, 2}), {4}, false),
              Tensor::of({1, 1, 4}, std::vector<double>{1, 1, 2, 2}), 1e-12, "2 to 4");
  // Two axes: rows of 1 2 3 | 4 5 6 | 7 8 9 | 10 11 12 to 2 x 2.
  expect_near(pooled(counted({1, 1, 4, 3}), {2, 2}, false),
              Tensor::of({1, 1, 2, 2}, std::vector<double>{3, 4, 9, 10}), 1e-12, "4x3 to 2x2");
  EXPECT_EQ(pooled(counted({1, 2, 4, 3}), {2, 0}, true).shape(), (Shape{1, 2, 2, 3}));
}

TEST(MaxUnpool, PutsTheLargestBack) {
  const Tensor x = random_tensor({2, 3, 5, 6}, 5);
  const PoolOptions options{.size = {2, 3}, .stride = {2, 1}, .padding = {{1, 0}, {0, 1}}};
  const Tensor places =
      meaning_of([&](std::span<const Value> in) { return max_pool_places(in[0], options); }, {x});
  const Tensor best =
      meaning_of([&](std::span<const Value> in) { return max_pool(in[0], options); }, {x});
  ASSERT_EQ(places.shape(), best.shape());
  const int64_t each = best.elements() / 6;
  for (int64_t i = 0; i < best.elements(); ++i) {
    const auto place = static_cast<int64_t>(places.at(i));
    ASSERT_TRUE(place >= 0 && place < 30) << place;
    EXPECT_EQ(x.at(i / each * 30 + place), best.at(i)) << i;
  }
  // Windows side by side: what comes back is x where it was largest, else zero.
  const PoolOptions apart{.size = {2}};
  const Tensor y = random_tensor({2, 2, 4, 6}, 6);
  const Tensor back = checked(
      [&](std::span<const Value> in) {
        return max_unpool(max_pool(in[0], apart), max_pool_places(in[0], apart), {4, 6});
      },
      {y});
  int kept = 0;
  for (int64_t i = 0; i < y.elements(); ++i) {
    EXPECT_TRUE(back.at(i) == 0 || back.at(i) == y.at(i)) << i;
    kept += back.at(i) == y.at(i);
  }
  EXPECT_EQ(kept, 2 * 2 * 2 * 3);
}

TEST(MaxUnpool, DropsWhatLiesOutside) {
  const Tensor found = meaning_of(
      [](std::span<const Value> in) { return max_unpool(in[0], in[1], {3}); },
      {counted({1, 2, 2}), Tensor::of({1, 2, 2}, std::vector<double>{0, 3, -1, 1}).cast(i64)});
  EXPECT_EQ(values(found), (std::vector<double>{1, 0, 0, 0, 4, 0}));
}

TEST(Pooling, SaysWhatDoesNotFit) {
  Graph g;
  const Value x = g.input("x", {2, 3, 4, 5}), flat = g.input("flat", {2, 3});
  EXPECT_ERROR(ShapeError, max_pool(x, {.size = {5, 2}}),
               "max pooling: a window of 5 elements reaches over 5", "axis 0 has only 4");
  EXPECT_ERROR(ShapeError, max_pool(x, {}), "the size of the window is missing");
  EXPECT_ERROR(ShapeError, avg_pool(flat, {.size = {2}}), "average pooling", "[2, 3]");
  EXPECT_ERROR(ShapeError, global_avg_pool(flat), "global average pooling", "[2, 3]");
  EXPECT_ERROR(TypeError, avg_pool(g.input("i", {1, 1, 4}, i32), {.size = {2}}), "not i32");
  EXPECT_ERROR(ArgumentError, lp_pool(x, 0.5, {.size = {2}}), "p must be 1 or more, not 0.5");
  EXPECT_ERROR(ShapeError, adaptive_max_pool(x, {1, 2, 3}), "size [1, 2, 3]", "2 spatial axes");
  EXPECT_ERROR(ShapeError, max_unpool(x, x, {4, 5}), "i64 place for each value", "f32");
  EXPECT_ERROR(ShapeError, max_unpool(x, g.input("p", {2, 3, 4, 5}, i64), {4}), "extents [4]");
}

}  // namespace soma::test
