// The losses: their rows, and the mean over a batch.
#include "soma/error.h"
#include "soma/nn.h"
#include "src/base/text.h"
#include "src/nn/pieces.h"

namespace soma {

namespace {

// The target as numbers of the type and shape of the prediction.
Value like_prediction(Value prediction, Value target) {
  if (prediction.shape() != target.shape()) {
    throw ShapeError(cat("the prediction is ", prediction.shape(), ", but the target is ",
                         target.shape(), "; this loss compares them element by element"));
  }
  return cast(target, prediction.type());
}

Value huber_of(Value error, double delta) {
  const Value size = magnitude(error);
  return select(size < delta, 0.5 * square(error), delta * size - 0.5 * delta * delta);
}

// -(pos_weight t ln s + (1 - t) ln(1 - s)), with ln s = -softplus(-p) and ln(1 - s) = ln s - p.
Value binary_cross_entropy_of(Value p, Value t, double pos_weight) {
  const Value weight = pos_weight == 1 ? like(t, 1) : 1.0 + (pos_weight - 1) * t;
  return (1.0 - t) * p + weight * log_one_plus_exp(-p);
}

void check_labels(Value prediction, Value target, std::string_view loss) {
  Shape batch = prediction.shape();
  if (batch.rank() > 0) batch = Shape(std::span(batch.begin(), batch.end() - 1));
  if (prediction.rank() == 0 || target.shape() != batch) {
    throw ShapeError(cat(loss, ": the prediction is ", prediction.shape(),
                         ", so the labels must be ", batch, ", one for each row of classes; found ",
                         target.type(), target.shape()));
  }
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
    throw ShapeError(cat("cross_entropy has ", weights.size(),
                         " class weights, but the prediction ", "has ", classes, " classes"));
  }
  for (const double w : weights) {
    if (w < 0) throw ArgumentError(cat("cross_entropy: the class weight ", w, " is negative"));
  }
}

// Integer labels without further ado: a body that a backend may fuse.
Value plain_cross_entropy(Value prediction, Value labels) {
  return call("cross_entropy", {prediction, labels}, [](const auto& in) {
    const Value log_p = log_softmax_of(in[0]);
    return -sum(one_hot(in[1], in[0].extent(-1), in[0].type()) * log_p, {-1});
  });
}

LossTerms cross_entropy_of(Value p, Value t, double smoothing, const std::vector<double>& weights) {
  const bool labels = !is_float(t.type());
  if (labels) {
    check_labels(p, t, "cross_entropy");
  } else if (p.shape() != t.shape() || p.rank() == 0) {
    throw ShapeError(
        cat("cross_entropy: the prediction is ", p.shape(), ", so the targets must be ",
            "integer labels, or probabilities of the same shape; found ", t.type(), t.shape()));
  }
  const int64_t classes = p.extent(-1);
  check_weights(weights, classes);
  if (labels && smoothing == 0 && weights.empty()) return {plain_cross_entropy(p, t)};
  Value goal = labels ? one_hot(t, classes, p.type()) : cast(t, p.type());
  const Value hard = goal;
  if (smoothing > 0) goal = (1 - smoothing) * goal + smoothing / static_cast<double>(classes);
  if (weights.empty()) return {-sum(goal * log_softmax(p), {-1})};
  const Value w = per_class(p, weights);
  const Value loss_ = -sum(goal * w * log_softmax(p), {-1});
  return labels ? LossTerms{loss_, sum(hard * w, {-1})} : LossTerms{loss_};
}

Value hinge_of(Value p, Value t, double margin) {
  if (is_float(t.type()) || p.shape() == t.shape()) {
    const Value sign_ = select(like_prediction(p, t) > 0.0, like(p, 1), like(p, -1));
    return relu(margin - sign_ * p);
  }
  check_labels(p, t, "hinge");
  const Value hit = one_hot(t, p.extent(-1), p.type());
  const Value own = sum(hit * p, {-1});
  const Value rival = max_over(select(hit > 0.0, stop(like(p, -1e30)), p), {-1});
  return relu(margin + rival - own);
}

Registry<LossRow> built_in_losses() {
  Registry<LossRow> registry("loss");
#define SOMA_LOSS(name, formula, source, note, refuses, specification, arguments, ...)    \
  {                                                                                       \
    const auto terms = +[] arguments -> LossTerms { return __VA_ARGS__; };                \
    using Rows = detail::Bind<LossTerms, Value, Value>;                                   \
    registry.add({{#name, formula, source, note, Rows::parameters(terms, specification)}, \
                  refuses,                                                                \
                  Rows::call(terms)});                                                    \
  }
#include "soma/losses.def"
  return registry;
}

// Sample weights [batch] in the shape of the terms.
Value stretched(Value weights, Value terms) {
  if (weights.rank() != 1 || terms.rank() == 0 || weights.extent(0) != terms.extent(0)) {
    throw ShapeError(cat("sample weights are one number for each sample, but they are ",
                         weights.shape(), " and the losses ", terms.shape()));
  }
  return broadcast(cast(weights, terms.type()), terms.shape(), {0});
}

}  // namespace

Registry<LossRow>& losses() {
  static Registry<LossRow> registry = built_in_losses();
  return registry;
}

#define SOMA_LOSS(name, ...) \
  Loss name(Argument a, Argument b) { return Loss(#name, {a, b}); }
#include "soma/losses.def"

Loss loss_named(std::string_view text) { return Loss(Named<LossRow>(losses(), text)); }

static LossTerms terms_of(const Loss& loss_, Value prediction, Value target) {
  if (!is_float(prediction.type())) {
    throw TypeError(cat(loss_.name(), ": the prediction must hold floating-point numbers, found ",
                        prediction.type(), prediction.shape()));
  }
  return loss_.row().build(prediction, target, loss_.arguments());
}

Value Loss::operator()(Value prediction, Value target, Value sample_weights) const {
  auto [terms, weight] = terms_of(*this, prediction, target);
  if (sample_weights) {
    const Value each = stretched(sample_weights, terms);
    terms = terms * each;
    weight = weight ? weight * each : each;
  }
  return weight ? sum(terms) / sum(weight) : mean(terms);
}

Value Loss::per_sample(Value prediction, Value target) const {
  const Value terms = terms_of(*this, prediction, target).loss;
  Dims rest;
  for (int i = 1; i < terms.rank(); ++i) rest.push_back(i);
  return mean(terms, rest);
}

std::string loss_objection(const Loss& loss_, const Activation& last) {
  for (const std::string_view refused : split(loss_.row().refuses, ' ')) {
    if (refused != last.name()) continue;
    return cat("the loss ", loss_.name(), " takes the weighted sums of the last layer and applies ",
               "its own function to them, but the last layer ends with ", last.name(),
               "; leave the activation of the last layer out");
  }
  return "";
}

}  // namespace soma
