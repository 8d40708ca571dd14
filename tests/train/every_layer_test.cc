// Every kind of layer, none forgotten: its text, its drawing, the CPU against the interpreter,
// gradients, training on any number of threads, and its model file. What each kind computes is
// tested with its family in tests/nn.
#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "soma/error.h"
#include "soma/gradcheck.h"
#include "soma/inspect.h"
#include "soma/model.h"
#include "soma/train.h"

namespace soma {
namespace {

/// A small network for each kind; what is behind the input may hold others, too.
const std::map<std::string, std::string> examples = {
    {"input", "input 3, 2"},
    {"dense", "input 3, 4 [tanh sigmoid*3], 2"},
    {"activation", "input 4, activation softmax"},
    {"flatten", "input 2x3, flatten, 2"},
    {"reshape", "input 6, reshape 2x3, layer_norm"},
    {"add", "input 3, 3 tanh name=a, add from=a+input"},
    {"concat", "input 2x3, dense 3 tanh per_step=true name=a, concat axis=1 from=a+input"},
    {"batch_norm", "input 3x4, batch_norm, 2"},
    {"batch_renorm", "input 3x4, batch_renorm, 2"},
    {"layer_norm", "input 5, layer_norm, 2"},
    {"rms_norm", "input 5, rms_norm, 2"},
    {"group_norm", "input 4x3, group_norm 2, 2"},
    {"instance_norm", "input 2x5, instance_norm, 2"},
    {"local_response_norm", "input 5x2x2, local_response_norm 3, 2"},
    {"unit_norm", "input 5, unit_norm, 2"},
    {"dynamic_tanh", "input 5, dynamic_tanh, 2"},
    {"weight_norm", "input 4, weight_norm [3 tanh], 2"},
    {"spectral_norm", "input 4, spectral_norm [3 tanh], 2"},
    {"weight_standardization", "input 4, weight_standardization [3 tanh], 2"},
    {"drop_connect", "input 4, drop_connect [3 tanh] rate=0.3, 2"},
    {"regularized", "input 4, regularized [3 tanh] weights=l2(0.1), 2"},
    {"activity_regularization", "input 4, 3 tanh, activity_regularization l1=0.1, 2"},
    {"dropout", "input 4, dropout 0.4, 2"},
    {"spatial_dropout", "input 4x3, spatial_dropout 0.4, 2"},
    {"alpha_dropout", "input 4, alpha_dropout 0.4, 2"},
    {"gaussian_dropout", "input 4, gaussian_dropout 0.4, 2"},
    {"gaussian_noise", "input 4, gaussian_noise 0.4, 2"},
    {"stochastic_depth", "input 4, stochastic_depth 0.4, 2"},
    {"multiply", "input 3, 3 tanh name=a, multiply from=a+input"},
    {"subtract", "input 3, 3 tanh name=a, subtract from=a+input"},
    {"average", "input 3, 3 tanh name=a, average from=a+input"},
    {"maximum", "input 3, 3 tanh name=a, maximum from=a+input"},
    {"minimum", "input 3, 3 tanh name=a, minimum from=a+input"},
    {"dot_product", "input 3, 3 tanh name=a, 3 tanh name=b from=input, dot_product from=a+b"},
    {"residual", "input 4, residual [3 tanh, 4] tanh, 2"},
    {"highway", "input 4, highway [4 tanh], 2"},
    {"gated", "input 4, gated [3 tanh] [3], 2"},
    {"gaussian_sample", "input 4, 6, gaussian_sample, 2"},
    {"columns", "input 5, columns [0 3], 2"},
    {"slice", "input 5, slice 1 4, 2"},
    {"permute", "input 2x3, permute [2 1], 2"},
    {"repeat_vector", "input 3, repeat_vector 2, 2"},
    {"rescaling", "input 3, rescaling 0.5 1, 2"},
    {"clip", "input 3, clip -0.4 0.5, 2"},
    {"conv1d", "input 2x7, conv1d 3 3 tanh, 2"},
    {"conv2d", "input 2x5x6, conv2d 3 3x2 tanh padding=same stride=2, 2"},
    {"conv3d", "input 3x4x3, conv3d 2 2 tanh, 2"},
    {"causal_conv", "input 6x2, causal_conv 3 2 tanh, 2"},
    {"depthwise_conv", "input 2x5x5, depthwise_conv 3, 2"},
    {"separable_conv", "input 2x5x5, separable_conv 3 3 tanh, 2"},
    {"conv_transpose", "input 2x3x3, conv_transpose 2 3 tanh stride=2, 2"},
    {"locally_connected", "input 2x4x4, locally_connected 2 3 tanh, 2"},
    {"squeeze_excite", "input 4x3x3, squeeze_excite 2, 2"},
    {"max_pool", "input 2x5x5, max_pool 3 stride=2, 2"},
    {"avg_pool", "input 2x5x5, avg_pool 2, 2"},
    {"lp_pool", "input 2x5x5, lp_pool 2, 2"},
    {"global_max_pool", "input 3x4x4, global_max_pool, 2"},
    {"global_avg_pool", "input 3x4x4, global_avg_pool, 2"},
    {"global_lp_pool", "input 3x4x4, global_lp_pool, 2"},
    {"adaptive_max_pool", "input 2x5x5, adaptive_max_pool 2, 2"},
    {"adaptive_avg_pool", "input 2x5x5, adaptive_avg_pool 3, 2"},
    {"pad", "input 2x4x4, pad 1 reflect, 2"},
    {"crop", "input 2x4x4, crop 1, 2"},
    {"upsample", "input 2x3x3, upsample 2 linear, 2"},
    {"resize", "input 2x3x3, resize 5x4, 2"},
    {"pixel_shuffle", "input 4x2x2, pixel_shuffle 2, 2"},
    {"pixel_unshuffle", "input 2x4x4, pixel_unshuffle 2, 2"},
    {"channel_shuffle", "input 4x3, channel_shuffle 2, 2"},
    {"embedding", "input 4, embedding 3 5, 2"},
    {"embedding_bag", "input 4, embedding_bag 3 5, 2"},
    {"unembedding", "input 4, embedding 3 5 name=table, unembedding 3 share=table"},
    {"table",
     "input 4, table [number(0.1 0.7 missing=true) date(3 2) one_hot(3) embedding(5 2)], 2"},
    {"one_hot", "input 4, one_hot 3, 2"},
    {"positions", "input 4x6, positions, 2"},
    {"attention", "input 4x6, attention 2, 2"},
    {"feed_forward", "input 4x6, feed_forward 5, 2"},
    {"encoder", "input 4x6, encoder 2, 2"},
    {"decoder", "input 4x6, decoder 2, 2"},
    {"experts", "input 4x3, experts 3 5, 2"},
    {"low_rank", "input 4, low_rank 3 2, 2"},
    {"patches", "input 1x4x4, patches 2, 2"},
    {"class_token", "input 4x3, class_token, 2"},
    {"pool_steps", "input 4x3, pool_steps, 2"},
    {"sparse", "input 3, sparse 2 [i0>0 i2>1] tanh, 2"},
    {"wired", "input 4x2, wired 3 [i0>0 i1>1 0>2 1>2 2~>0] tanh, 2"},
    {"rnn", "input 4x2, rnn 3, 2"},
    {"lstm", "input 4x2, lstm 3 peephole=true, 2"},
    {"gru", "input 4x2, gru 3, 2"},
    {"jordan", "input 4x2, jordan 3 2, 2"},
    {"mgu", "input 4x2, mgu 3, 2"},
    {"indrnn", "input 4x2, indrnn 3, 2"},
    {"mingru", "input 4x2, mingru 3, 2"},
    {"minlstm", "input 4x2, minlstm 3, 2"},
    {"sru", "input 4x2, sru 3, 2"},
    {"qrnn", "input 4x2, qrnn 3, 2"},
    {"ltc", "input 4x2, ltc 3, 2"},
    {"cfc", "input 4x2, cfc 3, 2"},
    {"reservoir", "input 4x2, reservoir 3, 2"},
    {"conv_lstm", "input 3x1x3x3, conv_lstm 2, 2"},
    {"bidirectional", "input 4x2, bidirectional [lstm 3], 2"},
    {"masking", "input 4x2, masking, gru 3, 2"},
};

bool takes_tokens(const Network& net) {
  const std::string first = net.layers()[0].kind();
  return first.starts_with("embedding") || first == "one_hot" || first == "table";
}

/// Numbers for a network: tokens where it looks up rows of a table.
Tensor batch_for(const Network& net, int64_t rows) {
  Shape shape{rows};
  for (const int64_t extent : net.sample_shape()) shape.push_back(extent);
  const bool tokens = takes_tokens(net);
  Tensor batch(shape);
  for (int64_t i = 0; i < batch.elements(); ++i) {
    batch.set(i, tokens ? static_cast<double>(i * 7 % 3) : std::sin(2.3 * static_cast<double>(i)));
  }
  return batch;
}

class EveryLayer : public testing::TestWithParam<std::string> {};

TEST_P(EveryLayer, HasTextADrawingAndAFile) {
  const std::string& text = examples.at(GetParam());
  Network net = Network::parse(text);
  net.initialize(3);
  Network read = Network::parse(net.text());
  EXPECT_EQ(read.text(), net.text());
  const bool plain = GetParam() == "input" || GetParam() == "dense";  // drawn as what they are
  EXPECT_THAT(draw_network(net), testing::HasSubstr(plain ? "data" : GetParam()));
  EXPECT_THAT(summary(net), testing::HasSubstr(net.layers().back().name()));
  const std::string path = testing::TempDir() + "every_layer_" + GetParam() + ".soma";
  save(net, path);
  EXPECT_EQ(load(path), net);
}

TEST_P(EveryLayer, GivesTheSameOnTheCpuAsInTheInterpreter) {
  Network net = Network::parse(examples.at(GetParam()));
  net.initialize(3);
  const Tensor x = batch_for(net, 3);
  const Tensor cpu = net.predict(x, Device::cpu(2)), meaning = net.predict(x, Device::reference());
  ASSERT_EQ(cpu.shape(), meaning.shape());
  for (int64_t i = 0; i < cpu.elements(); ++i) {
    ASSERT_TRUE(std::isfinite(cpu.at(i)));
    EXPECT_NEAR(cpu.at(i), meaning.at(i), 2e-5 * std::max(1.0, std::abs(meaning.at(i))));
  }
}

TEST_P(EveryLayer, HasGradients) {
  if (GetParam() == "spectral_norm") {
    GTEST_SKIP() << "its state must not start at 0, as states do here; see its own tests";
  }
  const Network net = Network::parse(examples.at(GetParam()));
  // Tokens have no gradient: as integers they are passed through unchecked.
  const Tensor x = batch_for(net, 2), points[] = {takes_tokens(net) ? x.cast(i32) : x};
  const auto result =
      gradcheck([&](Graph& graph, auto in) { return net.build(graph, cast(in[0], f32)); }, points,
                {.order = 1, .directions = 1});
  EXPECT_TRUE(result) << result.message;
}

TEST_P(EveryLayer, TrainsToTheSameBitsOnAnyNumberOfThreads) {
  std::vector<std::string> sums;
  for (const int threads : {1, 3}) {
    Network net = Network::parse(examples.at(GetParam()));
    net.initialize(3);
    const std::string before = weights_sha256(net);
    Tensor x = batch_for(net, 6);
    Shape shape{6};
    for (const int64_t extent : net.output_shape()) shape.push_back(extent);
    Tensor target(shape);
    for (int64_t i = 0; i < target.elements(); ++i) target.set(i, std::cos(static_cast<double>(i)));
    Dataset data;
    data.inputs = std::move(x);
    data.targets = std::move(target);
    if (net.info().parameters == 0) return;  // nothing to train
    fit(net, data,
        {.optimizer = adam(0.01),
         .epochs = 2,
         .batch = 3,
         .seed = 5,
         .device = Device::cpu(threads)});
    sums.push_back(weights_sha256(net));
    EXPECT_NE(sums.back(), before);
  }
  EXPECT_EQ(sums[0], sums[1]);
}

std::vector<std::string> all_kinds() {
  std::vector<std::string> names;
  for (const LayerRow& row : layer_kinds()) names.push_back(row.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(Kinds, EveryLayer, testing::ValuesIn(all_kinds()),
                         [](const auto& instance) { return instance.param; });

TEST(EveryLayerKind, HasAnExample) {
  for (const LayerRow& row : layer_kinds()) {
    const auto found = examples.find(row.name);
    ASSERT_NE(found, examples.end()) << "write a small network with the layer " << row.name;
    EXPECT_THAT(found->second, testing::HasSubstr(row.name == "dense" ? "4 [" : row.name));
  }
}

}  // namespace
}  // namespace soma
