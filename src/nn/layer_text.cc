// Layers as text and back. The grammar: layers are separated by commas or new lines; a layer is
// `kind argument… key=value…` or `kind(argument, key=value, …) key=value…`. A number alone is a
// dense layer, a shape in the first place the input, the name of an activation a step of its own.
#include "src/nn/layer_text.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma {

namespace {

constexpr size_t max_layers = 10'000;
constexpr int64_t max_repeats = 1 << 20;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

int64_t parse_index(std::string_view text, std::string_view what) {
  const auto value = parse_number<int64_t>(text);
  if (!value || *value < 0) {
    throw ArgumentError(cat("\"", text, "\" is no ", what, ": expected a whole number from 0 up"));
  }
  return *value;
}

/// "[relu tanh*3 elu(0.5)]" or one activation.
std::vector<Activation> parse_activations(std::string_view text) {
  if (text.empty() || text.front() != '[') return {Activation::parse(text)};
  std::vector<Activation> list;
  for (const std::string_view item : split_outside(text.substr(1, text.size() - 2), " \t,\n")) {
    const size_t star = item.find_last_of('*');
    const auto count = star == item.npos ? 1 : parse_number<int64_t>(item.substr(star + 1));
    if (!count || *count < 1 || *count > max_repeats) {
      throw ArgumentError(cat("\"", item, "\": after '*' comes how many neurons have the function"));
    }
    list.insert(list.end(), static_cast<size_t>(*count), Activation::parse(item.substr(0, star)));
  }
  if (list.empty()) throw ArgumentError("the list of activation functions is empty");
  return list;
}

std::string print_activations(const std::vector<Activation>& list) {
  if (list.size() == 1) return list[0].text();
  std::vector<std::string> items;
  for (size_t i = 0; i < list.size();) {
    size_t end = i;
    while (end < list.size() && list[end].text() == list[i].text()) ++end;
    const std::string repeats = end - i > 1 ? cat("*", end - i) : "";
    items.push_back(list[i].text() + repeats);
    i = end;
  }
  return cat("[", join(items, " "), "]");
}

Frozen parse_frozen(std::string_view text) {
  if (text == "all") return {true, {}};
  Frozen frozen;
  for (const std::string_view item : split(text, '+')) {
    frozen.neurons.push_back(parse_index(item, "neuron"));
  }
  std::ranges::sort(frozen.neurons);
  const auto doubled = std::ranges::unique(frozen.neurons);
  frozen.neurons.erase(doubled.begin(), doubled.end());
  return frozen;
}

/// `kind(a, b) c=d` → kind, {a, b, c=d}.
struct Item {
  std::string_view kind;
  std::vector<std::string_view> arguments;
};

bool knows_kind(std::string_view name) {
  return std::ranges::any_of(layer_kinds(), [&](auto* kind) { return kind->name == name; });
}

Item read_item(std::string_view text, bool first) {
  const auto tokens = split_outside(text, " \t");
  const std::string_view head = tokens[0];
  const size_t open = head.find('(');
  Item item;
  if (knows_kind(head.substr(0, open))) {
    item.kind = head.substr(0, open);
    if (open != head.npos) {
      item.arguments = split_outside(head.substr(open + 1, head.size() - open - 2), " \t,\n");
    }
    item.arguments.insert(item.arguments.end(), tokens.begin() + 1, tokens.end());
    return item;
  }
  const bool shape = first && is_digit(head[0]) && head.find('x') != head.npos;
  item.kind = shape                                ? "input"
              : is_digit(head[0]) || head[0] == '[' ? "dense"
                                                    : "activation";
  item.arguments = tokens;
  return item;
}

/// The names an unknown word could have been meant as.
std::vector<std::string> known_words() {
  std::vector<std::string> words;
  for (const LayerKind* kind : layer_kinds()) words.push_back(kind->name);
  for (const std::string_view name : activation_names()) words.emplace_back(name);
  return words;
}

Layer parse_layer(std::string_view text, bool first, Where where) {
  const Item item = read_item(text, first);
  const LayerKind& kind = layer_kind(item.kind);
  LayerArgs args;
  std::string name;
  std::vector<std::string> sources;
  Frozen frozen;
  // A list of activations stands for as many neurons.
  const bool counted = item.kind != "dense" || item.arguments.empty() ||
                       item.arguments[0].front() != '[';
  std::vector<const LayerField*> positional;
  for (const LayerField& field : kind.fields) {
    if (field.positional && (counted || field.name != "units")) positional.push_back(&field);
  }
  size_t next = 0;
  const auto put = [&](const LayerField& field, std::string_view value) {
    if (!args.emplace(field.name, parse_arg(field, value)).second) {
      throw ArgumentError(cat("\"", field.name, "\" is given twice"));
    }
  };
  for (const std::string_view argument : item.arguments) {
    const size_t equals = argument.find('=');
    const bool named = equals != argument.npos && equals < argument.find_first_of("([");
    if (!named) {
      if (next == positional.size()) {
        throw ArgumentError(cat("does not know what to do with \"", argument, "\""));
      }
      put(*positional[next++], argument);
      continue;
    }
    const std::string_view key = argument.substr(0, equals), value = argument.substr(equals + 1);
    if (key == "name") {
      name = value;
    } else if (key == "from") {
      for (const std::string_view source : split(value, '+')) sources.emplace_back(source);
    } else if (key == "frozen") {
      frozen = parse_frozen(value);
    } else {
      const auto field = std::ranges::find(kind.fields, key, &LayerField::name);
      if (field == kind.fields.end()) {
        std::vector<std::string> keys{"name", "from", "frozen"};
        for (const LayerField& known : kind.fields) keys.push_back(known.name);
        throw ArgumentError(cat("a layer of kind \"", kind.name, "\" has no argument \"", key, "\"",
                                did_you_mean(key, keys), "; it takes ", join(keys, ", ")));
      }
      put(*field, value);
    }
  }
  if (!counted) {
    const auto& list = std::get<std::vector<Activation>>(args.at("activation"));
    args.emplace("units", static_cast<int64_t>(list.size()));
  }
  Layer layer(kind.name, std::move(args), where);
  if (!name.empty()) layer = layer.named(std::move(name));
  return layer.from(std::move(sources)).with_frozen(std::move(frozen));
}

}  // namespace

