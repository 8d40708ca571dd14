// Arguments that are one of a few words.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma {

template <class E>
struct Word {
  const char* text;
  E value;
};

/// The value of that word; throws ArgumentError that lists them.
template <class E>
E read_word(std::span<const Word<E>> words, std::string_view text) {
  std::string list;
  for (size_t i = 0; i < words.size(); ++i) {
    if (text == words[i].text) return words[i].value;
    list += cat(i == 0 ? "" : i + 1 == words.size() ? " or " : ", ", words[i].text);
  }
  throw ArgumentError(list);
}

/// The first word with that value.
template <class E>
std::string write_word(std::span<const Word<E>> words, E value) {
  for (const auto& word : words) {
    if (word.value == value) return word.text;
  }
  return "";
}

/// Defines Reader<E> over a table of words.
#define SOMA_WORDS(E, ...)                                            \
  static constexpr Word<E> words_of_##E[] = {__VA_ARGS__};            \
  E Reader<E>::read(std::string_view text) {                          \
    return read_word(std::span<const Word<E>>(words_of_##E), text);   \
  }                                                                   \
  std::string Reader<E>::write(E value) {                             \
    return write_word(std::span<const Word<E>>(words_of_##E), value); \
  }

}  // namespace soma
