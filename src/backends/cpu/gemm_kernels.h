// Matrix product, the part that depends on the instruction set: register tiles, and the walk over
// one rectangle of C with the packing that pays. Compiled once per instruction set.
//
// A tile holds rows x (vectors x lanes) sums in registers; each step of the depth loads a row of B
// and broadcasts a column of A. Every element of C is summed in the same order whatever tile
// computes it: the products of one depth block in order, then block after block onto C. So results
// depend neither on the rectangle's place nor on who computes it.
#pragma once

#include "src/backends/cpu/isa.h"
#include "src/backends/cpu/simd.h"

namespace soma::cpu {
namespace {

/// Rows of the tallest tile: as many sums as the registers hold beside the operands.
constexpr int tile_rows = vector_bytes == 64 ? 14 : vector_bytes == 32 ? 6 : 4;
/// Up to this many rows, tiles are four vectors wide, so that enough sums are in flight.
constexpr int low_rows = vector_bytes == 64 ? 6 : 2;

template <class T>
struct Tile {
  const T* a;
  int64_t a_stride;
  const T* b;
  int64_t b_stride;
  const int64_t* b_rows;  // instead of b_stride
  T* c;
  int64_t c_stride;
  int64_t depth;
  const std::byte* ahead;  // with A transposed: one line for each step of the depth that is wanted
  int64_t ahead_stride;    // soon, and bytes between them
};

/// The next depth block of operands in rows that lie apart, which the processor does not foresee:
/// each tile asks for one cache line of every row, so that fetching and multiplying go together.
struct Ahead {
  struct Rows {
    const std::byte* next;
    int64_t stride, lines = 0;
  };
  Rows operands[2];

  template <class T>
  SOMA_INLINE void give(Tile<T>& tile) {
    constexpr int64_t line = 64;
    for (Rows& rows : operands) {
      if (rows.lines == 0) continue;
      tile.ahead = rows.next;
      tile.ahead_stride = rows.stride;
      rows.next += line;
      --rows.lines;
      return;
    }
    tile.ahead_stride = 0;  // at hand: costs nothing
  }
};

/// What happens to the sums of a tile on their way to C.
template <class T>
struct TileFinish {
  bool onto_c;    ///< They are added to what is there.
  const T* base;  ///< When not null, base - factor * sum goes on; it lies like C.
  T factor;
  const T* bias;      ///< Added in the end, when not null.
  bool bias_of_rows;  ///< A number for each row, not for each column.
  bool relu;          ///< Then all that is not above zero becomes zero.

