// Rows that are images, as pictures inside a page.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "soma/tensor.h"

namespace soma {

/// Whether a row of that type and shape is an image: bytes [height, width], or with 1 or 3 channels
/// in front.
bool is_picture(DType type, const Shape& row);

/// The pixels as a PNG file (ISO/IEC 15948), stored without compression: grey, or of three colours
/// plane by plane.
std::string png_of(std::span<const uint8_t> pixels, const Shape& row);

/// "data:image/png;base64,…" (RFC 2397, RFC 4648).
std::string data_address(const std::string& png);

}  // namespace soma
