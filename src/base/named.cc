// The text form of named things: taking "name(x y=z)" apart, matching it to a row's parameters.
#include "soma/named.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma {

Argument::Argument(double value) : text_(number(value)) {}
Argument::Argument(const std::vector<double>& list)
    : text_(Reader<std::vector<double>>::write(list)) {}

double Reader<double>::read(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || std::isnan(value)) {
    throw ArgumentError("a number");
  }
  return value;
}

std::string Reader<double>::write(double value) { return number(value); }

int64_t Reader<int64_t>::read(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw ArgumentError("a whole number");
  }
  return value;
}

bool Reader<bool>::read(std::string_view text) {
  if (text != "true" && text != "false") throw ArgumentError("true or false");
  return text == "true";
}

std::vector<double> Reader<std::vector<double>>::read(std::string_view text) {
  if (!text.starts_with('[') || !text.ends_with(']')) {
    throw ArgumentError("a list of numbers like [1 2 3]");
  }
  std::vector<double> list;
  std::string words(text.substr(1, text.size() - 2));
  std::ranges::replace(words, ',', ' ');
  for (const std::string_view word : split(words, ' ')) {
    if (!word.empty()) list.push_back(Reader<double>::read(word));
  }
  return list;
}

std::string Reader<std::vector<double>>::write(const std::vector<double>& list) {
  std::vector<std::string> words;
  for (const double value : list) words.push_back(number(value));
  return cat("[", join(words, " "), "]");
}

std::string example_text(const Row& row) {
  std::vector<std::string> given;
  for (const Parameter& parameter : row.parameters) {
    if (parameter.initial.empty()) given.push_back(cat(parameter.name, "=1"));
  }
  return given.empty() ? row.name : cat(row.name, "(", join(given, " "), ")");
}

namespace detail {

namespace {

bool is_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
}

std::string signature(const Row& row) {
  if (row.parameters.empty()) return "it takes no parameters";
  std::vector<std::string> words;
  for (const Parameter& p : row.parameters) {
    words.push_back(p.initial.empty() ? p.name : cat(p.name, "=", p.initial));
  }
  return cat("its parameters are (", join(words, " "), ")");
}

bool in_range(double value, std::string_view range) {
  const auto ends = split(range.substr(1, range.size() - 2), ',');
  const double low = Reader<double>::read(ends[0]), high = Reader<double>::read(ends[1]);
  return (range.front() == '[' ? value >= low : value > low) &&
         (range.back() == ']' ? value <= high : value < high);
}

// The canonical text of an argument of the right type and range.
std::string checked(std::string_view kind, const Row& row, const Parameter& p,
                    std::string_view given) {
  std::string text;
  try {
    text = p.canonical(given);
  } catch (const ArgumentError& wanted) {
    throw ArgumentError(cat("the ", kind, " \"", row.name, "\" needs ", wanted.what(), " for ",
                            p.name, ", found \"", given, "\""));
  }
  const bool is_number = p.canonical == canonical<double> || p.canonical == canonical<int64_t>;
  if (is_number && !p.range.empty() && !in_range(Reader<double>::read(text), p.range)) {
    throw ArgumentError(
        cat("the ", kind, " \"", row.name, "\" needs ", p.name, " in ", p.range, ", found ", text));
  }
  return text;
}

std::vector<std::string> complete(std::string_view kind, const Row& row,
                                  std::span<const std::string> given) {
  std::vector<std::string> result;
  for (size_t i = 0; i < row.parameters.size(); ++i) {
    const Parameter& p = row.parameters[i];
    const std::string& text = i < given.size() && !given[i].empty() ? given[i] : p.initial;
    if (text.empty()) {
      throw ArgumentError(cat("the ", kind, " \"", row.name, "\" needs a value for ", p.name, "; ",
                              signature(row)));
    }
    result.push_back(checked(kind, row, p, text));
  }
  return result;
}

// Without the spaces around "=".
std::string close_equals(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '=') result.resize(result.find_last_not_of(' ') + 1);
    if (c != ' ' || result.empty() || result.back() != '=') result += c;
  }
  return result;
}

[[noreturn]] void too_many(std::string_view kind, const Row& row) {
  throw ArgumentError(
      cat("too many arguments for the ", kind, " \"", row.name, "\": ", signature(row)));
}

}  // namespace

std::vector<std::string_view> split_outside(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || (text[i] == separator && depth == 0)) {
      parts.push_back(trim(text.substr(begin, i - begin)));
      begin = i + 1;
    } else if (text[i] == '(' || text[i] == '[') {
      ++depth;
    } else if (text[i] == ')' || text[i] == ']') {
      --depth;
    }
  }
  return parts;
}

