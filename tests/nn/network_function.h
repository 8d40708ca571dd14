// Networks as functions of their input, for tests of layers.
#pragma once

#include <functional>
#include <string>

#include "soma/network.h"
#include "tests/nn/function.h"

namespace soma::test {

/// i64[2] {7, 3}.
inline Value fixed_key(Graph& graph) {
  return concat({graph.constant(7, {1}, i64), graph.constant(3, {1}, i64)}, 0);
}

inline Shape batch_of(int64_t batch, const Shape& sample) {
  Shape shape{batch};
  for (const int64_t extent : sample) shape.push_back(extent);
  return shape;
}

/// The network's text reads back, its gradients are right to second order in `mode`, with respect
/// to its input and to every array, and the CPU agrees with the interpreter in all three modes.
inline void expect_sound_network(const std::string& text, int64_t batch = 3,
                                 BuildMode mode = BuildMode::training) {
  const Network net = Network::parse(text);
  EXPECT_EQ(net.text(), Network::parse(net.text()).text());
  const auto build = [&](Graph& graph, Value x, BuildMode in) {
    return net.build(graph, x,
                     {.mode = in, .key = in == BuildMode::training ? fixed_key(graph) : Value()});
  };
  const Shape shape = batch_of(batch, net.sample_shape());
  const auto result =
      gradcheck([&](Graph& graph, std::span<const Value> in) { return build(graph, in[0], mode); },
                std::vector{points(shape, 0, f32)}, {.directions = 1});
  EXPECT_TRUE(result.passed) << text << ": " << result.message;
  for (const BuildMode each : {BuildMode::inference, BuildMode::training}) {
    Graph graph;
    const Value x = graph.input("input", shape), y = build(graph, x, each);
    graph.output("y", y);
    const Value wrt[] = {x};
    const auto slope = gradients(sum(sin(y)), wrt);
    graph.output("slope", slope[0]);
    const Tensors start = initialize(graph, 3);
    std::vector<Tensor> inputs;
    for (const Id id : graph.inputs()) {
      const auto& name = graph[id].as<InputAttr>().name;
      inputs.push_back(name == "input" ? points(shape, 0, f32) : start.at(name));
    }
    expect_cpu_agrees(graph, inputs, 5e-5);
  }
}

/// What the network gives for x in inference.
inline Tensor result_of(const Network& net, const Tensor& x) {
  return net.predict(x.cast(f32), Device::cpu(1));
}

}  // namespace soma::test
