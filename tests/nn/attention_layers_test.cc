// The layers of transformers: text, agreement with the functions they are made of, gradients,
// masks, shared tables, streaming, and a network that learns.
#include <gmock/gmock.h>

#include <array>

#include "soma/attention.h"
#include "soma/generate.h"
#include "soma/gradcheck.h"
#include "soma/network.h"
#include "soma/normalization.h"
#include "soma/stream.h"
#include "soma/train.h"
#include "src/base/philox.h"
#include "tests/expect_error.h"
#include "tests/nn/evaluate.h"
#include "tests/nn/on_device.h"

namespace soma::test {

namespace {

// The network over points, on a device, with its own weights.
Tensor run_net(const Network& net, const Tensor& x, const Device& device = Device::cpu(1)) {
  return net.predict(x, device);
}

Tensor token_rows(const Shape& shape, int64_t count, uint64_t seed = 1) {
  Tensor x(shape);
  Random random(seed);
  for (int64_t i = 0; i < x.elements(); ++i) {
    x.set(i, static_cast<double>(random.below(static_cast<uint64_t>(count))));
  }
  return x;
}

void expect_gradients(const std::string& text, const Tensor& point) {
  const Network net = Network::parse(text);
  const auto result =
      gradcheck([&](Graph& graph, auto in) { return net.build(graph, cast(in[0], f32)); },
                {{point}}, {.directions = 1});
  EXPECT_TRUE(result.passed) << text << ": " << result.message;
}

// One step of `x` [batch, time, …] after the other through the streaming program.
void expect_streaming_gives_the_bits(Network net, const Tensor& x, int64_t steps = 1) {
  const Tensor whole = run_net(net, x);
  const int64_t batch = x.shape()[0], time = x.shape()[1], width = whole.shape().back();
  Plan plan = compile(net.streaming_graph(batch, steps), Device::cpu(1));
  net.bind(plan);
  for (int64_t t = 0; t < time; t += steps) {
    const Tensor now =
        run([&](Graph&, auto in) { return slice_axis(in[0], 1, t, t + steps); }, {{x}});
    plan.bind("input", now.raw());
    plan.run();
    const Tensor y = plan.output("output").copy();
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t s = 0; s < steps; ++s) {
        for (int64_t d = 0; d < width; ++d) {
          ASSERT_EQ(y.at((b * steps + s) * width + d), whole.at((b * time + t + s) * width + d))
              << net.text() << " step " << t + s << " number " << d;
        }
      }
    }
  }
}

}  // namespace

TEST(AttentionLayers, ReadWhatTheyWrite) {
  for (const std::string text :
       {"input 5, embedding 7 4 pad=0 mask=true, positions learned, encoder 2, pool_steps",
        "input 5, embedding 7 4, decoder 2 hidden=8 activation=swiglu norm_kind=rms_norm "
        "positions=rotary kv_heads=1 bias=false context=5 from=embedding1, unembedding 7 "
        "share=embedding1",
        "input 5x4, attention 2 causal=true positions=alibi window=3 cap=5, feed_forward 8 geglu",
        "input 3x4x6, patches 2x3, class_token, 8 per_step=true, encoder 4 norm=post, pool_steps "
        "first",
        "input 5, embedding_bag 7 4 max, 3", "input 5, one_hot 4, experts 3 8 top=1 relu",
        "input 4, 3 frozen=all name=base, low_rank 3 2 from=input, add from=base+low_rank1"}) {
    const Network net = Network::parse(text);
    EXPECT_EQ(Network::parse(net.text()), net) << net.text();
    EXPECT_EQ(net.text().find("bias=true"), std::string::npos) << net.text();
  }
  const Network made{input({5}), embedding(7, 4), decoder(2, 8, gelu).with("context", 5)};
  EXPECT_EQ(made.text(), "input 5, embedding 7 4, decoder 2 8 context=5");
}

