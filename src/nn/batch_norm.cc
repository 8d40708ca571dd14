// Normalization by the statistics of a batch, and of weights.
#include <cmath>
#include <utility>

#include "soma/error.h"
#include "soma/normalization.h"
#include "src/base/text.h"
#include "src/nn/normal.h"
#include "src/nn/pieces.h"

namespace soma {

using namespace detail;

// ---------------------------------------------------------------- the batch

Value Moments::sample_variance() const {
  if (count < 2) return variance;
  return variance * (static_cast<double>(count) / static_cast<double>(count - 1));
}

static Moments moments_of(Value x, int axis) {
  const Dims axes = other_axes(x, axis);
  const int64_t count = x.shape().elements() / std::max<int64_t>(x.extent(axis), 1);
  const Value centre = mean(x, axes);
  return {centre, mean(square(x - along(centre, x, axis)), axes), count};
}

Moments moments(Value x, int axis) {
  check_floats("moments", x);
  return moments_of(x, axis_of("moments", x, axis));
}

static void check_channels(const char* name, Value x, int axis, std::span<const Value> arrays) {
  static constexpr const char* what[] = {"scale", "shift", "mean", "variance"};
  for (size_t i = 0; i < arrays.size(); ++i) {
    check_shape(name, what[i], arrays[i], {x.extent(axis)});
  }
}

// The factor and the offset of each channel first: what is left is one multiplication and one
// addition for each number.
static Value by_statistics(Value x, Value centre, Value variance, Value scale, Value shift,
                           double eps, int axis) {
  const Value deviation = rsqrt(variance + eps);
  const Value factor = scale ? deviation * scale : deviation;
  const Value y = (x - along(centre, x, axis)) * along(factor, x, axis);
  return shift ? y + along(shift, x, axis) : y;
}

Value batch_norm(Value x, Value mean, Value variance, Value scale, Value shift, double eps,
                 int axis) {
  check_floats("batch_norm", x);
  const int at = axis_of("batch_norm", x, axis);
  check_channels("batch_norm", x, at, std::vector{scale, shift, mean, variance});
  const bool has_scale{scale}, has_shift{shift};
  std::vector<Value> in{x, mean, variance};
  if (scale) in.push_back(scale);
  if (shift) in.push_back(shift);
  return call("batch_norm", in, [&](const std::vector<Value>& arg) {
    return by_statistics(arg[0], arg[1], arg[2], has_scale ? arg[3] : Value(),
                         has_shift ? arg.back() : Value(), eps, at);
  });
}

BatchNorm batch_norm_training(Value x, Value scale, Value shift, double eps, int axis) {
  check_floats("batch_norm", x);
  const int at = axis_of("batch_norm", x, axis);
  check_channels("batch_norm", x, at, std::vector{scale, shift});
  std::vector<Value> in{x};
  if (scale) in.push_back(scale);
  if (shift) in.push_back(shift);
  Graph body;
  std::vector<Value> arg;
  for (size_t i = 0; i < in.size(); ++i) {
    arg.push_back(body.input(cat("x", i), in[i].shape(), in[i].type()));
  }
  const Moments batch = moments_of(arg[0], at);
  body.output("y", by_statistics(arg[0], batch.mean, batch.variance, scale ? arg[1] : Value(),
                                 shift ? arg.back() : Value(), eps, at));
  body.output("mean", batch.mean);
  body.output("variance", batch.variance);
  const auto out = call(x.graph(), "batch_norm_training", in, std::move(body));
  return {out[0], {out[1], out[2], batch.count}};
}

BatchNorm batch_renorm(Value x, Value running_mean, Value running_variance, double r_max,
                       double d_max, Value scale, Value shift, double eps, int axis) {
  check_floats("batch_renorm", x);
  const int at = axis_of("batch_renorm", x, axis);
  check_channels("batch_renorm", x, at, std::vector{scale, shift, running_mean, running_variance});
  const Moments batch = moments_of(x, at);
  const Value deviation = sqrt(batch.variance + eps), running = sqrt(running_variance + eps);
  const Value r = stop(clip(deviation / running, 1 / r_max, r_max));
  const Value d = stop(clip((batch.mean - running_mean) / running, -d_max, d_max));
  Value y = (x - along(batch.mean, x, at)) * along(r / deviation, x, at) + along(d, x, at);
  if (scale) y = y * along(scale, x, at);
  if (shift) y = y + along(shift, x, at);
  return {y, batch};
}

Value running_average(Value running, Value batch, double kept) {
  return kept * running + (1 - kept) * stop(batch);
}

// ---------------------------------------------------------------- weights

// [neurons, rest].
static Value as_matrix(Value w, int axis) {
  Dims perm{axis};
  for (const int64_t other : other_axes(w, axis)) perm.push_back(other);
  const Value front = transpose(w, perm);
  return reshape(front, {w.extent(axis), w.shape().elements() / w.extent(axis)});
}

static Value length(Value x, const Dims& axes, Keep keep, double eps) {
  return sqrt(max(sum(square(x), axes, keep), std::max(eps * eps, 1e-30)));
}

Value weight_norm(Value v, Value gain, int axis) {
  check_floats("weight_norm", v);
  const int at = axis_of("weight_norm", v, axis);
  check_shape("weight_norm", "gain", gain, {v.extent(at)});
  const Value size = length(v, other_axes(v, at), Keep::no, 0);
  return v * along(gain / size, v, at);
}

SpectralNorm spectral_norm(Value w, Value vector, int axis, int iterations, double eps) {
  check_floats("spectral_norm", w);
  const int at = axis_of("spectral_norm", w, axis);
  const int64_t neurons = w.extent(at);
  check_shape("spectral_norm", "vector", vector, {neurons});
  const Value matrix = as_matrix(w, at), fixed = stop(matrix);
  const auto unit = [eps](Value column) { return column / length(column, {0, 1}, Keep::yes, eps); };
  Value u = unit(reshape(stop(vector), {neurons, 1}));
  Value v = unit(dot(fixed, u, true));
  for (int i = 0; i < iterations; ++i) {
    if (i > 0) v = unit(dot(fixed, u, true));
    u = unit(dot(fixed, v));
  }
  const Value sigma = reshape(dot(u, dot(matrix, v), true), {});
  return {w / sigma, reshape(u, {neurons})};
}

Value weight_standardization(Value w, int axis, double eps) {
  check_floats("weight_standardization", w);
  const int at = axis_of("weight_standardization", w, axis);
  const Moments row = moments_of(w, at);
  return by_statistics(w, row.mean, row.variance, {}, {}, eps, at);
}

}  // namespace soma
