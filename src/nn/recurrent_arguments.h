// Words that arguments of recurrent layers are read from.
#pragma once

#include "soma/named.h"
#include "soma/recurrent.h"

namespace soma {

/// What a recurrent layer hands on.
enum class Returns : uint8_t { last, all };

template <>
struct Reader<Returns> {
  static Returns read(std::string_view text);
};
template <>
struct Reader<Reset> {
  static Reset read(std::string_view text);
};
template <>
struct Reader<Padded> {
  static Padded read(std::string_view text);
};
template <>
struct Reader<Join> {
  static Join read(std::string_view text);
};

}  // namespace soma
