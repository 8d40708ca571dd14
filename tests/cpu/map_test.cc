// The elementwise kernels against plain C++, for every type and instruction set, with lengths that
// leave partial vectors, unaligned operands and the destination on top of an operand.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "soma/tensor.h"
#include "src/backends/cpu/isa.h"
#include "src/base/philox.h"
#include "src/base/visit.h"

namespace soma::cpu {
namespace {

template <class T>
using Stored = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;

template <class T>
std::vector<Stored<T>> samples(int64_t n, uint64_t seed) {
  Random random(seed);
  std::vector<Stored<T>> values;
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (std::is_same_v<T, bool>)
      values.push_back(random.bits() & 1);
    else if constexpr (std::is_floating_point_v<T>)
      values.push_back(static_cast<T>(random.normal() * (i % 3 == 0 ? 0.1 : 2)));
    else
      values.push_back(static_cast<T>(i % 2 == 0 ? random.below(9) : random.bits64()));
  }
  return values;
}

const int64_t lengths[] = {0, 1, 3, 7, 8, 15, 16, 17, 33, 100, 1001};

/// Runs `kernel` on unaligned copies, both apart from and on top of the operands it may cover.
template <class T, class R, class Reference>
void check(MapKernel* kernel, Reference reference, const char* name) {
  ASSERT_NE(kernel, nullptr) << name;
  for (int64_t n : lengths) {
    auto a = samples<T>(n + 1, 1), b = samples<T>(n + 1, 2);
    std::vector<R> wanted, got(static_cast<size_t>(n + 2), R{77});
    for (int64_t i = 1; i <= n; ++i) wanted.push_back(static_cast<R>(reference(a[i], b[i])));
    kernel(&got[1], &a[1], &b[1], nullptr, n);
    EXPECT_EQ(got.front(), R{77});
    EXPECT_EQ(got.back(), R{77}) << name << " wrote past " << n;
    for (int64_t i = 0; i < n; ++i) ASSERT_EQ(got[i + 1], wanted[i]) << name << ", element " << i;
    if constexpr (std::is_same_v<Stored<T>, R>) {
      auto over_a = a, over_b = b;
      kernel(&over_a[1], &over_a[1], &b[1], nullptr, n);
      kernel(&over_b[1], &a[1], &over_b[1], nullptr, n);
      for (int64_t i = 0; i < n; ++i) {
        ASSERT_EQ(over_a[i + 1], wanted[i]) << name;
        ASSERT_EQ(over_b[i + 1], wanted[i]) << name;
      }
    }
  }
}

template <class T>
T wrapped(__int128 value) {
  return static_cast<T>(static_cast<uint64_t>(value));
}
template <class T>
T integer_power(T base, T exponent) {
  if (exponent < T{}) {
    if (base == 1) return 1;
    return base == static_cast<T>(-1) ? static_cast<T>(exponent % 2 == 0 ? 1 : -1) : T{};
  }
  const int steps = static_cast<int>(exponent % 64);  // longer ones are left out by the caller
  T result = 1;
  for (int i = 0; i < steps; ++i) result = wrapped<T>(__int128{result} * base);
  return result;
}

template <class T>
void check_arithmetic(const Isa& isa) {
  constexpr int type = static_cast<int>(dtype_of<T>::value);
  const auto kernel = [&](MapOp op) { return isa.map[static_cast<int>(op)][type]; };
  using S = Stored<T>;
  check<T, S>(
      kernel(MapOp::max), [](S a, S b) { return std::max(a, b); }, "max");
  check<T, S>(
      kernel(MapOp::min), [](S a, S b) { return std::min(a, b); }, "min");
  check<T, uint8_t>(
      kernel(MapOp::lt), [](S a, S b) { return a < b; }, "lt");
  check<T, uint8_t>(
      kernel(MapOp::eq), [](S a, S b) { return a == b; }, "eq");
  if constexpr (std::is_floating_point_v<T>) {
    check<T, T>(
        kernel(MapOp::neg), [](T a, T) { return -a; }, "neg");
    check<T, T>(
        kernel(MapOp::abs), [](T a, T) { return std::abs(a); }, "abs");
    check<T, T>(
        kernel(MapOp::add), [](T a, T b) { return a + b; }, "add");
    check<T, T>(
        kernel(MapOp::sub), [](T a, T b) { return a - b; }, "sub");
    check<T, T>(
        kernel(MapOp::mul), [](T a, T b) { return a * b; }, "mul");
    check<T, T>(
        kernel(MapOp::div), [](T a, T b) { return a / b; }, "div");
    check<T, T>(
        kernel(MapOp::gate), [](T a, T b) { return a > 0 ? b : T{}; }, "gate");
  } else if constexpr (!std::is_same_v<T, bool>) {
    using Wide = __int128;
    check<T, T>(
        kernel(MapOp::neg), [](T a, T) { return wrapped<T>(-Wide{a}); }, "neg");
    check<T, T>(
        kernel(MapOp::abs), [](T a, T) { return wrapped<T>(a < 0 ? -Wide{a} : Wide{a}); }, "abs");
    check<T, T>(
        kernel(MapOp::add), [](T a, T b) { return wrapped<T>(Wide{a} + b); }, "add");
    check<T, T>(
        kernel(MapOp::sub), [](T a, T b) { return wrapped<T>(Wide{a} - b); }, "sub");
    check<T, T>(
        kernel(MapOp::mul), [](T a, T b) { return wrapped<T>(Wide{a} * b); }, "mul");
    check<T, T>(
        kernel(MapOp::div), [](T a, T b) { return b == 0 ? T{} : wrapped<T>(Wide{a} / b); }, "div");
  }
}

TEST(Map, ArithmeticOfEveryType) {
  for (std::string_view name : isa_names())
    for (DType type : {f32, f64, i32, i64, u8, boolean})
      visit_type(type, [&]<class T>(T) { check_arithmetic<T>(isa_named(name)); });
}

template <class T>
T one(const Isa& isa, MapOp op, T a, T b) {
  T result{};
  isa.map[static_cast<int>(op)][static_cast<int>(dtype_of<T>::value)](&result, &a, &b, nullptr, 1);
  return result;
}

TEST(Map, NaNPropagatesThroughMaxAndMin) {
  const float nan_value = std::nanf("");
  for (std::string_view name : isa_names())
    for (MapOp op : {MapOp::max, MapOp::min}) {
      // A whole vector, and a single element.
      std::vector<float> numbers(40, 1.0f), nans(40, nan_value), out(40);
      MapKernel* kernel = isa_named(name).map[static_cast<int>(op)][0];
      kernel(out.data(), numbers.data(), nans.data(), nullptr, 40);
      for (float value : out) EXPECT_TRUE(std::isnan(value));
      kernel(out.data(), nans.data(), numbers.data(), nullptr, 40);
      for (float value : out) EXPECT_TRUE(std::isnan(value));
      EXPECT_TRUE(std::isnan(one(isa_named(name), op, 1.0, std::nan(""))));
      EXPECT_TRUE(std::isnan(one(isa_named(name), op, std::nan(""), 1.0)));
    }
}

TEST(Map, IntegerEdges) {
  constexpr int32_t low = std::numeric_limits<int32_t>::min();
  constexpr int64_t low64 = std::numeric_limits<int64_t>::min();
  for (std::string_view name : isa_names()) {
    const Isa& isa = isa_named(name);
    EXPECT_EQ(one(isa, MapOp::div, low, -1), low);
    EXPECT_EQ(one(isa, MapOp::div, low64, int64_t{-1}), low64);
    EXPECT_EQ(one(isa, MapOp::div, 5, 0), 0);
    EXPECT_EQ(one(isa, MapOp::div, -7, 2), -3);
    EXPECT_EQ(one(isa, MapOp::div, uint8_t{200}, uint8_t{255}), 0);
    EXPECT_EQ(one(isa, MapOp::neg, low, 0), low);
    EXPECT_EQ(one(isa, MapOp::abs, low, 0), low);
    EXPECT_EQ(one(isa, MapOp::add, std::numeric_limits<int32_t>::max(), 1), low);
    for (int base : {-3, -2, -1, 0, 1, 2, 3, 10})
      for (int exponent : {-5, -4, -1, 0, 1, 2, 7, 31, 40}) {
        EXPECT_EQ(one(isa, MapOp::pow, base, exponent), integer_power(base, exponent))
            << base << " to the " << exponent;
        EXPECT_EQ(one<int64_t>(isa, MapOp::pow, base, exponent),
                  integer_power<int64_t>(base, exponent));
      }
    EXPECT_EQ(one(isa, MapOp::pow, uint8_t{255}, uint8_t{255}), 255);
    EXPECT_EQ(one(isa, MapOp::pow, low, 2), 0);
  }
}

TEST(Map, DoubleFunctionsAreLibm) {
  struct Pair {
    MapOp op;
    double (*reference)(double);
  };
  const Pair pairs[] = {{MapOp::exp, [](double x) { return std::exp(x); }},
                        {MapOp::log, [](double x) { return std::log(x); }},
                        {MapOp::expm1, [](double x) { return std::expm1(x); }},
                        {MapOp::log1p, [](double x) { return std::log1p(x); }},
                        {MapOp::sqrt, [](double x) { return std::sqrt(x); }},
                        {MapOp::tanh, [](double x) { return std::tanh(x); }},
                        {MapOp::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }},
                        {MapOp::erf, [](double x) { return std::erf(x); }},
                        {MapOp::sin, [](double x) { return std::sin(x); }},
                        {MapOp::cos, [](double x) { return std::cos(x); }}};
  for (std::string_view name : isa_names())
    for (const Pair& pair : pairs)
      for (double x : {0.1, 0.7, 1.0, 2.5, 30.0}) {
        EXPECT_EQ(one(isa_named(name), pair.op, x, 0.0), pair.reference(x));
        EXPECT_EQ(one(isa_named(name), MapOp::pow, x, 1.5), std::pow(x, 1.5));
      }
}

