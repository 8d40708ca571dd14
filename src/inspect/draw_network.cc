// Drawings of a network: one column per layer, neurons as circles, links shaded by weight.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "soma/error.h"
#include "soma/inspect.h"
#include "src/base/text.h"
#include "src/inspect/dot.h"
#include "src/inspect/svg.h"

namespace soma {

namespace {

constexpr double column_width = 150, row_height = 34, radius = 11, margin = 60, header = 56;
/// Two layers with more shown links than this are joined by a band.
constexpr size_t max_lines = 1200;

/// One column of the drawing: the data, a layer, or a step without neurons.
struct Column {
  std::string name;
  std::string note, detail;
  const LayerInfo* layer = nullptr;  // none for the data
  bool circles = true;               // false: drawn as one box, which stands for shared weights
  int64_t neurons = 0;               // how many there are
  std::vector<int64_t> shown;        // which of them are drawn; -1 is the ellipsis
  std::vector<std::string> sources;
  size_t rank = 0;  // counted from the left
};

std::vector<int64_t> shown_neurons(int64_t count, int64_t most) {
  std::vector<int64_t> shown;
  if (count <= most) {
    for (int64_t i = 0; i < count; ++i) shown.push_back(i);
    return shown;
  }
  const int64_t head = most / 2, tail = most - head - 1;
  for (int64_t i = 0; i < head; ++i) shown.push_back(i);
  shown.push_back(-1);
  for (int64_t i = count - tail; i < count; ++i) shown.push_back(i);
  return shown;
}

std::string counted(int64_t count, std::string_view noun) {
  return cat(grouped(count), " ", noun, count == 1 ? "" : "s");
}

std::string activation_note(const LayerInfo& layer) {
  if (layer.activations.empty()) return layer.kind;
  return layer.activations.size() == 1 ? layer.activations[0] : "own activations";
}

/// What a box says: its kind, and what comes out of it.
std::string box_note(const LayerInfo& layer) {
  return layer.has_neurons ? cat(layer.kind, " ", layer.output.text()) : layer.output.text();
}

std::vector<Column> columns_of(const Network& network, int max_neurons) {
  const NetworkInfo& info = network.info();
  std::vector<Column> columns;
  for (const NetworkInput& input : network.inputs()) {
    Column column;
    column.name = input.name;
    column.neurons = input.shape.elements();
    column.note = counted(column.neurons, "number");
    column.detail = "data, not counted";
    columns.push_back(std::move(column));
  }
  for (const LayerInfo& layer : info.layers) {
    Column column;
    column.name = layer.name;
    column.layer = &layer;
    column.circles = layer.has_neurons && layer.separate;
    column.neurons = layer.has_neurons ? layer.neurons : layer.output.elements();
    column.note = layer.has_neurons ? counted(layer.neurons, "neuron") : layer.kind;
    column.detail = column.circles ? activation_note(layer) : box_note(layer);
    column.sources = layer.sources;
    columns.push_back(std::move(column));
  }
  for (size_t i = 0; i < columns.size(); ++i) {
    columns[i].rank = i;
    columns[i].shown = shown_neurons(columns[i].neurons, std::max(3, max_neurons));
  }
  return columns;
}

std::string activation_of(const LayerInfo& layer, int64_t neuron) {
  if (layer.activations.empty()) return "";
  return layer.activations[layer.activations.size() == 1 ? 0 : static_cast<size_t>(neuron)];
}

// ---------------------------------------------------------------- SVG

class Drawing {
 public:
  Drawing(const Network& network, const DrawOptions& options)
      : network_(network), columns_(columns_of(network, options.max_neurons)) {
    for (const Column& column : columns_) {
      rows_ = std::max(rows_, column.shown.size());
      by_name_[column.name] = &column;
      for (const std::string& source : column.sources) {
        skips_ |= column.rank > by_name_.at(source)->rank + 1;
      }
    }
  }

  std::string draw() {
    for (const Column& column : columns_) {
      if (column.layer && !column.layer->link_list.empty()) {
        listed_links(column);
        continue;
      }
      int64_t first_link = 0;
      for (const std::string& source : column.sources) {
        const Column& from = *by_name_.at(source);
        links(from, column, first_link);
        first_link += from.neurons;
      }
    }
    for (const Column& column : columns_) draw_column(column);
    const double width = 2 * margin + column_width * static_cast<double>(columns_.size() - 1);
    return svg_.finish(width, height() + margin / 2 + (skips_ ? margin / 2 : 0),
                       cat("Network: ", network_.text()));
  }

 private:
  double height() const { return header + row_height * static_cast<double>(rows_) + 12; }

