// Losses that compare numbers, element by element.
#include <cmath>
#include <numbers>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/losses.h"
#include "src/nn/pieces.h"

namespace soma {

Value like_prediction(Value p, Value t) {
  if (p.shape() != t.shape()) {
    throw ShapeError(cat("the prediction is ", p.shape(), ", but the target is ", t.shape(),
                         "; this loss compares them element by element"));
  }
  return cast(t, p.type());
}

Value error_of(Value p, Value t) { return p - like_prediction(p, t); }
Value sign_of(Value p, Value t) {
  return select(like_prediction(p, t) > 0.0, like(p, 1), like(p, -1));
}
Value smoothed(Value t, double smoothing) {
  return smoothing > 0 ? (1 - smoothing) * t + 0.5 * smoothing : t;
}

Value power_of(Value x, double power) {
  if (power == 1) return magnitude(x);
  if (power == 2) return square(x);
  const Value size = magnitude(x);
  return select(size > 0.0, pow(select(size > 0.0, size, 1.0), power), 0.0);
}

Value masked_log_sum_exp(Value x, Value mask) {
  const Value kept = select(mask, x, -1e30);
  const Value largest = stop(max_over(kept, {-1}, Keep::yes));
  const Shape rest(std::span(x.shape().begin(), x.shape().end() - 1));
  return log(sum(exp(kept - largest), {-1})) + reshape(largest, rest);
}

Value huber_of(Value e, double delta) {
  const Value size = magnitude(e);
  return select(size < delta, 0.5 * square(e), delta * size - 0.5 * delta * delta);
}

Value log_cosh_of(Value e) { return e + log_one_plus_exp(-2.0 * e) - std::numbers::ln2; }

Value relative_error_of(Value p, Value t, double eps, bool symmetric) {
  const Value e = error_of(p, t), wanted = abs(like_prediction(p, t));
  const Value base = symmetric ? 0.5 * (abs(p) + wanted) : wanted;
  return abs(e) / select(base > eps, base, eps);
}

Value log_error_of(Value p, Value t) {
  return square(log1p(relu(p)) - log1p(relu(like_prediction(p, t))));
}

Value tilted(Value e, double q, bool squared) {
  const Value size = squared ? square(e) : magnitude(e);
  return select(e > 0.0, (1 - q) * size, q * size);
}

Value poisson_of(Value p, Value t, bool log_input, bool full, double eps) {
  const Value n = like_prediction(p, t);
  const Value result = log_input ? exp(p) - n * p : p - n * log(p + eps);
  if (!full) return result;
  const Value big = select(n > 1.0, n, 1.0), log_n = log(big);  // Stirling's formula
  const double half_log = 0.5 * std::log(2 * std::numbers::pi);
  return result + select(n > 1.0, n * log_n - n + half_log + 0.5 * log_n, 0.0);
}

Value gaussian_of(Value p, Value t, bool full) {
  if (p.rank() == 0 || p.extent(-1) % 2) {
    throw ShapeError(cat("gaussian_nll: the last axis of the prediction holds the means and then ",
                         "the logarithms of the variances, but it is ", p.shape()));
  }
  const std::vector<Value> halves = split(p, 2, -1);
  const Value log_variance = halves[1];
  const Value result = 0.5 * (log_variance + square(error_of(halves[0], t)) * exp(-log_variance));
  return full ? result + 0.5 * std::log(2 * std::numbers::pi) : result;
}

Value gamma_of(Value p, Value t, bool log_input) {
  const Value y = like_prediction(p, t);
  const Value log_mean = log_input ? p : log(p);
  const Value ratio = log_input ? y * exp(-p) : y / p;
  return 2.0 * (log_mean - log(y) + ratio - 1.0);
}

Value tweedie_of(Value p, Value t, double power, bool log_input) {
  const Value y = like_prediction(p, t);
  const double a = 1 - power, b = 2 - power;
  const auto mean_to = [&](double exponent) {
    return log_input ? exp(exponent * p) : pow(p, exponent);
  };
  return 2.0 * (power_of(y, b) / (a * b) - y * mean_to(a) / a + mean_to(b) / b);
}

}  // namespace soma
