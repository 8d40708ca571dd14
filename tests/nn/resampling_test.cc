// Padding and resampling against figures written by hand and known definitions.
#include <cmath>

#include "soma/convolution.h"
#include "tests/nn/spatial.h"

namespace soma::test {

namespace {

Tensor row(const std::vector<double>& numbers) {
  return Tensor::of({1, 1, static_cast<int64_t>(numbers.size())}, numbers);
}

std::vector<double> padded_row(const std::vector<double>& x, int64_t lo, int64_t hi, PadMode mode) {
  return values(checked(
      [&](std::span<const Value> in) { return pad_edges(in[0], {lo}, {hi}, mode, 9); }, {row(x)}));
}

using List = std::vector<double>;

}  // namespace

TEST(PadEdges, FillsEachModeAsItsDefinitionSays) {
  const List x{1, 2, 3, 4};
  EXPECT_EQ(padded_row(x, 2, 1, PadMode::constant), (List{9, 9, 1, 2, 3, 4, 9}));
  EXPECT_EQ(padded_row(x, 3, 2, PadMode::reflect), (List{4, 3, 2, 1, 2, 3, 4, 3, 2}));
  EXPECT_EQ(padded_row(x, 1, 0, PadMode::reflect), (List{2, 1, 2, 3, 4}));
  EXPECT_EQ(padded_row(x, 4, 2, PadMode::symmetric), (List{4, 3, 2, 1, 1, 2, 3, 4, 4, 3}));
  EXPECT_EQ(padded_row(x, 3, 2, PadMode::replicate), (List{1, 1, 1, 1, 2, 3, 4, 4, 4}));
  EXPECT_EQ(padded_row(x, 1, 2, PadMode::circular), (List{4, 1, 2, 3, 4, 1, 2}));
  EXPECT_EQ(padded_row(x, 0, 4, PadMode::circular), (List{1, 2, 3, 4, 1, 2, 3, 4}));
  EXPECT_EQ(padded_row({1, 2}, 3, 5, PadMode::circular), (List{2, 1, 2, 1, 2, 1, 2, 1, 2, 1}));
  for (const PadMode mode : {PadMode::reflect, PadMode::symmetric, PadMode::replicate,
                             PadMode::circular, PadMode::constant}) {
    EXPECT_EQ(padded_row(x, 0, 0, mode), x);
  }
}

TEST(PadEdges, PadsEachOfSeveralAxes) {
  // Every element of the result is the one that the index formula of its axis names.
  const Tensor x = random_tensor({2, 3, 4, 5}, 1);
  const auto reflect = [](int64_t i, int64_t n) {
    return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
  };
  const auto clamp = [](int64_t i, int64_t n) { return i < 0 ? 0 : i >= n ? n - 1 : i; };
  const auto wrap = [](int64_t i, int64_t n) { return (i % n + n) % n; };
  const std::pair<PadMode, std::function<int64_t(int64_t, int64_t)>> modes[] = {
      {PadMode::reflect, reflect}, {PadMode::replicate, clamp}, {PadMode::circular, wrap}};
  for (const auto& [mode, index] : modes) {
    const PadMode which = mode;
    const auto& place = index;
    const Tensor found = checked(
        [&](std::span<const Value> in) {
          return pad_edges(in[0], {1, 3}, {2, 0}, which);
        },
        {x});
    ASSERT_EQ(found.shape(), (Shape{2, 3, 7, 8}));
    const Field from(x), y(found);
    for_each_index(y.shape(), [&](const Dims& at) {
      EXPECT_EQ(y(at), from({at[0], at[1], 0, place(at[3] - 1, 4), place(at[4] - 3, 5)}));
    });
  }
}

TEST(PadEdges, NegativeNumbersTakeAway) {
  EXPECT_EQ(padded_row({1, 2, 3, 4}, -1, 2, PadMode::constant), (List{2, 3, 4, 9, 9}));
  EXPECT_EQ(padded_row({1, 2, 3, 4}, 1, -2, PadMode::reflect), (List{2, 1, 2}));
}

TEST(Reversed, TurnsAnAxisRound) {
  const Tensor x = counted({2, 3, 2});
  EXPECT_EQ(values(checked([](auto in) { return reversed(in[0], 1); }, {x})),
            (List{5, 6, 3, 4, 1, 2, 11, 12, 9, 10, 7, 8}));
  EXPECT_EQ(values(meaning_of([](auto in) { return reversed(in[0], -1); }, {x})),
            (List{2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11}));
}

TEST(Crop, TakesTheMiddle) {
  const Tensor found = checked(
      [](auto in) {
        return crop(in[0], {1, 0}, {0, 2});
      },
      {counted({1, 1, 2, 3})});
  EXPECT_EQ(values(found), (List{4}));
}

TEST(PadEdges, SaysWhatDoesNotFit) {
  Graph g;
  const Value x = g.input("x", {2, 3, 4});
  EXPECT_ERROR(ShapeError, pad_edges(x, {4}, {0}, PadMode::reflect),
               "reflect padding of 4 elements is wider", "[2, 3, 4]", "3;");
  EXPECT_ERROR(ShapeError, pad_edges(x, {0}, {5}, PadMode::symmetric), "5 elements", "4;");
  EXPECT_ERROR(ShapeError, pad_edges(x, {1}, {5000}, PadMode::circular), "a thousand times");
  EXPECT_ERROR(ShapeError, pad_edges(x, {1, 1}, {1}), "one entry for each of the last axes");
  EXPECT_ERROR(ShapeError, crop(x, {3}, {2}), "3 and 2 elements cannot be taken from axis 2");
  EXPECT_ERROR(ShapeError, reversed(x, 3), "axis 3 does not exist");
  EXPECT_ERROR(ArgumentError, Reader<PadMode>::read("mirror"),
               "reflect, symmetric, replicate or circular");
}

// ---------------------------------------------------------------- resampling

namespace {

std::vector<double> resized(const Tensor& x, Dims size, const ResizeOptions& options) {
  return values(
      checked([&](std::span<const Value> in) { return resize(in[0], size, options); }, {x}));
}

void expect_list(const List& found, const List& wanted, const std::string& what) {
  ASSERT_EQ(found.size(), wanted.size()) << what;
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_NEAR(found[i], wanted[i], 1e-9) << what << " element " << i;
  }
}

/// The value of a piecewise linear or cubic curve through x at `at`, from its definition.
double interpolated(const List& x, double at, Interpolation mode, double a) {
  const auto last = static_cast<int64_t>(x.size()) - 1;
  const auto element = [&](int64_t i) {
    return x[static_cast<size_t>(std::clamp<int64_t>(i, 0, last))];
  };
  const auto base = static_cast<int64_t>(std::floor(at));
  const int64_t reach = mode == Interpolation::linear ? 1 : 2;
  double sum = 0;
  for (int64_t i = base - reach + 1; i <= base + reach; ++i) {
    const double d = std::abs(at - static_cast<double>(i));
    double w = 1 - d;
    if (mode == Interpolation::cubic) {
      w = d <= 1 ? (a + 2) * d * d * d - (a + 3) * d * d + 1
                 : a * d * d * d - 5 * a * d * d + 8 * a * d - 4 * a;
    }
    sum += w * element(i);
  }
  return sum;
}

double source(Coordinates how, int64_t i, int64_t extent, int64_t size) {
  const auto p = static_cast<double>(i), e = static_cast<double>(extent),
             o = static_cast<double>(size);
  switch (how) {
    case Coordinates::half_pixel: return (p + 0.5) * e / o - 0.5;
    case Coordinates::half_pixel_zero: return size == 1 ? 0 : (p + 0.5) * e / o - 0.5;
    case Coordinates::asymmetric: return p * e / o;
    case Coordinates::align_corners: break;
  }
  return size == 1 ? 0 : p * (e - 1) / (o - 1);
}

}  // namespace

