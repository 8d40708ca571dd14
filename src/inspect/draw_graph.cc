// Drawings of a computational graph: nodes in rows by their distance from the inputs, coloured by
// layer. Constants are written into the nodes that use them.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>

#include "soma/inspect.h"
#include "src/base/text.h"
#include "src/inspect/dot.h"
#include "src/inspect/svg.h"
#include "src/ir/infer.h"

namespace soma {

namespace {

constexpr double box_width = 124, box_height = 44, column_gap = 22, row_gap = 40, margin = 24;

/// A node of the drawing: one of the graph that is no constant, or a result.
struct Box {
  std::string title, detail, scope;
  std::vector<size_t> from;  // boxes
  size_t rank = 0;
  double x = 0, y = 0;
  bool is_data = false, is_result = false;
};

/// The number a node is, when it is a constant or a constant repeated.
const ConstantAttr* constant_of(const Graph& graph, Id id) {
  const Node& node = graph[id];
  if (node.op == Op::constant) return &node.as<ConstantAttr>();
  const bool moves = node.op == Op::broadcast || node.op == Op::reshape;
  return moves ? constant_of(graph, node.in[0]) : nullptr;
}

/// A call or loop with one result is drawn as that result.
bool is_only_result(const Graph& graph, const Node& node) {
  return node.op == Op::get && result_count(graph[node.in[0]]) == 1;
}
bool has_only_result(const Node& node) {
  return (node.op == Op::call || node.op == Op::scan) && result_count(node) == 1;
}

std::string title_of(const Graph& graph, const Node& node) {
  if (node.op == Op::input) return node.as<InputAttr>().name;
  if (node.op == Op::call) return node.as<CallAttr>().name;
  if (is_only_result(graph, node)) return title_of(graph, graph[node.in[0]]);
  std::string title(info(node.op).name);
  if (node.op == Op::reduce) {
    title = cat(node.as<ReduceAttr>().kind == Reduction::sum ? "sum" : "max", " over ",
                node.as<ReduceAttr>().axes);
  }
  std::vector<std::string> numbers;
  for (const Id in : node.in) {
    if (const auto* constant = constant_of(graph, in)) numbers.push_back(number(constant->value));
  }
  return numbers.empty() ? title : cat(title, " (", join(numbers, ", "), ")");
}

std::string detail_of(const Node& node) {
  constexpr const char* kinds[] = {"data ", "parameter ", "state "};
  const std::string kind =
      node.op == Op::input ? kinds[static_cast<int>(node.as<InputAttr>().kind)] : "";
  return cat(kind, node.type, node.shape);
}

/// Inputs and what leads to a result; everything in a graph without results.
std::vector<bool> needed_nodes(const Graph& graph, const std::set<Id>& results) {
  std::vector<bool> needed(graph.size(), results.empty());
  for (size_t i = graph.size(); i-- > 0;) {
    const Node& node = graph[static_cast<Id>(i)];
    if (node.op == Op::input || results.count(static_cast<Id>(i))) needed[i] = true;
    if (!needed[i]) continue;
    for (const Id in : node.in) needed[in] = true;
  }
  return needed;
}

std::vector<Box> boxes_of(const Graph& graph) {
  std::vector<Box> boxes;
  std::map<Id, size_t> box_of;
  const auto link = [&](Box& box, Id id) {
    const auto found = box_of.find(id);
    if (found == box_of.end()) return;
    box.from.push_back(found->second);
    box.rank = std::max(box.rank, boxes[found->second].rank + 1);
  };
  // A constant that is a result is drawn; others are written where they are used.
  std::set<Id> results;
  for (const auto& output : graph.outputs()) results.insert(output.id);
  for (const auto& update : graph.updates()) results.insert(update.value);
  const std::vector<bool> needed = needed_nodes(graph, results);
  for (Id id = 0; id < graph.size(); ++id) {
    const Node& node = graph[id];
    if (constant_of(graph, id) && !results.count(id)) continue;
    if (has_only_result(node) || !needed[id]) continue;
    Box box;
    box.title = title_of(graph, node);
    box.detail = detail_of(node);
    box.scope = graph.scope_of(node).name;
    box.is_data = node.op == Op::input;
    const Node& reader = is_only_result(graph, node) ? graph[node.in[0]] : node;
    for (const Id in : reader.in) link(box, in);
    box_of[id] = boxes.size();
    boxes.push_back(std::move(box));
  }
  const auto result = [&](std::string title, std::string detail, Id id) {
    Box box;
    box.title = std::move(title);
    box.detail = std::move(detail);
    box.is_result = true;
    link(box, id);
    boxes.push_back(std::move(box));
  };
  for (const auto& output : graph.outputs()) result(output.name, "output", output.id);
  for (const auto& update : graph.updates()) {
    result(graph[update.state].as<InputAttr>().name, "update", update.value);
  }
  return boxes;
}

// ---------------------------------------------------------------- SVG

/// The boxes of each rank from left to right, near what they are linked to.
std::vector<std::vector<size_t>> rows_of(std::vector<Box>& boxes) {
  // Leaves, and what is made of one leaf alone, move down to just above their users: shorter links.
  std::vector<bool> movable;
  for (const Box& box : boxes) {
    movable.push_back(box.from.empty() || (box.from.size() == 1 && movable[box.from[0]]));
  }
  constexpr size_t none = SIZE_MAX;
  std::vector<size_t> highest_user(boxes.size(), none);
  for (size_t i = boxes.size(); i-- > 0;) {
    if (movable[i] && highest_user[i] != none) boxes[i].rank = highest_user[i] - 1;
    for (const size_t from : boxes[i].from) {
      highest_user[from] = std::min(highest_user[from], boxes[i].rank);
    }
  }
  std::vector<std::vector<size_t>> rows;
  for (size_t i = 0; i < boxes.size(); ++i) {
    if (rows.size() <= boxes[i].rank) rows.resize(boxes[i].rank + 1);
    rows[boxes[i].rank].push_back(i);
  }
  std::erase_if(rows, [](const auto& row) { return row.empty(); });
  return rows;
}

/// Puts each box at the mean place of its neighbours, as far as the others leave room; a few sweeps
/// down and up (Sugiyama+ 1981).
void place(std::vector<Box>& boxes, std::vector<std::vector<size_t>>& rows) {
  std::vector<std::vector<size_t>> users(boxes.size());
  for (size_t i = 0; i < boxes.size(); ++i) {
    for (const size_t from : boxes[i].from) users[from].push_back(i);
  }
  constexpr double step = box_width + column_gap;
  for (auto& row : rows) {
    for (size_t k = 0; k < row.size(); ++k) boxes[row[k]].x = step * static_cast<double>(k);
  }
  const auto settle = [&](std::vector<size_t>& row, bool down) {
    std::map<size_t, double> wish;
    for (const size_t i : row) {
      const auto& near = down ? boxes[i].from : users[i];
      double sum = 0;
      for (const size_t other : near) sum += boxes[other].x;
      wish[i] = near.empty() ? boxes[i].x : sum / static_cast<double>(near.size());
    }
    std::stable_sort(row.begin(), row.end(), [&](size_t a, size_t b) { return wish[a] < wish[b]; });
    double mean = 0, packed = 0;
    for (size_t k = 0; k < row.size(); ++k) {
      Box& box = boxes[row[k]];
      box.x = k == 0 ? wish[row[k]] : std::max(wish[row[k]], boxes[row[k - 1]].x + step);
      mean += wish[row[k]];
      packed += box.x;
    }
    for (const size_t i : row) boxes[i].x -= (packed - mean) / static_cast<double>(row.size());
  };
  for (int sweep = 0; sweep < 6; ++sweep) {
    for (auto& row : rows) settle(row, true);
    for (size_t r = rows.size(); r-- > 0;) settle(rows[r], false);
  }
  for (auto& row : rows) settle(row, true);
}

/// Layers differ in hue: the golden angle keeps neighbours apart.
class Palette {
 public:
  std::string style(const std::string& scope) {
    const std::string layer = scope.substr(0, scope.find('/'));
    if (layer.empty()) return "fill=\"#6b7280\" fill-opacity=\"0.12\" stroke=\"#6b7280\"";
    const auto [found, fresh] =
        hues_.try_emplace(layer, static_cast<int>(hues_.size() * 137 % 360));
    return cat("fill=\"hsl(", found->second, ",70%,50%)\" fill-opacity=\"0.15\" stroke=\"hsl(",
               found->second, ",55%,50%)\"");
  }

