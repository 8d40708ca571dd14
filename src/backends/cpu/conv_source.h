// What the convolution kernels read: one sample's channels with zeros around them, copied to
// scratch memory so that every tap of the window finds its row of operands at one fixed distance.
//
// The copy of an image [C, H, W] keeps rows of E >= W elements with zeros between them, which serve
// the end of one row and the start of the next. So places m of the result, counted along these
// longer rows, read element m + (distance of the tap): a convolution is a matrix product whose
// right operand has its rows at those distances, and nothing is unrolled into columns. Places
// between the rows are computed and thrown away. With a stride s, elements u, u + s, u + 2s, … are
// kept together (a phase), so that neighbouring places still read neighbouring elements.
#pragma once

#include <algorithm>
#include <cstring>

#include "soma/graph.h"
#include "src/backends/cpu/isa.h"

namespace soma::cpu {

/// x [N, C, …], w [O, C/groups, …] and y [N, O, …] of one convolution, whatever its role.
struct ConvShape {
  ConvAttr attr;
  Shape x, w, y;
  ConvShape(const ConvAttr& attr, const Shape& a, const Shape& b, const Shape& result);

  int spatial() const { return x.rank() - 2; }
  int64_t samples() const { return x[0]; }
  int64_t ins() const { return w[1]; }  ///< Channels of one group.
  int64_t outs() const { return w[0] / attr.groups; }
  int64_t flops() const;
};
/// Elements of one plane: the product of the extents after the first two.
int64_t plane_of(const Shape& shape);
/// Calls visit(index) for every tap of a window, in row-major order.
template <class Visit>
void for_each_tap(const Dims& window, Visit&& visit) {
  Dims tap = Dims::filled(window.size(), 0);
  for (int64_t i = 0; i < window.elements(); ++i) {
    visit(tap);
    for (int d = window.size(); d-- > 0;) {
      if (++tap[d] < window[d]) break;
      tap[d] = 0;
    }
  }
}

/// How the padded copy of some channels lies in memory. The copy has `rows` places along the first
/// spatial axis, from any place of the source on; along the others it is complete.
struct Padded {
  Dims source;              ///< Spatial extents of the source.
  Dims lo, stride, phases;  ///< `phases`: how many of the stride's phases are read.
  Dims extent;              ///< Of the copy, zeros included.
  Dims pitch, phase_step;   ///< Distances in the copy of neighbours and of phases.
  int64_t channel = 0;      ///< Distance of channels.
  int64_t source_plane = 0;

  /// For `places` along each axis (of the result, counted in strides), windows that reach up to
  /// `reach` beyond their first element, and `lo` zeros before the source.
  Padded(const Dims& source, const Dims& lo, const Dims& stride, const Dims& places,
         const Dims& reach);
  Padded() = default;
  /// Distance of the element `displacement` beyond a place's first one.
  int64_t distance(const Dims& displacement) const;
  /// Elements of a copy of so many channels, with room to read whole vectors at its end.
  int64_t elements(int64_t channels) const { return channels * channel + 128; }
  /// Places in a row of the copy from the first to the last of `places`.
  int64_t span(const Dims& places) const;
  /// The source itself would do for a copy of all rows: nothing is padded, neighbours are
  /// neighbours.
  bool is_source() const;
};

/// The elements of one phase along an axis: `count` of them from `x` in the source on, a stride
/// apart, side by side from `at` in the copy on, which begins at place `origin` of the source.
struct Piece {
  int64_t x, at, count;
  Piece(const Padded& p, int axis, int64_t origin, int64_t phase);
};

template <class T>
void copy_axis(const Padded& p, const Isa& isa, int axis, int64_t origin, const T* from,
               int64_t from_plane, T* to) {
  const int last = p.source.size() - 1;
  const int64_t inner = from_plane / p.source[axis], stride = p.stride[axis];
  for (int64_t a = 0; a < p.phases[axis]; ++a) {
    const Piece piece(p, axis, origin, a);
    const T* x = from + piece.x * inner;
    T* const u = to + a * p.phase_step[axis] + piece.at * p.pitch[axis];
    const auto copy = isa.copy2d[width_index(sizeof(T))];
    if (axis == last) {
      copy(u, {0, 1}, x, {0, stride}, 1, piece.count);
    } else if (axis + 1 == last) {
      for (int64_t b = 0; b < p.phases[last]; ++b) {
        const Piece row(p, last, -p.lo[last], b);
        copy(u + b * p.phase_step[last] + row.at, {p.pitch[axis], 1}, x + row.x,
             {stride * inner, p.stride[last]}, piece.count, row.count);
      }
    } else {
      for (int64_t i = 0; i < piece.count; ++i) {
        copy_axis(p, isa, axis + 1, -p.lo[axis + 1], x + i * stride * inner, inner,
                  u + i * p.pitch[axis]);
      }
    }
  }
}

/// Copies `channels` planes; the copy begins at place `first` (which may be negative) of the
/// source's first spatial axis.
template <class T>
void copy_padded(const Padded& p, const Isa& isa, int64_t channels, int64_t first, const T* from,
                 T* to) {
  std::memset(to, 0, static_cast<size_t>(p.elements(channels)) * sizeof(T));
  if (p.source_plane == 0) return;  // nothing but zeros
  for (int64_t c = 0; c < channels; ++c) {
    copy_axis(p, isa, 0, first, from + c * p.source_plane, p.source_plane, to + c * p.channel);
  }
}

}  // namespace soma::cpu
