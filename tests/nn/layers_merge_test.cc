// Layers that join sources, blocks around a shortcut, and changes of shape, against numbers by
// hand.
#include "tests/expect_error.h"
#include "tests/nn/network_function.h"

namespace soma::test {

namespace {

std::vector<double> results(const std::string& text, const Tensor& x) {
  return numbers(result_of(Network::parse(text), x));
}
using List = std::vector<double>;

}  // namespace

TEST(MergeLayers, JoinElementByElement) {
  // a = [1 2], b = [4 2] of the same input.
  const std::string two = "input 4, slice 0 2 name=a, slice 2 4 from=input name=b, ";
  const Tensor x = Tensor::of({1, 4}, {1, 2, 4, 2});
  EXPECT_EQ(results(two + "multiply from=a+b", x), (List{4, 4}));
  EXPECT_EQ(results(two + "subtract from=a+b", x), (List{-3, 0}));
  EXPECT_EQ(results(two + "average from=a+b", x), (List{2.5, 2}));
  EXPECT_EQ(results(two + "maximum from=a+b", x), (List{4, 2}));
  EXPECT_EQ(results(two + "minimum from=a+b", x), (List{1, 2}));
  EXPECT_EQ(results(two + "average from=a+b+a", x)[0], 2);
  EXPECT_EQ(results(two + "dot_product from=a+b", x), (List{8}));
  EXPECT_NEAR(results(two + "dot_product cosine=true from=a+b", x)[0], 8 / std::sqrt(5 * 20), 1e-6);
  EXPECT_EQ(results(two + "concat from=b+a", x), (List{4, 2, 1, 2}));
}

TEST(MergeLayers, ConcatAlongChannels) {
  const Tensor x = points({2, 3, 2}, 0, f32);
  const std::string text = "input 3x2, slice 1 3 name=tail, concat 1 from=tail+input";
  const Network net = Network::parse(text);
  EXPECT_EQ(net.output_shape(), (Shape{5, 2}));
  const Tensor y = result_of(net, x);
  EXPECT_EQ(y.at(0), x.at(2));
  EXPECT_EQ(y.at(4), x.at(0));
  EXPECT_EQ(y.at(10), x.at(8));
}

TEST(MergeLayers, ChannelsTimesAFactorEach) {
  // Extents of 1 stretch: one factor for each channel.
  const std::string text = "input 2x3, slice 0 1 axis=2 name=factor, multiply from=input+factor";
  EXPECT_EQ(results(text, Tensor::of({1, 2, 3}, {2, 3, 4, -1, 5, 6})), (List{4, 6, 8, 1, -5, -6}));
}

TEST(MergeLayers, HaveGradientsAndRunOnTheCpu) {
  const std::string two = "input 5x2, slice 0 2 name=a, slice 2 4 from=input name=b, ";
  for (const std::string merge :
       {"multiply", "subtract", "average", "maximum", "minimum", "dot_product",
        "dot_product cosine=true axis=1", "concat 2", "concat"}) {
    expect_sound_network(two + merge + " from=a+b");
  }
  for (const std::string layer :
       {"columns [3 0 1] axis=1", "slice -4 -1 step=2", "permute [2 1]", "flatten, repeat_vector 3",
        "rescaling 2 shift=0.5", "rescaling [1 2 3 4 5] 0.5", "rescaling 2 [1 -1] -1",
        "clip -0.5 0.7", "residual [rescaling 2, batch_norm]",
        "residual [flatten, 4] shortcut=[flatten, 4] activation=tanh", "highway [rescaling 0.5]",
        "highway [dynamic_tanh] gate=[rescaling 2]", "gated [rescaling 3] [slice 1 2 axis=2]"}) {
    expect_sound_network("input 5x2, " + layer);
  }
}

TEST(MergeLayers, PlacesAndShapes) {
  const Tensor x = Tensor::of({1, 4}, {10, 11, 12, 13});
  EXPECT_EQ(results("input 4, columns [3 0 1 1]", x), (List{13, 10, 11, 11}));
  EXPECT_EQ(results("input 4, slice 1", x), (List{11, 12, 13}));
  EXPECT_EQ(results("input 4, slice -3 -1", x), (List{11, 12}));
  EXPECT_EQ(results("input 4, slice 0 0 2", x), (List{10, 12}));
  EXPECT_EQ(results("input 4, repeat_vector 2, flatten", x),
            (List{10, 11, 12, 13, 10, 11, 12, 13}));
  EXPECT_EQ(results("input 2x2, permute [2 1], flatten", Tensor::of({1, 2, 2}, {1, 2, 3, 4})),
            (List{1, 3, 2, 4}));
  EXPECT_EQ(results("input 4, rescaling 0.5 -1", x), (List{4, 4.5, 5, 5.5}));
  EXPECT_EQ(results("input 4, rescaling [1 2 0 -1] [0 1 0 0]", x), (List{10, 23, 0, -13}));
  const Tensor two = Tensor::of({1, 2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(results("input 2x2, rescaling [1 10] 1", two), (List{2, 3, 31, 41}));
  EXPECT_EQ(results("input 2x2, rescaling 1 [0 5] axis=2", two), (List{1, 7, 3, 9}));
  EXPECT_EQ(results("input 2x2, rescaling [1 10] [0 5] axis=-1", two), (List{1, 25, 3, 45}));
  EXPECT_EQ(Layer::parse("rescaling([2] [0])").text(), "rescaling 2");
  EXPECT_EQ(results("input 4, clip 10.5 12", x), (List{10.5, 11, 12, 12}));
}

TEST(Blocks, AreTheirFormulas) {
  const Tensor x = Tensor::of({1, 2}, {1, -2});
  EXPECT_EQ(results("input 2, residual [rescaling 3]", x), (List{4, -8}));
  EXPECT_EQ(results("input 2, residual [rescaling 3] activation=relu", x), (List{4, 0}));
  EXPECT_EQ(results("input 2, residual [rescaling 3] shortcut=[rescaling 0.5]", x),
            (List{3.5, -7}));
  const double t = 1 / (1 + std::exp(1.0));  // the gate's weights are zero, its bias -1
  Network highway_net = Network::parse("input 2, highway [rescaling 3] name=h");
  highway_net.tensors().at("h/gate/weights") = Tensor({2, 2});
  expect_near(numbers(result_of(highway_net, x)), {1 + t * 2, -2 - t * 4}, 1e-6);
  const auto sigmoid_of = [](double v) { return 1 / (1 + std::exp(-v)); };
  expect_near(results("input 2, gated [rescaling 3] [rescaling 2]", x),
              {3 * sigmoid_of(2), -6 * sigmoid_of(-4)}, 1e-6);
  const Network nested{input({3}), residual({dense(4, relu), batch_norm(), dense(3)}), dense(2)};
  EXPECT_EQ(nested.text(), "input 3, residual [4 relu, batch_norm, 3], 2");
  EXPECT_EQ(nested.tensors().count("residual1/batch_norm1/running_mean"), 1u);
}

TEST(MergeLayers, SayWhatDoesNotFit) {
  const auto parse = [](const std::string& text) { (void)Network::parse(text); };
  const std::string two = "input 5, slice 0 2 name=a, slice 2 5 from=input name=b, ";
  EXPECT_ERROR(ShapeError, parse(two + "multiply from=a+b name=m"), "\"m\"", "[1, 2]", "[1, 3]");
  EXPECT_ERROR(ShapeError, parse("input 3x2, rescaling [1 2]"), "list of 2 numbers", "3 places");
  EXPECT_ERROR(ShapeError, parse(two + "subtract from=a+a+a"), "two sources", "3");
  EXPECT_ERROR(ShapeError, parse("input 5x2, slice 0 2 name=a, concat 2 from=a+input"), "[1, 2, 2]",
               "[1, 5, 2]", "axis 2");
  EXPECT_ERROR(ShapeError, parse("input 3, residual [4]"), "[1, 4]", "[1, 3]", "shortcut");
  EXPECT_ERROR(ShapeError, parse("input 3, highway [4]"), "keep the shape");
  EXPECT_ERROR(ShapeError, parse("input 3, columns [0 3]"), "place 3", "0 to 2");
  EXPECT_ERROR(ShapeError, parse("input 3, columns [0.5]"), "whole numbers", "0.5");
  EXPECT_ERROR(ShapeError, parse("input 3, slice 2 1"), "from 2 up to 1");
  EXPECT_ERROR(ShapeError, parse("input 3x2, permute [1 1]"), "[1 1]");
  EXPECT_ERROR(ShapeError, parse("input 3, clip 2 1"), "wrong way");
}

}  // namespace soma::test
