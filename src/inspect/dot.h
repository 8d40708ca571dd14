// The DOT language of Graphviz.
#pragma once

#include <string>
#include <string_view>

namespace soma {

/// A quoted DOT string; new lines become line breaks of a label.
inline std::string quote_dot(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    c == '\n' ? result += "\\n" : result += c;
  }
  return result + '"';
}

}  // namespace soma
