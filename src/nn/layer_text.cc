// Layers as text and back. Layers are separated by commas or new lines; a layer is `kind argument…`
// or `kind(argument…)`, followed by name=, from= and frozen=. A number (or a list of activations)
// in front is a dense layer, a shape in the first place the input, an activation a step of its own.
#include <algorithm>
#include <charconv>

#include "soma/error.h"
#include "soma/layers.h"
#include "src/base/text.h"
#include "src/nn/structure.h"

namespace soma {

namespace {

constexpr size_t max_layers = 10'000;
/// Of all lists together: a short text such as "[relu*1000000]" stands for many.
constexpr size_t max_listed_activations = size_t{1} << 20;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The parts of `text` between separators outside brackets, trimmed, without the empty ones.
std::vector<std::string_view> parts_of(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (const std::string_view part : detail::split_outside(text, separator)) {
    if (!trim(part).empty()) parts.push_back(trim(part));
  }
  return parts;
}

bool is_kind(std::string_view name) {
  return std::ranges::any_of(layer_kinds(), [&](const LayerRow& row) { return row.name == name; });
}

Frozen parse_frozen(std::string_view text) {
  if (text == "all") return {true, {}};
  Frozen frozen;
  for (const std::string_view item : split(text, '+')) {
    frozen.neurons.push_back(read_neuron(item));
  }
  std::ranges::sort(frozen.neurons);
  frozen.neurons.erase(std::unique(frozen.neurons.begin(), frozen.neurons.end()),
                       frozen.neurons.end());
  return frozen;
}

/// "128 relu bias=false" → "dense(128 relu bias=false)"; what the registry reads.
std::string as_call(std::vector<std::string_view> words, bool first) {
  const std::string_view head = words[0];
  if (is_kind(head)) {
    words.erase(words.begin());
    return cat(head, "(", join(words, " "), ")");
  }
  const size_t open = head.find('(');
  if (open != head.npos && is_kind(head.substr(0, open))) {
    words.erase(words.begin());
    return cat(head.substr(0, head.size() - 1), words.empty() ? "" : " ", join(words, " "), ")");
  }
  if (first && is_digit(head[0]) && head.find('x') != head.npos) {
    return cat("input(", join(words, " "), ")");
  }
  if (is_digit(head[0]) || head[0] == '-') return cat("dense(", join(words, " "), ")");
  if (head[0] == '[') {
    return cat("dense(", Reader<Activations>::read(head).list.size(), " ", join(words, " "), ")");
  }
  return cat("activation(", join(words, " "), ")");
}

Layer parse_layer(std::string_view text, bool first, Where where) {
  std::string name;
  std::vector<std::string> sources;
  Frozen frozen;
  std::string shared_with;
  bool pruned = false;
  std::vector<std::string_view> words;
  for (const std::string_view word : parts_of(text, ' ')) {
    if (word.starts_with("name=")) {
      name = word.substr(5);
    } else if (word.starts_with("from=")) {
      for (const std::string_view source : split(word.substr(5), '+')) sources.emplace_back(source);
    } else if (word.starts_with("frozen=")) {
      frozen = parse_frozen(word.substr(7));
    } else if (word.starts_with("share=")) {
      shared_with = word.substr(6);
    } else if (word == "pruned=true" || word == "pruned=false") {
      pruned = word == "pruned=true";
    } else {
      words.push_back(word);
    }
  }
  if (words.empty()) throw ArgumentError("does not say what kind of layer it is");
  Layer layer = Layer::parse(as_call(words, first), {});
  if (!name.empty()) layer = layer.named(std::move(name));
  return layer.from(std::move(sources))
      .with_frozen(std::move(frozen))
      .sharing(std::move(shared_with))
      .with_pruned(pruned)
      .placed(where);
}

size_t listed_activations(const Layer& layer) {
  size_t count = 0;
  for (size_t i = 0; i < layer.arguments().size(); ++i) {
    if (layer.row().parameters[i].canonical != detail::canonical<Activations>) continue;
    count += Reader<Activations>::read(layer.arguments()[i]).list.size();
  }
  return count;
}

/// What an unknown first word was probably meant to be.
std::string suggestion(std::string_view item) {
  const std::string_view word = item.substr(0, item.find_first_of(" ([=\t"));
  std::vector<std::string> words;
  for (const LayerRow& row : layer_kinds()) words.push_back(row.name);
  for (const auto& row : activations()) words.push_back(row.name);
  return std::ranges::find(words, word) == words.end() ? did_you_mean(word, words) : "";
}

}  // namespace

std::string Layer::text() const {
  std::vector<std::string> words;
  // Dense layers and activations are known by their arguments alone.
  if (kind() != "dense" && kind() != "activation") words.push_back(kind());
  bool in_order = true;  // positional arguments can be left out only from the end
  for (size_t i = 0; i < arguments().size(); ++i) {
    const Parameter& parameter = row().parameters[i];
    const bool is_default =
        !parameter.initial.empty() && arguments()[i] == parameter.canonical(parameter.initial);
    if (is_default) {
      in_order = false;
    } else {
      words.push_back(in_order ? arguments()[i] : cat(parameter.name, "=", arguments()[i]));
    }
  }
  if (!name_.empty()) words.push_back(cat("name=", name_));
  if (!sources_.empty()) words.push_back(cat("from=", join(sources_, "+")));
  if (!shared_with_.empty()) words.push_back(cat("share=", shared_with_));
  if (pruned_) words.push_back("pruned=true");
  if (frozen_.any()) {
    words.push_back(cat("frozen=", frozen_.all ? "all" : join(frozen_.neurons, "+")));
  }
  return join(words, " ");
}

/// "8 relu,,3": a layer was forgotten. Empty lines and a comma at the end of a line are fine.
static void refuse_gaps(std::string_view text) {
  for (std::string_view line : split(text, '\n')) {
    line = trim(line);
    if (line.ends_with(',')) line.remove_suffix(1);
    if (line.empty()) continue;
    for (const std::string_view part : detail::split_outside(line, ',')) {
      if (trim(part).empty()) {
        throw ArgumentError(cat("there is nothing between two commas in \"", excerpt(line),
                                "\"; write a layer there or leave one comma out"));
      }
    }
  }
}

/// Without what stands between a '#' and the end of its line.
static std::string without_remarks(std::string_view text) {
  std::vector<std::string_view> lines;
  for (const std::string_view line : split(text, '\n'))
    lines.push_back(line.substr(0, line.find('#')));
  return join(lines, "\n");
}

/// `inside` another layer, where none is the input.
static std::vector<Layer> read_layers(std::string_view whole, bool inside, Where where) {
  const std::string text = without_remarks(whole);
  refuse_gaps(text);
  std::string line = text;
  std::ranges::replace(line, '\n', ',');
  std::ranges::replace(line, '\t', ' ');
  const auto items = parts_of(line, ',');
  if (items.empty()) {
    throw ArgumentError("the text of the network is empty; write, for example, \"128 relu, 10\"");
  }
  if (items.size() > max_layers) {
    throw ArgumentError(cat("the text of the network has ", items.size(), " layers; at most ",
                            max_layers, " are read"));
  }
  std::vector<Layer> layers;
  size_t listed = 0;
  for (const std::string_view item : items) {
    try {
      layers.push_back(parse_layer(item, layers.empty() && !inside, where));
      listed += listed_activations(layers.back());
      if (listed > max_listed_activations) {
        throw ArgumentError(cat("the layers list more than ", max_listed_activations,
                                " activation functions for single neurons"));
      }
    } catch (const ArgumentError& error) {
      throw ArgumentError(cat("layer ", layers.size() + 1, " of the text, \"", excerpt(item),
                              "\": ", error.what(), suggestion(item)));
    }
  }
  return layers;
}

std::vector<Layer> parse_layers(std::string_view text, Where where) {
  return read_layers(text, false, where);
}

Layers Reader<Layers>::read(std::string_view text) {
  const bool list = text.starts_with('[') && text.ends_with(']');
  try {
    return {read_layers(list ? text.substr(1, text.size() - 2) : text, true, {})};
  } catch (const ArgumentError& error) {
    throw ArgumentError(cat("layers like [conv2d 8, batch_norm] (", error.what(), ")"));
  }
}

std::string Reader<Layers>::write(const Layers& layers) {
  std::vector<std::string> items;
  for (const Layer& layer : layers.list) items.push_back(layer.text());
  return cat("[", join(items, ", "), "]");
}

}  // namespace soma
