// Layer: a checked description. Its arguments from and to text, and the registry's documentation.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <utility>

#include "soma/error.h"
#include "soma/layers.h"
#include "src/base/text.h"
#include "src/ir/message.h"
#include "src/nn/structure.h"

namespace soma {

namespace {

constexpr int64_t max_repeats = 1 << 20;

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_name(std::string_view name) {
  const auto ok = [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-' || c == '.';
  };
  return !name.empty() && !std::isdigit(static_cast<unsigned char>(name[0])) &&
         std::ranges::all_of(name, ok);
}

/// "[relu tanh*3]"
Activations read_list(std::string_view text) {
  if (text.back() != ']') throw ArgumentError("']' is missing");
  std::string inside(text.substr(1, text.size() - 2));
  std::ranges::replace(inside, ',', ' ');
  Activations result;
  for (const std::string_view item : detail::split_outside(inside, ' ')) {
    if (item.empty()) continue;
    const size_t star = item.find_last_of('*');
    const auto count = star == item.npos ? 1 : whole_number(item.substr(star + 1));
    if (!count || *count < 1 || *count > max_repeats) {
      throw ArgumentError("after '*' comes how many neurons have the function");
    }
    result.list.insert(result.list.end(), static_cast<size_t>(*count),
                       activation_named(item.substr(0, star)));
  }
  if (result.list.empty()) throw ArgumentError("the list is empty");
  return result;
}

/// Runs `make`, and adds the place of the description to what it throws.
template <class F>
auto at_place(Where where, F&& make) {
  try {
    return make();
  } catch (const ArgumentError& error) {
    throw ArgumentError(cat(error.what(), suffix(where)));
  }
}

}  // namespace

// ---- arguments

Shape Reader<Shape>::read(std::string_view text) {
  Shape shape;
  for (const std::string_view part : split(text, 'x')) {
    const auto extent = whole_number(trim(part));
    if (!extent || *extent < 1) throw ArgumentError("a shape like 28x28");
    if (shape.size() == Shape::max_size) {
      throw ArgumentError(cat("a shape of at most ", Shape::max_size, " axes"));
    }
    shape.push_back(*extent);
  }
  return shape;
}

Extents Reader<Extents>::read(std::string_view text) {
  Extents extents;
  for (const std::string_view part : split(text, 'x')) {
    const auto extent = whole_number(trim(part));
    if (!extent) throw ArgumentError("a whole number, or one for each axis like 3x5");
    extents.list.push_back(*extent);
  }
  return extents;
}

Dims Extents::over(int axes) const {
  if (list.size() == 1) return Dims::filled(axes, list[0]);
  if (static_cast<int>(list.size()) == axes) return Dims(std::span(list));
  throw ArgumentError(cat("\"", join(list, "x"), "\" has ", list.size(), " numbers for ", axes,
                          axes == 1 ? " axis" : " axes", "; give one for all or one for each"));
}

Activations Reader<Activations>::read(std::string_view text) {
  try {
    return text.starts_with('[') ? read_list(text) : Activations{{activation_named(text)}};
  } catch (const ArgumentError& error) {
    throw ArgumentError(cat("an activation function or a list of them (", error.what(), ")"));
  }
}

Start Reader<Start>::read(std::string_view text) {
  try {
    if (text != "auto") check_initializer(text);
  } catch (const ArgumentError& error) {
    throw ArgumentError(cat("an initializer (", error.what(), ")"));
  }
  return {std::string(text)};
}

std::string Activations::text() const {
  if (!per_neuron()) return list[0].text();
  std::vector<std::string> items;
  for (size_t i = 0; i < list.size();) {
    size_t end = i;
    while (end < list.size() && list[end] == list[i]) ++end;
    items.push_back(end - i > 1 ? cat(list[i].text(), "*", end - i) : list[i].text());
    i = end;
  }
  return cat("[", join(items, " "), "]");
}

bool Frozen::contains(int64_t neuron) const {
  return all || std::ranges::binary_search(neurons, neuron);
}

int64_t read_neuron(std::string_view text) {
  const auto neuron = whole_number(text);
  if (!neuron || *neuron < 0) {
    throw ArgumentError(cat("\"", text, "\" is no neuron: expected a whole number from 0 up"));
  }
  return *neuron;
}

// ---- Layer

LayerArgument::LayerArgument(std::initializer_list<int> extents)
    : Argument(join(std::vector<int>(extents), "x")) {}
LayerArgument::LayerArgument(std::initializer_list<Layer> layers)
    : Argument(Reader<Layers>::write({layers})) {}
LayerArgument::LayerArgument(const Layer& layer) : Argument(Reader<Layers>::write({{layer}})) {}

Layer::Layer(std::string_view kind, std::initializer_list<Argument> arguments, Where where)
    : Layer(at_place(where, [&] { return Named(layer_kinds(), kind, arguments); }), where) {}

Layer Layer::parse(std::string_view call, Where where) {
  return Layer(at_place(where, [&] { return Named(layer_kinds(), call); }), where);
}

Layer Layer::named(std::string name) const {
  if (!name.empty() && (!is_name(name) || name == "input")) {
    throw ArgumentError(cat("\"", name, "\" is no name for a layer: use letters, digits, '_', '-' ",
                            "and '.', a digit not in front; \"input\" is the data",
                            suffix(where_)));
  }
  Layer result = *this;
  result.name_ = std::move(name);
  return result;
}

Layer Layer::from(std::vector<std::string> layers) const {
  Layer result = *this;
  result.sources_ = std::move(layers);
  return result;
}

Layer Layer::with_frozen(Frozen frozen) const {
  Layer result = *this;
  result.frozen_ = std::move(frozen);
  return result;
}

Layer Layer::with_pruned(bool pruned) const {
  Layer result = *this;
  result.pruned_ = pruned;
  return result;
}

Layer Layer::placed(Where where) const {
  Layer result = *this;
  result.where_ = where;
  return result;
}

Layer Layer::sharing(std::string layer) const {
  Layer result = *this;
  result.shared_with_ = std::move(layer);
  return result;
}

Layer Layer::with(std::string_view parameter, const LayerArgument& argument) const {
  (void)this->argument(parameter);  // throws when there is no such parameter
  std::vector<std::string> items;
  for (size_t i = 0; i < arguments().size(); ++i) {
    const std::string& name = row().parameters[i].name;
    items.push_back(cat(name, "=", name == parameter ? argument.text() : arguments()[i]));
  }
  Layer result = parse(cat(kind(), "(", join(items, " "), ")"), where_);
  result.name_ = name_;
  result.sources_ = sources_;
  result.frozen_ = frozen_;
  result.shared_with_ = shared_with_;
  result.pruned_ = pruned_;
  return result;
}

bool Layer::has_argument(std::string_view parameter) const {
  return std::ranges::find(row().parameters, parameter, &Parameter::name) != row().parameters.end();
}

const std::string& Layer::argument(std::string_view parameter) const {
  const auto found = std::ranges::find(row().parameters, parameter, &Parameter::name);
  if (found == row().parameters.end()) {
    throw ArgumentError(
        cat("a layer of kind \"", kind(), "\" has no parameter \"", parameter, "\""));
  }
  return arguments()[static_cast<size_t>(found - row().parameters.begin())];
}

// ---- documentation

std::string layer_documentation() {
  std::string text =
      "| layer | what it does | parameters | source | note |\n|---|---|---|---|---|\n";
  for (const LayerRow& row : layer_kinds()) {
    std::vector<std::string> parameters;
    for (const Parameter& parameter : row.parameters) {
      parameters.push_back(parameter.initial.empty()
                               ? cat("`", parameter.name, "` (required)")
                               : cat("`", parameter.name, "=", parameter.initial, "`"));
    }
    text += cat("| `", row.name, "` | ", row.formula, " | ", join(parameters, ", "), " | ",
                row.source, " | ", row.note, " |\n");
  }
  return text;
}

}  // namespace soma
