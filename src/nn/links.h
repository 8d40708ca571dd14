// Links given one by one, as text and as what a layer is built from.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "soma/layers.h"

namespace soma {

/// Where the links of each neuron end in arrays sorted by target: those of neuron n are
/// [first[n], first[n + 1]).
std::vector<size_t> first_links(const std::vector<Link>& sorted, int64_t neurons);

/// The neurons in an order in which each comes after those that it takes values from at once.
/// Throws GraphError that names the neurons of a cycle without delay.
std::vector<int64_t> order_of_neurons(const std::vector<Link>& links, int64_t neurons);

}  // namespace soma
