// Network::summary: what the network consists of, as a table.
#include <algorithm>
#include <ostream>

#include "soma/network.h"
#include "src/base/text.h"

namespace soma {

namespace {

using Cells = std::vector<std::string>;

/// Characters, not bytes: activations and names may hold more than ASCII.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

/// Columns as wide as needed; those from `numbers_from` to `numbers_to` are flushed right.
void print_table(std::ostream& out, const std::vector<Cells>& rows, size_t numbers_from,
                 size_t numbers_to) {
  std::vector<size_t> widths(rows[0].size(), 0);
  for (const Cells& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  for (const Cells& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - width_of(row[i]), ' ');
      const bool right = i >= numbers_from && i < numbers_to;
      line += cat(i ? "  " : "", right ? space : "", row[i], right ? "" : space);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << '\n';
  }
}

std::string counted(int64_t count, std::string_view noun) {
  return cat(grouped(count), " ", noun, count == 1 ? "" : "s");
}

std::string bytes_text(int64_t bytes) {
  constexpr const char* units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(units)) value /= 1024, ++unit;
  const double shown = static_cast<double>(static_cast<int64_t>(value * 10 + 0.5)) / 10;
  return cat(number(shown), " ", units[unit]);
}

std::string activation_text(const LayerInfo& layer) {
  if (layer.activations.size() < 2) return join(layer.activations, "");
  return excerpt(cat("[", join(layer.activations, " "), "]"), 32);
}

}  // namespace

void Network::summary(std::ostream& out) const {
  std::vector<Cells> rows{{"layer", "kind", "from", "neurons", "links", "parameters", "FLOPs",
                           "output", "activation", ""}};
  rows.push_back({"input", "data", "", "", "", "", "", info_.input.text(), "", "(not counted)"});
  for (const LayerInfo& layer : info_.layers) {
    const auto count = [&](int64_t n) { return n || layer.has_neurons ? grouped(n) : ""; };
    rows.push_back({layer.name, layer.kind, join(layer.sources, ", "), count(layer.neurons),
                    count(layer.links), count(layer.parameters), count(layer.flops),
                    layer.output.text(), activation_text(layer),
                    layer.frozen ? cat(grouped(layer.frozen), " frozen") : ""});
  }
  print_table(out, rows, 3, 7);
  out << '\n'
      << counted(info_.layer_count, "layer") << ", " << counted(info_.neurons, "neuron") << ", "
      << counted(info_.links, "link") << ", " << counted(info_.parameters, "parameter") << " ("
      << bytes_text(info_.parameter_bytes) << ")\n"
      << grouped(info_.flops) << " floating-point operations and "
      << bytes_text(info_.activation_bytes) << " of activations per sample, forward\n";
}

}  // namespace soma