TEST(AttentionLayers, AttentionIsTheFunctionOfItsArrays) {
  Network net = Network::parse(
      "input 6x8, attention 4 kv_heads=2 causal=true positions=rotary window=4 cap=3 name=a");
  net.initialize(3);
  const Tensor x = irregular({2, 6, 8}, 1, 1, f32);
  std::vector<Tensor> points{x};
  for (const char* name :
       {"query", "key", "value", "output", "query_bias", "key_bias", "value_bias", "output_bias"}) {
    Tensor& array = net.tensors().at(std::string("a/") + name);
    if (std::string_view(name).ends_with("_bias")) array = irregular(array.shape(), 3, 1, f32);
    points.push_back(array);
  }
  const Tensor wanted = run_on(
      Device::cpu(1),
      [](Graph&, auto in) {
        MultiHeadOptions options{.heads = 4, .kv_heads = 2, .turn = true};
        options.attention = {.causal = true, .window = 4, .cap = 3};
        return multi_head_attention(in[0], in[0],
                                    {.query = in[1],
                                     .key = in[2],
                                     .value = in[3],
                                     .output = in[4],
                                     .query_bias = in[5],
                                     .key_bias = in[6],
                                     .value_bias = in[7],
                                     .output_bias = in[8]},
                                    options);
      },
      points);
  EXPECT_EQ(run_net(net, x), wanted);
}

TEST(AttentionLayers, ABlockIsItsParts) {
  for (const bool pre : {true, false}) {
    Network net = Network::parse(std::string("input 5x4, encoder 2 hidden=6 swiglu name=e norm=") +
                                 (pre ? "pre" : "post"));
    net.initialize(5);
    Tensors& w = net.tensors();
    const Tensor x = irregular({1, 5, 4}, 1, 1, f32);
    std::vector<Tensor> points{x};
    const auto at = [&](const char* name) {
      points.push_back(w.at(std::string("e/") + name));
      return points.size() - 1;
    };
    const size_t q = at("self_query"), k = at("self_key"), v = at("self_value"),
                 o = at("self_output"), up = at("feed_up"), down = at("feed_down");
    const Tensor wanted = run(
        [&](Graph&, auto in) {
          const MultiHeadWeights weights{in[q], in[k], in[v], in[o]};  // biases start at 0
          const auto attend = [&](Value h) {
            return multi_head_attention(h, h, weights, {.heads = 2});
          };
          const auto feed = [&](Value h) { return matmul(swiglu(matmul(h, in[up])), in[down]); };
          if (pre) {
            const Value h = in[0] + attend(layer_norm(in[0]));
            return h + feed(layer_norm(h));
          }
          const Value h = layer_norm(in[0] + attend(in[0]));
          return layer_norm(h + feed(h));
        },
        points);
    EXPECT_EQ(w.at("e/feed_up").shape(), (Shape{4, 12}));  // with the gate
    expect_near(numbers(run_net(net, x)), numbers(wanted), 2e-6);
  }
}

TEST(AttentionLayers, GradientsToSecondOrder) {
  const Tensor x = irregular({2, 3, 4}, 1, 1, f32);
  expect_gradients("input 3x4, attention 2 kv_heads=1 causal=true positions=rotary", x);
  expect_gradients("input 3x4, encoder 2 hidden=5 tanh positions=alibi", x);
  expect_gradients("input 3x4, decoder 1 hidden=3 swiglu norm=post norm_kind=rms_norm", x);
  expect_gradients("input 3x4, positions learned, experts 3 4 top=2 tanh", x);
  expect_gradients("input 3x4, class_token, pool_steps, low_rank 3 2", x);
  expect_gradients("input 3x4, decoder 2 hidden=4 name=m, decoder 2 hidden=4 tanh from=input+m", x);
  const Tensor t =
      Tensor::of({2, 3}, std::vector<int32_t>{1, 0, 4, 3, 3, 1});  // no pad: it gets no gradient
  expect_gradients(
      "input 3, embedding 5 4 pad=2 mask=true scale=2, encoder 2 hidden=4, unembedding 5 bias=true "
      "share=embedding1",
      t);
  expect_gradients("input 3, embedding_bag 5 4 pad=2", t);
}

