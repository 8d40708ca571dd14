// The kinds of tokenizers and their text form.
#include <algorithm>
#include <map>
#include <set>

#include "soma/error.h"
#include "soma/text.h"
#include "src/base/text.h"
#include "src/data/text_pieces.h"

namespace soma {

namespace {

using Tokens = std::vector<int32_t>;
using Arguments = TokenizerRow::Arguments;

// ---- the kinds; learn(text, parameters…) and encode(vocabulary, text, parameters…)

std::vector<std::string> learn_bytes(std::string_view) { return data::learn_byte_pairs("", 258); }
Tokens encode_bytes(const Vocabulary&, std::string_view text) {
  Tokens tokens;
  for (const char c : text) tokens.push_back(2 + static_cast<unsigned char>(c));
  return tokens;
}

std::vector<std::string> learn_characters(std::string_view text) {
  std::set<std::string, std::less<>> characters;
  while (!text.empty()) {
    const auto next = text.substr(0, data::character_length(text));
    if (!characters.contains(next)) characters.emplace(next);
    text.remove_prefix(next.size());
  }
  return {characters.begin(), characters.end()};
}
Tokens encode_characters(const Vocabulary& vocabulary, std::string_view text) {
  Tokens tokens;
  while (!text.empty()) {
    const auto next = text.substr(0, data::character_length(text));
    tokens.push_back(vocabulary.find(next));
    text.remove_prefix(next.size());
  }
  return tokens;
}

std::string lowered(std::string_view text, bool lower) {
  std::string result(text);
  for (char& c : result) {
    if (lower && c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return result;
}
std::vector<std::string> learn_words(std::string_view text, int64_t most, int64_t least,
                                     bool lower) {
  std::map<std::string, int64_t> counts;
  const std::string all = lowered(text, lower);
  for (const std::string_view word : data::words_of(all)) ++counts[std::string(word)];
  std::vector<std::pair<int64_t, std::string>> order;  // the most frequent first, then by letters
  for (const auto& [word, count] : counts) {
    if (count >= least) order.emplace_back(-count, word);
  }
  std::ranges::sort(order);
  order.resize(std::min(order.size(), static_cast<size_t>(most)));
  std::vector<std::string> words;
  for (auto& [count, word] : order) words.push_back(std::move(word));
  return words;
}
Tokens encode_words(const Vocabulary& vocabulary, std::string_view text, int64_t, int64_t,
                    bool lower) {
  Tokens tokens;
  const std::string all = lowered(text, lower);
  for (const std::string_view word : data::words_of(all)) tokens.push_back(vocabulary.find(word));
  return tokens;
}
std::string decode_words(const Vocabulary& vocabulary, std::span<const int32_t> tokens) {
  std::string text;
  bool joined = true;  // nothing goes between what came and what comes
  for (const int32_t token : tokens) {
    const std::string_view piece = vocabulary.piece(token);
    if (piece.empty()) continue;
    if (!joined && std::string_view(".,;:!?)]}").find(piece[0]) == std::string_view::npos)
      text += ' ';
    joined = std::string_view("([{").find(piece[0]) != std::string_view::npos;
    text += piece;
  }
  return text;
}

std::vector<std::string> learn_bpe(std::string_view text, int64_t size) {
  return data::learn_byte_pairs(text, size);
}
/// Joins, within a chunk, the neighbours that make the piece learned first, until none do.
Tokens join_pairs(const Vocabulary& vocabulary, std::string_view chunk) {
  std::vector<std::string_view> parts;
  Tokens tokens;
  for (size_t i = 0; i < chunk.size(); ++i) {
    parts.push_back(chunk.substr(i, 1));
    tokens.push_back(vocabulary.find(parts.back()));
  }
  const auto joined = [&](size_t i) {  // neighbours lie side by side in the chunk
    return std::string_view(parts[i].data(), parts[i].size() + parts[i + 1].size());
  };
  for (;;) {
    int32_t best = -1;
    size_t at = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const int32_t token = vocabulary.find(joined(i));
      if (token != Vocabulary::unknown && (best < 0 || token < best)) best = token, at = i;
    }
    if (best < 0) return tokens;
    parts[at] = joined(at);
    tokens[at] = best;
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}
Tokens encode_bpe(const Vocabulary& vocabulary, std::string_view text, int64_t) {
  std::unordered_map<std::string_view, Tokens> known;
  Tokens tokens;
  for (const std::string_view chunk : data::chunks_of(text)) {
    const auto [found, is_new] = known.try_emplace(chunk);
    if (is_new) found->second = join_pairs(vocabulary, chunk);
    tokens.insert(tokens.end(), found->second.begin(), found->second.end());
  }
  return tokens;
}

Registry<TokenizerRow> built_in_tokenizers() {
  Registry<TokenizerRow> registry("tokenizer");
  using Learn = detail::Bind<std::vector<std::string>, std::string_view>;
  using Encode = detail::Bind<Tokens, const Vocabulary&, std::string_view>;
  const auto add = [&](std::string name, std::string formula, std::string source, auto learn,
                       auto encode, std::string_view parameters = "") -> TokenizerRow {
    return {{std::move(name), std::move(formula), std::move(source), "",
             Learn::parameters(learn, parameters)},
            Learn::call(learn),
            Encode::call(encode)};
  };
  registry.add(add("bytes", "every byte", "", learn_bytes, encode_bytes));
  registry.add(add("characters", "every character (code point) of the text", "", learn_characters,
                   encode_characters));
  TokenizerRow words =
      add("words", "the most frequent words and marks", "", learn_words, encode_words,
          "most=20000 in [1,1000000], least=1 in [1,inf), lower=false");
  words.decode = decode_words;
  registry.add(std::move(words));
  registry.add(add("bpe", "bytes, and frequent neighbours as one",
                   "Sennrich+ 2015 (arXiv:1508.07909)", learn_bpe, encode_bpe,
                   "size=1000 in [258,1000000]"));
  return registry;
}

// ---- the text form: each piece on a line, as printable text

std::string escaped(std::string_view piece) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  while (!piece.empty()) {
    const size_t length = data::character_length(piece);
    const auto byte = static_cast<unsigned char>(piece[0]);
    if (length == 1 && (byte <= ' ' || byte >= 0x7F || byte == '\\')) {
      text += {'\\', digits[byte >> 4], digits[byte & 15]};
    } else {
      text += piece.substr(0, length);
    }
    piece.remove_prefix(length);
  }
  return text;
}

int hex_digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string unescaped(std::string_view line) {
  std::string piece;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\') {
      piece += line[i];
      continue;
    }
    const int high = i + 2 < line.size() ? hex_digit(line[i + 1]) : -1;
    const int low = i + 2 < line.size() ? hex_digit(line[i + 2]) : -1;
    if (high < 0 || low < 0) {
      throw ArgumentError(cat("the piece \"", excerpt(line),
                              "\" of a tokenizer has a \\ without two "
                              "hexadecimal digits behind it"));
    }
    piece += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return piece;
}

}  // namespace

Vocabulary::Vocabulary(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {
  for (size_t i = 0; i < pieces_.size(); ++i) {
    if (pieces_[i].empty()) throw ArgumentError("a piece of a vocabulary is empty");
    if (!tokens_.emplace(pieces_[i], static_cast<int32_t>(i) + 2).second) {
      throw ArgumentError(cat("the piece \"", escaped(pieces_[i]), "\" is twice in a vocabulary"));
    }
  }
}

std::string_view Vocabulary::piece(int64_t token) const {
  if (token < 0 || token >= size()) {
    throw ArgumentError(cat("there is no token ", token, "; the vocabulary has ", size()));
  }
  if (token == nothing) return "";
  return token == unknown ? "\xEF\xBF\xBD"
                          : std::string_view(pieces_[static_cast<size_t>(token - 2)]);
}

int32_t Vocabulary::find(std::string_view piece) const {
  const auto found = tokens_.find(std::string(piece));
  return found == tokens_.end() ? unknown : found->second;
}

Registry<TokenizerRow>& tokenizers() {
  static Registry<TokenizerRow> registry = built_in_tokenizers();
  return registry;
}

Tokenizer Tokenizer::learn(std::string_view kind, std::string_view text) {
  Named<TokenizerRow> named(tokenizers(), kind);
  auto pieces = named.row().learn(text, named.arguments());
  if (pieces.empty()) {
    throw ArgumentError(cat("the tokenizer \"", named.text(), "\" finds no ", named.name(),
                            " in a text of ", text.size(), " bytes; give it more text"));
  }
  return Tokenizer(std::move(named), std::move(pieces));
}

Tokenizer Tokenizer::parse(std::string_view saved) {
  const auto lines = split(saved, '\n');
  Named<TokenizerRow> named(tokenizers(), lines[0]);
  std::vector<std::string> pieces;
  for (size_t i = 1; i < lines.size(); ++i) pieces.push_back(unescaped(lines[i]));
  if (pieces.empty()) throw ArgumentError("a tokenizer has no pieces");
  return Tokenizer(std::move(named), std::move(pieces));
}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  return kind_.row().encode(*vocabulary_, text, kind_.arguments());
}

std::string Tokenizer::decode(std::span<const int32_t> tokens) const {
  if (kind_.row().decode) return kind_.row().decode(*vocabulary_, tokens);
  std::string text;
  for (const int32_t token : tokens) text += vocabulary_->piece(token);
  return text;
}

std::string Tokenizer::text() const {
  std::string text = kind_.text();
  for (const std::string& piece : vocabulary_->pieces()) text += cat('\n', escaped(piece));
  return text;
}

}  // namespace soma