TEST(Resize, InterpolatesBetweenNeighbours) {
  const List x{0.5, -1, 2, 0.25, 1.5};
  for (const Coordinates how : {Coordinates::half_pixel, Coordinates::half_pixel_zero,
                                Coordinates::align_corners, Coordinates::asymmetric}) {
    for (const Interpolation mode : {Interpolation::linear, Interpolation::cubic}) {
      for (const int64_t size : {1, 3, 5, 8, 10}) {
        List wanted;
        for (int64_t i = 0; i < size; ++i) {
          wanted.push_back(interpolated(x, source(how, i, 5, size), mode, -0.75));
        }
        expect_list(resized(row(x), {size}, {.mode = mode, .coordinates = how}), wanted,
                    cat("size ", size, " coordinates ", static_cast<int>(how)));
      }
    }
  }
}

TEST(Resize, LeavesOutWhatLiesOutside) {
  // Linear from 2 to 4: places -1/4, 1/4, 3/4, 5/4; at the ends one neighbour is left.
  expect_list(resized(row({1, 2}), {4}, {.mode = Interpolation::linear, .leave_out_outside = true}),
              {1, 1.25, 1.75, 2}, "linear");
  // Cubic at 1/4 behind the first of two: the weights of the two that exist, made to sum to 1.
  const double t = 0.25, a = -0.75;
  const auto near = [&](double d) { return (a + 2) * d * d * d - (a + 3) * d * d + 1; };
  const double w0 = near(t), w1 = near(1 - t);
  const List found =
      resized(row({1, 2}), {4}, {.mode = Interpolation::cubic, .leave_out_outside = true});
  EXPECT_NEAR(found[1], (w0 + 2 * w1) / (w0 + w1), 1e-9);
}

