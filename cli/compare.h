// Several trainings side by side.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/run_record.h"
#include "soma/chart.h"

namespace soma::cli {

/// The settings in which they are not all equal, without those that say nothing of the learning.
std::vector<std::string> differing_settings(std::span<const RunRecord> runs);
/// Test results, and the best of the validation rows (else of the training) over the epochs.
std::vector<Score> results_of(const RunRecord& run);
/// A chart for the loss and for each metric, with a curve for each run.
std::vector<Chart> curves_of(std::span<const RunRecord> runs);

}  // namespace soma::cli
