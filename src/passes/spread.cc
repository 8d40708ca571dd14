#include "src/passes/spread.h"

#include <algorithm>

namespace soma::passes {

namespace {

constexpr int64_t most_elements = 32;
constexpr size_t most_maps = 4;
constexpr size_t most_operations = 64;

/// A reduction whose elements do not follow one another in the array it reads.
bool qualifies(const Graph& graph, const Node& node) {
  if (node.op != Op::reduce || node.shape.elements() == 0) return false;
  const Dims& axes = node.as<ReduceAttr>().axes;
  const int n = axes.size(), rank = graph[node.in[0]].shape.rank();
  if (axes[n - 1] == n - 1) return false;  // over the first axes: columns are added
  if (axes[0] != rank - n) return true;
  // Over the last axes: rows, unless they are windows of something else.
  if (info(graph[node.in[0]].op).kind != OpClass::move) return false;
  const View view = view_of(graph, node.in[0]);
  return info(graph[view.base].op).kind != OpClass::leaf && !view.contiguous() &&
         view.strides.back() != 0;
}

bool cheap_map(const Graph& graph, Id id) {
  const OpInfo& row = info(graph[id].op);
  return row.kind == OpClass::map && row.is(OpInfo::cheap);
}

void collect(const Graph& graph, Id id, Spread& spread) {
  auto& list = cheap_map(graph, id) ? spread.maps : spread.sources;
  if (std::ranges::find(list, id) != list.end()) return;
  if (&list == &spread.maps) {
    for (const Id operand : graph[id].in) collect(graph, operand, spread);
  }
  list.push_back(id);
}

}  // namespace

size_t Spread::operations() const {
  return static_cast<size_t>(count) * (1 + maps.size() + sources.size());
}

std::optional<Spread> spread_of(const Graph& graph, Id reduce) {
  const Node& node = graph[reduce];
  if (!qualifies(graph, node)) return {};
  Spread spread;
  spread.count = graph[node.in[0]].shape.elements() / node.shape.elements();
  if (spread.count < 2 || spread.count > most_elements) return {};
  collect(graph, node.in[0], spread);
  if (spread.maps.size() > most_maps || spread.operations() > most_operations) {
    spread.maps.clear();
    spread.sources = {node.in[0]};
  }
  return spread;
}

View spread_view(const View& view, const Dims& axes, const Dims& at) {
  View part{view.base, view.offset, {}, {}};
  int reduced = 0;
  for (int i = 0; i < view.shape.rank(); ++i) {
    if (axes.contains(i)) {
      part.offset += at[reduced++] * view.strides[i];
    } else {
      part.shape.push_back(view.shape[i]);
      part.strides.push_back(view.strides[i]);
    }
  }
  return part;
}

std::vector<bool> only_spread(const Graph& graph, const std::vector<bool>& live) {
  std::vector<bool> kept(graph.size(), false);  // some user needs the array, or the value
  for (const auto& output : graph.outputs()) kept[output.id] = true;
  for (const auto& update : graph.updates()) kept[update.value] = true;
  std::vector<bool> used(graph.size(), false);
  for (Id id = static_cast<Id>(graph.size()); id-- > 0;) {
    if (!live[id]) continue;
    if (const auto spread = spread_of(graph, id)) {
      for (const Id map : spread->maps) used[map] = true;
      for (const Id source : spread->sources) kept[source] = true;
    } else if (kept[id] || !used[id]) {
      for (const Id operand : graph[id].in) kept[operand] = true;
    }
  }
  std::vector<bool> result(graph.size(), false);
  for (Id id = 0; id < graph.size(); ++id) result[id] = live[id] && used[id] && !kept[id];
  return result;
}

}  // namespace soma::passes
