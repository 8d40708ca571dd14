// Plans for matrix products: see gemm.h. The cut into chunks minimises a small model of the time
// that 1, 2, 4 and 8 threads would take, in clock cycles of a core with two 16-lane multipliers.
#include "src/backends/cpu/gemm.h"

#include <algorithm>
#include <limits>

#include "soma/error.h"
#include "soma/tensor.h"
#include "src/base/text.h"

namespace soma::cpu {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t round_up(int64_t a, int64_t unit) { return ceil_div(a, unit) * unit; }

/// Columns of the widest tile of any instruction set for so many rows.
int64_t tile_cols(int64_t rows) { return rows == 1 ? 128 : rows <= 6 ? 64 : 32; }

/// With operands in bf16, to pack them takes longer than to multiply where the processor can.
double bf16_chunk_cycles(const GemmPlan& plan, int64_t rows, int64_t cols) {
  const auto packed = static_cast<double>(rows + cols) / 8;
  const auto multiply = static_cast<double>(round_up(rows, 32) * round_up(cols, 32)) / 256;
  return 300 + static_cast<double>(plan.k) * (packed + multiply) +
         static_cast<double>(rows * cols) / 4;
}

double chunk_cycles(const GemmPlan& plan, int64_t rows, int64_t cols) {
  if (plan.precision == Precision::bf16) return bf16_chunk_cycles(plan, rows, cols);
  const int64_t width = cols <= 16 ? 16 : tile_cols(rows);
  const double panels = static_cast<double>(ceil_div(cols, width));
  const double multiply = std::max(4.0, static_cast<double>(rows * width) / 32);
  const bool packs = plan.pack_b || cols % width != 0;
  const double pack_b = plan.transpose_b ? 8 : packs ? 2 : 0;
  // Tall or flat chunks would fetch one of the operands too often.
  const double fetch = plan.far ? 0.4 * static_cast<double>(rows + cols) : 0;
  return 300 + static_cast<double>(plan.k) * (panels * (multiply + pack_b) + fetch);
}

/// Step sizes worth trying: equal parts of `extent`, and some fixed sizes for long ones.
std::vector<int64_t> candidate_steps(int64_t extent, int64_t unit) {
  std::vector<int64_t> steps;
  for (int64_t parts = 1; parts <= 32; ++parts)
    steps.push_back(round_up(std::max<int64_t>(1, ceil_div(extent, parts)), unit));
  for (int64_t step = 1024; step >= 32; step /= 2)
    if (step % unit == 0 && step < extent) steps.push_back(step);
  return steps;
}

void cut(GemmPlan& plan, Rows rows, int64_t products) {
  // C's part stays in cache for what follows the product.
  constexpr int64_t most_elements = 32 * 1024;
  const int64_t row_unit = plan.m == 1 ? 1 : 2, col_unit = tile_cols(plan.m);
  plan.cycles = std::numeric_limits<double>::infinity();
  const int64_t whole = round_up(std::max<int64_t>(plan.n, 1), col_unit);
  auto col_steps = rows == Rows::whole ? std::vector{whole} : candidate_steps(plan.n, col_unit);
  // Weights beside few samples: their columns are cut the same way where they are read and where
  // they are updated, so that each stays in the cache of one core.
  const int64_t samples = plan.transpose_a ? plan.k : plan.m;
  if (rows == Rows::cut && products == 1 && !plan.transpose_b && samples <= 2 * plan.n &&
      plan.m > 1)
    col_steps = {round_up(std::max<int64_t>(ceil_div(plan.n, 4), 1), col_unit)};
  for (int64_t row_step : candidate_steps(plan.m, row_unit))
    for (int64_t col_step : col_steps) {
      if (row_step > 16 && row_step * col_step > most_elements) continue;
      const int64_t chunks = products * ceil_div(plan.m, row_step) * ceil_div(plan.n, col_step);
      const double chunk = chunk_cycles(plan, row_step, std::min(col_step, plan.n));
      double time = 0;
      for (int64_t threads : {1, 2, 4, 8})
        time += static_cast<double>(threads * ceil_div(chunks, threads)) * chunk;
      if (time < plan.cycles)
        plan.cycles = time, plan.row_step = row_step, plan.col_step = col_step;
    }
}

/// Per thread, for chunks of the plan's size.
int64_t scratch_of(const GemmPlan& plan) {
  if (plan.precision == Precision::bf16) {
    const auto strips = [](int64_t extent) { return ceil_div(extent, bf16_tile_rows); };
    const int64_t tiles = ceil_div(std::min(plan.k, plan.depth_block), bf16_tile_depth);
    return bf16_sums_bytes + bf16_tile_bytes * tiles *
                                 (strips(plan.row_step) + strips(std::min(plan.n, plan.col_step)));
  }
  const int64_t widest =
      tile_cols(plan.m == 0 ? 1 : std::min(plan.m, (plan.m - 1) % plan.row_step + 1));
  return round_up(plan.depth_block * widest * static_cast<int64_t>(size_of(plan.type)), 64);
}

}  // namespace

