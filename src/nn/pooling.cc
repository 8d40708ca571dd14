// Pooling: windows are views of the array, which a reduction reads where they are.
#include <algorithm>
#include <functional>
#include <limits>

#include "soma/convolution.h"
#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/window.h"

namespace soma {

namespace {

using Axes = std::vector<WindowAxis>;

bool side_by_side(const WindowAxis& window) {
  return window.size == window.stride && window.dilation == 1;
}

/// Each window reduced to one element, for windows side by side along the axes from `first`: these
/// are cut in two and nothing needs to be gathered.
Value reduce_cut(Value x, int first, std::span<const WindowAxis> windows, Reduction kind) {
  const int end = first + static_cast<int>(windows.size());
  Shape whole = x.shape(), cut;
  Dims axes;
  for (int i = 0; i < x.rank(); ++i) {
    if (i < first || i >= end) {
      cut.push_back(x.extent(i));
      continue;
    }
    const WindowAxis& window = windows[static_cast<size_t>(i - first)];
    whole[i] = window.places * window.size;
    cut.push_back(window.places);
    if (window.size == 1) continue;
    axes.push_back(cut.size());
    cut.push_back(window.size);
  }
  const Value used = slice(x, Dims::filled(x.rank(), 0), whole);
  return reduce(reshape(used, cut), kind, axes);
}

Value reduce_axis(Value x, int axis, const WindowAxis& window, Reduction kind) {
  if (side_by_side(window)) return reduce_cut(x, axis, {&window, 1}, kind);
  return reduce(unfold(x, axis, window.size, window.stride, window.dilation), kind, {-1});
}

/// Small windows in one go, others along one axis after the other.
Value reduce_windows(Value x, const Axes& axes, Reduction kind) {
  constexpr int64_t few = 16;  // elements that are read one by one for each result
  int64_t elements = 1, overlap = 1;
  bool cut = true;
  for (const WindowAxis& axis : axes) {
    elements *= std::min(axis.size, few + 1);
    overlap *= std::min((axis.size + axis.stride - 1) / axis.stride, few);
    cut = cut && side_by_side(axis);
  }
  if (cut && elements <= few) return reduce_cut(x, 2, axes, kind);
  // Gradients are made for each element of each window, so overlapping a lot does not pay.
  if (elements <= few && overlap <= 4) {
    Dims last;
    for (size_t i = 0; i < axes.size(); ++i) {
      const WindowAxis& axis = axes[i];
      x = unfold(x, static_cast<int>(i) + 2, axis.size, axis.stride, axis.dilation);
      last.push_back(-1 - static_cast<int64_t>(i));
    }
    return reduce(x, kind, last);
  }
  for (size_t i = axes.size(); i-- > 0;) {
    x = reduce_axis(x, static_cast<int>(i) + 2, axes[i], kind);
  }
  return x;
}

Axes axes_for(std::string_view who, Value x, const PoolOptions& o) {
  return window_axes(
      who, x.shape(),
      {o.size, o.stride.empty() ? o.size : o.stride, o.dilation, o.padding, o.ceil_mode});
}

/// What no element of that type is below.
double lowest(DType type) {
  switch (type) {
    case i32: return std::numeric_limits<int32_t>::min();
    case i64: return static_cast<double>(std::numeric_limits<int64_t>::min());
    case u8:
    case boolean: return 0;
    default: return -std::numeric_limits<double>::infinity();
  }
}

void require_float(std::string_view who, Value x) {
  if (!is_float(x.type())) {
    throw TypeError(cat(who, ": needs f32 or f64, not ", x.type()));
  }
}

/// How many elements that count each window along one axis covers, [places]: counted by pooling
/// ones.
Value counts(Value x, const WindowAxis& window, bool padding_counts) {
  const int64_t inside = padding_counts ? window.padded() : window.extent;
  const Value ones = x.graph().constant(1, {inside}, x.type());
  const int64_t lo = padding_counts ? 0 : window.lo;
  const int64_t hi = window.padded() + window.behind - lo - inside;
  return reduce_axis(pad(ones, {lo}, {hi}), 0, window, Reduction::sum);
}

bool every_window_is_full(const Axes& axes, bool padding_counts) {
  return std::ranges::all_of(axes, [&](const WindowAxis& a) {
    return a.behind == 0 && (padding_counts || a.lo + a.hi == 0);
  });
}

}  // namespace

Value max_pool(Value x, const PoolOptions& options) {
  const Axes axes = axes_for("max pooling", x, options);
  return reduce_windows(padded(x, axes, lowest(x.type())), axes, Reduction::max);
}

Value avg_pool(Value x, const PoolOptions& options) {
  constexpr std::string_view who = "average pooling";
  require_float(who, x);
  const Axes axes = axes_for(who, x, options);
  const Value total = reduce_windows(padded(x, axes, 0), axes, Reduction::sum);
  if (every_window_is_full(axes, options.count_padding)) {
    double count = 1;
    for (const WindowAxis& axis : axes) count *= static_cast<double>(axis.size);
    return total * (1 / count);
  }
  const Shape shape = total.shape();
  Value share = total;
  for (size_t i = 0; i < axes.size(); ++i) {
    const Value count = max(counts(x, axes[i], options.count_padding), 1.0);
    share = share / broadcast(count, shape, {static_cast<int64_t>(i) + 2});
  }
  return share;
}

namespace {

Value root_of_powers(Value x, double p, const std::function<Value(Value)>& add) {
  if (!(p >= 1)) {
    throw ArgumentError(cat("Lp pooling: p must be 1 or more, not ", number(p)));
  }
  if (p == 1) return add(abs(x));
  const Value total = add(p == 2 ? square(x) : pow(abs(x), p));
  // The root has no slope at 0: the branch not taken stays finite.
  const Value above = total > 0.0, safe = select(above, total, 1.0);
  return select(above, p == 2 ? sqrt(safe) : pow(safe, 1 / p), 0.0);
}

Dims spatial(Value x) {
  Dims axes;
  for (int i = 2; i < x.rank(); ++i) axes.push_back(i);
  return axes;
}

}  // namespace

Value lp_pool(Value x, double p, const PoolOptions& options) {
  require_float("Lp pooling", x);
  const Axes axes = axes_for("Lp pooling", x, options);
  return root_of_powers(x, p, [&](Value powers) {
    return reduce_windows(padded(powers, axes, 0), axes, Reduction::sum);
  });
}

Value global_max_pool(Value x) {
  spatial_axes("global max pooling", x.shape());
  return max_over(x, spatial(x), Keep::yes);
}
Value global_avg_pool(Value x) {
  spatial_axes("global average pooling", x.shape());
  require_float("global average pooling", x);
  return mean(x, spatial(x), Keep::yes);
}
Value global_lp_pool(Value x, double p) {
  spatial_axes("global Lp pooling", x.shape());
  require_float("global Lp pooling", x);
  return root_of_powers(x, p, [](Value powers) { return sum(powers, spatial(powers), Keep::yes); });
}

// ---------------------------------------------------------------- adaptive

namespace {

/// `size` windows along an axis whose ends are rounded outwards.
Value adapt_axis(Value x, int axis, int64_t size, Reduction kind, bool average) {
  const int64_t extent = x.extent(axis);
  const auto scaled = [&](Value total, int64_t count) {
    return average ? total * (1 / static_cast<double>(count)) : total;
  };
  if (extent % size == 0) {
    const int64_t each = extent / size;
    return scaled(reduce_axis(x, axis, {extent, each, each, 1, 0, 0, size, 0}, kind), each);
  }
  std::vector<Value> parts;
  for (int64_t i = 0; i < size; ++i) {
    const int64_t lo = i * extent / size, hi = ((i + 1) * extent + size - 1) / size;
    parts.push_back(scaled(reduce(slice_axis(x, axis, lo, hi), kind, {axis}, Keep::yes), hi - lo));
  }
  return concat(parts, axis);
}

Value adapt(std::string_view who, Value x, const Dims& size, Reduction kind, bool average) {
  const int axes = spatial_axes(who, x.shape());
  for (int i = axes - 1; i >= 0; --i) {
    const int64_t places = entry(who, "size", size, i, axes, 0, 0);
    if (places > 4096 || (x.extent(i + 2) == 0 && places)) {
      throw ShapeError(cat(who, ": ", places, " places cannot be made of the ", x.extent(i + 2),
                           " elements of spatial axis ", i, "; use 1 to 4096 places"));
    }
    if (places) x = adapt_axis(x, i + 2, places, kind, average);
  }
  return x;
}

}  // namespace

Value adaptive_max_pool(Value x, Dims size) {
  return adapt("adaptive max pooling", x, size, Reduction::max, false);
}
Value adaptive_avg_pool(Value x, Dims size) {
  require_float("adaptive average pooling", x);
  return adapt("adaptive average pooling", x, size, Reduction::sum, true);
}

// ---------------------------------------------------------------- places

Value max_pool_places(Value x, const PoolOptions& options) {
  const Axes axes = axes_for("max pooling", x, options);
  Value windows = padded(x, axes, lowest(x.type()));
  Shape flat{x.extent(0), x.extent(1)};
  for (size_t i = 0; i < axes.size(); ++i) {
    const WindowAxis& a = axes[i];
    windows = unfold(windows, static_cast<int>(i) + 2, a.size, a.stride, a.dilation);
    flat.push_back(a.places);
  }
  const Shape places = flat;
  flat.push_back(-1);
  // The number within the window, taken apart from the last axis to the first.
  Value rest = cast(argmax(reshape(windows, flat), -1), i64);
  Value place;
  int64_t stride = 1;
  for (size_t i = axes.size(); i-- > 0;) {
    const WindowAxis& a = axes[i];
    const auto size = static_cast<double>(a.size);
    const Value outer = rest / size, within = rest - outer * size;
    const Value start = iota(x.graph(), places, static_cast<int>(i) + 2, i64);
    const Value at = start * static_cast<double>(a.stride) +
                     within * static_cast<double>(a.dilation) - static_cast<double>(a.lo);
    const Value step = at * static_cast<double>(stride);
    place = place ? place + step : step;
    stride *= a.extent;
    rest = outer;
  }
  return place;
}

Value max_unpool(Value x, Value places, Dims extents) {
  constexpr std::string_view who = "max unpooling";
  const int axes = spatial_axes(who, x.shape());
  if (places.shape() != x.shape() || places.type() != i64) {
    throw ShapeError(cat(who, ": needs an i64 place for each value of ", x.shape(), ", found ",
                         places.type(), places.shape()));
  }
  if (extents.size() != axes) {
    throw ShapeError(
        cat(who, ": the extents ", extents, " need one entry for each of ", axes, " spatial axes"));
  }
  Shape shape{x.extent(0), x.extent(1)};
  for (const int64_t extent : extents) shape.push_back(extent);
  const int64_t planes = x.extent(0) * x.extent(1);
  const int64_t plane = shape.elements() / std::max<int64_t>(planes, 1);
  const int64_t values = x.shape().elements();
  const Value flat = reshape(places, {planes, values / std::max<int64_t>(planes, 1)});
  const Value row = iota(x.graph(), flat.shape(), 0, i64) * static_cast<double>(plane);
  // A place outside its plane is dropped, not put into the next plane.
  const Value inside = logical_and(flat >= 0.0, flat < static_cast<double>(plane));
  const Value index = select(inside, flat + row, -1.0);
  return reshape(scatter_add(reshape(index, {values}), reshape(x, {values}), planes * plane),
                 shape);
}

}  // namespace soma
