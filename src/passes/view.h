// Views: how a chain of moves reads the array it starts from, without copying.
#pragma once

#include "soma/graph.h"

namespace soma::passes {

/// A window of the row-major array of node `base`: element (i, j, …) is at offset + i·strides[0] +
/// j·strides[1] + …, in elements.
struct View {
  Id base = 0;
  int64_t offset = 0;
  Shape shape;
  Dims strides;

  /// True when the elements follow one another in memory, in order.
  bool contiguous() const;
  /// The same elements in the same order with as few axes as possible.
  View collapsed() const;
};

/// The array of a node itself.
View whole(const Graph& graph, Id id);
/// Follows broadcast, transpose, slice, unfold and reshape (where strides allow) down to the first
/// node that is none of these, or that a product stores.
View view_of(const Graph& graph, Id id);
/// What a step reads that copies a move or a leaf: only the order of elements matters.
View source_of(const Graph& graph, Id id);
/// The node behind reshapes, which leave the order of elements alone.
Id without_reshapes(const Graph& graph, Id id);
/// True for the transpose of a product that only moves whole rows: the product can be written so.
bool turns_product(const Graph& graph, Id id);

}  // namespace soma::passes
