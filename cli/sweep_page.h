// The results of a sweep, as a table and as a page.
#pragma once

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "cli/run_record.h"

namespace soma::cli {

/// One set of settings and its run.
struct SweepTrial {
  std::string folder;
  Settings settings;  ///< Those that vary.
  double score = std::nan("");
  /// "lr 0.01, batch 32"
  std::string text() const;
};

/// A heading and a row for each trial, for the terminal.
std::vector<std::vector<std::string>> sweep_rows(const std::string& metric,
                                                 std::span<const SweepTrial> trials);

/// The page: trials from best to worst, the score over each setting, the curves of all runs.
std::string sweep_page(const std::string& title, const std::string& metric,
                       std::span<const SweepTrial> trials, std::span<const RunRecord> runs);

}  // namespace soma::cli
