// Streams: step by step the same bits as the whole sequence, for every recurrent kind; the state as
// an object; what cannot stream.
#include "soma/stream.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "soma/error.h"
#include "soma/layers.h"
#include "soma/model.h"
#include "tests/expect_error.h"

namespace soma {
namespace {

using ::testing::HasSubstr;

Tensor signal(const Shape& shape) {
  Tensor x(shape);
  uint32_t seed = 7;
  for (int64_t i = 0; i < x.elements(); ++i) {
    seed = seed * 1664525u + 1013904223u;
    x.set(i, static_cast<double>(seed >> 8) * 0x1p-23 - 1);
  }
  return x;
}

// Steps [lo, hi) of [batch, time, …].
Tensor steps_of(const Tensor& x, int64_t lo, int64_t hi) {
  Shape shape = x.shape();
  const int64_t time = shape[1], width = x.elements() / (shape[0] * time);
  shape[1] = hi - lo;
  Tensor result(shape);
  for (int64_t i = 0; i < result.elements(); ++i) {
    const int64_t b = i / ((hi - lo) * width), rest = i % ((hi - lo) * width);
    result.set(i, x.at((b * time + lo) * width + rest));
  }
  return result;
}

Network trained(const std::string& text) {
  Network net = Network::parse(text);
  net.initialize(11);
  for (auto& [name, tensor] : net.tensors()) {
    if (name.find("bias") == std::string::npos) continue;
    for (int64_t i = 0; i < tensor.elements(); ++i)
      tensor.set(i, tensor.at(i) + 0.01 * static_cast<double>(1 + i % 5));
  }
  return net;
}

// The whole sequence at once, and by calls of `steps` steps.
void expect_same_bits(const std::string& text, int64_t batch, int64_t steps, int threads = 1) {
  const Network net = trained(text);
  Shape shape{batch};
  for (const int64_t extent : net.sample_shape()) shape.push_back(extent);
  const Tensor x = signal(shape), whole = net.predict(x, Device::cpu(2));
  Stream stream(net, batch, Device::cpu(threads), steps);
  const bool all = whole.shape().rank() > 2;
  Tensor last;
  for (int64_t t = 0; t < shape[1]; t += steps) {
    last = stream.step(steps_of(x, t, t + steps)).copy();
    if (all) {
      ASSERT_EQ(last, steps_of(whole, t, t + steps)) << text << ", step " << t;
    }
  }
  if (!all) {
    EXPECT_EQ(last, whole) << text;
  }
}

const std::vector<std::string> kinds{
    "rnn(5 returns=all)",
    "rnn(5 [tanh relu*2 sigmoid*2] returns=all)",
    "rnn(5 prelu returns=all)",
    "lstm(5 returns=all)",
    "lstm(5 peephole=true projection=3 returns=all)",
    "lstm(5 coupled=true gate=hard_sigmoid returns=all)",
    "gru(5 returns=all)",
    "gru(5 reset=before returns=all)",
    "jordan(5 3 returns=all)",
    "mgu(5 returns=all)",
    "indrnn(5 returns=all)",
    "mingru(5 returns=all)",
    "minlstm(5 returns=all)",
    "sru(4 returns=all)",
    "sru(5 returns=all)",
    "qrnn(5 returns=all)",
    "qrnn(5 window=1 returns=all)",
    "ltc(5 returns=all)",
    "cfc(5 returns=all)",
    "reservoir(5 returns=all leak=0.5)",
    "gru(5 returns=all truncate=2 recurrent_dropout=0.3)",
    "masking, lstm(5 returns=all padded=zero)",
    "wired(3 [i0>0 i1>1 i2>2 i3>0 0>1 1>2 2~>0 1~>1] [tanh sigmoid identity] returns=all)",
    "wired(3 [i0>0 i1>1 i3>2 0>2 1>2 2~>0 1~>1] tanh returns=all)",
};

TEST(Stream, EveryKindStepByStepHasTheBitsOfTheWhole) {
  for (const std::string& kind : kinds) {
    const std::string text = "input 6x4, " + kind + ", dense(3 tanh per_step=true)";
    expect_same_bits(text, 1, 1);
    expect_same_bits(text, 3, 2, 3);
  }
  expect_same_bits("input 4x2x3x5, conv_lstm(2 returns=all)", 2, 1);
}

// Every kind that streams is in the list above.
TEST(Stream, NoRecurrentKindIsLeftOut) {
  for (const LayerRow& row : layer_kinds()) {
    const bool recurrent = std::any_of(row.parameters.begin(), row.parameters.end(),
                                       [](const Parameter& p) { return p.name == "returns"; });
    if (!recurrent || row.name == "conv_lstm") continue;
    EXPECT_TRUE(std::any_of(kinds.begin(), kinds.end(), [&](const std::string& kind) {
      return kind.starts_with(row.name + "(");
    })) << row.name;
  }
}

TEST(Stream, StackedWideAndBatched) {
  const std::string text =
      "input 8x3, lstm(70 returns=all), gru(33 returns=all), rnn(17 returns=all), "
      "dense(5 per_step=true)";
  for (const int64_t batch : {1, 2, 7, 32}) {
    expect_same_bits(text, batch, 1);
    expect_same_bits(text, batch, 4, 2);
  }
  expect_same_bits("input 8x3, gru(9 returns=all), lstm 20, 4 relu, 2", 3, 1);  // the last output
  expect_same_bits("input 12, gru 9, 2", 2, 3);  // one number per step
}

TEST(Stream, GoesOnForEver) {
  // More steps than a sample has: the same as a network for longer samples.
  const Network net = trained("input 4x2, gru(6 returns=all)");
  const Network longer = net.resized({9, 2});
  const Tensor x = signal({1, 9, 2}), whole = longer.predict(x);
  Stream stream(net);
  for (int64_t t = 0; t < 9; ++t) {
    EXPECT_EQ(stream.step(steps_of(x, t, t + 1)).copy(), steps_of(whole, t, t + 1));
  }
}

TEST(Stream, TheStateIsAnObject) {
  const Network net = trained("input 6x2, lstm(4 returns=all)");
  const Tensor x = signal({2, 6, 2});
  Stream stream(net, 2);
  EXPECT_EQ(stream.input_shape(), (Shape{2, 1, 2}));
  EXPECT_EQ(stream.state().size(), 2u);
  EXPECT_EQ(stream.state().at("output/h").shape(), (Shape{2, 4}));
  const auto run = [&](Stream& s, int64_t from) {
    std::vector<Tensor> outs;
    for (int64_t t = from; t < 6; ++t) outs.push_back(s.step(steps_of(x, t, t + 1)).copy());
    return outs;
  };
  for (int64_t t = 0; t < 3; ++t) (void)stream.step(steps_of(x, t, t + 1));
  const Tensors middle = stream.state();
  Stream fork = stream.fork();
  const auto first = run(stream, 3);
  EXPECT_NE(stream.state(), middle);
  EXPECT_EQ(fork.state(), middle) << "a fork has a state of its own";
  EXPECT_EQ(run(fork, 3), first);

  stream.set_state(middle);
  EXPECT_EQ(run(stream, 3), first);

  const auto path = (std::filesystem::temp_directory_path() / "soma_stream.safetensors").string();
  stream.set_state(middle);
  stream.save(path);
  stream.reset();
  EXPECT_EQ(stream.state(), Stream(net, 2).state());
  EXPECT_NE(run(stream, 3), first);
  stream.load(path);
  EXPECT_EQ(stream.state(), middle);
  EXPECT_EQ(run(stream, 3), first);
  Stream other(trained("input 6x2, gru(4 returns=all)"), 2);
  EXPECT_ERROR(FileError, other.load(path), "no state \"output/c\"");
  std::filesystem::remove(path);

  // Moved, it is the same stream.
  stream.set_state(middle);
  Stream moved = std::move(stream);
  EXPECT_EQ(run(moved, 3), first);
}

TEST(Stream, OneSequenceOfABatchStartsAgain) {
  const Network net = trained("input 6x2, gru(3 returns=all)");
  const Tensor x = signal({2, 6, 2});
  Stream stream(net, 2), fresh(net, 2);
  for (int64_t t = 0; t < 3; ++t) (void)stream.step(steps_of(x, t, t + 1));
  const Tensor before = stream.state().at("output/h");
  stream.reset(1);
  for (int64_t i = 0; i < 6; ++i) {
    EXPECT_EQ(stream.state().at("output/h").at(i), i < 3 ? before.at(i) : 0);
  }
  EXPECT_ERROR(ArgumentError, stream.reset(2), "0 to 1");
}

TEST(Stream, ModelFilesHoldRecurrentNetworks) {
  const auto path = (std::filesystem::temp_directory_path() / "soma_recurrent.soma").string();
  for (const std::string& kind : kinds) {
    const Network net = trained("input 6x4, " + kind + ", bidirectional [gru 2], 2");
    save(net, path);
    EXPECT_EQ(load(path), net) << kind;
  }
  std::filesystem::remove(path);
}

TEST(Stream, TrainingTheNetworkLaterDoesNotChangeIt) {
  Network net = trained("input 6x2, gru(3 returns=all)");
  const Tensor x = signal({1, 1, 2});
  Stream stream(net), other(net);
  const Tensor wanted = other.step(x).copy();
  net.initialize(99);
  EXPECT_EQ(stream.step(x).copy(), wanted);
}

TEST(Stream, WhatCannotStreamIsRefused) {
  const auto stream = [](const char* text) { return Stream(Network::parse(text)); };
  EXPECT_ERROR(ShapeError, stream("input 5x3, bidirectional [gru 4]"),
               "layer \"output\": needs the end of the sequence");
  EXPECT_ERROR(ShapeError, stream("input 5x3, lstm(4 reverse=true) name=r, 2"), "layer \"r\"");
  EXPECT_ERROR(ShapeError, stream("input 5x3, lstm(4 returns=all), 2"), "cannot stream");
  EXPECT_ERROR(ShapeError,
               stream("input 5x3, gru(3 returns=all) name=a, gru(3 returns=all) share=a"),
               "shares the arrays");
  EXPECT_ERROR(ArgumentError, stream("input 5x3 name=a, input 5x3 name=b, gru 4 from=a+b"),
               "one input");
  const Network net = Network::parse("input 5x3, gru 4");
  EXPECT_ERROR(ArgumentError, Stream(net, 0), "found 0 and 1");
  Stream good(net);
  EXPECT_ERROR(ShapeError, good.step(Tensor({1, 2, 3})), "takes 3 numbers, [1, 1, 3], found 6");
  EXPECT_ERROR(ArgumentError, good.set_state({}), "\"output/h\", which is missing");
  EXPECT_ERROR(ShapeError, good.set_state({{"output/h", Tensor({1, 5})}}), "found f32[1, 5]");
}

}  // namespace
}  // namespace soma
