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

}  // namespace

void assign_names(std::vector<Layer>& layers, Naming naming) {
  const bool by_role = naming == Naming::by_role;
  std::set<std::string, std::less<>> taken{"input"};
  const Layer* last = nullptr;  // the last layer with neurons is the output layer
  for (const Layer& layer : layers) {
    if (layer.row().has_neurons && by_role) last = &layer;
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
      const std::string stem = layer.row().has_neurons && by_role ? "hidden" : layer.kind();
      do name = cat(stem, ++counts[stem]);
      while (taken.count(name));
    }
    taken.insert(name);
    layer = layer.named(std::move(name));
  }
}

Network::Network(std::initializer_list<Layer> layers) : Network(std::vector<Layer>(layers)) {}

Network::Network(std::vector<Layer> layers) : Network(std::move(layers), WithoutTensors{}) {
  allocate();
}

/// The inputs, taken from the front of the layers.
static std::vector<NetworkInput> take_inputs(std::vector<Layer>& layers) {
  std::vector<NetworkInput> inputs;
  const auto is_input = [](const Layer& layer) { return layer.kind() == "input"; };
  const auto first = std::ranges::find_if_not(layers, is_input);
  if (first == layers.begin()) {
    throw GraphError(cat("the first layer of a network is its input, for example input({28, 28})",
                         layers.empty() ? "" : suffix(layers[0].where())));
  }
  for (auto layer = layers.begin(); layer != first; ++layer) {
    const std::string name = layer->name().empty() ? "input" : layer->name();
    if (std::ranges::find(inputs, name, &NetworkInput::name) != inputs.end()) {
      throw GraphError(cat("two inputs are named \"", name, "\"; give each its own name",
                           suffix(layer->where())));
    }
    inputs.push_back({name, sample_of(*layer)});
  }
  layers.erase(layers.begin(), first);
  const auto late = std::ranges::find_if(layers, is_input);
  if (late != layers.end()) {
    throw GraphError(cat("inputs stand in front of all layers", suffix(late->where())));
  }
  return inputs;
}

static std::vector<std::string> names_of(std::span<const NetworkInput> inputs) {
  std::vector<std::string> names;
  for (const NetworkInput& input : inputs) names.push_back(input.name);
  return names;
}

Network::Network(std::vector<Layer> layers, WithoutTensors) {
  if (!layers.empty()) where_ = layers[0].where();
  inputs_ = take_inputs(layers);
  layers_ = std::move(layers);
  assign_names(layers_);
  for (const Layer& layer : layers_) {
    if (std::ranges::find(inputs_, layer.name(), &NetworkInput::name) == inputs_.end()) continue;
    throw GraphError(cat("a layer and an input are named \"", layer.name(),
                         "\"; give each its own name", suffix(layer.where())));
  }
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
  std::vector<std::string> items;
  for (const NetworkInput& data : inputs_) {
    const Layer layer = input(data.shape);
    items.push_back((data.name == "input" ? layer : layer.named(data.name)).text());
  }
  for (const Layer& layer : same ? plain : layers_) items.push_back(layer.text());
  return join(items, ", ");
}

// ---- as a graph

/// Throws unless a batch of samples fits; the steps of a sequence may be others when streaming.
static void check_batch(const NetworkInput& input, Value batch, BuildMode mode, Where where) {
  Shape found = batch.shape(), wanted = batched(found.empty() ? 0 : found[0], input.shape);
  if (mode == BuildMode::streaming && found.rank() == wanted.rank() && found.rank() > 1) {
    wanted[1] = found[1];
  }
  if (found == wanted && !found.empty()) return;
  throw ShapeError(cat("the network takes samples of shape ", input.shape,
                       ", a batch of them is [n", input.shape.rank() ? ", " : "",
                       join(input.shape, ", "), "]; found ", found, suffix(where)));
}

Value Network::build(Graph& graph, Value batch_input, const BuildOptions& options) const {
  if (inputs_.size() != 1) {
    throw ArgumentError(cat("the network has the inputs ", join(names_of(inputs_), ", "),
                            "; give each of them, by name", suffix(where_)));
  }
  const Values all = build(graph, Values{{inputs_[0].name, batch_input}}, options);
  return layers_.empty() ? batch_input : all.at(layers_.back().name());
}