TEST(AttentionLayers, CpuAgreesWithTheInterpreter) {
  const Network net = Network::parse(
      "input 9, embedding 11 12 pad=0 mask=true, positions, encoder 3 kv_heads=1 window=4, decoder "
      "2 positions=rotary, experts 3 10, unembedding 11 share=embedding1");
  const Tensor x = token_rows({4, 9}, 11);
  expect_near(numbers(run_net(net, x, Device::cpu(2))),
              numbers(run_net(net, x, Device::reference())), 2e-5);
}

// ---------------------------------------------------------------- masks

TEST(AttentionLayers, PaddingChangesNothing) {
  for (const std::string pool : {"mean", "max", "first", "last"}) {
    const std::string rest =
        ", embedding 9 8 pad=0 mask=true, encoder 2, encoder 2 positions=rotary, class_token, "
        "pool_steps " +
        pool;
    const Network longer = Network::parse("input 6" + rest);
    Network shorter = Network::parse("input 4" + rest);
    shorter.tensors() = longer.tensors();
    const Tensor padded = Tensor::of({1, 6}, std::vector<float>{3, 1, 4, 1, 0, 0});
    const Tensor plain = Tensor::of({1, 4}, std::vector<float>{3, 1, 4, 1});
    expect_near(numbers(run_net(longer, padded)), numbers(run_net(shorter, plain)), 2e-6, pool);
  }
}

TEST(AttentionLayers, CrossAttentionLeavesOutThePaddingOfItsMemory) {
  const auto text = [](int64_t source) {
    return "input " + std::to_string(source) +
           " name=source, input 3 name=target, embedding 9 8 pad=0 mask=true name=s from=source, "
           "embedding 9 8 name=t from=target, encoder 2 name=memory from=s, decoder 2 name=d "
           "from=t+memory, attention 2 from=d+memory, unembedding 9";
  };
  const Network longer = Network::parse(text(5));
  Network shorter = Network::parse(text(3));
  shorter.tensors() = longer.tensors();
  const Tensor target = Tensor::of({1, 3}, std::vector<float>{2, 7, 5});
  const Tensor padded = Tensor::of({1, 5}, std::vector<float>{3, 1, 4, 0, 0});
  const Tensor plain = Tensor::of({1, 3}, std::vector<float>{3, 1, 4});
  const Tensors with = longer.predict({{"source", padded}, {"target", target}});
  const Tensors without = shorter.predict({{"source", plain}, {"target", target}});
  expect_near(numbers(with.begin()->second), numbers(without.begin()->second), 2e-6);
}

// ---------------------------------------------------------------- streaming

TEST(AttentionLayers, StreamingGivesTheBitsOfTheWholeSequence) {
  const Tensor x = token_rows({2, 12}, 17);
  for (const std::string block :
       {"positions sinusoidal, decoder 2 context=12, decoder 2 context=12 swiglu "
        "norm_kind=rms_norm",
        "positions learned most=12, decoder 4 kv_heads=2 norm=post context=12",
        "decoder 2 positions=rotary context=12, decoder 2 positions=alibi window=5 context=12",
        "attention 2 causal=true context=12, feed_forward, experts 3 16"}) {
    const Network net =
        Network::parse("input 12, embedding 17 16, " + block + ", unembedding 17 share=embedding1");
    expect_streaming_gives_the_bits(net, x);
    expect_streaming_gives_the_bits(net, x, 3);
  }
}

TEST(AttentionLayers, StreamingLeavesOutPaddedSteps) {
  const Tensor x = token_rows({2, 12}, 4);
  for (const std::string first : {"embedding 4 8 pad=3 mask=true", "masking 3, embedding 4 8"}) {
    const Network net = Network::parse("input 12, " + first +
                                       ", decoder 2 positions=rotary context=12, attention 2 "
                                       "causal=true context=12, unembedding 4");
    expect_streaming_gives_the_bits(net, x);
    expect_streaming_gives_the_bits(net, x, 4);
  }
}

