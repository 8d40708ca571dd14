// What a node costs: floating-point operations, where a multiply-add counts as two.
#pragma once

#include <cstdint>

#include "soma/graph.h"

namespace soma {

/// Of one run of this node; bodies of call and scan count with all their steps. Moving data is
/// free.
int64_t flops(const Graph& graph, const Node& node);
int64_t flops(const Graph& graph);
/// Those of matrix products and convolutions alone.
int64_t product_flops(const Graph& graph);

}  // namespace soma
