// Parts around a whole optimizer: whether a step is taken, averages, constraints.
#include <cmath>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/optim/transforms.h"

namespace soma::parts {

namespace {

void take_only_if(Step& step, Value condition) {
  step.active = step.active ? logical_and(step.active, condition) : condition;
}

// Whether the step of that number (1 for the first) is every so-many-th, counted from `start`.
Value is_turn(const Step& step, int64_t start, int64_t every_) {
  const auto every = static_cast<double>(every_);
  const Value past = step.done + static_cast<double>(1 - start);
  return logical_and(eq(past - past / every * every, 0.0), past >= 0.0);
}

}  // namespace

Chain accumulate_mean(int64_t count_) {
  if (count_ == 1) return {};
  const auto batches = static_cast<double>(count_);
  return {[=](Step& step, std::span<const Value> gradients) {
    needs_all(step, "accumulate");
    const Value count = step.scalar("batches", "0", i64), last = count + 1.0 >= batches;
    const auto gather = [&](Value sum_, Value part) {
      const Value total = sum_ + part * (1 / batches);
      step.update(sum_, select(last, 0.0, total));
      return total;
    };
    std::vector<Value> result;
    for (size_t i = 0; i < gradients.size(); ++i) {
      result.push_back(gather(step.state(i, "accumulated"), gradients[i]));
    }
    if (step.loss) {
      step.loss = gather(step.scalar("accumulated_loss", "0", step.loss.type()), step.loss);
    }
    step.update(count, select(last, 0.0, count + 1.0));
    step.gradients_at = nullptr;
    take_only_if(step, last);
    return result;
  }};
}

Chain only_finite() {
  return {[](Step& step, std::span<const Value> gradients) {
    needs_all(step, "skip_not_finite");
    Value bad;
    for (const Value g : gradients) {
      const Value some = sum(cast(logical_not(abs(g) < HUGE_VAL), f32));
      bad = bad ? bad + some : some;
    }
    take_only_if(step, eq(bad, 0.0));
    return std::vector<Value>(gradients.begin(), gradients.end());
  }};
}

Chain only_small(double most) {
  return {[most](Step& step, std::span<const Value> gradients) {
    needs_all(step, "skip_large");
    take_only_if(step, sqrt(dot_all(gradients, gradients)) <= most);
    return std::vector<Value>(gradients.begin(), gradients.end());
  }};
}

// As PyTorch counts: the rate falls when the loss failed to improve more than `patience` times.
Chain plateau(double factor, int64_t patience_, double threshold, int64_t cooldown_,
              int64_t window_, double least) {
  const auto patience = static_cast<double>(patience_), cooldown = static_cast<double>(cooldown_);
  const auto window = static_cast<double>(window_);
  return {[=](Step& step, std::span<const Value> gradients) {
    needs_loss(step, "reduce_on_plateau");
    const Value scale = step.scalar("plateau/scale", "1"),
                best = step.scalar("plateau/best", "3e38");
    const Value bad = step.scalar("plateau/bad"), cool = step.scalar("plateau/cooldown");
    const Value sum_ = step.scalar("plateau/sum"), count = step.scalar("plateau/count");
    const Value total = sum_ + cast(step.loss, f32), looks = count + 1.0 >= window;
    const Value loss = total * (1 / window);
    const Value better = loss<best - threshold * abs(best), cooling = cool> 0.0;
    const Value waited = select(better, 0.0, bad + 1.0);
    const Value failed = select(cooling, 0.0, waited);
    const Value falls = failed > patience;
    const auto keep = [&](Value state, Value value) {
      step.update(state, select(looks, value, state));
    };
    keep(best, select(better, loss, best));
    keep(bad, select(falls, 0.0, failed));
    keep(cool, select(falls, filled(cool, cooldown), max(cool - 1.0, 0.0)));
    keep(scale, select(falls, max(scale * factor, least), scale));
    step.update(sum_, select(looks, 0.0, total));
    step.update(count, select(looks, 0.0, count + 1.0));
    std::vector<Value> result;
    for (const Value g : gradients) result.push_back(g * cast(scale, g.type()));
    return result;
  }};
}

Chain look_ahead(int64_t every, double alpha) {
  return after_each([=](Step& step, size_t i, Value p) {
    const auto slow = step.copy_of_start(i, "slow");
    const Value turn = is_turn(step, every, every);
    const Value now = select(turn, slow.now + alpha * (p - slow.now), slow.now);
    step.update(slow.state, now);
    return select(turn, now, p);
  });
}

Chain moving_average(double decay, bool warm) {
  return after_each([=](Step& step, size_t i, Value p) {
    const Value old = step.state(i, "average"), t = step.number(i);
    const Value keep = warm ? min((1.0 + t) / (10.0 + t), decay) : filled(t, decay);
    step.keep_average(i, old, select(is_first(step), p, keep * old + (1.0 - keep) * p));
    return p;
  });
}

Chain equal_average(int64_t start, int64_t every) {
  const auto from = static_cast<double>(start);
  return after_each([=](Step& step, size_t i, Value p) {
    const Value old = step.state(i, "average"), t = step.number(i);
    const Value taken = max((t - from) / static_cast<double>(every), 0.0) + 1.0;
    const Value now = select(is_turn(step, start, every), old + (p - old) / taken, old);
    step.keep_average(i, old, select(t <= from, p, now));
    return p;
  });
}

Chain project_norm(double least, double most, double rate) {
  if (least > most) {
    throw ArgumentError(cat("norms cannot lie between ", Reader<double>::write(least), " and ",
                            Reader<double>::write(most), "; the first must be the smaller"));
  }
  return after_each([=](Step&, size_t, Value p) {
    const Dims axes = incoming_axes(p.shape());
    if (axes.empty()) return p;
    const Value size = norm_of(p, axes);
    const Value wanted = max(min(size, most), least);
    const Value reached = rate == 1 ? wanted : rate * wanted + (1 - rate) * size;
    return p * (reached / max(size, 1e-30));
  });
}

Chain project_non_negative() {
  return after_each([](Step&, size_t, Value p) { return max(p, 0.0); });
}

}  // namespace soma::parts