Values Network::build(Graph& graph, const Values& inputs, const BuildOptions& options) const {
  return build(graph, inputs, options, nullptr);
}

Values Network::build(Graph& graph, const Values& inputs, const BuildOptions& options,
                      std::vector<Id>* ends) const {
  Values known;
  Value last;
  for (const NetworkInput& input : inputs_) {
    const auto given = inputs.find(input.name);
    if (given == inputs.end()) {
      throw ArgumentError(
          cat("the input \"", input.name, "\" of the network is not given", suffix(where_)));
    }
    check_batch(input, given->second, options.mode, where_);
    known[input.name] = last = given->second;
  }
  LayerBuild::Shared shared{options, 1, {}};
  const auto outs = build_layers(graph, layers_, known, last, shared, options.taps, ends);
  for (size_t i = 0; i < layers_.size(); ++i) known[layers_[i].name()] = outs[i];
  return known;
}

Graph Network::graph_of(int64_t batch, BuildMode mode, int64_t steps) const {
  Graph graph;
  Values data;
  for (const NetworkInput& input : inputs_) {
    Shape shape = input.shape;
    if (mode == BuildMode::streaming && !shape.empty()) shape[0] = steps;
    data[input.name] = graph.input(input.name, batched(batch, shape));
  }
  const Values all = build(graph, data, {.mode = mode});
  for (const std::string& name : outputs_) {
    graph.output(name == outputs_.back() ? "output" : cat("output/", name), all.at(name));
  }
  return graph;
}

Graph Network::inference_graph(int64_t batch) const {
  return graph_of(batch, BuildMode::inference, 0);
}

Graph Network::streaming_graph(int64_t batch, int64_t steps) const {
  if (inputs_.size() != 1 || inputs_[0].shape.empty()) {
    throw ArgumentError(cat("only a network of one input, a sequence, can stream; its inputs are ",
                            join(names_of(inputs_), ", "), suffix(where_)));
  }
  return graph_of(batch, BuildMode::streaming, steps);
}

// ---- what is known

