#include "src/data/text_pieces.h"

namespace soma::data {

namespace {

enum class Kind { blank, letter, digit, mark };

Kind kind_of(char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (c == ' ' || (c >= '\t' && c <= '\r')) return Kind::blank;
  if (c >= '0' && c <= '9') return Kind::digit;
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || byte >= 0x80;
  return letter ? Kind::letter : Kind::mark;
}

bool in_word(char c) { return kind_of(c) == Kind::letter || kind_of(c) == Kind::digit; }

}  // namespace

size_t character_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t length = byte(0) < 0x80   ? 1
                        : byte(0) < 0xC2 ? 0
                        : byte(0) < 0xE0 ? 2
                        : byte(0) < 0xF0 ? 3
                        : byte(0) < 0xF5 ? 4
                                         : 0;
  if (length <= 1 || text.size() < length) return 1;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 1;
  }
  const bool overlong = (byte(0) == 0xE0 && byte(1) < 0xA0) || (byte(0) == 0xF0 && byte(1) < 0x90);
  const bool outside = (byte(0) == 0xED && byte(1) > 0x9F) || (byte(0) == 0xF4 && byte(1) > 0x8F);
  return overlong || outside ? 1 : length;
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t at = 0; at < text.size();) {
    size_t end = at + 1;
    if (in_word(text[at])) {
      while (end < text.size() &&
             (in_word(text[end]) ||
              (text[end] == '\'' && end + 1 < text.size() && in_word(text[end + 1])))) {
        ++end;
      }
    }
    if (kind_of(text[at]) != Kind::blank) words.push_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

std::vector<std::string_view> chunks_of(std::string_view text) {
  constexpr size_t longest = 128;
  std::vector<std::string_view> chunks;
  for (size_t at = 0; at < text.size();) {
    const bool leads = text[at] == ' ' && at + 1 < text.size();
    const Kind kind = kind_of(text[leads ? at + 1 : at]);
    size_t end = at + (leads ? 2 : 1);
    while (end < text.size() && kind_of(text[end]) == kind && end - at < longest) ++end;
    // The last of several blanks leads the word behind them.
    const bool before_word = end < text.size() && kind_of(text[end]) != Kind::blank;
    if (kind == Kind::blank && end - at > 1 && before_word && text[end - 1] == ' ') --end;
    chunks.push_back(text.substr(at, end - at));
    at = end;
  }
  return chunks;
}

}  // namespace soma::data
