// The meaning of leaves, reductions, moves and index ops, against arrays written out by hand.
#include "tests/ir/evaluate.h"

namespace soma {
namespace {

Tensor from_nothing(const std::function<Value(Graph&)>& build, bool as_double = false) {
  Graph g;
  g.output("y", build(g));
  return interpret(g, {}, as_double).outputs[0];
}

// ---- leaves

TEST(Leaves, ConstantsAndCounting) {
  expect_tensor(from_nothing([](Graph& g) { return g.constant(2.5); }), array({}, {2.5}));
  expect_tensor(from_nothing([](Graph& g) { return g.constant(300, u8); }), array({}, {255}, u8));
  expect_tensor(from_nothing([](Graph& g) { return g.constant(-1, boolean); }),
                array({}, {1}, boolean));
  EXPECT_EQ(from_nothing([](Graph& g) { return g.constant(0.1); }).at(0),
            static_cast<double>(0.1f));
  EXPECT_EQ(from_nothing([](Graph& g) { return g.constant(0.1); }, true).at(0), 0.1);
  expect_tensor(from_nothing([](Graph& g) {
                  return iota(g, {2, 3}, 0);
                }),
                array({2, 3}, {0, 0, 0, 1, 1, 1}));
  expect_tensor(from_nothing([](Graph& g) {
                  return iota(g, {2, 3}, -1, i64);
                }),
                array({2, 3}, {0, 1, 2, 0, 1, 2}, i64));
  EXPECT_EQ(from_nothing([](Graph& g) { return iota(g, {0, 3}, 1, i32); }).elements(), 0);
}

TEST(Leaves, RandomNumbersArePhilox) {
  const Tensor key = Tensor::of<int64_t>({2}, {0x123456789abcdef, 7});
  const auto draw = [&](DType type, bool as_double = false) {
    return evaluated(
        {key},
        [&](const auto& in) {
          return rng(in[0], {2, 3}, 5, type);
        },
        as_double);
  };
  const Tensor single = draw(f32), wide = draw(f64);
  for (int64_t i = 0; i < 6; ++i) {
    const auto bits = [&](int64_t element) {
      return philox_bits(0x123456789abcdef, 7, 5, element);
    };
    EXPECT_EQ(single.at(i), std::ldexp(bits(i) >> 8, -24));
    const uint64_t both = bits(2 * i) | uint64_t{bits(2 * i + 1)} << 32;
    EXPECT_EQ(wide.at(i), std::ldexp(both >> 11, -53));
    EXPECT_EQ(draw(f32, true).at(i), single.at(i));  // promotion changes no numbers
  }
}

// ---- reductions

TEST(Reduce, SumsOverAnyAxes) {
  const Tensor x = counting({2, 3, 2});
  const auto over = [&](Dims axes) {
    return evaluated({x}, [&](const auto& in) { return sum(in[0], axes); });
  };
  expect_tensor(over({0}), array({3, 2}, {6, 8, 10, 12, 14, 16}));
  expect_tensor(over({1}), array({2, 2}, {6, 9, 24, 27}));
  expect_tensor(over({2}), array({2, 3}, {1, 5, 9, 13, 17, 21}));
  expect_tensor(over({0, 2}), list({14, 22, 30}));
  expect_tensor(over({0, 1, 2}), array({}, {66}));
  expect_tensor(evaluated({list({200, 100}, u8)}, [](const auto& in) { return sum(in[0]); }),
                array({}, {44}, u8));
}
TEST(Reduce, SumsOfSinglesAreRoundedOnce) {
  const Tensor x = list({16777216, 1, 1, 1, 1});  // in float 2^24 + 1 is 2^24
  expect_tensor(evaluated({x}, [](const auto& in) { return sum(in[0]); }), array({}, {16777220}));
}
TEST(Reduce, MaximumLetsNaNWin) {
  const Tensor x = array({3, 3}, {1, 5, -2, nan, 0, 9, -3, -1, -2});
  const auto largest = [](const auto& in) { return max_over(in[0], {1}); };
  expect_tensor(evaluated({x}, largest), list({5, nan, -1}));
  expect_tensor(evaluated({array({1, 3}, {9, nan, 10})}, largest), list({nan}));
  expect_tensor(evaluated({array({2, 2}, {-5, -7, 2, 1}, i32)}, largest), list({-5, 2}, i32));
}
TEST(Reduce, OfNothing) {
  const auto total = [](const auto& in) { return sum(in[0], {0}); };
  const auto largest = [](const auto& in) { return max_over(in[0], {0}); };
  expect_tensor(evaluated({Tensor({0, 2})}, total), list({0, 0}));
  expect_tensor(evaluated({Tensor({0, 2})}, largest), list({-inf, -inf}));
  expect_tensor(evaluated({Tensor({0, 1}, i32)}, largest), list({-2147483648.0}, i32));
  expect_tensor(evaluated({Tensor({0, 1}, u8)}, largest), list({0}, u8));
}
TEST(Argmax, TheFirstOfEqualsAndNaNIsLargest) {
  const Tensor x = array({4, 3}, {1, 3, 3, nan, 5, 6, 1, nan, nan, -2, -3, -1});
  expect_tensor(evaluated({x}, [](const auto& in) { return argmax(in[0], 1); }),
                list({1, 0, 1, 2}, i32));
  expect_tensor(evaluated({x}, [](const auto& in) { return argmax(in[0], 0); }),
                list({1, 2, 2}, i32));
  expect_tensor(
      evaluated({list({0, 1, 1}, boolean)}, [](const auto& in) { return argmax(in[0], 0); }),
      array({}, {1}, i32));
}

// ---- moves

TEST(Move, Broadcast) {
  const Tensor x = list({1, 2});
  expect_tensor(evaluated({x},
                          [](const auto& in) {
                            return broadcast(in[0], {2, 3}, {0});
                          }),
                array({2, 3}, {1, 1, 1, 2, 2, 2}));
  expect_tensor(evaluated({x},
                          [](const auto& in) {
                            return broadcast(in[0], {3, 2}, {1});
                          }),
                array({3, 2}, {1, 2, 1, 2, 1, 2}));
  expect_tensor(evaluated({array({}, {7}, u8)},
                          [](const auto& in) {
                            return broadcast(in[0], {2, 2}, {});
                          }),
                array({2, 2}, {7, 7, 7, 7}, u8));
  expect_tensor(evaluated({counting({2, 2})},
                          [](const auto& in) {
                            return broadcast(in[0], {2, 2, 2}, {0, 2});
                          }),
                array({2, 2, 2}, {0, 1, 0, 1, 2, 3, 2, 3}));
}
TEST(Move, ReshapeAndTranspose) {
  const Tensor x = counting({2, 3, 2});
  expect_tensor(evaluated({x},
                          [](const auto& in) {
                            return reshape(in[0], {4, -1});
                          }),
                counting({4, 3}));
  expect_tensor(evaluated({x},
                          [](const auto& in) {
                            return transpose(in[0], {2, 0, 1});
                          }),
                array({2, 2, 3}, {0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}));
}
TEST(Move, SliceWithSteps) {
  const Tensor x = counting({4, 5}, i32);
  expect_tensor(evaluated({x},
                          [](const auto& in) {
                            return slice(in[0], {1, 0}, {4, 5}, {2, 3});
                          }),
                array({2, 2}, {5, 8, 15, 18}, i32));
  EXPECT_EQ(evaluated({x},
                      [](const auto& in) {
                        return slice(in[0], {2, 0}, {2, 5});
                      })
                .shape(),
            (Shape{0, 5}));
}
TEST(Move, PadBeforeAfterAndBetween) {
  expect_tensor(
      evaluated({list({1, 2, 3})}, [](const auto& in) { return pad(in[0], {1}, {2}, {1}, 9); }),
      list({9, 1, 9, 2, 9, 3, 9, 9}));
  expect_tensor(evaluated({array({2, 1}, {1, 2}, i32)},
                          [](const auto& in) {
                            return pad(in[0], {0, 1}, {1, 0}, {2, 5}, -4);
                          }),
                array({5, 2}, {-4, 1, -4, -4, -4, -4, -4, 2, -4, -4}, i32));
  expect_tensor(
      evaluated({Tensor({0})}, [](const auto& in) { return pad(in[0], {1}, {1}, {3}, -inf); }),
      list({-inf, -inf}));
  expect_tensor(
      evaluated({list({0}, boolean)}, [](const auto& in) { return pad(in[0], {1}, {0}, {}, 1); }),
      list({1, 0}, boolean));
}
TEST(Move, Concat) {
  const Tensor a = array({2, 1}, {1, 2}), b = array({2, 2}, {3, 4, 5, 6}), none({2, 0});
  expect_tensor(evaluated({a, none, b}, [](const auto& in) { return concat(in, 1); }),
                array({2, 3}, {1, 3, 4, 2, 5, 6}));
  expect_tensor(evaluated({b, b},
                          [](const auto& in) {
                            return concat({in[0], in[1] * 2.0}, 0);
                          }),
                array({4, 2}, {3, 4, 5, 6, 6, 8, 10, 12}));
}
TEST(Move, UnfoldCutsWindows) {
  const Tensor x = counting({7});
  expect_tensor(evaluated({x}, [](const auto& in) { return unfold(in[0], 0, 3, 2); }),
                array({3, 3}, {0, 1, 2, 2, 3, 4, 4, 5, 6}));
  expect_tensor(evaluated({x}, [](const auto& in) { return unfold(in[0], 0, 3, 1, 2); }),
                array({3, 3}, {0, 2, 4, 1, 3, 5, 2, 4, 6}));
  expect_tensor(
      evaluated({counting({3, 2})}, [](const auto& in) { return unfold(in[0], 0, 2, 1); }),
      array({2, 2, 2}, {0, 2, 1, 3, 2, 4, 3, 5}));
  EXPECT_EQ(evaluated({x}, [](const auto& in) { return unfold(in[0], 0, 8, 1); }).shape(),
            (Shape{0, 8}));
}
TEST(Move, FoldAddsWindowsBack) {
  expect_tensor(evaluated({array({3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9})},
                          [](const auto& in) { return fold(in[0], 0, 3, 2, 1, 8); }),
                list({1, 2, 7, 5, 13, 8, 9, 0}));
}

// ---- index

TEST(Index, GatherTakesRowsAndZerosOutside) {
  const Tensor x = array({3, 2}, {1, 2, 3, 4, 5, 6});
  for (const DType type : {i32, i64}) {
    expect_tensor(evaluated({x, array({2, 2}, {2, 0, -1, 3}, type)},
                            [](const auto& in) { return gather(in[0], in[1]); }),
                  array({2, 2, 2}, {5, 6, 1, 2, 0, 0, 0, 0}));
  }
  expect_tensor(evaluated({list({7, 8}, u8), array({}, {1}, i32)},
                          [](const auto& in) { return gather(in[0], in[1]); }),
                array({}, {8}, u8));
}
TEST(Index, ScatterAddsRowsAndDropsOutside) {
  const Tensor index = list({2, 0, 2, -1, 3}, i32);
  expect_tensor(evaluated({index, array({5, 2}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})},
                          [](const auto& in) { return scatter_add(in[0], in[1], 3); }),
                array({3, 2}, {3, 4, 0, 0, 6, 8}));
  expect_tensor(evaluated({array({}, {1}, i64), list({5, 6}, i32)},
                          [](const auto& in) { return scatter_add(in[0], in[1], 2); }),
                array({2, 2}, {0, 0, 5, 6}, i32));
}

// ---- adjoints: <f(x), y> = <x, f'(y)>

TEST(Adjoint, UnfoldAndFold) {
  Random random(1);
  for (int n = 0; n < 50; ++n) {
    const Shape shape{static_cast<int64_t>(1 + random.below(3)),
                      static_cast<int64_t>(1 + random.below(9)), 2};
    const int axis = static_cast<int>(random.below(3));
    const auto pick = [&] { return static_cast<int64_t>(1 + random.below(3)); };
    const int64_t size = pick(), step = pick(), dilation = pick();
    const Tensor x = noise(shape, random);
    const Tensor windows =
        evaluated({x}, [&](const auto& in) { return unfold(in[0], axis, size, step, dilation); });
    const Tensor dy = noise(windows.shape(), random);
    const Tensor dx = evaluated(
        {dy}, [&](const auto& in) { return fold(in[0], axis, size, step, dilation, shape[axis]); });
    EXPECT_NEAR(inner(windows, dy), inner(x, dx), 1e-12);
  }
}
TEST(Adjoint, GatherAndScatterAdd) {
  Random random(2);
  for (int n = 0; n < 50; ++n) {
    const auto rows = static_cast<int64_t>(random.below(5));
    const Tensor x = noise({rows, 3}, random);
    Tensor index({2, 2}, i64);
    for (int64_t i = 0; i < 4; ++i) index.set(i, static_cast<double>(random.below(7)) - 1);
    const Tensor y = evaluated({x, index}, [](const auto& in) { return gather(in[0], in[1]); });
    const Tensor dy = noise(y.shape(), random);
    const Tensor dx =
        evaluated({index, dy}, [&](const auto& in) { return scatter_add(in[0], in[1], rows); });
    EXPECT_NEAR(inner(y, dy), inner(x, dx), 1e-12);
  }
}

}  // namespace
}  // namespace soma
