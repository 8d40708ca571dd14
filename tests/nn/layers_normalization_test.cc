// Layers that normalize, and layers that change the weights of others: running statistics, what
// training and inference do, and the same through files.
#include <cstdio>

#include "soma/io.h"
#include "soma/model.h"
#include "soma/normalization.h"
#include "soma/regularizers.h"
#include "soma/train.h"
#include "tests/expect_error.h"
#include "tests/nn/network_function.h"

namespace soma::test {

namespace {

const Device one_thread = Device::cpu(1);

// All rows in one batch, without learning: what remains are the updates of states.
void run_steps(Network& net, const Dataset& rows, int steps) {
  fit(net, rows,
      {.loss = mean_squared_error(),
       .optimizer = sgd(0),
       .epochs = steps,
       .batch = rows.size(),
       .seed = 1,
       .device = one_thread});
}

Dataset rows_like(const Network& net, int64_t count) {
  Graph graph;
  return data::in_memory(points(batch_of(count, net.sample_shape()), 0, f32),
                         points(batch_of(count, net.output_shape()), 1, f32));
}

}  // namespace

TEST(NormLayers, HaveGradientsAndRunOnTheCpu) {
  for (const std::string layer :
       {"batch_norm", "batch_norm scale=false compat=keras", "layer_norm", "layer_norm axis=1",
        "layer_norm 0.01 scale=false shift=false", "rms_norm", "rms_norm axis=1 scale=false",
        "group_norm 2", "instance_norm", "instance_norm shift=false",
        "local_response_norm 3 alpha=0.5 bias=2", "unit_norm", "unit_norm 1 axis=1", "dynamic_tanh",
        "dynamic_tanh 0.8 scale=false"}) {
    expect_sound_network("input 4x3, " + layer);
  }
  expect_sound_network("input 4x3, batch_norm axis=-1");
  expect_sound_network("input 2x3x2, batch_norm");
  expect_sound_network("input 5, batch_norm");
  expect_sound_network("input 5, group_norm 5 shift=false");
  expect_sound_network("input 4, weight_norm [dense 3 tanh, 2]");
  expect_sound_network("input 4, weight_standardization [3 tanh], 2");
  expect_sound_network("input 4, drop_connect [3 tanh] rate=0.3");
  expect_sound_network("input 4, regularized [3 tanh] weights=l2 bias=l1(0.1) output=l1l2(l1=1)");
  expect_sound_network("input 4, weight_norm [weight_standardization [3 tanh], layer_norm]");
}

// The recurrences that the three libraries document, in numbers.
TEST(NormLayers, RunningStatisticsFollowTheirRecurrence) {
  struct Case {
    const char* compat;
    double kept;
    bool sample;
  };
  for (const Case& c :
       {Case{"pytorch", 0.9, true}, Case{"keras", 0.99, false}, Case{"onnx", 0.9, false}}) {
    Network net = Network::parse(std::string("input 2x3, batch_norm name=bn compat=") + c.compat);
    const Dataset rows = rows_like(net, 4);
    double mean[2] = {}, variance[2] = {};
    for (int64_t i = 0; i < 24; ++i) mean[i / 3 % 2] += rows.inputs.at(i) / 12;
    for (int64_t i = 0; i < 24; ++i) {
      variance[i / 3 % 2] +=
          std::pow(rows.inputs.at(i) - mean[i / 3 % 2], 2) / (c.sample ? 11 : 12);
    }
    for (int steps = 1; steps <= 3; ++steps) {
      Network fresh = net;
      run_steps(fresh, rows, steps);
      const double left = std::pow(c.kept, steps);
      for (int64_t i = 0; i < 2; ++i) {
        EXPECT_NEAR(fresh.tensors().at("bn/running_mean").at(i), (1 - left) * mean[i], 1e-6);
        EXPECT_NEAR(fresh.tensors().at("bn/running_var").at(i), left + (1 - left) * variance[i],
                    1e-6);
      }
    }
  }
}

TEST(NormLayers, MomentumIsTheLibrarysOwn) {
  for (const auto& [text, kept] : std::vector<std::pair<std::string, double>>{
           {"momentum=0.25", 0.75}, {"momentum=0.25 compat=keras", 0.25}}) {
    Network net = Network::parse("input 2, batch_norm name=bn " + text);
    const Dataset rows = rows_like(net, 4);
    run_steps(net, rows, 1);
    const double mean =
        (rows.inputs.at(0) + rows.inputs.at(2) + rows.inputs.at(4) + rows.inputs.at(6)) / 4;
    EXPECT_NEAR(net.tensors().at("bn/running_mean").at(0), (1 - kept) * mean, 1e-6) << text;
  }
}

TEST(NormLayers, InferenceUsesTheRunningStatisticsAndFilesKeepThem) {
  for (const std::string kind : {"batch_norm", "batch_renorm"}) {
    Network net = Network::parse("input 2, " + kind + " name=bn");
    net.tensors().at("bn/running_mean") = Tensor::of({2}, {1, -2});
    net.tensors().at("bn/running_var") = Tensor::of({2}, {4, 0.25});
    net.tensors().at("bn/scale") = Tensor::of({2}, {3, 1});
    net.tensors().at("bn/shift") = Tensor::of({2}, {0, 0.5});
    const Tensor x = Tensor::of({1, 2}, {2, -1});
    const auto check = [&](const Network& one) {
      const Tensor y = result_of(one, x);
      EXPECT_NEAR(y.at(0), 3 / std::sqrt(4 + 1e-5), 1e-5);
      EXPECT_NEAR(y.at(1), 1 / std::sqrt(0.25 + 1e-5) + 0.5, 1e-5);
    };
    check(net);
    save(net, "norm_layers.soma");
    const Network back = load("norm_layers.soma");
    EXPECT_TRUE(back == net);
    check(back);
    std::remove("norm_layers.soma");
  }
}

TEST(NormLayers, AFrozenBatchNormStaysAsItIs) {
  Network net = Network::parse("input 2, batch_norm name=bn frozen=all, 1");
  run_steps(net, rows_like(net, 4), 2);
  EXPECT_EQ(numbers(net.tensors().at("bn/running_mean")), (std::vector<double>{0, 0}));
  EXPECT_EQ(numbers(net.tensors().at("bn/running_var")), (std::vector<double>{1, 1}));
}

TEST(NormLayers, BatchRenormTrains) {
  Network net = Network::parse("input 3, batch_renorm name=bn r_max=2, 1");
  const Dataset rows = rows_like(net, 8);
  const History history = fit(net, rows,
                              {.loss = mean_squared_error(),
                               .optimizer = sgd(0.05),
                               .epochs = 20,
                               .batch = 8,
                               .seed = 1,
                               .device = one_thread});
  EXPECT_LT(history.epochs.back().loss, history.epochs.front().loss);
  EXPECT_NE(net.tensors().at("bn/running_mean").at(0), 0);
}

TEST(NormLayers, SpectralNormComesToLargestSingularValueOne) {
  Network net = Network::parse("input 4, spectral_norm [3 bias=false] name=s");
  run_steps(net, rows_like(net, 4), 100);
  // The result is linear in x: unit vectors show its matrix W, and its longest image is found by
  // trying many directions.
  const Tensor w =
      result_of(net, Tensor::of({4, 4}, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}));
  double largest = 0, v[4] = {1, 0.3, -0.4, 0.2};
  for (int step = 0; step < 200; ++step) {
    double u[3] = {}, next[4] = {}, size = 0;
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 3; ++j) u[j] += v[i] * w.at(i * 3 + j);
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 3; ++j) next[i] += u[j] * w.at(i * 3 + j);
    for (const double n : next) size += n * n;
    for (int i = 0; i < 4; ++i) v[i] = next[i] / std::sqrt(size);
    largest = std::sqrt(std::sqrt(size));
  }
  EXPECT_NEAR(largest, 1, 1e-4);
  EXPECT_EQ(net.tensors().count("s/dense1/weights_vector"), 1u);
}

