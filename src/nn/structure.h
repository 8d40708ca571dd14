// What the parts of Network share beside its header.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "soma/layers.h"

namespace soma {

/// The layers of a text with the input in front: from the text, or from `sample`.
std::vector<Layer> parse_network(std::string_view text, std::optional<Shape> sample, Where where);

/// The number of a neuron from text; throws ArgumentError.
int64_t read_neuron(std::string_view text);

/// Neurons of one layer work side by side on the same inputs; this says so.
[[noreturn]] void refuse_inner_link(std::string_view layer, Where where);

}  // namespace soma