int64_t gemm_depth_block(int64_t k, DType type, int64_t n) {
  const int64_t most = std::min<int64_t>(1024 / static_cast<int64_t>(size_of(type)),
                                         2 * round_up(std::max<int64_t>(n, 1), 16));
  const int64_t blocks = std::max<int64_t>(1, ceil_div(k, most));
  return std::max<int64_t>(4, round_up(ceil_div(k, blocks), 4));
}

GemmRegion GemmPlan::region(int64_t chunk) const {
  const int64_t row = chunk % row_chunks() * row_step, col = chunk / row_chunks() * col_step;
  return {row, std::min(m, row + row_step), col, std::min(n, col + col_step)};
}

GemmPlan plan_gemm(int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b, int64_t lda,
                   int64_t ldb, int64_t ldc, DType type, Rows rows, int64_t products,
                   Precision precision) {
  if (type != f32 && type != f64)
    throw TypeError(
        cat("A matrix product needs f32 or f64 numbers, not ", type, "; cast the operands first."));
  const int64_t a_row = transpose_a ? m : k, b_row = transpose_b ? k : n;
  if (m < 0 || n < 0 || k < 0 || lda < a_row || ldb < b_row || ldc < n)
    throw ShapeError(cat("The matrix product [", m, ", ", k, "] x [", k, ", ", n,
                         "] has row strides ", lda, ", ", ldb, ", ", ldc,
                         "; extents must not be negative, and strides at least ", a_row, ", ",
                         b_row, ", ", n, "."));
  GemmPlan plan{};
  plan.m = m, plan.n = n, plan.k = k;
  plan.transpose_a = transpose_a, plan.transpose_b = transpose_b;
  plan.lda = lda, plan.ldb = ldb, plan.ldc = ldc;
  plan.type = type;
  if (type == f32) plan.precision = precision;
  const int64_t bytes = static_cast<int64_t>(size_of(type));
  // The gradient of weights has a transposed A and many rows, never one.
  plan.depth_block = transpose_a ? gemm_depth_block(k, type) : gemm_depth_block(k, type, n);
  if (plan.precision == Precision::bf16) {
    constexpr int64_t most = 1024;  // tiles of both operands of a chunk stay in cache
    plan.depth_block =
        round_up(ceil_div(k, std::max<int64_t>(1, ceil_div(k, most))), bf16_tile_depth);
  }
  plan.far = (m + n) * k > 256 * 1024;
  // Long columns of rows that lie pages apart strain the address translation; copying them once per
  // chunk is cheaper.
  plan.pack_b = !transpose_b && ldb * bytes >= 4096 && plan.depth_block * bytes >= 768;
  cut(plan, rows, products);
  plan.single_column = n == 1 && !transpose_a && (transpose_b || ldb == 1);
  plan.single_chunk = plan.chunks() == 1;  // saves the divisions that find a chunk's place
  plan.scratch_bytes = scratch_of(plan);
  return plan;
}

void GemmPlan::cut_nothing() {
  row_step = std::max<int64_t>(m, 1);
  col_step = std::max<int64_t>(n, 1);
  single_chunk = chunks() == 1;
  scratch_bytes = scratch_of(*this);
}

void gemm_chunk(const Isa& isa, const GemmPlan& plan, const void* a, const void* b, void* c,
                void* scratch, int64_t chunk, const GemmFinish& finish) noexcept {
  const GemmRegion region =
      plan.single_chunk ? GemmRegion{0, plan.m, 0, plan.n} : plan.region(chunk);
  const int64_t bytes = plan.type == f32 ? 4 : 8;
  const auto at = [&](const void* base, int64_t elements) {
    return static_cast<const std::byte*>(base) + elements * bytes;
  };
  GemmBlock block{};
  block.rows = region.row1 - region.row0;
  block.cols = region.col1 - region.col0;
  block.k = plan.k;
  block.kc = plan.depth_block;
  block.a = at(a, region.row0 * (plan.transpose_a ? 1 : plan.lda));
  block.b = at(b, region.col0 * (plan.transpose_b ? plan.ldb : 1));
  block.c = static_cast<std::byte*>(c) + (region.row0 * plan.ldc + region.col0) * bytes;
  block.lda = plan.lda;
  block.ldb = plan.ldb;
  block.ldc = plan.ldc;
  block.transpose_a = plan.transpose_a;
  block.transpose_b = plan.transpose_b;
  block.pack_b = plan.pack_b;
  block.far = plan.far;
  block.single_column = plan.single_column;
  block.accumulate = finish.accumulate;
  block.bias = finish.bias == nullptr ? nullptr : at(finish.bias, region.col0);
  block.relu = finish.relu;
  if (finish.base != nullptr) block.base = at(finish.base, region.row0 * plan.ldc + region.col0);
  block.factor = finish.factor;
  block.scratch = scratch;
  isa.gemm[plan.precision == Precision::bf16 ? 2 : plan.type == f32 ? 0 : 1](block);
}

}  // namespace soma::cpu
