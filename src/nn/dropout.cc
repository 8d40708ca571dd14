// Dropout and its relatives.
#include "soma/dropout.h"

#include <cmath>
#include <numbers>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/normal.h"
#include "src/nn/pieces.h"

namespace soma {

using namespace detail;

static void check_rate(const char* function, Value x, double rate) {
  check_floats(function, x);
  if (rate >= 0 && rate <= 1) return;
  throw ArgumentError(
      cat(function, " drops a share of the numbers, its rate, from 0 to 1; found ", number(rate)));
}

// Where u says so, in the shape of x.
static Value dropped(Value x, Value u, double rate) {
  const Shape shape = x.shape();  // a copy: the graph grows
  return broadcast_to(u < rate, shape);
}

Value dropout(Value x, Value u, double rate) {
  check_rate("dropout", x, rate);
  if (rate == 0) return x;
  if (rate == 1) return like(x, 0);
  return select(dropped(x, u, rate), 0.0, x * (1 / (1 - rate)));
}

Value channel_dropout(Value x, Value u, double rate, int axis) {
  check_rate("channel_dropout", x, rate);
  const int at = axis_of("channel_dropout", x, axis);
  check_shape("channel_dropout", "array of random numbers", u, {x.extent(0), x.extent(at)});
  Shape shape = Shape::filled(x.rank(), 1);
  shape[0] = x.extent(0);
  shape[at] = x.extent(at);
  return dropout(x, reshape(u, shape), rate);
}

Value stochastic_depth(Value x, Value u, double rate) {
  check_rate("stochastic_depth", x, rate);
  check_shape("stochastic_depth", "array of random numbers", u, {x.extent(0)});
  return dropout(x, along(u, x, 0), rate);
}

Value alpha_dropout(Value x, Value u, double rate) {
  check_rate("alpha_dropout", x, rate);
  if (rate == 0) return x;
  if (rate == 1) return like(x, 0);
  constexpr double lowest = -1.0507009873554805 * 1.6732632423543772;
  const double a = 1 / std::sqrt((1 - rate) * (1 + rate * lowest * lowest));
  return select(dropped(x, u, rate), a * lowest, a * x) - a * rate * lowest;
}

Value standard_normal(Value u1, Value u2) {
  check_floats("standard_normal", u1);
  // 1 - u1 is in (0, 1], so that the logarithm exists.
  return sqrt(-2.0 * log1p(-u1)) * cos(2 * std::numbers::pi * u2);
}

Value gaussian_dropout(Value x, Value z, double rate) {
  check_rate("gaussian_dropout", x, rate);
  if (rate == 1) throw ArgumentError("gaussian_dropout needs a rate below 1, found 1");
  return x * (1.0 + z * std::sqrt(rate / (1 - rate)));
}

Value gaussian_noise(Value x, Value z, double std) {
  check_floats("gaussian_noise", x);
  return x + z * std;
}

}  // namespace soma
