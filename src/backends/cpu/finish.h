// What the kernels of products and convolutions do with their sums at once: an array, a bias, then
// relu; or a step of gradient descent.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/backends/cpu/opaque.h"
#include "src/passes/fuse.h"

namespace soma::cpu {

/// What the numbers of a bias belong to: the last axis, or the axis behind the samples.
enum class BiasOf { columns, channels };

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

/// Takes what a kernel that makes `made` can do of the members of `step`, which read it. They leave
/// the step, and `made` becomes the last of them. Nothing else may read what `made` was. `arrays`:
/// it can add the sums to an array, or take them from one.
Finish take_finish(const Graph& graph, passes::Step& step, Id& made, BiasOf of, bool arrays);

}  // namespace soma::cpu
