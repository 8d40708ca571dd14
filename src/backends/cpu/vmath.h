// The transcendental functions of float32, each defined once. They take and give vectors of
// doubles: range reduction and a short polynomial in double are simple, need no tricks against
// cancellation, and leave one rounding to float32 at the end, so that the result is within 0.52 ulp
// of the true value (tests/cpu/vmath_test.cc measures it) and practically always the
// same on every instruction set. Arguments must be float32 values; the polynomials are good to
// about 1e-9 relative, not to double precision. D is a vector of doubles, or double itself. Only
// tanh and sigmoid are evaluated in floats.
//
// The coefficients interpolate the functions at Chebyshev nodes, computed in quadruple precision.
#pragma once

#include "src/backends/cpu/simd.h"

namespace soma::cpu {
namespace {
namespace vmath {

template <class D>
struct BitsOf {
  typedef uint64_t type __attribute__((vector_size(sizeof(D))));
};
template <>
struct BitsOf<double> {
  using type = uint64_t;
};
template <class D>
using Bits = typename BitsOf<D>::type;

template <class D>
SOMA_INLINE Bits<D> bits_of(D x) {
  return __builtin_bit_cast(Bits<D>, x);
}
template <class D>
SOMA_INLINE D from_bits(Bits<D> bits) {
  return __builtin_bit_cast(D, bits);
}
template <class D>
SOMA_INLINE D all(double value) {
  return D{} + value;
}
template <class D>
SOMA_INLINE D absolute(D x) {
  return from_bits<D>(bits_of(x) & ~(uint64_t{1} << 63));
}
template <class D>
SOMA_INLINE D with_sign_of(D magnitude, D sign) {
  return from_bits<D>(bits_of(absolute(magnitude)) | (bits_of(sign) & (uint64_t{1} << 63)));
}
/// NaN passes.
template <class D>
SOMA_INLINE D clamped(D x, double limit) {
  x = x > limit ? all<D>(limit) : x;
  return x < -limit ? all<D>(-limit) : x;
}
/// f(±0) = ±0 for the functions that are odd there.
template <class D>
SOMA_INLINE D keeping_zero(D x, D result) {
  return x == 0.0 ? x : result;
}

/// c[0] + c[1] x + …, the even and the odd terms each by Horner's rule: two short chains of
/// dependent steps are faster than a long one.
template <class D, int terms>
SOMA_INLINE D polynomial(D x, const double (&c)[terms]) {
  static_assert(terms % 2 == 0);
  const D square = x * x;
  D even = all<D>(c[terms - 2]), odd = all<D>(c[terms - 1]);
  SOMA_UNROLL
  for (int i = terms - 4; i >= 0; i -= 2) {
    even = multiply_add(even, square, all<D>(c[i]));
    odd = multiply_add(odd, square, all<D>(c[i + 1]));
  }
  return multiply_add(odd, x, even);
}

/// Adding this rounds to an integer and leaves it in the low bits of the sum.
constexpr double round_magic = 0x1.8p52;

/// e^x = scale * (1 + rest), for |x| <= 700.
template <class D>
struct ExpParts {
  D scale, rest;
};
template <class D>
SOMA_INLINE ExpParts<D> exp_parts(D x) {
  constexpr double coefficients[] = {0.50000000134592215,   0.16666666681615916,
                                     0.041666464991106766,  0.0083333109327904872,
                                     0.0013933642689829186, 0.00019890982710792465};
  const D shifted = multiply_add(x, all<D>(1.4426950408889634), all<D>(round_magic));
  const D n = shifted - round_magic;
  const D r = multiply_add(n, all<D>(-0.69314718055994531), x);
  const D rest = multiply_add(r * r, polynomial(r, coefficients), r);
  return {from_bits<D>((bits_of(shifted) << 52) + (uint64_t{1023} << 52)), rest};
}

template <class D>
SOMA_INLINE D exp(D x) {
  const ExpParts<D> e = exp_parts(clamped(x, 120));  // float32 ends at -104 and 89
  return multiply_add(e.scale, e.rest, e.scale);
}

/// Without care for -0.
template <class D>
SOMA_INLINE D expm1_unsigned(D x) {
  const ExpParts<D> e = exp_parts(clamped(x, 120));
  return multiply_add(e.scale, e.rest, e.scale - 1.0);
}
template <class D>
SOMA_INLINE D expm1(D x) {
  return keeping_zero(x, expm1_unsigned(x));
}

/// The same of vectors of floats, in floats, for functions that activations and what
/// backpropagation computes of them again call for every neuron. The scale is 2^`raised` times as
/// large.
template <int raised, class F>
SOMA_INLINE ExpParts<F> exp_parts_of_floats(F x) {
  using Word = Vector<uint32_t, static_cast<int>(sizeof(F) / sizeof(float))>;
  constexpr float c[] = {0.5f, 0.16666573f, 0.04166655f, 0.0083637739f, 0.0013926927f};
  constexpr float magic = 0x1.8p23f;  // as round_magic
  const F shifted = multiply_add(x, F{} + 1.44269504f, F{} + magic), n = shifted - magic;
  F r = multiply_add(n, F{} - 0.693359375f, x);
  r = multiply_add(n, F{} + 2.12194440e-4f, r);
  F series = F{} + c[4];
  SOMA_UNROLL
  for (int i = 3; i >= 0; --i) series = multiply_add(series, r, F{} + c[i]);
  const Word exponent = (__builtin_bit_cast(Word, shifted) << 23) + ((127u + raised) << 23);
  return {__builtin_bit_cast(F, exponent), multiply_add(r * r, series, r)};
}
/// For numbers far from overflow.
template <class F>
SOMA_INLINE F reciprocal_of_floats(F x) {
  return 1.0f / x;
}
#if defined(__AVX512F__)
SOMA_INLINE Vector<float, 16> reciprocal_of_floats(Vector<float, 16> x) {
  const Vector<float, 16> guess = _mm512_maskz_rcp14_ps(0xffff, x);
  return multiply_add(guess, multiply_add(-x, guess, Vector<float, 16>{} + 1.0f), guess);
}
#endif

/// Within 1.6 ulp: an odd polynomial near 0, then 1 - 2 / (e^2x + 1).
template <class F>
SOMA_INLINE F tanh_of_floats(F x) {
  using Word = Vector<uint32_t, static_cast<int>(sizeof(F) / sizeof(float))>;
  constexpr float near[] = {-0.33333332f, 0.13333114f, -0.053909428f, 0.021309389f, -0.0066102278f};
  const Word sign = __builtin_bit_cast(Word, x) & (uint32_t{1} << 31);
  F a = __builtin_bit_cast(F, __builtin_bit_cast(Word, x) ^ sign);
  const F square = a * a;
  F series = F{} + near[4];
  SOMA_UNROLL
  for (int i = 3; i >= 0; --i) series = multiply_add(series, square, F{} + near[i]);
  const F small = multiply_add(a * square, series, a);
  a = a > 10.0f ? F{} + 10.0f : a;
  const ExpParts<F> e = exp_parts_of_floats<0>(a + a);
  const F power = multiply_add(e.scale, e.rest, e.scale);
  const F large = 1.0f - 2.0f * reciprocal_of_floats(power + 1.0f);
  const F result = a < 0.55f ? small : large;
  return __builtin_bit_cast(F, __builtin_bit_cast(Word, result) | sign);
}

/// Within 2.5 ulp. e^-|x| is made 2^64 times as large, since its exponent may be a denormal
/// number's.
template <class F>
SOMA_INLINE F sigmoid_of_floats(F x) {
  F a = x < 0.0f ? x : -x;
  a = a < -104.0f ? F{} - 104.0f : a;
  const ExpParts<F> e = exp_parts_of_floats<64>(a);
  const F power = multiply_add(e.scale, e.rest, e.scale) * 0x1p-64f;
  const F part = reciprocal_of_floats(power + 1.0f);
  return x < 0.0f ? power * part : part;
}

/// erf(x) = 1 - e^(-t R(t)) with t = |x|; R is smooth on [0, 4], where float32 reaches 1.
template <class D>
SOMA_INLINE D erf(D x) {
  constexpr double coefficients[] = {
      2.682470633101282,      1.735690173318176,       0.11181143242372388,
      -0.04595100137158635,   0.017386218204943606,    -0.0056671719907021032,
      0.0013294277478608292,  -8.0483158991086767e-06, -0.00021823523240731103,
      0.0001765319224474232,  -0.00012548236380140434, 5.2362916899649994e-05,
      7.8778461775978878e-06, -1.0140654041865002e-05};
  const D magnitude = absolute(x);
  const D t = magnitude > 4.0 ? all<D>(4) : magnitude;
  return with_sign_of(expm1_unsigned(-t * polynomial(t * 0.5 - 1.0, coefficients)), x);
}

/// log(m) = s L(s^2) with s = (m - 1) / (m + 1), for m from sqrt(1/2) to sqrt(2).
template <class D>
SOMA_INLINE D log_near_one(D m_minus_1, D m_plus_1) {
  constexpr double coefficients[] = {1.9999999999999472,  0.66666666679585374, 0.39999994889888124,
                                     0.28572166357462264, 0.2217424066085398,  0.196082353787879};
  const D s = m_minus_1 / m_plus_1;
  return s * polynomial(s * s, coefficients);
}
/// For positive normal numbers; zero, infinity and NaN give anything.
template <class D>
SOMA_INLINE D log_positive(D x) {
  constexpr uint64_t root_half = 0x3FE6A09E667F3BCD, bias = uint64_t{1024} << 52;
  const Bits<D> exponent = (bits_of(x) - root_half + bias) >> 52;  // plus 1024
  const D m = from_bits<D>(bits_of(x) - (exponent << 52) + bias);
  const D e = from_bits<D>(exponent | (uint64_t{0x433} << 52)) - (0x1p52 + 1024);
  return multiply_add(e, all<D>(0.69314718055994531), log_near_one(m - 1.0, m + 1.0));
}
template <class D>
SOMA_INLINE D log(D x) {
  const double infinity = __builtin_inf();
  D result = log_positive(x);
  result = x == 0.0 ? all<D>(-infinity) : result;
  result = x < infinity ? result : x;  // infinity and NaN
  return x < 0.0 ? all<D>(__builtin_nan("")) : result;
}
template <class D>
SOMA_INLINE D log1p(D x) {
  // 1 + x drops digits of a small x; the series takes x itself.
  const D far = log(x + 1.0), near = log_near_one(x, x + 2.0);
  return keeping_zero(x, absolute(x) < 0.25 ? near : far);
}

template <class D>
SOMA_INLINE D pow(D x, D y) {
  const double infinity = __builtin_inf();
  const D magnitude = absolute(x);
  D result = exp(y * log(magnitude));
  // Rounding by the magic number holds below 2^51; a float32 beyond 2^24 is an even integer.
  const D half = y * 0.5, exact = absolute(y) < 0x1p25 ? y : D{};
  const auto integer = (exact + round_magic) - round_magic == exact;
  const auto odd = integer & ((half + round_magic) - round_magic != half) & (absolute(y) < 0x1p25);
  const auto negative = (bits_of(x) >> 63) != 0;
  result = (negative & odd) ? -result : result;
  const auto fraction = (exact + round_magic) - round_magic != exact;
  result = ((x < 0.0) & (x > -infinity) & fraction) ? all<D>(__builtin_nan("")) : result;
  result = ((magnitude == 1.0) & (absolute(y) == infinity)) ? all<D>(1) : result;
  return ((x == 1.0) | (y == 0.0)) ? all<D>(1) : result;
}

/// Largest argument of sin and cos that is reduced here; beyond, libm does it lane by lane.
constexpr double reduction_limit = 1e6;

/// x - n pi/2 in [-pi/4, pi/4], and n in the low bits of `quadrant`.
template <class D>
struct Reduced {
  D r;
  Bits<D> quadrant;
};
template <class D>
SOMA_INLINE Reduced<D> reduced(D x) {
  const D shifted = multiply_add(x, all<D>(0.63661977236758138), all<D>(round_magic));
  const D n = shifted - round_magic;
  // pi/2 in three parts; n, below 2^20, times one of the first two (33 bits) is exact.
  const D r = ((x - n * 0x1.921fb544p+0) - n * 0x1.0b4611a6p-34) - n * 0x1.3198a2e037073p-69;
  return {r, bits_of(shifted)};
}
/// The sine of r when `quadrant` is even, else its cosine; negative in the upper two.
template <class D>
SOMA_INLINE D sine_of(Reduced<D> reduced) {
  constexpr double sines[] = {-0.16666666663855112, 0.0083333318746413986, -0.00019840086698212807,
                              2.7249920983168734e-06};
  constexpr double cosines[] = {-0.4999999996911737, 0.041666650643761557, -0.0013887589114790738,
                                2.4463783001872744e-05};
  const D r = reduced.r, z = r * r;
  const D sine = multiply_add(r * z, polynomial(z, sines), r);
  const D cosine = multiply_add(z, polynomial(z, cosines), all<D>(1));
  const D value = (reduced.quadrant & 1) == 0 ? sine : cosine;
  return from_bits<D>(bits_of(value) ^ ((reduced.quadrant & 2) << 62));
}

template <class D, class Function>
SOMA_INLINE D lane_by_lane(D x, D result, Function function) {
  constexpr int lanes = sizeof(D) / sizeof(double);
  double in[lanes], out[lanes];
  store(in, x);
  store(out, result);
  bool any = false;
  for (int i = 0; i < lanes; ++i) any |= __builtin_fabs(in[i]) > reduction_limit;
  if (!any) return result;
  for (int i = 0; i < lanes; ++i)
    if (__builtin_fabs(in[i]) > reduction_limit) out[i] = function(in[i]);
  return load<D>(out);
}
template <class D>
SOMA_INLINE D sin(D x) {
  const D result = keeping_zero(x, sine_of(reduced(x)));
  return lane_by_lane(x, result, [](double lane) { return __builtin_sin(lane); });
}
template <class D>
SOMA_INLINE D cos(D x) {
  Reduced<D> r = reduced(x);
  r.quadrant += 1;
  return lane_by_lane(x, sine_of(r), [](double lane) { return __builtin_cos(lane); });
}

}  // namespace vmath
}  // namespace
}  // namespace soma::cpu
