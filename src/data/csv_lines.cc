#include "src/data/csv_lines.h"

#include <algorithm>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma::data {

namespace {

/// Whichever of , ; and tab the first line has most of, outside quotes.
char guess_delimiter(std::string_view text) {
  const std::string_view candidates = ",;\t";
  int64_t counts[3] = {};
  bool quoted = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (c == '\n') break;
    const size_t which = candidates.find(c);
    if (which != std::string_view::npos) ++counts[which];
  }
  return candidates[static_cast<size_t>(std::max_element(counts, counts + 3) - counts)];
}

}  // namespace

CsvLines::CsvLines(std::string_view text, char delimiter, const std::string& path)
    : text_(text), path_(path) {
  if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  delimiter_ = delimiter != 0 ? delimiter : guess_delimiter(text_);
}

void CsvLines::fail(int64_t line, const std::string& reason) const {
  throw FileError(cat("\"", path_, "\" line ", line, ": ", reason));
}

bool CsvLines::at_line_end() const {
  return at_ == text_.size() || text_[at_] == '\n' || text_.substr(at_, 2) == "\r\n" ||
         (text_[at_] == '\r' && at_ + 1 == text_.size());
}

bool CsvLines::skip_line_end() {
  if (at_ == text_.size()) return false;
  at_ += text_.substr(at_, 2) == "\r\n" ? 2 : 1;
  ++line_;
  return true;
}

bool CsvLines::next(std::vector<CsvCell>& cells) {
  cells.clear();
  unescaped_.clear();
  const int64_t first_blank = line_;
  while (at_line_end()) {
    if (!skip_line_end()) return false;
  }
  if (line_ != first_blank && record_line_ != 0) {
    fail(first_blank, "the line is empty, but more lines follow; remove it");
  }
  record_line_ = line_;
  for (;;) {
    cells.push_back(cell());
    if (at_line_end()) break;
    ++at_;  // the delimiter
  }
  skip_line_end();
  return true;
}

CsvCell CsvLines::cell() {
  if (at_ < text_.size() && text_[at_] == '"') return quoted_cell();
  const size_t begin = at_;
  while (!at_line_end() && text_[at_] != delimiter_) ++at_;
  return {trim(text_.substr(begin, at_ - begin)), false};
}

CsvCell CsvLines::quoted_cell() {
  const int64_t start = line_;
  const size_t begin = ++at_;
  bool doubled = false;
  for (;; ++at_) {
    if (at_ == text_.size()) {
      fail(start, "a quoted cell begins here and never ends; add the closing \"");
    }
    if (text_[at_] == '\n') ++line_;
    if (text_[at_] != '"') continue;
    if (text_.substr(at_, 2) != "\"\"") break;
    doubled = true;
    ++at_;
  }
  const std::string_view raw = text_.substr(begin, at_ - begin);
  ++at_;  // the closing quote
  if (!at_line_end() && text_[at_] != delimiter_) {
    fail(line_, "text follows the closing \" of a cell; double the quotes inside a quoted cell");
  }
  if (!doubled) return {raw, true};
  std::string& text = unescaped_.emplace_back();
  for (size_t i = 0; i < raw.size(); ++i) {
    text += raw[i];
    if (raw[i] == '"') ++i;
  }
  return {text, true};
}

}  // namespace soma::data
