// The meaning of element-wise ops and casts, against values worked out by hand or taken from tables
// (Abramowitz and Stegun, Handbook of Mathematical Functions, 1964).
#include "tests/ir/evaluate.h"

namespace soma {
namespace {

constexpr double i32_min = std::numeric_limits<int32_t>::min();
constexpr double i32_max = std::numeric_limits<int32_t>::max();

struct UnaryCase {
  Op op;
  std::vector<double> x, y;
};
TEST(Unary, Floats) {
  const UnaryCase cases[] = {
      {Op::neg, {1.5, -2, 0, inf, nan}, {-1.5, 2, -0.0, -inf, nan}},
      {Op::abs, {1.5, -2, -0.0, -inf, nan}, {1.5, 2, 0, inf, nan}},
      {Op::exp,
       {0, 1, -1, inf, -inf, nan},
       {1, 2.718281828459045, 0.36787944117144233, inf, 0, nan}},
      {Op::log, {1, 10, 0, -1, inf}, {0, 2.302585092994046, -inf, nan, inf}},
      {Op::expm1, {0, 1e-10, 1, -inf}, {0, 1.00000000005e-10, 1.718281828459045, -1}},
      {Op::log1p, {0, 1e-10, 1, -1, -2}, {0, 9.9999999995e-11, 0.6931471805599453, -inf, nan}},
      {Op::sqrt, {4, 2, 0, -1, inf}, {2, 1.4142135623730951, 0, nan, inf}},
      {Op::tanh, {0, 0.5, -100, inf}, {0, 0.46211715726000976, -1, 1}},
      {Op::sigmoid,
       {0, 2, -2, 1000, -1000, nan},
       {0.5, 0.8807970779778823, 0.11920292202211755, 1, 0, nan}},
      {Op::erf, {0, 0.5, -1, inf}, {0, 0.5204998778130465, -0.8427007929497149, 1}},
      {Op::sin, {0, 1, -1, inf}, {0, 0.8414709848078965, -0.8414709848078965, nan}},
      {Op::cos, {0, 1, -1, inf}, {1, 0.5403023058681398, 0.5403023058681398, nan}},
      {Op::stop, {1, -0.0, nan}, {1, -0.0, nan}},
  };
  for (const auto& [op, x, y] : cases) {
    SCOPED_TRACE(info(op).name);
    const auto build = [op = op](const auto& in) { return in[0].graph().add(op, {in[0]}); };
    expect_tensor(evaluated({list(x)}, build), list(y), 1e-6);
    expect_tensor(evaluated({list(x, f64)}, build), list(y, f64), 1e-15);
    expect_tensor(evaluated({list(x)}, build, true), list(y, f64), 1e-7);  // 1e-10f is not 1e-10
  }
}

TEST(Unary, SingleIsComputedInFloat) {
  const auto build = [](const auto& in) { return exp(in[0]); };
  EXPECT_EQ(evaluated({list({0.3})}, build).at(0), std::exp(0.3f));
  EXPECT_EQ(evaluated({list({0.3})}, build, true).at(0), std::exp(static_cast<double>(0.3f)));
}

TEST(Unary, IntegersWrap) {
  const auto negated = [](const auto& in) { return neg(in[0]); };
  const auto absolute = [](const auto& in) { return abs(in[0]); };
  expect_tensor(evaluated({list({5, -7, i32_min}, i32)}, negated), list({-5, 7, i32_min}, i32));
  expect_tensor(evaluated({list({5, -7, i32_min}, i32)}, absolute), list({5, 7, i32_min}, i32));
  expect_tensor(evaluated({list({0, 1, 255}, u8)}, negated), list({0, 255, 1}, u8));
  expect_tensor(evaluated({list({0, 255}, u8)}, absolute), list({0, 255}, u8));
}

struct BinaryCase {
  Op op;
  DType type;
  std::vector<double> a, b, y;
};
TEST(Binary, FloatsAndIntegers) {
  const BinaryCase cases[] = {
      {Op::add, f32, {1, inf, 1}, {2, -inf, nan}, {3, nan, nan}},
      {Op::sub, f64, {1, inf}, {2, inf}, {-1, nan}},
      {Op::mul, f32, {3, 0, -2}, {2, inf, inf}, {6, nan, -inf}},
      {Op::div, f32, {1, 1, -1, 0}, {4, 0, 0, 0}, {0.25, inf, -inf, nan}},
      {Op::max, f32, {1, nan, 1, nan, -inf}, {2, 1, nan, nan, 0}, {2, nan, nan, nan, 0}},
      {Op::min, f32, {1, nan, 1, nan, -inf}, {2, 1, nan, nan, 0}, {1, nan, nan, nan, -inf}},
      {Op::pow, f64, {2, 2, -8, 0, 9}, {10, -1, 3, 0, 0.5}, {1024, 0.5, -512, 1, 3}},
      {Op::pow, f64, {-8}, {0.5}, {nan}},
      {Op::add, i32, {1, i32_max, i32_min}, {2, 1, -1}, {3, i32_min, i32_max}},
      {Op::sub, i32, {1, i32_min}, {2, 1}, {-1, i32_max}},
      {Op::sub, u8, {1, 5}, {2, 3}, {255, 2}},
      {Op::mul, i32, {3, 65536, i32_min}, {-2, 65536, -1}, {-6, 0, i32_min}},
      {Op::mul, u8, {20}, {20}, {144}},
      {Op::div, i32, {7, -7, 7, 7, i32_min, 0}, {2, 2, -2, 0, -1, 0}, {3, -3, -3, 0, i32_min, 0}},
      {Op::div, u8, {200, 7}, {3, 0}, {66, 0}},
      {Op::max, i64, {3, -3}, {2, -2}, {3, -2}},
      {Op::min, i64, {3, -3}, {2, -2}, {2, -3}},
      {Op::pow, i32, {2, -3, 2, 5, 0}, {10, 3, 31, 0, 0}, {1024, -27, i32_min, 1, 1}},
      {Op::pow, i32, {2, 1, -1, 0, -1}, {-1, -5, -3, -1, -2}, {0, 1, -1, 0, 1}},
      {Op::pow, u8, {3, 2}, {5, 8}, {243, 0}},
  };
  for (const auto& [op, type, a, b, y] : cases) {
    SCOPED_TRACE(std::string(info(op).name) + " of " + std::string(name_of(type)));
    const auto found = evaluated({list(a, type), list(b, type)}, [op = op](const auto& in) {
      return in[0].graph().add(op, {in[0], in[1]});
    });
    expect_tensor(found, list(y, type), 1e-15);
  }
}

TEST(Binary, LongIntegersWrap) {
  const int64_t most = std::numeric_limits<int64_t>::max();
  const Tensor x = Tensor::of<int64_t>({2}, {most, -most - 1});
  const Tensor sum = evaluated({x, x}, [](const auto& in) { return in[0] + in[1]; });
  EXPECT_EQ(sum.data<int64_t>()[0], -2);
  EXPECT_EQ(sum.data<int64_t>()[1], 0);
}

TEST(Comparison, NaNIsNeitherLessNorEqual) {
  const Tensor a = list({1, 2, 3, nan, nan, -0.0}), b = list({2, 2, 2, 1, nan, 0});
  const auto compare = [&](auto function) {
    return evaluated({a, b}, [&](const auto& in) { return function(in[0], in[1]); });
  };
  expect_tensor(compare([](Value x, Value y) { return lt(x, y); }),
                list({1, 0, 0, 0, 0, 0}, boolean));
  expect_tensor(compare([](Value x, Value y) { return eq(x, y); }),
                list({0, 1, 0, 0, 0, 1}, boolean));
  expect_tensor(compare([](Value x, Value y) { return le(x, y); }),
                list({1, 1, 0, 0, 0, 1}, boolean));
  expect_tensor(compare([](Value x, Value y) { return gt(x, y); }),
                list({0, 0, 1, 0, 0, 0}, boolean));
  expect_tensor(compare([](Value x, Value y) { return ge(x, y); }),
                list({0, 1, 1, 0, 0, 1}, boolean));
  expect_tensor(compare([](Value x, Value y) { return ne(x, y); }),
                list({1, 0, 1, 1, 1, 0}, boolean));
}

TEST(Comparison, BooleansAndLogic) {
  const Tensor a = list({0, 0, 1, 1}, boolean), b = list({0, 1, 0, 1}, boolean);
  const auto of = [&](auto function) {
    return evaluated({a, b}, [&](const auto& in) { return function(in[0], in[1]); });
  };
  expect_tensor(of([](Value x, Value y) { return lt(x, y); }), list({0, 1, 0, 0}, boolean));
  expect_tensor(of([](Value x, Value y) { return eq(x, y); }), list({1, 0, 0, 1}, boolean));
  expect_tensor(of([](Value x, Value y) { return logical_and(x, y); }),
                list({0, 0, 0, 1}, boolean));
  expect_tensor(of([](Value x, Value y) { return logical_or(x, y); }), list({0, 1, 1, 1}, boolean));
  expect_tensor(of([](Value x, Value) { return logical_not(x); }), list({1, 1, 0, 0}, boolean));
}

TEST(Select, TakesElementByElement) {
  const Tensor condition = list({1, 0, 1}, boolean);
  for (const DType type : {f32, f64, i32, i64, u8}) {
    expect_tensor(evaluated({condition, list({1, 2, 3}, type), list({4, 5, 6}, type)},
                            [](const auto& in) { return select(in[0], in[1], in[2]); }),
                  list({1, 5, 3}, type));
  }
}

Tensor cast_to(const Tensor& x, DType type, bool as_double = false) {
  return evaluated(
      {x}, [&](const auto& in) { return cast(in[0], type); }, as_double);
}
TEST(Cast, FloatsToIntegersTruncateAndSaturate) {
  const Tensor x = list({1.9, -1.9, 0.5, 300, -300, 1e20, -1e20, inf, -inf, nan});
  expect_tensor(cast_to(x, u8), list({1, 0, 0, 255, 0, 255, 0, 255, 0, 0}, u8));
  expect_tensor(cast_to(x, i32),
                list({1, -1, 0, 300, -300, i32_max, i32_min, i32_max, i32_min, 0}, i32));
  const Tensor wide = cast_to(x, i64);
  EXPECT_EQ(wide.data<int64_t>()[5], std::numeric_limits<int64_t>::max());
  EXPECT_EQ(wide.data<int64_t>()[6], std::numeric_limits<int64_t>::min());
  EXPECT_EQ(wide.data<int64_t>()[9], 0);
  expect_tensor(cast_to(list({2147483646.5, 2147483647.5, -2147483648.5}, f64), i32),
                list({2147483646, i32_max, i32_min}, i32));
}
TEST(Cast, OtherTypes) {
  expect_tensor(cast_to(list({-1, 256, 257}, i32), u8), list({255, 0, 1}, u8));
  expect_tensor(cast_to(list({0, -0.0, 0.1, nan}), boolean), list({0, 0, 1, 1}, boolean));
  expect_tensor(cast_to(list({0, 7}, i64), boolean), list({0, 1}, boolean));
  expect_tensor(cast_to(list({0, 1}, boolean), f32), list({0, 1}));
  expect_tensor(cast_to(list({16777217}, i32), f32), list({16777216}));
  EXPECT_EQ(cast_to(list({0.1}, f64), f32).at(0), static_cast<double>(0.1f));
  EXPECT_EQ(cast_to(list({0.1}, f64), f32, true).at(0), 0.1);  // promoted: nothing is rounded
}

}  // namespace
}  // namespace soma
