// Losses that compare classes, or yes and no.
#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/losses.h"
#include "src/nn/pieces.h"

namespace soma {

void check_labels(Value p, Value t) {
  Shape batch = p.shape();
  if (batch.rank() > 0) batch = Shape(std::span(batch.begin(), batch.end() - 1));
  if (p.rank() == 0 || t.shape() != batch) {
    throw ShapeError(cat("the prediction is ", p.shape(), " with the classes last, so the labels ",
                         "must be ", batch, ", one for each row of classes; found ", t.type(),
                         t.shape()));
  }
}

namespace {

/// The probabilities that are wanted, [..., classes]; for labels also which of them count.
struct Goal {
  Value shares;
  Value counts = {};

  LossTerms terms(Value loss) const { return {counts ? loss * counts : loss, counts}; }
};

Goal goal_of(Value p, Value t, double smoothing = 0) {
  Goal goal;
  if (!is_float(t.type())) {
    check_labels(p, t);
    goal = {one_hot(t, p.extent(-1), p.type()), cast(t >= 0.0, p.type())};
  } else if (p.shape() == t.shape() && p.rank() > 0) {
    goal = {cast(t, p.type())};
  } else {
    throw ShapeError(cat("the prediction is ", p.shape(), ", so the targets must be integer ",
                         "labels, or probabilities of the same shape; found ", t.type(),
                         t.shape()));
  }
  if (smoothing > 0) {
    const auto classes = static_cast<double>(p.extent(-1));
    goal.shares = (1 - smoothing) * goal.shares + smoothing / classes;
  }
  return goal;
}

Value per_class(Value like_this, const std::vector<double>& numbers) {
  std::vector<Value> parts;
  for (const double w : numbers)
    parts.push_back(like_this.graph().constant(w, {1}, like_this.type()));
  return concat(parts, 0);
}

void check_weights(const std::vector<double>& weights, int64_t classes) {
  if (weights.empty()) return;
  if (static_cast<int64_t>(weights.size()) != classes) {
    throw ShapeError(cat("there are ", weights.size(), " class weights, but the prediction has ",
                         classes, " classes"));
  }
  for (const double w : weights) {
    if (w < 0) throw ArgumentError(cat("the class weight ", w, " is negative"));
  }
}

// Integer labels without further ado: a body that a backend may fuse.
Value plain_cross_entropy(Value prediction, Value labels) {
  return call("cross_entropy", {prediction, labels}, [](const auto& in) {
    const Value log_p = log_softmax_of(in[0]);
    return -sum(one_hot(in[1], in[0].extent(-1), in[0].type()) * log_p, {-1});
  });
}

// -sum of goal · w · log_p, with the weights of the labels as the weights of the mean.
LossTerms weighted_nll(Value p, Value t, Value log_p, double smoothing,
                       const std::vector<double>& weights) {
  const Goal goal = goal_of(p, t, smoothing);
  check_weights(weights, p.extent(-1));
  if (weights.empty()) return goal.terms(-sum(goal.shares * log_p, {-1}));
  const Value w = per_class(p, weights);
  const Value loss_ = -sum(goal.shares * w * log_p, {-1});
  if (!goal.counts) return {loss_};
  return {loss_ * goal.counts, sum(goal_of(p, t).shares * w, {-1})};
}

Value x_log_x(Value x) { return x * log(select(x > 0.0, x, 1.0)); }

}  // namespace

LossTerms cross_entropy_of(Value p, Value t, double smoothing, const std::vector<double>& weights) {
  if (!is_float(t.type()) && smoothing == 0 && weights.empty()) {
    check_labels(p, t);
    return {plain_cross_entropy(p, t), cast(t >= 0.0, p.type())};  // no class: no loss
  }
  return weighted_nll(p, t, p.rank() > 0 ? log_softmax(p) : p, smoothing, weights);
}

LossTerms nll_of(Value p, Value t, const std::vector<double>& weights) {
  return weighted_nll(p, t, p, 0, weights);
}

LossTerms cross_entropy_probabilities_of(Value p, Value t, double smoothing, double eps) {
  const Goal goal = goal_of(p, t, smoothing);
  const Value q = clip(p / sum(p, {-1}, Keep::yes), eps, 1 - eps);
  return goal.terms(-sum(goal.shares * log(q), {-1}));
}

LossTerms categorical_focal_of(Value p, Value t, double gamma, double alpha, double smoothing) {
  const Goal goal = goal_of(p, t, smoothing);
  const Value log_q = log_softmax(p);
  const Value each = power_of(expm1(log_q), gamma) * log_q;
  return goal.terms(-alpha * sum(goal.shares * each, {-1}));
}

LossTerms poly1_of(Value p, Value t, double epsilon, double smoothing) {
  const Goal goal = goal_of(p, t, smoothing);
  const Value log_q = log_softmax(p);
  return goal.terms(sum(goal.shares * (epsilon * (1.0 - exp(log_q)) - log_q), {-1}));
}

LossTerms generalized_cross_entropy_of(Value p, Value t, double q) {
  const Goal goal = goal_of(p, t);
  const Value log_p = sum(goal.shares * log_softmax(p), {-1});
  return goal.terms(-expm1(q * log_p) / q);
}

LossTerms categorical_hinge_of(Value p, Value t) {
  const Goal goal = goal_of(p, t);
  const Value own = sum(goal.shares * p, {-1});
  const Value rival = max_over((1.0 - goal.shares) * p, {-1});
  return goal.terms(relu(1.0 + rival - own));
}

LossTerms multi_margin_of(Value p, Value t, double margin, double power) {
  const Goal goal = goal_of(p, t);
  const Value own = sum(goal.shares * p, {-1}, Keep::yes);
  const Value each = power_of(relu(margin + p - own), power);
  return goal.terms(mean((1.0 - goal.shares) * each, {-1}));
}

LossTerms sparsemax_loss_of(Value p, Value t) {
  const Goal goal = goal_of(p, t);
  const Value s = sparsemax_of(p);
  const Value each = p * (s - goal.shares) + 0.5 * (square(goal.shares) - square(s));
  return goal.terms(sum(each, {-1}));
}

LossTerms entmax15_loss_of(Value p, Value t) {
  const Goal goal = goal_of(p, t);
  const Value root = entmax15_root_of(p), s = square(root);
  const Value entropy = (power_of(goal.shares, 1.5) - s * root) / 0.75;
  return goal.terms(sum(p * (s - goal.shares) + entropy, {-1}));
}

LossTerms kl_of(Value p, Value t, bool log_target) {
  if (log_target && is_float(t.type())) {
    const Value log_t = like_prediction(p, t);
    return {sum(exp(log_t) * (log_t - log_softmax(p)), {-1})};
  }
  const Goal goal = goal_of(p, t);
  return goal.terms(sum(x_log_x(goal.shares) - goal.shares * log_softmax(p), {-1}));
}

LossTerms jensen_shannon_of(Value p, Value t) {
  const Goal goal = goal_of(p, t);
  const Value log_s = log_softmax(p), s = exp(log_s), m = 0.5 * (s + goal.shares);
  const Value log_m = log(select(m > 0.0, m, 1.0));
  const Value each = x_log_x(goal.shares) + s * log_s - (goal.shares + s) * log_m;
  return goal.terms(0.5 * sum(each, {-1}));
}

LossTerms earth_mover_of(Value p, Value t, double power) {
  const Goal goal = goal_of(p, t);
  const Shape square_shape{p.extent(-1), p.extent(-1)};
  const Value before = iota(p.graph(), square_shape, 0) <= iota(p.graph(), square_shape, 1);
  const Value work = matmul(softmax(p) - goal.shares, cast(before, p.type()));
  return goal.terms(sum(power_of(work, power), {-1}));
}

// ---------------------------------------------------------------- yes and no

// -(pos_weight t ln s + (1 - t) ln(1 - s)), with ln s = -softplus(-p) and ln(1 - s) = ln s - p.
Value binary_cross_entropy_of(Value p, Value t, double pos_weight) {
  const Value weight = pos_weight == 1 ? like(t, 1) : 1.0 + (pos_weight - 1) * t;
  return (1.0 - t) * p + weight * log_one_plus_exp(-p);
}

Value bce_probabilities_of(Value p, Value t, double eps) {
  const Value q = clip(p, eps, 1 - eps);
  return -(t * log(q)) - (1.0 - t) * log1p(-q);
}

Value binary_focal_of(Value p, Value t, double gamma, double alpha) {
  const Value wrong = sigmoid(p) * (1.0 - t) + sigmoid(-p) * t;
  const Value loss_ = power_of(wrong, gamma) * binary_cross_entropy_of(p, t, 1);
  return alpha < 0 ? loss_ : (alpha * t + (1 - alpha) * (1.0 - t)) * loss_;
}

LossTerms hinge_of(Value p, Value t, double margin, double power) {
  if (is_float(t.type()) || p.shape() == t.shape()) {
    return {power_of(relu(margin - sign_of(p, t) * p), power)};
  }
  const Goal goal = goal_of(p, t);
  const Value own = sum(goal.shares * p, {-1});
  const Value rival = max_over(select(goal.shares > 0.0, stop(like(p, -1e30)), p), {-1});
  return goal.terms(power_of(relu(margin + rival - own), power));
}

Value many_hot(Value p, Value t) {
  if (is_float(t.type())) return like_prediction(p, t);
  Shape rows = p.shape(), wanted = t.shape();
  if (rows.rank() < 2 || wanted.rank() != rows.rank()) {
    throw ShapeError(cat("the prediction is ", rows, ", so the targets must be numbers of that ",
                         "shape, or a list of labels for each row; found ", t.type(), wanted));
  }
  const Value times = sum(one_hot(t, p.extent(-1), p.type()), {-2});
  if (times.shape() != rows) {
    throw ShapeError(cat("the prediction is ", rows, ", but the lists of labels are ", wanted));
  }
  return select(times > 0.0, like(p, 1), 0.0);
}

Value multilabel_margin_of(Value p, Value t) {
  const Value hot = many_hot(p, t);
  const Value gap = relu(1.0 - expand_dims(p, -1) + expand_dims(p, -2));  // [..., j, k]
  const Value each = expand_dims(hot, -1) * (1.0 - expand_dims(hot, -2)) * gap;
  return sum(each, {-2, -1}) / static_cast<double>(p.extent(-1));
}

Value overlap_of(Value p, Value t, Overlap weights) {
  const bool labels = !is_float(t.type()) && p.shape() != t.shape();
  Value s, wanted;
  if (labels) {
    const Goal goal = goal_of(p, t);
    s = softmax(p) * expand_dims(goal.counts, -1);
    wanted = goal.shares;
  } else {
    s = sigmoid(p);
    wanted = like_prediction(p, t);
  }
  Dims places;
  for (int i = 1; i < p.rank() - (labels ? 1 : 0); ++i) places.push_back(i);
  const Value both = sum(s * wanted, places);
  const Value excess = sum(s * (1.0 - wanted), places), missed = sum((1.0 - s) * wanted, places);
  return (both + weights.smooth) /
         (both + weights.alpha * excess + weights.beta * missed + weights.smooth);
}

}  // namespace soma
