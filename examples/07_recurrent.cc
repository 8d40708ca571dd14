// Recurrent networks: neurons that are linked to themselves one step later, and so remember.
//
// 1. Adding two binary numbers, bit by bit: the carry must be remembered. Learned from numbers of
//    8 bits, right for numbers of 60.
// 2. The parity of 20 bits: one bit of memory, turned over by each 1. Right for all 1,048,576.
// 3. Copying: five letters are shown, and after a pause must be told, each in its place.
#include <algorithm>
#include <cstdint>
#include <iostream>
#include <random>
#include <vector>

#include "check.h"
#include "soma/soma.h"

using namespace soma;
using example::check;

namespace {

/// Random bits that are the same on every machine.
class Coins {
 public:
  explicit Coins(uint32_t seed) : engine_(seed) {}
  int64_t below(int64_t n) { return static_cast<int64_t>(engine_() % static_cast<uint64_t>(n)); }

 private:
  std::mt19937 engine_;
};

/// Sequences with a label for each step: inputs [n, time, features], labels [n, time].
Dataset sequences(int64_t n, int64_t time, int64_t features) {
  Dataset data;
  data.inputs = Tensor({n, time, features});
  data.targets = Tensor({n, time}, i32);
  return data;
}

/// Steps whose largest output is not the label; a label of -1 counts for nothing.
int64_t mistakes(const Tensor& outputs, const Tensor& labels) {
  const int64_t classes = outputs.shape()[2];
  const auto scores = outputs.data<float>();
  int64_t wrong = 0;
  for (int64_t i = 0; i < labels.elements(); ++i) {
    const auto* row = &scores[static_cast<size_t>(i * classes)];
    const auto label = static_cast<int64_t>(labels.at(i));
    wrong += label >= 0 && std::max_element(row, row + classes) - row != label;
  }
  return wrong;
}

// ---- 1

/// Pairs of numbers, the lowest bit first, and the bits of their sum.
Dataset additions(int64_t n, int64_t bits, uint32_t seed) {
  Dataset data = sequences(n, bits + 1, 2);
  Coins coins(seed);
  for (int64_t i = 0; i < n; ++i) {
    int64_t carry = 0;
    for (int64_t t = 0; t <= bits; ++t) {
      const int64_t a = t < bits ? coins.below(2) : 0, b = t < bits ? coins.below(2) : 0;
      const int64_t place = i * (bits + 1) + t, sum = a + b + carry;
      data.inputs.set(2 * place, static_cast<double>(a));
      data.inputs.set(2 * place + 1, static_cast<double>(b));
      data.targets.set(place, static_cast<double>(sum % 2));
      carry = sum / 2;
    }
  }
  return data;
}

void add_numbers() {
  std::cout << "1. Binary addition: eight recurrent neurons learn to carry\n";
  Network net{input({9, 2}), rnn(8, tanh).with("returns", "all"),
              dense(2, identity, {.per_step = true})};
  fit(net, additions(512, 8, 1),
      {.loss = cross_entropy(),
       .optimizer = clip_global_norm(1) + adam(0.01),
       .epochs = 60,
       .batch = 32,
       .seed = 1,
       .device = Device::cpu(1)});
  // The same weights, for longer sequences.
  const Network longer = net.resized({61, 2});
  const Dataset numbers = additions(2000, 60, 2);
  check(mistakes(longer.predict(numbers.inputs, Device::cpu(1)), numbers.targets) == 0,
        "2,000 sums of numbers of 60 bits, learned from numbers of 8: every bit is right");

  // As a stream, it adds numbers that never end, and takes no memory for it.
  Stream adder(net);
  Coins coins(3);
  int64_t carry = 0, wrong = 0;
  for (int i = 0; i < 100000; ++i) {
    const int64_t a = coins.below(2), b = coins.below(2), sum = a + b + carry;
    const float bits[] = {static_cast<float>(a), static_cast<float>(b)};
    const auto scores = adder.step(bits).as<float>();
    wrong += (scores[1] > scores[0]) != (sum % 2 == 1);
    carry = sum / 2;
  }
  check(wrong == 0, "and a sum of 100,000 bits as a stream, one step at a time");
}

// ---- 2

/// Makes `n` sequences of `bits` bits, bit t of sequence i from bit_of(i, t), with the parity of
/// each beginning.
template <class F>
Dataset parities(int64_t bits, int64_t n, const F& bit_of) {
  Dataset data = sequences(n, bits, 1);
  for (int64_t i = 0; i < n; ++i) {
    int64_t parity = 0;
    for (int64_t t = 0; t < bits; ++t) {
      const int64_t bit = bit_of(i, t);
      parity ^= bit;
      data.inputs.set(i * bits + t, static_cast<double>(bit));
      data.targets.set(i * bits + t, static_cast<double>(parity));
    }
  }
  return data;
}

void parity_of_bits() {
  std::cout << "2. The parity of 20 bits\n";
  FitOptions options{.loss = cross_entropy(),
                     .optimizer = clip_global_norm(1) + adam(0.01),
                     .epochs = 80,
                     .batch = 16,
                     .seed = 4,
                     .device = Device::cpu(1)};
  // Short ones first, all 256 of 8 bits; then 4,096 of the long ones, some with few ones and some
  // with many.
  Coins coins(1);
  const auto counted = [](int64_t i, int64_t t) { return i >> t & 1; };
  const auto drawn = [&](int64_t i, int64_t) -> int64_t { return coins.below(10) < i % 11; };
  Network shorter{input({8, 1}), rnn(16, tanh).with("returns", "all"),
                  dense(2, identity, {.per_step = true})};
  fit(shorter, parities(8, 256, counted), options);
  Network net = shorter.resized({20, 1});
  options.optimizer = clip_global_norm(1) + adam(0.002);
  options.epochs = 20;
  fit(net, parities(20, 4096, drawn), options);

  constexpr int64_t all = int64_t{1} << 20, piece = int64_t{1} << 16;
  int64_t wrong = 0;
  for (int64_t first = 0; first < all; first += piece) {
    const Dataset part =
        parities(20, piece, [&](int64_t i, int64_t t) { return (first + i) >> t & 1; });
    wrong += mistakes(net.predict(part.inputs, Device::cpu(1)), part.targets);
  }
  check(wrong == 0, "right for all 1,048,576 sequences, 4,096 of which it has seen");
}

// ---- 3

constexpr int64_t letters = 8, shown = 5, pause = 5, length = 2 * shown + pause;

/// `shown` letters, a pause, then a signal at each step where the next letter must be told.
Dataset copies(int64_t n, uint32_t seed) {
  Dataset data = sequences(n, length, letters + 1);
  Coins coins(seed);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t t = 0; t < length; ++t) {
      data.targets.set(i * length + t, -1);
      const int64_t row = (i * length + t) * (letters + 1);
      if (t >= shown + pause) data.inputs.set(row + letters, 1);
    }
    for (int64_t t = 0; t < shown; ++t) {
      const int64_t letter = coins.below(letters);
      data.inputs.set((i * length + t) * (letters + 1) + letter, 1);
      data.targets.set(i * length + shown + pause + t, static_cast<double>(letter));
    }
  }
  return data;
}

void copy_letters() {
  std::cout << "3. Copying five of eight letters after a pause\n";
  Network net{input({length, letters + 1}), gru(64).with("returns", "all"),
              dense(letters, identity, {.per_step = true})};
  const Dataset data = copies(32000, 1);
  for (const double rate : {0.006, 0.001}) {
    fit(net, data,
        {.loss = cross_entropy(),
         .optimizer = adam(rate),
         .epochs = 5,
         .batch = 50,
         .seed = 1,
         .device = Device::cpu(1)});
  }
  const Dataset fresh = copies(4000, 2);
  check(mistakes(net.predict(fresh.inputs, Device::cpu(1)), fresh.targets) == 0,
        "4,000 new sequences: every letter is right");
}

}  // namespace

int main() {
  std::cout << std::unitbuf;
  add_numbers();
  parity_of_bits();
  copy_letters();
  return example::failures;
}
