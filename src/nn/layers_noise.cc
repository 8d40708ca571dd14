// Layers that are random in training and nothing else: dropout and its relatives.
#include <cmath>

#include "soma/dropout.h"
#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/layer_kinds.h"

namespace soma {

namespace {

bool drops(const LayerBuild& at, double rate) { return at.training() && rate > 0; }

// The shape of x with extent 1 along the axes that share their random numbers.
Shape shape_of_mask(LayerBuild& at, Value x, const std::vector<double>& shared) {
  Shape shape = x.shape();
  for (const double axis : shared) {
    if (axis != std::floor(axis)) at.fail(cat("shares its mask along the axis ", number(axis)));
    shape[axis_argument(at, x, static_cast<int64_t>(axis))] = 1;
  }
  return shape;
}

// Two draws in a fixed order: the order of arguments is the compiler's choice.
Value normal_like(LayerBuild& at, Value x) {
  const Shape shape = x.shape();
  const Value u1 = at.random(shape, x.type()), u2 = at.random(shape, x.type());
  return standard_normal(u1, u2);
}

}  // namespace

Value build_dropout(LayerBuild& at, double rate, std::vector<double> shared) {
  const Value x = at.in();
  const Shape shape = shape_of_mask(at, x, shared);
  return drops(at, rate) ? dropout(x, at.random(shape), rate) : x;
}

Value build_spatial_dropout(LayerBuild& at, double rate, int64_t axis) {
  const Value x = at.in();
  const int along = axis_argument(at, x, axis);
  if (!drops(at, rate)) return x;
  return channel_dropout(x, at.random({x.extent(0), x.extent(along)}), rate, along);
}

Value build_alpha_dropout(LayerBuild& at, double rate, std::vector<double> shared) {
  const Value x = at.in();
  const Shape shape = shape_of_mask(at, x, shared);
  return drops(at, rate) ? alpha_dropout(x, at.random(shape), rate) : x;
}

Value build_gaussian_dropout(LayerBuild& at, double rate) {
  const Value x = at.in();
  return drops(at, rate) ? gaussian_dropout(x, normal_like(at, x), rate) : x;
}

Value build_gaussian_noise(LayerBuild& at, double std) {
  const Value x = at.in();
  return drops(at, std) ? gaussian_noise(x, normal_like(at, x), std) : x;
}

Value build_stochastic_depth(LayerBuild& at, double rate) {
  const Value x = at.in();
  return drops(at, rate) ? stochastic_depth(x, at.random({x.extent(0)}), rate) : x;
}

Value build_gaussian_sample(LayerBuild& at, double beta) {
  const Value x = at.flat();
  if (x.extent(1) % 2) {
    at.fail(cat("takes as many means as variances, but found ", x.extent(1), " numbers"));
  }
  const auto parts = split(x, 2, 1);
  const Value centre = parts[0], log_variance = parts[1];
  if (!at.training()) return centre;
  const Value divergence =
      0.5 * sum(square(centre) + exp(log_variance) - 1.0 - log_variance, {0, 1});
  at.penalize(divergence * (beta / static_cast<double>(at.batch())));
  return centre + exp(0.5 * log_variance) * normal_like(at, centre);
}

}  // namespace soma
