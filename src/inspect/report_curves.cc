// How learning went.
#include <algorithm>
#include <cmath>
#include <map>

#include "soma/chart.h"
#include "src/base/text.h"
#include "src/inspect/html.h"
#include "src/inspect/report_parts.h"

namespace soma {
namespace {

std::string one_chart(Chart chart, bool has_legend) {
  chart.width = 440;
  chart.height = 260;
  chart.legend = has_legend;
  return draw_charts(std::span(&chart, 1), 1);
}

/// Whether powers of ten show more than the numbers themselves.
bool spreads(const std::vector<Curve>& curves) {
  double least = HUGE_VAL, most = 0;
  for (const Curve& curve : curves) {
    for (const double y : curve.y) {
      if (!std::isfinite(y)) continue;
      if (y <= 0) return false;
      least = std::min(least, y);
      most = std::max(most, y);
    }
  }
  return most > 8 * least;
}

double score_of(const std::vector<Score>& scores, const std::string& name) {
  for (const Score& score : scores) {
    if (score.name == name) return score.value;
  }
  return std::nan("");
}

/// Steps of one epoch: those that the last noted step of the first epoch knows of.
double steps_of_epoch(const Report& report) {
  int64_t steps = 0, epochs = 0;
  for (const StepRecord& record : report.steps) {
    steps = std::max(steps, record.step);
    epochs = std::max<int64_t>(epochs, record.epoch);
  }
  return epochs > 0 ? static_cast<double>(steps) / static_cast<double>(epochs) : 1;
}

std::string loss_figure(const Report& report) {
  Curve each{"each step", {}, {}, false, Curve::Kind::line, true};
  Curve mean{"training, mean", {}, {}}, validation{"validation", {}, {}, true};
  const double steps = steps_of_epoch(report);
  for (const StepRecord& record : report.steps) {
    each.x.push_back(static_cast<double>(record.step) / steps);
    each.y.push_back(record.loss);
  }
  const bool validated =
      std::ranges::any_of(report.epochs, [](const auto& e) { return e.validation.has_value(); });
  HtmlTable table{{"epoch", "training loss"}, {}};
  if (validated) table.heading.emplace_back("validation loss");
  for (const EpochRecord& record : report.epochs) {
    mean.x.push_back(record.epoch);
    mean.y.push_back(record.loss);
    table.rows.push_back({std::to_string(record.epoch), figure_of(record.loss)});
    if (!validated) continue;
    validation.x.push_back(record.epoch);
    validation.y.push_back(record.validation ? record.validation->loss : std::nan(""));
    table.rows.back().push_back(figure_of(validation.y.back()));
  }
  Chart chart{"Loss", "", {mean}};
  if (validated) chart.curves.push_back(validation);
  if (!each.x.empty()) chart.curves.push_back(each);
  chart.x_label = "epoch";
  chart.log_y = spreads(chart.curves);
  return html_figure(one_chart(std::move(chart), true),
                     cat("The loss of the training rows as training saw them",
                         validated ? ", and of the validation rows after each epoch." : "."),
                     table);
}

std::string metric_figure(const Report& report, const std::string& name) {
  Curve training{"training", {}, {}}, validation{"validation", {}, {}, true};
  HtmlTable table{{"epoch", "training"}, {}};
  bool validated = false;
  for (const EpochRecord& record : report.epochs) {
    const double seen = score_of(record.metrics, name);
    const double held =
        record.validation ? score_of(record.validation->metrics, name) : std::nan("");
    validated |= record.validation.has_value();
    training.x.push_back(record.epoch);
    training.y.push_back(seen);
    validation.x.push_back(record.epoch);
    validation.y.push_back(held);
    table.rows.push_back({std::to_string(record.epoch), figure_of(seen), figure_of(held)});
  }
  Chart chart{name, "", {training}};
  if (validated) {
    chart.curves.push_back(validation);
    table.heading.emplace_back("validation");
  } else {
    for (auto& row : table.rows) row.pop_back();
  }
  chart.x_label = "epoch";
  std::string meaning;
  for (const MetricInfo& row : metric_table()) {
    if (row.name == name) meaning = row.meaning;
  }
  return html_figure(one_chart(std::move(chart), true),
                     meaning.empty() ? name : cat(name, ": ", meaning, "."), table);
}

std::string rate_figure(const Report& report) {
  Curve curve{"learning rate", {}, {}};
  HtmlTable table{{"epoch", "learning rate"}, {}};
  const double steps = steps_of_epoch(report);
  for (const StepRecord& record : report.steps) {
    curve.x.push_back(static_cast<double>(record.step) / steps);
    curve.y.push_back(record.learning_rate);
  }
  for (const EpochRecord& record : report.epochs) {
    table.rows.push_back({std::to_string(record.epoch), figure_of(record.learning_rate)});
    if (!report.steps.empty()) continue;
    curve.x.push_back(record.epoch);
    curve.y.push_back(record.learning_rate);
  }
  Chart chart{"Learning rate", "", {curve}};
  chart.x_label = "epoch";
  return html_figure(one_chart(std::move(chart), false), "The size of each step.", table);
}

std::string time_figure(const Report& report) {
  Curve curve{"seconds", {}, {}, false, Curve::Kind::bars};
  HtmlTable table{{"epoch", "seconds"}, {}};
  double sum = 0;
  for (const EpochRecord& record : report.epochs) {
    curve.x.push_back(record.epoch);
    curve.y.push_back(record.seconds);
    table.rows.push_back({std::to_string(record.epoch), figure_of(record.seconds)});
    sum += record.seconds;
  }
  Chart chart{"Time of each epoch", "seconds", {curve}};
  chart.x_label = "epoch";
  const double mean = sum / static_cast<double>(report.epochs.size());
  return html_figure(one_chart(std::move(chart), false),
                     cat("Validation included; ", time_of(mean), " in the mean, ",
                         time_of(report.seconds > 0 ? report.seconds : sum), " in all."),
                     table);
}

// ---------------------------------------------------------------- layers

/// At most as many layers as there are colours, evenly picked.
std::vector<std::string> picked_layers(const std::vector<LayerSizes>& sizes) {
  std::vector<std::string> names;
  for (const LayerSizes& row : sizes) {
    if (std::ranges::find(names, row.layer) == names.end()) names.push_back(row.layer);
  }
  constexpr size_t most = 6;
  if (names.size() <= most) return names;
  std::vector<std::string> picked;
  for (size_t i = 0; i < most; ++i) picked.push_back(names[i * (names.size() - 1) / (most - 1)]);
  return picked;
}

std::string ratio_figure(const Report& report, const std::string& title, double LayerSizes::*size,
                         const std::string& caption) {
  const std::vector<std::string> names = picked_layers(report.layers);
  Chart chart{title, "", {}};
  for (const std::string& name : names) chart.curves.push_back({name, {}, {}});
  std::map<int64_t, std::vector<std::string>> rows;
  for (const LayerSizes& row : report.layers) {
    const auto place = std::ranges::find(names, row.layer);
    if (place == names.end()) continue;
    const auto i = static_cast<size_t>(place - names.begin());
    const double ratio = row.weights > 0 ? row.*size / row.weights : std::nan("");
    chart.curves[i].x.push_back(static_cast<double>(row.step));
    chart.curves[i].y.push_back(ratio);
    auto& cells = rows[row.step];
    cells.resize(names.size(), "–");
    cells[i] = figure_of(ratio);
  }
  HtmlTable table{{"step"}, {}};
  for (const std::string& name : names) table.heading.push_back(name);
  for (const auto& [step, cells] : rows) {
    table.rows.push_back({std::to_string(step)});
    table.rows.back().insert(table.rows.back().end(), cells.begin(), cells.end());
  }
  chart.x_label = "step";
  chart.log_y = spreads(chart.curves);
  return html_figure(one_chart(std::move(chart), true), caption, table);
}

}  // namespace

std::string learning_section(const Report& report) {
  if (report.epochs.empty()) return "";
  std::string figures = loss_figure(report);
  for (const Score& score : report.epochs.front().metrics) {
    figures += metric_figure(report, score.name);
  }
  figures += rate_figure(report);
  figures += time_figure(report);
  return html_section("Learning", cat("<div class=\"figures\">\n", figures, "</div>\n"));
}

std::string layers_section(const Report& report) {
  if (report.layers.empty()) return "";
  return html_section(
      "Layers",
      cat("<div class=\"figures\">\n",
          ratio_figure(report, "Gradients", &LayerSizes::gradient,
                       "The gradient of each layer, as a share of its weights (root mean squares, "
                       "of the same batch at all steps). Layers far below the others learn late or "
                       "not at all; a rise without end comes before divergence."),
          ratio_figure(report, "Updates", &LayerSizes::update,
                       "What a step changes, as a share of the weights. Around one thousandth is "
                       "common; far more is restless, far less stands still."),
          "</div>\n"));
}

}  // namespace soma
