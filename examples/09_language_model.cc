// Language models: nets that read text letter by letter, learn which letter comes next, and then
// write. A small transformer, which looks back at all letters so far, and an LSTM, which remembers.
//
//   09_language_model                         a chapter that is built in, in seconds
//   09_language_model --full bible.txt        any text, of some megabytes: minutes
//   09_language_model --full bible.txt lstm   the same by a recurrent net
//
// The King James Bible is such a text: Debian's packages bible-kjv and bible-kjv-text print it with
//   echo "gen1:1-rev22:21" | bible -f > bible.txt
// From it the transformer learns to spell unseen text in 1.84 bits a letter.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>

#include "check.h"
#include "genesis.h"
#include "soma/soma.h"

using namespace soma;
using example::check;

namespace {

/// The letters of a text, by number.
struct Alphabet {
  std::string letters;
  explicit Alphabet(const std::string& text) {
    const std::set<char> all(text.begin(), text.end());
    letters.assign(all.begin(), all.end());
  }
  int64_t size() const { return static_cast<int64_t>(letters.size()); }
  int64_t number(char letter) const { return static_cast<int64_t>(letters.find(letter)); }
};

/// Pieces of the text, one per row, each beginning `stride` letters after the one before; the
/// target of a letter is the next one.
Dataset pieces(const std::string& text, const Alphabet& alphabet, int64_t length, int64_t stride) {
  const int64_t rows = (static_cast<int64_t>(text.size()) - 1 - length) / stride + 1;
  Dataset data;
  data.inputs = Tensor({rows, length}, u8);
  data.targets = Tensor({rows, length}, i32);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < length; ++i) {
      const auto at = static_cast<size_t>(row * stride + i);
      data.inputs.data<uint8_t>()[static_cast<size_t>(row * length + i)] =
          static_cast<uint8_t>(alphabet.number(text[at]));
      data.targets.data<int32_t>()[static_cast<size_t>(row * length + i)] =
          static_cast<int32_t>(alphabet.number(text[at + 1]));
    }
  }
  return data;
}

struct Recipe {
  int64_t context, width, blocks, stride, batch;
  int epochs;
  double learning_rate;
};

/// Blocks of attention and feed-forward layers over letter vectors, and a score for each letter
/// from the same vectors.
Network transformer(const Recipe& recipe, int64_t letters) {
  std::vector<Layer> layers{input({recipe.context}),
                            embedding(letters, recipe.width).named("letters")};
  for (int64_t i = 0; i < recipe.blocks; ++i) {
    layers.push_back(decoder(4).with("positions", "rotary").with("context", recipe.context));
  }
  layers.push_back(layer_norm());
  layers.push_back(unembedding(letters).sharing("letters"));
  return Network(layers);
}

/// A recurrent net: what it remembers of the letters so far says which comes next.
Network recurrent(const Recipe& recipe, int64_t letters) {
  return Network{input({recipe.context}), embedding(letters, recipe.width),
                 lstm(3 * recipe.width).with("returns", "all"),
                 dense(letters, identity, {.per_step = true})};
}

double bits(double nats) { return nats / std::log(2.0); }

/// Goes on from `prompt`, one letter at a time: each step takes one letter and remembers the keys
/// and values of those before.
std::string write(const Network& net, const Alphabet& alphabet, const std::string& prompt,
                  int64_t count, const Sampling& how) {
  std::vector<int64_t> start;
  for (const char letter : prompt) start.push_back(alphabet.number(letter));
  Sampler sampler(how, 1);
  std::string text = prompt;
  Stream stream(net);
  for (const int64_t letter : generate(stream, start, count, sampler)) {
    text += alphabet.letters[static_cast<size_t>(letter)];
  }
  return text;
}

