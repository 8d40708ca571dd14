// Recomputation: a step may compute a cheap map of an earlier step again instead of reading it from
// memory. What backpropagation wants of the forward pass is mostly such: of a gelu's six factors,
// two arrays are worth storing.
#pragma once

#include <span>

#include "src/passes/fuse.h"

namespace soma::passes {

/// Adds members to the steps (whose reads and writes are not known yet) where that saves memory
/// traffic. A node may then be a member of several steps.
void recompute(const Graph& graph, std::span<Step* const> steps);

}  // namespace soma::passes
