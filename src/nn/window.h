// A window that moves over spatial axes: what convolutions and pooling share.
#pragma once

#include <string_view>
#include <vector>

#include "soma/convolution.h"

namespace soma {

/// One spatial axis under a moving window.
struct WindowAxis {
  int64_t extent = 1, size = 1, stride = 1, dilation = 1;
  int64_t lo = 0, hi = 0;
  int64_t places = 1;
  int64_t behind = 0;  ///< What ceil_mode adds after the padding.
  /// From the first element of a window to its last.
  int64_t reach() const { return dilation * (size - 1); }
  int64_t padded() const { return lo + extent + hi; }
};

/// Entry of `list` for axis i: lists may have one entry for all, or none (`otherwise`). Throws
/// ShapeError, beginning with `who`, unless it is in [least, 2^31).
int64_t entry(std::string_view who, std::string_view what, const Dims& list, int i, int axes,
              int64_t otherwise, int64_t least);
/// The number of spatial axes of x [batch, channels, spatial…]; throws ShapeError unless 1 to 3.
int spatial_axes(std::string_view who, const Shape& x);

struct WindowOptions {
  Dims size, stride, dilation;
  Padding padding;
  bool ceil_mode = false;
};
/// Everything about the windows of x; throws ShapeError when one is larger than the padded array.
std::vector<WindowAxis> window_axes(std::string_view who, const Shape& x,
                                    const WindowOptions& options);

/// x with the padding of its windows, filled with `value`.
Value padded(Value x, const std::vector<WindowAxis>& axes, double value);
/// How many pairs of an element and a place there are: padding is linked to nothing.
int64_t links_of(const std::vector<WindowAxis>& axes);
Dims places_of(const std::vector<WindowAxis>& axes);

/// The windows of a transposed convolution of x [batch, in, …]: `extent` is that of its result, and
/// `places` are x's. `behind` more places follow that no window reaches.
std::vector<WindowAxis> transposed_axes(std::string_view who, const Shape& x, const Dims& size,
                                        const TransposedConvOptions& options);

}  // namespace soma
