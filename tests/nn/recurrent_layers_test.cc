// The recurrent layers: what they count, their text, words, masks, random numbers, messages.
#include <gmock/gmock.h>

#include "soma/gradcheck.h"
#include "soma/gradient.h"
#include "soma/network.h"
#include "soma/recurrent.h"
#include "tests/expect_error.h"
#include "tests/nn/evaluate.h"

namespace soma {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Every recurrent kind in a small size, over [5, 3] unless it wants images.
const std::vector<std::string> kinds{
    "rnn 4",
    "rnn(4 [tanh relu*3])",
    "lstm 4",
    "lstm(4 peephole=true projection=2)",
    "gru 4",
    "gru(4 reset=before)",
    "jordan(4 2)",
    "mgu 4",
    "indrnn 4",
    "mingru 4",
    "minlstm 4",
    "sru 3",
    "qrnn 4",
    "ltc 4",
    "cfc 4",
    "reservoir 4",
    "bidirectional [gru 4]",
};

Tensor ramp(const Shape& shape) {
  Tensor x(shape);
  for (int64_t i = 0; i < x.elements(); ++i) x.set(i, static_cast<double>(i % 7) / 4 - 0.7);
  return x;
}

TEST(RecurrentLayers, CountNeuronsAndLinks) {
  const auto info = [](const std::string& layer) {
    return Network::parse("input 5x3, " + layer).info().layers[0];
  };
  EXPECT_EQ(info("rnn 4").links, 3 * 4 + 4 * 4);
  EXPECT_EQ(info("lstm 4").links, 4 * (3 * 4 + 4 * 4));
  EXPECT_EQ(info("gru 4").links, 3 * (3 * 4 + 4 * 4));
  EXPECT_EQ(info("lstm(4 peephole=true projection=2)").links, 4 * (3 * 4 + 2 * 4) + 3 * 4 + 4 * 2);
  EXPECT_EQ(info("bidirectional [gru 4]").links, 2 * 3 * (3 * 4 + 4 * 4));
  EXPECT_EQ(info("bidirectional [gru 4]").neurons, 8);
  EXPECT_EQ(info("bidirectional [gru 4]").output, Shape{8});
  EXPECT_EQ(info("reservoir 4").links, 0);
  EXPECT_EQ(info("reservoir 4").parameters, 0);
  EXPECT_EQ(info("jordan(4 2)").neurons, 6);
  EXPECT_EQ(info("indrnn 4").links, 3 * 4 + 4);
  for (const char* layer : {"rnn 4", "lstm 4", "gru 4"}) EXPECT_EQ(info(layer).neurons, 4);
  EXPECT_EQ(info("gru 4").parameters, 3 * (3 * 4 + 4 * 4) + 3 * 4 + 4);
  EXPECT_EQ(info("lstm(4 returns=all)").output, (Shape{5, 4}));
  EXPECT_EQ(info("lstm(4 projection=2)").output, Shape{2});
  EXPECT_EQ(Network::parse("input 5, lstm 4").info().layers[0].links, 4 * (4 + 4 * 4));
  EXPECT_EQ(Network::parse("input 6x2x5x5, conv_lstm(3 returns=all)").output_shape(),
            (Shape{6, 3, 5, 5}));
}

TEST(RecurrentLayers, ReadTheirTextBack) {
  for (const std::string& kind : kinds) {
    const Network net = Network::parse("input 5x3, " + kind + ", 2");
    EXPECT_EQ(Network::parse(net.text()), net) << net.text();
  }
  EXPECT_EQ(Layer(lstm(8, tanh).with("returns", "all")).text(), "lstm 8 returns=all");
  EXPECT_EQ(Network({input({5, 3}), gru(4), dense(2)}), Network::parse("input 5x3, gru 4, 2"));
  EXPECT_EQ(Network({input({5, 3}), bidirectional(LayerArgument(gru(4)), "add")}).text(),
            Network::parse("input 5x3, bidirectional([gru 4] add)").text());
}

TEST(RecurrentLayers, LastIsTheLastOfAll) {
  const Tensor x = ramp({2, 5, 3});
  for (const std::string& kind : kinds) {
    Layer layer = Network::parse("input 5x3, " + kind).layers()[0];
    if (!layer.has_argument("returns")) continue;
    Network last{input({5, 3}), layer};
    Network all{input({5, 3}), layer.with("returns", "all")};
    last.initialize(1);
    all.initialize(1);
    const Tensor a = last.predict(x), b = all.predict(x);
    const int64_t n = a.shape()[1];
    for (int64_t i = 0; i < a.elements(); ++i) {
      EXPECT_EQ(a.at(i), b.at((i / n * 5 + 4) * n + i % n)) << kind;
    }
  }
}

TEST(RecurrentLayers, BidirectionalIsBothDirectionsJoined) {
  Network both = Network::parse("input 5x3, bidirectional([lstm(4 returns=all)])");
  both.initialize(3);
  const Tensor x = ramp({2, 5, 3}), joined = both.predict(x);
  for (const bool reverse : {false, true}) {
    Network one{input({5, 3}), lstm(4).with("returns", "all").with("reverse", reverse).named("a")};
    for (auto& [name, tensor] : one.tensors()) {
      const std::string there = name.substr(2);
      tensor = both.tensors().at((reverse ? "output/backward/" : "output/forward/") + there);
    }
    const Tensor y = one.predict(x);
    for (int64_t i = 0; i < y.elements(); ++i) {
      EXPECT_EQ(y.at(i), joined.at(i / 4 * 8 + (reverse ? 4 : 0) + i % 4));
    }
  }
}

// Padding at the end changes nothing: the layer behind, and the one behind that.
TEST(RecurrentLayers, MaskingSkipsPadding) {
  const std::string layers = ", masking, bidirectional([gru(4 returns=all)]), lstm 3";
  Network padded = Network::parse("input 6x2" + layers),
          exact = Network::parse("input 4x2" + layers);
  padded.initialize(5);
  exact.initialize(5);
  Tensor x = ramp({1, 6, 2}), shorter({1, 4, 2});
  for (int64_t i = 0; i < 8; ++i) shorter.set(i, x.at(i));
  for (int64_t i = 8; i < 12; ++i) x.set(i, 0);
  EXPECT_EQ(padded.predict(x), exact.predict(shorter));
  x.set(9, 1);  // A step with one number that counts.
  EXPECT_FALSE(padded.predict(x) == exact.predict(shorter));
  // Sequences of single numbers, and another value.
  Network numbers = Network::parse("input 4, masking(-1), rnn 2");
  numbers.initialize(1);
  EXPECT_EQ(numbers.predict(Tensor::of({1, 4}, {1, 2, -1, -1})),
            numbers.predict(Tensor::of({1, 4}, {-1, 1, -1, 2})));
}

TEST(RecurrentLayers, AStateIsNoSequence) {
  // Five units behind five steps: the mask of the steps does not belong to the units.
  Graph graph;
  const Network net = Network::parse("input 5x3, masking, gru 5, masking(7), rnn 2");
  EXPECT_NO_THROW(net.build(graph, graph.input("x", {2, 5, 3})));
  const Network other = Network::parse("input 5x3, masking, gru 5, rnn 2");
  const Network plain = Network::parse("input 5x3, masking, gru 5, rnn 2 name=r");
  EXPECT_EQ(other.info().flops, plain.info().flops);
  size_t selects = 0;
  Graph last;
  (void)other.build(last, last.input("x", {2, 5, 3}));
  for (const Node& node : last.nodes()) {
    if (node.op != Op::scan) continue;
    for (const Node& inner : node.as<ScanAttr>().body->nodes()) selects += inner.op == Op::select;
  }
  EXPECT_EQ(selects, 1u);  // of the gru alone
}

TEST(RecurrentLayers, DropoutAndTruncationActInTrainingAlone) {
  const auto built = [](const std::string& layer, BuildMode mode) {
    Graph graph;
    const Network net = Network::parse("input 5x3, " + layer);
    const Value x = graph.input("x", {2, 5, 3});
    const Value key = graph.input("key", {2}, i64);
    graph.output("y", net.build(graph, x, {.mode = mode, .key = key}));
    return print(graph);
  };
  for (const char* wish : {"truncate=2", "recurrent_dropout=0.5"}) {
    const std::string layer = std::string("gru(4 ") + wish + ")";
    EXPECT_EQ(built(layer, BuildMode::inference), built("gru 4", BuildMode::inference)) << wish;
    EXPECT_NE(built(layer, BuildMode::training), built("gru 4", BuildMode::training)) << wish;
  }
  EXPECT_THAT(built("gru(4 recurrent_dropout=0.5)", BuildMode::training), HasSubstr("rng"));
}

// Factors are 0 or 1 / (1 - p), one for each sample and unit: with h·U = h·I they are seen.
TEST(RecurrentLayers, DropoutIsOneFactorPerSampleAndUnit) {
  Graph graph;
  Network net = Network::parse("input 3x1, rnn(64 identity recurrent_dropout=0.25 returns=all)");
  const Value x = graph.input("x", {8, 3, 1}), key = graph.input("key", {2}, i64);
  const Value y = net.build(graph, x, {.mode = BuildMode::training, .key = key});
  Tensors data{{"x", Tensor({8, 3, 1})}, {"key", Tensor::of<int64_t>({2}, {1, 2})}};
  for (int64_t b = 0; b < 8; ++b) data["x"].set(3 * b, 1);  // an impulse
  for (const auto& [name, tensor] : net.tensors()) {
    Tensor& array = data[name] = Tensor(tensor.shape());
    const bool square = tensor.shape().rank() == 2 && tensor.shape()[0] == 64;
    for (int64_t i = 0; i < array.elements(); ++i) {
      array.set(i, name == "output/weights" || (square && i % 65 == 0) ? 1 : 0);
    }
  }
  const Tensor out = test::evaluate(graph, y, data);
  double kept = 0;
  for (int64_t b = 0; b < 8; ++b) {
    for (int64_t u = 0; u < 64; ++u) {
      const double factor = out.at((b * 3 + 1) * 64 + u);
      EXPECT_TRUE(factor == 0 || std::abs(factor - 4.0 / 3) < 1e-6) << factor;
      EXPECT_NEAR(out.at((b * 3 + 2) * 64 + u), factor * factor, 1e-6);
      kept += factor > 0;
    }
  }
  EXPECT_NEAR(kept / 512, 0.75, 0.08);
}

TEST(RecurrentLayers, GradientsThroughLayers) {
  for (const std::string& layers :
       {std::string("bidirectional([gru(2 returns=all)] average), rnn 2"),
        std::string("masking, lstm(2 returns=all), dense(2 per_step=true)")}) {
    const Network net = Network::parse("input 3x2, " + layers);
    const auto result =
        gradcheck([&](Graph& graph, std::span<const Value> in) { return net.build(graph, in[0]); },
                  std::vector{ramp({2, 3, 2})}, {.directions = 1});
    EXPECT_TRUE(result) << layers << ": " << result.message;
  }
}

TEST(RecurrentLayers, AReservoirStaysAsItIs) {
  Network net = Network::parse("input 5x3, reservoir(16 radius=0.5), 2");
  net.initialize(1);
  const Tensor& u = net.tensors().at("hidden1/recurrent");
  double length = 0;
  for (int64_t i = 0; i < 16; ++i) length += u.at(i) * u.at(i);
  EXPECT_NEAR(length, 0.25, 1e-6);
  Graph graph;
  (void)net.build(graph, graph.input("x", {1, 5, 3}), {.mode = BuildMode::training});
  EXPECT_TRUE(graph.updates().empty());
  EXPECT_EQ(graph[graph.find_input("hidden1/recurrent").id()].as<InputAttr>().kind,
            InputKind::state);
}

TEST(RecurrentLayers, SeveralSourcesLieSideBySide) {
  const Network net = Network::parse("input 5x3 name=a, input 5x2 name=b, gru(4) name=g from=a+b");
  EXPECT_EQ(net.tensors().at("g/weights").shape(), (Shape{5, 12}));
}

TEST(RecurrentLayers, AreRefusedInSentences) {
  const auto parse = [](const char* layers) { return Network::parse(layers); };
  EXPECT_ERROR(ShapeError, parse("input 2x3x4, lstm 4"), "takes samples [time, features]");
  EXPECT_ERROR(ShapeError, parse("input 5x3, conv_lstm 4"), "[time, channels, …space]");
  EXPECT_ERROR(ShapeError, parse("input 5x3, bidirectional [8]"), "one recurrent layer");
  EXPECT_ERROR(ShapeError, parse("input 5x3, bidirectional [gru 4, gru 4]"), "one recurrent layer");
  EXPECT_ERROR(ArgumentError, parse("input 5x3, lstm(4 returns=some)"), "one of last, all");
  EXPECT_ERROR(ArgumentError, parse("input 5x3, gru(4 reset=never)"), "one of after, before");
  EXPECT_ERROR(ArgumentError, parse("input 5x3, bidirectional([gru 4] max)"),
               "one of concat, add, mul, average");
  EXPECT_ERROR(ShapeError, parse("input 5x3, lstm(4 gate=[tanh sigmoid])"), "where it takes one");
  EXPECT_ERROR(ArgumentError, parse("input 5x3, rnn(4 recurrent_dropout=1)"), "recurrent_dropout");
  EXPECT_ERROR(ArgumentError, parse("input 5x3, rnn(3 [tanh relu])"), "2 activation functions");
}

}  // namespace
}  // namespace soma
