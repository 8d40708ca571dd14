// A checker for the XML that drawings are made of: elements nest, attributes are quoted and unique,
// text is escaped.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace soma {

/// "" for well-formed XML, else what is wrong.
inline std::string xml_error(std::string_view text) {
  const auto is_name = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == ':' || c == '_';
  };
  std::vector<std::string> open;
  bool root_seen = false;
  size_t i = 0;
  const auto entity_at = [&](size_t at) {
    for (const std::string_view entity : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&#10;"}) {
      if (text.substr(at).starts_with(entity)) return true;
    }
    return false;
  };
  while (i < text.size()) {
    if (text[i] != '<') {
      if (text[i] == '&' && !entity_at(i)) return "a bare & at " + std::to_string(i);
      if (static_cast<unsigned char>(text[i]) < 32 && text[i] != '\n') return "a control character";
      if (open.empty() && !std::isspace(static_cast<unsigned char>(text[i]))) return "stray text";
      ++i;
      continue;
    }
    const bool closing = text[i + 1] == '/';
    size_t at = i + (closing ? 2 : 1);
    const size_t name_begin = at;
    while (at < text.size() && is_name(text[at])) ++at;
    const std::string name(text.substr(name_begin, at - name_begin));
    if (name.empty()) return "an element without a name";
    std::set<std::string> attributes;
    while (at < text.size() && text[at] == ' ') {
      const size_t begin = ++at;
      while (at < text.size() && is_name(text[at])) ++at;
      if (!attributes.insert(std::string(text.substr(begin, at - begin))).second) {
        return "an attribute occurs twice in " + name;
      }
      if (text.substr(at, 2) != "=\"") return "an attribute of " + name + " has no value";
      at += 2;
      while (at < text.size() && text[at] != '"') {
        if (text[at] == '<') return "a bare < in an attribute of " + name;
        if (text[at] == '&' && !entity_at(at)) return "a bare & in an attribute of " + name;
        ++at;
      }
      ++at;
    }
    const bool empty = text.substr(at, 2) == "/>";
    at += empty ? 2 : 1;
    if (text[at - 1] != '>') return "the element " + name + " does not end";
    if (closing) {
      if (open.empty() || open.back() != name) return "unexpected end of " + name;
      open.pop_back();
    } else if (!empty) {
      if (open.empty() && root_seen) return "two roots";
      root_seen = true;
      open.push_back(name);
    }
    i = at;
  }
  return open.empty() && root_seen ? "" : "an element is not closed";
}

}  // namespace soma
