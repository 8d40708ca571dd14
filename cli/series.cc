#include "cli/series.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "cli/console.h"
#include "soma/error.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

// Notes of the data set and the model.
constexpr const char* target_note = "series";
constexpr const char* season_note = "series season";

using Notes = std::map<std::string, std::string>;

int64_t target_column(const Dataset& series) {
  const auto columns = series.schema.inputs();
  return std::ranges::find(columns, series.notes.at(target_note), &Column::name) - columns.begin();
}
int64_t season_of(const Notes& notes) {
  int64_t season = 1;
  const std::string& text = notes.at(season_note);
  std::from_chars(text.data(), text.data() + text.size(), season);
  return std::max<int64_t>(season, 1);
}

/// The target is a column like the others: what was is known of all.
Schema series_schema(const std::string& path, data::CsvOptions csv) {
  csv.target_kind = data::CsvTarget::none;
  if (!csv.target.empty()) csv.kinds.emplace_back(csv.target, "number");
  Schema schema = data::read_schema(path, csv);
  for (Column& column : schema.columns) {
    if (column.use != ColumnUse::input) continue;
    if (column.kind == ColumnKind::date) {
      column.use = ColumnUse::dropped;
      column.note = "dates, which a series does not need";
    } else if (column.kind == ColumnKind::category) {
      throw FileError(cat("the series \"", path, "\" has the column \"", column.name,
                          "\" of categories; leave it out (--drop)"));
    }
  }
  if (schema.inputs().empty()) throw FileError(cat("the series \"", path, "\" has no numbers"));
  return schema;
}

/// The column that a name or a number from 0 stands for, of which the schema was told; "" is the
/// last.
std::string target_name(const Schema& schema, const std::string& target) {
  if (target.empty()) return schema.inputs().back()->name;
  if (std::ranges::find(schema.columns, target, &Column::name) != schema.columns.end()) {
    return target;
  }
  return schema.columns.at(std::stoul(target)).name;
}

/// f32 [time, columns]
Tensor read_steps(const std::string& path, const Schema& schema) {
  Tensor steps = data::load_csv(path, schema).inputs;
  const auto numbers = steps.data<float>();
  const auto columns = schema.inputs();
  const auto hole = std::ranges::find_if(numbers, [](float x) { return std::isnan(x); });
  if (hole == numbers.end()) return steps;
  const auto at = static_cast<size_t>(hole - numbers.begin());
  throw FileError(cat("the series \"", path, "\" has no value in column \"",
                      columns[at % columns.size()]->name, "\" of step ", at / columns.size() + 1,
                      "; fill the gap or leave the column out (--drop)"));
}

}  // namespace

void SeriesOptions::add_to(Options& options) {
  options.flag("--series", series, "The rows of the CSV file are steps in time: forecast --target");
  options.integer("--window", window, 1, 1'000'000, "Steps of a series to look back");
  options.integer("--horizon", horizon, 1, 1'000'000, "Steps of a series to look ahead");
  options.integer("--season", season, 1, 1'000'000,
                  "Steps of a season, for the forecast to compare with (1: as the last step)");
}

bool is_series(const Dataset& dataset) { return dataset.notes.count(target_note) > 0; }
bool is_series(const ModelInfo& info) { return info.notes.count(target_note) > 0; }

Dataset open_series(const std::string& path, const data::CsvOptions& csv,
                    const SeriesOptions& options, const Model* model) {
  Schema schema;
  Notes notes;
  int64_t window = options.window, horizon = options.horizon;
  if (model) {
    notes = model->info.notes;
    schema = model->info.table;
    window = model->network.sample_shape()[0];
    horizon = model->network.shape_of(model->network.outputs().back()).elements();
  } else {
    schema = series_schema(path, csv);
    notes[target_note] = target_name(schema, csv.target);
    notes[season_note] = std::to_string(options.season);
  }
  const int64_t season = season_of(notes);
  if (season > window) {
    throw UsageError(
        cat("--season ", season, " is longer than --window ", window, ", which has to hold one"));
  }
  const auto columns = schema.inputs();
  const auto target = std::ranges::find(columns, notes.at(target_note), &Column::name);
  const Tensor steps = read_steps(path, schema);
  if (steps.shape()[0] < window + horizon) {
    throw FileError(cat("the series \"", path, "\" has ", steps.shape()[0], " steps; windows of ",
                        window, " with ", horizon, " to predict need more, or be shorter"));
  }
  Dataset rows = data::windows(steps, window, horizon, target - columns.begin());
  rows.schema = std::move(schema);
  rows.notes = std::move(notes);
  rows.name = std::filesystem::path(path).filename().string();
  rows.origin = path;
  return rows;
}

