// Methods that scale each number's step by the size of its past gradients.
#include <cmath>

#include "src/optim/transforms.h"

namespace soma::parts {

namespace {

// m / (1 - beta1^t), and the same for v.
Value corrected(Step& step, size_t i, Value mean, double beta) {
  return mean / bias_correction(step.number(i), beta);
}
Value mean_of(Step& step, size_t i, Value g, double beta1) {
  return running_mean(step, step.state(i, "m"), g, beta1);
}
Value squares_of(Step& step, size_t i, Value g, double beta2) {
  return running_mean(step, step.state(i, "v"), square(g), beta2);
}
// sqrt(v / (1 - beta2^t)) + eps
Value root_of(Step& step, size_t i, Value v, double beta2, double eps) {
  return sqrt(v) * rsqrt(bias_correction(step.number(i), beta2)) + eps;
}

}  // namespace

Chain adagrad_scale(double eps, double start) {
  return each([=](Step& step, size_t i, Value g) {
    const Value old = step.state(i, "sum", Reader<double>::write(start)), total = old + square(g);
    step.update(old, total);
    return g / (sqrt(total) + eps);
  });
}

Chain rms_scale(double rho, double eps, bool centered) {
  return each([=](Step& step, size_t i, Value g) {
    const Value v = squares_of(step, i, g, rho);
    if (!centered) return g / (sqrt(v) + eps);
    const Value m = mean_of(step, i, g, rho);
    return g / (sqrt(max(v - square(m), 0.0)) + eps);
  });
}

Chain rms_unbiased(double beta2, double eps) {
  return each([=](Step& step, size_t i, Value g) {
    return g / root_of(step, i, squares_of(step, i, g, beta2), beta2, eps);
  });
}

Chain adadelta_scale(double rho, double eps) {
  return each([=](Step& step, size_t i, Value g) {
    const Value v = squares_of(step, i, g, rho), old = step.state(i, "u");
    const Value change = sqrt(old + eps) / sqrt(v + eps) * g;
    running_mean(step, old, square(change), rho);
    return change;
  });
}

Value adam_direction(Step& step, size_t i, Value g, double beta1, double beta2, double eps) {
  const Value m = mean_of(step, i, g, beta1), v = squares_of(step, i, g, beta2);
  const Value scale = reciprocal(bias_correction(step.number(i), beta1));
  return scale * m / root_of(step, i, v, beta2, eps);
}

Chain adam_scale(double beta1, double beta2, double eps) {
  return each(
      [=](Step& step, size_t i, Value g) { return adam_direction(step, i, g, beta1, beta2, eps); });
}

Chain amsgrad_scale(double beta1, double beta2, double eps) {
  return each([=](Step& step, size_t i, Value g) {
    const Value m = mean_of(step, i, g, beta1), v = squares_of(step, i, g, beta2);
    const Value old = step.state(i, "largest"), largest = max(old, v);
    step.update(old, largest);
    return corrected(step, i, m, beta1) / root_of(step, i, largest, beta2, eps);
  });
}

Chain adamax_scale(double beta1, double beta2, double eps) {
  return each([=](Step& step, size_t i, Value g) {
    const Value m = mean_of(step, i, g, beta1), old = step.state(i, "largest");
    const Value largest = max(beta2 * old, abs(g) + eps);
    step.update(old, largest);
    return corrected(step, i, m, beta1) / largest;
  });
}

Chain nadam_scale(double beta1, double beta2, double eps, double momentum_decay) {
  return each([=](Step& step, size_t i, Value g) {
    const Value m = mean_of(step, i, g, beta1), v = squares_of(step, i, g, beta2);
    const auto mu = [&](Value t) {
      return beta1 * (1.0 - 0.5 * exp(t * (momentum_decay * std::log(0.96))));
    };
    const Value t = step.number(i), now = mu(t), next = mu(t + 1.0);
    const Value old = step.state(i, "mu_product", Shape{}, "1"), product = old * now;
    step.update(old, product);
    const Value ahead = (1.0 - now) / (1.0 - product) * g + next / (1.0 - product * next) * m;
    return ahead / root_of(step, i, v, beta2, eps);
  });
}

// The length of the average decides whether its variance can be trusted; found in double precision,
// since it is a small difference of large numbers.
Chain radam_scale(double beta1, double beta2, double eps) {
  return each([=](Step& step, size_t i, Value g) {
    const Value m = mean_of(step, i, g, beta1), v = squares_of(step, i, g, beta2);
    const Value t = cast(step.done, f64) + 1.0, gap = bias_correction(t, beta2);
    const double all = 2 / (1 - beta2) - 1;
    const Value length = all - 2.0 * t * (1.0 - gap) / gap;
    const Value rectified = sqrt(max((length - 4.0) * (length - 2.0) * all, 0.0) /
                                 ((all - 4) * (all - 2) * max(length, 1.0)));
    const Value known = length > 5.0;
    const Value factor = cast(sqrt(gap) * rectified, g.type());
    const Value adaptive = factor / (sqrt(v) + eps);
    return corrected(step, i, m, beta1) * select(known, adaptive, 1.0);
  });
}

Chain belief_scale(double beta1, double beta2, double eps) {
  return each([=](Step& step, size_t i, Value g) {
    const Value m = mean_of(step, i, g, beta1), old = step.state(i, "v");
    const Value v = beta2 * old + (1 - beta2) * square(g - m) + eps;
    step.update(old, v);
    return corrected(step, i, m, beta1) / root_of(step, i, v, beta2, eps);
  });
}

Chain yogi_scale(double beta1, double beta2, double eps, double start) {
  return each([=](Step& step, size_t i, Value g) {
    const std::string first = Reader<double>::write(start);
    const Value m = running_mean(step, step.state(i, "m", first), g, beta1);
    const Value old = step.state(i, "v", first), squares = square(g);
    const Value v = old - (1 - beta2) * sign_of(old - squares) * squares;
    step.update(old, v);
    return corrected(step, i, m, beta1) / root_of(step, i, v, beta2, eps);
  });
}

Chain lion_scale(double beta1, double beta2) {
  return each([=](Step& step, size_t i, Value g) {
    const Value old = step.state(i, "m");
    running_mean(step, old, g, beta2);
    return sign_of(beta1 * old + (1 - beta1) * g);
  });
}

Chain quasi_hyperbolic_scale(double beta1, double beta2, double eps, double nu1, double nu2) {
  return each([=](Step& step, size_t i, Value g) {
    const Value t = step.number(i);
    const Value m = mean_of(step, i, g, beta1) / bias_correction(t, beta1);
    const Value v = squares_of(step, i, g, beta2) / bias_correction(t, beta2);
    return ((1 - nu1) * g + nu1 * m) / (sqrt((1 - nu2) * square(g) + nu2 * v) + eps);
  });
}

// The bounds scale with the rate, so that a schedule lowers them too.
Chain bounded_adam(const Schedule& rate, double beta1, double beta2, double eps, double last,
                   double gamma) {
  return each([=](Step& step, size_t i, Value g) {
    const Value m = mean_of(step, i, g, beta1), v = squares_of(step, i, g, beta2);
    const Value t = step.number(i), now = rate(step.before(i));
    const Value first = rate(0.0 * step.before(i));
    const Value end = last * now / first;
    const Value low = end * (1.0 - 1.0 / (gamma * t + 1.0)), high = end * (1.0 + 1.0 / (gamma * t));
    const Value scale = now * sqrt(bias_correction(t, beta2)) / bias_correction(t, beta1);
    return min(max(scale / (sqrt(v) + eps), low), high) * m;
  });
}

Chain ademamix_scale(double beta1, double beta2, double beta3, double alpha, double eps,
                     double warm) {
  return each([=](Step& step, size_t i, Value g) {
    const Value m = mean_of(step, i, g, beta1), v = squares_of(step, i, g, beta2);
    const Value t = step.number(i), old = step.state(i, "slow");
    Value strength = step.graph.constant(alpha, g.type()), keep = filled(t, beta3);
    if (warm > 0) {
      const Value part = min(t / warm, 1.0);
      const double l1 = std::log(beta1), l3 = std::log(beta3);
      strength = alpha * part;
      keep = min(exp((l1 * l3) / ((1.0 - part) * l3 + part * l1)), beta3);
    }
    const Value slow = keep * old + (1.0 - keep) * g;
    step.update(old, slow);
    return (corrected(step, i, m, beta1) + strength * slow) / root_of(step, i, v, beta2, eps);
  });
}

// The first step only measures.
Chain adopt_scale(double beta1, double beta2, double eps) {
  return each([=](Step& step, size_t i, Value g) {
    const Value v = step.state(i, "v"), old = step.state(i, "m"), first = is_first(step);
    const Value most = sqrt(sqrt(step.before(i)));
    const Value scaled = max(min(g / max(sqrt(v), eps), most), -most);
    const Value m = select(first, old, beta1 * old + (1 - beta1) * scaled);
    step.update(old, m);
    step.update(v, select(first, square(g), beta2 * v + (1 - beta2) * square(g)));
    return m;
  });
}

Chain adan_step(const Schedule& rate, double beta1, double beta2, double beta3, double eps,
                double decay) {
  return each([=](Step& step, size_t i, Value g) {
    const Value last = step.state(i, "last"), t = step.number(i), p = step.params[i];
    const Value turn = select(is_first(step), 0.0, g - last);
    step.update(last, g);
    const Value m = mean_of(step, i, g, beta1);
    const Value v = running_mean(step, step.state(i, "turn"), turn, beta2);
    const Value n = running_mean(step, step.state(i, "v"), square(g + beta2 * turn), beta3);
    const Value ahead = m / bias_correction(t, beta1) + beta2 * v / bias_correction(t, beta2);
    const Value change = rate(step.before(i)) * ahead / root_of(step, i, n, beta3, eps);
    if (decay == 0) return change;
    const Value shrink = decay * rate(step.before(i));
    return (change + shrink * p) / (1.0 + shrink);
  });
}

Chain layerwise_moments(double beta1, double beta2, double eps, double decay) {
  return each([=](Step& step, size_t i, Value g) {
    const Value old = step.state(i, "v", Shape{}), squares = sum(square(g));
    const Value v = select(is_first(step), squares, beta2 * old + (1 - beta2) * squares);
    step.update(old, v);
    const Value sum_before = step.state(i, "m");
    const Value m = beta1 * sum_before + g / (sqrt(v) + eps) + decay * step.params[i];
    step.update(sum_before, m);
    return m;
  });
}

namespace {

// The mean square of each number: kept as means of rows and columns for matrices.
Value factored_squares(Step& step, size_t i, Value g, Value fresh, double eps1) {
  const auto mixed = [&](Value old, Value x) {
    const Value now = old + fresh * (x - old);
    step.update(old, now);
    return now;
  };
  const int rank = g.rank();
  if (rank < 2) return mixed(step.state(i, "v"), square(g));
  Shape rows = g.shape(), columns = g.shape();
  rows[rank - 1] = 1;
  columns[rank - 2] = 1;
  const Value row = mixed(step.state(i, "rows", rows), mean(square(g), {-1}, Keep::yes));
  const Value column = mixed(step.state(i, "columns", columns), mean(square(g), {-2}, Keep::yes));
  return row * column / max(mean(row, {-2}, Keep::yes), eps1);
}

}  // namespace

Chain factored_step(const Schedule& rate, double decay_power, double eps1, double eps2, double most,
                    double decay) {
  return each([=](Step& step, size_t i, Value g) {
    const Value t = step.number(i), p = step.params[i], now = rate(step.before(i));
    const Value v = factored_squares(step, i, g, exp(decay_power * log(t)), eps1);
    const Value direction = g * rsqrt(max(v, eps1 * eps1));
    const Value large = max(sqrt(mean(square(direction))) * (1 / most), 1.0);
    const Value size = max(sqrt(mean(square(p))), eps2) * min(now, rsqrt(t));
    const Value change = size / large * direction;
    return decay == 0 ? change : change + decay * now * p;
  });
}

// One number for each index of each axis: a bound on every square it covers.
Chain sm3_scale(double mu, double eps) {
  return each([=](Step& step, size_t i, Value g) {
    const Shape shape = g.shape();
    std::vector<Value> bounds;
    Value cover;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      Shape own = Shape::filled(shape.rank(), 1);
      own[axis] = shape[axis];
      bounds.push_back(step.state(i, "bound", own));
      const Value wide = broadcast_to(bounds.back(), shape);
      cover = cover ? min(cover, wide) : wide;
    }
    if (!cover) cover = step.state(i, "bound");
    const Value v = cover + square(g);
    if (bounds.empty()) step.update(cover, v);
    for (int axis = 0; axis < shape.rank(); ++axis) {
      Dims others;
      for (int other = 0; other < shape.rank(); ++other) {
        if (other != axis) others.push_back(other);
      }
      step.update(bounds[static_cast<size_t>(axis)], max_over(v, others, Keep::yes));
    }
    const Value scaled = g / (sqrt(v) + eps);
    return mu == 0 ? scaled : running_mean(step, step.state(i, "m"), scaled, mu);
  });
}

}  // namespace soma::parts
