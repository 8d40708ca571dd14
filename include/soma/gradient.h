// Backpropagation: gradients of a graph, as more graph.
#pragma once

#include <span>
#include <vector>

#include "soma/graph.h"

namespace soma {

/// d(loss)/d(wrt[i]) for every i, appended to the graph of `loss` (reverse mode, Linnainmaa 1970;
/// Rumelhart, Hinton, Williams 1986). `loss` is a scalar unless `seed`, its cotangent, of the same
/// shape, is given. A value the loss does not depend on gets zeros. The result is ordinary graph:
/// it can be differentiated again. No gradient flows through integers, comparisons and stop().
/// Where a derivative does not exist: abs'(0) = 0; a tie in max or min gives each operand half, a
/// tie in a reduction by max gives the largest equal shares. Throws ShapeError for a loss that is
/// no scalar, TypeError for values that are not f32 or f64, GraphError for values of another graph.
std::vector<Value> gradients(Value loss, std::span<const Value> wrt, Value seed = {});

/// Several losses at once: the sum over i of seeds[i]·d(of[i])/d(wrt).
std::vector<Value> gradients(std::span<const Value> of, std::span<const Value> seeds,
                             std::span<const Value> wrt);

}  // namespace soma
