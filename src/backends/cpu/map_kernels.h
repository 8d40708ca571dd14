// The elementwise kernels: one plain loop per operand count, which the compiler vectorises, and the
// table that names an operation for every primitive and type. Compiled once per instruction set.
#pragma once

#include "src/backends/cpu/isa.h"
#include "src/backends/cpu/vmath.h"

namespace soma::cpu {
namespace {

// --- What the primitives compute for one element -------------------------------------------------

template <class T>
constexpr bool is_real = false;
template <>
constexpr bool is_real<float> = true;
template <>
constexpr bool is_real<double> = true;

/// Integers are added and multiplied as unsigned numbers, where overflow wraps.
template <class T>
struct WrapOf {
  using type = T;
};
template <>
struct WrapOf<int32_t> {
  using type = uint32_t;
};
template <>
struct WrapOf<int64_t> {
  using type = uint64_t;
};
template <class T>
using Wrap = typename WrapOf<T>::type;

#define SOMA_OPERATION(name, parameters, expression) \
  struct name {                                      \
    template <class T>                               \
    static SOMA_INLINE auto of parameters {          \
      return expression;                             \
    }                                                \
  }

SOMA_OPERATION(WrappingNeg, (T a), static_cast<T>(T{} - static_cast<Wrap<T>>(a)));
SOMA_OPERATION(Add, (T a, T b), static_cast<T>(static_cast<Wrap<T>>(a) + static_cast<Wrap<T>>(b)));
SOMA_OPERATION(Sub, (T a, T b), static_cast<T>(static_cast<Wrap<T>>(a) - static_cast<Wrap<T>>(b)));
SOMA_OPERATION(Mul, (T a, T b), static_cast<T>(static_cast<Wrap<T>>(a) * static_cast<Wrap<T>>(b)));
SOMA_OPERATION(Max, (T a, T b), ((a > b) | (a != a)) ? a : b);
SOMA_OPERATION(Min, (T a, T b), ((a < b) | (a != a)) ? a : b);
SOMA_OPERATION(Lt, (T a, T b), static_cast<uint8_t>(a < b));
SOMA_OPERATION(Eq, (T a, T b), static_cast<uint8_t>(a == b));
SOMA_OPERATION(Gate, (T a, T b), a > 0 ? b : T{});
#undef SOMA_OPERATION

struct Negate {
  template <class T>
  static SOMA_INLINE T of(T a) {
    if constexpr (is_real<T>)
      return -a;
    else
      return WrappingNeg::of(a);
  }
};
struct Abs {
  template <class T>
  static SOMA_INLINE T of(T a) {
    if constexpr (sizeof(T) == 8 && is_real<T>)
      return __builtin_fabs(a);
    else if constexpr (is_real<T>)
      return __builtin_fabsf(a);
    else
      return a < T{} ? WrappingNeg::of(a) : a;
  }
};
struct Sqrt {
  static SOMA_INLINE float of(float a) { return __builtin_sqrtf(a); }
  static SOMA_INLINE double of(double a) { return __builtin_sqrt(a); }
};
struct Div {
  template <class T>
  static SOMA_INLINE T of(T a, T b) {
    if constexpr (is_real<T>) {
      return a / b;
    } else {
      if (b == 0) return 0;
      if constexpr (static_cast<T>(-1) < T{})
        if (b == -1) return WrappingNeg::of(a);  // the lowest integer over -1 is itself
      return static_cast<T>(a / b);
    }
  }
};
struct IntegerPow {
  template <class T>
  static SOMA_INLINE T of(T base, T exponent) {
    if (exponent < T{}) {
      const T sign = exponent % 2 == 0 ? T{1} : base;
      return base == 1 ? T{1} : WrappingNeg::of(base) == 1 ? sign : T{};
    }
    T result = 1;
    for (; exponent != 0; exponent = static_cast<T>(exponent / 2)) {
      if (exponent % 2 != 0) result = Mul::of(result, base);
      base = Mul::of(base, base);
    }
    return result;
  }
};

// Float32 transcendentals work on vectors, through vmath; doubles call libm lane by lane.
#define SOMA_TRANSCENDENTAL(name, function, libm)           \
  struct name {                                             \
    template <class D>                                      \
    static SOMA_INLINE D vector(D a) {                      \
      return vmath::function(a);                            \
    }                                                       \
    static SOMA_INLINE double of(double a) { return libm; } \
  }
SOMA_TRANSCENDENTAL(Exp, exp, __builtin_exp(a));
SOMA_TRANSCENDENTAL(Log, log, __builtin_log(a));
SOMA_TRANSCENDENTAL(Expm1, expm1, __builtin_expm1(a));
SOMA_TRANSCENDENTAL(Log1p, log1p, __builtin_log1p(a));
SOMA_TRANSCENDENTAL(Erf, erf, __builtin_erf(a));
SOMA_TRANSCENDENTAL(Sin, sin, __builtin_sin(a));
SOMA_TRANSCENDENTAL(Cos, cos, __builtin_cos(a));
#undef SOMA_TRANSCENDENTAL
struct Tanh {
  template <class F>
  static SOMA_INLINE F floats(F a) {
    return vmath::tanh_of_floats(a);
  }
  static SOMA_INLINE double of(double a) { return __builtin_tanh(a); }
};
struct Sigmoid {
  template <class F>
  static SOMA_INLINE F floats(F a) {
    return vmath::sigmoid_of_floats(a);
  }
  static SOMA_INLINE double of(double a) { return 1 / (1 + __builtin_exp(-a)); }
};
struct Pow {
  template <class D>
  static SOMA_INLINE D vector(D a, D b) {
    return vmath::pow(a, b);
  }
  static SOMA_INLINE double of(double a, double b) { return __builtin_pow(a, b); }
};

/// Floats truncate; beyond the integer's range they become its nearest value, NaN becomes 0.
template <class To, class From>
SOMA_INLINE To convert(From x) {
  if constexpr (is_real<From> && !is_real<To>) {
    constexpr bool is_signed = static_cast<To>(-1) < To{};
    constexpr To highest = static_cast<To>(~(is_signed ? uint64_t{1} << (8 * sizeof(To) - 1) : 0));
    constexpr To lowest = is_signed ? static_cast<To>(~static_cast<uint64_t>(highest)) : To{};
    constexpr From end = static_cast<From>(highest / 2 + 1) * 2;
    const bool inside = (x > static_cast<From>(lowest)) & (x < end);
    const To outside = x >= end ? highest : x != x ? To{} : lowest;
    return inside ? static_cast<To>(inside ? x : From{}) : outside;
  } else {
    return static_cast<To>(x);
  }
}

// --- Loops ---------------------------------------------------------------------------------------

template <class Op, class T>
void map_1(void* dst, const void* a, const void*, const void*, int64_t n) noexcept {
  T* d = static_cast<T*>(dst);
  const T* x = static_cast<const T*>(a);
  SOMA_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) d[i] = Op::of(x[i]);
}
template <class Op, class T, class Result = T>
void map_2(void* dst, const void* a, const void* b, const void*, int64_t n) noexcept {
  Result* d = static_cast<Result*>(dst);
  const T* x = static_cast<const T*>(a);
  const T* y = static_cast<const T*>(b);
  SOMA_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) d[i] = Op::of(x[i], y[i]);
}
template <class Op, class T, int side>
void map_rows(void* dst, const void* a, const void* b, int64_t rows, int64_t cols) noexcept {
  T* d = static_cast<T*>(dst);
  const T* x = static_cast<const T*>(a);
  const T* numbers = static_cast<const T*>(b);
  for (int64_t r = 0; r < rows; ++r, d += cols, x += cols) {
    const T number = numbers[r];
    SOMA_INDEPENDENT
    for (int64_t i = 0; i < cols; ++i)
      d[i] = side == number_first ? Op::of(number, x[i]) : Op::of(x[i], number);
  }
}
template <class T>
void map_select(void* dst, const void* a, const void* b, const void* c, int64_t n) noexcept {
  T* d = static_cast<T*>(dst);
  const uint8_t* condition = static_cast<const uint8_t*>(a);
  const T* x = static_cast<const T*>(b);
  const T* y = static_cast<const T*>(c);
  SOMA_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    const T left = x[i], right = y[i];
    d[i] = condition[i] != 0 ? left : right;
  }
}
template <class From, class To>
void map_cast(void* dst, const void* a, const void*, const void*, int64_t n) noexcept {
  To* d = static_cast<To*>(dst);
  const From* x = static_cast<const From*>(a);
  SOMA_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) d[i] = convert<To>(x[i]);
}
template <class From>
void map_cast_to_bool(void* dst, const void* a, const void*, const void*, int64_t n) noexcept {
  uint8_t* d = static_cast<uint8_t*>(dst);
  const From* x = static_cast<const From*>(a);
  SOMA_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) d[i] = x[i] != From{};
}

