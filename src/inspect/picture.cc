// PNG and base64.
#include "src/inspect/picture.h"

#include <algorithm>

#include "src/base/crc.h"

namespace soma {
namespace {

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(value >> shift & 0xff);
  return bytes;
}

std::string chunk(const std::string& kind, const std::string& content) {
  return big_endian(static_cast<uint32_t>(content.size())) + kind + content +
         big_endian(crc_of<Crc::crc32>(kind + content));
}

/// A zlib stream (RFC 1950) of stored blocks (RFC 1951).
std::string stored(const std::string& bytes) {
  constexpr size_t most = 0xffff;
  std::string stream = "\x78\x01";
  for (size_t begin = 0; begin < bytes.size(); begin += most) {
    const size_t size = std::min(most, bytes.size() - begin);
    stream += begin + size == bytes.size() ? '\1' : '\0';
    for (const size_t word : {size, ~size}) {
      stream += static_cast<char>(word & 0xff);
      stream += static_cast<char>(word >> 8 & 0xff);
    }
    stream.append(bytes, begin, size);
  }
  uint32_t a = 1, b = 0;  // Adler-32
  for (const char c : bytes) {
    a = (a + static_cast<uint8_t>(c)) % 65521;
    b = (b + a) % 65521;
  }
  return stream + big_endian(b << 16 | a);
}

}  // namespace

bool is_picture(DType type, const Shape& row) {
  const bool planes = row.rank() == 2 || (row.rank() == 3 && (row[0] == 1 || row[0] == 3));
  return type == u8 && planes && row.back() > 1 && row[row.rank() - 2] > 1;
}

std::string png_of(std::span<const uint8_t> pixels, const Shape& row) {
  const auto width = static_cast<size_t>(row.back()),
             height = static_cast<size_t>(row[row.rank() - 2]);
  const size_t channels = row.rank() == 3 ? static_cast<size_t>(row[0]) : 1;
  std::string lines;
  for (size_t y = 0; y < height; ++y) {
    lines += '\0';  // the filter: none
    for (size_t x = 0; x < width; ++x) {
      for (size_t c = 0; c < channels; ++c) {
        lines += static_cast<char>(pixels[(c * height + y) * width + x]);
      }
    }
  }
  std::string header =
      big_endian(static_cast<uint32_t>(width)) + big_endian(static_cast<uint32_t>(height));
  header += '\x08';                         // bits of a sample
  header += channels == 3 ? '\x02' : '\0';  // colour or grey
  header.append(3, '\0');
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", header) + chunk("IDAT", stored(lines)) +
         chunk("IEND", "");
}

std::string data_address(const std::string& png) {
  static constexpr char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text = "data:image/png;base64,";
  for (size_t i = 0; i < png.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (i + k < png.size() ? static_cast<uint8_t>(png[i + k]) : 0);
    }
    for (size_t k = 0; k < 4; ++k) {
      text += i + k > png.size() ? '=' : digits[bits >> (18 - 6 * k) & 63];
    }
  }
  return text;
}

}  // namespace soma
