// Matrix product of f32 operands that are rounded to bfloat16, with sums in f32: the walk over one
// rectangle of C. Both operands are copied first, rounded, as tiles that every instruction set
// below multiplies as they are: 16 rows of A by 32 numbers along the depth, or the same of B with
// rows and columns exchanged. Two neighbours along the depth lie side by side; what is missing at
// the edges is zero. Compiled once per instruction set: with AMX a tile is an operand of one
// instruction, with AVX512_BF16 a row of B's tile is; others take the two halves apart and multiply
// f32. Each element of C is summed in the same order wherever it lies.
#pragma once

#include "src/backends/cpu/gemm_kernels.h"
#include "src/backends/cpu/isa.h"
#include "src/backends/cpu/simd.h"

namespace soma::cpu {
namespace {

using BfTile = uint32_t[bf16_tile_rows][bf16_tile_depth / 2];
static_assert(sizeof(BfTile) == bf16_tile_bytes);
/// Two by two tiles of C.
struct alignas(64) BfSums {
  float at[2 * bf16_tile_rows][2 * bf16_tile_rows];
};
static_assert(sizeof(BfSums) == bf16_sums_bytes);

// --- Sixteen pairs of rounded numbers ------------------------------------------------------------

#if defined(__AVX512BF16__)
using BfLine = Native<float>;  // of its bits

/// The pairs of 32 numbers, of which `count` are there.
SOMA_INLINE BfLine pairs_along(const float* from, int64_t count) {
  return (BfLine)_mm512_cvtne2ps_pbh((__m512)load_first<Native<float>>(from + 16, count - 16),
                                     (__m512)load_first<Native<float>>(from, count));
}
/// The pairs of first[i], second[i], of which so many are there.
SOMA_INLINE BfLine pairs_across(const float* first, int64_t firsts, const float* second,
                                int64_t seconds) {
  const auto both = (__m512i)_mm512_cvtne2ps_pbh((__m512)load_first<Native<float>>(second, seconds),
                                                 (__m512)load_first<Native<float>>(first, firsts));
  const Vector<uint32_t, 16> lane{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return (BfLine)_mm512_permutexvar_epi16((__m512i)(lane | (lane + 16) << 16), both);
}
SOMA_INLINE void exchange_lines(BfLine (&lines)[16]) { transpose<float>(lines); }

#else
// Sixteen copies of these in a row would be no quicker.
#define SOMA_APART __attribute__((noinline))
struct BfLine {
  uint32_t at[16];
};

/// To nearest, ties to even; what is not a number stays none.
SOMA_INLINE uint32_t to_bf16(float number) {
  uint32_t bits;
  __builtin_memcpy(&bits, &number, sizeof bits);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return number == number ? rounded : (bits >> 16) | 0x40;
}
SOMA_INLINE void copy_first(float (&to)[32], const float* from, int64_t count) {
  if (count > 0) __builtin_memcpy(to, from, sizeof(float) * static_cast<size_t>(count));
}
SOMA_APART BfLine pairs_along(const float* from, int64_t count) {
  float numbers[32] = {};
  copy_first(numbers, from, count < 32 ? count : 32);
  BfLine line;
  for (int i = 0; i < 16; ++i)
    line.at[i] = to_bf16(numbers[2 * i]) | to_bf16(numbers[2 * i + 1]) << 16;
  return line;
}
SOMA_APART BfLine pairs_across(const float* first, int64_t firsts, const float* second,
                               int64_t seconds) {
  float low[32] = {}, high[32] = {};
  copy_first(low, first, firsts < 16 ? firsts : 16);
  copy_first(high, second, seconds < 16 ? seconds : 16);
  BfLine line;
  for (int i = 0; i < 16; ++i) line.at[i] = to_bf16(low[i]) | to_bf16(high[i]) << 16;
  return line;
}
SOMA_APART void exchange_lines(BfLine (&lines)[16]) {
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < i; ++j) {
      const uint32_t kept = lines[i].at[j];
      lines[i].at[j] = lines[j].at[i];
      lines[j].at[i] = kept;
    }
}
#undef SOMA_APART
#endif

// --- Packing -------------------------------------------------------------------------------------

/// How an operand lies in memory, and how its tiles want it: with the depth along rows, or down.
enum class Depth { along, down };

/// One tile from `from`, of which `extent` rows of A (or columns of B) and `depth` are there.
template <Depth stored, Depth wanted>
SOMA_INLINE void pack_bf_tile(BfTile& to, const float* from, int64_t stride, int64_t extent,
                              int64_t depth) {
  BfLine lines[16];
  SOMA_UNROLL
  for (int i = 0; i < 16; ++i) {
    if constexpr (stored == Depth::along) {
      lines[i] = pairs_along(from + (i < extent ? i * stride : 0), i < extent ? depth : 0);
    } else {
      const float* const first = from + (2 * i < depth ? 2 * i * stride : 0);
      const float* const second = from + (2 * i + 1 < depth ? (2 * i + 1) * stride : 0);
      lines[i] =
          pairs_across(first, 2 * i < depth ? extent : 0, second, 2 * i + 1 < depth ? extent : 0);
    }
  }
  if constexpr (stored != wanted) exchange_lines(lines);
  SOMA_UNROLL
  for (int i = 0; i < 16; ++i) store(to[i], lines[i]);
}

/// All tiles of an operand: those along the depth follow each other. Memory is read in its order,
/// as many rows at a time as a tile needs.
template <Depth stored, Depth wanted>
void pack_bf(BfTile* to, const float* from, int64_t stride, int64_t extent, int64_t depth) {
  constexpr int64_t rows = bf16_tile_rows, deep = bf16_tile_depth;
  const int64_t strips = (extent + rows - 1) / rows, tiles = (depth + deep - 1) / deep;
  const auto pack = [&](int64_t strip, int64_t tile) {
    const int64_t i = strip * rows, p = tile * deep;
    const float* const at = from + (stored == Depth::along ? i * stride + p : p * stride + i);
    BfTile& into = to[strip * tiles + tile];
    if (extent - i >= rows && depth - p >= deep)  // nothing to ask in the loops
      pack_bf_tile<stored, wanted>(into, at, stride, rows, deep);
    else
      pack_bf_tile<stored, wanted>(into, at, stride, extent - i, depth - p);
  };
  if constexpr (stored == Depth::along) {
    for (int64_t strip = 0; strip < strips; ++strip)
      for (int64_t tile = 0; tile < tiles; ++tile) pack(strip, tile);
  } else {
    for (int64_t tile = 0; tile < tiles; ++tile)
      for (int64_t strip = 0; strip < strips; ++strip) pack(strip, tile);
  }
}

// --- Products of tiles ---------------------------------------------------------------------------

#if defined(__AMX_BF16__)
struct BfUnit {
  static void know_memory() { asm volatile("" ::: "memory"); }
  /// Every register of tiles holds 16 rows of 64 bytes.
  BfUnit() {
    struct alignas(64) Configuration {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } configuration;
    know_memory();  // not every compiler sees what this reads
    _tile_loadconfig(&configuration);
  }
  ~BfUnit() { _tile_release(); }