/// Half a register of floats and the register of doubles it widens to.
using Wide = Native<double>;
using Narrow = Vector<float, native_lanes<double>>;
SOMA_INLINE Wide widened(const float* from) {
#if defined(__AVX512F__)
  return _mm512_maskz_cvtps_pd(0xff, _mm256_loadu_ps(from));  // GCC 12 converts by halves
#else
  return __builtin_convertvector(load<Narrow>(from), Wide);
#endif
}
SOMA_INLINE void store_narrowed(float* to, Wide value) {
  store(to, __builtin_convertvector(value, Narrow));
}
/// The first elements, the others zero.
SOMA_INLINE Wide widened_first(const float* from, int64_t count) {
#if defined(__AVX512VL__)
  const auto mask = static_cast<__mmask8>((1u << count) - 1);
  return _mm512_maskz_cvtps_pd(0xff, _mm256_maskz_loadu_ps(mask, from));
#else
  return __builtin_convertvector(load_first<Narrow>(from, count), Wide);
#endif
}
SOMA_INLINE void store_first_narrowed(float* to, Wide value, int64_t count) {
  const Narrow narrow = __builtin_convertvector(value, Narrow);
#if defined(__AVX512VL__)
  _mm256_mask_storeu_ps(to, static_cast<__mmask8>((1u << count) - 1), narrow);
#else
  store_first(to, narrow, count);
#endif
}

