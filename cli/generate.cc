// soma generate: a text that a model writes, token by token.
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "soma/error.h"
#include "soma/generate.h"
#include "soma/model.h"
#include "soma/text.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

class Generate : public Command {
 public:
  std::string_view name() const override { return "generate"; }
  std::string_view summary() const override { return "Go on with a text, token by token"; }
  std::string_view examples() const override {
    return "  soma generate run/model.soma --prompt \"In the beginning\" --length 200\n"
           "  soma generate run/model.soma --temperature 0.8 --top-k 40 --top-p 0.9 --seed 2\n";
  }
  void options(Options& o) override {
    o.positional("model", model_, "A model file that soma train wrote from a text");
    o.text("--prompt", prompt_, "TEXT", "What the text begins with (default: a new text)");
    o.integer("--length", length_, 0, 1'000'000'000, "Tokens to write");
    o.real("--temperature", sampling_.temperature, 0, 1e6,
           "Below 1 prefers the likely tokens; 0 takes the likeliest");
    o.integer("--top-k", sampling_.top_k, 0, no_limit, "Choose among the K likeliest (0: all)");
    o.real("--top-p", sampling_.top_p, 0, 1,
           "Choose among the likeliest whose chances add up to this");
    o.real("--min-p", sampling_.min_p, 0, 1,
           "Leave out tokens below this share of the likeliest one's chance");
    o.integer("--seed", seed_, 0, no_limit, "Of the choices");
    o.integer("--threads", threads_, 0, 1024, "Threads to compute with (0: every core)");
  }

  int run(Console& console) override {
    const Model model = load_model(model_);
    const Tokenizer tokenizer = tokenizer_of(model);
    Sampler sampler(sampling_, static_cast<uint64_t>(seed_));
    Stream stream(model.network, 1, Device::cpu(static_cast<int>(threads_)));
    const std::vector<int32_t> encoded = tokenizer.encode(prompt_);
    std::vector<int64_t> prompt{Vocabulary::nothing};  // as in training, a text begins with it
    prompt.insert(prompt.end(), encoded.begin(), encoded.end());
    std::vector<int32_t> tokens = encoded;
    std::string text = prompt_;
    const auto write = [&](const std::string& more) {
      text += more;
      if (!console.json()) console.part(more);
    };
    catch_interrupt();
    if (!console.json()) console.part(prompt_);
    generate(stream, prompt, length_, sampler, [&](int64_t token) {
      tokens.push_back(static_cast<int32_t>(token));
      write(last_of(tokenizer, tokens));
      return !interrupted();
    });
    if (console.json()) {
      console.event(
          {{"event", "text"}, {"text", text}, {"tokens", tokens.size() - encoded.size()}});
    } else {
      console.line();
    }
    return interrupted() ? exit_interrupted : exit_ok;
  }

 private:
  /// The text of the last token, behind the one before it: what goes between may depend on both.
  static std::string last_of(const Tokenizer& tokenizer, std::span<const int32_t> tokens) {
    const auto two = tokens.last(std::min<size_t>(tokens.size(), 2));
    const std::string before = tokenizer.decode(two.first(two.size() - 1));
    return tokenizer.decode(two).substr(before.size());
  }

  static Tokenizer tokenizer_of(const Model& model) {
    const auto note = model.info.notes.find("tokenizer");
    if (note == model.info.notes.end()) {
      throw ArgumentError(
          "the model writes no text: it was not trained on one (soma train book.txt)");
    }
    Tokenizer tokenizer = Tokenizer::parse(note->second);
    const std::string& last = model.network.outputs().back();
    const Shape& scores = model.network.shape_of(last);
    if (scores.rank() != 2 || scores[1] != tokenizer.size()) {
      throw ShapeError(cat("the model gives ", scores,
                           " numbers for a text; to write it must give a "
                           "score for each of ",
                           tokenizer.size(), " tokens after each token"));
    }
    return tokenizer;
  }

  std::string model_, prompt_;
  int64_t length_ = 200, seed_ = 0, threads_ = 1;
  Sampling sampling_;
};

}  // namespace

std::unique_ptr<Command> make_generate() { return std::make_unique<Generate>(); }

}  // namespace soma::cli
