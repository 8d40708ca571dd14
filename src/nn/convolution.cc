// Convolutions: each is the primitive `conv` in one of its roles, or windows and a product.
#include "soma/convolution.h"

#include <algorithm>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/window.h"

namespace soma {

namespace {

ConvAttr attr_of(const std::vector<WindowAxis>& axes, ConvRole role, int64_t groups) {
  ConvAttr attr;
  attr.role = role;
  attr.groups = groups;
  for (const WindowAxis& axis : axes) {
    attr.stride.push_back(axis.stride);
    attr.dilation.push_back(axis.dilation);
    attr.lo.push_back(axis.lo);
    attr.hi.push_back(axis.hi);
  }
  return attr;
}

/// The window of weights [·, ·, window…] for x; checks ranks, groups and the channels of x.
Dims window_of(std::string_view who, Value x, Value w, int64_t groups) {
  const int axes = spatial_axes(who, x.shape());
  const Shape shape = w.shape();
  if (shape.rank() != axes + 2) {
    throw ShapeError(cat(who, ": the input ", x.shape(), " has ", axes,
                         " spatial axes, so the weights need ", axes + 2, " axes, found ", shape));
  }
  if (groups < 1 || x.extent(1) % groups) {
    throw ShapeError(
        cat(who, ": ", x.extent(1), " channels do not divide into ", groups, " groups"));
  }
  return Dims(std::span(shape.begin() + 2, shape.end()));
}

std::vector<WindowAxis> axes_for(std::string_view who, const Shape& x, Dims size,
                                 const ConvOptions& options) {
  return window_axes(who, x, {size, options.stride, options.dilation, options.padding, false});
}

Value convolve(std::string_view who, Value x, Value w, const ConvOptions& options) {
  const Dims size = window_of(who, x, w, options.groups);
  if (w.extent(1) != x.extent(1) / options.groups) {
    throw ShapeError(cat(who, ": the input ", x.shape(), " in ", options.groups,
                         " groups needs weights [out, ", x.extent(1) / options.groups,
                         ", window…], found ", w.shape()));
  }
  if (w.extent(0) % options.groups) {
    throw ShapeError(cat(who, ": ", w.extent(0), " output channels do not divide into ",
                         options.groups, " groups"));
  }
  const auto axes = axes_for(who, x.shape(), size, options);
  return conv(x, w, attr_of(axes, ConvRole::y, options.groups));
}

}  // namespace

Value convolution(Value x, Value w, const ConvOptions& options) {
  return convolve("convolution", x, w, options);
}

Value depthwise_convolution(Value x, Value w, ConvOptions options) {
  spatial_axes("depthwise convolution", x.shape());
  options.groups = x.extent(1);
  return convolve("depthwise convolution", x, w, options);
}

Value separable_convolution(Value x, Value depthwise, Value pointwise, ConvOptions options) {
  const Value each = depthwise_convolution(x, depthwise, options);
  return convolve("separable convolution", each, pointwise, {});
}

Dims convolution_places(const Shape& x, Dims size, const ConvOptions& options) {
  return places_of(axes_for("convolution", x, size, options));
}

// ---------------------------------------------------------------- transposed

namespace {

/// Paddings from the extent wished for: what the windows cover more than that is cut off.
void cut_to(WindowAxis& axis, int64_t cut, bool odd_in_front, int64_t& more) {
  more += std::max<int64_t>(-cut, 0);
  cut = std::max<int64_t>(cut, 0);
  axis.lo = odd_in_front ? cut - cut / 2 : cut / 2;
  axis.hi = cut - axis.lo;
}

WindowAxis unwound(std::string_view who, int64_t extent, int64_t size,
                   const TransposedConvOptions& options, int i, int axes) {
  WindowAxis axis;
  axis.size = size;
  axis.places = extent;
  axis.stride = entry(who, "stride", options.stride, i, axes, 1, 1);
  axis.dilation = entry(who, "dilation", options.dilation, i, axes, 1, 1);
  const int64_t covered = (extent - 1) * axis.stride + axis.reach() + 1;
  const int64_t wish = entry(who, "size", options.size, i, axes, 0, 0);
  int64_t more = entry(who, "output_padding", options.output_padding, i, axes, 0, 0);
  const auto kind = options.padding.kind;
  if (kind == Padding::Kind::same || kind == Padding::Kind::same_lower) {
    const int64_t wanted = wish ? wish : extent * axis.stride;
    cut_to(axis, covered + more - wanted, kind == Padding::Kind::same_lower, more);
  } else {
    if (kind == Padding::Kind::causal) {
      axis.hi = axis.reach();
    } else if (kind == Padding::Kind::sides) {
      axis.lo = entry(who, "padding", options.padding.lo, i, axes, 0, 0);
      axis.hi = entry(who, "padding", options.padding.hi, i, axes, 0, 0);
    }
    if (wish) more = wish - (covered - axis.lo - axis.hi);
  }
  axis.extent = covered - axis.lo - axis.hi + more;
  if (axis.extent < 1 || more < 0) {
    throw ShapeError(cat(who, ": along spatial axis ", i, " the windows cover ", covered,
                         " places and ", axis.lo + axis.hi, " are taken away",
                         wish ? cat(", too few for an extent of ", wish) : "",
                         "; use less padding or a larger window"));
  }
  // More places first give back what was cut off behind, then fill up a last step; what is still
  // missing no window reaches.
  const int64_t back = std::min(more, axis.hi);
  axis.hi -= back;
  axis.behind = std::max<int64_t>(more - back - (axis.stride - 1), 0);
  axis.extent -= axis.behind;
  return axis;
}

}  // namespace

std::vector<WindowAxis> transposed_axes(std::string_view who, const Shape& x, const Dims& size,
                                        const TransposedConvOptions& options) {
  const int count = spatial_axes(who, x);
  if (options.padding.kind == Padding::Kind::causal && count != 1) {
    throw ShapeError(cat(who, ": causal padding is for one spatial axis, found ", count));
  }
  std::vector<WindowAxis> axes;
  for (int i = 0; i < count; ++i) {
    if (x[i + 2] < 1) throw ShapeError(cat(who, ": the input ", x, " has no elements"));
    axes.push_back(
        unwound(who, x[i + 2], entry(who, "window", size, i, count, 1, 1), options, i, count));
  }
  return axes;
}

Value transposed_convolution(Value x, Value w, const TransposedConvOptions& options) {
  constexpr std::string_view who = "transposed convolution";
  const Dims size = window_of(who, x, w, options.groups);
  if (w.extent(0) != x.extent(1)) {
    throw ShapeError(cat(who, ": the input ", x.shape(), " needs weights [", x.extent(1),
                         ", out / groups, window…], found ", w.shape()));
  }
  const auto axes = transposed_axes(who, x.shape(), size, options);
  ConvAttr attr = attr_of(axes, ConvRole::dx, options.groups);
  Dims none{0, 0}, zeros{0, 0};
  for (const WindowAxis& axis : axes) {
    attr.size.push_back(axis.extent);
    none.push_back(0);
    zeros.push_back(axis.behind);
  }
  return pad(conv(x, w, attr), none, zeros);
}

// ---------------------------------------------------------------- windows

Value windows_of(Value x, Dims size, const ConvOptions& options) {
  const auto axes = axes_for("windows", x.shape(), size, options);
  Value result = padded(x, axes, 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const WindowAxis& axis = axes[i];
    result = unfold(result, static_cast<int>(i) + 2, axis.size, axis.stride, axis.dilation);
  }
  return result;
}

Value add_windows(Value windows, Dims extents, const ConvOptions& options) {
  constexpr std::string_view who = "windows";
  const int count = (windows.rank() - 2) / 2;
  if (windows.rank() % 2 || count < 1 || count > 3 || extents.size() != count) {
    throw ShapeError(cat(who,
                         ": windows have the shape [batch, channels, places…, window…] with "
                         "as many axes of places as there are extents; found ",
                         windows.shape(), " and extents ", extents));
  }
  Shape shape{windows.extent(0), windows.extent(1)};
  Dims size;
  for (int i = 0; i < count; ++i) {
    shape.push_back(extents[i]);
    size.push_back(windows.extent(2 + count + i));
  }
  const auto axes = axes_for(who, shape, size, options);
  for (int i = 0; i < count; ++i) {
    if (axes[static_cast<size_t>(i)].places != windows.extent(2 + i)) {
      throw ShapeError(cat(who, ": extents ", extents, " have ", places_of(axes),
                           " places for such windows, but the array is ", windows.shape()));
    }
  }
  Value result = windows;
  Dims lo{0, 0}, hi{0, 0};
  for (int i = count - 1; i >= 0; --i) {
    const WindowAxis& axis = axes[static_cast<size_t>(i)];
    result = fold(result, i + 2, axis.size, axis.stride, axis.dilation, axis.padded());
  }
  for (const WindowAxis& axis : axes) lo.push_back(axis.lo), hi.push_back(axis.hi);
  return crop(result, lo, hi);
}

Value locally_connected(Value x, Value w, Dims size, const ConvOptions& options) {
  const Value windows = windows_of(x, size, options);
  const int count = (windows.rank() - 2) / 2;
  // [batch, in, places…, window…] to [places, batch, in·window].
  Dims order, places;
  int64_t number = 1;
  for (int i = 0; i < count; ++i) {
    order.push_back(2 + i);
    places.push_back(windows.extent(2 + i));
    number *= windows.extent(2 + i);
  }
  order.push_back(0);
  order.push_back(1);
  for (int i = 0; i < count; ++i) order.push_back(2 + count + i);
  const int64_t batch = x.extent(0);
  int64_t numbers = x.extent(1);
  for (int i = 0; i < count; ++i) numbers *= windows.extent(2 + count + i);
  if (w.rank() != 3 || w.extent(0) != number || w.extent(1) != numbers) {
    throw ShapeError(cat("locally connected: ", number, " places that see ", numbers,
                         " numbers each need weights [", number, ", ", numbers, ", out], found ",
                         w.shape()));
  }
  const Value rows = reshape(transpose(windows, order), {number, batch, numbers});
  Shape shape{batch, w.extent(2)};
  for (const int64_t extent : places) shape.push_back(extent);
  return reshape(transpose(dot(rows, w), {1, 2, 0}), shape);
}

}  // namespace soma
