#include "src/data/cells.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <utility>

namespace soma::data {

Reading read_number(std::string_view text, char decimal, double& value) {
  std::string pointed;
  if (decimal != '.' && text.find(decimal) != text.npos) {
    pointed = text;
    std::replace(pointed.begin(), pointed.end(), decimal, '.');
    text = pointed;
  }
  // from_chars knows no leading plus.
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || code == std::errc::invalid_argument) return Reading::text;
  if (code == std::errc::result_out_of_range) {
    if (std::abs(std::strtod(std::string(text).c_str(), nullptr)) > 1) return Reading::too_large;
    value = 0;  // too small to tell from zero
  }
  if (!std::isfinite(value)) return Reading::infinite;
  return std::isfinite(static_cast<float>(value)) ? Reading::number : Reading::too_large;
}

namespace {

/// Takes a whole number of up to `digits` digits from the front; -1 when there is none.
int take_number(std::string_view& text, size_t digits, bool exactly = false) {
  int value = 0;
  size_t count = 0;
  for (; count < digits && count < text.size() && text[count] >= '0' && text[count] <= '9'; ++count)
    value = value * 10 + (text[count] - '0');
  text.remove_prefix(count);
  return count == 0 || (exactly && count != digits) ? -1 : value;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text[0] != c) return false;
  text.remove_prefix(1);
  return true;
}

/// "10:30", "10:30:15.5Z" as a part of the day; -1 for anything else.
double time_of_day(std::string_view text) {
  const int hours = take_number(text, 2);
  if (hours < 0 || hours > 24 || !take(text, ':')) return -1;
  const int minutes = take_number(text, 2);
  double seconds = 0;
  if (take(text, ':')) {
    seconds = take_number(text, 2);
    if (take(text, '.')) {
      const size_t before = text.size();
      const int part = take_number(text, 9);
      if (part < 0) return -1;
      seconds += part / std::pow(10.0, static_cast<double>(before - text.size()));
    }
  }
  take(text, 'Z');
  if (minutes < 0 || minutes > 59 || seconds < 0 || seconds >= 61 || !text.empty()) return -1;
  return (hours * 3600.0 + minutes * 60.0 + seconds) / 86400;
}

}  // namespace

std::optional<double> read_date(std::string_view text, std::string_view format) {
  int year = 0, month = 1, day = 1;
  for (const char c : format) {
    switch (c) {
      case 'y': year = take_number(text, 4, true); break;
      case 'm': month = take_number(text, 2); break;
      case 'd': day = take_number(text, 2); break;
      default:
        if (!take(text, c)) return {};
    }
  }
  if (year < 0 || month < 1 || day < 1) return {};
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return {};
  const double days = static_cast<double>(std::chrono::sys_days(date).time_since_epoch().count());
  if (text.empty()) return days;
  if (!take(text, 'T') && !take(text, ' ')) return {};
  const double part = time_of_day(text);
  if (part < 0) return {};
  return days + part;
}

static bool same_letters(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

const std::array<std::string_view, 2>* yes_no_words(std::span<const std::string> texts) {
  static constexpr std::array<std::string_view, 2> pairs[] = {
      {"no", "yes"}, {"n", "y"}, {"false", "true"}, {"f", "t"}};
  for (const auto& pair : pairs) {
    if (std::ranges::all_of(texts, [&](const std::string& text) {
          return same_letters(text, pair[0]) || same_letters(text, pair[1]);
        })) {
      return &pair;
    }
  }
  return nullptr;
}

MissingWords::MissingWords(std::vector<std::string> words) : words_(std::move(words)) {
  for (const std::string& word : words_) {
    if (!word.empty()) first_[static_cast<unsigned char>(word[0])] = true;
  }
}

bool MissingWords::has(std::string_view text) const {
  if (text.empty()) return true;
  if (!first_[static_cast<unsigned char>(text[0])]) return false;
  return std::ranges::find(words_, text) != words_.end();
}

}  // namespace soma::data
