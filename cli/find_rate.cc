// Losses over learning rates.
#include "cli/find_rate.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/progress.h"
#include "soma/chart.h"
#include "src/base/file.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

/// Dots in a frame of characters: losses from bottom to top, the logarithm of the rates to the
/// right, and a line where the suggestion is.
std::vector<std::string> text_plot(const RateSearch& search) {
  constexpr size_t width = 60, height = 12;
  std::vector<std::vector<std::string>> cells(height, std::vector<std::string>(width, " "));
  const auto [least, most] = std::ranges::minmax(search.losses);
  const double first = std::log(search.rates.front()), last = std::log(search.rates.back());
  const auto column = [&](double rate) {
    const double share = last > first ? (std::log(rate) - first) / (last - first) : 0;
    return static_cast<size_t>(std::lround(share * (width - 1)));
  };
  if (search.suggestion > 0) {
    for (auto& row : cells) row[column(search.suggestion)] = "│";
  }
  for (size_t i = 0; i < search.rates.size(); ++i) {
    const double share = most > least ? (search.losses[i] - least) / (most - least) : 0;
    const auto row = static_cast<size_t>(std::lround((1 - share) * (height - 1)));
    cells[row][column(search.rates[i])] = "●";
  }
  std::vector<std::string> lines;
  for (size_t row = 0; row < height; ++row) {
    std::string label = row == 0            ? short_number(most)
                        : row + 1 == height ? short_number(least)
                                            : "";
    label.insert(0, 12 - std::min<size_t>(12, label.size()), ' ');
    lines.push_back(cat(label, " ┤", join(cells[row], "")));
  }
  lines.push_back(cat("             └ rates from ", number(search.rates.front()), " to ",
                      short_number(search.rates.back()), ", evenly by their logarithm"));
  return lines;
}

}  // namespace

int show_rates(Console& console, const Network& net, const Dataset& train,
               const FitOptions& options, const std::string& plot) {
  if (!plot.empty() && !plot.ends_with(".svg")) {
    throw UsageError(cat("--plot draws an .svg file; found \"", plot, "\""));
  }
  const RateSearch search = find_learning_rate(net, train, options);
  if (!plot.empty()) {
    Curve curve{"loss", {}, search.losses};
    for (const double rate : search.rates) curve.x.push_back(std::log10(rate));
    const Chart chart{"Loss over the learning rate", "x: the rate's power of ten", {curve}};
    write_file_atomic(plot, draw_charts(std::span(&chart, 1), 1));
  }
  if (console.json()) {
    console.event({{"event", "rates"},
                   {"rates", search.rates},
                   {"losses", search.losses},
                   {"suggestion", search.suggestion}});
    return exit_ok;
  }
  if (!console.quiet() && !search.rates.empty()) {
    for (const std::string& line : text_plot(search)) console.line(line);
  }
  console.line(search.suggestion > 0
                   ? cat("suggested: --lr ", scientific(search.suggestion, 1),
                         ", where the loss falls fastest; a third of it is the careful choice")
                   : "the loss never fell: look at the data, the loss and the network");
  return exit_ok;
}

}  // namespace soma::cli
