// What the parts of Network share beside its header.
#pragma once

#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "soma/layers.h"

namespace soma {

/// The layers of a text with the input in front: from the text, or from `sample`.
std::vector<Layer> parse_network(std::string_view text, std::optional<Shape> sample, Where where);

/// The number of a neuron from text; throws ArgumentError.
int64_t read_neuron(std::string_view text);

/// Names for the layers that have none: hidden1, hidden2, …, output for those with neurons, or,
/// `by_kind`, kind and number for all. Throws GraphError when two have the same name.
enum class Naming : uint8_t { by_role, by_kind };
void assign_names(std::vector<Layer>& layers, Naming naming = Naming::by_role);

/// Throws GraphError for a layer that is linked to itself, to a later one or to an unknown one, or
/// that shares the arrays of such a one. `known` are the names of what comes before.
void check_links(std::span<const Layer> layers, std::vector<std::string> known);

/// Appends the layers, the first over `in`, and returns what each gives. `known` has what they may
/// name as a source besides each other; `ends` receives the size of the graph after each.
std::vector<Value> build_layers(Graph& graph, std::span<const Layer> layers,
                                std::map<std::string, Value, std::less<>> known, Value in,
                                LayerBuild::Shared& shared, std::vector<LayerTaps>* taps,
                                std::vector<Id>* ends);

/// Neurons of one layer work side by side on the same inputs; this says so.
[[noreturn]] void refuse_inner_link(std::string_view layer, Where where);

}  // namespace soma
