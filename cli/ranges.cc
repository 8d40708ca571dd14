// Lists and ranges.
#include "cli/ranges.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "src/base/philox.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

[[noreturn]] void refuse(std::string_view item, const std::string& reason) {
  throw UsageError(cat("--vary: \"", excerpt(item), "\" ", reason,
                       "; give values \"batch=16|32|64\" or a range \"lr=1e-4..1e-1 log\""));
}

bool is_whole(std::string_view text) {
  return text.find_first_not_of("-0123456789") == std::string_view::npos;
}

double number_in(std::string_view item, std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) {
    refuse(item, cat("has \"", excerpt(text), "\" where a number is needed"));
  }
  return value;
}

Vary parse_one(std::string_view item) {
  const size_t sign = item.find('=');
  if (sign == item.npos) refuse(item, "names no values");
  Vary result;
  result.name = trim(item.substr(0, sign));
  if (result.name.starts_with("--")) result.name.erase(0, 2);
  std::string_view right = trim(item.substr(sign + 1));
  if (result.name.empty() || right.empty()) refuse(item, "names no values");
  const size_t dots = right.find("..");
  if (dots == right.npos || right.find('|') != right.npos) {
    for (const auto value : split(right, '|')) {
      if (trim(value).empty()) refuse(item, "has an empty value");
      result.values.emplace_back(trim(value));
    }
    return result;
  }
  if (right.ends_with(" log")) {
    result.log = true;
    right = trim(right.substr(0, right.size() - 4));
  }
  const std::string_view low = trim(right.substr(0, dots)), high = trim(right.substr(dots + 2));
  result.low = number_in(item, low);
  result.high = number_in(item, high);
  result.whole = is_whole(low) && is_whole(high);
  if (!(result.low < result.high)) refuse(item, "must begin below its end");
  if (result.log && !(result.low > 0)) refuse(item, "has no logarithms: it must begin above 0");
  return result;
}

}  // namespace

std::string Vary::at(double share) const {
  if (!is_range()) {
    const auto count = static_cast<double>(values.size());
    return values[static_cast<size_t>(std::min(count - 1, std::floor(share * count)))];
  }
  const double value = log ? low * std::pow(high / low, share) : low + (high - low) * share;
  if (whole) return std::to_string(std::llround(value));
  return general(value, 3);  // as fine as a search is
}

std::vector<Vary> parse_ranges(std::string_view text) {
  std::vector<Vary> all;
  for (const auto line : split(text, '\n')) {
    for (const auto item : split(line, ';')) {
      if (trim(item).empty()) continue;
      Vary one = parse_one(trim(item));
      if (std::ranges::find(all, one.name, &Vary::name) != all.end()) {
        throw UsageError(cat("--vary names ", one.name, " twice"));
      }
      all.push_back(std::move(one));
    }
  }
  if (all.empty()) {
    throw UsageError("--vary says what to try, for example \"lr=1e-4..1e-1 log; batch=16|32\"");
  }
  return all;
}

std::vector<Settings> grid_of(const std::vector<Vary>& varied, int64_t points) {
  std::vector<Settings> all{{}};
  for (const Vary& one : varied) {
    std::vector<std::string> values = one.values;
    for (int64_t i = 0; one.is_range() && i < points; ++i) {
      const double share =
          points > 1 ? static_cast<double>(i) / static_cast<double>(points - 1) : 0;
      if (values.empty() || values.back() != one.at(share)) values.push_back(one.at(share));
    }
    std::vector<Settings> longer;
    for (const Settings& settings : all) {
      for (const std::string& value : values) {
        longer.push_back(settings);
        longer.back().emplace_back(one.name, value);
      }
    }
    all = std::move(longer);
  }
  return all;
}

std::vector<Settings> draws_of(const std::vector<Vary>& varied, int64_t count, uint64_t seed) {
  std::vector<Settings> all;
  for (int64_t i = 0; i < count; ++i) {
    Settings settings;
    for (size_t k = 0; k < varied.size(); ++k) {
      const float share = uniform_float(philox_bits(seed, 0, k, static_cast<uint64_t>(i)));
      settings.emplace_back(varied[k].name, varied[k].at(share));
    }
    all.push_back(std::move(settings));
  }
  return all;
}

}  // namespace soma::cli