TEST(NormLayers, WrappedWeightsEqualTheFunctions) {
  Network net = Network::parse("input 4, weight_norm [3 bias=false] gain=2 name=n");
  const Tensor x = points({2, 4}, 0, f32), w = net.tensors().at("n/dense1/weights");
  const Tensor gain = net.tensors().at("n/dense1/weights_gain");
  EXPECT_EQ(numbers(gain), (std::vector<double>{2, 2, 2}));
  const Function f = [](auto in) { return dot(in[0], weight_norm(in[1], in[2], 1)); };
  expect_near(numbers(result_of(net, x)),
              numbers(value_of(f, {x.cast(f64), w.cast(f64), gain.cast(f64)})), 1e-6);
}

TEST(NormLayers, PenaltiesJoinTheLossInTrainingOnly) {
  Network net = Network::parse(
      "input 3, regularized [2 bias_start=0.5] weights=l2(0.1) bias=l1(0.2) output=l2(0.3) name=r, "
      "activity_regularization l1=0.4");
  const Dataset rows = rows_like(net, 4);
  const History history = fit(net, rows,
                              {.loss = mean_squared_error(),
                               .optimizer = sgd(0),
                               .epochs = 1,
                               .batch = 4,
                               .seed = 1,
                               .device = one_thread});
  double extra = 0;
  for (const double v : numbers(net.tensors().at("r/dense1/weights"))) extra += 0.1 * v * v;
  for (const double v : numbers(net.tensors().at("r/dense1/bias"))) extra += 0.2 * std::abs(v);
  for (const double v : numbers(result_of(net, rows.inputs))) {
    extra += (0.3 * v * v + 0.4 * std::abs(v)) / 4;
  }
  EXPECT_NEAR(history.epochs[0].loss, evaluate(net, rows, mean_squared_error()).loss + extra, 1e-5);
}