std::vector<std::string_view> split_outside(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  std::string closing;  // the brackets that are open, innermost last
  size_t begin = 0;
  const auto cut = [&](size_t end) {
    const std::string_view part = trim(text.substr(begin, end - begin));
    if (!part.empty()) parts.push_back(part);
    begin = end + 1;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '(' || c == '[') closing += c == '(' ? ')' : ']';
    if (c == ')' || c == ']') {
      if (closing.empty() || closing.back() != c) {
        throw ArgumentError(cat("\"", text, "\": the bracket '", c, "' closes nothing"));
      }
      closing.pop_back();
    }
    if (closing.empty() && separators.find(c) != separators.npos) cut(i);
  }
  if (!closing.empty()) throw ArgumentError(cat("\"", text, "\": '", closing.back(), "' is missing"));
  cut(text.size());
  return parts;
}

Shape parse_shape(std::string_view text) {
  Shape shape;
  for (const std::string_view part : split(text, 'x')) {
    const auto extent = parse_number<int64_t>(trim(part));
    if (!extent || *extent < 1) {
      throw ArgumentError(cat("\"", text, "\" is no shape: expected extents like 28x28"));
    }
    if (shape.size() == Shape::max_size) {
      throw ArgumentError(cat("\"", text, "\" has more than ", Shape::max_size, " axes"));
    }
    shape.push_back(*extent);
  }
  return shape;
}

std::string print_shape(const Shape& shape) { return join(shape, "x"); }

LayerArg parse_arg(const LayerField& field, std::string_view text) {
  const auto expected = [&](std::string_view what) {
    return ArgumentError(cat("\"", field.name, "\" is ", what, ", found \"", text, "\""));
  };
  switch (field.type) {
    case LayerField::Type::flag:
      if (text == "yes" || text == "true") return true;
      if (text == "no" || text == "false") return false;
      throw expected("yes or no");
    case LayerField::Type::integer:
      if (const auto value = parse_number<int64_t>(text)) return *value;
      throw expected("a whole number");
    case LayerField::Type::number:
      if (const auto value = parse_number<double>(text)) return *value;
      throw expected("a number");
    case LayerField::Type::text: return std::string(text);
    case LayerField::Type::shape: return parse_shape(text);
    case LayerField::Type::activations: return parse_activations(text);
  }
  throw expected("of an unknown type");
}

std::string print_arg(const LayerArg& arg) {
  struct Printer {
    std::string operator()(bool value) const { return value ? "yes" : "no"; }
    std::string operator()(int64_t value) const { return std::to_string(value); }
    std::string operator()(double value) const { return number(value); }
    std::string operator()(const std::string& value) const { return value; }
    std::string operator()(const Shape& value) const { return print_shape(value); }
    std::string operator()(const std::vector<Activation>& value) const {
      return print_activations(value);
    }
  };
  return std::visit(Printer{}, arg);
}

LayerArg fallback_of(const LayerKind& kind, const LayerField& field) {
  if (field.fallback.empty()) {
    throw ArgumentError(cat("a layer of kind \"", kind.name, "\" needs \"", field.name, "\": ",
                            field.description));
  }
  return parse_arg(field, field.fallback);
}

std::string Layer::text() const {
  const LayerKind& kind = layer_kind(kind_);
  // A dense layer is written by its number of neurons alone.
  std::vector<std::string> words;
  if (kind_ != "dense") words.push_back(kind_);
  bool in_order = true;  // positional arguments can be left out only from the end
  for (const LayerField& field : kind.fields) {
    const std::string value = print_arg(args_.at(field.name));
    const bool needed = value != field.fallback;
    if (field.positional && in_order && needed) {
      words.push_back(value);
    } else if (needed) {
      words.push_back(cat(field.name, "=", value));
    } else {
      in_order = false;
    }
  }
  if (!name_.empty()) words.push_back(cat("name=", name_));
  if (!sources_.empty()) words.push_back(cat("from=", join(sources_, "+")));
  if (frozen_.any()) {
    words.push_back(cat("frozen=", frozen_.all ? "all" : join(frozen_.neurons, "+")));
  }
  return join(words, " ");
}

std::vector<Layer> parse_layers(std::string_view text, Where where) {
  const auto items = split_outside(text, ",\n");
  if (items.empty()) throw ArgumentError("the text of the network is empty; write, for example, "
                                         "\"128 relu, 10\"");
  if (items.size() > max_layers) {
    throw ArgumentError(cat("the text of the network has ", items.size(), " layers; at most ",
                            max_layers, " are read"));
  }
  std::vector<Layer> layers;
  for (const std::string_view item : items) {
    try {
      layers.push_back(parse_layer(item, layers.empty(), where));
    } catch (const ArgumentError& error) {
      const std::string_view word = item.substr(0, item.find_first_of(" \t(["));
      const auto words = known_words();
      const bool known = std::ranges::find(words, word) != words.end() || is_digit(item[0]);
      throw ArgumentError(cat("layer ", layers.size() + 1, " of the text, \"", item, "\": ",
                              error.what(), known ? "" : did_you_mean(word, words)));
    }
  }
  return layers;
}

}  // namespace soma