  double x(const Column& column) const {
    return margin + column_width * static_cast<double>(column.rank);
  }

  /// The centre of the k-th drawn neuron; columns are centred on each other.
  Svg::Point place(const Column& column, size_t k) const {
    const double middle = header + row_height * static_cast<double>(rows_) / 2;
    if (!column.circles && column.layer) return {x(column), middle};
    const double offset =
        static_cast<double>(k) - (static_cast<double>(column.shown.size()) - 1) / 2;
    return {x(column), middle + offset * row_height};
  }

  static size_t ends(const Column& column) {
    return column.circles || !column.layer ? column.shown.size() : 1;
  }

  /// Links of the layer's own choice, each for itself; those that end at neurons not shown are left
  /// out.
  void listed_links(const Column& to) {
    const auto& list = to.layer->link_list;
    const Tensor& weights = network_.tensors().at(cat(to.name, "/weights"));
    const double largest = largest_of(weights);
    size_t drawn = 0;
    for (size_t i = 0; i < list.size() && drawn < max_lines; ++i) {
      const Link& link = list[i];
      const Column* from = &to;
      int64_t source = link.from;
      for (size_t k = 0; !link.from_neuron && k < to.sources.size(); ++k) {
        from = by_name_.at(to.sources[k]);
        if (source < from->neurons) break;
        source -= from->neurons;
      }
      const auto a = std::ranges::find(from->shown, source),
                 b = std::ranges::find(to.shown, link.to);
      const bool box = !from->circles && from->layer;
      if ((!box && a == from->shown.end()) || b == to.shown.end()) continue;
      const double w = weights.at(static_cast<int64_t>(i));
      const double strength = largest > 0 ? std::abs(w) / largest : 0;
      const size_t start = box ? 0 : static_cast<size_t>(a - from->shown.begin());
      join_ends(*from, start, to, static_cast<size_t>(b - to.shown.begin()),
                w < 0 ? "negative" : "positive",
                cat("stroke-width=\"", coordinate(0.6 + 1.8 * strength), "\" opacity=\"",
                    coordinate(0.2 + 0.7 * strength), "\"",
                    link.delayed ? " stroke-dasharray=\"4 3\"" : ""),
                cat(from->name, " ", source, " → ", to.name, " ", link.to,
                    link.delayed ? ", one step later" : "", ": ", rounded(w)));
      ++drawn;
    }
  }

  void links(const Column& from, const Column& to, int64_t first_link) {
    if (ends(from) * ends(to) > max_lines) return band(from, to);
    const Tensor* weights = nullptr;
    if (to.circles && to.layer->separate && to.layer->link_list.empty()) {
      const auto found = network_.tensors().find(cat(to.name, "/weights"));
      if (found != network_.tensors().end()) weights = &found->second;
      // Layers that look at each step of a sequence have no weight of their own for each number.
      if (weights && weights->shape()[0] < first_link + from.neurons) weights = nullptr;
    }
    const double largest = weights ? largest_of(*weights) : 0;
    for (size_t a = 0; a < ends(from); ++a) {
      for (size_t b = 0; b < ends(to); ++b) {
        const int64_t source = from.circles || !from.layer ? from.shown[a] : -1;
        const int64_t target = to.circles ? to.shown[b] : -1;
        if (weights && source >= 0 && target >= 0) {
          const double w = weights->at((first_link + source) * to.neurons + target);
          const double strength = largest > 0 ? std::abs(w) / largest : 0;
          // Links that skip layers cross others: fainter.
          const double opacity = to.rank == from.rank + 1 ? 0.1 + 0.8 * strength : 0.5 * strength;
          join_ends(from, a, to, b, w < 0 ? "negative" : "positive",
                    cat("stroke-width=\"", coordinate(0.6 + 1.8 * strength), "\" opacity=\"",
                        coordinate(opacity), "\""),
                    cat(from.name, " ", source, " → ", to.name, " ", target, ": ", rounded(w)));
        } else if (from.shown[std::min(a, from.shown.size() - 1)] >= 0 &&
                   to.shown[std::min(b, to.shown.size() - 1)] >= 0) {
          join_ends(from, a, to, b, "link", "opacity=\"0.4\"", "");
        }
      }
    }
  }

