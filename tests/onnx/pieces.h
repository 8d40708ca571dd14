// Small moves that several families need.
#pragma once

#include <algorithm>

#include "soma/graph.h"

namespace soma::onnx {

/// Extents of 1 are added behind, up to `rank` axes.
inline Value trailing_ones(Value x, int rank) {
  Shape shape = x.shape();
  while (shape.rank() < rank) shape.push_back(1);
  return reshape(x, shape);
}

/// The axes before `axis` as rows, the others as columns.
inline Value as_matrix(Value x, int axis) {
  const Shape shape = x.shape();
  int64_t rows = 1;
  for (int i = 0; i < axis; ++i) rows *= shape[i];
  return reshape(x, {rows, rows == 0 ? 0 : shape.elements() / rows});
}

/// Without the fraction.
inline Value truncated(Value x) { return cast(cast(x, i64), x.type()); }

/// Axis `from` becomes axis `to`; the others keep their order.
inline Value move_axis(Value x, int from, int to) {
  std::vector<int64_t> perm;
  for (int i = 0; i < x.rank(); ++i) {
    if (i != from) perm.push_back(i);
  }
  perm.insert(perm.begin() + to, from);
  return transpose(x, Dims(std::span<const int64_t>(perm)));
}

/// Indices from -n as from 0.
inline Value wrapped(Value index, int64_t n) {
  return select(index < 0.0, index + static_cast<double>(n), index);
}

/// Slices of x along `axis`, by index; the index's axes take the place of that axis.
inline Value take(Value x, Value index, int axis) {
  const int64_t n = x.extent(axis);
  Value y = gather(move_axis(x, axis, 0), wrapped(index, n));
  for (int i = 0; i < index.rank(); ++i) {  // [index…, before…, after…] → [before…, index…, after…]
    y = move_axis(y, 0, index.rank() + axis - 1);
  }
  return y;
}

/// Along `axis` from the end to the beginning.
inline Value flipped(Value x, int axis) {
  const int64_t n = x.extent(axis);
  return take(x, static_cast<double>(n - 1) - iota(x.graph(), {n}, 0, i64), axis);
}

}  // namespace soma::onnx
