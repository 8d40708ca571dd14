// The rows of the layer registry that come with Soma.
#pragma once

#include <deque>

#include "soma/layers.h"

namespace soma {

std::deque<LayerKind> built_in_layer_kinds();

}  // namespace soma
