// What the text of one cell of a table means.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "soma/table.h"

namespace soma::data {

enum class Reading : uint8_t { number, text, infinite, too_large };

/// Reads the whole cell as a number: the double that is nearest.
Reading read_number(std::string_view text, char decimal, double& value);

/// What one may write for a day: y four digits, m and d one or two; a time may follow.
inline constexpr std::string_view date_formats[] = {"y-m-d", "y/m/d", "d.m.y",
                                                    "m/d/y", "d/m/y", "y-m"};
/// Days since 1970, with the time as a fraction; none for another format or no day of a calendar.
std::optional<double> read_date(std::string_view text, std::string_view format);

/// The pair of words, no and then yes, that these texts are; null when they are not.
const std::array<std::string_view, 2>* yes_no_words(std::span<const std::string> texts);

/// The words for a missing value.
class MissingWords {
 public:
  explicit MissingWords(std::vector<std::string> words);
  bool has(std::string_view text) const {
    if (text.empty()) return true;
    return first_[static_cast<unsigned char>(text[0])] &&
           std::ranges::find(words_, text) != words_.end();
  }

 private:
  std::vector<std::string> words_;
  std::array<bool, 256> first_{};  // what a word may begin with
};

}  // namespace soma::data
