#include "src/data/csv_lines.h"

#include <algorithm>
#include <bit>
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

int64_t count_lines(std::string_view text) {
  int64_t lines = 0;
  while (!text.empty()) {
    unsigned char few = 0;  // bytes that count bytes: the loop becomes one of vectors
    for (const char c : text.substr(0, 255)) few = static_cast<unsigned char>(few + (c == '\n'));
    lines += few;
    text.remove_prefix(std::min<size_t>(text.size(), 255));
  }
  return lines;
}

constexpr ptrdiff_t stride = 64;

/// Bit i says whether byte i of the 64 is one of three.
uint64_t hits_of(const char* bytes, char a, char b, char c) {
  uint64_t hits = 0;
#ifdef __SSE2__
  using Bytes [[gnu::vector_size(16)]] = char;
  for (int i = 0; i < stride; i += 16) {
    Bytes x;
    std::memcpy(&x, bytes + i, sizeof x);
    const auto hit = (x == a) | (x == b) | (x == c);
    const int mask = __builtin_ia32_pmovmskb128(reinterpret_cast<const Bytes&>(hit));
    hits |= uint64_t{static_cast<uint16_t>(mask)} << i;
  }
#else
  for (int i = 0; i < stride; ++i) {
    hits |= uint64_t{bytes[i] == a || bytes[i] == b || bytes[i] == c} << i;
  }
#endif
  return hits;
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

CsvLines::CsvLines(const CsvBlock& block, const CsvLines& whole)
    : name_(whole.name_),
      text_(block.text),
      all_here_(true),
      line_(block.line),
      record_line_(block.line),  // there were records before
      delimiter_(whole.delimiter_),
      looked_at_(block.text.data()) {}

void CsvLines::fail(int64_t line, const std::string& reason) const {
  throw FileError(cat("\"", name_, "\" line ", line, ": ", reason));
}

/// Reads up to `room` bytes more behind text_; false when there is no more.
bool CsvLines::refill(size_t room) {
  if (all_here_) return false;
  if (text_.size() > longest_record) {
    fail(line_, cat("the line, or a quoted cell in it, is longer than ", longest_record >> 20,
                    " MiB; a closing \" may be missing"));
  }
  const size_t kept = text_.size();
  if (buffer_.size() < kept + room) {
    std::vector<char> larger(kept + room);
    text_.copy(larger.data(), kept);
    buffer_ = std::move(larger);
  } else if (kept > 0 && text_.data() != buffer_.data()) {
    std::memmove(buffer_.data(), text_.data(), kept);
  }
  const size_t count = source_->read({buffer_.data() + kept, room});
  all_here_ = count == 0;
  text_ = {buffer_.data(), kept + count};
  return !all_here_;
}
bool CsvLines::refill() { return refill(std::max(chunk, text_.size())); }

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

/// Looks through the next bytes of a block for what ends cells.
void CsvLines::find_stops() {
  constexpr size_t window = 1024;
  stops_.resize(window);
  const char *at = looked_at_, *const end = text_.data() + text_.size();
  const char** out = stops_.data();
  for (const char* stop = at + std::min<ptrdiff_t>(end - at, window); at != stop;) {
    if (stop - at < stride) {
      *out = at;
      out += *at == delimiter_ || *at == '\n' || *at == '"';
      ++at;
      continue;
    }
    for (uint64_t hits = hits_of(at, delimiter_, '\n', '"'); hits != 0; hits &= hits - 1) {
      *out++ = at + std::countr_zero(hits);
    }
    at += stride;
  }
  stop_ = 0;
  stops_end_ = static_cast<size_t>(out - stops_.data());
  looked_at_ = at;
}

/// The next record of a block when it has no quotes and ends with a line break, which is quick;
/// false, having read nothing, when it is another.
bool CsvLines::next_plain(std::vector<CsvCell>& cells) {
  const auto may_be_space = [](char c) { return static_cast<unsigned char>(c) <= ' '; };
  const char *begin = text_.data(), *const end = begin + text_.size();
  while (stop_ < stops_end_ && stops_[stop_] < begin) ++stop_;  // another way read on
  if (looked_at_ < begin) looked_at_ = begin;
  if (begin == end || *begin == '\n' || *begin == '\r') return false;
  cells.clear();
  for (;; ++stop_) {
    while (stop_ == stops_end_) {
      if (looked_at_ == end) return false;
      find_stops();
    }
    const char* const to = stops_[stop_];
    if (*to == '"') return false;
    std::string_view text(begin, static_cast<size_t>(to - begin));
    if (!text.empty() && (may_be_space(text.front()) || may_be_space(text.back())))
      text = trim(text);
    cells.push_back({text, false});
    begin = to + 1;
    if (*to == '\n') break;
  }
  ++stop_;
  text_.remove_prefix(static_cast<size_t>(begin - text_.data()));
  record_line_ = line_++;
  return true;
}

bool CsvLines::next(std::vector<CsvCell>& cells) {
  if (looked_at_ && next_plain(cells)) return true;
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

/// Behind the last record that is known to end in `text`, which begins with one. Blank lines are
/// left to what follows: only there it is known whether they are in order.
size_t CsvLines::records_end(std::string_view text) const {
  size_t end = 0, at = 0;  // of the last line break outside quotes; what was looked through
  for (;;) {
    const size_t quote = text.find('"', at);
    const size_t stop = std::min(quote, text.size());
    const size_t line_break = text.substr(at, stop - at).rfind('\n');
    if (line_break != text.npos) end = at + line_break + 1;
    if (quote == text.npos) break;
    at = quote + 1;
    const bool opens = quote == 0 || text[quote - 1] == delimiter_ || text[quote - 1] == '\n';
    while (opens) {  // to the closing one
      at = text.find('"', at);
      if (at == text.npos) break;
      const bool doubled = at + 1 < text.size() && text[at + 1] == '"';
      at += doubled ? 2 : 1;
      if (!doubled) break;
    }
    if (at >= text.size()) break;
  }
  const auto before = [&](size_t place, char c) { return place > 0 && text[place - 1] == c; };
  for (;;) {
    size_t begin = end - (end > 0);
    if (before(begin, '\r')) --begin;
    if (end == 0 || (begin > 0 && !before(begin, '\n'))) return end;
    end = begin;
  }
}

bool CsvLines::take(CsvBlock& block, size_t size) {
  for (;; size *= 2) {
    while (text_.size() < size && refill(size - text_.size())) {
    }
    if (text_.empty()) return false;
    const bool last = all_here_ && text_.size() <= size;
    const size_t end = last ? text_.size() : records_end(text_.substr(0, size));
    if (end == 0) continue;  // no record ends here yet
    const std::string_view rest = text_.substr(end);
    block.text = text_.substr(0, end);
    block.line = line_;
    line_ += count_lines(block.text);
    block.buffer.swap(buffer_);
    if (buffer_.size() < rest.size()) buffer_.resize(size);
    text_ = {buffer_.data(), rest.copy(buffer_.data(), rest.size())};
    return true;
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
