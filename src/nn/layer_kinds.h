// The functions that build the kinds of layers, one for each row of soma/layers.def.
#pragma once

#include "soma/layers.h"
#include "soma/regularizers.h"
#include "src/nn/encodings.h"
#include "src/nn/layer_arguments.h"
#include "src/nn/layers_attention.h"
#include "src/nn/recurrent_arguments.h"
#include "src/nn/window_arguments.h"

namespace soma {

#define SOMA_LAYER(name, neurons, does, source, note, parameters, arguments) \
  Value build_##name arguments;
#define SOMA_LAYER_ROW SOMA_LAYER
#include "soma/layers.def"

/// The initializer for weights in front of an activation: He+ 2015 for the relu family, LeCun+ 1998
/// for selu (Klambauer+ 2017), else Glorot and Bengio 2010; or the one that was asked for.
std::string start_of_weights(const Start& wish, const Activation& activation);

}  // namespace soma
