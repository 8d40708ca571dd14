// Matrix product for plans: C[M,N] (+)= op(A) op(B), cut into rectangles of C that any thread may
// compute in any order. A plan fixes the cut from the shape alone, never from the thread count, and
// every element of C sums its products in an order that depends on K, N and op alone. So the bits
// are the same for any number of threads; a row of C does not even depend on how many other rows
// there are.
#pragma once

#include <cstdint>

#include "soma/graph.h"
#include "src/backends/cpu/isa.h"

namespace soma::cpu {

/// A rectangle of C: rows [row0, row1), columns [col0, col1).
struct GemmRegion {
  int64_t row0, row1, col0, col1;
};

/// How one product is computed. op(A) is [m, k]: stored so with row stride `lda`, or as [k, m] when
/// `transpose_a`; likewise op(B) [k, n] and `ldb`. Strides count elements; rows a multiple of 4096
/// bytes apart cost speed (up to a tenth with AVX-512, half with AVX2 when A is transposed).
struct GemmPlan {
  int64_t m, n, k;
  bool transpose_a, transpose_b;
  int64_t lda, ldb, ldc;
  DType type;
  Precision precision;
  int64_t depth_block;         // products are summed in blocks of so many
  int64_t row_step, col_step;  // rows and columns of a chunk
  bool pack_b;                 // copy panels of B to scratch; a transposed B always is
  int64_t scratch_bytes;       // what gemm_chunk needs, per thread, 64-byte aligned
  bool far;                    // the operands are more than the second-level cache holds
  double cycles;       // what it may take: the sum for 1, 2, 4 and 8 threads, of all of them
  bool single_column;  // N = 1, and lanes run along K
  bool single_chunk;

  int64_t row_chunks() const { return (m + row_step - 1) / row_step; }
  int64_t col_chunks() const { return (n + col_step - 1) / col_step; }
  /// Zero when C is empty. Chunks of the same columns follow each other.
  int64_t chunks() const { return row_chunks() * col_chunks(); }
  GemmRegion region(int64_t chunk) const;
  /// One chunk: for a thread that computes all of it.
  void cut_nothing();
};

/// How much of the depth is summed at a time: a block of B, 32 columns wide, stays in the
/// first-level cache beside a few rows of A. Of few columns less, so that a single row has several
/// sums to work on at once. Blocks are equal, and depend on nothing but depth and columns: they fix
/// the order of the additions.
int64_t gemm_depth_block(int64_t k, DType type, int64_t n = 1024);

/// Whether chunks may cut rows: what follows a product at once may need them whole.
enum class Rows : bool { cut, whole };

/// `products` of this shape are computed side by side, so that each needs no chunks of its own.
/// `precision` is that of products of f32: in bf16 each chunk first copies its operands to scratch.
/// Throws TypeError for types other than f32 and f64, ShapeError for negative extents and for
/// strides shorter than a row.
GemmPlan plan_gemm(int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b, int64_t lda,
                   int64_t ldb, int64_t ldc, DType type, Rows rows = Rows::cut,
                   int64_t products = 1, Precision precision = Precision::fp32);

/// What follows the sums of a product.
struct GemmFinish {
  bool accumulate = false;     ///< They are added to what C holds.
  const void* bias = nullptr;  ///< When not null, a row of n values added to every row.
  bool relu = false;           ///< Then all that is not above zero becomes zero.
  /// When not null: base - factor * sum comes before bias and relu; needs depth_block >= k. It lies
  /// like C, and may be C.
  const void* base = nullptr;
  double factor = 1;
};

/// Computes region(chunk) of C. K = 0 sums to zero. Allocates nothing; chunks may run at the same
/// time, each thread with its own scratch.
void gemm_chunk(const Isa& isa, const GemmPlan& plan, const void* a, const void* b, void* c,
                void* scratch, int64_t chunk, const GemmFinish& finish = {}) noexcept;

}  // namespace soma::cpu
