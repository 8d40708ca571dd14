#include "src/data/csv_lines.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma::data {

namespace {

constexpr size_t chunk = size_t{1} << 18, longest_record = size_t{1} << 26;

/// Whichever of , ; tab and | the first line has most of, outside quotes.
char guess_delimiter(std::string_view text) {
  const std::string_view candidates = ",;\t|";
  int64_t counts[4] = {};
  bool quoted = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (c == '\n') break;
    const size_t which = candidates.find(c);
    if (which != std::string_view::npos) ++counts[which];
  }
  return candidates[static_cast<size_t>(std::max_element(counts, counts + 4) - counts)];
}

}  // namespace

CsvLines::CsvLines(std::unique_ptr<ByteSource> source, char delimiter, std::string name,
                   IfAbsent if_absent)
    : source_(std::move(source)), name_(std::move(name)), delimiter_(delimiter) {
  const std::string_view mark = "\xEF\xBB\xBF";
  while (text_.size() < mark.size() && refill()) {
  }
  if (text_.starts_with(mark)) text_.remove_prefix(mark.size());
  if (delimiter_ != 0 && if_absent == IfAbsent::keep) return;
  for (;;) {
    const size_t begin = text_.find_first_not_of("\r\n");
    const size_t end = begin == text_.npos ? begin : text_.find('\n', begin);
    const bool whole_line = end != text_.npos && text_[begin] != '"';
    if (!whole_line && text_.size() < chunk && refill()) continue;
    const std::string_view line = text_.substr(std::min(begin, text_.size()));
    const bool has =
        delimiter_ != 0 && line.substr(0, line.find('\n')).find(delimiter_) != line.npos;
    if (!has && if_absent == IfAbsent::choose && line.find_first_of(",;\t|") == line.npos) {
      delimiter_ = ' ';  // numbers as people type them
    } else if (!has) {
      delimiter_ = guess_delimiter(line);
    }
    return;
  }
}

void CsvLines::fail(int64_t line, const std::string& reason) const {
  throw FileError(cat("\"", name_, "\" line ", line, ": ", reason));
}

/// Reads more behind text_; false when there is no more.
bool CsvLines::refill() {
  if (all_here_) return false;
  if (text_.size() > longest_record) {
    fail(line_, cat("the line, or a quoted cell in it, is longer than ", longest_record >> 20,
                    " MiB; a closing \" may be missing"));
  }
  const size_t kept = text_.size(), room = std::max(chunk, kept);
  if (buffer_.size() < kept + room) {
    std::vector<char> larger(kept + room);
    text_.copy(larger.data(), kept);
    buffer_ = std::move(larger);
  } else if (kept > 0) {
    std::memmove(buffer_.data(), text_.data(), kept);
  }
  const size_t count = source_->read({buffer_.data() + kept, buffer_.size() - kept});
  all_here_ = count == 0;
  text_ = {buffer_.data(), kept + count};
  return !all_here_;
}

/// At the end of text_ the record ends, or nobody knows yet.
bool CsvLines::ended(size_t at) {
  if (at < text_.size()) return false;
  cut_ = !all_here_;
  return true;
}

bool CsvLines::line_ends(size_t at) {
  if (ended(at) || text_[at] == '\n') return true;
  return text_[at] == '\r' && (ended(at + 1) || text_[at + 1] == '\n');
}

bool CsvLines::next(std::vector<CsvCell>& cells) {
  for (;;) {
    const int64_t line = line_, before = record_line_;
    cut_ = false;
    at_ = 0;
    const bool found = parse(cells);
    if (!cut_) {
      text_.remove_prefix(at_);
      return found;
    }
    line_ = line;  // once more, with more of the text
    record_line_ = before;
    refill();
  }
}

bool CsvLines::parse(std::vector<CsvCell>& cells) {
  cells.clear();
  unescaped_.clear();
  const int64_t first_blank = line_;
  while (line_ends(at_)) {
    if (at_ == text_.size()) return false;
    at_ += text_[at_] == '\r' && at_ + 1 < text_.size() ? 2 : 1;
    ++line_;
  }
  if (line_ != first_blank && record_line_ != 0) {
    fail(first_blank, "the line is empty, but more lines follow; remove it");
  }
  record_line_ = line_;
  for (;;) {
    cells.push_back(cell());
    if (line_ends(at_)) break;
    ++at_;  // the delimiter
  }
  if (at_ < text_.size()) {
    at_ += text_[at_] == '\r' && at_ + 1 < text_.size() ? 2 : 1;
    ++line_;
  }
  return true;
}

CsvCell CsvLines::cell() {
  if (at_ < text_.size() && text_[at_] == '"') return quoted_cell();
  const char* begin = text_.data() + at_;
  const char* const end = text_.data() + text_.size();
  const char* to = begin;
  while (to != end && *to != delimiter_ && *to != '\n') ++to;
  at_ += static_cast<size_t>(to - begin);
  if (to != end && *to == '\n' && to != begin && to[-1] == '\r') --at_;
  (void)ended(at_);
  return {trim({begin, static_cast<size_t>(to - begin)}), false};
}

CsvCell CsvLines::quoted_cell() {
  const int64_t start = line_;
  const size_t begin = ++at_;
  bool doubled = false;
  for (;; ++at_) {
    if (ended(at_)) {
      if (cut_) return {};
      fail(start, "a quoted cell begins here and never ends; add the closing \"");
    }
    if (text_[at_] == '\n') ++line_;
    if (text_[at_] != '"') continue;
    if (ended(at_ + 1) || text_[at_ + 1] != '"') break;
    doubled = true;
    ++at_;
  }
  const std::string_view raw = text_.substr(begin, at_ - begin);
  ++at_;  // the closing quote
  if (!line_ends(at_) && text_[at_] != delimiter_) {
    if (cut_) return {};
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
