// Backpropagation: gradients of a graph, as more graph.
#pragma once

#include <span>
#include <vector>

#include "soma/graph.h"

namespace soma {

/// d(loss)/d(wrt[i]) for every i, appended to the graph of `loss` (reverse mode, Linnainmaa 1970;
/// Rumelhart, Hinton, Williams 1986). `loss` is a scalar unless `seed`, its cotangent, of the same
/// shape, is given. A value the loss does not depend on gets zeros. The result is ordinary graph:
/// it can be differentiated again. Throws GraphError naming the op when a needed rule is "none".
std::vector<Value> gradients(Value loss, std::span<const Value> wrt, Value seed = {});

/// Several losses at once: the sum over i of seeds[i]·d(of[i])/d(wrt).
std::vector<Value> gradients(std::span<const Value> of, std::span<const Value> seeds,
                             std::span<const Value> wrt);

}  // namespace soma
