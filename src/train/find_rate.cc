// Which learning rate? The losses of a few batches while it rises.
#include <algorithm>
#include <cmath>

#include "soma/error.h"
#include "soma/train.h"
#include "src/base/text.h"

namespace soma {
namespace {

constexpr double smoothing = 0.9, too_much = 4;

/// Where the loss falls fastest over the logarithm of the rate, up to its smallest value: by slopes
/// over a fifth of the steps, as the losses of single batches jump about.
double steepest(const RateSearch& search) {
  const auto& losses = search.losses;
  const auto lowest = static_cast<size_t>(std::ranges::min_element(losses) - losses.begin());
  const size_t reach = std::max<size_t>(1, losses.size() / 10);
  double best = 0, rate = 0;
  for (size_t i = reach; i + reach < losses.size() && i <= lowest; ++i) {
    const double slope = losses[i + reach] - losses[i - reach];  // the rates are evenly spaced
    if (slope < best) best = slope, rate = search.rates[i];
  }
  return rate;
}

}  // namespace

RateSearch find_learning_rate(const Network& net, const Dataset& train, FitOptions options,
                              const RateRange& range) {
  if (!(range.low > 0 && range.high > range.low) || range.steps < 5) {
    throw ArgumentError(cat("learning rates are tried from a small to a larger one in at least 5 ",
                            "steps; found ", range.low, ", ", range.high, " and ", range.steps));
  }
  const double factor = std::pow(range.high / range.low, 1.0 / (range.steps - 1));
  options.optimizer =
      with_learning_rate(options.optimizer, exponential_decay(range.low, factor, 1));
  options.steps = range.steps;
  options.epochs = range.steps;
  options.validation = nullptr;
  options.callbacks = {};
  options.best = "";
  options.checkpoints = {};
  Network copy = net;
  Trainer trainer(copy, train, options);
  RateSearch search;
  double average = 0, least = HUGE_VAL;
  try {
    while (!trainer.done()) {
      average = smoothing * average + (1 - smoothing) * trainer.step();
      const auto taken = static_cast<double>(trainer.steps());
      const double loss = average / (1 - std::pow(smoothing, taken));
      if (loss > too_much * least) break;
      least = std::min(least, loss);
      search.rates.push_back(range.low * std::pow(factor, taken - 1));
      search.losses.push_back(loss);
    }
  } catch (const DivergenceError&) {
    // That was too much.
  }
  search.suggestion = steepest(search);
  return search;
}

}  // namespace soma
