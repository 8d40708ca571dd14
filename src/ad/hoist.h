// Sums over time that can leave a scan's loop: a weight gradient that is a sum over steps of small
// products is one large product over steps and rows together, which is faster and needs no
// accumulator.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "soma/graph.h"

namespace soma::ad {

/// The contractions of `sum` (products, sums over rows, scatters) when sum is a linear function of
/// them that is the same at every step, and each contraction's sum over steps is one contraction.
/// `invariant[id]` tells which nodes of the body are the same at every step.
std::optional<std::vector<Id>> contractions(const Graph& body, Id sum,
                                            const std::vector<bool>& invariant);

/// The sum over steps of one such contraction, from its operands stacked along a new first axis.
Value contract_over_time(const Node& contraction, std::span<const Value> stacked);

}  // namespace soma::ad