  /// sums = one or two strips of tiles of A times one or two of B.
  template <int rows, int cols>
  SOMA_INLINE void multiply(const BfTile* a, const BfTile* b, int64_t tiles, BfSums& sums) const {
    constexpr int line = sizeof(BfTile) / 16, c_line = sizeof sums.at[0];
    know_memory();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t t = 0; t < tiles; ++t) {
      _tile_loadd(4, a[t], line);
      _tile_loadd(6, b[t], line);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (cols == 2) {
        _tile_loadd(7, b[tiles + t], line);
        _tile_dpbf16ps(1, 4, 7);
      }
      if constexpr (rows == 2) {
        _tile_loadd(5, a[tiles + t], line);
        _tile_dpbf16ps(2, 5, 6);
        if constexpr (cols == 2) _tile_dpbf16ps(3, 5, 7);
      }
    }
    _tile_stored(0, sums.at[0], c_line);
    if constexpr (cols == 2) _tile_stored(1, sums.at[0] + 16, c_line);
    if constexpr (rows == 2) {
      _tile_stored(2, sums.at[16], c_line);
      if constexpr (cols == 2) _tile_stored(3, sums.at[16] + 16, c_line);
    }
  }
};

#else
struct BfUnit {
  template <int rows, int cols>
  void multiply(const BfTile* a, const BfTile* b, int64_t tiles, BfSums& sums) const {
    for (int strip = 0; strip < rows; ++strip, a += tiles)
      for (int row = 0; row < 16; row += height)
        for (int col = 0; col < cols; ++col)
          multiply(a, row, b + col * tiles, tiles, &sums.at[16 * strip + row][16 * col]);
  }

 private:
  static constexpr int lanes = native_lanes<float>, vectors = 16 / lanes;
  static constexpr int height = vector_bytes == 64 ? 16 : vector_bytes == 32 ? 4 : 2;