TEST(Resize, TakesTheNearestNeighbour) {
  const List x{0, 1, 2, 3, 4, 5};
  for (const Coordinates how : {Coordinates::half_pixel, Coordinates::asymmetric}) {
    for (const int64_t size : {1, 2, 3, 4, 6, 9, 10, 12, 18}) {
      List down, up, half_down, half_up;
      for (int64_t i = 0; i < size; ++i) {
        const double at = source(how, i, 6, size);
        const auto put = [](List& list, double v) { list.push_back(std::clamp(v, 0.0, 5.0)); };
        put(down, std::floor(at)), put(up, std::ceil(at));
        put(half_down, std::ceil(at - 0.5)), put(half_up, std::floor(at + 0.5));
      }
      const auto found = [&](Rounding rounding) {
        return resized(row(x), {size}, {.coordinates = how, .rounding = rounding});
      };
      EXPECT_EQ(found(Rounding::floor), down) << size;
      EXPECT_EQ(found(Rounding::ceil), up) << size;
      EXPECT_EQ(found(Rounding::half_down), half_down) << size;
      EXPECT_EQ(found(Rounding::half_up), half_up) << size;
    }
  }
}

TEST(Upsample, GivesTheFiguresOfTheDefinitions) {
  const auto up = [](const Tensor& x, std::vector<double> scale, Interpolation mode, bool corners) {
    return values(checked(
        [&](std::span<const Value> in) { return upsample(in[0], scale, mode, corners); }, {x}));
  };
  const Tensor square = counted({1, 1, 2, 2});
  EXPECT_EQ(up(square, {2}, Interpolation::nearest, false),
            (List{1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4}));
  EXPECT_EQ(up(square, {1, 3}, Interpolation::nearest, false),
            (List{1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4}));
  EXPECT_EQ(up(counted({1, 1, 4}), {0.5}, Interpolation::nearest, false), (List{1, 3}));
  EXPECT_EQ(up(counted({1, 1, 3}), {1.5}, Interpolation::nearest, false), (List{1, 1, 2, 3}));
  // The example in the documentation of PyTorch's Upsample: 2x2 to 4x4, both ways.
  expect_list(up(square, {2}, Interpolation::linear, false),
              {1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4},
              "half pixels");
  const double t = 1.0 / 3;
  expect_list(up(square, {2}, Interpolation::linear, true),
              {1, 1 + t, 1 + 2 * t, 2, 1 + 2 * t, 2, 2 + t, 2 + 2 * t, 2 + t, 2 + 2 * t, 3, 3 + t,
               3, 3 + t, 3 + 2 * t, 4},
              "aligned corners");
  EXPECT_EQ(up(counted({2, 3, 2, 2, 2}), {2}, Interpolation::linear, false).size(), 384u);
}

