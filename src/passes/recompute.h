// Recomputation: a step may compute maps of an earlier step again instead of reading them from
// memory. What backpropagation wants of the forward pass is mostly such: of a gelu's six factors,
// only its argument is worth storing.
#pragma once

#include <span>

#include "src/passes/fuse.h"

namespace soma::passes {

/// Adds members to the steps (whose reads and writes are not known yet) where that saves memory
/// traffic. A node may then be a member of several steps.
void recompute(const Graph& graph, std::span<Step* const> steps);

}  // namespace soma::passes
