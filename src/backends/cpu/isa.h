// The table of low-level CPU kernels, one per instruction set. The kernels are written once
// (map_kernels.h, reduce_kernels.h, gemm_kernels.h) and compiled per instruction set; the best one
// this processor has is chosen when the program starts. Nothing here knows a graph.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace soma {
enum class DType : uint8_t;
enum class Precision : uint8_t;
}  // namespace soma

namespace soma::cpu {

inline constexpr int dtype_count = 6;

/// Elementwise primitives, in the order of Isa::map.
enum class MapOp : uint8_t {
  neg,
  abs,
  exp,
  log,
  expm1,
  log1p,
  sqrt,
  tanh,
  sigmoid,
  erf,
  sin,
  cos,  // dst = f(a)
  add,
  sub,
  mul,
  div,
  max,
  min,
  pow,  // dst = f(a, b)
  lt,
  eq,      // dst (bool) = f(a, b)
  select,  // dst = a (bool) ? b : c
  gate,    // dst = a > 0 ? b : 0: relu and its gradient, which are two primitives
};
inline constexpr int map_op_count = static_cast<int>(MapOp::gate) + 1;

/// Elementwise over `n` contiguous elements, aligned to no more than themselves. `dst` may be
/// exactly one of the operands when their elements are equally wide; otherwise they must not
/// overlap.
///  * max and min give NaN when an operand is NaN.
///  * Integers wrap. x / 0 = 0. An integer power with a negative exponent is 0 unless the base is
///    1 or -1.
///  * Each element's result depends on that element alone: neither n nor its position matters.
using MapKernel = void(void* dst, const void* a, const void* b, const void* c, int64_t n) noexcept;

/// dst[r][0 … cols) = f(a[r][…], b[r]), or f(b[r], a[r][…]): a binary map of rows with one number
/// for each, or of one row with a constant. As MapKernel otherwise.
using MapRows = void(void* dst, const void* a, const void* b, int64_t rows, int64_t cols) noexcept;
inline constexpr int number_second = 0, number_first = 1;

/// The reductions of the tables below.
enum class Reducer : uint8_t { sum, max };
inline constexpr int reducer_count = 2;

/// dst[r] = reduction over src[r][0 … cols), rows contiguous; combined with the old dst[r] when
/// `accumulate`. The order of the additions depends on cols alone. Empty rows give 0, or -inf (the
/// lowest integer) for max; NaN propagates.
using ReduceRows = void(void* dst, const void* src, int64_t rows, int64_t cols,
                        bool accumulate) noexcept;
/// dst[c] = reduction over src[0 … rows)[c], one row after the other; src rows lie `row_stride`
/// elements apart.
using ReduceCols = void(void* dst, const void* src, int64_t rows, int64_t cols, int64_t row_stride,
                        bool accumulate) noexcept;
/// dst[r][0 … cols) = src[r].
using ExpandRows = void(void* dst, const void* src, int64_t rows, int64_t cols) noexcept;
/// A 2-D array of any strides; strides count elements. dst and src must not overlap.
struct Strides2d {
  int64_t row, col;
};
using Copy2d = void(void* dst, Strides2d dst_strides, const void* src, Strides2d src_strides,
                    int64_t rows, int64_t cols) noexcept;

/// A view of an array, of two to eight axes; strides count elements.
struct Strided {
  int rank;
  const int64_t *shape, *strides;
};
/// dst[i] = element first + i of the view that begins at src, in row-major order, which starts anew
/// after the last one.
using CopyView = void(void* dst, const void* src, const Strided& view, int64_t first,
                      int64_t count) noexcept;

/// Kernels that only move elements are indexed by width: 1, 4 or 8 bytes.
constexpr int width_index(size_t bytes) { return bytes == 1 ? 0 : bytes == 4 ? 1 : 2; }
inline constexpr int width_count = 3;

/// The operands of products in bf16 are packed in tiles: so many rows of A, so many numbers along
/// the depth; see bf16_kernels.h.
inline constexpr int64_t bf16_tile_rows = 16, bf16_tile_depth = 32;
inline constexpr int64_t bf16_tile_bytes = 2 * bf16_tile_rows * bf16_tile_depth;
/// Scratch beside the tiles.
inline constexpr int64_t bf16_sums_bytes = 4 * sizeof(float) * bf16_tile_rows * bf16_tile_rows;

/// One rectangle of C[M,N] (+)= op(A) op(B); see gemm.h.
struct GemmBlock {
  int64_t rows, cols, k;  // the rectangle and the depth
  int64_t kc;             // the depth taken at a time; it fixes the order of the additions
  const void* a;          // op(A)(row0, 0); element (i, p) lies i * lda + p away, or p * lda + i
  const void* b;          // op(B)(0, col0); element (p, j) lies p * ldb + j away, or j * ldb + p
  void* c;                // C(row0, col0)
  int64_t lda, ldb, ldc;
  bool transpose_a, transpose_b;
  bool pack_b;  // copy panels of B to scratch first; a transposed B always is
  bool far;     // the operands are not in the second-level cache
  // Not null: row p of op(B) starts b_rows[p] elements from b instead of p * ldb. Neither transpose
  // flag nor pack_b may be set then, and a tile's width past the columns of each row is read.
  const int64_t* b_rows;
  bool single_column;  // C is one column, A is not transposed, B without gaps
  bool accumulate;     // onto C
  const void* base;    // when not null: base - factor * sum, if kc covers the depth; it lies
  double factor;       // like C, and may be C
  const void* bias;    // when not null, a number for each column, added in the end
  bool bias_of_rows;   // ... for each row
  bool relu;           // then all that is not above zero becomes zero
  void* scratch;
};
using GemmKernel = void(const GemmBlock& block) noexcept;

/// out[i][j] = sum over samples, rows r and columns c of a_i[r][c] · b_j[r][c]: a_i is the plane i
/// of a sample, whose rows follow one another, and row r of b_j starts b_at[j] + b_rows[r] elements
/// from b. Samples may come in several calls: each goes on with `sums`, 64 bytes for each pair,
/// which the first one need not find and the last one does not leave.
struct CorrelateBlock {
  int64_t lefts, rights, samples, rows, cols;
  const void *a, *b;
  int64_t a_plane, a_sample, b_sample;
  const int64_t *b_at, *b_rows;
  void *sums, *out;
  bool first, last;
};
using CorrelateKernel = void(const CorrelateBlock& block) noexcept;
/// Planes of `a` that a kernel takes at a time, at most.
inline constexpr int correlated_planes = 6;

/// The kernels of one instruction set. A null entry: the operation has no meaning for that type.
/// Types are indexed by DType, operations by MapOp and Reducer.
struct Isa {
  std::string_view name;
  MapKernel* map[map_op_count][dtype_count];
  MapRows* map_rows[2][map_op_count][dtype_count];  // number_second, number_first; real types
  MapKernel* cast[dtype_count][dtype_count];        // [from][to]; b and c are not read
  ReduceRows* reduce_rows[reducer_count][dtype_count];
  ReduceCols* reduce_cols[reducer_count][dtype_count];
  ExpandRows* expand_rows[width_count];
  Copy2d* copy2d[width_count];
  CopyView* copy_view[width_count];
  GemmKernel* gemm[3];            // f32, f64, f32 with operands rounded to bf16
  CorrelateKernel* correlate[2];  // f32, f64
};

/// The best instruction set of this processor for products in that precision (by default f32), or
/// the one that the environment variable SOMA_ISA names: portable, v2, v3, v4 (the x86-64 levels),
/// v4_bf16, v4_amx (v4 with other products in bf16). Throws ArgumentError when that one does not
/// exist or does not run here.
const Isa& isa(Precision precision = {});
/// By name; throws like isa().
const Isa& isa_named(std::string_view name);
/// The names that run on this processor, the best one last.
std::vector<std::string_view> isa_names();

}  // namespace soma::cpu
