#include "cli/series.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "cli/console.h"
#include "soma/error.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

// Notes of the data set and the model.
constexpr const char* target_note = "series";
constexpr const char* columns_note = "series columns";
constexpr const char* season_note = "series season";

using Notes = std::map<std::string, std::string>;

std::vector<std::string> columns_of(const Notes& notes) {
  std::vector<std::string> columns;
  for (const auto column : split(notes.at(columns_note), '\n')) columns.emplace_back(column);
  return columns;
}
int64_t target_column(const Notes& notes) {
  const auto columns = columns_of(notes);
  return std::ranges::find(columns, notes.at(target_note)) - columns.begin();
}
int64_t season_of(const Notes& notes) {
  int64_t season = 1;
  const std::string& text = notes.at(season_note);
  std::from_chars(text.data(), text.data() + text.size(), season);
  return std::max<int64_t>(season, 1);
}

struct Columns {
  std::vector<std::string> names;
  Tensor values;  // f32 [time, columns]
};

Columns read_columns(const std::string& path) {
  Dataset table = data::load_csv(path, {.target_kind = data::CsvTarget::none});
  std::vector<std::string> names = table.feature_names;
  for (size_t i = names.size(); i < static_cast<size_t>(table.features()); ++i) {
    names.push_back(std::to_string(i));
  }
  return {std::move(names), std::move(table.inputs)};
}

/// The columns of that name, in that order.
Columns chosen(const std::string& path, Columns all, const std::vector<std::string>& names) {
  Columns result{names, Tensor({all.values.shape()[0], static_cast<int64_t>(names.size())})};
  const auto from = all.values.data<float>();
  const auto to = result.values.data<float>();
  for (size_t i = 0; i < names.size(); ++i) {
    const auto found = std::ranges::find(all.names, names[i]);
    if (found == all.names.end()) {
      throw FileError(cat("the series \"", path, "\" has no column \"", names[i], "\"",
                          did_you_mean(names[i], all.names)));
    }
    const auto column = static_cast<size_t>(found - all.names.begin());
    for (size_t t = 0; t < to.size() / names.size(); ++t) {
      to[t * names.size() + i] = from[t * all.names.size() + column];
    }
  }
  return result;
}

/// The column that a name or a number from 0 stands for; "" is the last.
size_t find_column(const std::string& path, const std::vector<std::string>& names,
                   const std::string& target) {
  if (target.empty()) return names.size() - 1;
  const auto found = std::ranges::find(names, target);
  if (found != names.end()) return static_cast<size_t>(found - names.begin());
  size_t number = 0;
  const auto [end, error] = std::from_chars(target.data(), target.data() + target.size(), number);
  if (error == std::errc{} && end == target.data() + target.size() && number < names.size()) {
    return number;
  }
  throw ArgumentError(cat("the series \"", path, "\" has no column \"", target, "\"",
                          did_you_mean(target, names), "; its columns are ",
                          excerpt(join(names, ", "))));
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

Dataset open_series(const std::string& path, const std::string& target,
                    const SeriesOptions& options, const Model* model) {
  Columns columns = read_columns(path);
  Notes notes;
  int64_t window = options.window, horizon = options.horizon;
  if (model) {
    notes = model->info.notes;
    columns = chosen(path, std::move(columns), columns_of(notes));
    window = model->network.sample_shape()[0];
    horizon = model->network.shape_of(model->network.outputs().back()).elements();
  } else {
    notes[target_note] = columns.names[find_column(path, columns.names, target)];
    notes[columns_note] = join(columns.names, "\n");
    notes[season_note] = std::to_string(options.season);
  }
  const int64_t season = season_of(notes);
  if (season > window) {
    throw UsageError(
        cat("--season ", season, " is longer than --window ", window, ", which has to hold one"));
  }
  Dataset rows = data::windows(columns.values, window, horizon, target_column(notes));
  rows.notes = std::move(notes);
  rows.name = std::filesystem::path(path).filename().string();
  rows.origin = path;
  return rows;
}

Tensor last_window(const std::string& path, const Model& model) {
  const Columns columns = chosen(path, read_columns(path), columns_of(model.info.notes));
  const int64_t window = model.network.sample_shape()[0], steps = columns.values.shape()[0];
  const auto width = static_cast<int64_t>(columns.names.size());
  if (steps < window) {
    throw FileError(
        cat("the series \"", path, "\" has ", steps, " steps; the model looks back ", window));
  }
  Tensor result({1, window, width});
  std::ranges::copy(columns.values.data<float>().last(static_cast<size_t>(window * width)),
                    result.data<float>().begin());
  return result;
}

std::pair<Dataset, Dataset> cut_in_time(const Dataset& series, double share) {
  const auto last = std::llround(share * static_cast<double>(series.size()));
  const int64_t from = series.size() - last, between = series.target_shape().elements() - 1;
  return {series.subset(0, std::max<int64_t>(from - between, 0)),
          series.subset(from, series.size())};
}

std::string series_net(const Dataset& train) {
  return cat(
      "slice -1 name=now, subtract name=moves from=scaled+now, flatten name=past, "
      "64 relu name=hidden, dropout 0.3 name=some, dense(classes weights=0) name=change "
      "from=past+some, columns [",
      target_column(train.notes),
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
  const auto target = static_cast<size_t>(target_column(train.notes));
  return {{rescaling(Argument(scale), Argument(shift), 2).named("scaled"),
           rescaling(static_cast<float>(deviation(target)), static_cast<float>(mean[target]))}};
}

Forecasts compare_forecasts(const Network& net, const Dataset& raw, const Device& device) {
  Forecasts result;
  result.season = season_of(raw.notes);
  const int64_t steps = raw.input_shape()[0], columns = raw.input_shape()[1];
  const int64_t horizon = raw.target_shape().elements(), column = target_column(raw.notes);
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