// The last, partial vector takes the same path as the others, so that an element's bits do not
// depend on its position.
template <class Op>
void vector_1(void* dst, const void* a, const void*, const void*, int64_t n) noexcept {
  constexpr int lanes = native_lanes<double>;
  float* d = static_cast<float*>(dst);
  const float* x = static_cast<const float*>(a);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store_narrowed(d + i, Op::vector(widened(x + i)));
  if (i < n) store_first_narrowed(d + i, Op::vector(widened_first(x + i, n - i)), n - i);
}
template <class Op>
void floats_1(void* dst, const void* a, const void*, const void*, int64_t n) noexcept {
  using V = Native<float>;
  float* d = static_cast<float*>(dst);
  const float* x = static_cast<const float*>(a);
  for (int64_t i = 0; i < n; i += native_lanes<float>)
    store_first(d + i, Op::floats(load_first<V>(x + i, n - i)), n - i);
}
template <class Op>
void vector_2(void* dst, const void* a, const void* b, const void*, int64_t n) noexcept {
  constexpr int lanes = native_lanes<double>;
  float* d = static_cast<float*>(dst);
  const float* x = static_cast<const float*>(a);
  const float* y = static_cast<const float*>(b);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    store_narrowed(d + i, Op::vector(widened(x + i), widened(y + i)));
  if (i < n)
    store_first_narrowed(
        d + i, Op::vector(widened_first(x + i, n - i), widened_first(y + i, n - i)), n - i);
}

// --- Tables --------------------------------------------------------------------------------------

template <class Op>
constexpr void set_real(MapKernel* (&row)[dtype_count]) {
  row[0] = vector_1<Op>;
  row[1] = map_1<Op, double>;
}
template <class Op>
constexpr void set_unary(MapKernel* (&row)[dtype_count]) {
  row[0] = map_1<Op, float>;
  row[1] = map_1<Op, double>;
  row[2] = map_1<Op, int32_t>;
  row[3] = map_1<Op, int64_t>;
  row[4] = map_1<Op, uint8_t>;
}
template <class Op>
constexpr void set_integer(MapKernel* (&row)[dtype_count]) {
  row[2] = map_2<Op, int32_t>;
  row[3] = map_2<Op, int64_t>;
  row[4] = map_2<Op, uint8_t>;
}
template <class Op>
constexpr void set_binary(MapKernel* (&row)[dtype_count]) {
  row[0] = map_2<Op, float>;
  row[1] = map_2<Op, double>;
  set_integer<Op>(row);
}
/// On booleans max is "or", min and mul are "and".
template <class Op>
constexpr void set_binary_and_bool(MapKernel* (&row)[dtype_count]) {
  set_binary<Op>(row);
  row[5] = row[4];
}
template <class Op>
constexpr void set_comparison(MapKernel* (&row)[dtype_count]) {
  row[0] = map_2<Op, float, uint8_t>;
  row[1] = map_2<Op, double, uint8_t>;
  row[2] = map_2<Op, int32_t, uint8_t>;
  row[3] = map_2<Op, int64_t, uint8_t>;
  row[4] = row[5] = map_2<Op, uint8_t, uint8_t>;
}

