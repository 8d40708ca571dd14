// Network: names and order of the layers, the graph they build, and what is known of them.
#include <algorithm>
#include <set>
#include <utility>

#include "soma/error.h"
#include "soma/network.h"
#include "src/base/text.h"
#include "src/ir/cost.h"
#include "src/ir/message.h"
#include "src/nn/structure.h"

namespace soma {

namespace {

/// Gives the layers without a name theirs: hidden1, hidden2, …, output; others kind and number.
void assign_names(std::vector<Layer>& layers) {
  std::set<std::string, std::less<>> taken{"input"};
  const Layer* last = nullptr;  // the last layer with neurons is the output layer
  for (const Layer& layer : layers) {
    if (layer.row().has_neurons) last = &layer;
    if (layer.name().empty()) continue;
    if (!taken.insert(layer.name()).second) {
      throw GraphError(cat("two layers are named \"", layer.name(), "\"; give each its own name",
                           suffix(layer.where())));
    }
  }
  std::map<std::string, int> counts;
  for (Layer& layer : layers) {
    if (!layer.name().empty()) continue;
    std::string name = "output";
    if (&layer != last || taken.count(name)) {
      const std::string stem = layer.row().has_neurons ? "hidden" : layer.kind();
      do name = cat(stem, ++counts[stem]);
      while (taken.count(name));
    }
    taken.insert(name);
    layer = layer.named(std::move(name));
  }
}

Shape batched(int64_t batch, const Shape& sample) {
  Shape shape{batch};
  for (const int64_t extent : sample) shape.push_back(extent);
  return shape;
}

Shape without_batch(const Shape& shape) {
  return Shape(std::span<const int64_t>(shape.begin() + 1, shape.end()));
}

/// The sample's shape from the input layer, with its size checked.
Shape sample_of(const Layer& layer) {
  const Shape shape = Reader<Shape>::read(layer.argument("shape"));
  int64_t elements = 1;
  for (const int64_t extent : shape) {
    if (extent < 1 || __builtin_mul_overflow(elements, extent, &elements)) {
      throw ShapeError(cat("the input has the shape ", shape,
                           "; every extent is at least 1 and their product a machine number",
                           suffix(layer.where())));
    }
  }
  if (shape.rank() == Shape::max_size) {
    throw ShapeError(cat("the input has the shape ", shape, "; a sample has at most ",
                         Shape::max_size - 1, " axes", suffix(layer.where())));
  }
  return shape;
}

/// The layer that a scope such as "hidden1/neurons0-3" belongs to.
std::string_view layer_of(std::string_view scope) { return scope.substr(0, scope.find('/')); }

}  // namespace

Network::Network(std::initializer_list<Layer> layers) : Network(std::vector<Layer>(layers)) {}

Network::Network(std::vector<Layer> layers) : Network(std::move(layers), WithoutTensors{}) {
  allocate();
}

Network::Network(std::vector<Layer> layers, WithoutTensors) {
  if (layers.empty() || layers[0].kind() != "input") {
    throw GraphError(cat("the first layer of a network is its input, for example input({28, 28})",
                         layers.empty() ? "" : suffix(layers[0].where())));
  }
  sample_ = sample_of(layers[0]);
  where_ = layers[0].where();
  layers_.assign(std::make_move_iterator(layers.begin() + 1),
                 std::make_move_iterator(layers.end()));
  for (const Layer& layer : layers_) {
    if (layer.kind() == "input") {
      throw GraphError(cat("a network has one input, in front", suffix(layer.where())));
    }
  }
  assign_names(layers_);
  describe();
}

Network Network::parse(std::string_view text, std::optional<Shape> sample, Where where) {
  return Network(parse_network(text, sample, where));
}

std::vector<Layer> parse_network(std::string_view text, std::optional<Shape> sample, Where where) {
  std::vector<Layer> layers = parse_layers(text, where);
  const bool has_input = layers[0].kind() == "input";
  if (sample && has_input && sample_of(layers[0]) != *sample) {
    throw ShapeError(cat("the text says ", layers[0].text(), ", but a sample has the shape ",
                         *sample, suffix(where)));
  }
  if (!sample && !has_input) {
    throw ArgumentError(cat("the text \"", excerpt(text), "\" does not say what a sample looks ",
                            "like; begin with its shape, for example \"input 28x28, …\"",
                            suffix(where)));
  }
  if (!has_input) layers.insert(layers.begin(), input(*sample, where));
  return layers;
}

std::string Network::text() const {
  // Names that a reader of the text would give by itself are left out.
  std::vector<Layer> plain = layers_;
  for (Layer& layer : plain) layer = layer.named("");
  std::vector<Layer> automatic = plain;
  assign_names(automatic);
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (layers_[i].name() != automatic[i].name()) plain[i] = layers_[i];
  }
  std::vector<Layer> named = plain;
  bool same = true;
  try {
    assign_names(named);
    for (size_t i = 0; i < layers_.size(); ++i) same &= named[i].name() == layers_[i].name();
  } catch (const GraphError&) {
    same = false;
  }
  std::vector<std::string> items{input(sample_).text()};
  for (const Layer& layer : same ? plain : layers_) items.push_back(layer.text());
  return join(items, ", ");
}

// ---- as a graph

