// A graph's lists in the open. For parse(), which checks what it builds, and for tests that break
// the rules on purpose; everything else goes through Graph::add.
#pragma once

#include "soma/graph.h"

namespace soma {

struct RawGraph {
  Graph& graph;

  std::vector<Node>& nodes() const { return graph.nodes_; }
  std::vector<Id>& inputs() const { return graph.inputs_; }
  std::vector<Graph::Named>& outputs() const { return graph.outputs_; }
  std::vector<Graph::Update>& updates() const { return graph.updates_; }
  std::vector<Graph::ScopeInfo>& scopes() const { return graph.scopes_; }
  /// Adds an input under exactly this name.
  Value leaf(InputAttr attr) const { return graph.leaf(std::move(attr)); }
};

}  // namespace soma
