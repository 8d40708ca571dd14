// Splits CSV text into records of cells (RFC 4180): quoted cells may hold delimiters, line breaks
// and doubled quotes; lines end in LF or CRLF; a byte order mark and blank lines at the end are
// skipped.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace soma::data {

struct CsvCell {
  std::string_view text;  ///< valid until the next record is read
  bool quoted = false;
};

class CsvLines {
 public:
  /// `text` must outlive the reader. A delimiter of 0 is chosen from the first line.
  CsvLines(std::string_view text, char delimiter, const std::string& path);

  /// Reads the next record; false at the end of the text.
  bool next(std::vector<CsvCell>& cells);
  /// The line, from 1, on which the record last read began.
  int64_t line() const { return record_line_; }
  char delimiter() const { return delimiter_; }

 private:
  bool at_line_end() const;
  bool skip_line_end();
  CsvCell cell();
  CsvCell quoted_cell();
  [[noreturn]] void fail(int64_t line, const std::string& reason) const;

  std::string_view text_;
  size_t at_ = 0;
  int64_t line_ = 1;
  int64_t record_line_ = 0;
  char delimiter_;
  const std::string& path_;
  std::deque<std::string> unescaped_;  // what cells with doubled quotes point to
};

}  // namespace soma::data
