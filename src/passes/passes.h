// Graph passes: each takes a graph and returns one that means the same. In the order compile()
// runs them: inline_calls, unroll_scans, simplify, merge_scans, hoist_scan, layout, simplify,
// split_reductions, split_products.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "soma/graph.h"

namespace soma::passes {

/// Rebuilds a graph node by node. The rule sees the new graph, an old node and its new operands,
/// and returns the node's replacement, or an empty value to copy it. Inputs and names are kept;
/// nodes that no output or update needs are left out.
using Rule = std::function<Value(Graph& out, const Node& node, std::span<const Value> in)>;
Graph rewrite(const Graph& graph, const Rule& rule);

/// Which nodes an output or an update needs.
std::vector<bool> live_nodes(const Graph& graph);

/// Replaces each call by its body, but for the names in `claimed`, which the backend runs itself.
Graph inline_calls(const Graph& graph, const std::set<std::string, std::less<>>& claimed = {});
/// Constant folding, identities (x·1, x+0, …), chains of moves, sums of repeated values.
Graph simplify(const Graph& graph);
/// A scan of one step is its body: streams that take one step at a time have no loop.
Graph unroll_scans(const Graph& graph);
/// Scans over the same inputs that compute the same carries become one scan with the results of
/// both: a forward scan and the one that backpropagation ran again to record residuals.
Graph merge_scans(const Graph& graph);
/// Products x_t·W of a sequence with a constant leave the loop as one product over all steps;
/// weights that products read transposed are transposed before it; unused results vanish.
Graph hoist_scan(const Graph& graph);
/// Transposes in front of matrix products become their flags.
Graph layout(const Graph& graph);

/// Sums and maxima over the last axes and others, as of a channel over samples and places, become
/// one over the last axes, which the step before may compute by rows, and one over the rest.
Graph split_reductions(const Graph& graph);

/// Products whose depth is long beside their result, as the gradient of weights that every step of
/// a sequence uses, become products of parts of the depth, and the sum of these: threads share them
/// evenly, and each number is read once.
Graph split_products(const Graph& graph);

/// The passes by name, in order.
struct Pass {
  std::string_view name;
  Graph (*run)(const Graph&);
  bool required = false;  ///< A backend cannot do without it.
};
std::span<const Pass> pipeline();

}  // namespace soma::passes
