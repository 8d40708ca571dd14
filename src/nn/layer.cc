// Layer: a checked description. The registry of layer kinds, and its documentation.
#include <algorithm>
#include <cctype>
#include <deque>
#include <utility>

#include "soma/error.h"
#include "soma/layers.h"
#include "src/base/text.h"
#include "src/ir/message.h"
#include "src/nn/layer_kinds.h"
#include "src/nn/layer_text.h"

namespace soma {

namespace {

/// The rows that come with Soma, then those that programs add. A deque: rows keep their addresses.
std::deque<LayerKind>& registry() {
  static std::deque<LayerKind> kinds = built_in_layer_kinds();
  return kinds;
}

bool holds(const LayerField& field, const LayerArg& arg) {
  switch (field.type) {
    case LayerField::Type::flag: return std::holds_alternative<bool>(arg);
    case LayerField::Type::integer: return std::holds_alternative<int64_t>(arg);
    case LayerField::Type::number: return std::holds_alternative<double>(arg);
    case LayerField::Type::text: return std::holds_alternative<std::string>(arg);
    case LayerField::Type::shape: return std::holds_alternative<Shape>(arg);
    case LayerField::Type::activations:
      return std::holds_alternative<std::vector<Activation>>(arg);
  }
  return false;
}

bool is_name(std::string_view name) {
  const auto ok = [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-' || c == '.';
  };
  return !name.empty() && !std::isdigit(static_cast<unsigned char>(name[0])) &&
         std::ranges::all_of(name, ok);
}

std::string_view name_of_type(LayerField::Type type) {
  switch (type) {
    case LayerField::Type::flag: return "yes or no";
    case LayerField::Type::integer: return "whole number";
    case LayerField::Type::number: return "number";
    case LayerField::Type::text: return "text";
    case LayerField::Type::shape: return "shape (28x28)";
    case LayerField::Type::activations: return "activation, or a list with one per neuron";
  }
  return "";
}

}  // namespace

// ---- the registry

std::vector<const LayerKind*> layer_kinds() {
  std::vector<const LayerKind*> kinds;
  for (const LayerKind& kind : registry()) kinds.push_back(&kind);
  return kinds;
}

const LayerKind& layer_kind(std::string_view name) {
  std::vector<std::string> names;
  for (const LayerKind& kind : registry()) {
    if (kind.name == name) return kind;
    names.push_back(kind.name);
  }
  throw ArgumentError(cat("there is no layer of kind \"", name, "\"", did_you_mean(name, names),
                          "; the kinds are ", join(names, ", ")));
}

void register_layer(LayerKind kind) {
  if (!is_name(kind.name) || !kind.build) {
    throw ArgumentError(cat("the layer kind \"", kind.name,
                            "\" needs a name of letters and digits and a build function"));
  }
  if (std::ranges::find(registry(), kind.name, &LayerKind::name) != registry().end()) {
    throw ArgumentError(cat("there is a layer kind \"", kind.name, "\" already"));
  }
  registry().push_back(std::move(kind));
}

std::string layer_documentation() {
  std::string text = "| layer | what it does | argument | type | default | meaning |\n";
  text += "|---|---|---|---|---|---|\n";
  for (const LayerKind& kind : registry()) {
    std::string lead = cat("| `", kind.name, "` | ", kind.description);
    if (kind.fields.empty()) text += lead + " | | | | |\n";
    for (const LayerField& field : kind.fields) {
      const std::string fallback = field.fallback.empty() ? "required" : cat("`", field.fallback, "`");
      text += cat(lead, " | `", field.name, "` | ", name_of_type(field.type), " | ", fallback,
                  " | ", field.description, " |\n");
      lead = "| | ";
    }
  }
  return text;
}

// ---- Layer

bool Frozen::contains(int64_t neuron) const {
  return all || std::ranges::binary_search(neurons, neuron);
}

Layer::Layer(std::string kind, LayerArgs args, Where where)
    : kind_(std::move(kind)), args_(std::move(args)), where_(where) {
  const LayerKind& row = layer_kind(kind_);
  for (const auto& [name, arg] : args_) {
    const auto field = std::ranges::find(row.fields, name, &LayerField::name);
    if (field == row.fields.end()) {
      std::vector<std::string> names;
      for (const LayerField& known : row.fields) names.push_back(known.name);
      throw ArgumentError(cat("a layer of kind \"", kind_, "\" has no argument \"", name, "\"",
                              did_you_mean(name, names), suffix(where_)));
    }
    if (!holds(*field, arg)) {
      throw ArgumentError(cat("the argument \"", name, "\" of a layer of kind \"", kind_,
                              "\" is a ", name_of_type(field->type), suffix(where_)));
    }
  }
  for (const LayerField& field : row.fields) {
    if (!args_.count(field.name)) args_.emplace(field.name, fallback_of(row, field));
  }
  if (row.check) {
    try {
      row.check(args_);
    } catch (const ArgumentError& error) {
      throw ArgumentError(cat(kind_, ": ", error.what(), suffix(where_)));
    }
  }
}

Layer Layer::named(std::string name) const {
  if (!is_name(name) || name == "input") {
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

Layer Layer::with(std::string_view argument, LayerArg value) const {
  LayerArgs args = args_;
  args.insert_or_assign(std::string(argument), std::move(value));
  Layer result(kind_, std::move(args), where_);
  result.name_ = name_;
  result.sources_ = sources_;
  result.frozen_ = frozen_;
  return result;
}

bool operator==(const Layer& a, const Layer& b) { return a.text() == b.text(); }

}  // namespace soma
