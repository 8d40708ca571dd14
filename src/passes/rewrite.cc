// rewrite(): the loop that every graph pass is a rule for.
#include <unordered_map>

#include "src/passes/passes.h"

namespace soma::passes {

std::vector<bool> live_nodes(const Graph& graph) {
  std::vector<bool> live(graph.size(), false);
  for (const auto& output : graph.outputs()) live[output.id] = true;
  for (const auto& update : graph.updates()) live[update.value] = true;
  for (size_t i = graph.size(); i-- > 0;) {
    if (!live[i]) continue;
    for (const Id in : graph[static_cast<Id>(i)].in) live[in] = true;
  }
  return live;
}

Graph rewrite(const Graph& graph, const Rule& rule) {
  const std::vector<bool> live = live_nodes(graph);
  Graph out;
  std::unordered_map<Id, Value> replaced;
  std::vector<Value> in;
  for (Id id = 0; id < graph.size(); ++id) {
    const Node& node = graph[id];
    if (node.op == Op::input) {
      out.splice(graph, std::span(&id, 1), replaced);  // inputs stay, used or not
      continue;
    }
    if (!live[id]) continue;
    in.clear();
    for (const Id operand : node.in) in.push_back(replaced.at(operand));
    const Graph::Scope scope(out, graph.scope_of(node));  // what replaces a node is of its layer
    const Value replacement = rule(out, node, in);
    if (replacement) {
      replaced[id] = replacement;
    } else {
      out.splice(graph, std::span(&id, 1), replaced);  // copies just this node, with its scope
    }
  }
  for (const auto& [name, id] : graph.outputs()) out.output(name, replaced.at(id));
  for (const auto& [state, value] : graph.updates()) {
    out.update(replaced.at(state), replaced.at(value));
  }
  return out;
}

Graph inline_calls(const Graph& graph, const std::set<std::string, std::less<>>& claimed) {
  // A get of an unclaimed call is replaced by the spliced result; the call itself, spliced anew
  // for each get, costs nothing because equal nodes are built once.
  return rewrite(graph, [&](Graph& out, const Node& node, std::span<const Value> in) -> Value {
    if (node.op == Op::scan) {
      ScanAttr attr = node.as<ScanAttr>();
      attr.body = std::make_shared<const Graph>(inline_calls(*attr.body, claimed));
      return out.add(Op::scan, in, attr);
    }
    if (node.op != Op::get || in[0].node().op != Op::call) return {};
    const Node call = in[0].node();
    if (claimed.contains(call.as<CallAttr>().name)) return {};
    const Graph body = inline_calls(*call.as<CallAttr>().body, claimed);
    std::vector<Value> operands;
    for (const Id id : call.in) operands.push_back(out.value(id));
    return out.splice(body, operands)[static_cast<size_t>(node.as<GetAttr>().index)];
  });
}

Graph layout(const Graph& graph) {
  // dot(transpose(x), y) reads x the other way round when only the last two axes are swapped.
  const auto swaps_last_two = [](const Node& node) {
    if (node.op != Op::transpose) return false;
    const Dims& perm = node.as<TransposeAttr>().perm;
    for (int i = 0; i + 2 < perm.size(); ++i) {
      if (perm[i] != i) return false;
    }
    return perm.size() >= 2 && perm[perm.size() - 1] == perm.size() - 2;
  };
  return rewrite(graph, [&](Graph& out, const Node& node, std::span<const Value> in) -> Value {
    if (node.op != Op::dot) return {};
    DotAttr attr = node.as<DotAttr>();
    Value operands[2] = {in[0], in[1]};
    bool* flags[2] = {&attr.transpose_a, &attr.transpose_b};
    for (int i = 0; i < 2; ++i) {
      if (!swaps_last_two(operands[i].node())) continue;
      operands[i] = out.value(operands[i].node().in[0]);
      *flags[i] = !*flags[i];
    }
    return out.add(Op::dot, operands, attr);
  });
}

Graph split_reductions(const Graph& graph) {
  constexpr int64_t worth_a_row = 16, few = 32;  // few elements are added one by one: see spread.h
  return rewrite(graph, [](Graph& out, const Node& node, std::span<const Value> in) -> Value {
    if (node.op == Op::scan) {
      ScanAttr attr = node.as<ScanAttr>();
      attr.body = std::make_shared<const Graph>(split_reductions(*attr.body));
      return out.add(Op::scan, in, attr);
    }
    if (node.op != Op::reduce) return {};
    const auto& attr = node.as<ReduceAttr>();
    const Shape shape = in[0].shape();
    Dims rows;
    for (int axis = shape.rank() - 1; axis >= 0 && attr.axes.contains(axis); --axis) {
      rows.push_back(axis);
    }
    const int left = attr.axes.size() - rows.size();
    if (rows.empty() || left == 0 || rows.size() == shape.rank()) return {};
    int64_t columns = 1;
    for (const int64_t axis : rows) columns *= shape[static_cast<int>(axis)];
    if (columns < worth_a_row || shape.elements() <= few * node.shape.elements()) return {};
    const Dims rest(std::span(attr.axes).first(static_cast<size_t>(left)));
    return reduce(reduce(in[0], attr.kind, rows), attr.kind, rest);
  });
}

Graph split_products(const Graph& graph) {
  constexpr int64_t parts = 8, least_depth = 256, longer = 6;
  return rewrite(graph, [](Graph&, const Node& node, std::span<const Value> in) -> Value {
    if (node.op != Op::dot || node.shape.rank() != 2) return {};
    const auto& attr = node.as<DotAttr>();
    if (!attr.transpose_a || attr.transpose_b) return {};
    const int64_t m = node.shape[0], n = node.shape[1], depth = in[0].extent(0) / parts;
    if (in[0].extent(0) % parts != 0 || depth < least_depth) return {};
    if (parts * depth < longer * std::max(m, n)) return {};
    const Value products =
        dot(reshape(in[0], {parts, depth, m}), reshape(in[1], {parts, depth, n}), true, false);
    Value sum;
    for (int64_t i = 0; i < parts; ++i) {
      const Value part = reshape(slice_axis(products, 0, i, i + 1), node.shape);
      sum = sum ? sum + part : part;
    }
    return sum;
  });
}

std::span<const Pass> pipeline() {
  static constexpr Pass passes[] = {
      {"inline_calls", [](const Graph& g) { return inline_calls(g); }, true},
      {"unroll_scans", unroll_scans},
      {"simplify", simplify},
      {"merge_scans", merge_scans},
      {"hoist_scan", hoist_scan},
      {"layout", layout},
      {"simplify", simplify},
      {"split_reductions", split_reductions},
      {"split_products", split_products},
  };
  return passes;
}

}  // namespace soma::passes
