// Tables and plots of a sweep.
#include "cli/sweep_page.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "cli/compare.h"
#include "cli/progress.h"
#include "src/base/text.h"
#include "src/inspect/html.h"
#include "src/inspect/svg.h"

namespace soma::cli {
namespace {

std::string name_of(const SweepTrial& trial) {
  return std::filesystem::path(trial.folder).filename().string();
}

double number_or_nan(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? value : std::nan("");
}

std::string one_chart(Chart chart) {
  chart.width = 440;
  chart.height = 280;
  return draw_charts(std::span(&chart, 1), 1);
}

/// Whether powers of ten show more than the numbers themselves.
bool spreads(const std::vector<double>& values) {
  double least = HUGE_VAL, most = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    least = std::min(least, value);
    most = std::max(most, value);
  }
  return least > 0 && most > 8 * least;
}

/// Scores over one setting: at its numbers, or at the places of its values where they are words.
std::string setting_figure(const std::string& metric, std::span<const SweepTrial> trials,
                           size_t setting) {
  Chart chart{
      trials[0].settings[setting].first, "", {{metric, {}, {}, false, Curve::Kind::points}}};
  std::vector<std::string> words;
  double least = HUGE_VAL, most = -HUGE_VAL;
  bool numbers = true;
  for (const SweepTrial& trial : trials) {
    const std::string& value = trial.settings[setting].second;
    const double x = number_or_nan(value);
    numbers = numbers && std::isfinite(x);
    least = std::min(least, x);
    most = std::max(most, x);
    if (std::ranges::find(words, value) == words.end()) words.push_back(value);
  }
  HtmlTable table{{chart.title, metric}, {}};
  Curve& points = chart.curves[0];
  for (const SweepTrial& trial : trials) {
    const std::string& value = trial.settings[setting].second;
    const auto place = std::ranges::find(words, value) - words.begin();
    points.x.push_back(numbers ? number_or_nan(value) : static_cast<double>(place + 1));
    points.y.push_back(trial.score);
    table.rows.push_back({value, figure_of(trial.score)});
  }
  chart.log_x = numbers && least > 0 && most > 20 * least;
  chart.x_label = chart.title;
  chart.note = cat(metric, " of each trial");
  const std::string caption =
      cat("The best ", metric, " of each trial over its ", chart.title, ".");
  if (!numbers) chart.x_names = words;
  chart.log_y = spreads(points.y);
  return html_figure(one_chart(chart), caption, table);
}

}  // namespace

std::string SweepTrial::text() const {
  std::vector<std::string> parts;
  for (const auto& [name, value] : settings) parts.push_back(cat(name, " ", value));
  return join(parts, ", ");
}

std::vector<std::vector<std::string>> sweep_rows(const std::string& metric,
                                                 std::span<const SweepTrial> trials) {
  std::vector<std::vector<std::string>> rows{{"trial"}};
  for (const auto& [name, value] : trials[0].settings) rows[0].push_back(name);
  rows[0].push_back(metric);
  for (const SweepTrial& trial : trials) {
    rows.push_back({name_of(trial)});
    for (const auto& [name, value] : trial.settings) rows.back().push_back(excerpt(value, 40));
    rows.back().push_back(short_number(trial.score));
  }
  return rows;
}

std::string sweep_page(const std::string& title, const std::string& metric,
                       std::span<const SweepTrial> trials, std::span<const RunRecord> runs) {
  HtmlTable all{{"trial"}, {}};
  for (const auto& [name, value] : trials[0].settings) all.heading.push_back(name);
  all.heading.insert(all.heading.end(), {metric, "epochs"});
  std::vector<SweepTrial> trained;
  for (const SweepTrial& trial : trials) {
    const auto run = std::ranges::find(runs, trial.folder, &RunRecord::folder);
    if (run == runs.end()) continue;
    trained.push_back(trial);
    all.rows.push_back({name_of(trial)});
    for (const auto& [name, value] : trial.settings) all.rows.back().push_back(value);
    all.rows.back().push_back(figure_of(trial.score));
    all.rows.back().push_back(std::to_string(run->epochs.size()));
  }
  std::string figures, curves;
  for (size_t k = 0; !trained.empty() && k < trained[0].settings.size(); ++k) {
    figures += setting_figure(metric, trained, k);
  }
  for (Chart& chart : runs.empty() ? std::vector<Chart>{} : curves_of(runs)) {
    if (chart.title != metric) continue;
    HtmlTable table{{"run", "epochs", "first", "best", "last"}, {}};
    for (const RunRecord& run : runs) {
      if (run.epochs.empty()) continue;
      table.rows.push_back({run.name, std::to_string(run.epochs.size()),
                            figure_of(run.epochs.front()[metric]), figure_of(run.best(metric)),
                            figure_of(run.epochs.back()[metric])});
    }
    const std::string best = trained.empty() ? "" : name_of(trained[0]);
    for (Curve& curve : chart.curves) curve.faint = curve.name != best;
    chart.legend = false;
    std::vector<double> all_values;
    for (const Curve& curve : chart.curves) {
      all_values.insert(all_values.end(), curve.y.begin(), curve.y.end());
    }
    chart.log_y = spreads(all_values);
    chart.note = cat(best, " in colour, the others grey");
    curves = html_figure(one_chart(chart), cat(metric, " after each epoch."), table);
  }
  std::string body = cat(
      "<header>\n<p class=\"kicker\">Sweep</p>\n<h1>", escape_xml(title), "</h1>\n",
      trained.empty()
          ? ""
          : cat("<p class=\"deck\">", trained.size(), trained.size() == 1 ? " trial" : " trials",
                ". Best: ", escape_xml(trained[0].text()), ", with a ", escape_xml(metric), " of ",
                figure_of(trained[0].score), " on the validation rows.</p>\n"),
      "</header>\n<main>\n");
  if (!figures.empty()) {
    body += html_section("Settings", cat("<div class=\"figures\">\n", figures, curves, "</div>\n"));
  }
  body += html_section("Trials, from best to worst", html_of(all, Rows::all));
  body +=
      "</main>\n<footer>Written by soma sweep. Each trial has a report.html of its own."
      "</footer>\n";
  return html_page(cat(title, ": sweep"), body);
}

}  // namespace soma::cli
