// Padding filled from the array itself, by joining pieces of it.
#include <algorithm>

#include "soma/convolution.h"
#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/words.h"

namespace soma {

Value reversed(Value x, int axis) {
  const int at = axis < 0 ? axis + x.rank() : axis;
  if (at < 0 || at >= x.rank()) {
    throw ShapeError(cat("reversed: axis ", axis, " does not exist in the shape ", x.shape()));
  }
  const int64_t extent = x.extent(at);
  if (extent <= 1) return x;
  // Slices have no negative steps: rows are taken in the opposite order.
  Dims order;
  for (int i = 0; i < x.rank(); ++i) order.push_back(i);
  std::swap(order[0], order[at]);
  const Value index = (static_cast<double>(extent) - 1) - iota(x.graph(), {extent}, 0, i32);
  return transpose(gather(transpose(x, order), index), order);
}

namespace {

void require_room(Value x, int axis, int64_t lo, int64_t hi, int64_t most, const char* mode) {
  if (std::max(lo, hi) > most) {
    throw ShapeError(cat("padding: ", mode, " padding of ", std::max(lo, hi),
                         " elements is wider than what axis ", axis, " of ", x.shape(),
                         " can give, ", most, "; use less, or another mode"));
  }
}

/// The `skip` elements nearest to the edges are left out of the mirror image.
Value mirrored(Value x, int axis, int64_t lo, int64_t hi, int64_t skip) {
  const int64_t extent = x.extent(axis);
  std::vector<Value> parts;
  if (lo) parts.push_back(reversed(slice_axis(x, axis, skip, skip + lo), axis));
  parts.push_back(x);
  if (hi) parts.push_back(reversed(slice_axis(x, axis, extent - skip - hi, extent - skip), axis));
  return concat(parts, axis);
}

Value replicated(Value x, int axis, int64_t lo, int64_t hi) {
  const auto edge = [&](int64_t at, int64_t times) {
    Shape shape = x.shape();
    shape[axis] = times;
    return broadcast_to(slice_axis(x, axis, at, at + 1), shape);
  };
  std::vector<Value> parts;
  if (lo) parts.push_back(edge(0, lo));
  parts.push_back(x);
  if (hi) parts.push_back(edge(x.extent(axis) - 1, hi));
  return concat(parts, axis);
}

Value wrapped(Value x, int axis, int64_t lo, int64_t hi) {
  const int64_t extent = x.extent(axis);
  if (std::max(lo, hi) / extent > 1000) {
    throw ShapeError(cat("padding: circular padding of ", std::max(lo, hi),
                         " elements repeats axis ", axis, " of ", x.shape(),
                         " more than a thousand times; use less"));
  }
  std::vector<Value> parts;
  if (lo % extent) parts.push_back(slice_axis(x, axis, extent - lo % extent, extent));
  const auto copies = static_cast<size_t>(lo / extent + 1 + hi / extent);
  parts.insert(parts.end(), copies, x);
  if (hi % extent) parts.push_back(slice_axis(x, axis, 0, hi % extent));
  return concat(parts, axis);
}

Value pad_axis(Value x, int axis, int64_t lo, int64_t hi, PadMode mode) {
  if (!lo && !hi) return x;
  const int64_t extent = x.extent(axis);
  if (extent == 0) {
    throw ShapeError(cat("padding: axis ", axis, " of ", x.shape(),
                         " has no elements to fill the padding from"));
  }
  switch (mode) {
    case PadMode::constant: break;  // all axes at once, in pad_edges()
    case PadMode::reflect:
      require_room(x, axis, lo, hi, extent - 1, "reflect");
      return mirrored(x, axis, lo, hi, 1);
    case PadMode::symmetric:
      require_room(x, axis, lo, hi, extent, "symmetric");
      return mirrored(x, axis, lo, hi, 0);
    case PadMode::replicate: return replicated(x, axis, lo, hi);
    case PadMode::circular: return wrapped(x, axis, lo, hi);
  }
  return x;
}

void check_sides(const char* who, Value x, const Dims& lo, const Dims& hi) {
  if (lo.size() != hi.size() || lo.size() > x.rank()) {
    throw ShapeError(cat(who, ": the lists ", lo, " and ", hi,
                         " need one entry for each of the last axes of ", x.shape()));
  }
}

}  // namespace

Value crop(Value x, Dims lo, Dims hi) {
  check_sides("crop", x, lo, hi);
  Dims from = Dims::filled(x.rank(), 0), to = x.shape();
  for (int i = 0; i < lo.size(); ++i) {
    const int axis = x.rank() - lo.size() + i;
    if (lo[i] < 0 || hi[i] < 0 || lo[i] > to[axis] || hi[i] > to[axis] - lo[i]) {
      throw ShapeError(cat("crop: ", lo[i], " and ", hi[i], " elements cannot be taken from axis ",
                           axis, " of ", x.shape()));
    }
    from[axis] = lo[i];
    to[axis] -= hi[i];
  }
  return slice(x, from, to);
}

Value pad_edges(Value x, Dims lo, Dims hi, PadMode mode, double value) {
  check_sides("padding", x, lo, hi);
  const int first = x.rank() - lo.size();
  Dims less_lo, less_hi, more_lo = Dims::filled(first, 0), more_hi = more_lo;
  for (int i = 0; i < lo.size(); ++i) {
    // The other way round the numbers, so that the smallest one does not overflow.
    less_lo.push_back(-std::clamp<int64_t>(lo[i], -(int64_t{1} << 48), 0));
    less_hi.push_back(-std::clamp<int64_t>(hi[i], -(int64_t{1} << 48), 0));
    more_lo.push_back(std::max<int64_t>(lo[i], 0));
    more_hi.push_back(std::max<int64_t>(hi[i], 0));
  }
  Value result = crop(x, less_lo, less_hi);
  if (mode == PadMode::constant) return pad(result, more_lo, more_hi, {}, value);
  for (int axis = first; axis < x.rank(); ++axis) {
    result = pad_axis(result, axis, more_lo[axis], more_hi[axis], mode);
  }
  return result;
}

SOMA_WORDS(PadMode, {"constant", PadMode::constant}, {"reflect", PadMode::reflect},
           {"symmetric", PadMode::symmetric}, {"replicate", PadMode::replicate},
           {"circular", PadMode::circular})

}  // namespace soma
