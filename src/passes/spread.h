// Reductions over few elements that do not lie in a row: pooling, sums over a short middle axis.
// Such a reduction is not walked element by element. It becomes a map over its results: as many
// strided reads as it has elements, joined by additions or maxima. Cheap maps in front of it are
// computed for each of these reads instead of being stored.
#pragma once

#include <optional>
#include <vector>

#include "soma/graph.h"
#include "src/passes/view.h"

namespace soma::passes {

struct Spread {
  int64_t count = 0;        ///< Elements of each reduction.
  std::vector<Id> maps;     ///< Computed for each element, in order; the last one is reduced.
  std::vector<Id> sources;  ///< What is read: operands of the maps, or the reduction's own.
  size_t operations() const;
};
/// Nothing for any other node.
std::optional<Spread> spread_of(const Graph& graph, Id reduce);

/// The part of `view` (of the shape that is reduced) that lies at index `at` of the reduced axes.
View spread_view(const View& view, const Dims& axes, const Dims& at);

/// Live maps that only such reductions use, all of which compute them for themselves.
std::vector<bool> only_spread(const Graph& graph, const std::vector<bool>& live);

}  // namespace soma::passes
