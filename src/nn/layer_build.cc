// LayerBuild: what the functions of the layer kinds work with; and layers built one after the
// other.
#include <algorithm>
#include <string>
#include <utility>

#include "soma/error.h"
#include "soma/layers.h"
#include "src/base/text.h"
#include "src/ir/message.h"
#include "src/nn/structure.h"

namespace soma {

namespace {

/// More elements than any machine has memory for, few enough that sizes and costs do not overflow.
constexpr int64_t max_elements = int64_t{1} << 40;
/// Streams of random numbers of one layer: its own draws are behind those of its activations.
constexpr int64_t streams_per_layer = int64_t{1} << 32, own_streams = int64_t{1} << 31;

/// Runs `build`; what the builder throws gets the name of the layer in front, unless it has one.
template <class E, class... Others, class F>
auto about_layer(const Layer& layer, F&& build) {
  try {
    if constexpr (sizeof...(Others) > 0) {
      return about_layer<Others...>(layer, build);
    } else {
      return build();
    }
  } catch (const E& error) {
    const std::string_view said = error.what();
    if (said.starts_with("layer \"")) throw;
    throw E(cat("layer \"", layer.name(), "\": ", said, suffix(layer.where())));
  }
}

}  // namespace

std::vector<Value> build_layers(Graph& graph, std::span<const Layer> layers,
                                std::map<std::string, Value, std::less<>> known, Value in,
                                LayerBuild::Shared& shared, std::vector<LayerTaps>* taps,
                                std::vector<Id>* ends) {
  std::vector<Value> outs;
  for (const Layer& layer : layers) {
    std::vector<Value> sources;
    for (const std::string& name : layer.sources()) sources.push_back(known.at(name));
    if (sources.empty()) sources.push_back(in);
    LayerTaps layer_taps;
    layer_taps.name = layer.name();
    const std::string& arrays = layer.shared_with().empty() ? layer.name() : layer.shared_with();
    const Graph::Scope scope(graph, arrays, layer.where());
    LayerBuild at(graph, layer, std::move(sources), shared, layer_taps);
    layer_taps.in = at.in();
    const Value mask = at.mask();
    in = about_layer<ShapeError, TypeError, ArgumentError, GraphError>(
        layer, [&] { return layer.row().build(at, layer.arguments()); });
    layer_taps.out = in;
    const bool keeps_steps =
        mask && in.rank() >= 2 && in.extent(0) == mask.extent(0) && in.extent(1) == mask.extent(1);
    if (keeps_steps) shared.masks.emplace(in.id(), mask);
    known[layer.name()] = in;
    outs.push_back(in);
    if (taps) taps->push_back(std::move(layer_taps));
    if (ends) ends->push_back(static_cast<Id>(graph.size()));
  }
  return outs;
}

// A frozen layer is used as it is in inference: running statistics stay, too.
LayerBuild::LayerBuild(Graph& graph, const Layer& layer, std::vector<Value> sources, Shared& shared,
                       LayerTaps& taps)
    : graph_(graph),
      layer_(layer),
      sources_(std::move(sources)),
      shared_(shared),
      mode_(layer.frozen().all && shared.options.mode == BuildMode::training ? BuildMode::inference
                                                                             : shared.options.mode),
      context_{.training = mode_ == BuildMode::training,
               .key = shared.options.key,
               .stream = shared.next_stream},
      taps_(taps) {
  shared.next_stream += streams_per_layer;
}

void LayerBuild::fail(std::string_view message) const {
  throw ShapeError(cat("layer \"", layer_.name(), "\": ", message, suffix(layer_.where())));
}

int64_t LayerBuild::batch() const { return sources_[0].extent(0); }

Value LayerBuild::in() const { return sources_.size() == 1 ? sources_[0] : flat(); }

Value LayerBuild::flat() const {
  std::vector<Value> parts;
  for (const Value source : sources_) {
    parts.push_back(reshape(source, {batch(), source.shape().elements() / batch()}));
  }
  return concat(parts, 1);
}

// ---- arrays

void LayerBuild::check_size(std::string_view name, const Shape& shape) const {
  int64_t elements = 1;
  for (const int64_t extent : shape) {
    if (extent < 1 || __builtin_mul_overflow(elements, extent, &elements) ||
        elements > max_elements) {
      fail(cat("the array \"", name, "\" would have the shape ", shape,
               ", which no memory holds; use fewer neurons"));
    }
  }
  // The graph would take a second one for the first: layers share weights by name.
  if (!made_.emplace(name).second) fail(cat("makes the array \"", name, "\" twice"));
}

Value LayerBuild::parameter(std::string name, Shape shape, const std::string& init) const {
  check_size(name, shape);
  const Value array = graph_.parameter(name, shape, init);
  return shared_.change ? shared_.change(*this, name, array) : array;
}

Value LayerBuild::state(std::string name, Shape shape, const std::string& init, DType type) const {
  check_size(name, shape);
  return graph_.state(name, shape, init, type);
}

void LayerBuild::update(Value state, Value value) const {
  if (mode_ == BuildMode::inference) return;
  const auto same = [&](const Graph::Update& update) { return update.state == state.id(); };
  if (std::ranges::none_of(graph_.updates(), same)) graph_.update(state, value);
}

Value LayerBuild::random(Shape shape, DType type) {
  if (!training() || !context_.key) {
    fail("needs random numbers, which there are in training, with a key {seed, step}");
  }
  return rng(context_.key, shape, context_.stream + own_streams + randoms_++, type);
}

void LayerBuild::penalize(Value scalar) const {
  if (training() && shared_.options.penalties) shared_.options.penalties->push_back(scalar);
}

// ---- masks and layers inside

Value LayerBuild::mask() const {
  for (const Value source : sources_) {
    if (const Value found = mask(source)) return found;
  }
  return {};
}

Value LayerBuild::mask(Value of) const {
  const auto found = shared_.masks.find(of.id());
  return found == shared_.masks.end() ? Value{} : found->second;
}

void LayerBuild::set_mask(Value of, Value mask) const {
  shared_.masks.insert_or_assign(of.id(), mask);
}

Value LayerBuild::build(std::span<const Layer> layers, Value x) const {
  std::vector<Layer> named(layers.begin(), layers.end());
  assign_names(named, Naming::by_kind);
  for (Layer& layer : named) {
    layer = layer.placed(layer_.where());
    if (layer_.frozen().all) layer = layer.with_frozen({true, {}});
  }
  check_links(named, {"input"});
  std::vector<LayerTaps> inner;
  const auto outs = build_layers(graph_, named, {{"input", x}}, x, shared_, &inner, nullptr);
  for (size_t i = 0; i < named.size(); ++i) {
    taps_.links += inner[i].links;
    const int64_t sums = inner[i].sum ? inner[i].sum.shape().elements() : 0;
    const bool own = named[i].row().has_neurons;
    taps_.neurons += inner[i].neurons || !own ? inner[i].neurons : sums;
    taps_.layers += own ? 1 : inner[i].layers;
  }
  return outs.empty() ? x : outs.back();
}

Value LayerBuild::build(const Layers& layers, Value x, const ArrayChange& change) const {
  // What is outside acts on what is inside: the inner change comes first.
  struct Restore {
    ArrayChange& to;
    ArrayChange outer;
    ~Restore() { to = std::move(outer); }
  } restore{shared_.change, shared_.change};
  const ArrayChange& outer = restore.outer;
  shared_.change = [&](const LayerBuild& layer, const std::string& name, Value array) {
    const Value changed = change(layer, name, array);
    return outer ? outer(layer, name, changed) : changed;
  };
  return build(layers, x);
}

// ---- activations

Value LayerBuild::activate(Value x, const Activations& functions) const {
  const auto& list = functions.list;
  if (!functions.per_neuron()) return list[0](x, context_);
  if (x.rank() < 2 || x.extent(-1) != static_cast<int64_t>(list.size())) {
    fail(cat("has ", list.size(), " activation functions, one per neuron, for values of shape ",
             x.shape(), "; expected [batch, ", list.size(), "]"));
  }
  // Neighbours with the same function are computed together.
  const int axis = x.rank() - 1;
  std::vector<Value> parts;
  for (size_t i = 0; i < list.size();) {
    size_t end = i;
    while (end < list.size() && list[end] == list[i]) ++end;
    if (list[i].row().vector) {
      fail(cat("the activation function ", list[i].text(), " looks at several neurons at once and ",
               "cannot belong to one of them; use it for the whole layer"));
    }
    const Graph::Scope scope(graph_, cat("neurons", i, "-", end - 1), layer_.where());
    ActivationContext context = context_;
    context.stream += static_cast<int64_t>(i);
    const Value part = slice_axis(x, axis, static_cast<int64_t>(i), static_cast<int64_t>(end));
    parts.push_back(list[i](part, context));
    i = end;
  }
  return concat(parts, axis);
}

}  // namespace soma
