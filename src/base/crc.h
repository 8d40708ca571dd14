// Cyclic redundancy checks of 32 bits, the reflected kind: CRC-32 of PNG (ISO 3309), CRC-32C of
// record files (Castagnoli+ 1993).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace soma {

enum class Crc : uint32_t { crc32 = 0xEDB88320u, crc32c = 0x82F63B78u };

template <Crc polynomial>
uint32_t crc_of(std::string_view bytes) {
  static constexpr auto table = [] {
    std::array<uint32_t, 256> rows{};
    for (uint32_t byte = 0; byte < 256; ++byte) {
      uint32_t rest = byte;
      for (int bit = 0; bit < 8; ++bit) {
        rest = (rest >> 1) ^ (rest & 1 ? static_cast<uint32_t>(polynomial) : 0);
      }
      rows[byte] = rest;
    }
    return rows;
  }();
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = (crc >> 8) ^ table[(crc ^ static_cast<uint8_t>(c)) & 0xff];
  return ~crc;
}

}  // namespace soma
