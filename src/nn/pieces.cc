#include "src/nn/pieces.h"

#include "soma/error.h"
#include "src/base/text.h"

namespace soma {

Value like(Value x, double value) { return x.graph().constant(value, x.shape(), x.type()); }
Value below_zero(Value x) { return select(x > 0.0, 0.0, x); }
Value magnitude(Value x) { return select(x > 0.0, x, -x); }

Value clip(Value x, Value lo, Value hi) { return select(lo < x, select(x < hi, x, hi), lo); }
Value clip(Value x, double lo, double hi) { return clip(x, like(x, lo), like(x, hi)); }
Value clip(Value x, double lo, Value hi) { return clip(x, like(x, lo), hi); }

Value log_one_plus_exp(Value x) { return select(x > 0.0, x, 0.0) + log1p(exp(-magnitude(x))); }
Value inverse_sinh(Value x) {
  const Value m = magnitude(x), s = square(x);
  const Value positive = log1p(m + s / (1.0 + sqrt(1.0 + s)));
  return select(x > 0.0, positive, -positive);
}
Value rounded_ramp(Value x) { return x * (1.0 - 0.25 * magnitude(x)); }
Value thin_plate(Value x) { return square(x) * log1p(x); }

// ---------------------------------------------------------------- along the last axis

static Value below_largest(Value x) { return x - stop(max_over(x, {-1}, Keep::yes)); }

Value softmax_of(Value x) {
  const Value e = exp(below_largest(x));
  return e / sum(e, {-1}, Keep::yes);
}
Value log_softmax_of(Value x) {
  const Value shifted = below_largest(x);
  return shifted - log(sum(exp(shifted), {-1}, Keep::yes));
}

// 1 for the elements of z, along the last axis, that get a share of the projection, else 0: those
// that the larger ones exceed by less than 1 in all. This needs no sorting; O(n^2) for n elements.
static Value support_of(Value z, bool squared) {
  const Value excess = expand_dims(z, -2) - expand_dims(z, -1);  // [..., i, j] = z_j - z_i
  const Value larger = select(excess > 0.0, excess, 0.0);
  const Value total = sum(squared ? square(larger) : larger, {-1});
  return stop(select(total < 1.0, like(z, 1), like(z, 0)));
}

Value sparsemax_of(Value x) {
  const Value z = below_largest(x);
  const Value support = support_of(z, false);
  const Value count = sum(support, {-1}, Keep::yes);
  const Value tau = (sum(support * z, {-1}, Keep::yes) - 1.0) / count;
  return support * (z - tau);
}

Value entmax15_root_of(Value x) {
  const Value z = 0.5 * below_largest(x);
  const Value support = support_of(z, true);
  const Value count = sum(support, {-1}, Keep::yes);
  const Value mean = sum(support * z, {-1}, Keep::yes) / count;
  const Value spread = sum(support * square(z - mean), {-1}, Keep::yes);
  const Value tau = mean - sqrt((1.0 - spread) / count);
  return support * (z - tau);
}
Value entmax15_of(Value x) { return square(entmax15_root_of(x)); }

static Value half(Value x, size_t which) {
  if (x.extent(-1) % 2) {
    throw ShapeError(
        cat("a gated activation splits its inputs into two halves, but ", x.extent(-1), " is odd"));
  }
  return split(x, 2, -1)[which];
}
Value first_half(Value x) { return half(x, 0); }
Value second_half(Value x) { return half(x, 1); }

Value clamped_swiglu(Value a, Value b, Value alpha, Value limit) {
  const Value c = select(a < limit, a, limit);
  return c * sigmoid(alpha * c) * (clip(b, -limit, limit) + 1.0);
}

Value grouped(Value x, double k) {
  const auto size = static_cast<int64_t>(k);
  const int64_t n = x.extent(-1);
  if (static_cast<double>(size) != k || n % size) {
    throw ShapeError(cat("maxout takes the largest of each k = ", number(k),
                         " neighbours, but k does not divide ", n));
  }
  Shape shape = x.shape();
  shape[shape.rank() - 1] = n / size;
  shape.push_back(size);
  return reshape(x, shape);
}

Value one_hot(Value index, int64_t classes, DType type) {
  Shape shape = index.shape();
  shape.push_back(classes);
  const int last = shape.rank() - 1;
  const Value hit = eq(iota(index.graph(), shape, last, index.type()), expand_dims(index, -1));
  return cast(hit, type);
}

// ---------------------------------------------------------------- random numbers

Value uniform_noise(Value x, const ActivationContext& context) {
  if (!context.key) {
    throw ArgumentError(
        "a random activation needs the random key of the training step: set "
        "ActivationContext::key");
  }
  return rng(context.key, x.shape(), context.stream, x.type());
}
Value gumbel_noise(Value x, const ActivationContext& context) {
  return -log(-log(max(uniform_noise(x, context), 0x1p-25)));  // above 0, so that both logs exist
}

}  // namespace soma
