// Small text helpers for messages: cat() joins anything printable, join() a list, nearest() finds
// the name a user probably meant.
#pragma once

#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace soma {

template <class... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <class List>
std::string join(const List& list, std::string_view separator) {
  std::ostringstream out;
  bool first = true;
  for (const auto& item : list) {
    if (!first) out << separator;
    out << item;
    first = false;
  }
  return out.str();
}

/// The shortest text that reads back as exactly this number ("0.1", "inf", "nan").
std::string number(double value);

/// With `digits` after the point ("0.50"), with an exponent ("5.0e-01"), or with as many digits in
/// all, in whichever of the two is shorter ("0.5"); the same in every locale.
std::string fixed(double value, int digits);
std::string scientific(double value, int digits);
std::string general(double value, int digits);

/// The candidate with the smallest edit distance to `name`, or "" when none is near.
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

/// "; did you mean "x"?" when a near candidate exists, else "".
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

/// Splits at `separator`; neighbouring separators give empty parts.
std::vector<std::string_view> split(std::string_view text, char separator);

/// Without the white space at both ends.
std::string_view trim(std::string_view text);

/// "1 cell", "3 cells"
std::string counted(size_t count, std::string_view noun);

/// "101,770": thousands apart.
std::string grouped(int64_t value);

/// The beginning of a text that may be long, with "…" where it was cut: for messages.
std::string excerpt(std::string_view text, size_t length = 60);

}  // namespace soma
