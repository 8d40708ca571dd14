// What a sweep tries: values of settings, listed or drawn from ranges.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/settings.h"

namespace soma::cli {

/// One setting and its values: "batch=16|32|64", or a range "lr=1e-4..1e-1 log", evenly by its
/// logarithm with the word log. Between whole numbers only whole ones are drawn.
struct Vary {
  std::string name;
  std::vector<std::string> values;  ///< Empty for a range.
  double low = 0, high = 0;
  bool log = false, whole = false;

  bool is_range() const { return values.empty(); }
  /// At that share of the range, from 0 to 1; of a list, the value there.
  std::string at(double share) const;
};

/// Settings are separated by semicolons or line ends. Throws UsageError with a sentence.
std::vector<Vary> parse_ranges(std::string_view text);

/// Every combination; ranges give `points` values each. The last setting changes fastest.
std::vector<Settings> grid_of(const std::vector<Vary>& varied, int64_t points);
/// `count` combinations, drawn by seed: the same on every machine, and more of them go on where
/// fewer ended.
std::vector<Settings> draws_of(const std::vector<Vary>& varied, int64_t count, uint64_t seed);

}  // namespace soma::cli