TEST(Map, SelectsByCondition) {
  for (std::string_view name : isa_names())
    for (DType type : {f32, f64, i32, i64, u8, boolean})
      visit_type(type, [&]<class T>(T) {
        MapKernel* kernel =
            isa_named(name)
                .map[static_cast<int>(MapOp::select)][static_cast<int>(dtype_of<T>::value)];
        for (int64_t n : lengths) {
          const auto condition = samples<bool>(n, 9);
          auto b = samples<T>(n, 1);
          const auto c = samples<T>(n, 2);
          auto wanted = b;
          for (int64_t i = 0; i < n; ++i) wanted[i] = condition[i] ? b[i] : c[i];
          kernel(b.data(), condition.data(), b.data(), c.data(), n);
          EXPECT_EQ(b, wanted) << name << " " << name_of(type);
        }
      });
}

/// What a cast must give, computed through a wider type.
template <class To, class From>
Stored<To> reference_cast(From x) {
  if constexpr (std::is_same_v<To, bool>) {
    return x != From{};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if (std::isnan(x)) return 0;
    const long double t = std::trunc(static_cast<long double>(x));
    if (t < static_cast<long double>(std::numeric_limits<To>::min()))
      return std::numeric_limits<To>::min();
    if (t > static_cast<long double>(std::numeric_limits<To>::max()))
      return std::numeric_limits<To>::max();
    return static_cast<To>(t);
  } else {
    return static_cast<To>(x);
  }
}

