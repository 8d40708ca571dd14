// Embeddings and positions.
#include <cmath>

#include "soma/attention.h"
#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/pieces.h"

namespace soma {

// ---------------------------------------------------------------- embeddings

static void check_table(std::string_view what, Value table, Value index) {
  if (table.rank() != 2 || !is_float(table.type())) {
    throw ShapeError(cat(what, ": the table is f32 or f64 [rows, width], found ", table.type(), " ",
                         table.shape()));
  }
  if (index.type() != i32 && index.type() != i64) {
    throw TypeError(cat(what, ": indices are i32 or i64, found ", index.type(), "; cast them"));
  }
}

Value embedding(Value table, Value index, int64_t pad) {
  check_table("embedding", table, index);
  const Value rows = gather(table, index);
  if (pad < 0) return rows;
  return select(expand_dims(eq(index, static_cast<double>(pad)), -1), stop(rows), rows);
}

Value embedding_bag(Value table, Value index, Bag mode, Value weights, int64_t pad) {
  check_table("embedding_bag", table, index);
  if (index.rank() != 2 || (weights && weights.shape() != index.shape())) {
    throw ShapeError(cat("embedding_bag: indices, and weights if given, are [batch, count]; found ",
                         index.shape(), weights ? cat(" and ", weights.shape()) : ""));
  }
  if (weights && mode == Bag::max) {
    throw ArgumentError("embedding_bag: the largest of the rows takes no weights");
  }
  Value real = logical_and(index >= 0.0, index < static_cast<double>(table.extent(0)));
  if (pad >= 0) real = logical_and(real, ne(index, static_cast<double>(pad)));
  const Value rows = gather(table, index), each = expand_dims(real, -1);
  if (mode == Bag::max) {
    const Value largest = max_over(select(each, rows, -3e38), {1});
    return select(gt(largest, -3e38), largest, 0.0);
  }
  Value share = cast(real, table.type());
  if (weights) share = select(real, weights, 0.0);
  const Value total = sum(expand_dims(share, -1) * rows, {1});
  if (mode == Bag::sum) return total;
  const Value weight = sum(share, {1}, Keep::yes);
  return total / select(eq(weight, 0.0), 1.0, weight);
}

// ---------------------------------------------------------------- positions

// p base^(-2i / width) for positions p = 0 … time-1 (+ offset) and pairs i, [time, pairs] or
// [batch, time, pairs], in f64: f32 would be off by a thousandth of a turn at position 10000.
static Value angles(Graph& graph, int64_t time, int64_t pairs, int64_t width, double base,
                    int64_t offset, Value position) {
  Value p = iota(graph, {time, 1}, 0, f64) + static_cast<double>(offset);
  if (position && position.rank() == 1) position = reshape(position, {-1, 1, 1});
  if (position) p = p + cast(position, f64);
  const double rate = -2 * std::log(base) / static_cast<double>(width);
  return p * exp(iota(graph, {1, pairs}, 1, f64) * rate);
}

// [..., n] and [..., n] as [..., 2n]: a0 b0 a1 b1 …
static Value interleave(Value a, Value b) {
  Shape shape = a.shape();
  shape[shape.rank() - 1] *= 2;
  return reshape(concat({expand_dims(a, -1), expand_dims(b, -1)}, -1), shape);
}

Value rotary(Value x, const RotaryOptions& options) {
  if (x.rank() < 2) throw ShapeError(cat("rotary: ", x.shape(), " is not [..., time, depth]"));
  const int64_t all = x.extent(-1), depth = options.depth ? options.depth : all;
  if (depth < 2 || depth % 2 || depth > all) {
    throw ShapeError(
        cat("rotary: turns pairs of numbers, so that the depth must be even and at "
            "most ",
            all, "; found ", depth));
  }
  Value angle = angles(x.graph(), x.extent(-2), depth / 2, depth, options.base, options.offset,
                       options.position);
  if (angle.rank() == 3) {  // one position for each sequence: the axes between are ones
    Shape shape = Shape::filled(x.rank(), 1);
    shape[0] = angle.extent(0);
    shape[x.rank() - 2] = angle.extent(1);
    shape[x.rank() - 1] = angle.extent(2);
    angle = reshape(angle, shape);
  }
  const Value c = cast(cos(angle), x.type()), s = cast(sin(angle), x.type());
  const Value turning = slice_axis(x, -1, 0, depth);
  Value a, b;
  if (options.pairing == Pairing::halves) {
    a = slice_axis(turning, -1, 0, depth / 2);
    b = slice_axis(turning, -1, depth / 2, depth);
  } else {
    Shape pairs = turning.shape();
    pairs[pairs.rank() - 1] = depth / 2;
    pairs.push_back(2);
    const Value paired = reshape(turning, pairs);
    Shape half = turning.shape();
    half[half.rank() - 1] = depth / 2;
    a = reshape(slice_axis(paired, -1, 0, 1), half);
    b = reshape(slice_axis(paired, -1, 1, 2), half);
  }
  const Value left = a * c - b * s, right = b * c + a * s;
  const Value turned =
      options.pairing == Pairing::halves ? concat({left, right}, -1) : interleave(left, right);
  return depth == all ? turned : concat({turned, slice_axis(x, -1, depth, all)}, -1);
}

Value sinusoidal_positions(Graph& graph, int64_t time, int64_t width, DType type, Value position,
                           Pairing pairing, double base) {
  if (time < 1 || width < 1) {
    throw ShapeError(cat("sinusoidal_positions: [", time, ", ", width, "] has no elements"));
  }
  const int64_t pairs = (width + 1) / 2;
  const Value angle = angles(graph, time, pairs, width, base, 0, position);
  const Value s = cast(sin(angle), type), c = cast(cos(angle), type);
  if (pairing == Pairing::interleaved) return slice_axis(interleave(s, c), -1, 0, width);
  return concat({s, slice_axis(c, -1, 0, width / 2)}, -1);
}

Value learned_positions(Value table, int64_t time, Value position) {
  if (table.rank() != 2 || time > table.extent(0)) {
    throw ShapeError(cat("learned_positions: ", time, " steps do not fit a table ", table.shape(),
                         " of [max time, width]"));
  }
  if (!position) return slice_axis(table, 0, 0, time);
  const Value first = position.rank() == 1 ? expand_dims(position, -1) : position;
  return gather(table, first + iota(table.graph(), {time}, 0, position.type()));
}

std::vector<double> alibi_slopes(int64_t heads) {
  int64_t power = 1;
  while (power * 2 <= heads) power *= 2;
  std::vector<double> slopes;
  const auto slope = [](int64_t h, int64_t of) {
    return std::exp2(-8 * static_cast<double>(h) / static_cast<double>(of));
  };
  for (int64_t h = 1; h <= power; ++h) slopes.push_back(slope(h, power));
  for (int64_t h = 1; power + (h + 1) / 2 <= heads; h += 2) slopes.push_back(slope(h, 2 * power));
  return slopes;
}

Value alibi_bias(Graph& graph, int64_t heads, int64_t queries, int64_t keys, int64_t offset,
                 DType type) {
  std::vector<Value> slopes;
  for (const double slope : alibi_slopes(heads)) {
    slopes.push_back(graph.constant(-slope, {1, 1, 1}, type));
  }
  const Value distance = iota(graph, {queries, 1}, 0, type) + static_cast<double>(offset) -
                         iota(graph, {1, keys}, 1, type);
  return concat(slopes, 0) * magnitude(distance);
}

}  // namespace soma
