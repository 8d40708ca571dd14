// The losses: their rows, and the mean over a batch.
#include "src/nn/losses.h"

#include "soma/error.h"
#include "soma/layers.h"
#include "src/base/text.h"
#include "src/nn/pieces.h"

namespace soma {

namespace {

Registry<LossRow> built_in_losses() {
  Registry<LossRow> registry("loss");
#define SOMA_LOSS(name, formula, source, note, answer, refuses, specification, arguments, ...) \
  {                                                                                            \
    const auto terms = +[] arguments -> LossTerms { return __VA_ARGS__; };                     \
    using Rows = detail::Bind<LossTerms, Value, Value>;                                        \
    registry.add({{#name, formula, source, note, Rows::parameters(terms, specification)},      \
                  LossAnswer::answer,                                                          \
                  refuses,                                                                     \
                  Rows::call(terms)});                                                         \
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
  Loss name(Argument a, Argument b, Argument c, Argument d) { return Loss(#name, {a, b, c, d}); }
#include "soma/losses.def"

Loss loss_named(std::string_view text) { return Loss(Named<LossRow>(losses(), text)); }

static LossTerms terms_of(const Loss& loss_, Value prediction, Value target) {
  if (!is_float(prediction.type())) {
    throw TypeError(cat(loss_.name(), ": the prediction must hold floating-point numbers, found ",
                        prediction.type(), prediction.shape()));
  }
  return loss_.row().build(prediction, target, loss_.arguments());
}

static Dims every_axis(Value x, int from) {
  Dims axes;
  for (int i = from; i < x.rank(); ++i) axes.push_back(i);
  return axes;
}

// 0 where nothing counts.
static Value mean_of(const LossTerms& terms, const Dims& axes) {
  if (!terms.weight) return mean(terms.loss, axes);
  const Value total = sum(terms.weight, axes);
  return sum(terms.loss, axes) / select(total > 0.0, total, 1.0);
}

Value Loss::operator()(Value prediction, Value target, Value sample_weights) const {
  auto [terms, weight] = terms_of(*this, prediction, target);
  if (sample_weights) {
    const Value each = stretched(sample_weights, terms);
    terms = terms * each;
    weight = weight ? weight * each : each;
  }
  return mean_of({terms, weight}, every_axis(terms, 0));
}

Value Loss::per_sample(Value prediction, Value target) const {
  const LossTerms terms = terms_of(*this, prediction, target);
  return terms.loss.rank() < 2 ? terms.loss : mean_of(terms, every_axis(terms.loss, 1));
}

std::string loss_objection(const Loss& loss_, const Activation& last) {
  const std::string_view refuses = loss_.row().refuses;
  const size_t bar = refuses.find('|');
  for (const std::string_view refused : split(refuses.substr(0, bar), ' ')) {
    if (refused != last.name()) continue;
    if (bar != std::string_view::npos) {
      return cat("the loss ", loss_.name(), " takes what", refuses.substr(bar + 1),
                 " gives, but the last layer ends with ", last.name());
    }
    return cat("the loss ", loss_.name(), " takes the weighted sums of the last layer and applies ",
               "its own function to them, but the last layer ends with ", last.name(),
               "; leave the activation of the last layer out");
  }
  return "";
}

}  // namespace soma
