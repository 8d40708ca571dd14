#include "src/passes/view.h"

#include <optional>
#include <vector>

namespace soma::passes {

namespace {

/// Strides that read `view` under another shape, when there are such.
std::optional<Dims> reshaped_strides(const View& view, const Shape& shape) {
  const View v = view.collapsed();
  Dims strides = Dims::filled(shape.rank(), 0);
  if (shape.elements() == 0) return strides;
  int to = shape.rank() - 1;
  for (int from = v.shape.rank() - 1; from >= 0; --from) {
    int64_t left = v.shape[from], stride = v.strides[from];
    while (left > 1) {  // give the collapsed axis away, inner axes first
      while (to >= 0 && shape[to] == 1) --to;
      if (to < 0 || left % shape[to]) return {};
      strides[to] = stride;
      stride *= shape[to];
      left /= shape[to--];
    }
  }
  return strides;
}

/// The view through one move; nothing when the move needs a copy.
std::optional<View> through(const Node& node, const View& inner) {
  // `inner` views node.in[0] as a whole; describe `node` in its terms.
  View v{inner.base, inner.offset, node.shape, Dims::filled(node.shape.rank(), 0)};
  switch (node.op) {
    case Op::broadcast: {
      const Dims& dims = node.as<BroadcastAttr>().dims;
      for (int i = 0; i < dims.size(); ++i) v.strides[static_cast<int>(dims[i])] = inner.strides[i];
      return v;
    }
    case Op::transpose: {
      const Dims& perm = node.as<TransposeAttr>().perm;
      for (int i = 0; i < perm.size(); ++i) v.strides[i] = inner.strides[static_cast<int>(perm[i])];
      return v;
    }
    case Op::slice: {
      const auto& attr = node.as<SliceAttr>();
      for (int i = 0; i < v.shape.rank(); ++i) {
        v.offset += attr.lo[i] * inner.strides[i];
        v.strides[i] = inner.strides[i] * attr.step[i];
      }
      return v;
    }
    case Op::unfold: {
      const auto& attr = node.as<UnfoldAttr>();
      for (int i = 0; i < inner.shape.rank(); ++i) v.strides[i] = inner.strides[i];
      const int axis = static_cast<int>(attr.axis);
      v.strides[inner.shape.rank()] = inner.strides[axis] * attr.dilation;
      v.strides[axis] = inner.strides[axis] * attr.step;
      return v;
    }
    case Op::reshape: {
      const auto strides = reshaped_strides(inner, node.shape);
      if (!strides) return {};
      v.strides = *strides;
      return v;
    }
    default: return {};
  }
}

}  // namespace

bool View::contiguous() const {
  int64_t expected = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] != 1 && strides[i] != expected) return shape.elements() == 0;
    expected *= shape[i];
  }
  return true;
}

View View::collapsed() const {
  View result{base, offset, {}, {}};
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 1) continue;
    const int last = result.shape.rank() - 1;
    if (last >= 0 && result.strides[last] == strides[i] * shape[i]) {
      result.shape[last] *= shape[i];
      result.strides[last] = strides[i];
    } else {
      result.shape.push_back(shape[i]);
      result.strides.push_back(strides[i]);
    }
  }
  return result;
}

View whole(const Graph& graph, Id id) {
  return {id, 0, graph[id].shape, graph[id].shape.strides()};
}

Id without_reshapes(const Graph& graph, Id id) {
  while (graph[id].op == Op::reshape) id = graph[id].in[0];
  return id;
}

bool turns_product(const Graph& graph, Id id) {
  const Node& node = graph[id];
  if (node.op != Op::transpose || graph[node.in[0]].op != Op::dot) return false;
  const Dims& perm = node.as<TransposeAttr>().perm;
  return perm[perm.size() - 1] == perm.size() - 1;
}

View source_of(const Graph& graph, Id id) {
  if (turns_product(graph, id)) return *through(graph[id], whole(graph, graph[id].in[0]));
  return view_of(graph, without_reshapes(graph, id));
}

View view_of(const Graph& graph, Id id) {
  // Walk down to the base, then describe each move on the way back; a move that needs a copy
  // becomes the base itself.
  std::vector<Id> chain{id};
  while (info(graph[chain.back()].op).kind == OpClass::move && graph[chain.back()].in.size() == 1 &&
         graph[chain.back()].op != Op::pad && !turns_product(graph, chain.back())) {
    chain.push_back(graph[chain.back()].in[0]);
  }
  View view = whole(graph, chain.back());
  for (size_t i = chain.size() - 1; i-- > 0;) {
    const auto next = through(graph[chain[i]], view);
    view = next ? *next : whole(graph, chain[i]);
  }
  return view;
}

}  // namespace soma::passes
