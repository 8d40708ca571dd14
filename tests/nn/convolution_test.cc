// Convolutions against loops written by hand, to second order, on the CPU and the interpreter.
#include "soma/convolution.h"

#include "tests/nn/spatial.h"

namespace soma::test {

namespace {

struct Case {
  std::string what;
  Shape x, w;
  Dims stride = {1}, lo = {0}, hi = {0}, dilation = {1};
  int64_t groups = 1;
};

Dims all_axes(const Dims& list, int axes) {
  return list.size() == axes ? list : Dims::filled(axes, list[0]);
}

/// Windows are tried until one reaches over the end.
int64_t count_places(int64_t extent, int64_t size, int64_t stride, int64_t dilation) {
  int64_t places = 0;
  for (int64_t first = 0; first + (size - 1) * dilation < extent; first += stride) ++places;
  return places;
}

/// Calls visit(x, w, y) for each three elements that a convolution joins.
template <class F>
void for_each_link(const Case& c, const Field& x, const Field& w, const Field& y, F&& visit) {
  const int axes = c.x.rank() - 2;
  const Dims stride = three(all_axes(c.stride, axes), 1), lo = three(all_axes(c.lo, axes), 0),
             dilation = three(all_axes(c.dilation, axes), 1);
  for_each_index(y.shape(), [&](const Dims& at) {
    for_each_index(w.shape(), [&](const Dims& k) {
      if (k[0] != at[1]) return;
      const int64_t group = at[1] / (w.shape()[0] / c.groups);
      Dims from{at[0], group * w.shape()[1] + k[1]};
      for (int i = 0; i < 3; ++i) {
        from.push_back(at[i + 2] * stride[i] + k[i + 2] * dilation[i] - lo[i]);
      }
      if (x.inside(from)) visit(from, k, at);
    });
  });
}

Shape result_shape(const Case& c) {
  const int axes = c.x.rank() - 2;
  Shape shape{c.x[0], c.w[0]};
  for (int i = 0; i < axes; ++i) {
    const int64_t padded = c.x[i + 2] + all_axes(c.lo, axes)[i] + all_axes(c.hi, axes)[i];
    shape.push_back(count_places(padded, c.w[i + 2], all_axes(c.stride, axes)[i],
                                 all_axes(c.dilation, axes)[i]));
  }
  return shape;
}

Tensor by_hand(const Case& c, const Tensor& x_values, const Tensor& w_values) {
  const Field x(x_values), w(w_values);
  Field y(Tensor(result_shape(c), f64));
  for_each_link(c, x, w, y,
                [&](const Dims& a, const Dims& b, const Dims& to) { y.add(to, x(a) * w(b)); });
  return y.tensor();
}

ConvOptions options_of(const Case& c) {
  return {c.stride, Padding(c.lo, c.hi), c.dilation, c.groups};
}

const std::vector<Case>& cases() {
  static const std::vector<Case> list{
      {"one axis", {2, 3, 7}, {4, 3, 3}},
      {"one axis, strides and uneven padding", {2, 2, 8}, {3, 2, 3}, {2}, {2}, {1}},
      {"one axis, dilation", {1, 2, 9}, {2, 2, 3}, {1}, {1}, {1}, {3}},
      {"two axes", {2, 3, 5, 7}, {4, 3, 3, 3}},
      {"two axes, everything", {2, 4, 7, 6}, {6, 2, 3, 2}, {2, 3}, {1, 2}, {2, 0}, {2, 1}, 2},
      {"a window of one element", {2, 3, 3, 5}, {2, 3, 1, 1}},
      {"a window of one element with strides", {1, 2, 5, 4}, {2, 2, 1, 1}, {2}},
      {"a window as large as the array", {2, 2, 3, 4}, {3, 2, 3, 4}},
      {"depthwise", {1, 3, 5, 5}, {3, 1, 3, 3}, {1}, {1}, {1}, {1}, 3},
      {"depthwise, two windows a channel", {2, 2, 4, 5}, {4, 1, 2, 3}, {1}, {0}, {1}, {1}, 2},
      {"three axes", {1, 2, 3, 4, 5}, {2, 2, 2, 2, 3}, {1, 2, 1}, {1, 0, 1}, {0, 1, 1}},
      {"three axes, groups and dilation",
       {1, 4, 3, 4, 4},
       {2, 2, 1, 2, 2},
       {1},
       {0},
       {0},
       {1, 2, 3},
       2},
  };
  return list;
}

/// The explicit padding that must come out for another kind.
void expect_same_as(const Case& c, const Padding& padding) {
  const Tensor x = random_tensor(c.x, 1), w = random_tensor(c.w, 2);
  ConvOptions options = options_of(c);
  options.padding = padding;
  const Tensor found = meaning_of(
      [&](std::span<const Value> in) { return convolution(in[0], in[1], options); }, {x, w});
  expect_near(found, by_hand(c, x, w), 1e-12, c.what);
}

}  // namespace

TEST(Convolution, IsTheLoopsSum) {
  for (const Case& c : cases()) {
    const Tensor x = random_tensor(c.x, 1), w = random_tensor(c.w, 2);
    const Tensor found =
        checked([&](std::span<const Value> in) { return convolution(in[0], in[1], options_of(c)); },
                {x, w}, c.what);
    expect_near(found, by_hand(c, x, w), 1e-12, c.what);
    Dims size(std::span(c.w.begin() + 2, c.w.end()));
    const Dims places = convolution_places(c.x, size, options_of(c));
    EXPECT_TRUE(std::equal(places.begin(), places.end(), found.shape().begin() + 2)) << c.what;
  }
}

TEST(Convolution, SamePaddingGivesAPlaceForEachStride) {
  // Numbers from the definition: total = (ceil(E / s) - 1) s + reach + 1 - E.
  expect_same_as({"odd window", {1, 1, 5}, {1, 1, 3}, {1}, {1}, {1}}, Padding::same());
  expect_same_as({"even window", {1, 1, 5}, {1, 1, 4}, {1}, {1}, {2}}, Padding::same());
  expect_same_as({"even window, lower", {1, 1, 5}, {1, 1, 4}, {1}, {2}, {1}},
                 Padding::same_lower());
  expect_same_as({"strides", {1, 2, 6, 7}, {2, 2, 3, 3}, {2}, {0, 1}, {1, 1}}, Padding::same());
  expect_same_as({"strides, lower", {1, 2, 6, 7}, {2, 2, 3, 3}, {2}, {1, 1}, {0, 1}},
                 Padding::same_lower());
  expect_same_as({"dilation", {1, 1, 8}, {1, 1, 3}, {1}, {2}, {2}, {2}}, Padding::same());
  expect_same_as({"window below the stride", {1, 1, 7}, {1, 1, 1}, {3}, {0}, {0}}, Padding::same());
}

TEST(Convolution, CausalPaddingSeesNothingLater) {
  expect_same_as({"causal", {2, 2, 6}, {3, 2, 3}, {1}, {4}, {0}, {2}}, Padding::causal());
  const auto answer = [](double last) {
    Tensor x = random_tensor({1, 1, 6}, 1);
    x.set(5, last);
    return values(meaning_of(
        [](std::span<const Value> in) {
          return convolution(in[0], in[1], {.padding = Padding::causal()});
        },
        {x, random_tensor({1, 1, 3}, 2)}));
  };
  const auto one = answer(0.5), other = answer(-3);
  EXPECT_TRUE(std::equal(one.begin(), one.end() - 1, other.begin()));
  EXPECT_NE(one.back(), other.back());
}

TEST(Convolution, DepthwiseTakesItsGroupsFromTheChannels) {
  const Case c{"depthwise", {2, 3, 4, 5}, {6, 1, 3, 2}, {1, 2}, {1}, {1}, {1}, 3};
  const Tensor x = random_tensor(c.x, 1), w = random_tensor(c.w, 2);
  ConvOptions options = options_of(c);
  options.groups = 1;
  const Tensor found = meaning_of(
      [&](std::span<const Value> in) { return depthwise_convolution(in[0], in[1], options); },
      {x, w});
  expect_near(found, by_hand(c, x, w), 1e-12, c.what);
}

TEST(Convolution, SeparableIsDepthwiseThenPointwise) {
  const Case depthwise{"depthwise", {2, 3, 5, 4}, {6, 1, 3, 3}, {2, 1}, {1}, {1}, {1}, 3};
  const Tensor x = random_tensor(depthwise.x, 1), w = random_tensor(depthwise.w, 2),
               p = random_tensor({4, 6, 1, 1}, 3);
  const Tensor found = checked(
      [&](std::span<const Value> in) {
        return separable_convolution(in[0], in[1], in[2], options_of(depthwise));
      },
      {x, w, p}, "separable");
  const Tensor middle = by_hand(depthwise, x, w);
  expect_near(found, by_hand({"pointwise", middle.shape(), p.shape()}, middle, p), 1e-12, "");
}

// ---------------------------------------------------------------- transposed

namespace {

struct Back {
  std::string what;
  Shape x, w;  ///< x [batch, in, …], w [in, out / groups, …]
  TransposedConvOptions options;
  Dims lo, extents;  ///< What must come out.
};

/// Every element of x puts its window into the result.
Tensor scattered(const Back& b, const Tensor& x_values, const Tensor& w_values) {
  Shape shape{b.x[0], b.w[1] * b.options.groups};
  for (const int64_t extent : b.extents) shape.push_back(extent);
  const int axes = b.x.rank() - 2;
  const Field x(x_values), w(w_values);
  Field y(Tensor(shape, f64));
  const Dims stride = three(all_axes(b.options.stride, axes), 1), lo = three(b.lo, 0),
             dilation = three(all_axes(b.options.dilation, axes), 1);
  for_each_index(x.shape(), [&](const Dims& from) {
    for_each_index(w.shape(), [&](const Dims& k) {
      if (k[0] != from[1]) return;
      const int64_t group = from[1] / (x.shape()[1] / b.options.groups);
      Dims to{from[0], group * w.shape()[1] + k[1]};
      for (int i = 0; i < 3; ++i) {
        to.push_back(from[i + 2] * stride[i] + k[i + 2] * dilation[i] - lo[i]);
      }
      if (y.inside(to)) y.add(to, x(from) * w(k));
    });
  });
  return y.tensor();
}

}  // namespace

TEST(TransposedConvolution, PutsEachWindowBack) {
  const std::vector<Back> list{
      {"one axis", {2, 3, 4}, {3, 2, 3}, {}, {0}, {6}},
      {"strides", {1, 2, 4}, {2, 3, 3}, {.stride = {2}}, {0}, {9}},
      {"padding", {1, 2, 4}, {2, 3, 3}, {.stride = {2}, .padding = {{1}, {2}}}, {1}, {6}},
      {"output padding",
       {1, 2, 3},
       {2, 1, 3},
       {.stride = {2}, .padding = 1, .output_padding = {1}},
       {1},
       {6}},
      {"output padding beyond the last step",
       {1, 2, 3},
       {2, 1, 2},
       {.stride = {2}, .output_padding = {4}},
       {0},
       {10}},
      {"a window below the stride", {1, 1, 3}, {1, 2, 2}, {.stride = {3}}, {0}, {8}},
      {"two axes, dilation",
       {2, 2, 3, 2},
       {2, 2, 2, 3},
       {.stride = {1, 2}, .dilation = {2, 1}},
       {0, 0},
       {5, 5}},
      {"groups", {1, 4, 3, 3}, {4, 3, 2, 2}, {.stride = {2}, .groups = 2}, {0, 0}, {6, 6}},
      {"three axes",
       {1, 2, 2, 3, 2},
       {2, 1, 2, 2, 3},
       {.stride = {2, 1, 1}, .padding = 1},
       {1, 1, 1},
       {2, 2, 2}},
      {"same",
       {1, 2, 3, 4},
       {2, 1, 3, 4},
       {.stride = {2}, .padding = Padding::same()},
       {0, 1},
       {6, 8}},
      {"same, lower",
       {1, 2, 3, 4},
       {2, 1, 3, 4},
       {.stride = {2}, .padding = Padding::same_lower()},
       {1, 1},
       {6, 8}},
      {"same with a window below the stride",
       {1, 1, 3},
       {1, 2, 1},
       {.stride = {2}, .padding = Padding::same()},
       {0},
       {6}},
      {"size by output padding",
       {1, 2, 3},
       {2, 1, 3},
       {.stride = {2}, .padding = 1, .size = {6}},
       {1},
       {6}},
      {"size by padding",
       {1, 2, 3},
       {2, 1, 4},
       {.stride = {2}, .padding = Padding::same(), .size = {5}},
       {1},
       {5}},
      {"causal", {1, 2, 4}, {2, 1, 3}, {.padding = Padding::causal()}, {0}, {4}},
  };
  for (const Back& b : list) {
    const Tensor x = random_tensor(b.x, 1), w = random_tensor(b.w, 2);
    const Tensor found = checked(
        [&](std::span<const Value> in) { return transposed_convolution(in[0], in[1], b.options); },
        {x, w}, b.what);
    expect_near(found, scattered(b, x, w), 1e-12, b.what);
  }
}

// ---------------------------------------------------------------- windows

TEST(Windows, AreThePiecesOfAConvolution) {
  const Case c{"windows", {2, 3, 5, 6}, {4, 3, 3, 2}, {2, 1}, {1, 0}, {1, 1}, {1, 2}};
  const Tensor x = random_tensor(c.x, 1), w = random_tensor(c.w, 2);
  const Tensor found = checked(
      [&](std::span<const Value> in) {
        const Value windows = windows_of(in[0], {3, 2}, options_of(c));  // [2, 3, oh, ow, 3, 2]
        const Shape s = windows.shape();
        const Value rows =
            reshape(transpose(windows, {0, 2, 3, 1, 4, 5}), {s[0] * s[2] * s[3], 3 * 3 * 2});
        const Value y = dot(rows, reshape(in[1], {4, 18}), false, true);
        return transpose(reshape(y, {s[0], s[2], s[3], 4}), {0, 3, 1, 2});
      },
      {x, w}, c.what);
  expect_near(found, by_hand(c, x, w), 1e-12, c.what);
}

TEST(Windows, AddedBackAreTheAdjoint) {
  const ConvOptions options{{2, 1}, Padding({1, 0}, {0, 2}), {1, 2}};
  const Tensor x = random_tensor({2, 2, 5, 4}, 1);
  const Tensor windows = meaning_of(
      [&](std::span<const Value> in) {
        return windows_of(in[0], {2, 2}, options);
      },
      {x});
  const Tensor other = random_tensor(windows.shape(), 2);
  const Tensor back = checked(
      [&](std::span<const Value> in) {
        return add_windows(in[0], {5, 4}, options);
      },
      {other});
  ASSERT_EQ(back.shape(), x.shape());
  double left = 0, right = 0;  // <windows(x), z> = <x, back(z)>
  for (int64_t i = 0; i < other.elements(); ++i) left += windows.at(i) * other.at(i);
  for (int64_t i = 0; i < x.elements(); ++i) right += x.at(i) * back.at(i);
  EXPECT_NEAR(left, right, 1e-12);
}

TEST(LocallyConnected, HasWeightsOfItsOwnAtEachPlace) {
  const Case c{"local", {2, 2, 4, 5}, {3, 2, 2, 3}, {2, 1}, {0, 1}, {0, 1}};
  const int64_t places = 2 * 5, numbers = 2 * 2 * 3;
  const Tensor x = random_tensor(c.x, 1), w = random_tensor({places, numbers, 3}, 2);
  const Tensor found = checked(
      [&](std::span<const Value> in) {
        return locally_connected(in[0], in[1], {2, 3}, options_of(c));
      },
      {x, w}, c.what);
  const Field from(x), window(Tensor(c.w, f64));
  Field y(Tensor(result_shape(c), f64));
  for_each_link(c, from, window, y, [&](const Dims& a, const Dims& k, const Dims& to) {
    const int64_t place = to[3] * 5 + to[4], number = (k[1] * 2 + k[3]) * 3 + k[4];
    y.add(to, from(a) * w.at((place * numbers + number) * 3 + to[1]));
  });
  expect_near(found, y.tensor(), 1e-12, c.what);
}

// ---------------------------------------------------------------- refusals

TEST(Convolution, SaysWhatDoesNotFit) {
  Graph g;
  const Value x = g.input("x", {2, 4, 5, 6}), w = g.input("w", {6, 4, 3, 3});
  EXPECT_ERROR(ShapeError, convolution(x, g.input("w7", {6, 4, 7, 3})),
               "convolution: a window of 7 elements reaches over 7", "spatial axis 0 has only 5",
               "smaller window");
  EXPECT_ERROR(ShapeError, convolution(x, w, {.padding = 1, .dilation = {4}}),
               "3 elements at distance 4 reaches over 9", "only 7 with its padding");
  EXPECT_ERROR(ShapeError, convolution(x, w, {.groups = 3}), "4 channels", "3 groups");
  EXPECT_ERROR(ShapeError, convolution(x, w, {.groups = 2}), "[out, 2, window…]", "[6, 4, 3, 3]");
  EXPECT_ERROR(ShapeError, convolution(x, g.input("w5", {5, 2, 3, 3}), {.groups = 2}),
               "5 output channels", "2 groups");
  EXPECT_ERROR(ShapeError, convolution(x, g.input("w1", {6, 4, 3})), "2 spatial axes",
               "4 axes, found [6, 4, 3]");
  EXPECT_ERROR(ShapeError, convolution(g.input("flat", {2, 4}), w), "[batch, channels, spatial…]",
               "[2, 4]");
  EXPECT_ERROR(ShapeError, convolution(x, w, {.stride = {1, 2, 3}}), "stride [1, 2, 3]",
               "2 spatial axes");
  EXPECT_ERROR(ShapeError, convolution(x, w, {.stride = {0}}), "stride [0] must be 1 or more");
  EXPECT_ERROR(ShapeError, convolution(x, w, {.padding = -1}), "padding [-1] must be 0 or more");
  EXPECT_ERROR(ShapeError, convolution(x, w, {.padding = int64_t{1} << 40}), "not that large");
  EXPECT_ERROR(ShapeError, convolution(x, w, {.padding = Padding::causal()}),
               "one spatial axis, found 2");
  EXPECT_ERROR(ShapeError, transposed_convolution(x, w), "needs weights [4, out / groups");
  EXPECT_ERROR(ShapeError, transposed_convolution(x, g.input("t", {4, 2, 3, 3}), {.padding = 4}),
               "the windows cover 7 places and 8 are taken away");
  EXPECT_ERROR(ShapeError, locally_connected(x, w, {3, 3}), "12 places that see 36 numbers",
               "[12, 36, out]");
  EXPECT_ERROR(ShapeError, add_windows(x, {3, 3, 3}), "as many axes of places");
}

TEST(PaddingText, ReadsWhatItWrites) {
  for (const std::string text :
       {"valid", "same", "same_lower", "causal", "1", "1x2", "1x2/0x2", "0/3"}) {
    EXPECT_EQ(Reader<Padding>::write(Reader<Padding>::read(text)), text);
  }
  for (const std::string text : {"", "sam", "-1", "1x", "1/", "1x2x3x4", "9999999999"}) {
    EXPECT_ERROR(ArgumentError, Reader<Padding>::read(text),
                 "valid, same, same_lower, causal, or numbers");
  }
}

}  // namespace soma::test