void check_links(std::span<const Layer> layers, std::vector<std::string> known) {
  for (const Layer& layer : layers) {
    std::vector<std::string> wanted = layer.sources();
    if (!layer.shared_with().empty()) wanted.push_back(layer.shared_with());
    for (const std::string& source : wanted) {
      if (std::ranges::find(known, source) != known.end()) continue;
      if (source == layer.name()) refuse_inner_link(layer.name(), layer.where());
      if (std::ranges::any_of(layers, [&](const Layer& l) { return l.name() == source; })) {
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

const Shape& Network::shape_of(std::string_view name) const {
  const auto input = std::ranges::find(inputs_, name, &NetworkInput::name);
  return input != inputs_.end() ? input->shape : info_.layers[layer_index(name)].output;
}

/// The layers whose values nobody takes.
static std::vector<std::string> results_of(std::span<const LayerInfo> layers,
                                           const std::string& last_input) {
  std::set<std::string, std::less<>> taken;
  for (const LayerInfo& layer : layers) taken.insert(layer.sources.begin(), layer.sources.end());
  std::vector<std::string> results;
  for (const LayerInfo& layer : layers) {
    if (!taken.count(layer.name)) results.push_back(layer.name);
  }
  if (results.empty()) results.push_back(last_input);
  return results;
}

void Network::describe() {
  check_links(layers_, names_of(inputs_));
  Graph graph;
  std::vector<LayerTaps> taps;
  std::vector<Id> ends;
  Values data;
  for (const NetworkInput& input : inputs_) {
    data[input.name] = graph.input(input.name, batched(1, input.shape));
  }
  (void)build(graph, data, {.taps = &taps}, &ends);
  info_ = {};
  info_.input = sample_shape();
  std::string before = inputs_.back().name;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    LayerInfo row;
    row.name = layer.name();
    row.kind = layer.kind();
    row.text = layer.text();
    row.sources = layer.sources().empty() ? std::vector{before} : layer.sources();
    row.input = without_batch(taps[i].in.shape());
    row.output = without_batch(taps[i].out.shape());
    row.layers = layer.row().has_neurons ? 1 : taps[i].layers;
    row.has_neurons = row.layers > 0;
    const int64_t sums = taps[i].sum ? taps[i].sum.shape().elements() : 0;
    row.neurons = row.has_neurons ? (taps[i].neurons ? taps[i].neurons : sums) : 0;
    row.links = row.all_links = taps[i].links;
    row.link_list = taps[i].link_list;
    row.separate = layer.row().has_neurons && taps[i].weights &&
                   (!row.link_list.empty() ||
                    (taps[i].weights.rank() == 2 && taps[i].weights.extent(1) == row.neurons));
    for (const std::string_view parameter : {"activation", "function"}) {
      if (!layer.has_argument(parameter)) continue;
      const auto functions = Reader<Activations>::read(layer.argument(parameter));
      for (const Activation& f : functions.list) row.activations.push_back(f.text());
    }
    check_frozen(layer, row);
    before = row.name;
    info_.layers.push_back(std::move(row));
  }
  outputs_ = results_of(info_.layers, inputs_.back().name);
  info_.output = shape_of(outputs_.back());
  count(graph, ends);
}

void Network::check_frozen(const Layer& layer, LayerInfo& row) const {
  const Frozen& frozen = layer.frozen();
  if (frozen.any() && !frozen.all && frozen.neurons.back() >= row.neurons) {
    throw ArgumentError(cat("layer \"", layer.name(), "\": neuron ", frozen.neurons.back(),
                            " cannot be frozen: the layer has ", row.neurons, " neurons",
                            suffix(layer.where())));
  }
  if (frozen.any() && !frozen.all && !row.separate) {
    throw ArgumentError(cat("layer \"", layer.name(), "\": its neurons share weights or have none ",
                            "of their own, so single ones cannot be frozen; freeze the layer",
                            suffix(layer.where())));
  }
  row.frozen = frozen.all ? row.neurons : static_cast<int64_t>(frozen.neurons.size());
}

void Network::count(const Graph& graph, std::span<const Id> ends) {
  // Each layer made the nodes up to its end.
  size_t at = 0;
  for (Id id = 0; id < graph.size() && at < ends.size(); ++id) {
    while (at < ends.size() && id >= ends[at]) ++at;
    if (at == ends.size()) break;
    const Node& node = graph[id];
    LayerInfo& row = info_.layers[at];
    row.flops += flops(graph, node);
    if (node.op != Op::input || node.as<InputAttr>().kind == InputKind::data) continue;
    const auto& attr = node.as<InputAttr>();
    row.tensors.push_back(attr.name);
    if (attr.kind == InputKind::state) row.states.push_back(attr.name);
    info_.parameter_bytes += attr.shape.elements() * static_cast<int64_t>(size_of(attr.type));
    if (attr.kind == InputKind::parameter) row.parameters += attr.shape.elements();
  }
  for (const LayerInfo& row : info_.layers) {
    info_.layer_count += row.layers;
    info_.neurons += row.neurons;
    info_.links += row.links;
    info_.parameters += row.parameters;
    info_.flops += row.flops;
    info_.activation_bytes += row.output.elements() * static_cast<int64_t>(sizeof(float));
  }
}

Network Network::resized(Shape sample_shape) const {
  std::vector<Layer> layers{input(sample_shape, where_)};
  if (inputs_.size() != 1) {
    throw ArgumentError(cat("only a network of one input can be resized", suffix(where_)));
  }
  layers[0] = inputs_[0].name == "input" ? layers[0] : layers[0].named(inputs_[0].name);
  layers.insert(layers.end(), layers_.begin(), layers_.end());
  Network result(std::move(layers), WithoutTensors{});
  result.allocate();
  for (auto& [name, tensor] : result.tensors_) {
    const auto mine = tensors_.find(name);
    if (mine == tensors_.end() || mine->second.shape() != tensor.shape()) {
      throw ShapeError(cat("with samples of shape ", sample_shape, " the array \"", name,
                           "\" would be ", tensor.shape(), ", which is not what was trained",
                           suffix(where_)));
    }
    tensor = mine->second;
  }
  result.fresh_ = fresh_;
  result.count_pruned();
  return result;
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
