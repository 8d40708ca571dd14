// Reductions, broadcasts, fills and strided copies. Compiled once per instruction set.
#pragma once

#include <type_traits>

#include "src/backends/cpu/map_kernels.h"

namespace soma::cpu {
namespace {

template <class T>
constexpr T lowest() {
  if constexpr (is_real<T>)
    return static_cast<T>(-__builtin_inf());
  else if constexpr (static_cast<T>(-1) < T{})
    return static_cast<T>(uint64_t{1} << (8 * sizeof(T) - 1));
  else
    return T{};
}
struct SumReducer : Add {
  template <class T>
  static constexpr T start = T{};
};
struct MaxReducer : Max {
  template <class T>
  static constexpr T start = lowest<T>();
};

/// Element i goes to lane i % lanes; the lanes are combined in halves.
template <class R, class T, int lanes>
SOMA_INLINE T reduce_row(const T* row, int64_t cols) {
  T lane[lanes];
  for (int j = 0; j < lanes; ++j) lane[j] = R::template start<T>;
  int64_t i = 0;
  for (; i + lanes <= cols; i += lanes)
    for (int j = 0; j < lanes; ++j) lane[j] = R::of(lane[j], row[i + j]);
  for (int j = 0; i + j < cols; ++j) lane[j] = R::of(lane[j], row[i + j]);
  SOMA_UNROLL
  for (int half = lanes / 2; half > 0; half /= 2)
    for (int j = 0; j < half; ++j) lane[j] = R::of(lane[j], lane[j + half]);
  return lane[0];
}
template <class R, class T>
void reduce_rows(void* dst, const void* src, int64_t rows, int64_t cols, bool accumulate) noexcept {
  T* d = static_cast<T*>(dst);
  const T* s = static_cast<const T*>(src);
  for (int64_t r = 0; r < rows; ++r, s += cols) {
    const T value = cols < 64 ? reduce_row<R, T, 8>(s, cols) : reduce_row<R, T, 64>(s, cols);
    d[r] = accumulate ? R::of(d[r], value) : value;
  }
}

template <class R, class T>
void reduce_cols(void* dst, const void* src, int64_t rows, int64_t cols, int64_t row_stride,
                 bool accumulate) noexcept {
  T* d = static_cast<T*>(dst);
  const T* s = static_cast<const T*>(src);
  if (!accumulate)
    for (int64_t c = 0; c < cols; ++c) d[c] = R::template start<T>;
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const T* s0 = s + r * row_stride;
    const T *s1 = s0 + row_stride, *s2 = s1 + row_stride, *s3 = s2 + row_stride;
    SOMA_INDEPENDENT
    for (int64_t c = 0; c < cols; ++c)
      d[c] = R::of(R::of(R::of(R::of(d[c], s0[c]), s1[c]), s2[c]), s3[c]);
  }
  for (; r < rows; ++r) {
    const T* row = s + r * row_stride;
    SOMA_INDEPENDENT
    for (int64_t c = 0; c < cols; ++c) d[c] = R::of(d[c], row[c]);
  }
}

template <class T>
SOMA_INLINE void fill(T* d, const T* value, int64_t n) {
  const T v = *value;
  for (int64_t i = 0; i < n; ++i) d[i] = v;
}
template <class T>
void expand_rows(void* dst, const void* src, int64_t rows, int64_t cols) noexcept {
  T* d = static_cast<T*>(dst);
  const T* s = static_cast<const T*>(src);
  for (int64_t r = 0; r < rows; ++r) fill<T>(d + r * cols, s + r, cols);
}

/// Both sides of a block stay in the first-level cache while one of them is walked across.
template <class T>
void copy_blocked(T* d, Strides2d to, const T* s, Strides2d from, int64_t rows,
                  int64_t cols) noexcept {
  constexpr int64_t block = 16;
  for (int64_t r0 = 0; r0 < rows; r0 += block)
    for (int64_t c0 = 0; c0 < cols; c0 += block) {
      const int64_t r1 = r0 + block < rows ? r0 + block : rows;
      const int64_t c1 = c0 + block < cols ? c0 + block : cols;
      for (int64_t r = r0; r < r1; ++r)
        for (int64_t c = c0; c < c1; ++c)
          d[r * to.row + c * to.col] = s[r * from.row + c * from.col];
    }
}
/// dst[r][c] = src[c][r] through registers, a square of a vector's width at a time; edges are read
/// and written no further than they go.
template <class F>
void copy_transposed(void* dst, int64_t dst_stride, const void* src, int64_t src_stride,
                     int64_t rows, int64_t cols) noexcept {
  constexpr int lanes = native_lanes<F>;
  F* d = static_cast<F*>(dst);
  const F* s = static_cast<const F*>(src);
  for (int64_t r = 0; r < rows; r += lanes)
    for (int64_t c = 0; c < cols; c += lanes) {
      Native<F> square[lanes];
      SOMA_UNROLL
      for (int i = 0; i < lanes; ++i)
        square[i] = c + i < cols ? load_first<Native<F>>(s + (c + i) * src_stride + r, rows - r)
                                 : Native<F>{};
      transpose<F>(square);
      SOMA_UNROLL
      for (int i = 0; i < lanes; ++i)
        if (r + i < rows) store_first(d + (r + i) * dst_stride + c, square[i], cols - c);
    }
}
/// What rows of `cols` elements have in common: whole vectors, then the first lanes of one.
template <class F>
struct RowParts {
  int64_t whole, rest;
  explicit RowParts(int64_t cols)
      : whole((cols - 1) / native_lanes<F> * native_lanes<F>), rest(cols - whole) {}
};
/// dst[c] = src[c]
template <class F>
struct ShortRow {
  RowParts<F> parts;
  FirstLanes<F> last;
  explicit ShortRow(int64_t cols) : parts(cols), last(parts.rest) {}
  SOMA_INLINE void operator()(F* d, const F* s) const {
    for (int64_t c = 0; c < parts.whole; c += native_lanes<F>) store(d + c, load<Native<F>>(s + c));
    last.store(d + parts.whole, last.load(s + parts.whole));
  }
};

template <class V, int... lane>
SOMA_INLINE V evens(V low, V high, std::integer_sequence<int, lane...>) {
  return __builtin_shufflevector(low, high, (2 * lane)...);
}
template <int first, class V, int... lane>
SOMA_INLINE V twice(V v, std::integer_sequence<int, lane...>) {
  return __builtin_shufflevector(v, v, (first + lane / 2)...);
}
/// dst[c] = src[2 c], which reads no further than the last of them.
template <class F>
struct EveryOther {
  RowParts<F> parts;
  static constexpr int lanes = native_lanes<F>;
  FirstLanes<F> low, high, last;
  explicit EveryOther(int64_t cols)
      : parts(cols), low(2 * parts.rest - 1), high(2 * parts.rest - 1 - lanes), last(parts.rest) {}
  SOMA_INLINE void operator()(F* d, const F* s) const {
    constexpr auto all = std::make_integer_sequence<int, lanes>{};
    for (int64_t c = 0; c < parts.whole; c += lanes)
      store(d + c, evens(load<Native<F>>(s + 2 * c), load<Native<F>>(s + 2 * c + lanes), all));
    const F* const end = s + 2 * parts.whole;
    last.store(d + parts.whole, evens(low.load(end), high.load(end + lanes), all));
  }
};
/// dst[2 c] = dst[2 c + 1] = src[c]
template <class F>
struct Twice {
  RowParts<F> parts;
  static constexpr int lanes = native_lanes<F>;
  FirstLanes<F> last, low, high;
  explicit Twice(int64_t cols)
      : parts(cols), last(parts.rest), low(2 * parts.rest), high(2 * parts.rest - lanes) {}
  SOMA_INLINE void operator()(F* d, const F* s) const {
    constexpr auto all = std::make_integer_sequence<int, lanes>{};
    for (int64_t c = 0; c < parts.whole; c += lanes) {
      const auto v = load<Native<F>>(s + c);
      store(d + 2 * c, twice<0>(v, all));
      store(d + 2 * c + lanes, twice<lanes / 2>(v, all));
    }
    const auto v = last.load(s + parts.whole);
    F* const end = d + 2 * parts.whole;
    low.store(end, twice<0>(v, all));
    high.store(end + lanes, twice<lanes / 2>(v, all));
  }
};
template <class F, class Row>
void copy_rows(F* d, int64_t dst_stride, const F* s, int64_t src_stride, int64_t rows,
               const Row& row) noexcept {
  for (int64_t r = 0; r < rows; ++r, d += dst_stride, s += src_stride) row(d, s);
}

/// The forms of copy2d that vectors serve, into rows of neighbours; false when it is none of them.
template <class F>
bool copy2d_fast(F* d, Strides2d to, const F* s, Strides2d from, int64_t rows,
                 int64_t cols) noexcept {
  if (to.col != 1) {
    if (to.row == 1 && from.col == 1)
      return copy_transposed<F>(d, to.col, s, from.row, cols, rows), true;
    return false;
  }
  if (from.col == 1) return copy_rows(d, to.row, s, from.row, rows, ShortRow<F>(cols)), true;
  if (from.col == 2) return copy_rows(d, to.row, s, from.row, rows, EveryOther<F>(cols)), true;
  if (from.row == 1 && rows > 1)
    return copy_transposed<F>(d, to.row, s, from.col, rows, cols), true;
  return false;
}

template <class T>
void copy2d(void* dst, Strides2d to, const void* src, Strides2d from, int64_t rows,
            int64_t cols) noexcept {
  T* d = static_cast<T*>(dst);
  const T* s = static_cast<const T*>(src);
  if (cols == 0) return;  // the pointers may be null
  if (to.col == 1 && from.col == 1 && cols > 64) {
    for (int64_t r = 0; r < rows; ++r)
      __builtin_memcpy(d + r * to.row, s + r * from.row, static_cast<size_t>(cols) * sizeof(T));
    return;
  }
  if constexpr (sizeof(T) >= 4) {
    using F = std::conditional_t<sizeof(T) == 8, double, float>;  // only moved
    if (copy2d_fast<F>(static_cast<F*>(dst), to, static_cast<const F*>(src), from, rows, cols))
      return;
  }
  if (to.col == 1 && from.col == 0) {
    for (int64_t r = 0; r < rows; ++r) fill<T>(d + r * to.row, s + r * from.row, cols);
  } else if (to.row == 1) {  // walk along the contiguous side of the destination
    copy_blocked(d, {to.col, to.row}, s, {from.col, from.row}, cols, rows);
  } else {
    copy_blocked(d, to, s, from, rows, cols);
  }
}

/// Calls run(offset, rows, columns) for the pieces of a view that lie along its last two axes,
/// whole rows where there are: together its elements [first, first + count), in order.
template <class Run>
SOMA_INLINE void walk_rows(const Strided& view, int64_t first, int64_t count, Run&& run) {
  const int last = view.rank - 1;
  const int64_t inner = view.shape[last];
  int64_t index[8];
  int64_t rest = first, at = 0;
  for (int d = last; d >= 0; --d) {
    index[d] = rest % view.shape[d];
    rest /= view.shape[d];
    at += index[d] * view.strides[d];
  }
  for (;;) {
    int64_t rows = 1;
    if (index[last] != 0 || count < inner) {  // part of a row
      const int64_t left = inner - index[last], columns = count < left ? count : left;
      run(at, rows, columns);
      count -= columns;
      at -= index[last] * view.strides[last];
      index[last] = 0;
    } else {
      const int64_t left = view.shape[last - 1] - index[last - 1];
      rows = count >= left * inner ? left : count / inner;
      run(at, rows, inner);
      count -= rows * inner;
    }
    if (count == 0) return;
    at += rows * view.strides[last - 1];
    index[last - 1] += rows;
    for (int d = last - 1; d >= 0 && index[d] == view.shape[d]; --d) {  // step like an odometer
      at -= index[d] * view.strides[d];
      index[d] = 0;
      if (d == 0) break;
      at += view.strides[d - 1];
      ++index[d - 1];
    }
  }
}
template <class T>
void copy_view(void* dst, const void* src, const Strided& view, int64_t first,
               int64_t count) noexcept {
  const T* s = static_cast<const T*>(src);
  T* d = static_cast<T*>(dst);
  const int last = view.rank - 1;
  const Strides2d from{view.strides[last - 1], view.strides[last]};
  const auto copy = [&](int64_t at, int64_t rows, int64_t cols) {
    copy2d<T>(d, {cols, 1}, s + at, from, rows, cols);
    d += rows * cols;
  };
  if constexpr (sizeof(T) >= 4) {
    using F = std::conditional_t<sizeof(T) == 8, double, float>;  // only moved
    if (view.shape[last] == 2 && from.row == 1 && from.col == 0) {
      const int64_t columns = view.shape[last - 1];
      const Twice<F> row(columns);
      return walk_rows(view, first, count, [&](int64_t at, int64_t rows, int64_t cols) {
        if (rows != columns || cols != 2) return copy(at, rows, cols);
        row(reinterpret_cast<F*>(d), reinterpret_cast<const F*>(s + at));
        d += 2 * columns;
      });
    }
  }
  walk_rows(view, first, count, copy);
}

template <class R>
constexpr void set_reducer(Isa& isa, Reducer reducer) {
  auto& rows = isa.reduce_rows[static_cast<int>(reducer)];
  auto& cols = isa.reduce_cols[static_cast<int>(reducer)];
  rows[0] = reduce_rows<R, float>, cols[0] = reduce_cols<R, float>;
  rows[1] = reduce_rows<R, double>, cols[1] = reduce_cols<R, double>;
  rows[2] = reduce_rows<R, int32_t>, cols[2] = reduce_cols<R, int32_t>;
  rows[3] = reduce_rows<R, int64_t>, cols[3] = reduce_cols<R, int64_t>;
  rows[4] = reduce_rows<R, uint8_t>, cols[4] = reduce_cols<R, uint8_t>;
}
template <class T>
constexpr void set_moves(Isa& isa) {
  constexpr int width = width_index(sizeof(T));
  isa.expand_rows[width] = expand_rows<T>;
  isa.copy2d[width] = copy2d<T>;
  isa.copy_view[width] = copy_view<T>;
}
constexpr void set_reductions(Isa& isa) {
  set_reducer<SumReducer>(isa, Reducer::sum);
  set_reducer<MaxReducer>(isa, Reducer::max);
  set_moves<uint8_t>(isa);
  set_moves<uint32_t>(isa);
  set_moves<uint64_t>(isa);
}

}  // namespace
}  // namespace soma::cpu
