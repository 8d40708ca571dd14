#include "src/backends/cpu/conv.h"

#include <algorithm>

namespace soma::cpu {

namespace {

/// x [N, C, …], w [O, C/groups, …] and y [N, O, …] of one convolution, whatever its role.
struct Geometry {
  const ConvAttr& attr;
  Shape x, w, y;

  Geometry(const ConvAttr& attr_, const Shape& a, const Shape& b, const Shape& result)
      : attr(attr_) {
    switch (attr.role) {
      case ConvRole::y: x = a, w = b, y = result; break;
      case ConvRole::dx: y = a, w = b, x = result; break;
      case ConvRole::dw: x = a, y = b, w = result; break;
    }
  }
  int spatial() const { return x.rank() - 2; }
  static int64_t plane(const Shape& s) {
    int64_t p = 1;
    for (int i = 2; i < s.rank(); ++i) p *= s[i];
    return p;
  }
  /// Output places m along an axis for which m·stride + k·dilation − lo lies inside x.
  std::pair<int64_t, int64_t> range(int axis, int64_t k) const {
    const int64_t shift = k * attr.dilation[axis] - attr.lo[axis], s = attr.stride[axis];
    const int64_t first = shift >= 0 ? 0 : (-shift + s - 1) / s;
    const int64_t room = x[axis + 2] - 1 - shift;
    const int64_t last = room < 0 ? -1 : std::min(y[axis + 2] - 1, room / s);
    return {first, last + 1};
  }
};

/// Calls row(xi, wi, yi, stride, n) for every run along the last spatial axis that connects a plane
/// of x, a plane of w and a plane of y: element i of the run joins x[xi + i·stride], w[wi], y[yi +
/// i].
template <class Row>
void for_each_run(const Geometry& g, int axis, int64_t xi, int64_t wi, int64_t yi, Row&& row) {
  const int last = g.spatial() - 1;
  xi *= g.x[axis + 2], wi *= g.w[axis + 2], yi *= g.y[axis + 2];
  for (int64_t k = 0; k < g.w[axis + 2]; ++k) {
    const auto [first, end] = g.range(axis, k);
    const int64_t shift = k * g.attr.dilation[axis] - g.attr.lo[axis];
    if (axis == last) {
      const int64_t stride = g.attr.stride[axis];
      if (first < end) row(xi + first * stride + shift, wi + k, yi + first, stride, end - first);
      continue;
    }
    for (int64_t m = first; m < end; ++m) {
      for_each_run(g, axis + 1, xi + m * g.attr.stride[axis] + shift, wi + k, yi + m, row);
    }
  }
}

}  // namespace

int64_t conv_chunk_count(const Shape& result) { return result[0] * result[1]; }

int64_t conv_flops(const ConvAttr& attr, const Shape& a, const Shape& b, const Shape& result) {
  const Geometry g(attr, a, b, result);
  return 2 * g.y.elements() * g.w[1] * Geometry::plane(g.w);
}

template <class T>
void run_conv(const ConvAttr& attr, const Shape& a_shape, const Shape& b_shape, const Shape& result,
              const T* a, const T* b, T* out, int64_t begin, int64_t end) noexcept {
  const Geometry g(attr, a_shape, b_shape, result);
  const int64_t outs = g.w[0] / attr.groups, ins = g.w[1];  // channels of one group
  const int64_t size = Geometry::plane(result);
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    const int64_t first = chunk / result[1], second = chunk % result[1];
    T* place = out + chunk * size;
    std::fill(place, place + size, T{});
    if (attr.role == ConvRole::y) {  // plane (n, o): over the input channels of o's group
      for (int64_t c = 0; c < ins; ++c) {
        const int64_t channel = second / outs * ins + c;
        for_each_run(g, 0, first * g.x[1] + channel, second * ins + c, chunk,
                     [&](int64_t xi, int64_t wi, int64_t yi, int64_t stride, int64_t n) {
                       const T weight = b[wi];
                       for (int64_t i = 0; i < n; ++i) out[yi + i] += a[xi + i * stride] * weight;
                     });
      }
    } else if (attr.role == ConvRole::dx) {  // plane (n, c): over the outputs of c's group
      for (int64_t o = 0; o < outs; ++o) {
        const int64_t channel = second / ins * outs + o;
        for_each_run(g, 0, chunk, channel * ins + second % ins, first * g.y[1] + channel,
                     [&](int64_t xi, int64_t wi, int64_t yi, int64_t stride, int64_t n) {
                       const T weight = b[wi];
                       for (int64_t i = 0; i < n; ++i) out[xi + i * stride] += a[yi + i] * weight;
                     });
      }
    } else {  // plane (o, c): over the samples
      const int64_t channel = first / outs * ins + second;
      for (int64_t n = 0; n < g.x[0]; ++n) {
        for_each_run(g, 0, n * g.x[1] + channel, chunk, n * g.y[1] + first,
                     [&](int64_t xi, int64_t wi, int64_t yi, int64_t stride, int64_t count) {
                       T sum{};
                       for (int64_t i = 0; i < count; ++i) sum += a[xi + i * stride] * b[yi + i];
                       out[wi] += sum;
                     });
      }
    }
  }
}

template void run_conv(const ConvAttr&, const Shape&, const Shape&, const Shape&, const float*,
                       const float*, float*, int64_t, int64_t) noexcept;
template void run_conv(const ConvAttr&, const Shape&, const Shape&, const Shape&, const double*,
                       const double*, double*, int64_t, int64_t) noexcept;

}  // namespace soma::cpu
