// Small grey images side by side in one file.
#pragma once

#include <cmath>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

namespace example {

/// A sheet of images of equal size. Numbers from 0 (white) to 1 (black), as ink on paper.
class Sheet {
 public:
  Sheet(int64_t rows, int64_t columns, int64_t side)
      : side_(side),
        width_(columns * (side + gap) + gap),
        height_(rows * (side + gap) + gap),
        pixels_(static_cast<size_t>(width_ * height_), 255) {}

  void put(int64_t row, int64_t column, const float* image) {
    for (int64_t y = 0; y < side_; ++y) {
      for (int64_t x = 0; x < side_; ++x) {
        const float ink = std::fmin(1.0f, std::fmax(0.0f, image[y * side_ + x]));
        const int64_t py = row * (side_ + gap) + gap + y, px = column * (side_ + gap) + gap + x;
        pixels_[static_cast<size_t>(py * width_ + px)] =
            static_cast<uint8_t>(std::lround(255 * (1 - ink)));
      }
    }
  }

  /// The sheet as a BMP file of 256 greys, which every viewer and browser opens.
  std::string bmp() const {
    const int64_t row = (width_ + 3) / 4 * 4, start = 14 + 40 + 1024;
    std::string file = "BM";
    const auto number = [&file](int64_t value, int bytes) {
      for (int i = 0; i < bytes; ++i) file += static_cast<char>(value >> (8 * i) & 255);
    };
    number(start + row * height_, 4), number(0, 4), number(start, 4);
    number(40, 4), number(width_, 4), number(height_, 4), number(1, 2), number(8, 2);
    number(0, 4), number(row * height_, 4), number(2835, 4), number(2835, 4), number(256, 4),
        number(0, 4);
    for (int grey = 0; grey < 256; ++grey) number(grey * 0x010101, 4);
    for (int64_t y = height_; y-- > 0;) {  // from the bottom up
      file.append(reinterpret_cast<const char*>(&pixels_[static_cast<size_t>(y * width_)]),
                  static_cast<size_t>(width_));
      file.append(static_cast<size_t>(row - width_), '\0');
    }
    return file;
  }

 private:
  static constexpr int64_t gap = 2;
  int64_t side_, width_, height_;
  std::vector<uint8_t> pixels_;
};

}  // namespace example
