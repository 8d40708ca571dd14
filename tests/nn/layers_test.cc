// Layers and networks as descriptions: text, names, links, counts, refusals.
#include "soma/layers.h"

#include <gmock/gmock.h>

#include <sstream>

#include "soma/error.h"
#include "soma/network.h"

namespace soma {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// The message of the `E` that `run` throws.
template <class E, class F>
std::string message(F&& run) {
  try {
    run();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("another exception: ") + error.what();
  }
  return "no exception";
}

std::vector<std::string> names(const Network& net) {
  std::vector<std::string> result;
  for (const LayerInfo& layer : net.info().layers) result.push_back(layer.name);
  return result;
}

// ---- text

TEST(LayerText, ReadsWhatItWrites) {
  for (const std::string text :
       {"input 28x28, 128 relu, 10", "input 4, 3 [relu tanh sigmoid], 1",
        "input 784, 64 tanh name=h, 10 from=input+h", "input 5, 8 leaky_relu(a=0.2), softmax",
        "input 2x3, flatten, reshape 3x2, 4 bias=false, 2",
        "input 3, 5 relu weights=he_normal bias_start=0.1 frozen=all, 2 frozen=0+1",
        "input 4, 4 name=a, add from=a+input, concat from=a+input, 2",
        "input 6, 4 [relu*3 tanh], 1", "input 1, 1"}) {
    const Network net = Network::parse(text);
    EXPECT_EQ(net.text(), text);
    EXPECT_EQ(Network::parse(net.text()), net);
  }
}

TEST(LayerText, ShortAndLongFormsAreTheSame) {
  const Network net{input({28, 28}), dense(128, relu), dense(10)};
  for (const std::string text :
       {"input(28x28), dense(units=128 activation=relu), dense(10)", "28x28,128 relu,10",
        "input shape=28x28\n128 activation=relu\ndense 10 identity",
        " 28x28 , dense(128, relu) , 10 name=output"}) {
    EXPECT_EQ(Network::parse(text).text(), net.text()) << text;
  }
  EXPECT_EQ(Network::parse("128 relu, 10", Shape{28, 28}).text(), net.text());
}

TEST(LayerText, NamesArePrintedWhereTheyAreNotTheUsualOnes) {
  const Network net{input({2}), dense(3, tanh).named("hidden2"), dense(2), dense(1).named("y")};
  EXPECT_THAT(names(net), ElementsAre("hidden2", "hidden1", "y"));
  EXPECT_EQ(Network::parse(net.text()).text(), net.text());
  EXPECT_THAT(names(Network::parse(net.text())), ElementsAre("hidden2", "hidden1", "y"));
}

TEST(LayerText, AListOfActivationsStandsForAsManyNeurons) {
  EXPECT_EQ(Network::parse("4, [relu tanh]", Shape{2}).text(), "input 2, 4, 2 [relu tanh]");
}

TEST(LayerText, RefusesWhatItCannotRead) {
  const auto said = [](std::string text) {
    return message<ArgumentError>([&] { Network::parse(text, Shape{4}); });
  };
  EXPECT_THAT(said(""), HasSubstr("empty"));
  EXPECT_THAT(said("128 rleu, 10"), AllOf(HasSubstr("\"128 rleu\""), HasSubstr("relu")));
  EXPECT_THAT(said("dens(5)"), HasSubstr("did you mean \"dense\""));
  EXPECT_THAT(said("128 rleu, 10"), HasSubstr("did you mean \"relu\""));
  EXPECT_THAT(said("3.5"), HasSubstr("whole number"));
  EXPECT_THAT(said("5 relu tanh 7 8 9 10"), HasSubstr("layer 1"));
  EXPECT_THAT(said("5 colour=red"), HasSubstr("colour"));
  EXPECT_THAT(said("5 name=1st"), HasSubstr("is no name"));
  EXPECT_THAT(said("5 name=input"), HasSubstr("is no name"));
  EXPECT_THAT(said("5 frozen=x"), HasSubstr("no neuron"));
  EXPECT_THAT(said("5 frozen=-1"), HasSubstr("\"-1\" is no neuron"));
  EXPECT_THAT(said("reshape 3xx4"), HasSubstr("shape like 28x28"));
  EXPECT_THAT(said("[relu*0]"), HasSubstr("'*'"));
  EXPECT_THAT(said("[]"), HasSubstr("empty"));
  EXPECT_THAT(said("name=x"), HasSubstr("kind of layer"));
  EXPECT_THAT(said("5 weights=he_nromal"), HasSubstr("he_normal"));
  EXPECT_THAT(said("9999999999999999999999"), HasSubstr("whole number"));
  EXPECT_THAT(said("(((("), HasSubstr("layer 1"));
}

TEST(LayerText, HugeCountsAreRefusedBeforeAnythingIsAllocated) {
  EXPECT_THAT(message<ShapeError>([] { Network::parse("4000000000000000000", Shape{4}); }),
              HasSubstr("no memory"));
  EXPECT_THAT(message<ArgumentError>([] { Network::parse("100000000000", Shape{8}); }),
              HasSubstr("MiB"));
  EXPECT_THAT(message<ShapeError>([] { Network::parse("input 4000000000x4000000000x8, 2"); }),
              HasSubstr("input"));
  std::string lists = "1";
  for (int i = 0; i < 100; ++i) lists += ", [relu*1000000]";
  EXPECT_THAT(message<ArgumentError>([&] { Network::parse(lists, Shape{1}); }),
              HasSubstr("activation functions"));
}

// ---- structure

TEST(NetworkStructure, CountsAgreeWithTheHand) {
  // 784·128 + 128·10 links; one bias for each of the 138 neurons.
  const Network net{input({28, 28}), flatten(), dense(128, relu), dense(10)};
  const NetworkInfo& info = net.info();
  EXPECT_EQ(info.parameters, 101'770);
  EXPECT_EQ(info.links, 101'632);
  EXPECT_EQ(info.neurons, 138);
  EXPECT_EQ(info.layer_count, 2);
  EXPECT_EQ(info.parameter_bytes, 4 * 101'770);
  EXPECT_EQ(info.activation_bytes, 4 * (784 + 128 + 10));
  EXPECT_EQ(info.input, (Shape{28, 28}));
  EXPECT_EQ(info.output, (Shape{10}));
  // A multiply-add is two; then one addition for each bias, and relu as comparison and choice.
  EXPECT_EQ(info.flops, 2 * 101'632 + 138 + 2 * 128);
  EXPECT_THAT(names(net), ElementsAre("flatten1", "hidden1", "output"));
  EXPECT_EQ(info.layers[1].input, (Shape{784}));
  EXPECT_THAT(info.layers[1].tensors, ElementsAre("hidden1/weights", "hidden1/bias"));
}

TEST(NetworkStructure, FlattenIsImplied) {
  const Network net{input({28, 28}), dense(128, relu), dense(10)};
  EXPECT_EQ(net.info().parameters, 101'770);
}

TEST(NetworkStructure, LinksThatSkipLayers) {
  const Network net{input({3}), dense(4, tanh).named("h"), dense(2).from({"input", "h"})};
  EXPECT_EQ(net.info().links, 3 * 4 + (3 + 4) * 2);
  EXPECT_EQ(net.tensors().at("output/weights").shape(), (Shape{7, 2}));
  EXPECT_EQ(net.text(), "input 3, 4 tanh name=h, 2 from=input+h");
}

TEST(NetworkStructure, ResidualAdd) {
  const Network net{input({4}), dense(4, tanh).named("h"), add().from({"h", "input"}), dense(1)};
  EXPECT_EQ(net.info().layers[1].output, (Shape{4}));
  EXPECT_EQ(net.info().layers[1].name, "add1");
}

TEST(NetworkStructure, NeuronsOfOneLayerAreNotLinked) {
  Network net{input({3}), dense(4).named("h"), dense(2)};
  EXPECT_THAT(message<GraphError>([&] { net.connect("h:1", "h:2"); }),
              AllOf(HasSubstr("layer \"h\": neurons of one layer are not linked to each other"),
                    HasSubstr("layers_test.cc:")));
  EXPECT_THAT(message<GraphError>([&] { net.connect("h", "h"); }),
              HasSubstr("not linked to each other"));
  EXPECT_THAT(message<GraphError>([] {
                const Network loop{input({3}), dense(4).named("h").from({"h"})};
              }),
              AllOf(HasSubstr("not linked to each other"), HasSubstr("layers_test.cc:")));
}

TEST(NetworkStructure, RefusedLinksNameTheLayer) {
  Network net{input({3}), dense(4).named("a"), dense(4).named("b"), dense(2)};
  EXPECT_THAT(message<GraphError>([&] { net.connect("output", "a"); }), HasSubstr("later layer"));
  EXPECT_THAT(message<GraphError>([&] { net.connect("a", "b"); }), HasSubstr("already"));
  EXPECT_THAT(message<GraphError>([&] { net.connect("a:1", "output:0"); }),
              HasSubstr("whole layers are linked"));
  EXPECT_THAT(message<ArgumentError>([&] { net.connect("a", "outputs"); }),
              HasSubstr("did you mean \"output\""));
  EXPECT_THAT(message<GraphError>([] {
                const Network wrong{input({3}), dense(4).from({"b"}), dense(2).named("b")};
              }),
              AllOf(HasSubstr("layer \"hidden1\""), HasSubstr("later layer \"b\"")));
  EXPECT_THAT(message<GraphError>([] {
                const Network wrong{input({3}), dense(4).from({"inptu"}), dense(2)};
              }),
              HasSubstr("did you mean \"input\""));
  EXPECT_THAT(message<GraphError>([] {
                const Network wrong{input({3}), dense(4).named("a"), dense(2).named("a")};
              }),
              HasSubstr("two layers are named \"a\""));
}

TEST(NetworkStructure, ErrorsNameLayerAndPlace) {
  const int line = __LINE__ + 2;
  const std::string said = message<ShapeError>([] {
    const Network net{input({3}), dense(4).named("h"), add().named("sum").from({"h", "input"})};
  });
  EXPECT_THAT(said, HasSubstr("layer \"sum\""));
  EXPECT_THAT(said, HasSubstr("(layers_test.cc:" + std::to_string(line) + ")"));
  EXPECT_THAT(message<ShapeError>([] {
                const Network net{input({3}), reshape_to({2, 2})};
              }),
              AllOf(HasSubstr("layer \"reshape1\""), HasSubstr("3 numbers"), HasSubstr("[2, 2]")));
  EXPECT_THAT(message<ShapeError>([] {
                const Network net{input({3}), dense(0)};
              }),
              HasSubstr("layer \"output\": has 0 neurons"));
  EXPECT_THAT(message<GraphError>([] {
                const Network net{dense(3), dense(2)};
              }),
              HasSubstr("first layer of a network is its input"));
  EXPECT_THAT(message<ShapeError>([] {
                const Network net{input({3}), Layer::parse("dense(3 [relu tanh])")};
              }),
              HasSubstr("3 neurons but 2 activation functions"));
  EXPECT_THAT(message<ShapeError>([] {
                const Network net{input({3}), dense({softmax, relu})};
              }),
              HasSubstr("several neurons at once"));
}

TEST(NetworkStructure, ConnectKeepsWhatTheNetworkComputes) {
  Network net{input({3}), dense(4, tanh).named("h"), dense(2)};
  net.initialize(5);
  const Tensor before = net.tensors().at("output/weights");
  net.connect("input", "output");
  const Tensor& after = net.tensors().at("output/weights");
  EXPECT_EQ(after.shape(), (Shape{7, 2}));
  for (int64_t i = 0; i < after.elements(); ++i) {
    EXPECT_EQ(after.at(i), i < before.elements() ? before.at(i) : 0) << i;
  }
  EXPECT_EQ(net.text(), "input 3, 4 tanh name=h, 2 from=h+input");
}

TEST(NetworkStructure, SummaryShowsCountsAndShapes) {
  const Network net{input({28, 28}), dense(128, relu), dense(10)};
  std::ostringstream out;
  net.summary(out);
  for (const char* part : {"hidden1", "100,480", "relu", "[28, 28]", "2 layers, 138 neurons",
                           "101,632 links", "101,770 parameters (397.5 KiB)", "not counted"}) {
    EXPECT_THAT(out.str(), HasSubstr(part));
  }
}

// ---- weights

TEST(NetworkWeights, SameSeedSameBits) {
  Network a{input({3}), dense(4, relu), dense(2)}, b = a;
  a.initialize(7);
  b.initialize(7);
  EXPECT_EQ(a, b);
  b.initialize(8);
  EXPECT_FALSE(a == b);
}

TEST(NetworkWeights, FreshUntilTouched) {
  Network net{input({3}), dense(2)};
  EXPECT_TRUE(net.fresh());
  const Network copy = net;
  EXPECT_TRUE(copy.fresh());
  net.neuron("output", 0).set_bias(1);
  EXPECT_FALSE(net.fresh());
}

TEST(NetworkWeights, MasksOfFrozenNeurons) {
  Network net{input({2}), dense(3).named("h"), dense(1)};
  EXPECT_TRUE(net.masks().empty());
  net.freeze("h", 1);
  const Tensors masks = net.masks();
  EXPECT_EQ(masks.size(), 2u);
  EXPECT_EQ(masks.at("h/weights"), Tensor::of(Shape{2, 3}, {1, 0, 1, 1, 0, 1}));
  EXPECT_EQ(masks.at("h/bias"), Tensor::of(Shape{3}, {1, 0, 1}));
  EXPECT_EQ(net.text(), "input 2, 3 name=h frozen=1, 1");
  net.freeze("h");
  EXPECT_EQ(net.masks().at("h/bias"), Tensor(Shape{3}));
  net.unfreeze("h", 2);
  EXPECT_EQ(net.masks().at("h/bias"), Tensor::of(Shape{3}, {0, 0, 1}));
  net.unfreeze("h");
  EXPECT_TRUE(net.masks().empty());
  EXPECT_THAT(message<ArgumentError>([&] { net.freeze("h", 3); }), HasSubstr("no neuron 3"));
}

// ---- neurons

TEST(NeuronHandle, ReadsAndChangesItsOwnPart) {
  Network net{input({2}), dense(3, relu).named("h"), dense(1)};
  Neuron neuron = net.neuron("h", 1);
  neuron.set_weights(std::vector<float>{0.5f, -2});
  neuron.set_bias(3);
  EXPECT_THAT(neuron.weights(), ElementsAre(0.5f, -2.0f));
  EXPECT_EQ(neuron.weight(1), -2);
  EXPECT_EQ(net.tensors().at("h/weights").at(1), 0.5);
  EXPECT_EQ(net.tensors().at("h/weights").at(4), -2);
  EXPECT_EQ(net.tensors().at("h/bias").at(1), 3);
  EXPECT_THAT(neuron.links(), ElementsAre("input:0", "input:1"));
  EXPECT_EQ(neuron.activation().text(), "relu");
}

TEST(NeuronHandle, ItsActivationIsItsOwn) {
  Network net{input({2}), dense(3, relu).named("h"), dense(1)};
  net.initialize(3);
  const Tensors before = net.tensors();
  net.neuron("h", 1).set_activation(tanh);
  EXPECT_EQ(net.text(), "input 2, 3 [relu tanh relu] name=h, 1");
  EXPECT_EQ(net.neuron("h", 0).activation().text(), "relu");
  EXPECT_EQ(net.neuron("h", 1).activation().text(), "tanh");
  EXPECT_EQ(net.tensors(), before);
  net.neuron("h", 1).set_activation(relu);
  EXPECT_EQ(net.text(), "input 2, 3 relu name=h, 1");
}

TEST(NeuronHandle, LearnedParametersStayWithTheirNeurons) {
  Network net{input({2}), dense(3, prelu("learned")).named("h"), dense(1)};
  ASSERT_EQ(net.tensors().count("h/prelu_a"), 1u);
  for (int i = 0; i < 3; ++i) net.tensors().at("h/prelu_a").set(i, i + 1);
  net.neuron("h", 0).set_activation(tanh);
  EXPECT_EQ(net.tensors().at("h/neurons1-2/prelu_a"), Tensor::of(Shape{2}, {2, 3}));
}

TEST(NeuronHandle, RefusesWhatIsNotThere) {
  Network net{input({2}), flatten(), dense(3, relu, {.bias = false}), dense(1)};
  EXPECT_THAT(message<ArgumentError>([&] { net.neuron("hidden1", 3); }), HasSubstr("0 to 2"));
  EXPECT_THAT(message<ArgumentError>([&] { net.neuron("hidden", 0); }),
              HasSubstr("did you mean \"hidden1\""));
  EXPECT_THAT(message<ArgumentError>([&] { net.neuron("flatten1", 0); }), HasSubstr("no neurons"));
  EXPECT_FALSE(net.neuron("hidden1", 0).has_bias());
  EXPECT_THAT(message<ArgumentError>([&] { net.neuron("hidden1", 0).bias(); }),
              HasSubstr("no bias"));
  EXPECT_THAT(message<ArgumentError>([&] { net.neuron("output", 0).set_bias(INFINITY); }),
              HasSubstr("finite"));
  EXPECT_THAT(message<ArgumentError>([&] { net.neuron("output", 0).weight(3); }),
              HasSubstr("no link 3"));
  EXPECT_THAT(
      message<ShapeError>([&] { net.neuron("output", 0).set_weights(std::vector<float>{1}); }),
      HasSubstr("3 links, found 1"));
}

// ---- the registry

Value build_scaled(LayerBuild& at, double by) { return at.in() * by; }

TEST(LayerRegistry, AFunctionAndARowAreALayer) {
  define_layer("scaled", build_scaled, "by=2", "The sample times a number.");
  const Network net = Network::parse("input 3, scaled 0.5, scaled, 2 relu");
  EXPECT_EQ(net.text(), "input 3, scaled 0.5, scaled, 2 relu");
  EXPECT_THAT(layer_documentation(),
              HasSubstr("| `scaled` | The sample times a number. | `by=2` |"));
  EXPECT_EQ((Network{input({3}), Layer("scaled", {0.5}), Layer("scaled"), dense(2, relu)}).text(),
            net.text());
}

TEST(LayerRegistry, EveryKindIsDocumented) {
  const std::string text = layer_documentation();
  for (const LayerRow& row : layer_kinds()) {
    EXPECT_THAT(text, HasSubstr("| `" + row.name + "` | "));
    EXPECT_FALSE(row.formula.empty()) << row.name;
  }
}

}  // namespace
}  // namespace soma