  void join_ends(const Column& from, size_t a, const Column& to, size_t b, std::string_view kind,
                 const std::string& style, const std::string& tip) {
    const Svg::Point p = place(from, a), q = place(to, b);
    if (to.rank == from.rank + 1) return svg_.line(p, q, kind, style, tip);
    if (to.rank == from.rank) {  // between neurons of one net, around the outside of the column
      const double out = p.x + radius + 14 + 0.25 * std::abs(q.y - p.y);
      return svg_.curve(p, {out, p.y - 6}, {out, q.y + 6}, q, kind, style, tip);
    }
    // Links that skip layers pass below the ones in between.
    const double low = height() + margin / 2;
    svg_.curve(p, {p.x + column_width * 0.6, low}, {q.x - column_width * 0.6, low}, q, kind, style,
               tip);
  }

  /// All links between two layers as one surface of lines is unreadable: a few stand for them.
  void band(const Column& from, const Column& to) {
    for (const size_t a : {size_t{0}, ends(from) - 1}) {
      for (const size_t b : {size_t{0}, ends(to) - 1}) {
        join_ends(from, a, to, b, "link", "opacity=\"0.5\"", "");
      }
    }
  }

  static double largest_of(const Tensor& weights) {
    double largest = 0;
    for (int64_t i = 0; i < weights.elements(); ++i) {
      const double size = std::abs(weights.at(i));
      if (std::isfinite(size)) largest = std::max(largest, size);
    }
    return largest;
  }

  static std::string rounded(double value) { return number(std::round(value * 1e4) / 1e4); }

  void draw_column(const Column& column) {
    svg_.text({x(column), 20}, column.name, "name");
    svg_.text({x(column), 35}, column.note, "note");
    svg_.text({x(column), 49}, excerpt(column.detail, 24), "note");
    if (!column.circles && column.layer) {
      const Svg::Point middle = place(column, 0);
      svg_.rect({middle.x - 38, middle.y - 18}, 76, 36, 8, "step", "",
                cat(column.name, ": ", column.layer->text));
      svg_.text(
          {middle.x, middle.y + 4},
          excerpt(column.layer->has_neurons ? column.layer->kind : activation_note(*column.layer),
                  11),
          "small");
      return;
    }
    for (size_t k = 0; k < column.shown.size(); ++k) draw_neuron(column, k);
  }

  void draw_neuron(const Column& column, size_t k) {
    const Svg::Point center = place(column, k);
    const int64_t neuron = column.shown[k];
    if (neuron < 0) {
      for (const double dy : {-8.0, 0.0, 8.0}) svg_.circle({center.x, center.y + dy}, 2, "dot");
      return;
    }
    if (!column.layer) {
      svg_.rect({center.x - 9, center.y - 9}, 18, 18, 4, "data", "", cat("input ", neuron));
      return;
    }
    const bool frozen =
        network_.layers()[column.rank - network_.inputs().size()].frozen().contains(neuron);
    const auto bias = network_.tensors().find(cat(column.name, "/bias"));
    std::string tip = cat(column.name, " ", neuron, ": ", activation_of(*column.layer, neuron));
    if (bias != network_.tensors().end()) tip += cat(", bias ", rounded(bias->second.at(neuron)));
    if (frozen) tip += ", frozen";
    svg_.circle(center, radius, frozen ? "frozen" : "neuron", "", tip);
    if (column.layer->activations.size() > 1) {
      svg_.text({center.x + radius + 4, center.y - radius + 2},
                excerpt(activation_of(*column.layer, neuron), 10), "small", Svg::Anchor::start);
    }
  }

  const Network& network_;
  std::vector<Column> columns_;
  std::map<std::string, const Column*> by_name_;
  size_t rows_ = 0;
  bool skips_ = false;
  Svg svg_;
};

// ---------------------------------------------------------------- DOT

std::string dot_network(const Network& network) {
  std::string text = "digraph network {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n";
  std::map<std::string_view, int64_t> outputs;
  const std::vector<Column> columns = columns_of(network, 3);
  for (const Column& column : columns) {
    outputs[column.name] = column.layer ? column.layer->output.elements() : column.neurons;
    const std::string label = cat(column.name, "\n", column.note, "\n", column.detail);
    text += cat("  ", quote_dot(column.name), " [label=", quote_dot(label),
                column.layer ? "" : ", style=dashed", "];\n");
    for (const std::string& source : column.sources) {
      text += cat("  ", quote_dot(source), " -> ", quote_dot(column.name));
      if (column.layer->links) {
        const std::string links = counted(outputs.at(source) * column.neurons, "link");
        text += cat(" [label=", quote_dot(links), "]");
      }
      text += ";\n";
    }
  }
  return text + "}\n";
}

}  // namespace

std::string draw_network(const Network& network, const DrawOptions& options) {
  return options.format == DrawFormat::dot ? dot_network(network)
                                           : Drawing(network, options).draw();
}

}  // namespace soma
