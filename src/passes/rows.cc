#include "src/passes/rows.h"

#include "src/base/text.h"

namespace soma::passes {

namespace {

/// A node of the whole body in the body for fewer rows: as it is, the same for all rows, and some
/// of its rows. Empty where that cannot be; weights and repeated numbers can be both.
struct Versions {
  Value whole, cut;
};

/// How a node makes some of its rows.
struct CutForm {
  Attr attr;
  std::vector<bool> cuts;  ///< Of each operand it takes those rows, or all of it.
};

/// Nothing where a row depends on other rows, or on its number.
std::optional<CutForm> cut_form(const Node& node, int64_t rows) {
  CutForm form{node.attr, std::vector<bool>(node.in.size(), true)};
  switch (node.op) {
    case Op::iota:
      if (node.as<IotaAttr>().axis == 0) return {};
      std::get<IotaAttr>(form.attr).shape[0] = rows;
      break;
    case Op::broadcast: {
      const Dims& dims = node.as<BroadcastAttr>().dims;
      form.cuts[0] = !dims.empty() && dims[0] == 0;
      std::get<BroadcastAttr>(form.attr).shape[0] = rows;
      break;
    }
    case Op::reshape: std::get<ReshapeAttr>(form.attr).shape[0] = rows; break;
    case Op::transpose:
      if (node.as<TransposeAttr>().perm[0] != 0) return {};
      break;
    case Op::slice: {
      auto& slice = std::get<SliceAttr>(form.attr);
      if (slice.lo[0] != 0 || slice.step[0] != 1) return {};
      slice.hi[0] = rows;
      break;
    }
    case Op::pad: {
      const auto& pad = node.as<PadAttr>();
      if (pad.lo[0] != 0 || pad.hi[0] != 0 || pad.interior[0] != 0) return {};
      break;
    }
    case Op::concat:
      if (node.as<ConcatAttr>().axis == 0) return {};
      break;
    case Op::unfold:
      if (node.as<UnfoldAttr>().axis == 0) return {};
      break;
    case Op::fold:
      if (node.as<FoldAttr>().axis == 0) return {};
      break;
    case Op::reduce:
      if (node.as<ReduceAttr>().axes.contains(0)) return {};
      break;
    case Op::argmax:
      if (node.as<ArgmaxAttr>().axis == 0) return {};
      break;
    case Op::gather: form.cuts[0] = false; break;
    case Op::dot:  // of a batch of products the first axis counts those
      if (node.shape.rank() == 2 && node.as<DotAttr>().transpose_a) return {};
      form.cuts[1] = node.shape.rank() > 2;
      break;
    case Op::conv:
      if (node.as<ConvAttr>().role == ConvRole::dw) return {};
      form.cuts[1] = false;
      break;
    default:
      if (info(node.op).kind != OpClass::map) return {};
  }
  return form;
}

}  // namespace

std::optional<RowBody> body_of_rows(const ScanAttr& scan, int64_t rows) {
  const Graph& body = *scan.body;
  if (scan.carries == 0 || body[body.outputs()[0].id].shape.rank() == 0) return {};
  const int64_t all = body[body.outputs()[0].id].shape[0];
  RowBody made;
  std::vector<Versions> versions(body.size());
  const auto enter = [&](size_t i, bool cut) {
    Shape shape = body[body.inputs()[i]].shape;
    if (cut) shape[0] = rows;
    made.inputs.push_back({i, cut});
    return made.body.input(cat("x", i, cut ? "/rows" : ""), shape, body[body.inputs()[i]].type);
  };
  for (size_t i = 0; i < body.inputs().size(); ++i) {
    const Id id = body.inputs()[i];
    const bool has_rows = body[id].shape.rank() > 0 && body[id].shape[0] == all;
    const bool moves = static_cast<int64_t>(i) >= scan.consts;
    if (has_rows) versions[id].cut = enter(i, true);
    if (!has_rows || !moves) versions[id].whole = enter(i, false);
  }
  const auto add = [&](const Node& node, const CutForm& form) -> Value {
    std::vector<Value> in;
    for (size_t i = 0; i < node.in.size(); ++i) {
      const Versions& operand = versions[node.in[i]];
      in.push_back(form.cuts[i] ? operand.cut : operand.whole);
      if (!in.back()) return {};
    }
    const Graph::Scope scope(made.body, body.scope_of(node));
    return made.body.add(node.op, in, form.attr);
  };
  for (Id id = 0; id < body.size(); ++id) {
    const Node& node = body[id];
    if (node.op == Op::input || info(node.op).kind == OpClass::control) continue;
    versions[id].whole = add(node, {node.attr, std::vector<bool>(node.in.size(), false)});
    if (node.shape.rank() == 0 || node.shape[0] != all) continue;
    if (const auto form = cut_form(node, rows)) versions[id].cut = add(node, *form);
  }
  for (const auto& output : body.outputs()) {
    const Value y = versions[output.id].cut;
    if (!y) return {};
    made.body.output(output.name, y);
  }
  return made;
}

int64_t rows_worth_cutting(const ScanAttr& scan) {
  constexpr int64_t most_weights = 1 << 20, least_rows = 32;
  const Graph& body = *scan.body;
  int64_t weights = 0;
  for (const Id id : body.inputs().first(static_cast<size_t>(scan.consts))) {
    weights += body[id].shape.elements() * static_cast<int64_t>(size_of(body[id].type));
  }
  if (scan.carries == 0 || scan.length < 2 || weights > most_weights) return 0;
  const Shape& carry = body[body.outputs()[0].id].shape;
  return carry.rank() > 0 && carry[0] >= least_rows ? carry[0] : 0;
}

}  // namespace soma::passes
