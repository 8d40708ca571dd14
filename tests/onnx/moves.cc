// Shapes, pieces and places: no arithmetic.
#include <cmath>

#include "soma/nn.h"
#include "tests/onnx/pieces.h"
#include "tests/onnx/table.h"

namespace soma::onnx {

namespace {

// A list that was an attribute and became input i: axes, sizes, repetitions.
std::vector<int64_t> list_at(const Site& at, std::string_view attribute, size_t i) {
  return at.has(i) ? at.integers(i) : at.list(attribute);
}

int counted_from_front(int64_t axis, int rank) {
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

// ---- shapes

Value reshaped(const Site& at) {
  const Value x = at.in(0);
  std::vector<int64_t> extents = list_at(at, "shape", 1);
  for (size_t i = 0; i < extents.size(); ++i) {
    if (extents[i] == 0 && !at.flag("allowzero")) extents[i] = x.extent(static_cast<int>(i));
  }
  return reshape(x, dims_of(extents));
}

Value flattened(const Site& at) { return as_matrix(at.in(0), at.axis(1, at.in(0).rank())); }

Value squeezed(const Site& at) {
  const Shape shape = at.in(0).shape();
  std::vector<int64_t> axes = list_at(at, "axes", 1);
  for (int64_t& axis : axes) axis = counted_from_front(axis, shape.rank());
  Shape kept;
  for (int i = 0; i < shape.rank(); ++i) {
    const bool named = std::find(axes.begin(), axes.end(), i) != axes.end();
    if (!(axes.empty() ? shape[i] == 1 : named)) kept.push_back(shape[i]);
  }
  return reshape(at.in(0), kept);
}

Value unsqueezed(const Site& at) {
  Value x = at.in(0);
  std::vector<int64_t> axes = list_at(at, "axes", 1);
  const int rank = x.rank() + static_cast<int>(axes.size());
  for (int64_t& axis : axes) axis = counted_from_front(axis, rank);
  std::sort(axes.begin(), axes.end());
  for (const int64_t axis : axes) x = expand_dims(x, static_cast<int>(axis));
  return x;
}

// Both sides stretch.
Value expanded(const Site& at) {
  const Value x = at.in(0);
  std::vector<int64_t> wanted = at.integers(1);
  const size_t rank = std::max(wanted.size(), static_cast<size_t>(x.rank()));
  wanted.insert(wanted.begin(), rank - wanted.size(), 1);
  for (int i = 0; i < x.rank(); ++i) {
    int64_t& extent = wanted[rank - static_cast<size_t>(x.rank() - i)];
    extent = std::max(extent, x.extent(i));
  }
  return broadcast_to(x, dims_of(wanted));
}

Value tiled(const Site& at) {
  Value x = at.in(0);
  const std::vector<int64_t> times = at.integers(1);
  for (size_t axis = 0; axis < times.size(); ++axis) {
    x = concat(std::vector<Value>(static_cast<size_t>(times[axis]), x), static_cast<int>(axis));
  }
  return x;
}

Value transposed(const Site& at) {
  const Value x = at.in(0);
  std::vector<int64_t> perm = at.list("perm");
  for (int i = x.rank() - 1; perm.size() < static_cast<size_t>(x.rank()); --i) perm.push_back(i);
  return transpose(x, dims_of(perm));
}

Value shape_of(const Site& at) {
  const Shape shape = at.in(0).shape();
  int64_t first = at.integer("start", 0), last = at.integer("end", shape.rank());
  first = std::clamp<int64_t>(first < 0 ? first + shape.rank() : first, 0, shape.rank());
  last = std::clamp<int64_t>(last < 0 ? last + shape.rank() : last, first, shape.rank());
  const std::vector<int64_t> extents(shape.begin() + first, shape.begin() + last);
  return at.array("shape", Tensor::of({static_cast<int64_t>(extents.size())}, extents));
}
Value constant_array(const Site& at) {
  if (at.set("value")) return at.array("constant", at.attribute("value").tensor);
  if (at.set("value_int"))
    return at.graph().constant(static_cast<double>(at.integer("value_int", 0)), i64);
  return at.graph().constant(at.number("value_float", 0), f32);
}
Value size_of_input(const Site& at) {
  return at.graph().constant(static_cast<double>(at.in(0).shape().elements()), i64);
}

// ---- pieces

std::vector<Value> divided(const Site& at) {
  const Value x = at.in(0);
  const int axis = at.axis(0, x.rank());
  std::vector<int64_t> sizes = list_at(at, "split", 1);
  const auto parts = static_cast<int64_t>(at.outputs());
  if (sizes.empty()) sizes.assign(at.outputs(), x.extent(axis) / parts);
  std::vector<Value> result;
  int64_t from = 0;
  for (const int64_t size : sizes) {
    result.push_back(slice_axis(x, axis, from, from + size));
    from += size;
  }
  return result;
}

// Steps backwards: from the end of the reversed axis.
Value sliced(const Site& at) {
  Value x = at.in(0);
  const std::vector<int64_t> starts = list_at(at, "starts", 1), ends = list_at(at, "ends", 2);
  std::vector<int64_t> axes = list_at(at, "axes", 3);
  const std::vector<int64_t> steps = at.has(4) ? at.integers(4) : std::vector<int64_t>{};
  for (size_t i = 0; i < starts.size(); ++i) {
    const int axis = counted_from_front(axes.empty() ? static_cast<int64_t>(i) : axes[i], x.rank());
    const int64_t n = x.extent(axis), step = steps.empty() ? 1 : steps[i];
    int64_t lo = starts[i] < 0 ? starts[i] + n : starts[i];
    int64_t hi = ends[i] < 0 ? ends[i] + n : ends[i];
    if (step < 0) {
      x = flipped(x, axis);
      lo = n - 1 - std::min(lo, n - 1);
      hi = n - 1 - std::max<int64_t>(hi, -1);
    }
    lo = std::clamp<int64_t>(lo, 0, n);
    hi = std::clamp<int64_t>(hi, lo, n);
    Dims from = Dims::filled(x.rank(), 0), to = x.shape(), by = Dims::filled(x.rank(), 1);
    from[axis] = lo;
    to[axis] = hi;
    by[axis] = std::abs(step);
    x = slice(x, from, to, by);
  }
  return x;
}

// ---- places

Value one_hot_of(const Site& at) {
  const Value index = cast(at.in(0), i64);
  const int64_t depth = at.integers(1).at(0);
  const Value values = at.in(2);
  const Value hot = one_hot(wrapped(index, depth), depth, values.type());
  const Value off = slice_axis(values, 0, 0, 1), on = slice_axis(values, 0, 1, 2);
  const int axis = at.axis(-1, hot.rank());
  return move_axis(off + hot * (on - off), hot.rank() - 1, axis);
}

Value identity_matrix(const Site& at) {
  const Shape shape = at.in(0).shape();
  const auto k = static_cast<double>(at.integer("k", 0));
  const Value row = iota(at.graph(), shape, 0, i64), column = iota(at.graph(), shape, 1, i64);
  static const std::map<int64_t, DType> types{{1, f32}, {6, i32}, {7, i64}, {11, f64}};
  const DType type = at.set("dtype") ? types.at(at.integer("dtype", 1)) : at.in(0).type();
  return cast(eq(column - row, k), type);
}

Value triangle(const Site& at) {
  const Value x = at.in(0);
  const double k = at.has(1) ? at.known(1).at(0) : 0;
  const Shape shape = x.shape();
  const Value row = iota(at.graph(), shape, shape.rank() - 2, i64);
  const Value distance = iota(at.graph(), shape, shape.rank() - 1, i64) - row;
  return select(at.integer("upper", 1) != 0 ? distance >= k : distance <= k, x, 0.0);
}

// Row-major places of the elements that `index` names along `axis`.
Value places(const Site& at, Value index, const Shape& data, int axis) {
  const Dims strides = data.strides();
  Value place = wrapped(index, data[axis]) * static_cast<double>(strides[axis]);
  const Shape shape = index.shape();
  for (int i = 0; i < shape.rank(); ++i) {
    if (i == axis) continue;
    place = place + iota(at.graph(), shape, i, index.type()) * static_cast<double>(strides[i]);
  }
  return place;
}
Value gather_elements(const Site& at) {
  const Value x = at.in(0);
  const Shape shape = x.shape();
  const Value index = places(at, at.in(1), shape, at.axis(0, x.rank()));
  return gather(reshape(x, {-1}), index);
}

// The first elements of each sequence backwards, the others where they are.
Value reversed_sequences(const Site& at) {
  const Value x = at.in(0);
  const Shape shape = x.shape();
  const int time = static_cast<int>(at.integer("time_axis", 0));
  const Value step = iota(at.graph(), shape, time, i64);
  const Value length = broadcast(cast(at.in(1), i64), shape, {at.integer("batch_axis", 1)});
  const Value from = select(step < length, length - 1.0 - step, step);
  return gather(reshape(x, {-1}), places(at, from, shape, time));
}

// Elements of x [n, …] are replaced by those of `updates`, or these are added.
Value written(Value x, Value index, Value updates, const std::string& reduction) {
  const int64_t rows = x.extent(0);
  const Value sums = scatter_add(index, updates, rows);
  if (reduction == "add") return x + sums;
  if (reduction != "none") throw NotExpressible("scattering by " + reduction);
  const Value ones = updates.graph().constant(1, updates.shape(), updates.type());
  return select(scatter_add(index, ones, rows) > 0.0, sums, x);
}
Value scatter_elements(const Site& at) {
  const Value x = at.in(0);
  const Shape shape = x.shape();
  const Value index = places(at, at.in(1), shape, at.axis(0, x.rank()));
  const Value flat = written(reshape(x, {-1}), reshape(index, {-1}), reshape(at.in(2), {-1}),
                             at.text("reduction", "none"));
  return reshape(flat, shape);
}

// The last axis of `index` holds places along the first axes of x: as rows of x with these axes
// made one.
struct Rows {
  Value x, index;
};
Rows rows_of(Value x, Value index) {
  const Shape shape = x.shape(), places = index.shape();
  const int depth = static_cast<int>(places.back());
  int64_t rows = 1;
  Value row;
  for (int i = depth - 1; i >= 0; --i) {
    const Value along = wrapped(slice_axis(index, index.rank() - 1, i, i + 1), shape[i]);
    const Value scaled = along * static_cast<double>(rows);
    row = row ? row + scaled : scaled;
    rows *= shape[i];
  }
  Shape flat{rows}, outer;
  for (int i = depth; i < shape.rank(); ++i) flat.push_back(shape[i]);
  for (int i = 0; i + 1 < places.rank(); ++i) outer.push_back(places[i]);
  return {reshape(x, flat), reshape(row, outer)};
}
// Batch axes that data and index share become places of their own in the index.
Value gather_nd(const Site& at) {
  Value index = at.in(1);
  const Shape places = index.shape();
  for (auto i = static_cast<int>(at.integer("batch_dims", 0)) - 1; i >= 0; --i) {
    Shape one = places;
    one[one.rank() - 1] = 1;
    index = concat({iota(at.graph(), one, i, index.type()), index}, -1);
  }
  const Rows rows = rows_of(at.in(0), index);
  return gather(rows.x, rows.index);
}
Value scatter_nd(const Site& at) {
  const Shape shape = at.in(0).shape();
  const Rows rows = rows_of(at.in(0), at.in(1));
  return reshape(written(rows.x, rows.index, at.in(2), at.text("reduction", "none")), shape);
}

constexpr const char* no_halves = "no 16-bit floats to round to";

Value converted(const Site& at) {
  static const std::map<int64_t, DType> types{{1, f32}, {2, u8},      {6, i32},
                                              {7, i64}, {9, boolean}, {11, f64}};
  const auto type = types.find(at.integer("to", 0));
  if (type == types.end()) throw NotExpressible(no_halves);
  return cast(at.in(0), type->second);
}

void add_shapes(Table& table) {
  table.add("Reshape", "reshape", reshaped);
  table.add("Flatten", "reshape", flattened);
  table.add("Squeeze", "reshape", squeezed);
  table.add("Unsqueeze", "expand_dims", unsqueezed);
  table.add("Expand", "broadcast_to", expanded);
  table.add("Tile", "concat", tiled);
  table.add("Transpose", "transpose", transposed);
  table.add("Shape", "Value::shape", shape_of);
  table.add("Size", "Value::shape", size_of_input);
  table.add("Constant", "input", constant_array);
  table.add("ConstantOfShape", "constant", [](const Site& at) {
    const Tensor value = at.set("value") ? at.attribute("value").tensor : Tensor({1}, f32);
    return at.graph().constant(value.at(0), dims_of(at.integers(0)), value.type());
  });
  table.add("Range", "iota", [](const Site& at) {
    const double from = at.known(0).at(0), to = at.known(1).at(0), by = at.known(2).at(0);
    const auto count = static_cast<int64_t>(std::max(0.0, std::ceil((to - from) / by)));
    return from + by * iota(at.graph(), {count}, 0, at.known(0).type());
  });
  table.add("Cast", "cast", converted);
  table.add("CastLike", "cast", [](const Site& at) {
    if (at.half(1)) throw NotExpressible(no_halves);
    return cast(at.in(0), at.in(1).type());
  });
}

void add_pieces(Table& table) {
  table.add("Concat", "concat", [](const Site& at) {
    std::vector<Value> parts;
    for (size_t i = 0; i < at.inputs(); ++i) parts.push_back(at.in(i));
    return concat(parts, at.axis(1, parts[0].rank()));
  });
  table.add("Split", "slice_axis", divided);
  table.add("Slice", "slice", sliced);
}

void add_places(Table& table) {
  table.add("Gather", "gather",
            [](const Site& at) { return take(at.in(0), at.in(1), at.axis(0, at.in(0).rank())); });
  table.add("GatherElements", "gather", gather_elements);
  table.add("ReverseSequence", "gather", reversed_sequences);
  table.add("GatherND", "gather", gather_nd);
  table.add("Scatter", "scatter_add, select", scatter_elements);
  table.add("ScatterElements", "scatter_add, select", scatter_elements);
  table.add("ScatterND", "scatter_add, select", scatter_nd);
  table.add("OneHot", "one_hot", one_hot_of);
  table.add("EyeLike", "iota, eq", identity_matrix);
  table.add("Trilu", "iota, select", triangle);
  table.lack({"Compress", "NonZero"}, "a shape that depends on the data");
}

}  // namespace

void add_moves(Table& table) {
  add_shapes(table);
  add_pieces(table);
  add_places(table);
}

}  // namespace soma::onnx
