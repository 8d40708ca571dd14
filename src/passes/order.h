// The order of steps.
#pragma once

#include <vector>

#include "src/passes/fuse.h"

namespace soma::passes {

/// Steps in an order in which they can run: that of their nodes, but for those that only make
/// outputs or updates. Weight gradients wait, so that backpropagation goes on with what it has just
/// made; yet not for long, as what they read waits with them, and not before the last step that
/// reads a state they overwrite.
std::vector<Step> in_order(const Graph& graph, std::vector<Step> steps);

}  // namespace soma::passes
