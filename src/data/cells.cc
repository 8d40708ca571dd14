#include "src/data/cells.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace soma::data {

/// The 1 to 8 bytes of a text, the first one lowest, zeros above.
static uint64_t bytes_of(const char* text, size_t count) {
  const auto byte = [&](size_t i) {
    return uint64_t{static_cast<unsigned char>(text[i])} << 8 * i;
  };
  if constexpr (std::endian::native == std::endian::little) {
    if (count >= 4) {  // two halves that may overlap
      uint32_t low = 0, high = 0;
      std::memcpy(&low, text, 4);
      std::memcpy(&high, text + count - 4, 4);
      return low | uint64_t{high} << 8 * (count - 4);
    }
    return byte(0) | byte(count / 2) | byte(count - 1);
  }
  uint64_t all = 0;
  for (size_t i = 0; i < count; ++i) all |= byte(i);
  return all;
}

/// Reads what most numbers are: up to eight characters behind the sign, digits and perhaps a point.
/// Number and power of ten are exact as doubles, so one division gives the nearest. Without loops,
/// whose ends nobody could predict. False for anything else.
static bool read_short_number(std::string_view text, char decimal, double& value) {
  static constexpr double powers[][8] = {{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7},
                                         {-1e0, -1e1, -1e2, -1e3, -1e4, -1e5, -1e6, -1e7}};
  constexpr uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
  const bool negative = !text.empty() && text[0] == '-';
  text.remove_prefix(negative);
  size_t count = text.size();
  if (count < 1 || count > 8) return false;
  uint64_t bytes = bytes_of(text.data(), count);
  const uint64_t x = bytes ^ ones * static_cast<unsigned char>(decimal);
  const uint64_t points = (x - ones) & ~x & tops;  // the lowest bit is right
  size_t places = 0;
  if (points != 0) {
    const int at = std::countr_zero(points) - 7;  // bits in front of it: their bytes stay
    const uint64_t front = (uint64_t{1} << at) - 1;
    bytes = (bytes & front) | (bytes >> 8 & ~front);
    places = --count - static_cast<size_t>(at) / 8;
    if (count == 0) return false;
  }
  // The values of the digits, the last one at the top, zeros below the first.
  bytes = (bytes ^ ones * '0') << 8 * (8 - count);
  if (((bytes + ones * (0x7f - 9)) | bytes) & tops) return false;  // none above 9
  bytes = bytes * 10 + (bytes >> 8);                               // pairs, then fours, then eight
  bytes = ((bytes & 0x000000FF000000FFu) * 0x000F424000000064u +
           (bytes >> 16 & 0x000000FF000000FFu) * 0x0000271000000001u) >>
          32;
  value = static_cast<double>(bytes) / powers[negative][places];
  return true;
}

static Reading read_any_number(std::string_view text, char decimal, double& value) {
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

Reading read_number(std::string_view text, char decimal, double& value) {
  if (read_short_number(text, decimal, value)) return Reading::number;
  return read_any_number(text, decimal, value);
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

}  // namespace soma::data
