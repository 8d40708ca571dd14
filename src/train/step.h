// One step of training as part of a graph.
#pragma once

#include <string>
#include <string_view>

#include "soma/optim.h"
#include "soma/plan.h"

namespace soma::train {

/// Adds the updates of every parameter of the graph and the result "learning_rate". `masks`, by the
/// names of parameters, says what may change; each becomes the data input mask_name(parameter).
void add_step(Graph& graph, Value loss, const Optimizer& optimizer, const Tensors& masks);
std::string mask_name(std::string_view parameter);

}  // namespace soma::train
