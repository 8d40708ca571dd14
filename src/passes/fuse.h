// Fusion: groups the nodes of a graph into steps, each of which becomes one kernel.
//
// A fused step walks its elements in row-major order, block by block. Its members are maps, and
// reductions of three kinds: over the last axes (`row` reductions, whose results the same step may
// repeat along the row and go on with: softmax, layer norm, cross-entropy), over the first axes
// (column sums: bias gradients), and over all. Which nodes may join is decided by op class alone.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "soma/graph.h"
#include "src/passes/spread.h"
#include "src/passes/view.h"

namespace soma::passes {

/// How a value in a fused step relates to the step's elements.
enum class Level : uint8_t {
  full,  ///< One number for each element.
  row,   ///< One number for each row of `columns` elements.
  end,   ///< Known only when the step is done: sums over the first axes or over all.
};

struct Step {
  /// The matrix product whose rows the members go on with, or the single node of a step that is
  /// not fused (conv, gather, scan, …). Fused steps without a product have none.
  std::optional<Id> anchor;
  std::vector<Id> members;       ///< Maps and reductions, in order.
  std::vector<Level> levels;     ///< Of each member.
  int64_t elements = 0;          ///< Of the anchor's result or of the members at level full.
  int64_t columns = 0;           ///< Elements of a row; 0 when there are no row reductions.
  std::map<Id, Spread> spreads;  ///< Members that are reductions computed as maps.
  std::vector<View> operands;    ///< What the anchor reads.
  std::vector<Id> reads;         ///< Arrays read, each once.
  std::vector<Id> writes;        ///< Arrays that later steps, outputs or updates need.

  /// Why the first member did not join the step that computes one of its operands.
  struct Apart {
    Id from;
    const char* why;
  };
  std::optional<Apart> apart;

  bool fused(const Graph& graph) const;
};

/// Steps in an order in which they can run. Every array that a step reads is an input of the graph
/// or written by an earlier step.
std::vector<Step> fuse(const Graph& graph, bool enabled = true);

/// How member `user` of a step sees its operand: through reshapes, which do not change the order
/// of elements, and through a repetition of a row's number along the row.
struct Link {
  Id producer;        ///< After reshapes (and the repetition).
  bool repeats_rows;  ///< The producer is at level row and is repeated along each row.
};
Link link_of(const Graph& graph, Id operand, int64_t columns);

/// What a fused step loads for an operand from outside: only the order of elements matters.
View load_view(const Graph& graph, Id operand);
/// What a kernel that is not fused reads: a contiguous part of an array (or, for a matrix, rows or
/// columns that are), or the operand itself, copied there first.
View array_view(const Graph& graph, Id operand, bool matrix = false);
/// As load_view, for the operand of a reduction: the reduced axes are turned to the end.
View reduced_view(const Graph& graph, const Node& reduce);

/// Products of more columns than this are not fused with reductions over their rows.
inline constexpr int64_t max_row = 4096;

}  // namespace soma::passes