TEST(AttentionLayers, AWindowIsContextEnough) {
  Network net =
      Network::parse("input 10x8, decoder 2 window=3 positions=rotary, decoder 4 window=4");
  const Tensor x = irregular({1, 10, 8}, 1, 1, f32), whole = run_net(net, x);
  for (const int64_t steps : {1, 2}) {
    Plan plan = compile(net.streaming_graph(1, steps), Device::cpu(1));
    net.bind(plan);
    for (int64_t t = 0; t < 10; t += steps) {
      plan.bind("input", x.data<float>().data() + t * 8);
      plan.run();
      const Tensor y = plan.output("output").copy();
      for (int64_t d = 0; d < steps * 8; ++d) EXPECT_NEAR(y.at(d), whole.at(t * 8 + d), 1e-5);
    }
  }
}

// One sequence of a batch begins anew while the other goes on.
TEST(AttentionLayers, AStreamIsResetSequenceBySequence) {
  const Network net = Network::parse(
      "input 6, embedding 9 8, positions, decoder 2 positions=rotary context=6, unembedding 9");
  Stream both(net, 2), fresh(net, 1);
  const std::vector<std::array<float, 2>> before{{1, 2}, {3, 4}, {5, 6}}, after{{7, 8}, {0, 1}};
  for (const auto& tokens : before) both.step(tokens);
  both.reset(1);
  for (const auto& tokens : after) {
    const Tensor y = both.step(tokens).copy();
    const Tensor alone = fresh.step(std::span(tokens).subspan(1)).copy();
    for (int64_t i = 0; i < 9; ++i) EXPECT_EQ(y.at(9 + i), alone.at(i));
  }
}

TEST(AttentionLayers, SayWhyTheyCannotStream) {
  const auto stream = [](const char* text) { return Network::parse(text).streaming_graph(1, 1); };
  EXPECT_ERROR(ShapeError, stream("input 5x4, encoder 2"), "\"encoder1\"", "causal=true");
  EXPECT_ERROR(ShapeError, stream("input 5x4, decoder 2"), "needs context=…, at least 1");
  EXPECT_ERROR(ShapeError, stream("input 5x4, positions learned"), "most=…");
  EXPECT_ERROR(ShapeError, stream("input 5x4, pool_steps"), "cannot stream");
}

// ---------------------------------------------------------------- the others

TEST(AttentionLayers, ATiedTableIsOneArray) {
  const Network net = Network::parse("input 3, embedding 5 4 name=e, unembedding 5 share=e");
  EXPECT_EQ(net.tensors().size(), 1u);
  EXPECT_EQ(net.info().parameters, 20);
  const Tensor y = run_net(net, Tensor::of({1, 3}, std::vector<float>{4, 0, 1}));
  const Tensor& table = net.tensors().at("e/table");
  double wanted = 0;
  for (int64_t d = 0; d < 4; ++d) wanted += table.at(16 + d) * table.at(8 + d);
  EXPECT_NEAR(y.at(2), wanted, 1e-9);  // the first token, 4, against row 2
}

TEST(AttentionLayers, PatchesAreRowsOfPixelsByChannel) {
  Tensor image({1, 2, 4, 6});
  for (int64_t i = 0; i < image.elements(); ++i) image.set(i, static_cast<double>(i));
  const Tensor y = run_net(Network::parse("input 2x4x6, patches 2x3"), image);
  ASSERT_EQ(y.shape(), (Shape{1, 4, 12}));
  for (int64_t p = 0; p < 4; ++p) {
    for (int64_t i = 0; i < 12; ++i) {
      const int64_t channel = i / 6, row = p / 2 * 2 + i / 3 % 2, column = p % 2 * 3 + i % 3;
      EXPECT_EQ(y.at(p * 12 + i), static_cast<double>((channel * 4 + row) * 6 + column));
    }
  }
}

