#include "src/ad/hoist.h"

#include <algorithm>

namespace soma::ad {

namespace {

bool is_zero(const Graph& body, Id id) {
  const Node* node = &body[id];
  if (node->op == Op::broadcast) node = &body[node->in[0]];
  return node->op == Op::constant && node->as<ConstantAttr>().value == 0;
}

bool is_contraction(const Node& node, const std::vector<bool>& invariant) {
  const bool both_vary =
      std::none_of(node.in.begin(), node.in.end(), [&](Id id) -> bool { return invariant[id]; });
  switch (node.op) {
    case Op::reduce: return node.as<ReduceAttr>().kind == Reduction::sum;
    case Op::scatter_add: return true;
    case Op::dot: return both_vary;
    case Op::conv: return both_vary && node.as<ConvAttr>().role == ConvRole::dw;
    default: return false;
  }
}

// Appends to `through` the inputs in which the node is jointly linear, provided its other inputs
// are the same at every step; false when it is not linear.
bool is_linear(const Graph& body, const Node& node, const std::vector<bool>& invariant,
               std::vector<Id>& through) {
  size_t first = 0;
  switch (node.op) {
    case Op::pad:
      if (node.as<PadAttr>().value != 0) return false;
      break;
    case Op::select:
      if (!invariant[node.in[0]]) return false;
      first = 1;
      break;
    case Op::div:
      if (!invariant[node.in[1]]) return false;
      through.push_back(node.in[0]);
      return true;
    case Op::mul:
    case Op::dot:
    case Op::conv:
      if (invariant[node.in[0]] == invariant[node.in[1]]) return false;
      through.push_back(node.in[invariant[node.in[0]] ? 1 : 0]);
      return true;
    case Op::neg:
    case Op::add:
    case Op::sub:
    case Op::cast:
    case Op::broadcast:
    case Op::reshape:
    case Op::transpose:
    case Op::slice:
    case Op::concat:
    case Op::unfold:
    case Op::fold: break;
    default: return false;
  }
  for (size_t i = first; i < node.in.size(); ++i) {
    if (!invariant[node.in[i]]) {
      through.push_back(node.in[i]);
    } else if (!is_zero(body, node.in[i])) {
      return false;
    }
  }
  return true;
}

// A stacked operand [T, batch…, two matrix axes] as [batch…, T·K, free].
Value rows_over_time(Value x, bool contracted_is_last) {
  const int rank = x.rank();
  Dims perm;
  Shape shape;
  for (int i = 1; i < rank - 2; ++i) {
    perm.push_back(i);
    shape.push_back(x.extent(i));
  }
  const int contracted = contracted_is_last ? rank - 1 : rank - 2;
  const int free = contracted_is_last ? rank - 2 : rank - 1;
  for (const int axis : {0, contracted, free}) perm.push_back(axis);
  shape.push_back(x.extent(0) * x.extent(contracted));
  shape.push_back(x.extent(free));
  return reshape(transpose(x, perm), shape);
}

// A stacked operand [T, N, …] as [T·N, …].
Value batch_over_time(Value x) {
  Shape shape{x.extent(0) * x.extent(1)};
  for (int i = 2; i < x.rank(); ++i) shape.push_back(x.extent(i));
  return reshape(x, shape);
}

}  // namespace

std::optional<std::vector<Id>> contractions(const Graph& body, Id sum,
                                            const std::vector<bool>& invariant) {
  std::vector<Id> found, open{sum};
  while (!open.empty()) {
    const Id id = open.back();
    open.pop_back();
    if (is_contraction(body[id], invariant)) {
      if (std::find(found.begin(), found.end(), id) == found.end()) found.push_back(id);
    } else if (!is_linear(body, body[id], invariant, open)) {
      return std::nullopt;
    }
  }
  return found;
}

Value contract_over_time(const Node& contraction, std::span<const Value> stacked) {
  switch (contraction.op) {
    case Op::dot: {
      const auto& attr = contraction.as<DotAttr>();
      return dot(rows_over_time(stacked[0], !attr.transpose_a),
                 rows_over_time(stacked[1], attr.transpose_b), true, false);
    }
    case Op::conv:
      return conv(batch_over_time(stacked[0]), batch_over_time(stacked[1]),
                  contraction.as<ConvAttr>());
    case Op::scatter_add:
      return scatter_add(stacked[0], stacked[1], contraction.as<ScatterAttr>().rows);
    default: {
      Dims axes{0};
      for (const int64_t axis : contraction.as<ReduceAttr>().axes) axes.push_back(axis + 1);
      return sum(stacked[0], axes);
    }
  }
}

}  // namespace soma::ad
