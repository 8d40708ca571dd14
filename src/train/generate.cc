// Choosing the next token from logits, and texts token by token.
#include "soma/generate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "soma/error.h"
#include "src/base/philox.h"
#include "src/base/text.h"

namespace soma {

Sampler::Sampler(Sampling options, uint64_t seed) : options_(options), seed_(seed) {
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature)) {
    throw ArgumentError(
        cat("sampling: the temperature must be 0 or above, found ", options.temperature));
  }
  if (options.top_k < 0) {
    throw ArgumentError(cat("sampling: top_k must be 0 (all) or above, found ", options.top_k));
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    throw ArgumentError(cat("sampling: top_p must be in (0, 1], found ", options.top_p));
  }
  if (!(options.min_p >= 0 && options.min_p <= 1)) {
    throw ArgumentError(cat("sampling: min_p must be in [0, 1], found ", options.min_p));
  }
}

static void check_logits(std::span<const float> logits) {
  float largest = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i]) || logits[i] == std::numeric_limits<float>::infinity()) {
      throw ArgumentError(cat("sampling: the logit of token ", i, " is ", logits[i]));
    }
    largest = std::max(largest, logits[i]);
  }
  if (!std::isfinite(largest)) {
    throw ArgumentError(logits.empty() ? "sampling: there are no logits to choose from"
                                       : "sampling: every logit is -inf, so that no token is left");
  }
}

std::vector<double> Sampler::chances(std::span<const float> logits) const {
  check_logits(logits);
  std::vector<double> result(logits.size(), 0);
  const bool greedy = options_.temperature == 0;
  auto keep = greedy           ? size_t{1}
              : options_.top_k ? static_cast<size_t>(options_.top_k)
                               : logits.size();
  keep = std::min(keep, logits.size());
  std::vector<size_t> order(logits.size());  // the likeliest first, of equals the first one
  std::iota(order.begin(), order.end(), size_t{0});
  const auto likelier = [&](size_t a, size_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(keep), order.end(),
                    likelier);
  const double largest = logits[order[0]], temperature = greedy ? 1 : options_.temperature;
  const auto weigh = [&](size_t token) {
    return std::exp((logits[token] - largest) / temperature);
  };
  double total = 0;
  for (size_t i = 0; i < keep; ++i) total += result[order[i]] = weigh(order[i]);
  double reached = 0, kept = 0;
  for (size_t i = 0; i < keep; ++i) {
    double& chance = result[order[i]];
    if (reached >= options_.top_p * total || chance < options_.min_p) {
      chance = 0;
    } else {
      reached += chance;
      kept += chance;
    }
  }
  for (double& chance : result) chance /= kept;
  return result;
}

int64_t Sampler::operator()(std::span<const float> logits) {
  const std::vector<double> chance = chances(logits);
  const double u = static_cast<double>(uniform_float(philox_bits(seed_, 0, 0, drawn_++)));
  double reached = 0;
  int64_t last = 0;
  for (size_t i = 0; i < chance.size(); ++i) {
    if (chance[i] == 0) continue;
    last = static_cast<int64_t>(i);
    reached += chance[i];
    if (u < reached) break;
  }
  return last;
}

std::vector<int64_t> generate(const std::function<std::span<const float>(int64_t token)>& next,
                              std::span<const int64_t> prompt, int64_t count, Sampler& sampler,
                              const std::function<bool(int64_t token)>& each) {
  if (prompt.empty()) {
    throw ArgumentError(
        "generate: the prompt is empty; begin with a token that stands for the start");
  }
  std::span<const float> logits;
  for (const int64_t token : prompt) logits = next(token);
  std::vector<int64_t> tokens;
  while (static_cast<int64_t>(tokens.size()) < count) {
    if (!tokens.empty()) logits = next(tokens.back());
    tokens.push_back(sampler(logits));
    if (each && !each(tokens.back())) break;
  }
  return tokens;
}

std::vector<int64_t> generate(Stream& stream, std::span<const int64_t> prompt, int64_t count,
                              Sampler& sampler, const std::function<bool(int64_t token)>& each) {
  if (stream.input_shape().elements() != 1) {
    throw ShapeError(cat("generate: the stream takes ", stream.input_shape(),
                         " numbers a call; it should take one token of one sequence"));
  }
  const auto next = [&](int64_t token) {
    const auto number = static_cast<float>(token);
    return stream.step(std::span(&number, 1)).as<float>();
  };
  return generate(next, prompt, count, sampler, each);
}

}  // namespace soma
