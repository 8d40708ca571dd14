// What a run folder says about its training, read back.
#pragma once

#include <string>
#include <vector>

#include "cli/settings.h"
#include "soma/report.h"

namespace soma::cli {

struct RunRecord {
  std::string folder;
  std::string name;   ///< The folder's own.
  Settings settings;  ///< As in run.toml, with the defaults of soma train.
  std::vector<StepRecord> steps;
  std::vector<EpochRecord> epochs;
  std::vector<LayerSizes> layers;
  std::vector<Score> results;  ///< "test_accuracy", "test_loss", …: of the end.
  std::string end;             ///< "done", "diverged", or "" for a training that was cut off.
  double seconds = 0;

  std::string setting(std::string_view name) const;
  /// The best value of "loss" or a metric over the first epochs: of the validation rows, if any.
  /// NaN where there is none. Throws ArgumentError, naming the nearest, for another metric.
  double best(const std::string& metric, int64_t within = no_limit) const;
};

/// Throws FileError for a folder without a training.
RunRecord read_run(const std::string& folder);

/// Whether a larger value of "loss" or that metric is better.
bool higher_is_better(const std::string& metric);

}  // namespace soma::cli