CallText parse_call(std::string_view kind, std::string_view whole) {
  const std::string_view text = trim(whole);
  const size_t open = text.find('(');
  CallText call{std::string(trim(text.substr(0, open))), {}};
  const bool closed =
      open == std::string_view::npos ||
      (text.back() == ')' && std::ranges::count(text, '(') == std::ranges::count(text, ')'));
  if (!is_name(call.name) || !closed) {
    throw ArgumentError(cat("cannot read the ", kind, " \"", whole,
                            "\"; write a name, or a name and arguments like name(x=1 y=2)"));
  }
  if (open == std::string_view::npos) return call;
  std::string inside = close_equals(text.substr(open + 1, text.size() - open - 2));
  int depth = 0;
  for (char& c : inside) {  // a comma outside inner brackets separates like a space
    depth += (c == '(' || c == '[') - (c == ')' || c == ']');
    if (depth > 16) throw ArgumentError(cat("the ", kind, " text is nested too deeply"));
    if (depth == 0 && c == ',') c = ' ';
  }
  for (const std::string_view word : split_outside(inside, ' ')) {
    if (word.empty()) continue;
    const size_t equals = word.substr(0, word.find_first_of("([")).find('=');
    if (equals == std::string_view::npos) {
      call.items.push_back({"", std::string(word)});
    } else {
      call.items.push_back(
          {std::string(word.substr(0, equals)), std::string(word.substr(equals + 1))});
    }
  }
  return call;
}

std::vector<Parameter> parse_parameters(std::string_view specification,
                                        std::span<std::string (*const)(std::string_view)> types) {
  std::vector<Parameter> parameters;
  while (!specification.empty()) {
    const size_t comma = specification.find(", ");
    std::string_view part = specification.substr(0, comma);
    specification.remove_prefix(comma == std::string_view::npos ? part.size() : comma + 2);
    Parameter p;
    if (const size_t in = part.find(" in "); in != std::string_view::npos) {
      p.range = part.substr(in + 4);
      part = part.substr(0, in);
    }
    const size_t equals = part.find('=');
    p.name = part.substr(0, equals);
    if (equals != std::string_view::npos) p.initial = part.substr(equals + 1);
    if (parameters.size() < types.size()) p.canonical = types[parameters.size()];
    parameters.push_back(std::move(p));
  }
  if (parameters.size() != types.size()) {
    throw ArgumentError(cat("a registry row names ", parameters.size(), " parameters, but its ",
                            "function takes ", types.size()));
  }
  return parameters;
}

std::vector<std::string> resolve(std::string_view kind, const Row& row, const CallText& call) {
  std::vector<std::string> given(row.parameters.size());
  std::vector<std::string> names;
  for (const Parameter& p : row.parameters) names.push_back(p.name);
  size_t position = 0;
  for (const auto& [key, value] : call.items) {
    size_t at = position++;
    if (!key.empty()) {
      at = static_cast<size_t>(std::ranges::find(names, key) - names.begin());
      if (at == names.size()) {
        throw ArgumentError(cat("the ", kind, " \"", row.name, "\" has no parameter \"", key, "\"",
                                did_you_mean(key, names), "; ", signature(row)));
      }
    }
    if (at >= given.size()) too_many(kind, row);
    if (!given[at].empty()) {
      throw ArgumentError(cat("the ", kind, " \"", row.name, "\" is given ", names[at], " twice"));
    }
    if (value.empty()) {
      throw ArgumentError(
          cat("the ", kind, " \"", row.name, "\" has nothing after \"", key, "=\""));
    }
    given[at] = value;
  }
  return complete(kind, row, given);
}

std::vector<std::string> resolve(std::string_view kind, const Row& row,
                                 std::span<const Argument> arguments) {
  std::vector<std::string> given;
  for (const Argument& argument : arguments) given.push_back(argument.text());
  while (!given.empty() && given.back().empty()) given.pop_back();
  if (given.size() > row.parameters.size()) too_many(kind, row);
  return complete(kind, row, given);
}

std::string call_text(const Row& row, std::span<const std::string> arguments) {
  std::vector<std::string> words;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Parameter& p = row.parameters[i];
    const bool is_default = !p.initial.empty() && arguments[i] == p.canonical(p.initial);
    if (!is_default) words.push_back(cat(p.name, "=", arguments[i]));
  }
  return words.empty() ? row.name : cat(row.name, "(", join(words, " "), ")");
}

void no_such_row(std::string_view kind, std::string_view name,
                 const std::vector<std::string>& names) {
  throw ArgumentError(
      cat("there is no ", kind, " named \"", name, "\"", did_you_mean(name, names)));
}

}  // namespace detail
}  // namespace soma
