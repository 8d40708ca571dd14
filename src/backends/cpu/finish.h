// What the kernels of products and convolutions do with their sums at once: an array, a bias, then
// relu; or a step of gradient descent.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/backends/cpu/opaque.h"
#include "src/passes/fuse.h"

namespace soma::cpu {

struct Finish {
  std::optional<passes::View> bias;
  bool relu = false;
  /// Before that base - factor · sum, the factor a constant or one number of an array.
  std::optional<passes::View> base, factor;
  double constant_factor = 1;
  std::vector<Id> members;   ///< The nodes that this is.
  std::string text() const;  ///< " + bias + relu"
};
/// The same with arrays in their buffers.
struct FinishAt {
  std::optional<Array> bias;
  bool relu = false;
  std::optional<Array> base, factor;
  double constant_factor = 1;
  const std::byte* bias_in(Memory memory) const {
    return bias ? memory[bias->buffer] + bias->offset : nullptr;
  }
};

/// What the product or convolution of each step does of the members behind it; these leave their
/// steps, and steps without any are dropped. Comparisons with zero are made again where gates read
/// the number itself anyway.
std::vector<Finish> finish_steps(const Graph& graph, std::vector<passes::Step>& steps,
                                 Precision precision);

}  // namespace soma::cpu
