// Texts as tokens: tokenizers that learn their vocabulary from a text, and data sets of tokens.
//
//   const Tokenizer tokenizer = Tokenizer::learn("bpe(size=1000)", text);
//   const Dataset train = data::next_tokens(tokenizer.encode(text), 64);
//   Network net = Network::parse("input 64, embedding 1000 32 name=e, decoder 4 positions=rotary, "
//                                "layer_norm, unembedding 1000 share=e");
//
// A text is any bytes; where characters matter it is read as UTF-8, and bytes that are none are
// characters of their own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "soma/data.h"
#include "soma/named.h"
#include "soma/tensor.h"

namespace soma {

/// The pieces of text that tokens stand for, by number. Two tokens stand for none: `nothing` fills
/// up short texts and begins a text, `unknown` is what the vocabulary lacks.
class Vocabulary {
 public:
  static constexpr int32_t nothing = 0, unknown = 1;

  /// The first piece is token 2. Throws ArgumentError for pieces that are empty or occur twice.
  explicit Vocabulary(std::vector<std::string> pieces);
  /// Tokens, with the two that are no pieces.
  int64_t size() const { return static_cast<int64_t>(pieces_.size()) + 2; }
  const std::vector<std::string>& pieces() const { return pieces_; }
  /// "" for nothing, U+FFFD for unknown. Throws ArgumentError for a token that does not exist.
  std::string_view piece(int64_t token) const;
  /// `unknown` where no piece is equal.
  int32_t find(std::string_view piece) const;

 private:
  std::vector<std::string> pieces_;
  std::unordered_map<std::string, int32_t> tokens_;
};

/// One kind of tokenizer.
struct TokenizerRow : Row {
  using Arguments = std::span<const std::string>;
  /// The pieces that are learned from a text.
  std::function<std::vector<std::string>(std::string_view text, Arguments)> learn;
  std::function<std::vector<int32_t>(const Vocabulary&, std::string_view text, Arguments)> encode;
  /// Empty: the pieces one behind the other.
  std::function<std::string(const Vocabulary&, std::span<const int32_t>)> decode = {};
};
/// bytes, characters, words(most=20000 least=1 lower=false) and bpe(size=1000).
Registry<TokenizerRow>& tokenizers();

/// Makes tokens of text and text of tokens. Copies share their vocabulary.
class Tokenizer {
 public:
  /// Of a kind in its text form, with the vocabulary of that text. The same text gives the same
  /// vocabulary. Throws ArgumentError for an unknown kind, or when the text has nothing to learn.
  static Tokenizer learn(std::string_view kind, std::string_view text);
  /// From what text() gave. Throws ArgumentError for anything else.
  static Tokenizer parse(std::string_view saved);

  std::vector<int32_t> encode(std::string_view text) const;
  /// bytes, characters and bpe give back what was encoded, byte for byte, but for what is unknown.
  std::string decode(std::span<const int32_t> tokens) const;
  /// The number of tokens: rows of an embedding, neurons of the last layer.
  int64_t size() const { return vocabulary_->size(); }
  const Vocabulary& vocabulary() const { return *vocabulary_; }
  const Named<TokenizerRow>& kind() const { return kind_; }
  /// The kind and every piece, as printable text: for the notes of a model.
  std::string text() const;

 private:
  Tokenizer(Named<TokenizerRow> kind, std::vector<std::string> pieces)
      : kind_(std::move(kind)), vocabulary_(std::make_shared<Vocabulary>(std::move(pieces))) {}

  Named<TokenizerRow> kind_;
  std::shared_ptr<const Vocabulary> vocabulary_;
};

namespace data {

/// Pieces of `context` tokens, one per row, each beginning `stride` (0: context) after the one
/// before; the target of a token is the one after it. Throws ArgumentError for fewer than context +
/// 1 tokens.
Dataset next_tokens(std::span<const int32_t> tokens, int64_t context, int64_t stride = 0);

/// Texts to be told apart.
struct LabelledTexts {
  std::vector<std::string> texts;
  std::vector<int32_t> labels;
  std::vector<std::string> class_names;
};
/// A folder of one folder for each class, named like it, with a text in each file. With
/// `class_names`, labels follow them and other classes are refused. Throws FileError.
LabelledTexts load_text_folder(const std::string& folder,
                               const std::vector<std::string>& class_names = {});
/// Two columns of a CSV or TSV file. Named by their numbers from 0, the file has no header line;
/// else its first line holds the names. Throws FileError, naming file and line, and ArgumentError
/// for columns that do not exist.
LabelledTexts load_text_table(const std::string& path, const std::string& text_column,
                              const std::string& label_column,
                              const std::vector<std::string>& class_names = {});

/// The first `length` tokens of each text, i32 [n, length], filled up with Vocabulary::nothing. A
/// text without tokens is one unknown token.
Tensor padded_tokens(const Tokenizer& tokenizer, std::span<const std::string> texts,
                     int64_t length);
/// The same with labels; 0 takes the length that 19 of 20 texts do not exceed, at most 256.
Dataset text_classes(const Tokenizer& tokenizer, const LabelledTexts& labelled, int64_t length = 0);

}  // namespace data
}  // namespace soma
