// Cutting a text: into characters, words, and the chunks within which byte pairs are joined.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace soma::data {

/// The length of the UTF-8 character at the start; 1 where there is none. `text` is not empty.
size_t character_length(std::string_view text);

/// Words with the apostrophes inside them, and every mark; blanks are left out.
std::vector<std::string_view> words_of(std::string_view text);

/// The whole text in chunks: words, numbers and marks, each with the blank before it, and other
/// blanks. None is longer than 128 bytes.
std::vector<std::string_view> chunks_of(std::string_view text);

/// Byte-pair encoding (Gage 1994; Sennrich+ 2015): the pieces of a vocabulary of at most `size`
/// tokens, all bytes first, then the pairs in the order in which they were the most frequent.
std::vector<std::string> learn_byte_pairs(std::string_view text, int64_t size);

}  // namespace soma::data
