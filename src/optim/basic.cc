// Rates, decay, momentum and the treatment of raw gradients.
#include <cmath>
#include <numbers>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/optim/transforms.h"

namespace soma::parts {

// ---------------------------------------------------------------- for writing transforms

Chain operator+(Chain a, const Chain& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Value running_mean(Step& step, Value old, Value x, double decay) {
  const Value mean = decay * old + (1 - decay) * x;
  step.update(old, mean);
  return mean;
}

Value bias_correction(Value t, double beta) {
  return beta == 0 ? t.graph().constant(1, t.type()) : -expm1(t * std::log(beta));
}

Value filled(Value x, double number) { return x.graph().constant(number, x.shape(), x.type()); }

Value sign_of(Value x) {
  return select(x > 0.0, filled(x, 1), select(x < 0.0, filled(x, -1), 0.0));
}

Value norm_of(Value x, Dims axes) { return sqrt(sum(square(x), axes, Keep::yes)); }
Value norm_of(Value x) { return sqrt(sum(square(x))); }

Value dot_all(std::span<const Value> a, std::span<const Value> b) {
  Value total;
  for (size_t i = 0; i < a.size(); ++i) {
    const Value product = sum(a[i] * b[i]);
    total = total ? total + cast(product, total.type()) : product;
  }
  return total;
}

Dims incoming_axes(const Shape& shape) {
  Dims axes;
  if (shape.rank() == 2) axes.push_back(0);
  for (int i = 1; i < shape.rank() && shape.rank() > 2; ++i) axes.push_back(i);
  return axes;
}

void needs_loss(const Step& step, std::string_view part) {
  if (step.loss) return;
  throw ArgumentError(cat(part,
                          " needs the loss; build the step with apply() and not with "
                          "apply_gradients()"));
}
void needs_all(const Step& step, std::string_view part) {
  if (!step.restricted) return;
  throw ArgumentError(cat(part,
                          " decides about the whole step and cannot be restricted to some "
                          "parameters; remove its pattern"));
}

Value is_first(const Step& step) { return eq(step.done, 0.0); }

// ---------------------------------------------------------------- rates and penalties

Chain by_rate(const Schedule& rate) {
  return each([rate](Step& step, size_t i, Value g) { return rate(step.before(i)) * g; });
}

Chain l2(const Schedule& rate) {
  return each(
      [rate](Step& step, size_t i, Value g) { return g + rate(step.before(i)) * step.params[i]; });
}
Chain l2(double rate) {
  if (rate == 0) return {};
  return each([rate](Step& step, size_t i, Value g) { return g + rate * step.params[i]; });
}

Chain l1(double rate) {
  return each([rate](Step& step, size_t i, Value g) { return g + rate * sign_of(step.params[i]); });
}

// The slope of |W^T W - I|^2, or of |W W^T - I|^2 where W has more columns than rows.
Chain orthogonality(double rate) {
  return each([rate](Step& step, size_t i, Value g) {
    const Value whole = step.params[i];
    if (whole.rank() < 2) return g;
    const Value w = reshape(whole, {whole.extent(0), -1});
    const bool wide = w.extent(0) < w.extent(1);
    const Value gram = wide ? dot(w, w, false, true) : dot(w, w, true, false);
    const Shape square_shape = gram.shape();
    const Value unit =
        cast(eq(iota(step.graph, square_shape, 0, i32), iota(step.graph, square_shape, 1, i32)),
             gram.type());
    const Value slope = wide ? dot(gram - unit, w) : dot(w, gram - unit);
    return g + (4 * rate) * reshape(slope, whole.shape());
  });
}

// ---------------------------------------------------------------- momentum

Chain trace(double mu, bool nesterov, double dampening) {
  if (mu == 0) return {};
  return each([=](Step& step, size_t i, Value g) {
    const Value old = step.state(i, "momentum");
    const Value damped = dampening == 0 ? g : select(is_first(step), g, (1 - dampening) * g);
    const Value v = mu * old + damped;
    step.update(old, v);
    return nesterov ? g + mu * v : v;
  });
}

Chain ramped_trace(const Schedule& mu, bool nesterov) {
  return each([=](Step& step, size_t i, Value g) {
    const Value old = step.state(i, "momentum"), now = mu(step.before(i)), v = now * old + g;
    step.update(old, v);
    return nesterov ? g + now * v : v;
  });
}

Chain sign_each() {
  return each([](Step&, size_t, Value g) { return sign_of(g); });
}

// ---------------------------------------------------------------- limits

Chain clip_each(double most) {
  return each([=](Step&, size_t, Value g) { return max(min(g, most), -most); });
}

Chain clip_together(double most) {
  return {[most](Step&, std::span<const Value> gradients) {
    const Value total = dot_all(gradients, gradients);
    std::vector<Value> result;
    for (const Value g : gradients) {
      const Value scale = min(most / (sqrt(total) + 1e-6), 1.0);
      result.push_back(g * cast(scale, g.type()));
    }
    return result;
  }};
}

Chain clip_block(double most) {
  return each(
      [most](Step&, size_t, Value g) { return g / max(sqrt(mean(square(g))) * (1 / most), 1.0); });
}

Chain clip_unitwise(double ratio, double eps) {
  return each([=](Step& step, size_t i, Value g) {
    const Value p = step.params[i];
    const Dims axes = incoming_axes(g.shape());
    const Value size = axes.empty() ? norm_of(g) : norm_of(g, axes);
    const Value most = ratio * max(axes.empty() ? norm_of(p) : norm_of(p, axes), eps);
    return g * min(most / max(size, 1e-6), 1.0);
  });
}

Chain center() {
  return each([](Step&, size_t, Value g) {
    const Dims axes = incoming_axes(g.shape());
    return axes.empty() ? g : g - mean(g, axes, Keep::yes);
  });
}

Chain unit_length(double eps) {
  return {[eps](Step&, std::span<const Value> gradients) {
    const Value size = sqrt(dot_all(gradients, gradients)) + eps;
    std::vector<Value> result;
    for (const Value g : gradients) result.push_back(g / cast(size, g.type()));
    return result;
  }};
}

// Box and Muller's normal numbers. The streams lie far from those of layers.
Chain noise(const Schedule& eta, double gamma, int64_t seed) {
  return each([=](Step& step, size_t i, Value g) {
    constexpr int64_t stream = int64_t{0x6e6f} << 40;
    const Value from = reshape(step.graph.constant(static_cast<double>(seed), i64), {1});
    const Value key = concat({from, reshape(step.done, {1})}, 0);
    const auto own = stream + 2 * static_cast<int64_t>(step.params[i].id());
    const Value u = rng(key, g.shape(), own, g.type()), w = rng(key, g.shape(), own + 1, g.type());
    const Value normal = sqrt(-2.0 * log1p(-u)) * cos((2 * std::numbers::pi) * w);
    const Value t = step.before(i);
    const Value variance = eta(t) * exp(-gamma * log1p(t));
    return g + sqrt(variance) * normal;
  });
}

Chain without_nans() {
  return each([](Step&, size_t, Value g) { return select(eq(g, g), g, 0.0); });
}

Chain trust_ratio() {
  return each([](Step& step, size_t i, Value g) {
    const Value weight = norm_of(step.params[i]), size = norm_of(g);
    const Value both = logical_and(weight > 0.0, size > 0.0);
    return g * select(both, weight / max(size, 1e-30), 1.0);
  });
}

}  // namespace soma::parts
