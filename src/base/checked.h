// Products of extents that came from a file: they may be absurd, so they are multiplied with a
// check.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace soma {

/// The product of the extents times `factor`, or nothing when an extent is negative or the product
/// of any of them exceeds int64_t. (A zero among them does not excuse the others.)
inline std::optional<int64_t> checked_product(std::span<const int64_t> extents,
                                              int64_t factor = 1) {
  int64_t product = factor;
  bool has_zero = false;
  for (const int64_t extent : extents) {
    if (extent < 0) return std::nullopt;
    has_zero |= extent == 0;
    if (extent != 0 && __builtin_mul_overflow(product, extent, &product)) return std::nullopt;
  }
  return has_zero ? 0 : product;
}

}  // namespace soma
