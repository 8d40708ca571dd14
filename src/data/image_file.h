// The pixels of a PNG or JPEG file that is in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "soma/tensor.h"

namespace soma::data {

struct ImageSize {
  int64_t height = 0, width = 0;
  int64_t channels = 0;  ///< 1 or 3
};

/// What the header says. Throws FileError, naming `path`, for a header that is damaged, of another
/// format, or of more than `max_bytes` pixels.
ImageSize image_size(std::span<const std::byte> content, const std::string& path,
                     uint64_t max_bytes);

/// u8 [height, width, channels]; channels is 1 or 3.
Tensor decode_image(std::span<const std::byte> content, const std::string& path, int64_t channels,
                    uint64_t max_bytes);

}  // namespace soma::data