Value Network::build(Graph& graph, Value batch_input, bool training, std::vector<LayerTaps>* taps,
                     Value key) const {
  if (batch_input.rank() != sample_.rank() + 1 || without_batch(batch_input.shape()) != sample_) {
    throw ShapeError(cat("the network takes samples of shape ", sample_, ", a batch of them is [n",
                         sample_.rank() ? ", " : "", join(sample_, ", "), "]; found ",
                         batch_input.shape(), suffix(where_)));
  }
  std::map<std::string, Value, std::less<>> built{{"input", batch_input}};
  Value out = batch_input;
  int64_t stream = 1;
  for (const Layer& layer : layers_) {
    std::vector<Value> sources;
    for (const std::string& name : layer.sources()) sources.push_back(built.at(name));
    if (sources.empty()) sources.push_back(out);
    LayerTaps layer_taps;
    layer_taps.name = layer.name();
    const Graph::Scope scope(graph, layer.name(), layer.where());
    const ActivationContext context{.training = training, .key = key, .stream = stream};
    stream += int64_t{1} << 32;
    LayerBuild at(graph, layer, std::move(sources), context, layer_taps);
    layer_taps.in = at.in();
    out = layer.row().build(at, layer.arguments());
    layer_taps.out = out;
    built[layer.name()] = out;
    if (taps) taps->push_back(std::move(layer_taps));
  }
  return out;
}

Graph Network::inference_graph(int64_t batch) const {
  Graph graph;
  graph.output("output", build(graph, graph.input("input", batched(batch, sample_))));
  return graph;
}

// ---- what is known

void Network::check_links() const {
  std::vector<std::string> known{"input"};
  for (const Layer& layer : layers_) {
    for (const std::string& source : layer.sources()) {
      if (std::ranges::find(known, source) != known.end()) continue;
      const auto is_source = [&](const Layer& other) { return other.name() == source; };
      if (source == layer.name()) refuse_inner_link(layer.name(), layer.where());
      if (std::ranges::any_of(layers_, is_source)) {
        throw GraphError(cat("layer \"", layer.name(), "\": is linked to the later layer \"",
                             source,
                             "\"; links of a feed-forward network run from earlier to later layers",
                             suffix(layer.where())));
      }
      throw GraphError(cat("layer \"", layer.name(), "\": there is no layer \"", source, "\"",
                           did_you_mean(source, known), suffix(layer.where())));
    }
    known.push_back(layer.name());
  }
}

void Network::describe() {
  check_links();
  Graph graph;
  std::vector<LayerTaps> taps;
  const Value out = build(graph, graph.input("input", batched(1, sample_)), false, &taps);
  info_ = {};
  info_.input = sample_;
  info_.output = without_batch(out.shape());
  std::string before = "input";
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    LayerInfo row;
    row.name = layer.name();
    row.kind = layer.kind();
    row.text = layer.text();
    row.sources = layer.sources().empty() ? std::vector{before} : layer.sources();
    row.input = without_batch(taps[i].in.shape());
    row.output = without_batch(taps[i].out.shape());
    row.has_neurons = layer.row().has_neurons;
    row.neurons = row.has_neurons && taps[i].sum ? taps[i].sum.shape().elements() : 0;
    row.links = taps[i].links;
    for (const std::string_view parameter : {"activation", "function"}) {
      if (!layer.has_argument(parameter)) continue;
      const auto functions = Reader<Activations>::read(layer.argument(parameter));
      for (const Activation& f : functions.list) row.activations.push_back(f.text());
    }
    check_frozen(layer, row);
    before = row.name;
    info_.layers.push_back(std::move(row));
  }
  count(graph);
}

void Network::check_frozen(const Layer& layer, LayerInfo& row) const {
  const Frozen& frozen = layer.frozen();
  if (frozen.any() && !frozen.all && frozen.neurons.back() >= row.neurons) {
    throw ArgumentError(cat("layer \"", layer.name(), "\": neuron ", frozen.neurons.back(),
                            " cannot be frozen: the layer has ", row.neurons, " neurons",
                            suffix(layer.where())));
  }
  row.frozen = frozen.all ? row.neurons : static_cast<int64_t>(frozen.neurons.size());
}

void Network::count(const Graph& graph) {
  std::map<std::string_view, LayerInfo*> rows;
  for (LayerInfo& row : info_.layers) rows[row.name] = &row;
  for (const Node& node : graph.nodes()) {
    const auto row = rows.find(layer_of(graph.scope_of(node).name));
    if (row == rows.end()) continue;
    if (node.op == Op::input) {
      const auto& attr = node.as<InputAttr>();
      row->second->tensors.push_back(attr.name);
      info_.parameter_bytes += attr.shape.elements() * static_cast<int64_t>(size_of(attr.type));
      if (attr.kind == InputKind::parameter) row->second->parameters += attr.shape.elements();
    }
    row->second->flops += flops(graph, node);
  }
  for (const LayerInfo& row : info_.layers) {
    info_.layer_count += row.has_neurons;
    info_.neurons += row.neurons;
    info_.links += row.links;
    info_.parameters += row.parameters;
    info_.flops += row.flops;
    info_.activation_bytes += row.output.elements() * static_cast<int64_t>(sizeof(float));
  }
}

size_t Network::layer_index(std::string_view name) const {
  std::vector<std::string> names;
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (layers_[i].name() == name) return i;
    names.push_back(layers_[i].name());
  }
  throw ArgumentError(cat("the network has no layer \"", name, "\"", did_you_mean(name, names),
                          "; its layers are ", join(names, ", "), suffix(where_)));
}

bool operator==(const Network& a, const Network& b) {
  return a.text() == b.text() && a.tensors_ == b.tensors_;
}

}  // namespace soma
