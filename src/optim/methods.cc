// Methods that are more than a scale for each number.
#include <cmath>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/optim/transforms.h"

namespace soma::parts {

Chain lars_step(const Schedule& rate, double mu, double trust, double decay) {
  return each([=](Step& step, size_t i, Value g) {
    const Value p = step.params[i], weight = norm_of(p), size = norm_of(g);
    const Value local = trust * weight / max(size + decay * weight, 1e-30);
    const Value both = logical_and(weight > 0.0, size > 0.0);
    const Value pull = rate(step.before(i)) * select(both, local, 1.0) * (g + decay * p);
    const Value old = step.state(i, "momentum"), v = mu * old + pull;
    step.update(old, v);
    return v;
  });
}

Chain optimistic(double strength) {
  return each([=](Step& step, size_t i, Value g) {
    const Value last = step.state(i, "last");
    step.update(last, g);
    return select(is_first(step), g, g + strength * (g - last));
  });
}

Chain resilient(double start, double shrink, double grow, double least, double most) {
  return each([=](Step& step, size_t i, Value g) {
    const Value last = step.state(i, "last");
    const Value old = step.state(i, "size", Reader<double>::write(start));
    const Value turn = g * last;
    const Value factor = select(turn > 0.0, grow, select(turn < 0.0, shrink, filled(turn, 1)));
    const Value size = max(min(old * factor, most), least);
    const Value used = select(turn < 0.0, 0.0, g);
    step.update(old, size);
    step.update(last, used);
    return sign_of(used) * size;
  });
}

Chain averaged_sgd(const Schedule& rate, double lambda, double alpha, double begin) {
  const Chain move = each([=](Step& step, size_t i, Value g) {
    const Value now = rate(step.before(i));
    const Value eta = now * exp(-alpha * log1p(lambda * now * step.before(i)));
    return eta * (g + lambda * step.params[i]);
  });
  return move + after_each([=](Step& step, size_t i, Value p) {
           const Value old = step.state(i, "average");
           const Value part = 1.0 / max(step.before(i) - begin, 1.0);
           step.keep_average(i, old, select(eq(part, 1.0), p, old + part * (p - old)));
           return p;
         });
}

Chain follow_the_leader(const Schedule& rate, double l1, double l2, double beta, double start) {
  return each([=](Step& step, size_t i, Value g) {
    const Value p = step.params[i], now = rate(step.before(i));
    const Value n = step.state(i, "n", Reader<double>::write(start)), z = step.state(i, "z");
    const Value total = n + square(g);
    const Value pull = z + g - (sqrt(total) - sqrt(n)) / now * p;
    step.update(n, total);
    step.update(z, pull);
    const Value beyond = max(min(pull, l1), -l1) - pull;  // 0 where |z| <= l1
    return p - beyond / ((beta + sqrt(total)) / now + l2);
  });
}

Chain dual_average(const Schedule& rate, double mu, double eps) {
  return each([=](Step& step, size_t i, Value g) {
    const Value p = step.params[i], s = step.state(i, "sum"), v = step.state(i, "squares");
    const auto start = step.copy_of_start(i, "start");
    const Value weight = rate(step.before(i)) * sqrt(step.number(i));
    const Value slopes = s + weight * g, squares = v + weight * square(g);
    step.update(s, slopes);
    step.update(v, squares);
    step.update(start.state, start.now);
    const Value z = start.now - slopes / (pow(squares, 1.0 / 3) + eps);
    return (1 - mu) * (p - z);
  });
}

Chain fromage_step(const Schedule& rate) {
  return each([=](Step& step, size_t i, Value g) {
    const Value p = step.params[i], now = rate(step.before(i));
    const Value scale = max(norm_of(p), 1e-6) / max(norm_of(g), 1e-6);
    return p - (p - now * scale * g) * rsqrt(1.0 + square(now));
  });
}

// The parameter holds y, where gradients are taken; z takes the steps, and their average is what
// the method gives.
Chain without_schedule(const Schedule& rate, double beta) {
  return each([=](Step& step, size_t i, Value direction) {
    const Value y = step.params[i], now = rate(step.before(i));
    const auto z = step.copy_of_start(i, "z"), x = step.copy_of_start(i, "average");
    const Value old = step.state(i, "weight", Shape{}), total = old + square(now);
    step.update(old, total);
    const Value part = select(total > 0.0, square(now) / max(total, 1e-30), 0.0);
    const Value moved = z.now - now * direction;
    const Value mean = x.now + part * (moved - x.now);
    step.update(z.state, moved);
    step.keep_average(i, x.state, mean);
    return y - ((1 - beta) * moved + beta * mean);
  });
}

// ---------------------------------------------------------------- methods that find their own rate

namespace {

// The way from where the parameters started to where they are, and where they started.
struct Way {
  std::vector<Value> start, covered;
};
Way way_of(Step& step) {
  Way way;
  for (size_t i = 0; i < step.params.size(); ++i) {
    const auto kept = step.copy_of_start(i, "start");
    step.update(kept.state, kept.now);
    way.start.push_back(kept.now);
    way.covered.push_back(step.params[i] - kept.now);
  }
  return way;
}

}  // namespace

Chain distance_over_gradients(const Schedule& rate, double start, bool weighted) {
  return {[=](Step& step, std::span<const Value> g) {
    const Way way = way_of(step);
    const DType type = step.params[0].type();
    const Value old = step.scalar("distance", "0", type), sum_ = step.scalar("sum", "0", type);
    const Value first = start * (1.0 + sqrt(dot_all(way.start, way.start)));
    const Value farthest =
        select(is_first(step), first, max(old, sqrt(dot_all(way.covered, way.covered))));
    const Value squares = dot_all(g, g);
    const Value total = sum_ + (weighted ? square(farthest) * squares : squares);
    step.update(old, farthest);
    step.update(sum_, total);
    const Value size = (weighted ? square(farthest) : farthest) * rsqrt(total + 1e-8);
    std::vector<Value> result;
    for (size_t i = 0; i < g.size(); ++i) {
      result.push_back(rate(step.before(i)) * cast(size, g[i].type()) * g[i]);
    }
    return result;
  }};
}

Chain prodigy_step(const Schedule& rate, double beta1, double beta2, double eps, double start,
                   double decay) {
  return {[=](Step& step, std::span<const Value> g) {
    const Way way = way_of(step);
    const DType type = step.params[0].type();
    const double beta3 = std::sqrt(beta2);
    const Value d = step.scalar("d", Reader<double>::write(start), type);
    const Value r = step.scalar("r", "0", type);
    const Value gained =
        beta3 * r - (1 - beta3) * rate(cast(step.done, type)) * square(d) * dot_all(g, way.covered);
    Value length;
    std::vector<Value> result;
    for (size_t i = 0; i < g.size(); ++i) {
      const Value now = rate(step.before(i)), own = cast(d, g[i].type());
      const Value s = step.state(i, "s");
      const Value total = beta3 * s + (1 - beta3) * now * square(own) * g[i];
      step.update(s, total);
      const Value part = cast(sum(abs(total)), type);
      length = length ? length + part : part;
      const Value m = running_mean(step, step.state(i, "m"), own * g[i], beta1);
      const Value v = running_mean(step, step.state(i, "v"), square(own * g[i]), beta2);
      const Value change = m / (sqrt(v) + eps * own);
      result.push_back(now * own * (decay == 0 ? change : change + decay * step.params[i]));
    }
    step.update(r, gained);
    step.update(d, max(d, gained / max(length, 1e-30)));
    return result;
  }};
}

Chain polyak(double most, double least_loss, double eps) {
  return {[=](Step& step, std::span<const Value> g) {
    needs_loss(step, "polyak_sgd");
    const Value squares = dot_all(g, g);
    const Value gap = cast(step.loss, squares.type()) - least_loss;
    const Value size = select(squares > 0.0, min(gap / max(squares + eps, 1e-30), most), 0.0);
    std::vector<Value> result;
    for (const Value slope : g) result.push_back(cast(size, slope.type()) * slope);
    return result;
  }};
}

Chain sharpness(double rho, bool adaptive) {
  return {[=](Step& step, std::span<const Value> g) {
    needs_loss(step, "sharpness_aware");
    if (!step.gradients_at) {
      throw ArgumentError(
          "sharpness_aware looks twice at one batch; let it stand before accumulate");
    }
    std::vector<Value> weighted(g.begin(), g.end()), points;
    for (size_t i = 0; i < g.size() && adaptive; ++i) weighted[i] = abs(step.params[i]) * g[i];
    const Value size = sqrt(dot_all(weighted, weighted)) + 1e-12;
    for (size_t i = 0; i < g.size(); ++i) {
      const Value p = step.params[i];
      const Value way = adaptive ? abs(p) * weighted[i] : g[i];
      points.push_back(p + rho / cast(size, p.type()) * way);
    }
    return step.gradients_at(points);
  }};
}

// ---------------------------------------------------------------- matrices

namespace {

// A row k of an array whose first axis is history.
Value entry(Value all, int64_t k) {
  Shape shape;
  for (int i = 1; i < all.rank(); ++i) shape.push_back(all.extent(i));
  return reshape(slice_axis(all, 0, k, k + 1), shape);
}

// The last `count` values of `fresh`, the newest last; kept as they are where `good` is false.
Value remember(Step& step, size_t i, const char* name, int64_t count, Value fresh, Value good) {
  Shape shape{count};
  for (const int64_t extent : fresh.shape()) shape.push_back(extent);
  const Value old = step.state(i, name, shape);
  const Value shifted = concat({slice_axis(old, 0, 1, count), expand_dims(fresh, 0)}, 0);
  const Value now = select(good, shifted, old);
  step.update(old, now);
  return now;
}

using Values = std::vector<Value>;

// Nocedal's two loops: the inverse Hessian that the pairs (s, y) tell of, times q. An empty pair is
// all zeros and changes nothing.
Values two_loops(const std::vector<Values>& s, const std::vector<Values>& y, Values q) {
  const auto add_to = [&q](const Values& direction, Value factor) {
    for (size_t i = 0; i < q.size(); ++i) q[i] = q[i] + cast(factor, q[i].type()) * direction[i];
  };
  const size_t count = s.size();
  Values rho(count), alpha(count);
  for (size_t k = count; k-- > 0;) {
    const Value curve = dot_all(y[k], s[k]);
    rho[k] = select(curve > 0.0, 1.0 / max(curve, 1e-30), 0.0);
    alpha[k] = rho[k] * dot_all(s[k], q);
    add_to(y[k], -alpha[k]);
  }
  const Value scale = 1.0 / max(rho.back() * dot_all(y.back(), y.back()), 1e-30);
  const Value known = rho.back() > 0.0;
  for (Value& x : q) x = x * cast(select(known, scale, 1.0), x.type());
  for (size_t k = 0; k < count; ++k) add_to(s[k], alpha[k] - rho[k] * dot_all(y[k], q));
  return q;
}

}  // namespace

Chain quasi_newton(const Schedule& rate, int64_t count) {
  return {[=](Step& step, std::span<const Value> g) {
    Values way, turn;
    for (size_t i = 0; i < g.size(); ++i) {
      const Value point = step.state(i, "point"), slope = step.state(i, "slope");
      way.push_back(step.params[i] - point);
      turn.push_back(g[i] - slope);
      step.update(point, step.params[i]);
      step.update(slope, g[i]);
    }
    const Value first = is_first(step);
    const Value good = logical_and(dot_all(way, turn) > 1e-10, logical_not(first));
    std::vector<Values> s(static_cast<size_t>(count)), y = s;
    for (size_t i = 0; i < g.size(); ++i) {
      const Value ways = remember(step, i, "ways", count, way[i], good);
      const Value turns = remember(step, i, "turns", count, turn[i], good);
      for (int64_t k = 0; k < count; ++k) {
        s[static_cast<size_t>(k)].push_back(entry(ways, k));
        y[static_cast<size_t>(k)].push_back(entry(turns, k));
      }
    }
    Value all;  // the sum of |g|: the first step is short
    for (const Value x : g) {
      const Value part = sum(abs(x));
      all = all ? all + cast(part, all.type()) : part;
    }
    const Value size = select(first, min(1.0 / max(all, 1e-30), 1.0), 1.0);
    Values result = two_loops(s, y, Values(g.begin(), g.end()));
    for (size_t i = 0; i < g.size(); ++i) {
      result[i] = rate(step.before(i)) * cast(size, g[i].type()) * result[i];
    }
    return result;
  }};
}

namespace {

// Newton and Schulz's iteration with Jordan's coefficients: nearly the nearest matrix whose rows or
// columns are orthonormal.
Value orthogonalized(Value m, int64_t rounds, double eps) {
  const bool tall = m.extent(0) > m.extent(1);
  Value x = tall ? transpose(m) : m;
  x = x / max(norm_of(x), eps);
  for (int64_t round = 0; round < rounds; ++round) {
    const Value a = dot(x, x, false, true);
    const Value b = -4.7750 * a + 2.0315 * dot(a, a);
    x = 3.4445 * x + dot(b, x);
  }
  return tall ? transpose(x) : x;
}

}  // namespace

Chain muon_step(const Schedule& rate, double mu, double decay, int64_t rounds, double eps,
                const Schedule& adam_rate, double beta1, double beta2) {
  return each([=](Step& step, size_t i, Value g) {
    const Value t = step.before(i);
    if (g.rank() != 2) return adam_rate(t) * adam_direction(step, i, g, beta1, beta2, 1e-8);
    const Value m = running_mean(step, step.state(i, "momentum"), g, mu);
    const Value ahead = (1 - mu) * g + mu * m;
    const double wide = static_cast<double>(g.extent(1)) / static_cast<double>(g.extent(0));
    const Value step_ = std::sqrt(std::max(1.0, wide)) * orthogonalized(ahead, rounds, eps);
    return rate(t) * (decay == 0 ? step_ : step_ + decay * step.params[i]);
  });
}

namespace {

// a^(-1/4) of a symmetric positive matrix, by the coupled Newton iteration (Guo & Higham 2006).
Value inverse_fourth_root(Value a, int64_t rounds) {
  const Shape shape = a.shape();
  Graph& graph = a.graph();
  const Value unit = cast(eq(iota(graph, shape, 0, i32), iota(graph, shape, 1, i32)), a.type());
  const Value z = 2.5 / norm_of(a);
  Value m = z * a, x = sqrt(sqrt(z)) * unit;
  for (int64_t round = 0; round < rounds; ++round) {
    const Value t = 1.25 * unit - 0.25 * m, t2 = dot(t, t);
    m = dot(dot(t2, t2), m);
    x = dot(x, t);
  }
  return x;
}

}  // namespace

Chain shampoo_scale(double eps, int64_t rounds) {
  return each([=](Step& step, size_t i, Value g) {
    if (g.rank() != 2) {
      const Value old = step.state(i, "sum", Reader<double>::write(eps)), total = old + square(g);
      step.update(old, total);
      return g / sqrt(total);
    }
    const auto root = [&](const char* name, int axis, Value added) {
      const std::string start = cat("identity(gain=", Reader<double>::write(eps), ")");
      const Value old = step.state(i, name, {g.extent(axis), g.extent(axis)}, start);
      const Value total = old + added;
      step.update(old, total);
      return inverse_fourth_root(total, rounds);
    };
    const Value left = root("left", 0, dot(g, g, false, true));
    const Value right = root("right", 1, dot(g, g, true, false));
    return dot(dot(left, g), right);
  });
}

}  // namespace soma::parts
