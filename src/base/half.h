// 16-bit floats: widened to f32, exactly; and f32 rounded to bfloat16.
#pragma once

#include <bit>
#include <cstdint>

namespace soma {

/// bfloat16: the upper half of an f32.
constexpr float from_bf16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

/// To nearest, ties to even; what is not a number stays none.
constexpr uint16_t to_bf16(float number) {
  const auto bits = std::bit_cast<uint32_t>(number);
  if (number != number) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits.
constexpr float from_f16(uint16_t bits) {
  const uint32_t sign = uint32_t{bits} >> 15 << 31;
  const uint32_t exponent = bits >> 10 & 31u, fraction = bits & 1023u;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24, exact in f32
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const uint32_t wide = exponent == 31 ? 255 : exponent + 127 - 15;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

}  // namespace soma
