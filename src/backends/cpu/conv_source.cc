#include "src/backends/cpu/conv_source.h"

namespace soma::cpu {

namespace {
int64_t round_up(int64_t a, int64_t unit) { return (a + unit - 1) / unit * unit; }
}  // namespace

ConvShape::ConvShape(const ConvAttr& attr_, const Shape& a, const Shape& b, const Shape& result)
    : attr(attr_) {
  switch (attr.role) {
    case ConvRole::y: x = a, w = b, y = result; break;
    case ConvRole::dx: y = a, w = b, x = result; break;
    case ConvRole::dw: x = a, y = b, w = result; break;
  }
}

int64_t ConvShape::flops() const { return 2 * y.elements() * w[1] * plane_of(w); }

int64_t plane_of(const Shape& shape) {
  int64_t p = 1;
  for (int i = 2; i < shape.rank(); ++i) p *= shape[i];
  return p;
}

Padded::Padded(const Dims& source_, const Dims& lo_, const Dims& stride_, const Dims& places,
               const Dims& reach)
    : source(source_), lo(lo_), stride(stride_), source_plane(source_.elements()) {
  const int n = source.size();
  phases = extent = pitch = phase_step = Dims::filled(n, 1);
  int64_t step = 1, last = 0;
  for (int i = n - 1; i >= 0; --i) {
    const int64_t s = stride[i], read = (places[i] - 1) * s + reach[i] + 1;
    // Zeros behind a row may be those before the next one, but for the first axis, whose end is the
    // end of the plane.
    extent[i] = i == 0 ? read : std::max({lo[i] + source[i], read - lo[i], places[i] * s});
    extent[i] = round_up(std::max<int64_t>(extent[i], 1), s);
    phases[i] = std::min(s, reach[i] + 1);
    pitch[i] = step;
    last += (read - 1) / s * step;
    step *= extent[i] / s;
  }
  channel = std::max(step, last + 1);
  for (int i = n - 1; i >= 0; --i) {
    phase_step[i] = channel;
    channel *= phases[i];
  }
}

Piece::Piece(const Padded& p, int axis, int64_t origin, int64_t phase) {
  const int64_t stride = p.stride[axis], begin = origin + phase;
  at = begin < 0 ? (-begin + stride - 1) / stride : 0;
  x = begin + at * stride;
  const int64_t end = std::min(p.source[axis], origin + p.extent[axis]);
  count = std::max<int64_t>(0, (end - x + stride - 1) / stride);
}

int64_t Padded::distance(const Dims& displacement) const {
  int64_t at = 0;
  for (int i = 0; i < displacement.size(); ++i) {
    const int64_t s = stride[i];
    at += displacement[i] % s * phase_step[i] + displacement[i] / s * pitch[i];
  }
  return at;
}

int64_t Padded::span(const Dims& places) const {
  int64_t last = 0;
  for (int i = 0; i < places.size(); ++i) last += (places[i] - 1) * pitch[i];
  return last + 1;
}

bool Padded::is_source() const {
  for (int i = 0; i < source.size(); ++i) {
    if (lo[i] != 0 || stride[i] != 1) return false;
    if (i == 0 ? extent[i] > source[i] : extent[i] != source[i]) return false;
  }
  return true;
}

}  // namespace soma::cpu
