// Random numbers by counter: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers:
// as easy as 1, 2, 3", 2011). Every number is a function of (seed, step, stream, element), so any
// thread, machine or backward pass finds the same number without storing anything.
//
// The mapping, shared by every place that draws numbers:
//   key     = { seed low 32 bits, seed high 32 bits }
//   counter = { (element / 4) low, (element / 4) high ^ stream high, stream low, step }
//   the element's word is output word element % 4.
// Real numbers come from +, -, *, / and sqrt alone, which IEEE 754 fixes to the bit.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>

namespace soma {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

/// The Philox 4x32 bijection with ten rounds.
constexpr PhiloxCounter philox(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p = uint64_t{0xD2511F53} * counter[0];
    const uint64_t q = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(q >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(q),
               static_cast<uint32_t>(p >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(p)};
    key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
  }
  return counter;
}

/// The 32 random bits of one element.
constexpr uint32_t philox_bits(uint64_t seed, uint32_t step, uint64_t stream, uint64_t element) {
  const uint64_t block = element / 4;  // its high half is 0 for any array that memory holds
  const PhiloxCounter counter{static_cast<uint32_t>(block),
                              static_cast<uint32_t>((block >> 32) ^ (stream >> 32)),
                              static_cast<uint32_t>(stream), step};
  return philox(counter,
                {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)})[element % 4];
}

/// [0, 1) in steps of 2^-24.
constexpr float uniform_float(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }

namespace detail {
/// The natural logarithm of a positive normal number, the same bits on every platform.
inline double portable_log(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent);  // exact
  if (m < 0.70710678118654752) m *= 2, --exponent;
  const double s = (m - 1) / (m + 1), z = s * s;
  double sum = 0;
  for (int k = 21; k >= 1; k -= 2) sum = sum * z + 1.0 / k;
  return exponent * 0.69314718055994531 + 2 * s * sum;
}
/// cos(2 pi u) for u in [0, 1), the same bits on every platform.
inline double portable_cos_turns(double u) {
  const double v = u > 0.5 ? 1 - u : u;  // cos is even about half a turn
  const bool flip = v > 0.25;            // and odd about a quarter
  const double x = 6.283185307179586 * (flip ? 0.5 - v : v), z = x * x;
  double sum = 1;
  for (int k = 22; k >= 2; k -= 2) sum = 1 - z * sum / (k * (k - 1.0));
  return flip ? -sum : sum;
}
}  // namespace detail

/// A stream of random numbers. `seed`, `stream` and `step` name it; the position advances with each
/// draw.
class Random {
 public:
  explicit Random(uint64_t seed, uint64_t stream = 0, uint32_t step = 0)
      : seed_(seed), stream_(stream), step_(step) {}

  /// The 32 bits of any element, whatever has been drawn.
  uint32_t bits_at(uint64_t element) const { return philox_bits(seed_, step_, stream_, element); }
  uint32_t bits() { return bits_at(position_++); }
  uint64_t bits64() {
    const uint64_t low = bits();
    return low | uint64_t{bits()} << 32;
  }
  /// [0, 1) in steps of 2^-24.
  float uniform() { return uniform_float(bits()); }
  /// [0, 1) in steps of 2^-53.
  double uniform_double() { return static_cast<double>(bits64() >> 11) * 0x1p-53; }
  /// Mean 0, variance 1 (Box and Muller, 1958).
  double normal() {
    const double radius = std::sqrt(-2 * detail::portable_log(1 - uniform_double()));
    return radius * detail::portable_cos_turns(uniform_double());
  }
  /// One of 0 … count-1, all equally likely; `count` must be above zero.
  uint64_t below(uint64_t count) {
    const uint64_t surplus = (0 - count) % count;  // 2^64 mod count values would come too often
    uint64_t value = bits64();
    while (value < surplus) value = bits64();
    return value % count;
  }
  /// Fisher and Yates: every order equally likely.
  template <class T>
  void shuffle(std::span<T> items) {
    using std::swap;
    for (size_t left = items.size(); left > 1; --left) swap(items[left - 1], items[below(left)]);
  }

 private:
  uint64_t seed_;
  uint64_t stream_;
  uint32_t step_;
  uint64_t position_ = 0;
};

}  // namespace soma