Network learn(Network net, const Recipe& recipe, const Dataset& train, const Dataset* validation) {
  const auto steps = static_cast<double>(recipe.epochs * ((train.size() - 1) / recipe.batch + 1));
  std::cout << "  " << net.info().parameters << " parameters, " << steps << " steps of "
            << recipe.batch * recipe.context << " letters\n";
  const Callback report = [&](const Event& event) {
    const bool epoch = event.kind == Event::Kind::epoch;
    if (!epoch && (event.kind != Event::Kind::step || event.step % 50)) return true;
    std::cout << "  " << static_cast<int>(event.seconds) << " s, epoch " << event.epoch << ", step "
              << event.step << ": " << bits(event.step_loss) << " bits per letter";
    if (event.validation) std::cout << ", " << bits(event.validation->loss) << " on unseen text";
    std::cout << std::endl;
    return true;
  };
  const Schedule rate = warmup(50, cosine(recipe.learning_rate, steps, recipe.learning_rate / 10));
  fit(net, train,
      {.loss = cross_entropy(),
       .optimizer = clip_global_norm(1) + adamw(rate),
       .epochs = recipe.epochs,
       .batch = recipe.batch,
       .validation = validation,
       .seed = 1,
       .callbacks = {report}});
  return net;
}

void learn_a_chapter() {
  std::cout << "A transformer learns the first chapter of Genesis\n";
  const std::string text = example::genesis;
  const Alphabet alphabet(text);
  const Recipe recipe{.context = 32,
                      .width = 32,
                      .blocks = 2,
                      .stride = 8,
                      .batch = 32,
                      .epochs = 8,
                      .learning_rate = 1e-2};
  const Dataset data = pieces(text, alphabet, recipe.context, recipe.stride);
  Network net = learn(transformer(recipe, alphabet.size()), recipe, data, nullptr);
  const double loss = bits(evaluate(net, data, cross_entropy()).loss);
  const double guess = std::log2(static_cast<double>(alphabet.size()));
  std::cout << "  " << loss << " bits per letter; guessing costs " << guess << '\n';
  check(loss < 2, "it knows more than half of each letter");
  const std::string likeliest = write(net, alphabet, "And God said", 60, {.temperature = 0});
  std::cout << "  it writes: " << likeliest << '\n';
  check(likeliest == write(net, alphabet, "And God said", 60, {.temperature = 0}),
        "the likeliest text is the same each time");
}

void learn_a_text(const std::string& path, bool by_lstm) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (text.size() < 100000) {
    check(false, path + " is a text of at least 100,000 letters");
    return;
  }
  const Alphabet alphabet(text);
  std::cout << (by_lstm ? "An LSTM" : "A transformer") << " learns " << path << ": " << text.size()
            << " letters, " << alphabet.size() << " kinds\n";
  const size_t cut = text.size() - text.size() / 50;
  const Recipe recipe{.context = 128,
                      .width = 128,
                      .blocks = 3,
                      .stride = 128,
                      .batch = 32,
                      .epochs = 1,
                      .learning_rate = 3e-3};
  const Dataset train = pieces(text.substr(0, cut), alphabet, recipe.context, recipe.stride);
  const Dataset unseen = pieces(text.substr(cut), alphabet, recipe.context, recipe.stride);
  Network net = by_lstm ? recurrent(recipe, alphabet.size()) : transformer(recipe, alphabet.size());
  net = learn(std::move(net), recipe, train, &unseen);
  const double loss = bits(evaluate(net, unseen, cross_entropy()).loss);
  check(loss < 2.2, "unseen text costs " + std::to_string(loss) + " bits per letter");
  std::cout << write(net, alphabet, text.substr(cut, 40), 800, {.temperature = 0.8}) << '\n';
}

}  // namespace

int main(int count, char** arguments) {
  const bool full = count > 2 && std::string(arguments[1]) == "--full";
  const bool by_lstm = count > 3 && std::string(arguments[3]) == "lstm";
  full ? learn_a_text(arguments[2], by_lstm) : learn_a_chapter();
  return example::failures;
}
