// What the network got right and wrong.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>

#include "soma/chart.h"
#include "soma/text.h"
#include "src/base/text.h"
#include "src/inspect/html.h"
#include "src/inspect/picture.h"
#include "src/inspect/report_parts.h"
#include "src/inspect/svg.h"

namespace soma {
namespace {

constexpr size_t most_classes = 40;   // of a readable confusion matrix
constexpr size_t most_columns = 3;    // of numbers, each with figures of its own
constexpr size_t most_points = 2000;  // of a scatter plot
constexpr size_t most_pictures = 24, most_mistakes = 12, most_features = 10, most_forecasts = 6;

std::string one_chart(Chart chart) {
  chart.width = 440;
  chart.height = 280;
  return draw_charts(std::span(&chart, 1), 1);
}

std::string count_of(double count) { return grouped(static_cast<int64_t>(count)); }

// ---------------------------------------------------------------- classes

/// The pairs that are confused most often, or the whole matrix where it is small.
HtmlTable confusion_table(const std::vector<std::string>& classes,
                          const std::vector<double>& counts) {
  const size_t n = classes.size();
  HtmlTable table;
  if (n <= 12) {
    table.heading = {"label"};
    for (const std::string& name : classes) table.heading.push_back(name);
    for (size_t i = 0; i < n; ++i) {
      table.rows.push_back({classes[i]});
      for (size_t j = 0; j < n; ++j) table.rows.back().push_back(count_of(counts[i * n + j]));
    }
    return table;
  }
  std::vector<size_t> places;
  for (size_t k = 0; k < n * n; ++k) {
    if (k / n != k % n && counts[k] > 0) places.push_back(k);
  }
  std::ranges::stable_sort(places, [&](size_t a, size_t b) { return counts[a] > counts[b]; });
  if (places.size() > 30) places.resize(30);
  table.heading = {"label", "answer", "rows"};
  for (const size_t k : places) {
    table.rows.push_back({classes[k / n], classes[k % n], count_of(counts[k])});
  }
  return table;
}

std::string confusion_figure(const Judgement& judgement, const std::vector<double>& counts) {
  const HtmlTable table = confusion_table(judgement.classes, counts);
  const std::string caption =
      "How often each answer was given to each label: blue on the diagonal is right, red is "
      "wrong, and darker is a larger share of the label’s rows.";
  if (judgement.classes.size() > most_classes) {
    return table.rows.empty()
               ? ""
               : cat("<figure>\n<figcaption>The classes that are confused most often."
                     "</figcaption>\n",
                     html_of(table), "</figure>\n");
  }
  return html_figure(draw_confusion({"Confusion matrix", judgement.classes, counts}), caption,
                     table);
}

struct ClassFigures {
  std::string name;
  double rows = 0, precision = 0, recall = 0, f1 = 0;
};

std::vector<ClassFigures> figures_of_classes(const std::vector<std::string>& classes,
                                             const std::vector<double>& counts) {
  const size_t n = classes.size();
  std::vector<ClassFigures> all;
  for (size_t i = 0; i < n; ++i) {
    double answers = 0, labels = 0;
    for (size_t k = 0; k < n; ++k) answers += counts[k * n + i], labels += counts[i * n + k];
    const double right = counts[i * n + i];
    all.push_back({classes[i], labels, answers > 0 ? right / answers : 0,
                   labels > 0 ? right / labels : 0,
                   answers + labels > 0 ? 2 * right / (answers + labels) : 0});
  }
  return all;
}

std::string classes_figure(std::vector<ClassFigures> all) {
  HtmlTable table{{"class", "rows", "precision", "recall", "F1"}, {}};
  for (const ClassFigures& c : all) {
    table.rows.push_back(
        {c.name, count_of(c.rows), figure_of(c.precision), figure_of(c.recall), figure_of(c.f1)});
  }
  std::string caption =
      "Precision: the share of a class’s answers that are right. Recall: the share of its rows "
      "that are found.";
  constexpr size_t most = 30;
  if (all.size() > most) {
    std::ranges::stable_sort(all, std::greater<>(), &ClassFigures::rows);
    all.resize(most);
    caption += cat(" The ", most, " most frequent classes.");
  }
  BarChart chart{"Figures of each class", {}, {{"precision", {}}, {"recall", {}}}};
  for (const ClassFigures& c : all) {
    chart.names.push_back(c.name);
    chart.series[0].shares.push_back(c.precision);
    chart.series[1].shares.push_back(c.recall);
  }
  return html_figure(draw_bars(chart), caption, table);
}

/// Answers by how sure they are: a well calibrated network is right as often as it says (Guo+ 2017,
/// arXiv:1706.04599).
std::string calibration_figure(const std::vector<Judgement::Answer>& answers) {
  constexpr size_t bins = 10;
  struct Bin {
    double rows = 0, sure = 0, right = 0;
  };
  std::vector<Bin> all(bins);
  for (const auto& answer : answers) {
    Bin& bin = all[std::min(bins - 1, static_cast<size_t>(answer.sure * bins))];
    ++bin.rows;
    bin.sure += answer.sure;
    bin.right += answer.label == answer.found;
  }
  Curve share{"share that is right", {}, {}, false, Curve::Kind::bars};
  HtmlTable table{{"probability", "answers", "mean probability", "right"}, {}};
  double error = 0;
  for (size_t i = 0; i < bins; ++i) {
    const Bin& bin = all[i];
    const double low = static_cast<double>(i) / bins;
    share.x.push_back(low + 0.5 / bins);
    share.y.push_back(bin.rows > 0 ? bin.right / bin.rows : std::nan(""));
    if (bin.rows == 0) continue;
    table.rows.push_back({cat(percent_of(low), " to ", percent_of(low + 1.0 / bins)),
                          count_of(bin.rows), percent_of(bin.sure / bin.rows),
                          percent_of(bin.right / bin.rows)});
    error += std::abs(bin.right - bin.sure) / static_cast<double>(answers.size());
  }
  Chart chart{"Calibration", "", {share, {"as sure as right", {0, 1}, {0, 1}, true}}};
  chart.x_label = "probability of the answer";
  chart.legend = true;
  return html_figure(one_chart(chart),
                     cat("Answers by their probability: on the dashed line the network is right as "
                         "often as it claims; below it, it is too sure. Mean distance (expected "
                         "calibration error): ",
                         percent_of(error), "."),
                     table);
}

// ---------------------------------------------------------------- numbers

/// One number of the targets of all rows.
struct Answered {
  std::vector<double> wanted, found;
};

Answered column_of(const Judgement& judgement, int64_t column) {
  Answered result;
  for (size_t i = static_cast<size_t>(column); i < judgement.wanted.size();
       i += static_cast<size_t>(judgement.width)) {
    result.wanted.push_back(judgement.wanted[i]);
    result.found.push_back(judgement.found[i]);
  }
  return result;
}

std::string scatter_figure(const Answered& column, const std::string& title) {
  const size_t count = column.wanted.size(), every = (count + most_points - 1) / most_points;
  Curve points{"rows", {}, {}, false, Curve::Kind::points};
  double least = HUGE_VAL, most = -HUGE_VAL;
  for (size_t i = 0; i < count; i += every) {
    points.x.push_back(column.wanted[i]);
    points.y.push_back(column.found[i]);
    least = std::min(least, column.wanted[i]);
    most = std::max(most, column.wanted[i]);
  }
  Chart chart{title, "", {points, {"right", {least, most}, {least, most}, true}}};
  chart.x_label = "target";
  chart.legend = true;
  // By tenths of the rows, from small targets to large ones.
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, {}, [&](size_t i) { return column.wanted[i]; });
  HtmlTable table{{"targets", "rows", "mean target", "mean answer", "mean absolute error"}, {}};
  const size_t groups = std::min<size_t>(10, count);
  for (size_t g = 0; g < groups; ++g) {
    const size_t begin = g * count / groups, end = (g + 1) * count / groups;
    double wanted = 0, found = 0, error = 0;
    for (size_t k = begin; k < end; ++k) {
      wanted += column.wanted[order[k]];
      found += column.found[order[k]];
      error += std::abs(column.found[order[k]] - column.wanted[order[k]]);
    }
    const auto n = static_cast<double>(end - begin);
    table.rows.push_back({cat(figure_of(column.wanted[order[begin]]), " to ",
                              figure_of(column.wanted[order[end - 1]])),
                          count_of(n), figure_of(wanted / n), figure_of(found / n),
                          figure_of(error / n)});
  }
  return html_figure(one_chart(chart),
                     cat("Answers over targets: on the dashed line they are right.",
                         every > 1 ? cat(" One row in ", every, " is drawn.") : ""),
                     table);
}

std::string residual_figure(const Answered& column) {
  constexpr size_t bins = 25;
  std::vector<double> residuals;
  double sum = 0, squares = 0, least = HUGE_VAL, most = -HUGE_VAL;
  for (size_t i = 0; i < column.wanted.size(); ++i) {
    const double residual = column.found[i] - column.wanted[i];
    if (!std::isfinite(residual)) continue;
    residuals.push_back(residual);
    sum += residual;
    squares += residual * residual;
    least = std::min(least, residual);
    most = std::max(most, residual);
  }
  if (residuals.empty()) return "";
  const double width = most > least ? (most - least) / bins : 1;
  Curve bars{"rows", {}, std::vector<double>(bins), false, Curve::Kind::bars};
  HtmlTable table{{"residual", "rows"}, {}};
  for (size_t i = 0; i < bins; ++i) {
    bars.x.push_back(least + width * (static_cast<double>(i) + 0.5));
  }
  for (const double residual : residuals) {
    ++bars.y[std::min(bins - 1, static_cast<size_t>((residual - least) / width))];
  }
  for (size_t i = 0; i < bins; ++i) {
    const double low = least + width * static_cast<double>(i);
    table.rows.push_back(
        {cat(figure_of(low), " to ", figure_of(low + width)), count_of(bars.y[i])});
  }
  Chart chart{"Residuals", "", {bars}};
  chart.x_label = "answer − target";
  chart.note = "rows";
  const auto n = static_cast<double>(residuals.size());
  const double mean = sum / n;
  return html_figure(one_chart(chart),
                     cat("How far answers are off: mean ", figure_of(mean), ", standard deviation ",
                         figure_of(std::sqrt(std::max(0.0, squares / n - mean * mean))), "."),
                     table);
}

// ---------------------------------------------------------------- mistakes

/// A number of a table as the file had it.
std::string cell_of(double value, const Column& column) {
  if (std::isnan(value)) return "";
  const auto word = [&](std::string_view other) {
    const bool known = value >= 0 && value < static_cast<double>(column.categories.size());
    return known ? column.categories[static_cast<size_t>(value)] : std::string(other);
  };
  switch (column.kind) {
    case ColumnKind::category: return word("other");
    case ColumnKind::yes_no: return word("");
    case ColumnKind::date: {
      using namespace std::chrono;
      const year_month_day day(sys_days(days(static_cast<int>(std::floor(value)))));
      const auto two = [](unsigned n) { return cat(n < 10 ? "0" : "", n); };
      return cat(static_cast<int>(day.year()), "-", two(static_cast<unsigned>(day.month())), "-",
                 two(static_cast<unsigned>(day.day())));
    }
    default: return brief_of(value);
  }
}

/// The beginning of a text, or what stands before the token at fault.
std::string text_of(const Dataset& rows, const Tokenizer& tokenizer,
                    const Judgement::Answer& answer) {
  constexpr int64_t most_tokens = 40;
  const bool goes_on = rows.target_shape().rank() > 0;
  const int64_t end = goes_on ? answer.part + 1 : std::min(most_tokens, rows.features());
  std::vector<int32_t> tokens;
  for (int64_t k = std::max<int64_t>(0, end - most_tokens); k < end; ++k) {
    tokens.push_back(static_cast<int32_t>(rows.inputs.at(answer.row * rows.features() + k)));
  }
  const std::string text = tokenizer.decode(tokens);
  return goes_on ? text : excerpt(text, 160);
}

/// The first numbers of a row; of a table as its file has them.
void add_features(HtmlTable& table, const Dataset& rows, std::span<const int64_t> picked) {
  const std::vector<const Column*> columns = rows.schema.inputs();
  const bool named = static_cast<int64_t>(columns.size()) == rows.features();
  const auto shown = std::min<int64_t>(most_features, rows.features());
  for (int64_t k = 0; k < shown; ++k) {
    table.heading.push_back(named ? columns[static_cast<size_t>(k)]->name : cat("input ", k));
  }
  if (shown < rows.features()) table.heading.emplace_back("…");
  for (size_t r = 0; r < picked.size(); ++r) {
    for (int64_t k = 0; k < shown; ++k) {
      const double value = rows.inputs.at(picked[r] * rows.features() + k);
      table.rows[r].push_back(named ? cell_of(value, *columns[static_cast<size_t>(k)])
                                    : brief_of(value));
    }
    if (shown < rows.features()) table.rows[r].emplace_back("…");
  }
}

std::string wrong_pictures(const Judgement& judgement, const Dataset& rows,
                           std::span<const Judgement::Answer> worst) {
  const Shape shape = rows.input_shape();
  const auto pixels = rows.inputs.data<uint8_t>();
  const auto each = static_cast<size_t>(shape.elements());
  std::string list = "<ul class=\"pictures\">\n";
  for (const auto& answer : worst) {
    const std::string label = judgement.classes[static_cast<size_t>(answer.label)],
                      found = judgement.classes[static_cast<size_t>(answer.found)];
    const std::string png =
        png_of(pixels.subspan(static_cast<size_t>(answer.row) * each, each), shape);
    list += cat("<li><img src=\"", data_address(png), "\" alt=\"row ", answer.row, ", ",
                escape_xml(label), "\"/><p><b>", escape_xml(label), "</b> taken for ",
                escape_xml(found), ", ", percent_of(answer.sure), "</p></li>\n");
  }
  return list + "</ul>\n";
}

// ---------------------------------------------------------------- series

/// Which of a step's numbers is forecast, when the rows are windows of a series.
std::optional<int64_t> forecast_column(const ModelInfo& info) {
  const auto name = info.notes.find("series");
  if (name == info.notes.end()) return {};
  const auto columns = info.table.inputs();
  const auto found = std::ranges::find(columns, name->second, &Column::name);
  return found == columns.end() ? std::optional<int64_t>() : found - columns.begin();
}

/// What was known, what came and what was forecast, at one row.
std::string forecast_figure(const Judgement& judgement, const Dataset& rows, int64_t row,
                            int64_t column) {
  const Shape shape = rows.input_shape();  // [steps, columns]
  const int64_t steps = shape[0], ahead = judgement.width, past = std::min(steps, 4 * ahead);
  Curve known{"known", {}, {}}, target{"target", {}, {}}, answer{"forecast", {}, {}, true};
  HtmlTable table{{"step", "known", "target", "forecast"}, {}};
  double off = 0;
  for (int64_t k = steps - past; k < steps; ++k) {
    const double value = rows.inputs.at((row * steps + k) * shape[1] + column);
    const auto step = static_cast<double>(k - steps + 1);
    known.x.push_back(step);
    known.y.push_back(value);
    table.rows.push_back({number(step), brief_of(value), "", ""});
  }
  for (int64_t k = 0; k < ahead; ++k) {
    const auto at = static_cast<size_t>(row * ahead + k);
    for (Curve* curve : {&target, &answer}) curve->x.push_back(static_cast<double>(k + 1));
    target.y.push_back(judgement.wanted[at]);
    answer.y.push_back(judgement.found[at]);
    off += std::abs(answer.y.back() - target.y.back()) / static_cast<double>(ahead);
    table.rows.push_back({number(static_cast<double>(k + 1)), "", brief_of(judgement.wanted[at]),
                          brief_of(judgement.found[at])});
  }
  Chart chart{cat("Row ", row), "", {known, target, answer}};
  chart.x_label = "steps from now";
  chart.legend = true;
  return html_figure(one_chart(chart), cat("Off by ", figure_of(off), ", mean of its steps."),
                     table);
}

/// The rows whose forecasts are farthest off as a whole, each beyond the forecasts of the others.
std::string forecasts_section(const Judgement& judgement, const Dataset& rows,
                              const std::string& rows_name, int64_t column) {
  const auto count = static_cast<int64_t>(judgement.wanted.size()) / judgement.width;
  std::vector<double> errors(static_cast<size_t>(count));
  for (size_t i = 0; i < judgement.wanted.size(); ++i) {
    errors[i / static_cast<size_t>(judgement.width)] +=
        std::abs(judgement.found[i] - judgement.wanted[i]);
  }
  std::vector<int64_t> order(errors.size()), picked;
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, std::greater<>(),
                           [&](int64_t row) { return errors[static_cast<size_t>(row)]; });
  std::string figures;
  for (const int64_t row : order) {
    const auto overlaps = [&](int64_t other) { return std::abs(row - other) < judgement.width; };
    if (std::ranges::any_of(picked, overlaps)) continue;
    picked.push_back(row);
    figures += forecast_figure(judgement, rows, row, column);
    if (picked.size() == most_forecasts) break;
  }
  return html_section(
      "Worst forecasts",
      cat("<p>The ", rows_name, " whose forecasts are farthest from what came. ",
          "Rows are counted from 0.</p>\n<div class=\"figures\">\n", figures, "</div>\n"));
}

}  // namespace

