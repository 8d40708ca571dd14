// simplify: local rules, each justified by arithmetic that holds for every element. Rules that
// would change a NaN or infinity (x·0 → 0, x−x → 0) are left out on purpose.
#include <cmath>
#include <map>
#include <optional>
#include <vector>

#include "src/passes/passes.h"

namespace soma::passes {

namespace {

const Node& node_of(Value v) { return v.node(); }

/// The number that every element of `v` has, when v is a constant or a repeated one.
std::optional<double> uniform(Value v) {
  const Node* node = &v.node();
  while (node->op == Op::broadcast || node->op == Op::reshape) node = &v.graph()[node->in[0]];
  if (node->op != Op::constant) return {};
  return node->as<ConstantAttr>().value;
}
bool is(Value v, double value) { return uniform(v) == value; }

/// Folds a map of constants by asking the interpreter for the one number.
Value fold_map(Graph& out, const Node& node, std::span<const Value> in) {
  Graph scalar;
  std::vector<Value> operands;
  for (const Value v : in) {
    const auto value = uniform(v);
    if (!value) return {};
    operands.push_back(scalar.constant(*value, v.type()));
  }
  scalar.output("y", scalar.add(node.op, operands, node.attr));
  const Tensor result = interpret(scalar, {}).outputs[0];
  return out.constant(result.at(0), node.shape, node.type);
}

/// The gradient of split: a sum of arrays padded with zeros that together fill an axis is one
/// concatenation. Nothing for other sums.
Value joined_pads(const Node& node, std::span<const Value> in) {
  std::map<int64_t, Value> parts;  // by their place on the axis
  int axis = -1;
  int64_t filled = 0;
  std::vector<Value> terms(in.begin(), in.end());
  while (!terms.empty()) {
    const Value value = terms.back();
    const Node& term = value.node();
    terms.pop_back();
    if (term.op == Op::add) {
      for (const Id id : term.in) terms.push_back(value.graph().value(id));
      continue;
    }
    if (term.op != Op::pad || term.as<PadAttr>().value != 0) return {};
    const auto& pad = term.as<PadAttr>();
    const Value part = value.graph().value(term.in[0]);
    for (int d = 0; d < node.shape.rank(); ++d) {
      if (part.extent(d) == node.shape[d]) continue;
      if (pad.interior[d] != 0 || (axis != -1 && axis != d)) return {};
      axis = d;
    }
    if (axis == -1 || !parts.emplace(pad.lo[axis], part).second) return {};
    filled += part.extent(axis);
    if (filled > node.shape[axis]) return {};
  }
  std::vector<Value> values;
  int64_t end = 0;
  for (const auto& [lo, part] : parts) {
    if (lo != end) return {};
    end += part.extent(axis);
    values.push_back(part);
  }
  return end == node.shape[axis] ? concat(values, axis) : Value{};
}

Value simplify_map(const Node& node, std::span<const Value> in) {
  switch (node.op) {
    case Op::add:
      if (const Value joined = joined_pads(node, in)) return joined;
      if (is(in[0], 0)) return in[1];
      if (is(in[1], 0)) return in[0];
      if (node_of(in[1]).op == Op::neg) return in[0] - in[1].graph().value(node_of(in[1]).in[0]);
      return {};
    case Op::sub:
      if (is(in[1], 0)) return in[0];
      return is(in[0], 0) ? neg(in[1]) : Value{};
    case Op::mul:
      if (is(in[0], 1)) return in[1];
      if (is(in[1], 1)) return in[0];
      if (is(in[0], -1)) return neg(in[1]);
      return is(in[1], -1) ? neg(in[0]) : Value{};
    case Op::div: return is(in[1], 1) ? in[0] : Value{};
    case Op::pow:
      if (is(in[1], 1)) return in[0];
      return is(in[1], 2) ? in[0] * in[0] : Value{};
    case Op::neg:
      return node_of(in[0]).op == Op::neg ? in[0].graph().value(node_of(in[0]).in[0]) : Value{};
    case Op::select:
      if (is(in[0], 1)) return in[1];
      if (is(in[0], 0)) return in[2];
      return in[1] == in[2] ? in[1] : Value{};
    case Op::cast: return node.type == in[0].type() ? in[0] : Value{};
    case Op::stop: return in[0];  // gradients are taken before compiling
    default: return {};
  }
}

/// A move of a move is one move.
Value simplify_move(Graph& out, const Node& node, Value x) {
  const Node inner = x.node();
  const auto source = [&] { return out.value(inner.in[0]); };
  if (node.shape == x.shape() && node.op == Op::reshape) return x;
  switch (node.op) {
    case Op::reshape:
      if (inner.op == Op::reshape) return reshape(source(), node.shape);
      if (uniform(x)) return out.constant(*uniform(x), node.shape, node.type);
      return {};
    case Op::transpose: {
      if (inner.op != Op::transpose) return {};
      Dims perm;
      for (const int64_t axis : node.as<TransposeAttr>().perm) {
        perm.push_back(inner.as<TransposeAttr>().perm[static_cast<int>(axis)]);
      }
      return transpose(source(), perm);
    }
    case Op::broadcast: {
      if (uniform(x) && inner.op != Op::constant) {
        return out.constant(*uniform(x), node.shape, node.type);
      }
      if (inner.op != Op::broadcast) return {};
      Dims dims;
      for (const int64_t axis : inner.as<BroadcastAttr>().dims) {
        dims.push_back(node.as<BroadcastAttr>().dims[static_cast<int>(axis)]);
      }
      return broadcast(source(), node.shape, dims);
    }
    case Op::slice: return uniform(x) ? out.constant(*uniform(x), node.shape, node.type) : Value{};
    default: return {};
  }
}

/// The sum over repeated axes is a multiple; a sum of a sum is one sum; no axes is no sum.
Value simplify_reduce(Graph& out, const Node& node, Value x) {
  const auto& attr = node.as<ReduceAttr>();
  const Node inner = x.node();
  if (inner.op == Op::broadcast) {
    const auto& source = inner.as<BroadcastAttr>();
    int64_t repeats = 1;
    Dims left, dims;  // axes still to reduce, in the source; the source's axes in the result
    for (const int64_t axis : attr.axes) {
      if (!source.dims.contains(axis)) repeats *= inner.shape[static_cast<int>(axis)];
    }
    for (int i = 0; i < source.dims.size(); ++i) {
      if (attr.axes.contains(source.dims[i])) left.push_back(i);
    }
    const bool repeated = left.size() < attr.axes.size();
    if (!repeated || repeats == 0) return {};
    for (int i = 0; i < source.dims.size(); ++i) {
      if (attr.axes.contains(source.dims[i])) continue;
      int64_t place = source.dims[i];
      for (const int64_t axis : attr.axes) place -= axis < source.dims[i];
      dims.push_back(place);
    }
    Value y = reduce(out.value(inner.in[0]), attr.kind, left);
    if (attr.kind == Reduction::sum && repeats != 1) y = y * static_cast<double>(repeats);
    return broadcast(y, node.shape, dims);
  }
  if (inner.op == Op::reduce && inner.as<ReduceAttr>().kind == attr.kind) {
    Dims axes = inner.as<ReduceAttr>().axes;
    const Shape& whole = out[inner.in[0]].shape;
    Dims kept;
    for (int i = 0; i < whole.rank(); ++i) {
      if (!axes.contains(i)) kept.push_back(i);
    }
    for (const int64_t axis : attr.axes) axes.push_back(kept[static_cast<int>(axis)]);
    return reduce(out.value(inner.in[0]), attr.kind, axes);
  }
  // Extents of one: the sum is the element.
  for (const int64_t axis : attr.axes) {
    if (inner.shape[static_cast<int>(axis)] != 1) return {};
  }
  return reshape(inner.op == Op::reshape ? out.value(inner.in[0]) : x, node.shape);
}

Value simplify_node(Graph& out, const Node& node, std::span<const Value> in) {
  switch (info(node.op).kind) {
    case OpClass::map:
      if (const Value folded = fold_map(out, node, in)) return folded;
      return simplify_map(node, in);
    case OpClass::move: return in.size() == 1 ? simplify_move(out, node, in[0]) : Value{};
    case OpClass::reduce: return simplify_reduce(out, node, in[0]);
    default: break;
  }
  if (node.op == Op::scan) {
    ScanAttr attr = node.as<ScanAttr>();
    attr.body = std::make_shared<const Graph>(simplify(*attr.body));
    return out.add(Op::scan, in, attr);
  }
  return {};
}

}  // namespace

Graph simplify(const Graph& graph) { return rewrite(graph, simplify_node); }

}  // namespace soma::passes
