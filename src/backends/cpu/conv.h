// Convolution in its three roles, directly: correct for every stride, padding, dilation and group
// count, with the last spatial axis as the inner loop.
#pragma once

#include "soma/graph.h"

namespace soma::cpu {

/// A chunk is one plane (the spatial axes) of the result.
int64_t conv_chunk_count(const Shape& result);
int64_t conv_flops(const ConvAttr& attr, const Shape& a, const Shape& b, const Shape& result);
template <class T>
void run_conv(const ConvAttr& attr, const Shape& a_shape, const Shape& b_shape, const Shape& result,
              const T* a, const T* b, T* out, int64_t begin, int64_t end) noexcept;

}  // namespace soma::cpu
