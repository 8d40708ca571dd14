// The layers over [channels, spatial…]: text, shapes, counts, values, gradients, refusals.
#include <gmock/gmock.h>

#include <cmath>

#include "soma/model.h"
#include "soma/network.h"
#include "tests/nn/spatial.h"
#include "tests/temporary_folder.h"

namespace soma::test {

namespace {

using ::testing::HasSubstr;

/// The graph of the network with all arrays as inputs, on the CPU and the interpreter, and the
/// gradients of all arrays and of the data against finite differences.
void expect_right(const std::string& text) {
  SCOPED_TRACE(text);
  const Network net = Network::parse(text);
  GradCheckOptions options;
  options.directions = 1;
  Shape shape{2};
  for (const int64_t extent : net.sample_shape()) shape.push_back(extent);
  const Tensor point = random_tensor(shape, 7).cast(f32);  // as the arrays; checked in f64
  const auto result =
      gradcheck([&](Graph& graph, std::span<const Value> in) { return net.build(graph, in[0]); },
                std::span(&point, 1), options);
  EXPECT_TRUE(result) << result.message;
  expect_cpu_agrees(net.inference_graph(3), 1, 1e-4);
}

}  // namespace

TEST(SpatialLayers, HaveRightValuesAndGradients) {
  for (const std::string text :
       {"input 2x7, conv1d 3 3 tanh padding=same, max_pool 2, 2",
        "input 5x6, conv2d 2 3 tanh stride=2 padding=1, conv2d 4 2 groups=2, global_avg_pool, 2",
        "input 2x3x4x3, conv3d 2 2 sigmoid dilation=1x2x1, 2",
        "input 2x5x5, depthwise_conv 3 tanh multiplier=2 padding=same, avg_pool 2 ceil_mode=true",
        "input 2x5x5, separable_conv 3 3 tanh multiplier=2 stride=2x1, lp_pool 2 p=3",
        "input 2x3x3, conv_transpose 2 3 tanh stride=2 padding=1 output_padding=1, crop 1/0x2",
        "input 2x4x4, locally_connected 3 2 tanh stride=2, 2",
        "input 5x3, causal_conv 4 3 tanh dilation=2, 2",
        "input 4x3x3, squeeze_excite 2 tanh, global_lp_pool",
        "input 2x5x4, pad 1x2/0x1 reflect, adaptive_avg_pool 3x2, global_max_pool keep=true",
        "input 4x2x3, pixel_shuffle, upsample 1.5 linear, resize 3x4, pixel_unshuffle 1",
        "input 6x4, channel_shuffle 3, permute [2 1], adaptive_max_pool 3"}) {
    expect_right(text);
  }
}

TEST(SpatialLayers, ReadWhatTheyWrite) {
  for (const std::string text :
       {"input 28x28, conv2d 8 3x5 relu stride=2 padding=same, max_pool 2, 10",
        "input 3x8x8, conv2d 8 padding=1x2/0x1 groups=1, 10",
        "input 3x8x8, conv_transpose 4 2 stride=2, pad 1 replicate, upsample 2x3 cubic, 2",
        "input 3x8x8, avg_pool 3 stride=2 count_padding=true padding=1, global_avg_pool, 2",
        "input 4x8, channel_shuffle 2, permute [2 1], causal_conv 3 2 relu dilation=4, 2"}) {
    const Network net = Network::parse(text);
    EXPECT_EQ(Network::parse(net.text()), net) << text;
  }
  const Network described{input({28, 28}), conv2d(8, {3, 5}, relu).with("padding", "same"),
                          max_pool(2).with("stride", {1, 2}), global_avg_pool(), dense(10)};
  EXPECT_EQ(
      described.text(),
      "input 28x28, conv2d 8 3x5 relu padding=same, max_pool stride=1x2, global_avg_pool, 10");
  EXPECT_EQ(Network::parse(described.text()), described);
}

TEST(SpatialLayers, CountWhatTheyHave) {
  // LeNet-5 with average pooling, as it is mostly written: 61,706 parameters.
  const Network net = Network::parse(
      "input 32x32, conv2d 6 5 tanh, avg_pool 2, conv2d 16 5 tanh, avg_pool 2, "
      "conv2d 120 5 tanh, 84 tanh, 10");
  EXPECT_EQ(net.info().parameters, 61706);
  const auto& layers = net.info().layers;
  EXPECT_EQ(layers[0].output, (Shape{6, 28, 28}));
  EXPECT_EQ(layers[0].neurons, 6 * 28 * 28);
  EXPECT_EQ(layers[0].links, 6 * 28 * 28 * 25);
  EXPECT_EQ(layers[1].output, (Shape{6, 14, 14}));
  EXPECT_EQ(layers[2].links, 16 * 10 * 10 * 25 * 6);
  EXPECT_EQ(layers[4].output, (Shape{120, 1, 1}));
  EXPECT_THAT(layers[0].tensors, ::testing::ElementsAre("hidden1/weights", "hidden1/bias"));
}

TEST(SpatialLayers, LinksArePairsOfAnElementAndAPlace) {
  const auto links = [](const std::string& text) {
    return Network::parse(text).info().layers[0].links;
  };
  EXPECT_EQ(links("input 5, conv1d 1 3 padding=same"), 2 + 3 + 3 + 3 + 2);
  EXPECT_EQ(links("input 4x5, conv1d 6 3 groups=2 padding=same"), 13 * 2 * 6);
  EXPECT_EQ(links("input 7, conv1d 1 3 stride=2 padding=1"), 2 + 3 + 3 + 2);
  EXPECT_EQ(links("input 7, conv1d 1 3 stride=2 dilation=2 padding=2"), 2 + 3 + 3 + 2);
  EXPECT_EQ(links("input 2x3x3, depthwise_conv 2 multiplier=3"), 2 * 3 * 4 * 4);
  EXPECT_EQ(links("input 2x3x3, separable_conv 5 2 multiplier=3"), 2 * 3 * 4 * 4 + 4 * 6 * 5);
  EXPECT_EQ(links("input 2x3, conv_transpose 5 3"), 9 * 2 * 5);
  EXPECT_EQ(links("input 2x3, conv_transpose 1 3 padding=1"), 7 * 2);
  EXPECT_EQ(links("input 2x3x3, locally_connected 5 2"), 4 * 4 * 2 * 5);
  EXPECT_EQ(links("input 4x2, causal_conv 3 2"), (1 + 2 + 2 + 2) * 2 * 3);
  EXPECT_EQ(links("input 8x2x2, squeeze_excite 4"), 2 * 2 * 8);
}

TEST(SpatialLayers, StartAsDenseLayersDo) {
  const auto start = [](const std::string& text, const std::string& array) {
    Graph graph;
    const Network net = Network::parse(text);
    Shape shape{1};
    for (const int64_t extent : net.sample_shape()) shape.push_back(extent);
    (void)net.build(graph, graph.input("input", shape));
    return graph.find_input(array).node().as<InputAttr>().init;
  };
  EXPECT_EQ(start("input 3x8x8, conv2d 4 3 relu", "output/weights"), "he_uniform");
  EXPECT_EQ(start("input 3x8x8, conv2d 4 3 tanh", "output/weights"), "glorot_uniform");
  EXPECT_EQ(start("input 3x8x8, conv2d 4 3 weights=orthogonal", "output/weights"), "orthogonal");
  EXPECT_EQ(start("input 3x8x8, conv2d 4 3 bias_start=0.5", "output/bias"), "0.5");
  // In groups the shape does not tell how many links leave: 9 enter, 9 · 2 leave.
  const double limit = std::sqrt(6.0 / (9 + 18));
  EXPECT_EQ(start("input 3x8x8, depthwise_conv 3 multiplier=2", "output/weights"),
            cat("uniform(low=", number(-limit), " high=", number(limit), ")"));
}

TEST(SpatialLayers, ActivationsBelongToTheChannels) {
  Network net = Network::parse("input 2x4x4, conv2d 3 3 [relu tanh identity] padding=same");
  EXPECT_EQ(net.info().layers[0].output, (Shape{3, 4, 4}));
  Network plain = Network::parse("input 2x4x4, conv2d 3 3 padding=same");
  net.initialize(3), plain.initialize(3);
  plain.tensors() = net.tensors();
  const Tensor x = random_tensor({1, 2, 4, 4}, 1).cast(f32);
  const Tensor found = net.predict(x), sums = plain.predict(x);
  for (int64_t i = 0; i < 48; ++i) {
    const double s = sums.at(i);
    const double wanted = i < 16 ? std::max(s, 0.0) : i < 32 ? std::tanh(s) : s;
    EXPECT_NEAR(found.at(i), wanted, 1e-6) << i;
  }
  const auto shape_of = [](const std::string& text, const std::string& array) {
    Network of = Network::parse(text);
    return of.tensors().at(array).shape();
  };
  EXPECT_EQ(shape_of("input 2x4x4, conv2d 3 3 prelu(learned)", "output/prelu_a"), Shape{3});
  EXPECT_EQ(Network::parse("input 2x4x4, conv2d 6 3 glu").info().output, (Shape{3, 2, 2}));
}

TEST(SpatialLayers, JoinTheChannelsOfTheirSources) {
  const Network net =
      Network::parse("input 2x6x6, conv2d 3 3 padding=same name=a, conv2d 4 3 from=a+input name=b");
  EXPECT_EQ(net.info().layers[1].input, (Shape{5, 6, 6}));
  EXPECT_EQ(net.info().layers[1].output, (Shape{4, 4, 4}));
}

TEST(SpatialLayers, AreSavedAndRead) {
  const TemporaryFolder folder;
  Network net = Network::parse(
      "input 8x8, conv2d 4 3 relu padding=same, max_pool 2, squeeze_excite 2, "
      "separable_conv 6 3 prelu, global_avg_pool, 3");
  net.initialize(5);
  save(net, folder / "net.soma");
  Network back = load(folder / "net.soma");
  EXPECT_EQ(back, net);
  const Tensor x = random_tensor({2, 8, 8}, 1).cast(f32);
  EXPECT_TRUE(back.predict(x) == net.predict(x));
}

TEST(CausalConv, StreamsTheSameBits) {
  Network net = Network::parse("input 9x3, causal_conv 4 3 tanh dilation=2, causal_conv 2 2");
  net.initialize(2);
  const Tensor x = random_tensor({1, 9, 3}, 1).cast(f32);
  const Tensor whole = net.predict(x);
  for (const int64_t steps : {1, 3}) {
    const Graph graph = net.streaming_graph(1, steps);
    Plan plan = compile(graph, Device::cpu(1));
    Tensors arrays = net.tensors();
    for (const Id id : graph.inputs()) {
      const auto& array = graph[id].as<InputAttr>();
      if (array.kind == InputKind::state)
        arrays.emplace(array.name, Tensor(array.shape, array.type));
    }
    plan.bind(arrays);
    for (int64_t t = 0; t < 9; t += steps) {
      const auto in = plan.input<float>("input");
      for (int64_t i = 0; i < steps * 3; ++i) {
        in[static_cast<size_t>(i)] = x.data<float>()[static_cast<size_t>(t * 3 + i)];
      }
      plan.run();
      const Tensor out = plan.output("output").copy();
      for (int64_t i = 0; i < steps * 2; ++i) EXPECT_EQ(out.at(i), whole.at(t * 2 + i)) << t;
    }
  }
}

TEST(SpatialLayers, SayWhatDoesNotFit) {
  const auto said = [](const std::string& text) -> std::string {
    try {
      Network::parse(text);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_THAT(said("input 28x28, conv2d 8 31"),
              AllOf(HasSubstr("layer \"output\""), HasSubstr("a window of 31 elements"),
                    HasSubstr("has only 28")));
  EXPECT_THAT(said("input 3x8x8, conv2d 4 groups=2"),
              HasSubstr("3 channels and 4 filters, which do not divide into 2 groups"));
  EXPECT_THAT(said("input 8, conv2d 4"), HasSubstr("takes samples with 2 spatial axes"));
  EXPECT_THAT(said("input 8, max_pool 2"), HasSubstr("takes samples [channels, spatial…]"));
  EXPECT_THAT(said("input 3x8x8, conv2d 4 3x3x3"), HasSubstr("\"3x3x3\" has 3 numbers for 2 axes"));
  EXPECT_THAT(said("input 3x8x8, conv2d 4 padding=full"),
              HasSubstr("needs valid, same, same_lower, causal, or numbers"));
  EXPECT_THAT(said("input 3x8x8, conv2d 4 padding=causal"), HasSubstr("causal padding is for one"));
  EXPECT_THAT(said("input 3x8x8, conv2d 4 3 [relu tanh]"),
              HasSubstr("2 activation functions for 4 filters"));
  EXPECT_THAT(said("input 3x8x8, conv2d 4 from=a+b, 2"), HasSubstr("there is no layer \"a\""));
  EXPECT_THAT(said("input 8x8, conv2d 2 name=a, conv2d 4 from=a+input"),
              HasSubstr("only channels of equal extents can be joined"));
  EXPECT_THAT(said("input 3x8x8, pad same"), HasSubstr("needs the numbers of elements"));
  EXPECT_THAT(said("input 3x8x8, pad 9 reflect"), HasSubstr("reflect padding of 9 elements"));
  EXPECT_THAT(said("input 3x8x8, pad 1 mirror"), HasSubstr("symmetric, replicate or circular"));
  EXPECT_THAT(said("input 3x8x8, crop 4"), HasSubstr("leaves nothing"));
  EXPECT_THAT(said("input 3x8x8, pixel_shuffle 2"), HasSubstr("3 channels do not divide"));
  EXPECT_THAT(said("input 3x8x8, upsample two"), HasSubstr("a number, or one for each axis"));
  EXPECT_THAT(said("input 3x8x8, max_pool 2 stride=two"), HasSubstr("the word size"));
  EXPECT_THAT(said("input 3x8x8, causal_conv 2"), HasSubstr("takes sequences [time, features]"));
  EXPECT_THAT(said("input 3x8x8, conv2d 99999999999 999999"), HasSubstr("layer \"output\""));
  const Network net = Network::parse("input 3x8, conv1d 4 3");
  EXPECT_ERROR(ShapeError, (void)net.streaming_graph(1, 1), "cannot stream");
}

}  // namespace soma::test
