// Splits CSV text into records of cells (RFC 4180) as it comes, holding one record at a time:
// quoted cells may hold delimiters, line breaks and doubled quotes; lines end in LF or CRLF; a byte
// order mark and blank lines at the end are skipped.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/data/gzip.h"

namespace soma::data {

struct CsvCell {
  std::string_view text;  ///< valid until the next record is read
  bool quoted = false;
};

/// Whole records, with the memory they lie in.
struct CsvBlock {
  std::vector<char> buffer;
  std::string_view text;
  int64_t line = 1;  ///< On which it begins.
};

class CsvLines {
 public:
  /// A delimiter of 0 is chosen from the first line, and so is one that this line lacks if that may
  /// be, blanks included. `name` stands for the file in messages.
  enum class IfAbsent : bool { keep, choose };
  CsvLines(std::unique_ptr<ByteSource> source, char delimiter, std::string name,
           IfAbsent if_absent = IfAbsent::keep);
  /// The records of a block that was taken of `whole`. Both must outlive it.
  CsvLines(const CsvBlock& block, const CsvLines& whole);

  /// Reads the next record; false at the end of the text.
  bool next(std::vector<CsvCell>& cells);
  /// The line, from 1, on which the record last read began.
  int64_t line() const { return record_line_; }
  char delimiter() const { return delimiter_; }
  /// Takes the next records, about `size` bytes of them, unread; false at the end of the text. A
  /// record must have been read before. Memory that the block has is used again.
  bool take(CsvBlock& block, size_t size);

 private:
  bool refill();
  bool refill(size_t room);
  bool next_plain(std::vector<CsvCell>& cells);
  void find_stops();
  size_t records_end(std::string_view text) const;
  bool ended(size_t at);
  bool line_ends(size_t at);
  bool parse(std::vector<CsvCell>& cells);
  CsvCell cell();
  CsvCell quoted_cell();
  [[noreturn]] void fail(int64_t line, const std::string& reason) const;

  std::unique_ptr<ByteSource> source_;
  std::string name_;
  std::vector<char> buffer_;
  std::string_view text_;  // the part of the buffer that was not read as a record yet
  bool all_here_ = false;  // the source has no more than text_
  bool cut_ = false;       // the record at hand goes on behind text_
  size_t at_ = 0;
  int64_t line_ = 1;
  int64_t record_line_ = 0;
  char delimiter_;
  std::deque<std::string> unescaped_;  // what cells with doubled quotes point to
  // Of a block: the next delimiters, line breaks and quotes, and where to look for more.
  std::vector<const char*> stops_;
  size_t stop_ = 0, stops_end_ = 0;
  const char* looked_at_ = nullptr;
};

}  // namespace soma::data
