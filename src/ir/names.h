// The words that print() writes and parse() reads for the enumerations in attributes.
#pragma once

#include <array>
#include <string_view>

#include "soma/graph.h"

namespace soma {

template <class E>
struct Names;  // one list per enumeration, in its order
template <>
struct Names<InputKind> {
  static constexpr std::array<std::string_view, 3> list{"data", "parameter", "state"};
};
template <>
struct Names<Reduction> {
  static constexpr std::array<std::string_view, 2> list{"sum", "max"};
};
template <>
struct Names<ConvRole> {
  static constexpr std::array<std::string_view, 3> list{"y", "dx", "dw"};
};
/// Fields that are left out of the text when they are false or empty.
template <class T>
constexpr bool may_be_left_out = std::is_same_v<T, bool> || std::is_same_v<T, std::string>;

/// Results of a call or scan have types of their own, and a leaf's attribute says its type: only
/// the other nodes are printed with one.
inline bool shows_type(const Node& node) {
  return !node.in.empty() && node.op != Op::call && node.op != Op::scan;
}

}  // namespace soma
