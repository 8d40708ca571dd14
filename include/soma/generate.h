// Choosing the next token from logits, and texts token by token.
//
//   Sampler sampler({.temperature = 0.8, .top_k = 40}, 1);
//   Stream stream(net);
//   auto text = generate(stream, prompt, 200, sampler);
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "soma/stream.h"

namespace soma {

/// How to choose. The filters act in this order, each on what the one before left: temperature,
/// top_k, top_p, min_p (as Hugging Face's transformers).
struct Sampling {
  /// Logits are divided by it: below 1 prefers the likely. 0 takes the likeliest token always (the
  /// first of equals).
  double temperature = 1;
  /// Only the k likeliest (Fan+ 2018, arXiv:1805.04833); of equals the first ones; 0: all.
  int64_t top_k = 0;
  /// Only the likeliest whose chances add up to p, with the one that reaches it (nucleus sampling,
  /// Holtzman+ 2019, arXiv:1904.09751).
  double top_p = 1;
  /// Only those with at least this share of the chance of the likeliest (Nguyen+ 2024,
  /// arXiv:2407.01082).
  double min_p = 0;
};

/// Chooses tokens at random. The same seed and logits give the same choices.
class Sampler {
 public:
  /// Throws ArgumentError for a temperature or a top_k below 0, top_p outside (0, 1] and min_p
  /// outside [0, 1].
  explicit Sampler(Sampling options = {}, uint64_t seed = 0);

  /// The chance of each token. Throws ArgumentError when there are no logits, when one is NaN or
  /// +inf, or when all are -inf.
  std::vector<double> chances(std::span<const float> logits) const;
  /// A token with these chances.
  int64_t operator()(std::span<const float> logits);

  const Sampling& options() const { return options_; }

 private:
  Sampling options_;
  uint64_t seed_;
  uint64_t drawn_ = 0;
};

/// Tokens after a prompt: gives `next` each token of the prompt, then each one chosen, and chooses
/// from the logits it answers, `count` times or until `each`, called with every chosen token,
/// answers false. Returns the chosen tokens. Throws ArgumentError for an empty prompt (begin with a
/// token that stands for "start").
std::vector<int64_t> generate(const std::function<std::span<const float>(int64_t token)>& next,
                              std::span<const int64_t> prompt, int64_t count, Sampler& sampler,
                              const std::function<bool(int64_t token)>& each = {});

/// The same with a stream of one sequence, one step per call, whose last layer gives logits. It
/// goes on from what the stream has seen; reset() it for a new text. Throws ShapeError for other
/// streams.
std::vector<int64_t> generate(Stream& stream, std::span<const int64_t> prompt, int64_t count,
                              Sampler& sampler,
                              const std::function<bool(int64_t token)>& each = {});

}  // namespace soma
