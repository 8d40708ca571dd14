// Sums of products of the rows of planes with rows that lie elsewhere: the weight gradient of a
// convolution with one input a group, where a matrix product would fill a fraction of its tiles.
// Both operands are read where they lie; a tile keeps a vector of sums for each pair of a plane and
// a place. Compiled once per instruction set.
#pragma once

#include "src/backends/cpu/isa.h"
#include "src/backends/cpu/simd.h"

namespace soma::cpu {
namespace {

constexpr int most_lefts = vector_bytes == 64 ? correlated_planes : 3;
constexpr int most_rights = 4;

/// One step along the rows: `count` columns, or a whole vector.
template <bool whole, class T, int lefts, int rights>
SOMA_INLINE void add_products(Native<T> (&sum)[lefts][rights], const T* a, int64_t a_plane,
                              const T* (&b)[rights], int64_t from, int64_t count) {
  using V = Native<T>;
  V row[lefts];
  SOMA_UNROLL
  for (int i = 0; i < lefts; ++i)
    row[i] = whole ? load<V>(a + i * a_plane) : load_first<V>(a + i * a_plane, count);
  SOMA_UNROLL
  for (int j = 0; j < rights; ++j) {
    const V other = whole ? load<V>(b[j] + from) : load_first<V>(b[j] + from, count);
    SOMA_UNROLL
    for (int i = 0; i < lefts; ++i) sum[i][j] = multiply_add(row[i], other, sum[i][j]);
  }
}

template <class T, int lefts, int rights>
__attribute__((noinline)) void correlate_tile(const CorrelateBlock& block, int64_t left,
                                              int64_t right) {
  using V = Native<T>;
  constexpr int64_t lanes = native_lanes<T>;
  V sum[lefts][rights];
  SOMA_UNROLL
  for (int i = 0; i < lefts; ++i) SOMA_UNROLL
  for (int j = 0; j < rights; ++j) sum[i][j] = V{};
  const int64_t whole = block.cols / lanes * lanes, rest = block.cols - whole;
  for (int64_t s = 0; s < block.samples; ++s) {
    const T* a = static_cast<const T*>(block.a) + s * block.a_sample + left * block.a_plane;
    const T* b[rights];
    SOMA_UNROLL
    for (int j = 0; j < rights; ++j)
      b[j] = static_cast<const T*>(block.b) + s * block.b_sample + block.b_at[right + j];
    for (int64_t r = 0; r < block.rows; ++r, a += block.cols) {
      const int64_t from = block.b_rows[r];
      for (int64_t c = 0; c < whole; c += lanes)
        add_products<true>(sum, a + c, block.a_plane, b, from + c, lanes);
      if (rest > 0) add_products<false>(sum, a + whole, block.a_plane, b, from + whole, rest);
    }
  }
  T* kept = static_cast<T*>(block.sums) + (left * block.rights + right) * lanes;
  SOMA_UNROLL
  for (int i = 0; i < lefts; ++i, kept += block.rights * lanes) SOMA_UNROLL
  for (int j = 0; j < rights; ++j) store(kept + j * lanes, load<V>(kept + j * lanes) + sum[i][j]);
}

template <class T>
using CorrelateTile = void(const CorrelateBlock&, int64_t left, int64_t right);

template <class T, int lefts = most_lefts, int rights = most_rights>
CorrelateTile<T>* correlate_tile_of(int64_t wanted_lefts, int64_t wanted_rights) {
  if (wanted_lefts == lefts && wanted_rights == rights) return correlate_tile<T, lefts, rights>;
  if constexpr (lefts > 1)
    if (wanted_lefts < lefts)
      return correlate_tile_of<T, lefts - 1, rights>(wanted_lefts, wanted_rights);
  if constexpr (rights > 1)
    return correlate_tile_of<T, lefts, rights - 1>(wanted_lefts, wanted_rights);
  return nullptr;
}

/// The next of equal parts of what is left, each at most so large.
SOMA_INLINE int64_t next_part(int64_t left, int64_t most) {
  const int64_t parts = (left + most - 1) / most;
  return (left + parts - 1) / parts;
}

template <class T>
void correlate(const CorrelateBlock& block) noexcept {
  constexpr int64_t lanes = native_lanes<T>;
  const int64_t pairs = block.lefts * block.rights;
  T* kept = static_cast<T*>(block.sums);
  if (block.first)
    for (int64_t p = 0; p < pairs; ++p) store(kept + p * lanes, Native<T>{});
  for (int64_t left = 0, lefts; left < block.lefts; left += lefts) {
    lefts = next_part(block.lefts - left, most_lefts);
    for (int64_t right = 0, rights; right < block.rights; right += rights) {
      rights = next_part(block.rights - right, most_rights);
      correlate_tile_of<T>(lefts, rights)(block, left, right);
    }
  }
  T* out = static_cast<T*>(block.out);
  if (block.last)
    for (int64_t p = 0; p < pairs; ++p) out[p] = sum_of_lanes<T>(load<Native<T>>(kept + p * lanes));
}

constexpr void set_correlate(Isa& isa) {
  isa.correlate[0] = correlate<float>;
  isa.correlate[1] = correlate<double>;
}

}  // namespace
}  // namespace soma::cpu