TEST(NormLayers, StreamStepByStepWhatTheyGiveForAll) {
  const Network net = Network::parse(
      "input 4x3, batch_norm axis=-1, layer_norm, spatial_dropout axis=-1, rms_norm, unit_norm");
  const Tensor x = points({1, 4, 3}, 0, f32), whole = result_of(net, x);
  const Graph graph = net.streaming_graph(1);
  for (int64_t step = 0; step < 4; ++step) {
    std::vector<Tensor> inputs;
    for (const Id id : graph.inputs()) {
      const auto& input = graph[id].as<InputAttr>();
      if (input.kind != InputKind::data) {
        inputs.push_back(net.tensors().at(input.name));
        continue;
      }
      inputs.emplace_back(input.shape, f32);
      for (int64_t i = 0; i < 3; ++i) inputs.back().set(i, x.at(step * 3 + i));
    }
    const Tensor y = interpret(graph, inputs).outputs[0];
    for (int64_t i = 0; i < 3; ++i) EXPECT_NEAR(y.at(i), whole.at(step * 3 + i), 1e-6);
  }
}

TEST(NormLayers, SayWhatDoesNotFit) {
  const auto parse = [](const std::string& text) { (void)Network::parse(text); };
  EXPECT_ERROR(ShapeError, parse("input 4, batch_norm name=b axis=0"), "layer \"b\"", "batch");
  EXPECT_ERROR(ShapeError, parse("input 4, layer_norm axis=2"), "no axis 2");
  EXPECT_ERROR(ShapeError, parse("input 6x2, group_norm 4"), "4 groups", "6 channels");
  EXPECT_ERROR(ShapeError, parse("input 6, instance_norm"), "[channels, positions");
  EXPECT_ERROR(ShapeError, parse("input 6, batch_norm momentum=2"), "momentum 2");
  EXPECT_ERROR(ArgumentError, parse("input 6, batch_norm compat=caffe"), "pytorch, keras or onnx");
  EXPECT_ERROR(ArgumentError, parse("input 6, regularized [3] weights=l7"), "none", "l7");
  const Network net = Network::parse("input 4x3, layer_norm axis=1 name=n");
  EXPECT_ERROR(ShapeError, (void)net.streaming_graph(1), "\"n\"", "cannot stream");
  Network one = Network::parse("input 3, batch_norm, 1");
  EXPECT_ERROR(ShapeError, run_steps(one, rows_like(one, 1), 1), "one number", "two samples");
}

}  // namespace soma::test