 private:
  std::map<std::string, int> hues_;
};

std::string svg_graph(const Graph& graph) {
  std::vector<Box> boxes = boxes_of(graph);
  auto rows = rows_of(boxes);
  place(boxes, rows);
  double left = boxes.empty() ? 0 : boxes[0].x, right = left;
  for (const Box& box : boxes) {
    left = std::min(left, box.x);
    right = std::max(right, box.x);
  }
  for (size_t r = 0; r < rows.size(); ++r) {
    for (const size_t i : rows[r]) {
      boxes[i].x += margin + box_width / 2 - left;
      boxes[i].y = margin + box_height / 2 + (box_height + row_gap) * static_cast<double>(r);
    }
  }
  Svg svg;
  for (const Box& box : boxes) {
    for (const size_t from : box.from) {
      const Svg::Point p{boxes[from].x, boxes[from].y + box_height / 2};
      const Svg::Point q{box.x, box.y - box_height / 2};
      const double bend = std::max(row_gap / 2, (q.y - p.y) / 3);
      // A long straight link would run behind the boxes in between.
      const bool hidden = q.y - p.y > 2 * row_gap && std::abs(q.x - p.x) < box_width / 2;
      const double side = hidden ? box_width * 0.9 : 0;
      svg.curve(p, {p.x + side, p.y + bend}, {q.x + side, q.y - bend}, q, "link",
                "opacity=\"0.7\"");
    }
  }
  Palette palette;
  for (const Box& box : boxes) {
    const Svg::Point corner{box.x - box_width / 2, box.y - box_height / 2};
    const double round = box.is_data || box.is_result ? box_height / 2 : 6;
    const std::string tip =
        cat(box.title, " ", box.detail, box.scope.empty() ? "" : " in layer ", box.scope);
    svg.rect(corner, box_width, box_height, round, "paper");  // hides the links behind
    svg.rect(corner, box_width, box_height, round, box.is_result ? "step" : "box",
             box.is_result ? "" : palette.style(box.scope), tip);
    svg.text({box.x, box.y - 3}, excerpt(box.title, 18), "op");
    svg.text({box.x, box.y + 13}, excerpt(box.detail, 22), "note");
  }
  const double height = margin * 2 + (box_height + row_gap) * static_cast<double>(rows.size());
  return svg.finish(right - left + box_width + 2 * margin, std::max(height - row_gap, 2 * margin),
                    cat("Computational graph of ", graph.size(), " nodes"));
}

// ---------------------------------------------------------------- DOT

std::string dot_graph(const Graph& graph) {
  const std::vector<Box> boxes = boxes_of(graph);
  std::map<std::string, std::string> layers;  // the nodes of each layer
  std::string links;
  for (size_t i = 0; i < boxes.size(); ++i) {
    const Box& box = boxes[i];
    const char* shape = box.is_result ? "doubleoctagon" : box.is_data ? "ellipse" : "box";
    layers[box.scope.substr(0, box.scope.find('/'))] +=
        cat("    n", i, " [shape=", shape, ", label=", quote_dot(cat(box.title, "\n", box.detail)),
            "];\n");
    for (const size_t from : box.from) links += cat("  n", from, " -> n", i, ";\n");
  }
  std::string text = "digraph graph_of_nodes {\n";
  int cluster = 0;
  for (const auto& [layer, nodes] : layers) {
    text += layer.empty()
                ? "  {\n"
                : cat("  subgraph cluster_", cluster++, " {\n    label=", quote_dot(layer), ";\n");
    text += nodes + "  }\n";
  }
  return text + links + "}\n";
}

}  // namespace

std::string draw_graph(const Graph& graph, DrawFormat format) {
  return format == DrawFormat::dot ? dot_graph(graph) : svg_graph(graph);
}

}  // namespace soma