TEST(PixelShuffle, MovesChannelsToPlaces) {
  // crd: channel c·4 + 2·dy + dx goes to (c, 2y + dy, 2x + dx); dcr: channel (2·dy + dx)·C + c.
  const Tensor x = random_tensor({2, 8, 3, 2}, 1);
  for (const ShuffleOrder order : {ShuffleOrder::crd, ShuffleOrder::dcr}) {
    const Tensor found =
        checked([&](std::span<const Value> in) { return depth_to_space(in[0], 2, order); }, {x});
    ASSERT_EQ(found.shape(), (Shape{2, 2, 6, 4}));
    const Field from(x), y(found);
    for_each_index(y.shape(), [&](const Dims& at) {
      const int64_t block = at[3] % 2 * 2 + at[4] % 2;
      const int64_t channel = order == ShuffleOrder::crd ? at[1] * 4 + block : block * 2 + at[1];
      EXPECT_EQ(y(at), from({at[0], channel, 0, at[3] / 2, at[4] / 2}));
    });
    const Tensor back = checked(
        [&](std::span<const Value> in) { return space_to_depth(in[0], 2, order); }, {found});
    EXPECT_TRUE(back == x);
  }
  for (const Shape& shape : {Shape{1, 6, 5}, Shape{1, 27, 2, 1, 2}}) {
    const Tensor z = random_tensor(shape, 2);
    const Tensor round_trip = meaning_of(
        [&](std::span<const Value> in) {
          return space_to_depth(depth_to_space(in[0], 3, ShuffleOrder::crd), 3, ShuffleOrder::crd);
        },
        {z});
    EXPECT_TRUE(round_trip == z);
  }
}

TEST(ChannelShuffle, DealsTheGroupsOut) {
  const Tensor found =
      checked([](auto in) { return channel_shuffle(in[0], 2); }, {counted({1, 6, 1})});
  EXPECT_EQ(values(found), (List{1, 4, 2, 5, 3, 6}));
}

TEST(Resampling, SaysWhatDoesNotFit) {
  Graph g;
  const Value x = g.input("x", {2, 6, 4, 5});
  EXPECT_ERROR(ShapeError, resize(x, {0, 5}), "cannot make 0 elements of axis 2");
  EXPECT_ERROR(ShapeError, resize(x, {4, 5}, {.scale = {1}}), "1 scales for 2 axes");
  EXPECT_ERROR(TypeError, resize(g.input("i", {1, 1, 4}, i32), {8}), "not i32");
  EXPECT_ERROR(ShapeError, upsample(x, {2, 2, 2}), "3 scales for 2 spatial axes");
  EXPECT_ERROR(ShapeError, upsample(x, {0.1}), "a scale of 0.1 makes no extent of 4");
  EXPECT_ERROR(ArgumentError, upsample(x, {2}, Interpolation::nearest, true), "no meaning");
  EXPECT_ERROR(ShapeError, depth_to_space(x, 2, ShuffleOrder::crd), "6 channels", "blocks of 4");
  EXPECT_ERROR(ShapeError, space_to_depth(x, 2, ShuffleOrder::dcr), "axis 1", "blocks of 2");
  EXPECT_ERROR(ShapeError, channel_shuffle(x, 4), "6 channels do not divide into 4 groups");
  EXPECT_ERROR(ArgumentError, Reader<Interpolation>::read("area"), "nearest, linear");
  EXPECT_ERROR(ArgumentError, Reader<ShuffleOrder>::read("x"), "crd or dcr");
}

}  // namespace soma::test
