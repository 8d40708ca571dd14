// Normalization of activations: each function is a call whose body is its formula.
#include "soma/normalization.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/normal.h"

namespace soma {

namespace detail {

void check_floats(std::string_view function, Value x) {
  if (is_float(x.type())) return;
  throw TypeError(cat(function, " needs floating-point numbers, found ", x.type(), x.shape(),
                      "; cast them first"));
}

int axis_of(std::string_view function, Value x, int axis) {
  const int rank = x.rank();
  if (axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  throw ShapeError(cat(function, " is to act along axis ", axis, ", but ", x.shape(),
                       " has the axes 0 to ", rank - 1));
}

void check_shape(std::string_view function, std::string_view what, Value array,
                 const Shape& wanted) {
  if (!array || array.shape() == wanted) return;
  throw ShapeError(
      cat(function, ": the ", what, " must have the shape ", wanted, ", found ", array.shape()));
}

Value along(Value array, Value x, int axis) {
  Shape shape = Shape::filled(x.rank(), 1);
  shape[axis] = x.extent(axis);
  return reshape(array, shape);
}

Dims other_axes(Value x, int axis) {
  Dims axes;
  for (int i = 0; i < x.rank(); ++i) {
    if (i != axis) axes.push_back(i);
  }
  return axes;
}

}  // namespace detail

using namespace detail;

namespace {

Dims axes_from(Value x, int first) {
  Dims axes;
  for (int i = first; i < x.rank(); ++i) axes.push_back(i);
  return axes;
}

Shape shape_from(Value x, int first) {
  Shape shape;
  for (int i = first; i < x.rank(); ++i) shape.push_back(x.extent(i));
  return shape;
}

// A call of `body(x, scale, shift)` whose inputs are those that are not empty.
template <class Body>
Value call_scaled(std::string name, Value x, Value scale, Value shift, const Body& body) {
  std::vector<Value> in{x};
  if (scale) in.push_back(scale);
  if (shift) in.push_back(shift);
  const bool has_scale{scale}, has_shift{shift};
  return call(std::move(name), in, [&](const std::vector<Value>& arg) {
    return body(arg[0], has_scale ? arg[1] : Value(), has_shift ? arg.back() : Value());
  });
}

Value scale_and_shift(Value x, Value scale, Value shift) {
  if (scale) x = x * scale;
  return shift ? x + shift : x;
}

Value standardized(Value x, const Dims& axes, double eps) {
  const Value centred = x - mean(x, axes, Keep::yes);
  return centred * rsqrt(mean(square(centred), axes, Keep::yes) + eps);
}

}  // namespace

Value layer_norm(Value x, Value scale, Value shift, double eps, int axis) {
  check_floats("layer_norm", x);
  const int first = axis_of("layer_norm", x, axis);
  check_shape("layer_norm", "scale", scale, shape_from(x, first));
  check_shape("layer_norm", "shift", shift, shape_from(x, first));
  return call_scaled("layer_norm", x, scale, shift, [&](Value in, Value s, Value b) {
    return scale_and_shift(standardized(in, axes_from(in, first), eps), s, b);
  });
}

Value rms_norm(Value x, Value scale, double eps, int axis) {
  check_floats("rms_norm", x);
  const int first = axis_of("rms_norm", x, axis);
  check_shape("rms_norm", "scale", scale, shape_from(x, first));
  return call_scaled("rms_norm", x, scale, {}, [&](Value in, Value s, Value) {
    const Value size = mean(square(in), axes_from(in, first), Keep::yes);
    return scale_and_shift(in * rsqrt(size + eps), s, {});
  });
}

static void check_channels(std::string_view function, Value x, int least_rank) {
  check_floats(function, x);
  if (x.rank() >= least_rank) return;
  throw ShapeError(cat(function, " needs ",
                       least_rank == 2 ? "[batch, channels, …]" : "[batch, channels, positions…]",
                       ", found ", x.shape()));
}

static Value channel_groups(const char* name, Value x, int64_t groups, Value scale, Value shift,
                            double eps) {
  const int64_t channels = x.extent(1);
  if (groups < 1 || channels % groups) {
    throw ShapeError(cat(name, " is to split ", channels, " channels into ", groups,
                         " groups; the number of groups must divide the channels"));
  }
  check_shape(name, "scale", scale, {channels});
  check_shape(name, "shift", shift, {channels});
  return call_scaled(name, x, scale, shift, [&](Value in, Value s, Value b) {
    const Shape shape = in.shape();
    const Value rows = reshape(in, {shape[0], groups, shape.elements() / (shape[0] * groups)});
    const Value y = reshape(standardized(rows, {2}, eps), shape);
    return scale_and_shift(y, s ? along(s, y, 1) : s, b ? along(b, y, 1) : b);
  });
}

Value group_norm(Value x, int64_t groups, Value scale, Value shift, double eps) {
  check_channels("group_norm", x, 2);
  return channel_groups("group_norm", x, groups, scale, shift, eps);
}

Value instance_norm(Value x, Value scale, Value shift, double eps) {
  check_channels("instance_norm", x, 3);
  return channel_groups("instance_norm", x, x.extent(1), scale, shift, eps);
}

Value local_response_norm(Value x, const LocalResponse& response) {
  check_channels("local_response_norm", x, 2);
  const int64_t size = response.size;
  const int64_t before = response.before < 0 ? (size - 1) / 2 : response.before;
  if (size < 1 || before >= size) {
    throw ShapeError(cat("local_response_norm: a window of ", size, " channels cannot have ",
                         before, " before its own; it needs at least the own channel"));
  }
  return call("local_response_norm", {x}, [&](const std::vector<Value>& in) {
    Dims lo = Dims::filled(in[0].rank(), 0), hi = lo;
    lo[1] = before;
    hi[1] = size - 1 - before;
    const Value windows = unfold(pad(square(in[0]), lo, hi), 1, size, 1);
    const Value around = sum(windows, {-1}) * (response.alpha / static_cast<double>(size));
    return in[0] / pow(around + response.bias, response.beta);
  });
}

Value lp_normalize(Value x, double p, int axis, double eps) {
  check_floats("lp_normalize", x);
  const Dims axes{axis_of("lp_normalize", x, axis)};
  if (!(p >= 1)) throw ArgumentError(cat("lp_normalize needs p >= 1, found ", number(p)));
  // The bounds, never 0, stand under the roots: they keep the slope finite at a vector of zeros.
  const double least = std::max(std::pow(eps, std::isinf(p) ? 1 : p), 1e-30);
  return call("lp_normalize", {x}, [&](const std::vector<Value>& in) {
    const Value size = abs(in[0]);
    if (std::isinf(p)) return in[0] / max(max_over(size, axes, Keep::yes), least);
    const Value powers = p == 1 ? size : p == 2 ? square(in[0]) : pow(size, p);
    const Value total = max(sum(powers, axes, Keep::yes), least);
    return in[0] / (p == 1 ? total : p == 2 ? sqrt(total) : pow(total, 1 / p));
  });
}

Value mean_variance_norm(Value x, Dims axes, double eps) {
  check_floats("mean_variance_norm", x);
  for (int64_t& axis : axes) axis = axis_of("mean_variance_norm", x, static_cast<int>(axis));
  return call("mean_variance_norm", {x}, [&](const std::vector<Value>& in) {
    const Value centred = in[0] - mean(in[0], axes, Keep::yes);
    const Value variance = mean(square(centred), axes, Keep::yes);
    return centred / (sqrt(max(variance, eps * eps * 1e-6)) + eps);  // finite slope at 0
  });
}

Value dynamic_tanh(Value x, Value alpha, Value scale, Value shift) {
  check_floats("dynamic_tanh", x);
  check_shape("dynamic_tanh", "alpha", alpha, {});
  return scale_and_shift(tanh(alpha * x), scale, shift);
}

}  // namespace soma
