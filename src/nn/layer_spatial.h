// What the layers over [channels, spatial…] share.
#pragma once

#include <string_view>

#include "soma/convolution.h"
#include "soma/error.h"
#include "soma/layers.h"

namespace soma {

/// The input [batch, channels, spatial…] of a layer for that many spatial axes; a sample of one
/// axis fewer is one channel. Several sources of equal extents are joined by their channels. With 0
/// the sample decides, and has one to three spatial axes. Fails when streaming: such layers look at
/// several steps at once.
Value spatial_input(LayerBuild& at, int axes = 0);
/// x [batch, channels, …] through one activation function, along the channels, or one for each.
Value activate_channels(LayerBuild& at, Value x, const Activations& functions);

inline Dims dims_of(const Extents& extents) {
  return extents.list.size() > Dims::max_size ? Dims::filled(Dims::max_size, 1)
                                              : Dims(std::span(extents.list));
}

/// Runs `make`; what it throws names the layer.
template <class F>
Value fitted(LayerBuild& at, F&& make) {
  const auto named = [](std::string_view message) { return message.starts_with("layer \""); };
  try {
    return make();
  } catch (const ArgumentError& error) {
    if (named(error.what())) throw;
    at.fail(error.what());
  } catch (const ShapeError& error) {
    if (named(error.what())) throw;
    at.fail(error.what());
  }
}

}  // namespace soma
