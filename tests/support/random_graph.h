// Random valid graphs with random inputs, over all ops, odd shapes (empty axes, one element) and
// bodies in bodies: for comparing what must agree on any graph (a backend with the interpreter, a
// graph with its text, a pass with doing nothing). The same seed gives the same graph everywhere.
#pragma once

#include <vector>

#include "tests/support/graph_generator.h"

namespace soma::test {

struct RandomGraph {
  Graph graph;
  std::vector<Tensor> inputs;  ///< In the order of graph.inputs().
};

namespace detail {

/// Numbers for an input: floats are multiples of 1/8 (so that ties happen and every type holds
/// them) or, for smooth graphs, anything in [-1, 1); integers are small and of both signs.
inline Tensor random_tensor(const Node& node, Random& random, bool smooth) {
  Tensor tensor(node.shape, node.type);
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    const auto integer = [&](uint64_t count) { return static_cast<double>(random.below(count)); };
    double value = 0;
    if (node.type == boolean) {
      value = integer(2);
    } else if (is_float(node.type)) {
      value = smooth ? 2 * random.uniform_double() - 1 : (integer(33) - 16) / 8;
    } else {
      value = node.type == u8 ? integer(6) : integer(11) - 5;
    }
    tensor.set(i, value);
  }
  return tensor;
}

}  // namespace detail

/// The graph of a seed, with its inputs. Every value that nothing uses is an output, and a few
/// more.
inline RandomGraph random_graph(uint64_t seed, const RandomGraphOptions& options = {}) {
  RandomGraph result;
  Graph& g = result.graph;
  Random random(seed);
  detail::Generator generator(g, random, options, true);
  generator.start();
  generator.run(options.steps);

  std::vector<bool> used(g.size(), false);
  for (const Node& node : g.nodes()) {
    for (const Id in : node.in) used[in] = true;
  }
  Value loss;
  const size_t pool = generator.pool().size();
  for (size_t i = 0; i < pool; ++i) {
    const Value value = generator.pool()[i].value;
    if (used[value.id()] && random.below(8)) continue;
    if (!options.smooth) {
      g.output(cat("out", i), value);
    } else if (is_float(value.type()) && value.shape().elements() > 0) {
      const Value part = mean(value);
      loss = loss ? loss + part : part;
    }
  }
  if (options.smooth) g.output("loss", loss ? loss : g.constant(0, options.type));
  const std::vector<Id> inputs(g.inputs().begin(), g.inputs().end());
  for (const Id id : inputs) {
    if (g[id].as<InputAttr>().kind == InputKind::data || options.smooth) continue;
    const auto next = generator.like(g[id].shape, g[id].type);
    if (next.value) g.update(g.value(id), next.value);
  }
  for (const Id id : g.inputs()) {
    result.inputs.push_back(detail::random_tensor(g[id], random, options.smooth));
  }
  return result;
}

}  // namespace soma::test
