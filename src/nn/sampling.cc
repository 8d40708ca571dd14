// Arrays read at free places: elements are gathered by index and weighed by distance.
#include "soma/convolution.h"
#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/taps.h"

namespace soma {

namespace {

constexpr std::string_view who = "grid sampling";

/// The largest whole number not above v, as a float; no gradient.
Value floor_of(Value v) {
  const Value cut = cast(cast(v, i64), v.type());
  return stop(select(cut > v, cut - 1.0, cut));
}

/// Coordinates in elements from those in [-1, 1].
Value in_elements(Value v, int64_t extent, bool align_corners) {
  const auto e = static_cast<double>(extent);
  return align_corners ? (v + 1.0) * ((e - 1) / 2) : (v + 1.0) * (e / 2) - 0.5;
}

/// Mirrored at `low` and `low` + `span` until it lies between.
Value mirrored(Value v, double low, double span) {
  if (span == 0) return v * 0.0 + low;
  const Value from = abs(v - low);
  const Value times = floor_of(from * (1 / span)), rest = from - times * span;
  const Value odd = times - floor_of(times * 0.5) * 2.0;
  return select(odd > 0.5, span - rest, rest) + low;
}

Value brought_inside(Value v, int64_t extent, const GridOptions& options) {
  const auto last = static_cast<double>(extent - 1);
  if (options.outside == Outside::reflection) {
    v = options.align_corners ? mirrored(v, 0, last) : mirrored(v, -0.5, last + 1);
  }
  if (options.outside == Outside::zeros) return v;
  return select(v > 0.0, select(v < last, v, last), 0.0);
}

/// The elements of rows [batch·places, channels] at whole coordinates, one for each spatial axis;
/// what lies outside is zero.
Value gathered(Value rows, const std::vector<Value>& at, const Dims& extents) {
  const Shape shape = at[0].shape();
  Value index = iota(rows.graph(), shape, 0, i64), inside;
  for (size_t i = 0; i < at.size(); ++i) {
    const auto extent = static_cast<double>(extents[static_cast<int>(i)]);
    const Value place = cast(at[i], i64);
    const Value fits = logical_and(at[i] >= 0.0, at[i] < extent);
    inside = inside ? logical_and(inside, fits) : fits;
    index = index * extent + place;
  }
  return gather(rows, select(inside, index, -1.0));
}

Value at_nearest(Value rows, const std::vector<Value>& at, const Dims& extents) {
  std::vector<Value> whole;
  for (const Value v : at) {
    // Half way between two, the even one, as rint() does.
    const Value below = floor_of(v), rest = stop(v) - below;
    const Value odd = below - floor_of(below * 0.5) * 2.0;
    const Value up = logical_or(rest > 0.5, logical_and(eq(rest, 0.5), odd > 0.5));
    whole.push_back(select(up, below + 1.0, below));
  }
  return gathered(rows, whole, extents);
}

/// The neighbours of each place, each weighed by its nearness along all axes; `bring` maps their
/// coordinates along an axis to those that are read.
template <class Bring>
Value at_neighbours(Value rows, const std::vector<Value>& at, const Dims& extents,
                    Interpolation mode, Bring&& bring) {
  std::vector<std::vector<Tap>> taps;
  std::vector<Value> base;
  size_t count = 1;
  for (const Value v : at) {
    base.push_back(floor_of(v));
    taps.push_back(interpolation_taps(v - base.back(), mode, -0.75));
    count *= taps.back().size();
  }
  Value total;
  for (size_t k = 0; k < count; ++k) {
    std::vector<Value> whole;
    Value weight;
    size_t rest = k;
    for (size_t i = 0; i < at.size(); ++i) {
      const Tap& tap = taps[i][rest % taps[i].size()];
      rest /= taps[i].size();
      whole.push_back(
          bring(base[i] + static_cast<double>(tap.offset), extents[static_cast<int>(i)]));
      weight = weight ? weight * tap.weight : tap.weight;
    }
    const Value term = gathered(rows, whole, extents) * expand_dims(weight, -1);
    total = total ? total + term : term;
  }
  return total;
}

void check_grid(Value x, Value grid) {
  const int n = x.rank() - 2;
  if (n < 2 || n > 3 || grid.rank() != n + 2 || grid.extent(-1) != n ||
      grid.extent(0) != x.extent(0)) {
    throw ShapeError(
        cat(who, ": needs an array [batch, channels, spatial…] of two or three spatial ",
            "axes and a grid [batch, places…, ", n, "], found ", x.shape(), " and ", grid.shape()));
  }
  if (!is_float(x.type()) || grid.type() != x.type()) {
    throw TypeError(cat(who, ": needs an array and a grid of f32 or of f64, found ", x.type(),
                        " and ", grid.type()));
  }
}

}  // namespace

Value grid_sample(Value x, Value grid, const GridOptions& options) {
  check_grid(x, grid);
  const int n = x.rank() - 2;
  Dims extents, channels_last{0}, channels_first{0, n + 1};
  for (int i = 0; i < n; ++i) {
    extents.push_back(x.extent(i + 2));
    channels_last.push_back(i + 2);
    channels_first.push_back(i + 1);
  }
  channels_last.push_back(1);
  const int64_t channels = x.extent(1);
  const Value rows = reshape(transpose(x, channels_last), {-1, channels});
  Shape places = grid.shape();
  places = Shape(std::span(places.begin(), places.end() - 1));
  const bool cubic = options.mode == Interpolation::cubic;
  std::vector<Value> at;
  for (int i = 0; i < n; ++i) {  // the grid has the last axis first
    const Value v = reshape(slice_axis(grid, -1, n - 1 - i, n - i), places);
    const Value element = in_elements(v, extents[i], options.align_corners);
    at.push_back(cubic ? element : brought_inside(element, extents[i], options));
  }
  if (options.mode == Interpolation::nearest) {
    return transpose(at_nearest(rows, at, extents), channels_first);
  }
  // A cubic curve runs on outside the array, so that each neighbour is brought inside by itself.
  const auto bring = [&](Value v, int64_t extent) {
    return cubic ? brought_inside(v, extent, options) : v;
  };
  return transpose(at_neighbours(rows, at, extents, options.mode, bring), channels_first);
}

Value affine_grid(Value theta, Dims extents, bool align_corners) {
  const int n = extents.size();
  if (n < 2 || n > 3 || theta.rank() != 3 || theta.extent(1) != n || theta.extent(2) != n + 1) {
    throw ShapeError(cat("affine grid: extents ", extents, " need maps [batch, ", n, ", ", n + 1,
                         "] of two or three axes, found ", theta.shape()));
  }
  Graph& graph = theta.graph();
  Shape shape = extents;
  shape.push_back(1);
  std::vector<Value> columns;
  for (int i = n - 1; i >= 0; --i) {
    const Value place = iota(graph, shape, i, theta.type());
    const auto e = static_cast<double>(extents[i]);
    columns.push_back(align_corners ? place * (e > 1 ? 2 / (e - 1) : 0.0) - (e > 1 ? 1.0 : 0.0)
                                    : (place * 2.0 + 1.0) * (1 / e) - 1.0);
  }
  columns.push_back(graph.constant(1, shape, theta.type()));
  const Value places = reshape(concat(columns, n), {-1, n + 1});
  const int64_t batch = theta.extent(0), count = places.extent(0);
  // All maps side by side are one product: [places, n + 1] · [batch·n, n + 1]ᵀ.
  const Value product = dot(places, reshape(theta, {batch * n, n + 1}), false, true);
  Shape result{batch};
  for (const int64_t extent : extents) result.push_back(extent);
  result.push_back(n);
  return reshape(transpose(reshape(product, {count, batch, n}), {1, 0, 2}), result);
}

}  // namespace soma
