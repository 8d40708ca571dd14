// How a message about a node begins and ends: `layer "fc2": dot: … (network.cc:41)`.
#pragma once

#include <string>

#include "soma/graph.h"

namespace soma {

std::string prefix(const Graph& graph, uint32_t scope, Op op);
std::string suffix(const Graph& graph, uint32_t scope, Where where);
/// " (network.cc:41)", or "" for no place.
std::string suffix(Where where);

}  // namespace soma