Tensor last_window(const std::string& path, const Model& model) {
  const Tensor all = read_steps(path, model.info.table);
  const int64_t window = model.network.sample_shape()[0], steps = all.shape()[0];
  const int64_t width = all.shape()[1];
  if (steps < window) {
    throw FileError(
        cat("the series \"", path, "\" has ", steps, " steps; the model looks back ", window));
  }
  Tensor result({1, window, width});
  std::ranges::copy(all.data<float>().last(static_cast<size_t>(window * width)),
                    result.data<float>().begin());
  return result;
}

std::vector<Dataset> cut_in_time(const Dataset& series, std::span<const double> shares) {
  const int64_t between = series.target_shape().elements() - 1;
  std::vector<Dataset> parts(shares.size());
  double left = std::accumulate(shares.begin(), shares.end(), 0.0);
  int64_t end = series.size();
  for (size_t i = shares.size() - 1; i > 0; --i) {
    const auto size = std::llround(shares[i] / left * static_cast<double>(end));
    parts[i] = series.subset(end - size, end);
    if (size > 0) end = std::max<int64_t>(end - size - between, 0);
    left -= shares[i];
  }
  parts[0] = series.subset(0, end);
  return parts;
}

std::string series_net(const Dataset& train) {
  return cat(
      "slice -1 name=now, subtract name=moves from=scaled+now, flatten name=past, "
      "64 relu name=hidden, dropout 0.3 name=some, dense(classes weights=0) name=change "
      "from=past+some, columns [",
      target_column(train),
      "] name=own from=now, flatten, repeat_vector classes, flatten name=level, add "
      "from=change+level");
}

std::optional<std::pair<Layer, Layer>> series_scaling(const Dataset& train) {
  if (!is_series(train)) return std::nullopt;
  const auto columns = static_cast<size_t>(train.input_shape()[1]);
  std::vector<double> mean(columns), squares(columns);
  const auto numbers = train.inputs.data<float>();
  const double n = static_cast<double>(numbers.size() / columns);
  for (size_t i = 0; i < numbers.size(); ++i) mean[i % columns] += numbers[i] / n;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const double distance = numbers[i] - mean[i % columns];
    squares[i % columns] += distance * distance / n;
  }
  std::vector<double> scale, shift;
  const auto deviation = [&](size_t column) {
    const double size = std::sqrt(squares[column]);
    return size > 1e-7 * std::abs(mean[column]) ? size : 1.0;
  };
  for (size_t i = 0; i < columns; ++i) {
    scale.push_back(static_cast<float>(1 / deviation(i)));
    shift.push_back(static_cast<float>(-mean[i] / deviation(i)));
  }
  const auto target = static_cast<size_t>(target_column(train));
  return {{rescaling(Argument(scale), Argument(shift), 2).named("scaled"),
           rescaling(static_cast<float>(deviation(target)), static_cast<float>(mean[target]))}};
}

Forecasts compare_forecasts(const Network& net, const Dataset& raw, const Device& device) {
  Forecasts result;
  result.season = season_of(raw.notes);
  const int64_t steps = raw.input_shape()[0], columns = raw.input_shape()[1];
  const int64_t horizon = raw.target_shape().elements(), column = target_column(raw);
  const Tensor forecast = net.predict(raw.inputs, device);
  result.by_step.resize(static_cast<size_t>(horizon));
  result.naive_by_step.resize(static_cast<size_t>(horizon));
  const auto each = 1 / static_cast<double>(raw.size());
  for (int64_t i = 0; i < raw.targets.elements(); ++i) {
    const int64_t row = i / horizon, ahead = i % horizon;
    const int64_t back = steps - result.season + ahead % result.season;
    const double naive = raw.inputs.at((row * steps + back) * columns + column);
    const auto at = static_cast<size_t>(ahead);
    result.by_step[at] += std::abs(forecast.at(i) - raw.targets.at(i)) * each;
    result.naive_by_step[at] += std::abs(naive - raw.targets.at(i)) * each;
  }
  for (size_t at = 0; at < result.by_step.size(); ++at) {
    result.mae += result.by_step[at] / static_cast<double>(horizon);
    result.naive += result.naive_by_step[at] / static_cast<double>(horizon);
  }
  return result;
}

std::string Forecasts::text() const {
  std::vector<std::vector<std::string>> rows{{"mean absolute error", "model", "seasonal naive"}};
  if (by_step.size() > 1) {
    for (size_t at = 0; at < by_step.size(); ++at) {
      if (by_step.size() > 12 && at % (by_step.size() / 6) != 0 && at + 1 < by_step.size())
        continue;
      rows.push_back({cat(at + 1, at ? " steps ahead" : " step ahead"), fixed(by_step[at], 4),
                      fixed(naive_by_step[at], 4)});
    }
  }
  rows.push_back({"all", fixed(mae, 4), fixed(naive, 4)});
  return table(rows);
}

}  // namespace soma::cli
