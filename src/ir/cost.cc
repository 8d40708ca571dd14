// Floating-point operations by op class: maps one per element, reductions one per element read,
// contractions two per product.
#include "src/ir/cost.h"

namespace soma {

namespace {

int64_t contraction(const Graph& graph, const Node& node) {
  if (node.op == Op::dot) {
    const Shape& a = graph[node.in[0]].shape;
    const int inner = node.as<DotAttr>().transpose_a ? a.rank() - 2 : a.rank() - 1;
    return 2 * node.shape.elements() * a[inner];
  }
  // Every role of a convolution multiplies the same pairs: y [N, O, …] by w's [C/groups, …].
  const auto& attr = node.as<ConvAttr>();
  const Shape& w = attr.role == ConvRole::dw ? node.shape : graph[node.in[1]].shape;
  const Shape& y = attr.role == ConvRole::y    ? node.shape
                   : attr.role == ConvRole::dx ? graph[node.in[0]].shape
                                               : graph[node.in[1]].shape;
  return w[0] == 0 ? 0 : 2 * y.elements() * (w.elements() / w[0]);
}

}  // namespace

int64_t flops(const Graph& graph, const Node& node) {
  switch (info(node.op).kind) {
    case OpClass::map:
      return node.op == Op::stop || node.op == Op::cast ? 0 : node.shape.elements();
    case OpClass::reduce: return graph[node.in[0]].shape.elements();
    case OpClass::contract: return contraction(graph, node);
    case OpClass::control:
      if (node.op == Op::call) return flops(*node.as<CallAttr>().body);
      if (node.op == Op::scan) return node.as<ScanAttr>().length * flops(*node.as<ScanAttr>().body);
      return 0;
    case OpClass::leaf:
    case OpClass::move:
    case OpClass::opaque: return 0;
  }
  return 0;
}

int64_t flops(const Graph& graph) {
  int64_t total = 0;
  for (const Node& node : graph.nodes()) total += flops(graph, node);
  return total;
}

int64_t product_flops(const Graph& graph) {
  int64_t total = 0;
  for (const Node& node : graph.nodes()) {
    if (info(node.op).kind == OpClass::contract) total += flops(graph, node);
    if (node.op == Op::call) total += product_flops(*node.as<CallAttr>().body);
    if (node.op == Op::scan) {
      const auto& scan = node.as<ScanAttr>();
      total += scan.length * product_flops(*scan.body);
    }
  }
  return total;
}

}  // namespace soma
