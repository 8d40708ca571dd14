// Tables whose rows are steps in time: windows of what was, and what came next.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cli/options.h"
#include "soma/data.h"
#include "soma/layers.h"
#include "soma/model.h"

namespace soma::cli {

struct SeriesOptions {
  bool series = false;
  int64_t window = 24, horizon = 1, season = 1;
  void add_to(Options& options);
};

bool is_series(const Dataset& dataset);
bool is_series(const ModelInfo& info);

/// Every window of a CSV file of numbers, with the target column behind it; as the model takes
/// them, if there is one. Columns of dates are left out.
Dataset open_series(const std::string& path, const data::CsvOptions& csv,
                    const SeriesOptions& options, const Model* model);
/// The last window of a file: what to forecast from.
Tensor last_window(const std::string& path, const Model& model);

/// Parts of those shares, one after the other, the last ones first to be cut; between them as many
/// rows are left out as share steps to be predicted.
std::vector<Dataset> cut_in_time(const Dataset& series, std::span<const double> shares);

/// What changes from the last step on, by the change of all columns up to it (as Zeng+ 2022,
/// arXiv:2205.13504): untrained, it is the naive forecast.
std::string series_net(const Dataset& train);
/// The layers that bring each column to mean 0 and deviation 1, "scaled", and the results back.
std::optional<std::pair<Layer, Layer>> series_scaling(const Dataset& train);

/// The mean absolute error, for all steps ahead and for each, of a network on rolling origins, and
/// of the seasonal naive forecast: each step is as one season before.
struct Forecasts {
  int64_t season = 1;
  double mae = 0, naive = 0;
  std::vector<double> by_step, naive_by_step;
  std::string text() const;
};
Forecasts compare_forecasts(const Network& net, const Dataset& raw, const Device& device);

}  // namespace soma::cli
