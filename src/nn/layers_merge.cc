// Layers that join their sources, blocks of layers around a shortcut, and changes of shape.
#include <algorithm>
#include <cmath>

#include "soma/error.h"
#include "soma/normalization.h"
#include "src/base/text.h"
#include "src/nn/layer_kinds.h"
#include "src/nn/pieces.h"

namespace soma {

namespace {

// Element by element: equal shapes, or extents of 1 that stretch.
void need_alike(LayerBuild& at, Value a, Value b) {
  bool alike = a.rank() == b.rank();
  for (int i = 0; alike && i < a.rank(); ++i) {
    alike = a.extent(i) == b.extent(i) || (i > 0 && std::min(a.extent(i), b.extent(i)) == 1);
  }
  if (alike) return;
  at.fail(cat("cannot join ", a.shape(), " and ", b.shape(),
              " (with the batch in front) element by element; extents are equal or 1"));
}

template <class F>
Value joined(LayerBuild& at, const F& join) {
  Value total = at.sources()[0];
  for (size_t i = 1; i < at.sources().size(); ++i) {
    const Value next = at.sources()[i];
    need_alike(at, total, next);
    total = join(total, next);
  }
  return total;
}

std::pair<Value, Value> two_sources(LayerBuild& at) {
  if (at.sources().size() != 2) {
    at.fail(cat("takes two sources, found ", at.sources().size(), "; name them with from="));
  }
  need_alike(at, at.sources()[0], at.sources()[1]);
  return {at.sources()[0], at.sources()[1]};
}

}  // namespace

Value build_multiply(LayerBuild& at) {
  return joined(at, [](Value a, Value b) { return a * b; });
}
Value build_average(LayerBuild& at) {
  const Value total = joined(at, [](Value a, Value b) { return a + b; });
  return total * (1 / static_cast<double>(at.sources().size()));
}
Value build_maximum(LayerBuild& at) {
  return joined(at, [](Value a, Value b) { return max(a, b); });
}
Value build_minimum(LayerBuild& at) {
  return joined(at, [](Value a, Value b) { return min(a, b); });
}
Value build_subtract(LayerBuild& at) {
  const auto two = two_sources(at);
  return two.first - two.second;
}

Value build_dot_product(LayerBuild& at, int64_t axis, bool cosine) {
  auto [a, b] = two_sources(at);
  const int along = axis_argument(at, a, axis);
  refuse_streaming_along(at, a, along);
  if (cosine) {
    a = lp_normalize(a, 2, along);
    b = lp_normalize(b, 2, along);
  }
  return sum(a * b, {along}, Keep::yes);
}

// ---------------------------------------------------------------- blocks

Value build_residual(LayerBuild& at, Layers layers, Activations activation, Layers shortcut) {
  const Value x = at.in();
  const Value past = [&] {
    const Graph::Scope scope(at.graph(), "shortcut");
    return at.build(shortcut, x);
  }();
  const Value y = at.build(layers, x);
  if (past.shape() != y.shape()) {
    at.fail(cat("adds what its layers give, ", y.shape(), ", to what comes past them, ",
                past.shape(), " (with the batch in front); give it a shortcut of layers that make ",
                "the shapes equal, for example shortcut=[conv2d 16 1]"));
  }
  return at.activate(past + y, activation);
}

Value build_highway(LayerBuild& at, Layers layers, double bias, Auto<Layers> gate) {
  const Value x = at.in();
  const Value y = at.build(layers, x);
  if (y.shape() != x.shape()) {
    at.fail(cat("mixes x, ", x.shape(), ", with what its layers give, ", y.shape(),
                " (with the batch in front); the layers have to keep the shape"));
  }
  const Graph::Scope scope(at.graph(), "gate");
  Value t;
  if (gate.value) {
    t = at.build(*gate.value, x);
    need_alike(at, x, t);
  } else {
    const int64_t width = x.extent(-1);
    const Value w = at.parameter("weights", {width, width}, "glorot_uniform");
    t = matmul(x, w) + at.parameter("bias", {width}, number(bias));
  }
  t = sigmoid(t);
  return x + t * (y - x);
}

Value build_gated(LayerBuild& at, Layers layers, Layers gate) {
  const Value x = at.in();
  const Value y = at.build(layers, x);
  const Graph::Scope scope(at.graph(), "gate");
  const Value t = at.build(gate, x);
  need_alike(at, y, t);
  return y * sigmoid(t);
}

// ---------------------------------------------------------------- places and shapes

namespace {

int64_t whole(LayerBuild& at, double value) {
  if (value != std::floor(value)) at.fail(cat("needs whole numbers, found ", number(value)));
  return static_cast<int64_t>(value);
}

}  // namespace

Value build_columns(LayerBuild& at, std::vector<double> list, int64_t axis) {
  const Value x = at.in();
  const int along = axis_argument(at, x, axis);
  refuse_streaming_along(at, x, along);
  const int64_t width = x.extent(along);
  if (list.empty()) at.fail("takes no places; name at least one, as in columns([0 2])");
  std::vector<Value> parts;
  for (size_t i = 0; i < list.size();) {
    const int64_t first = whole(at, list[i]);
    size_t end = i + 1;  // neighbours in order are one slice
    while (end < list.size() && list[end] == list[end - 1] + 1) ++end;
    const int64_t last = first + static_cast<int64_t>(end - i);
    if (first < 0 || last > width) {
      at.fail(cat("takes the place ", first < 0 ? first : std::max(first, width), ", but axis ",
                  along, " has the places 0 to ", width - 1));
    }
    parts.push_back(slice_axis(x, along, first, last));
    i = end;
  }
  return concat(parts, along);
}

Value build_slice(LayerBuild& at, int64_t from, int64_t to, int64_t step, int64_t axis) {
  const Value x = at.in();
  const int along = axis_argument(at, x, axis);
  refuse_streaming_along(at, x, along);
  const int64_t width = x.extent(along);
  const int64_t first = from < 0 ? from + width : from, last = to <= 0 ? to + width : to;
  if (first < 0 || first >= last || last > width) {
    at.fail(cat("takes the places from ", first, " up to ", last, " of axis ", along,
                ", which has ", width));
  }
  Dims lo = Dims::filled(x.rank(), 0), hi = x.shape(), steps = Dims::filled(x.rank(), 1);
  lo[along] = first;
  hi[along] = last;
  steps[along] = step;
  return slice(x, lo, hi, steps);
}

Value build_permute(LayerBuild& at, std::vector<double> axes) {
  const Value x = at.in();
  Dims order{0}, sorted;
  for (const double axis : axes) {
    if (order.size() < x.rank()) order.push_back(whole(at, axis));
  }
  sorted = order;
  std::sort(sorted.begin(), sorted.end());
  bool fits = static_cast<int>(axes.size()) + 1 == x.rank();
  for (int i = 0; i < sorted.size(); ++i) fits = fits && sorted[i] == i;
  if (!fits) {
    at.fail(cat("needs each axis of the sample once, from 1 to ", x.rank() - 1, "; found [",
                join(axes, " "), "]"));
  }
  if (order != sorted) refuse_streaming_along(at, x, 1);
  return transpose(x, order);
}

Value build_repeat_vector(LayerBuild& at, int64_t times) {
  if (at.streaming()) at.fail("makes a sequence at once and cannot stream");
  const Value x = at.flat();
  return broadcast(x, {x.extent(0), times, x.extent(1)}, {0, 2});
}

// The numbers as a value that stretches to x: one for all, or one for each place along the axis.
static Value stretching(LayerBuild& at, Value x, const Numbers& numbers, int axis) {
  if (numbers.list.size() == 1) return at.graph().constant(numbers.list[0], x.type());
  if (static_cast<int64_t>(numbers.list.size()) != x.extent(axis)) {
    at.fail(cat("has a list of ", numbers.list.size(), " numbers for the ", x.extent(axis),
                " places along axis ", axis, " of ", x.shape(), " (with the batch in front)"));
  }
  Shape one;
  for (int i = 0; i < x.rank(); ++i) one.push_back(1);
  std::vector<Value> places;
  for (const double n : numbers.list) places.push_back(at.graph().constant(n, one, x.type()));
  return concat(places, axis);
}

Value build_rescaling(LayerBuild& at, Numbers scale, Numbers shift, int64_t axis) {
  Value x = at.in();
  const bool lists = scale.list.size() != 1 || shift.list.size() != 1;
  const int along = lists ? axis_argument(at, x, axis) : 0;
  if (scale.list != std::vector{1.0}) x = x * stretching(at, x, scale, along);
  if (shift.list != std::vector{0.0}) x = x + stretching(at, x, shift, along);
  return x;
}

Value build_clip(LayerBuild& at, double lo, double hi) {
  if (!(lo <= hi)) at.fail(cat("clips to ", number(lo), " and ", number(hi), ", the wrong way"));
  return clip(at.in(), lo, hi);
}

}  // namespace soma