  /// The same for each vector of a tile; the last of a row may have fewer columns.
  template <int rows, int vectors>
  SOMA_INLINE void operator()(Native<T> (&sum)[rows][vectors], const T* c, int64_t c_stride,
                              int64_t last = native_lanes<T>) const {
    using V = Native<T>;
    constexpr int lanes = native_lanes<T>;
    const auto count = [&](int j) { return j + 1 < vectors ? lanes : last; };
    if (onto_c) {
      SOMA_UNROLL
      for (int i = 0; i < rows; ++i) SOMA_UNROLL
      for (int j = 0; j < vectors; ++j)
        sum[i][j] = load_first<V>(c + i * c_stride + j * lanes, count(j)) + sum[i][j];
    }
    if (base != nullptr) {
      SOMA_UNROLL
      for (int i = 0; i < rows; ++i) SOMA_UNROLL
      for (int j = 0; j < vectors; ++j)
        sum[i][j] = load_first<V>(base + i * c_stride + j * lanes, count(j)) - sum[i][j] * factor;
    }
    if (bias != nullptr) {
      SOMA_UNROLL
      for (int i = 0; i < rows; ++i) SOMA_UNROLL
      for (int j = 0; j < vectors; ++j)
        sum[i][j] += bias_of_rows ? bias[i] - V{} : load_first<V>(bias + j * lanes, count(j));
    }
    if (relu) {
      SOMA_UNROLL
      for (int i = 0; i < rows; ++i) SOMA_UNROLL
      for (int j = 0; j < vectors; ++j) sum[i][j] = sum[i][j] > V{} ? sum[i][j] : V{};
    }
  }
};

/// How a tile's operands lie: A in rows or in columns, or B in rows at distances of a table.
enum class Form { plain, transposed_a, indexed_b };

template <class T, int rows, int vectors, Form form>
__attribute__((noinline)) void multiply_tile(const Tile<T>& tile, const TileFinish<T>& finish) {
  using V = Native<T>;
  constexpr int lanes = native_lanes<T>;
  constexpr bool transpose_a = form == Form::transposed_a;
  V sum[rows][vectors];
  SOMA_UNROLL
  for (int i = 0; i < rows; ++i) SOMA_UNROLL
  for (int j = 0; j < vectors; ++j) sum[i][j] = V{};

  const T* a = tile.a;
  const T* b = tile.b;
  const int64_t a_stride = tile.a_stride, b_stride = tile.b_stride;
  const std::byte* ahead = tile.ahead;
  const int64_t ahead_stride = tile.ahead_stride;
  SOMA_UNROLL_4
  for (int64_t p = 0; p < tile.depth; ++p) {
    V row[vectors];
    if constexpr (transpose_a) {
      __builtin_prefetch(ahead, 0, 2);
      ahead += ahead_stride;
    }
    const T* from = form == Form::indexed_b ? b + tile.b_rows[p] : b;
    SOMA_UNROLL
    for (int j = 0; j < vectors; ++j) row[j] = load<V>(from + j * lanes);
    SOMA_UNROLL
    for (int i = 0; i < rows; ++i) {
      const V value = (transpose_a ? a[i] : a[i * a_stride]) - V{};
      SOMA_UNROLL
      for (int j = 0; j < vectors; ++j) sum[i][j] = multiply_add(value, row[j], sum[i][j]);
    }
    a += transpose_a ? a_stride : 1;
    b += b_stride;
  }

  T* c = tile.c;
  finish(sum, c, tile.c_stride);
  SOMA_UNROLL
  for (int i = 0; i < rows; ++i, c += tile.c_stride) SOMA_UNROLL
  for (int j = 0; j < vectors; ++j) store(c + j * lanes, sum[i][j]);
}

template <class T>
SOMA_INLINE TileFinish<T> finish_of(const GemmBlock& block, int64_t column) {
  const auto* bias = static_cast<const T*>(block.bias);
  if (bias != nullptr && !block.bias_of_rows) bias += column;
  const auto* base = static_cast<const T*>(block.base);
  if (base != nullptr) base += column;
  return {false, base, static_cast<T>(block.factor), bias, block.bias_of_rows, block.relu};
}

template <class T>
using TileKernel = void(const Tile<T>&, const TileFinish<T>&);

/// The tile of `rows` (one, or an even number) by `vectors` (a power of two); null when there is
/// none. `row_step` runs over rows / 2.
template <class T, int vectors, Form form, int row_step = tile_rows / 2>
TileKernel<T>* tile_kernel(int64_t rows) {
  constexpr int most = vectors == 8 ? 1 : vectors == 4 ? low_rows : tile_rows;
  constexpr int here = row_step == 0 ? 1 : 2 * row_step;
  if constexpr (here <= most)
    if (rows == here) return multiply_tile<T, here, vectors, form>;
  if constexpr (row_step > 0)
    return tile_kernel<T, vectors, form, row_step - 1>(rows);
  else
    return nullptr;
}
template <class T, Form form>
TileKernel<T>* tile_kernel(int64_t rows, int64_t vectors) {
  switch (vectors) {
    case 1: return tile_kernel<T, 1, form>(rows);
    case 2: return tile_kernel<T, 2, form>(rows);
    case 4: return tile_kernel<T, 4, form>(rows);
    default: return tile_kernel<T, 8, form>(rows);
  }
}
template <class T>
TileKernel<T>* tile_kernel(int64_t rows, int64_t vectors, const GemmBlock& block) {
  if (block.b_rows != nullptr) return tile_kernel<T, Form::indexed_b>(rows, vectors);
  return block.transpose_a ? tile_kernel<T, Form::transposed_a>(rows, vectors)
                           : tile_kernel<T, Form::plain>(rows, vectors);
}

/// Vectors across the widest tile for a rectangle of so many rows.
constexpr int64_t widest_vectors(int64_t rows) { return rows == 1 ? 8 : rows <= low_rows ? 4 : 2; }

/// How many of the `left` rows the next tile takes: tiles of about equal height, as a low last one
/// would not keep the multipliers busy.
SOMA_INLINE int64_t next_rows(int64_t left) {
  const int64_t tiles = (left + tile_rows - 1) / tile_rows;
  const int64_t even = ((left + tiles - 1) / tiles + 1) / 2 * 2;
  return left == 1 ? 1 : even <= left ? even : left - 1;
}

// --- Packing -------------------------------------------------------------------------------------

/// panel[p][j] = b[j * b_stride + p] for one vector of columns j; columns from `cols` on are zero.
template <class T>
void pack_transposed(T* panel, int64_t panel_stride, const T* b, int64_t b_stride, int64_t depth,
                     int64_t cols) {
  constexpr int lanes = native_lanes<T>;
  for (int64_t p = 0; p < depth; p += lanes) {
    Native<T> rows[lanes];
    SOMA_UNROLL
    for (int j = 0; j < lanes; ++j)
      rows[j] = j < cols ? load_first<Native<T>>(b + j * b_stride + p, depth - p) : Native<T>{};
    transpose<T>(rows);
    SOMA_UNROLL
    for (int j = 0; j < lanes; ++j)
      if (j < depth - p) store(panel + (p + j) * panel_stride, rows[j]);
  }
}
/// panel[p][j] = b[p * b_stride + j]; columns from `cols` on are zero.
template <class T>
void pack_straight(T* panel, int64_t panel_stride, const T* b, int64_t b_stride, int64_t depth,
                   int64_t cols) {
  constexpr int lanes = native_lanes<T>;
  for (int64_t p = 0; p < depth; ++p, panel += panel_stride, b += b_stride)
    for (int64_t j = 0; j < panel_stride; j += lanes)
      store(panel + j, load_first<Native<T>>(b + j, cols - j));
}
template <class T>
void pack_panel(T* panel, int64_t width, const GemmBlock& block, int64_t p, int64_t col,
                int64_t depth, int64_t cols) {
  constexpr int64_t lanes = native_lanes<T>;
  const T* b = static_cast<const T*>(block.b);
  if (!block.transpose_b)
    return pack_straight(panel, width, b + p * block.ldb + col, block.ldb, depth, cols);
  for (int64_t j = 0; j < width; j += lanes)
    pack_transposed(panel + j, width, b + (col + j) * block.ldb + p, block.ldb, depth, cols - j);
}

// --- The walk over a rectangle -------------------------------------------------------------------

/// One tile that sticks out of C: computed beside it, then added as far as C goes.
template <class T>
void multiply_edge(TileKernel<T>* kernel, Tile<T>& tile, const TileFinish<T>& finish, int64_t rows,
                   int64_t cols) {
  using V = Native<T>;
  constexpr int64_t lanes = native_lanes<T>, width = 8 * lanes;
  alignas(64) T sums[tile_rows * width];
  T* c = std::exchange(tile.c, sums);
  const int64_t c_stride = std::exchange(tile.c_stride, width);
  kernel(tile, {});
  tile.c = c;
  tile.c_stride = c_stride;
  for (int64_t i = 0; i < rows; ++i, c += c_stride)
    for (int64_t j = 0; j < cols; j += lanes) {
      V sum[1][1] = {{load<V>(sums + i * width + j)}};
      TileFinish<T> here = finish;
      if (here.bias != nullptr) here.bias += here.bias_of_rows ? i : j;
      if (here.base != nullptr) here.base += i * c_stride + j;
      here(sum, c + j, 0, cols - j);
      store_first(c + j, sum[0][0], cols - j);
    }
}

/// One panel of columns times all rows. Moves the tile, which is not copied: it was written in
/// parts a moment ago, and reading that as a whole would wait.
template <class T>
void multiply_panel(const GemmBlock& block, Tile<T>& tile, int64_t vectors, int64_t cols,
                    TileFinish<T>& finish, Ahead& ahead) {
  const bool whole = cols == vectors * native_lanes<T>;
  for (int64_t i = 0; i < block.rows;) {
    const int64_t rows = next_rows(block.rows - i);
    TileKernel<T>* kernel = tile_kernel<T>(rows, vectors, block);
    if (block.far) ahead.give(tile);
    if (whole)
      kernel(tile, finish);
    else
      multiply_edge(kernel, tile, finish, rows, cols);
    i += rows;
    tile.a += block.transpose_a ? rows : rows * tile.a_stride;
    tile.c += rows * tile.c_stride;
    if (finish.bias_of_rows && finish.bias != nullptr) finish.bias += rows;
    if (finish.base != nullptr) finish.base += rows * tile.c_stride;
  }
}

// --- A single row, a single column ---------------------------------------------------------------

/// A panel of a single row: B is read where it lies, once.
template <class T>
struct RowPanel {
  const T* a;
  int64_t a_stride;
  const T* b;
  int64_t b_stride;
  int64_t last;  ///< Columns in the last vector.
};

/// total += (or, at first, =) the next depth blocks, several at once so that enough sums are in
/// flight.
template <int blocks, class T, int vectors>
SOMA_INLINE void add_blocks(RowPanel<T>& panel, int64_t depth, bool first,
                            Native<T> (&total)[vectors]) {
  using V = Native<T>;
  constexpr int lanes = native_lanes<T>;
  V sum[blocks][vectors];
  SOMA_UNROLL
  for (int i = 0; i < blocks; ++i) SOMA_UNROLL
  for (int j = 0; j < vectors; ++j) sum[i][j] = V{};
  const T* a = panel.a;
  const T* b = panel.b;
  for (int64_t p = 0; p < depth; ++p, a += panel.a_stride, b += panel.b_stride) SOMA_UNROLL
  for (int i = 0; i < blocks; ++i) {
    const T* row = b + i * depth * panel.b_stride;
    const V value = a[i * depth * panel.a_stride] - V{};
    SOMA_UNROLL
    for (int j = 0; j + 1 < vectors; ++j)
      sum[i][j] = multiply_add(value, load<V>(row + j * lanes), sum[i][j]);
    const V rest = load_first<V>(row + (vectors - 1) * lanes, panel.last);
    sum[i][vectors - 1] = multiply_add(value, rest, sum[i][vectors - 1]);
  }
  SOMA_UNROLL
  for (int i = 0; i < blocks; ++i) SOMA_UNROLL
  for (int j = 0; j < vectors; ++j) total[j] = first && i == 0 ? sum[i][j] : total[j] + sum[i][j];
  panel.a += blocks * depth * panel.a_stride;
  panel.b += blocks * depth * panel.b_stride;
}

template <class T, int vectors>
void multiply_row(const GemmBlock& block, int64_t column) {
  using V = Native<T>;
  constexpr int lanes = native_lanes<T>, most = vectors > 4 ? 1 : vectors > 2 ? 2 : 4;
  const int64_t left = block.cols - column - (vectors - 1) * lanes;
  RowPanel<T> panel{static_cast<const T*>(block.a), block.transpose_a ? block.lda : 1,
                    static_cast<const T*>(block.b) + column, block.ldb,
                    left < lanes ? left : lanes};
  T* c = static_cast<T*>(block.c) + column;
  V total[1][vectors];
  SOMA_UNROLL
  for (int j = 0; j < vectors; ++j)
    total[0][j] =
        block.accumulate ? load_first<V>(c + j * lanes, left + (vectors - 1 - j) * lanes) : V{};
  const int64_t kc = block.kc;
  bool first = !block.accumulate;
  int64_t depth = block.k;
  if constexpr (most >= 4)
    for (; depth >= 4 * kc; depth -= 4 * kc, first = false)
      add_blocks<4>(panel, kc, first, total[0]);
  if constexpr (most >= 2)
    for (; depth >= 2 * kc; depth -= 2 * kc, first = false)
      add_blocks<2>(panel, kc, first, total[0]);
  for (; depth > 0; depth -= kc, first = false)
    add_blocks<1>(panel, depth < kc ? depth : kc, first, total[0]);
  finish_of<T>(block, column)(total, c, 0, panel.last);
  SOMA_UNROLL
  for (int j = 0; j < vectors; ++j)
    store_first(c + j * lanes, total[0][j], j + 1 < vectors ? lanes : panel.last);
}

/// A row in panels of about equal width.
template <class T>
void multiply_row(const GemmBlock& block) {
  constexpr int64_t lanes = native_lanes<T>, most = 8;
  int64_t vectors = (block.cols + lanes - 1) / lanes;
  int64_t column = 0;
  for (int64_t panels = (vectors + most - 1) / most; panels > 0; --panels) {
    const int64_t width = (vectors + panels - 1) / panels;
    switch (width) {
      case 1: multiply_row<T, 1>(block, column); break;
      case 2: multiply_row<T, 2>(block, column); break;
      case 3: multiply_row<T, 3>(block, column); break;
      case 4: multiply_row<T, 4>(block, column); break;
      case 5: multiply_row<T, 5>(block, column); break;
      case 6: multiply_row<T, 6>(block, column); break;
      case 7: multiply_row<T, 7>(block, column); break;
      default: multiply_row<T, 8>(block, column); break;
    }
    vectors -= width;
    column += width * lanes;
  }
}

/// A single column, B without gaps: lanes run along the depth, two vectors of them, which are added
/// up in halves at the end.
template <class T, int rows>
void multiply_column(const GemmBlock& block, int64_t row) {
  using V = Native<T>;
  constexpr int lanes = native_lanes<T>;
  const T* a = static_cast<const T*>(block.a) + row * block.lda;
  const T* b = static_cast<const T*>(block.b);
  V even[rows], odd[rows];
  SOMA_UNROLL
  for (int i = 0; i < rows; ++i) even[i] = odd[i] = V{};
  for (int64_t p = 0; p < block.k; p += 2 * lanes) {
    const int64_t left = block.k - p;
    const V low = load_first<V>(b + p, left);
    const V high = left > lanes ? load_first<V>(b + p + lanes, left - lanes) : V{};
    SOMA_UNROLL
    for (int i = 0; i < rows; ++i) {
      const T* from = a + i * block.lda + p;
      even[i] = multiply_add(load_first<V>(from, left), low, even[i]);
      if (left > lanes)
        odd[i] = multiply_add(load_first<V>(from + lanes, left - lanes), high, odd[i]);
    }
  }
  T* c = static_cast<T*>(block.c) + row * block.ldc;
  SOMA_UNROLL
  for (int i = 0; i < rows; ++i, c += block.ldc) {
    const T sum = sum_of_lanes<T>(even[i] + odd[i]);
    T total = block.accumulate ? *c + sum : sum;
    if (block.base != nullptr)
      total = static_cast<const T*>(block.base)[(row + i) * block.ldc] -
              sum * static_cast<T>(block.factor);
    if (block.bias != nullptr) total += *static_cast<const T*>(block.bias);
    if (block.relu && !(total > 0)) total = T{};
    *c = total;
  }
}
template <class T>
void multiply_column(const GemmBlock& block) {
  int64_t row = 0;
  for (; row + 4 <= block.rows; row += 4) multiply_column<T, 4>(block, row);
  for (; row < block.rows; ++row) multiply_column<T, 1>(block, row);
}

// --- The walk over a rectangle -------------------------------------------------------------------

template <class T>
void gemm_block(const GemmBlock& block) noexcept {
  if (block.single_column) return multiply_column<T>(block);
  if (block.rows == 1 && !block.transpose_b && block.b_rows == nullptr)
    return multiply_row<T>(block);
  constexpr int64_t lanes = native_lanes<T>;
  const int64_t widest = widest_vectors(block.rows);
  T* panel = static_cast<T*>(block.scratch);
  bool onto_c = block.accumulate;
  int64_t p = 0;
  do {
    const int64_t depth = block.k - p < block.kc ? block.k - p : block.kc;
    Tile<T> tile{};
    const T* const a = static_cast<const T*>(block.a) + (block.transpose_a ? p * block.lda : p);
    tile.a_stride = block.lda;
    tile.c_stride = block.ldc;
    tile.depth = depth;
    const bool last = p + depth >= block.k;
    tile.ahead = static_cast<const std::byte*>(block.a);
    Ahead ahead;
    if (block.far && block.transpose_a && p + depth < block.k) {
      constexpr auto bytes = static_cast<int64_t>(sizeof(T));
      const auto next = [&](const void* from, int64_t stride, int64_t width) {
        return Ahead::Rows{static_cast<const std::byte*>(from) + (p + depth) * stride * bytes,
                           stride * bytes, width * bytes / 64};
      };
      ahead.operands[0] = next(block.a, block.lda, block.rows);
      if (!block.transpose_b) ahead.operands[1] = next(block.b, block.ldb, block.cols);
    }
    for (int64_t col = 0; col < block.cols;) {
      const int64_t left = block.cols - col;
      int64_t vectors = widest;
      while (vectors > 1 && (vectors / 2) * lanes >= left) vectors /= 2;
      const int64_t width = vectors * lanes, cols = left < width ? left : width;
      if (block.b_rows != nullptr) {
        tile.b = static_cast<const T*>(block.b) + col;
        tile.b_rows = block.b_rows + p;
      } else if (block.pack_b || block.transpose_b || cols < width) {
        pack_panel(panel, width, block, p, col, depth, cols);
        tile.b = panel;
        tile.b_stride = width;
      } else {
        tile.b = static_cast<const T*>(block.b) + p * block.ldb + col;
        tile.b_stride = block.ldb;
      }
      tile.a = a;
      tile.c = static_cast<T*>(block.c) + col;
      TileFinish<T> finish = last ? finish_of<T>(block, col) : TileFinish<T>{};
      finish.onto_c = onto_c;
      multiply_panel(block, tile, vectors, cols, finish, ahead);
      col += cols;
    }
    onto_c = true;
    p += depth;
  } while (p < block.k);
}

constexpr void set_gemm(Isa& isa) {
  isa.gemm[0] = gemm_block<float>;
  isa.gemm[1] = gemm_block<double>;
}

}  // namespace
}  // namespace soma::cpu