template <class Op>
constexpr void set_rows(Isa& isa, MapOp op) {
  isa.map_rows[number_second][static_cast<int>(op)][0] = map_rows<Op, float, number_second>;
  isa.map_rows[number_second][static_cast<int>(op)][1] = map_rows<Op, double, number_second>;
  isa.map_rows[number_first][static_cast<int>(op)][0] = map_rows<Op, float, number_first>;
  isa.map_rows[number_first][static_cast<int>(op)][1] = map_rows<Op, double, number_first>;
}
constexpr void set_maps(Isa& isa) {
  const auto row = [&](MapOp op) -> MapKernel*(&)[dtype_count] {
    return isa.map[static_cast<int>(op)];
  };
  set_unary<Negate>(row(MapOp::neg));
  set_unary<Abs>(row(MapOp::abs));
  set_real<Exp>(row(MapOp::exp));
  set_real<Log>(row(MapOp::log));
  set_real<Expm1>(row(MapOp::expm1));
  set_real<Log1p>(row(MapOp::log1p));
  row(MapOp::sqrt)[0] = map_1<Sqrt, float>;
  row(MapOp::sqrt)[1] = map_1<Sqrt, double>;
  row(MapOp::tanh)[0] = floats_1<Tanh>;
  row(MapOp::tanh)[1] = map_1<Tanh, double>;
  row(MapOp::sigmoid)[0] = floats_1<Sigmoid>;
  row(MapOp::sigmoid)[1] = map_1<Sigmoid, double>;
  set_real<Erf>(row(MapOp::erf));
  set_real<Sin>(row(MapOp::sin));
  set_real<Cos>(row(MapOp::cos));
  set_binary<Add>(row(MapOp::add));
  set_binary<Sub>(row(MapOp::sub));
  set_binary_and_bool<Mul>(row(MapOp::mul));
  set_binary<Div>(row(MapOp::div));
  set_binary_and_bool<Max>(row(MapOp::max));
  set_binary_and_bool<Min>(row(MapOp::min));
  set_integer<IntegerPow>(row(MapOp::pow));
  row(MapOp::pow)[0] = vector_2<Pow>;
  row(MapOp::pow)[1] = map_2<Pow, double>;
  set_rows<Add>(isa, MapOp::add);
  set_rows<Sub>(isa, MapOp::sub);
  set_rows<Mul>(isa, MapOp::mul);
  set_rows<Div>(isa, MapOp::div);
  set_rows<Max>(isa, MapOp::max);
  set_rows<Min>(isa, MapOp::min);
  set_comparison<Lt>(row(MapOp::lt));
  set_comparison<Eq>(row(MapOp::eq));
  row(MapOp::gate)[0] = map_2<Gate, float>;
  row(MapOp::gate)[1] = map_2<Gate, double>;
  auto& select = row(MapOp::select);
  select[0] = map_select<float>;
  select[1] = map_select<double>;
  select[2] = map_select<int32_t>;
  select[3] = map_select<int64_t>;
  select[4] = select[5] = map_select<uint8_t>;
}

template <class From>
constexpr void set_casts_from(MapKernel* (&row)[dtype_count]) {
  row[0] = map_cast<From, float>;
  row[1] = map_cast<From, double>;
  row[2] = map_cast<From, int32_t>;
  row[3] = map_cast<From, int64_t>;
  row[4] = map_cast<From, uint8_t>;
  row[5] = map_cast_to_bool<From>;
}
constexpr void set_casts(Isa& isa) {
  set_casts_from<float>(isa.cast[0]);
  set_casts_from<double>(isa.cast[1]);
  set_casts_from<int32_t>(isa.cast[2]);
  set_casts_from<int64_t>(isa.cast[3]);
  set_casts_from<uint8_t>(isa.cast[4]);
  set_casts_from<uint8_t>(isa.cast[5]);
}

}  // namespace
}  // namespace soma::cpu
