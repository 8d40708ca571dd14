// What the columns of a table are: found by reading a CSV file once, shown, changed, and kept in
// the model file, so that a model takes the rows people have.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace soma {

enum class ColumnKind : uint8_t {
  number,
  category,  ///< One of a few texts.
  yes_no,    ///< yes and no, true and false, or their first letters.
  date,      ///< A day, perhaps with a time.
  text       ///< Nearly every value is another: nothing a network of a table can read.
};
/// "number", "category", "yes_no", "date" or "text".
std::string_view name_of(ColumnKind kind);

enum class ColumnUse : uint8_t {
  input,
  target,  ///< What is to be predicted.
  weight,  ///< How often the row counts in training.
  dropped
};
std::string_view name_of(ColumnUse use);

/// One column. A row gives a network one number for each column that is an input: the number
/// itself, the place of the category in the list (its length for one that is not in it), no 0 and
/// yes 1, the days since 1970; NaN where the value is missing.
struct Column {
  std::string name = {};
  ColumnKind kind = ColumnKind::number;
  ColumnUse use = ColumnUse::input;
  std::string note = {};  ///< Why it is dropped, or what else is to be said.
  /// Of categories and yes_no (no first), in the order of their numbers.
  std::vector<std::string> categories = {};
  std::vector<int64_t> counts = {};  ///< How often each occurs.
  std::string date = {};             ///< The format of dates: "y-m-d".
  int64_t missing = 0;
  double least = 0, mean = 0, most = 0;  ///< Of numbers and dates.
  friend bool operator==(const Column&, const Column&) = default;
};

/// How a CSV file becomes rows of numbers.
struct Schema {
  std::vector<Column> columns = {};  ///< In the order of the file.
  char delimiter = ',';
  char decimal = '.';
  bool header = true;                     ///< The first line has the names.
  std::vector<std::string> missing = {};  ///< Words that stand for a missing value, besides "".
  int64_t rows = 0;                       ///< Those with a target.
  int64_t without_target = 0;             ///< Left out.

  std::vector<const Column*> inputs() const;
  /// The column of that use, or null when there is none.
  const Column* find(ColumnUse use) const;
  friend bool operator==(const Schema&, const Schema&) = default;
};

}  // namespace soma