TEST(AttentionLayers, ExpertsAreTheBestOfTheGateWeighted) {
  Network net = Network::parse("input 3, experts 4 5 top=2 tanh name=e");
  net.initialize(2);
  const Tensor x = irregular({6, 3}, 1, 2, f32), y = run_net(net, x);
  const auto w = [&](const char* name, int64_t i) {
    return net.tensors().at(std::string("e/") + name).at(i);
  };
  for (int64_t row = 0; row < 6; ++row) {
    std::vector<std::pair<double, int64_t>> gate;
    for (int64_t e = 0; e < 4; ++e) {
      double logit = 0;
      for (int64_t d = 0; d < 3; ++d) logit += x.at(row * 3 + d) * w("gate", d * 4 + e);
      gate.push_back({-logit, e});
    }
    std::sort(gate.begin(), gate.end());
    const double first = std::exp(-gate[0].first), second = std::exp(-gate[1].first);
    for (int64_t d = 0; d < 3; ++d) {
      double wanted = 0;
      for (size_t i = 0; i < 2; ++i) {
        const int64_t e = gate[i].second;
        double out = 0;
        for (int64_t h = 0; h < 5; ++h) {
          double sum = 0;
          for (int64_t c = 0; c < 3; ++c) sum += x.at(row * 3 + c) * w("up", (e * 3 + c) * 5 + h);
          out += std::tanh(sum) * w("down", (e * 5 + h) * 3 + d);
        }
        wanted += out * (i == 0 ? first : second) / (first + second);
      }
      EXPECT_NEAR(y.at(row * 3 + d), wanted, 1e-5);
    }
  }
}

TEST(AttentionLayers, LowRankStartsAtNothing) {
  const Tensor y = run_net(Network::parse("input 4, low_rank 3 2"), irregular({2, 4}, 1, 1, f32));
  EXPECT_EQ(y.shape(), (Shape{2, 3}));
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(y.at(i), 0);
}

TEST(AttentionLayers, MistakesAreSaid) {
  const auto net = [](const char* text) { return Network::parse(text); };
  EXPECT_ERROR(ShapeError, net("input 5x6, attention 4"),
               "4 heads, which do not divide the width 6");
  EXPECT_ERROR(ShapeError, net("input 5x6, attention 3 kv_heads=2"), "3 heads and 2 key");
  EXPECT_ERROR(ShapeError, net("input 5, attention 3"), "[time, features]");
  EXPECT_ERROR(ArgumentError, net("input 5x6, attention 3 positions=relative"),
               "none or rotary or alibi");
  EXPECT_ERROR(ShapeError, net("input 5x6, attention 2 positions=rotary"), "\"attention1\"",
               "even");
  EXPECT_ERROR(ShapeError, net("input 3x5x6, patches 2"), "do not fill them");
  EXPECT_ERROR(ShapeError, net("input 5, embedding 3 4 mask=true"), "needs pad=…");
}

// Each step names the token before it: only attention to the step before can know.
TEST(AttentionLayers, ATransformerLearnsToLookBack) {
  constexpr int64_t rows = 256, time = 8, tokens = 6;
  Dataset data;
  data.inputs = token_rows({rows, time}, tokens);
  data.targets = Tensor({rows, time}, i32);
  for (int64_t i = 0; i < rows * time; ++i) {
    data.targets.set(i, i % time ? data.inputs.at(i - 1) : -1);  // -1: counts for nothing
  }
  for (const std::string blocks : {", decoder 2 32 positions=rotary dropout=0.05",
                                   ", positions learned, decoder 2 32 kv_heads=1"}) {
    Network net = Network::parse("input 8, embedding 6 16" + blocks + ", unembedding 6");
    const History history = fit(net, data,
                                {.loss = cross_entropy(),
                                 .optimizer = adam(1e-2),
                                 .epochs = 12,
                                 .batch = 32,
                                 .seed = 1,
                                 .device = Device::cpu(1)});
    EXPECT_LT(history.epochs.back().loss, 0.3) << blocks;
    EXPECT_GT(history.epochs.front().loss, 0.9);
  }
}

}  // namespace soma::test
