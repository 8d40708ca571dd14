// Shape and type rules: one per op.
#pragma once

#include "soma/graph.h"

namespace soma {

/// How deep bodies of calls and scans may lie inside each other: what walks them recursively stays
/// within any stack.
inline constexpr int max_nesting = 16;

/// Fills node.shape and node.type from its inputs (which are in `graph`) and its attribute.
/// Throws ShapeError, TypeError or GraphError when they do not fit.
void infer(const Graph& graph, Node& node);

/// Shapes of the results of a call or scan node, as `get` sees them.
struct Result {
  Shape shape;
  DType type;
};
Result result_of(const Node& node, int64_t index);
int64_t result_count(const Node& node);

}  // namespace soma