template <class From>
std::vector<Stored<From>> cast_samples() {
  auto values = samples<From>(501, 4);
  if constexpr (std::is_floating_point_v<From>) {
    const From huge = std::numeric_limits<From>::max(), inf = std::numeric_limits<From>::infinity();
    for (From v : {From{0},
                   From{-0.0},
                   From(255.5),
                   From(256),
                   From(-0.5),
                   From(2147483647.0),
                   From(2147483648.0),
                   From(-2147483648.0),
                   From(-2147483904.0),
                   From(0x1p63),
                   From(-0x1p63),
                   From(0x1.fffffep62),
                   huge,
                   -huge,
                   inf,
                   -inf,
                   std::numeric_limits<From>::quiet_NaN(),
                   From(1e10),
                   From(-1e10),
                   From(1.99)})
      values.push_back(v);
  }
  return values;
}

TEST(Map, CastsEveryPair) {
  const DType types[] = {f32, f64, i32, i64, u8, boolean};
  for (std::string_view name : isa_names())
    for (DType from : types)
      for (DType to : types)
        visit_type(from, [&]<class From>(From) {
          visit_type(to, [&]<class To>(To) {
            const auto in = cast_samples<From>();
            std::vector<Stored<To>> out(in.size());
            isa_named(name).cast[static_cast<int>(from)][static_cast<int>(to)](
                out.data(), in.data(), nullptr, nullptr, static_cast<int64_t>(in.size()));
            for (size_t i = 0; i < in.size(); ++i) {
              const auto wanted = reference_cast<To>(in[i]);
              if (wanted != wanted) continue;  // NaN: checked by the next line's twin
              ASSERT_EQ(out[i], wanted)
                  << name_of(from) << " " << +in[i] << " to " << name_of(to) << " on " << name;
            }
          });
        });
  const double nan_value = std::nan("");
  float narrowed = 0;
  isa().cast[1][0](&narrowed, &nan_value, nullptr, nullptr, 1);
  EXPECT_TRUE(std::isnan(narrowed));
}

}  // namespace
}  // namespace soma::cpu
