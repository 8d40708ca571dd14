// Resampling: products with interpolation matrices made from counting, and channels that become
// places.
#include <algorithm>
#include <cmath>

#include "soma/convolution.h"
#include "soma/error.h"
#include "soma/nn.h"
#include "src/base/text.h"
#include "src/nn/taps.h"
#include "src/nn/window.h"
#include "src/nn/words.h"

namespace soma {

namespace {

constexpr std::string_view resizing = "resize";

/// floor(x) as i64, for x >= -1.
Value floor_index(Value x) { return cast(x + 1.0, i64) - 1.0; }

/// Where each place of the result looks along an axis, f64 [size]; `scale` 0: exactly size /
/// extent. In this order whole numbers come out whole.
Value sources_of(Graph& graph, int64_t extent, int64_t size, double scale, Coordinates how) {
  const Value place = iota(graph, {size}, 0, f64);
  const auto e = static_cast<double>(extent), o = static_cast<double>(size);
  const auto shrunk = [&](Value v) { return scale > 0 ? v / scale : v * e / o; };
  switch (how) {
    case Coordinates::half_pixel: return shrunk(place + 0.5) - 0.5;
    case Coordinates::half_pixel_zero: return size == 1 ? place : shrunk(place + 0.5) - 0.5;
    case Coordinates::asymmetric: return shrunk(place);
    case Coordinates::align_corners: break;
  }
  return size == 1 ? place : place * (e - 1) / (o - 1);
}

Value rounded(Value source, Rounding rounding) {
  const auto ceiling = [](Value v) {
    const Value below = floor_index(v);
    return select(v > cast(below, f64), below + 1.0, below);
  };
  switch (rounding) {
    case Rounding::floor: return floor_index(source);
    case Rounding::ceil: return ceiling(source);
    case Rounding::half_down: return ceiling(source - 0.5);
    case Rounding::half_up: break;
  }
  return floor_index(source + 0.5);
}

/// [size, extent]: row i holds the weights of the elements that place i is made of.
Value interpolation_matrix(Graph& graph, int64_t extent, int64_t size, double scale,
                           const ResizeOptions& options) {
  const Value source = sources_of(graph, extent, size, scale, options.coordinates);
  const auto weights_at = [&](Value index) {
    const auto last = static_cast<double>(extent - 1);
    return one_hot(min(max(index, 0.0), last), extent, f64);
  };
  if (options.mode == Interpolation::nearest) return weights_at(rounded(source, options.rounding));
  const Value base = floor_index(source);
  const auto taps = interpolation_taps(source - cast(base, f64), options.mode, options.cubic);
  Value matrix;
  for (const Tap& tap : taps) {
    const Value index = base + static_cast<double>(tap.offset);
    const Value row = options.leave_out_outside ? one_hot(index, extent, f64) : weights_at(index);
    const Value part = expand_dims(tap.weight, 1) * row;
    matrix = matrix ? matrix + part : part;
  }
  return options.leave_out_outside ? matrix / sum(matrix, {1}, Keep::yes) : matrix;
}

/// The elements of each axis repeated that many times in a row.
Value repeated(Value x, const Dims& times) {
  Shape wide, shape = x.shape();
  Dims dims;
  for (int i = 0; i < x.rank(); ++i) {
    dims.push_back(wide.size());
    wide.push_back(x.extent(i));
    if (times[i] > 1) wide.push_back(times[i]);
    shape[i] *= times[i];
  }
  return reshape(broadcast(x, wide, dims), shape);
}

/// One axis to be resampled; `scale` 0: exactly size / extent.
struct ResizeAxis {
  int axis;
  int64_t extent, size;
  double scale;
  bool exact() const {
    return scale <= 0 || scale * static_cast<double>(extent) == static_cast<double>(size);
  }
  bool nothing_to_do() const { return size == extent && exact(); }
  /// With a whole scale, the usual ways to the nearest neighbour agree on repeating.
  bool repeats(const ResizeOptions& o) const {
    const bool nearer = o.rounding == Rounding::half_down || o.rounding == Rounding::half_up;
    return o.mode == Interpolation::nearest && size % extent == 0 && exact() &&
           (o.coordinates == Coordinates::half_pixel
                ? nearer
                : o.coordinates == Coordinates::asymmetric && o.rounding == Rounding::floor);
  }
};

Value interpolated(Value x, const ResizeAxis& a, const ResizeOptions& options) {
  const Value matrix =
      cast(interpolation_matrix(x.graph(), a.extent, a.size, a.scale, options), x.type());
  Dims order;
  for (int i = 0; i < x.rank(); ++i) order.push_back(i);
  std::swap(order[a.axis], order[x.rank() - 1]);
  const Value rows = transpose(x, order);
  Shape shape = rows.shape();
  shape[x.rank() - 1] = a.size;
  const Value product = dot(reshape(rows, {-1, a.extent}), matrix, false, true);
  return transpose(reshape(product, shape), order);
}

}  // namespace

Value resize(Value x, Dims size, const ResizeOptions& options) {
  const int count = size.size(), first = x.rank() - count;
  if (count < 1 || first < 0) {
    throw ShapeError(cat(resizing, ": the extents ", size,
                         " need one entry for each of the last axes of ", x.shape()));
  }
  if (!is_float(x.type())) {
    throw TypeError(cat(resizing, ": needs f32 or f64, not ", x.type()));
  }
  if (!options.scale.empty() && static_cast<int>(options.scale.size()) != count) {
    throw ShapeError(cat(resizing, ": ", options.scale.size(), " scales for ", count, " axes"));
  }
  Dims times = Dims::filled(x.rank(), 1);
  int more_axes = 0;
  for (int i = 0; i < count; ++i) {
    const double scale = options.scale.empty() ? 0 : options.scale[static_cast<size_t>(i)];
    const ResizeAxis a{first + i, x.extent(first + i), size[i], scale};
    if (a.size < 1 || a.extent < 1 || !std::isfinite(scale) || scale < 0) {
      throw ShapeError(cat(resizing, ": cannot make ", a.size, " elements of axis ", a.axis, " of ",
                           x.shape(), "; extents must be 1 or more and scales positive"));
    }
    if (a.nothing_to_do()) continue;
    if (a.repeats(options) && x.rank() + more_axes < Dims::max_size) {
      times[a.axis] = a.size / a.extent;
      ++more_axes;
    } else {
      x = interpolated(x, a, options);
    }
  }
  return repeated(x, times);
}

Value upsample(Value x, const std::vector<double>& scale, Interpolation mode, bool align_corners) {
  constexpr std::string_view who = "upsample";
  const int axes = spatial_axes(who, x.shape());
  if (scale.size() != 1 && static_cast<int>(scale.size()) != axes) {
    throw ShapeError(cat(who, ": ", scale.size(), " scales for ", axes,
                         " spatial axes; give one for each or one for all"));
  }
  if (mode == Interpolation::nearest && align_corners) {
    throw ArgumentError(cat(who,
                            ": align_corners has no meaning for nearest neighbours; leave it "
                            "out, or interpolate linearly"));
  }
  ResizeOptions options;
  options.mode = mode;
  options.rounding = Rounding::floor;
  options.coordinates = align_corners                    ? Coordinates::align_corners
                        : mode == Interpolation::nearest ? Coordinates::asymmetric
                                                         : Coordinates::half_pixel;
  Dims size;
  for (int i = 0; i < axes; ++i) {
    const double s = scale[scale.size() == 1 ? 0 : static_cast<size_t>(i)];
    const double extent = std::floor(static_cast<double>(x.extent(i + 2)) * s);
    if (!(s > 0) || !(extent >= 1) || extent > 0x1p40) {
      throw ShapeError(cat(who, ": a scale of ", number(s), " makes no extent of ", x.extent(i + 2),
                           "; scales are positive and leave at least one element"));
    }
    options.scale.push_back(s);
    size.push_back(static_cast<int64_t>(extent));
  }
  return resize(x, size, options);
}

SOMA_WORDS(Interpolation, {"nearest", Interpolation::nearest}, {"linear", Interpolation::linear},
           {"bilinear", Interpolation::linear}, {"cubic", Interpolation::cubic},
           {"bicubic", Interpolation::cubic})

// ---------------------------------------------------------------- channels and places

namespace {

struct Blocks {
  int axes;
  int64_t r, volume;  ///< The elements of one block.
};
Blocks blocks_of(std::string_view who, Value x, int64_t r) {
  const int axes = spatial_axes(who, x.shape());
  if (r < 1 || r > 1 << 16) {
    throw ShapeError(cat(who, ": the factor must be 1 or more, not ", r));
  }
  int64_t volume = 1;
  for (int i = 0; i < axes; ++i) volume *= r;
  return {axes, r, volume};
}

/// The channel axis as channels and block, in either order.
void push_channels(Shape& shape, int64_t channels, const Blocks& b, ShuffleOrder order) {
  if (order == ShuffleOrder::crd) shape.push_back(channels);
  for (int i = 0; i < b.axes; ++i) shape.push_back(b.r);
  if (order == ShuffleOrder::dcr) shape.push_back(channels);
}

/// The axes of [batch, channels and block, places…] in the order batch, channels, place, block,
/// place, block, …
Dims interleaved(const Blocks& b, ShuffleOrder order) {
  const bool crd = order == ShuffleOrder::crd;
  Dims perm{0, crd ? 1 : 1 + b.axes};
  for (int i = 0; i < b.axes; ++i) {
    perm.push_back(2 + b.axes + i);
    perm.push_back(crd ? 2 + i : 1 + i);
  }
  return perm;
}

}  // namespace

Value depth_to_space(Value x, int64_t r, ShuffleOrder order) {
  constexpr std::string_view who = "depth to space";
  const Blocks b = blocks_of(who, x, r);
  if (x.extent(1) % b.volume) {
    throw ShapeError(cat(who, ": ", x.extent(1), " channels do not divide into blocks of ",
                         b.volume, " places (a factor of ", r, " along ", b.axes, " axes)"));
  }
  const int64_t channels = x.extent(1) / b.volume;
  Shape apart{x.extent(0)}, result{x.extent(0), channels};
  push_channels(apart, channels, b, order);
  for (int i = 0; i < b.axes; ++i) {
    apart.push_back(x.extent(2 + i));
    result.push_back(x.extent(2 + i) * r);
  }
  return reshape(transpose(reshape(x, apart), interleaved(b, order)), result);
}

Value space_to_depth(Value x, int64_t r, ShuffleOrder order) {
  constexpr std::string_view who = "space to depth";
  const Blocks b = blocks_of(who, x, r);
  Shape apart{x.extent(0), x.extent(1)}, result{x.extent(0), x.extent(1) * b.volume};
  for (int i = 0; i < b.axes; ++i) {
    if (x.extent(2 + i) % r) {
      throw ShapeError(
          cat(who, ": spatial axis ", i, " of ", x.shape(), " does not divide into blocks of ", r));
    }
    apart.push_back(x.extent(2 + i) / r);
    apart.push_back(r);
    result.push_back(x.extent(2 + i) / r);
  }
  const Dims perm = interleaved(b, order);
  Dims inverse = perm;
  for (int i = 0; i < perm.size(); ++i) inverse[static_cast<int>(perm[i])] = i;
  return reshape(transpose(reshape(x, apart), inverse), result);
}

SOMA_WORDS(ShuffleOrder, {"crd", ShuffleOrder::crd}, {"dcr", ShuffleOrder::dcr})

Value channel_shuffle(Value x, int64_t groups) {
  constexpr std::string_view who = "channel shuffle";
  const int axes = spatial_axes(who, x.shape());
  if (groups < 1 || x.extent(1) % groups) {
    throw ShapeError(
        cat(who, ": ", x.extent(1), " channels do not divide into ", groups, " groups"));
  }
  const Shape shape = x.shape();
  Shape apart{x.extent(0), groups, x.extent(1) / groups};
  Dims perm{0, 2, 1};
  for (int i = 0; i < axes; ++i) {
    apart.push_back(x.extent(2 + i));
    perm.push_back(3 + i);
  }
  return reshape(transpose(reshape(x, apart), perm), shape);
}

}  // namespace soma