std::string results_section(const Judgement& judgement, const ModelInfo& info,
                            const std::string& rows_name) {
  std::string figures;
  if (!judgement.answers.empty()) {
    const std::vector<double> counts = judgement.confusions();
    figures += confusion_figure(judgement, counts);
    if (judgement.probabilities) figures += calibration_figure(judgement.answers);
    figures += classes_figure(figures_of_classes(judgement.classes, counts));
  }
  const auto columns = std::min<int64_t>(most_columns, judgement.width);
  for (int64_t k = 0; k < columns; ++k) {
    const Answered column = column_of(judgement, k);
    const std::string of = judgement.width == 1    ? ""
                           : forecast_column(info) ? cat(", step ", k + 1)
                                                   : cat(" of number ", k);
    figures += scatter_figure(column, cat("Answers and targets", of));
    figures += residual_figure(column);
  }
  if (figures.empty()) return "";
  return html_section(cat("Results on the ", rows_name),
                      cat(columns > 0 ? "<div class=\"figures\">\n" : "<div class=\"packed\">\n",
                          figures, "</div>\n"));
}

std::string mistakes_section(const Judgement& judgement, const ModelInfo& info, const Dataset& rows,
                             const std::string& rows_name) {
  if (!judgement.answers.empty()) {
    std::vector<Judgement::Answer> wrong;
    for (const auto& answer : judgement.answers) {
      if (answer.label != answer.found) wrong.push_back(answer);
    }
    const bool pictures = is_picture(rows.inputs.type(), rows.input_shape());
    std::ranges::stable_sort(wrong, {}, [](const auto& a) { return a.right - a.sure; });
    wrong.resize(std::min(wrong.size(), pictures ? most_pictures : most_mistakes));
    if (wrong.empty()) {
      return html_section("Worst mistakes",
                          cat("<p>None: every answer on the ", rows_name, " is right.</p>\n"));
    }
    HtmlTable table{{"row", "label", "answer", "its probability", "of the label"}, {}};
    std::vector<int64_t> picked;
    for (const auto& answer : wrong) {
      picked.push_back(answer.row);
      table.rows.push_back({number(static_cast<double>(answer.row)),
                            judgement.classes[static_cast<size_t>(answer.label)],
                            judgement.classes[static_cast<size_t>(answer.found)],
                            percent_of(answer.sure), percent_of(answer.right)});
    }
    std::string content =
        cat("<p>", count_of(judgement.mistakes()), " of ",
            count_of(static_cast<double>(judgement.answers.size())), " answers on the ", rows_name,
            judgement.mistakes() == 1 ? " is" : " are",
            " wrong; the surest come first. Rows are counted from 0.</p>\n");
    if (pictures) {
      content += cat(wrong_pictures(judgement, rows, wrong),
                     "<details><summary>The numbers</summary>\n", html_of(table), "</details>\n");
    } else {
      if (const auto saved = info.notes.find("tokenizer"); saved != info.notes.end()) {
        const Tokenizer tokenizer = Tokenizer::parse(saved->second);
        table.heading.emplace_back("text");
        for (size_t i = 0; i < wrong.size(); ++i) {
          table.rows[i].push_back(text_of(rows, tokenizer, wrong[i]));
        }
      } else {
        add_features(table, rows, picked);
      }
      content += html_of(table);
    }
    return html_section("Worst mistakes", content);
  }
  if (judgement.width == 0) return "";
  if (const auto column = forecast_column(info); column && rows.input_shape().rank() == 2) {
    return forecasts_section(judgement, rows, rows_name, *column);
  }
  const auto width = static_cast<size_t>(judgement.width);
  std::vector<size_t> order(judgement.wanted.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto residual = [&](size_t i) { return judgement.found[i] - judgement.wanted[i]; };
  std::ranges::stable_sort(order, std::greater<>(),
                           [&](size_t i) { return std::abs(residual(i)); });
  order.resize(std::min(order.size(), most_mistakes));
  HtmlTable table{{"row", "target", "answer", "residual"}, {}};
  if (width > 1) table.heading.insert(table.heading.begin() + 1, "number");
  std::vector<int64_t> picked;
  for (const size_t i : order) {
    picked.push_back(static_cast<int64_t>(i / width));
    table.rows.push_back({std::to_string(i / width), figure_of(judgement.wanted[i]),
                          figure_of(judgement.found[i]), figure_of(residual(i))});
    if (width > 1)
      table.rows.back().insert(table.rows.back().begin() + 1, std::to_string(i % width));
  }
  add_features(table, rows, picked);
  return html_section("Worst mistakes",
                      cat("<p>The ", rows_name, " whose answers are farthest from their targets. ",
                          "Rows are counted from 0.</p>\n", html_of(table)));
}

}  // namespace soma