  /// sums = rows [row, row + height) of A's strip times B's strip.
  static void multiply(const BfTile* a, int row, const BfTile* b, int64_t tiles, float* sums) {
    Native<float> sum[height][vectors] = {};
    for (int64_t t = 0; t < tiles; ++t)
      for (int p = 0; p < 16; ++p) SOMA_UNROLL
    for (int j = 0; j < vectors; ++j) {
      const auto pairs = load<Vector<uint32_t, lanes>>(b[t][p] + j * lanes);
      SOMA_UNROLL
      for (int i = 0; i < height; ++i) add(sum[i][j], a[t][row + i][p], pairs);
    }
    SOMA_UNROLL
    for (int i = 0; i < height; ++i) SOMA_UNROLL
    for (int j = 0; j < vectors; ++j) store(sums + i * 2 * bf16_tile_rows + j * lanes, sum[i][j]);
  }
  /// sum += a's pair times each pair of b.
  SOMA_INLINE static void add(Native<float>& sum, uint32_t a, Vector<uint32_t, lanes> b) {
#if defined(__AVX512BF16__)
    sum = _mm512_dpbf16_ps(sum, (__m512bh)(a - Vector<uint32_t, lanes>{}), (__m512bh)b);
#else
    constexpr uint32_t upper = 0xffff0000;
    const Vector<uint32_t, lanes> both = a - Vector<uint32_t, lanes>{};
    sum = multiply_add((Native<float>)(both << 16), (Native<float>)(b << 16), sum);
    sum = multiply_add((Native<float>)(both & upper), (Native<float>)(b & upper), sum);
#endif
  }
};
#endif

// --- The walk over a rectangle -------------------------------------------------------------------

/// Brings the sums of `rows` and `cols` to C.
SOMA_INLINE void finish_bf(const BfSums& sums, TileFinish<float> finish, float* c, int64_t c_stride,
                           int64_t rows, int64_t cols) {
  constexpr int lanes = native_lanes<float>, most = 2 * bf16_tile_rows, vectors = most / lanes;
  for (int64_t i = 0; i < rows; ++i, c += c_stride) {
    if (cols == most) {
      Native<float> sum[1][vectors];
      SOMA_UNROLL
      for (int j = 0; j < vectors; ++j) sum[0][j] = load<Native<float>>(sums.at[i] + j * lanes);
      finish(sum, c, c_stride);
      SOMA_UNROLL
      for (int j = 0; j < vectors; ++j) store(c + j * lanes, sum[0][j]);
    } else {
      for (int64_t j = 0; j < cols; j += lanes) {
        TileFinish<float> here = finish;
        if (here.base != nullptr) here.base += j;
        if (here.bias != nullptr && !here.bias_of_rows) here.bias += j;
        Native<float> sum[1][1] = {{load<Native<float>>(sums.at[i] + j)}};
        here(sum, c + j, c_stride, cols - j);
        store_first(c + j, sum[0][0], cols - j);
      }
    }
    if (finish.base != nullptr) finish.base += c_stride;
    if (finish.bias != nullptr && finish.bias_of_rows) ++finish.bias;
  }
}

void gemm_bf16(const GemmBlock& block) noexcept {
  constexpr int64_t rows = bf16_tile_rows, deep = bf16_tile_depth;
  auto& sums = *static_cast<BfSums*>(block.scratch);
  auto* const a_tiles = reinterpret_cast<BfTile*>(&sums + 1);
  const BfUnit unit;
  bool onto_c = block.accumulate;
  int64_t p = 0;
  do {
    const int64_t depth = block.k - p < block.kc ? block.k - p : block.kc;
    const int64_t tiles = (depth + deep - 1) / deep;
    auto* const b_tiles = a_tiles + (block.rows + rows - 1) / rows * tiles;
    const auto* const a = static_cast<const float*>(block.a);
    const auto* const b = static_cast<const float*>(block.b);
    if (block.transpose_a)
      pack_bf<Depth::down, Depth::along>(a_tiles, a + p * block.lda, block.lda, block.rows, depth);
    else
      pack_bf<Depth::along, Depth::along>(a_tiles, a + p, block.lda, block.rows, depth);
    if (block.transpose_b)
      pack_bf<Depth::along, Depth::down>(b_tiles, b + p, block.ldb, block.cols, depth);
    else
      pack_bf<Depth::down, Depth::down>(b_tiles, b + p * block.ldb, block.ldb, block.cols, depth);
    for (int64_t col = 0; col < block.cols; col += 2 * rows) {
      const int64_t cols = block.cols - col < 2 * rows ? block.cols - col : 2 * rows;
      TileFinish<float> finish{};
      if (p + depth >= block.k) finish = finish_of<float>(block, col);
      finish.onto_c = onto_c;
      for (int64_t row = 0; row < block.rows; row += 2 * rows) {
        const int64_t height = block.rows - row < 2 * rows ? block.rows - row : 2 * rows;
        const BfTile* const left = a_tiles + row / rows * tiles;
        const BfTile* const right = b_tiles + col / rows * tiles;
        if (height > rows && cols > rows)
          unit.multiply<2, 2>(left, right, tiles, sums);
        else if (height > rows)
          unit.multiply<2, 1>(left, right, tiles, sums);
        else if (cols > rows)
          unit.multiply<1, 2>(left, right, tiles, sums);
        else
          unit.multiply<1, 1>(left, right, tiles, sums);
        finish_bf(sums, finish, static_cast<float*>(block.c) + row * block.ldc + col, block.ldc,
                  height, cols);
        if (finish.base != nullptr) finish.base += height * block.ldc;
        if (finish.bias != nullptr && finish.bias_of_rows) finish.bias += height;
      }
    }
    onto_c = true;
    p += depth;
  } while (p < block.k);
}

}  // namespace
}  // namespace soma::cpu
