// Translates a fused step into a program of the blocked machine.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "src/backends/cpu/vm.h"

namespace soma::cpu {

/// What the memory plan needs to know to let a result take the place of an array it replaces.
struct Access {
  bool in_place = true;  ///< Every read is of the element at hand.
  Level level = Level::full;
  size_t last = 0;  ///< Position of the last operation that reads it.
};

struct FusedStep {
  VmProgram program;
  std::map<Id, Access> reads;    ///< By array.
  std::map<Id, size_t> written;  ///< Position of the operation that writes each result.
  std::vector<Id> partial;       ///< Results that need partial sums, in the order of ends.
};

/// Buffers are numbered by `buffer_of`. `chunk` fixes the elements of a chunk (rows of a product);
/// without it the shape decides.
FusedStep build_fused(const Graph& graph, const passes::Step& step, const Isa& isa,
                      const std::function<size_t(Id)>& buffer_of,
                      std::optional<int64_t> chunk = {});

}  // namespace soma::cpu
