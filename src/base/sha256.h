// SHA-256 (FIPS 180-4): a model file carries the digest of its weights, so that damage and mix-ups
// are found on loading.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace soma {

class Sha256 {
 public:
  void update(std::span<const std::byte> bytes);
  /// The digest of everything given so far, as 64 lower-case hexadecimal digits. Call it once,
  /// last.
  std::string hex();

 private:
  void block(const std::byte* bytes);

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, 64> pending_{};
  uint64_t total_ = 0;  // bytes given so far
};

std::string sha256(std::span<const std::byte> bytes);
std::string sha256(std::string_view text);

}  // namespace soma
