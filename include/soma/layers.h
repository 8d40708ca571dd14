// Layers: what a network is described with.
//
// A Layer is a description (kind, arguments, name, sources), a plain value without arrays. What a
// kind of layer computes, which arguments it takes and how it is documented is one row of a
// registry: text form, building, help and documentation all follow from it. A new kind is one
// function and its row:
//
//   Value scaled(LayerBuild& at, double by) { return at.in() * by; }
//   define_layer("scaled", scaled, "by=1", "The sample times a number.");
//   Network net{input({4}), dense(8, tanh), Layer("scaled", {0.5}), dense(2)};
//
// The built-in kinds are the rows of soma/layers.def. Samples are [features], images [channels,
// height, width] (channels first), sequences [time, features]; the batch axis is in front of them.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "soma/graph.h"
#include "soma/named.h"
#include "soma/nn.h"

namespace soma {

// ---------------------------------------------------------------- arguments

/// One activation function for a whole layer, or one for each of its neurons. As text: "relu" or
/// "[relu tanh*3]".
struct Activations {
  std::vector<Activation> list;
  bool per_neuron() const { return list.size() > 1; }
  std::string text() const;
};

/// "28x28"
template <>
struct Reader<Shape> {
  static Shape read(std::string_view text);
};
template <>
struct Reader<Activations> {
  static Activations read(std::string_view text);
  static std::string write(const Activations& activations) { return activations.text(); }
};
/// One number for each axis of a window, stride or dilation: "3" for all axes, or "3x5".
struct Extents {
  std::vector<int64_t> list;
  /// For that many axes; throws ArgumentError when it names another number of them.
  Dims over(int axes) const;
};
template <>
struct Reader<Extents> {
  static Extents read(std::string_view text);
};
/// One link of a layer whose links are given: from an input of the layer, or from one of its
/// neurons (a delayed link carries the value of the step before), to one of its neurons. As text
/// "i0>3", "2>3", "3~>2", with a weight to start from "i0>3:0.5".
struct Link {
  int64_t from = 0, to = 0;
  bool from_neuron = false, delayed = false;
  std::optional<double> weight = {};
  friend bool operator==(const Link&, const Link&) = default;
};
/// "[i0>0 i1>0 0>1 1~>0]", or "random(0.1)": a tenth of all links from inputs, each at random;
/// "random(0.1 7)" with the seed 7. Sorted by target, then source, none twice.
struct Links {
  std::vector<Link> list;
  double density = 0;  ///< Above 0: random ones.
  int64_t seed = 0;
  /// The links, given how many inputs and neurons there are. Throws ArgumentError for ends that do
  /// not exist.
  std::vector<Link> between(int64_t inputs, int64_t neurons) const;
};
template <>
struct Reader<Links> {
  static Links read(std::string_view text);
  static std::string write(const Links& links);
};
/// How an array starts: an initializer of soma/nn.h, a number, or "auto".
struct Start {
  std::string text;
};
template <>
struct Reader<Start> {
  static Start read(std::string_view text);
};

/// Neurons that no training step changes.
struct Frozen {
  bool all = false;
  std::vector<int64_t> neurons;  ///< Increasing; empty when `all`.
  bool any() const { return all || !neurons.empty(); }
  bool contains(int64_t neuron) const;
  friend bool operator==(const Frozen&, const Frozen&) = default;
};

// ---------------------------------------------------------------- the registry

class LayerBuild;

/// One kind of layer. `formula` says what it does.
struct LayerRow : Row {
  bool has_neurons = false;
  /// [batch, …] in, [batch, …] out.
  std::function<Value(LayerBuild&, std::span<const std::string>)> build;
};

/// Every kind, in the order of the documentation.
Registry<LayerRow>& layer_kinds();
/// The registry as a Markdown table.
std::string layer_documentation();

enum class HasNeurons : bool { no, yes };

namespace detail {
template <class... Args>
LayerRow layer_row(Row texts, Value (*build)(LayerBuild&, Args...), std::string_view specification,
                   HasNeurons has_neurons) {
  using Binder = Bind<Value, LayerBuild&>;
  LayerRow row{std::move(texts), has_neurons == HasNeurons::yes, Binder::call(build)};
  row.parameters = Binder::parameters(build, specification);
  return row;
}
}  // namespace detail

/// Adds a kind. `build` takes a LayerBuild& and then its arguments, which the specification names
/// and gives defaults: "units, scale=1 in (0,inf)". Do this before other threads describe
/// networks.
template <class... Args>
void define_layer(std::string name, Value (*build)(LayerBuild&, Args...),
                  std::string_view specification, std::string description,
                  HasNeurons has_neurons = HasNeurons::no) {
  layer_kinds().add(detail::layer_row({std::move(name), std::move(description), "", "", {}}, build,
                                      specification, has_neurons));
}

// ---------------------------------------------------------------- layers

class Layer;
/// An argument of a layer: whatever Argument takes, an activation function, a regularizer, a
/// shape ({3, 3}), or layers inside the layer.
class LayerArgument : public Argument {
 public:
  using Argument::Argument;
  LayerArgument() = default;
  LayerArgument(Argument argument) : Argument(std::move(argument)) {}
  template <std::integral T>
  LayerArgument(T value) requires(!std::same_as<T, bool> && !std::same_as<T, int>)
      : Argument(std::to_string(value)) {}
  LayerArgument(Value (*function)(Value)) : Argument(Activation(function).text()) {}
  LayerArgument(const Activation& function) : Argument(function.text()) {}
  template <class R>
  LayerArgument(const Named<R>& named) : Argument(named.text()) {}
  LayerArgument(const Links& links) : Argument(Reader<Links>::write(links)) {}
  LayerArgument(const Activations& functions) : Argument(functions.text()) {}
  LayerArgument(std::initializer_list<int> extents);
  LayerArgument(std::initializer_list<Layer> layers);
  LayerArgument(const Layer& layer);
};

/// One layer of a network, as described: `dense(128, relu).named("hidden").from({"input"})`.
class Layer {
 public:
  /// Usually made by the functions below. Throws ArgumentError for a kind the registry does not
  /// have and for arguments that kind does not take or that are out of range.
  explicit Layer(std::string_view kind, std::initializer_list<Argument> arguments = {},
                 Where where = Where::here());
  /// From its text, "dense(128 relu)", without name and sources.
  static Layer parse(std::string_view call, Where where = Where::here());

  /// The same layer under that name: letters, digits, '_', '-' and '.', not starting with a digit.
  /// With "" the network gives it one.
  Layer named(std::string name) const;
  /// The same layer fed by those layers (or "input") instead of by the one before it. A layer that
  /// takes one input gets their outputs side by side: links that skip layers.
  Layer from(std::vector<std::string> layers) const;
  /// The same layer with some of its neurons, or all, frozen.
  Layer with_frozen(Frozen frozen) const;
  /// The same layer, whose weights that are 0 are no links: they neither count nor learn.
  Layer with_pruned(bool pruned) const;
  /// The same layer, said to be described there.
  Layer placed(Where where) const;
  /// The same layer with one argument changed.
  Layer with(std::string_view parameter, const LayerArgument& argument) const;
  /// The same layer with the arrays of that earlier layer instead of its own: shared weights. Both
  /// are of one kind, with arrays of the same shapes, or of kinds whose arrays have the same name,
  /// shape and start: an embedding and an unembedding.
  Layer sharing(std::string layer) const;

  const LayerRow& row() const { return call_.row(); }
  const std::string& kind() const { return call_.name(); }
  std::span<const std::string> arguments() const { return call_.arguments(); }
  /// The text of one argument; throws ArgumentError when this kind has no such parameter.
  const std::string& argument(std::string_view parameter) const;
  bool has_argument(std::string_view parameter) const;
  const std::string& name() const { return name_; }  ///< "" until a network names it.
  const std::vector<std::string>& sources() const { return sources_; }  ///< Empty: the one before.
  const Frozen& frozen() const { return frozen_; }
  bool pruned() const { return pruned_; }
  const std::string& shared_with() const { return shared_with_; }  ///< "": arrays of its own.
  Where where() const { return where_; }

  /// "128 relu", "softmax name=chances": what parse_layers() reads back.
  std::string text() const;
  /// `where` does not count.
  friend bool operator==(const Layer& a, const Layer& b) { return a.text() == b.text(); }

 private:
  Layer(Named<LayerRow> call, Where where) : call_(std::move(call)), where_(where) {}

  Named<LayerRow> call_;
  std::string name_;
  std::vector<std::string> sources_;
  Frozen frozen_;
  std::string shared_with_;
  bool pruned_ = false;
  Where where_;
};

/// Layers inside a layer: "[conv2d 8, batch_norm]", or one of them without brackets.
struct Layers {
  std::vector<Layer> list;
};
template <>
struct Reader<Layers> {
  static Layers read(std::string_view text);
  static std::string write(const Layers& layers);
};

/// The data, one sample of that shape; not counted as a layer. Its name is "input" unless it is
/// given another; a network may have several, in front.
Layer input(Shape sample_shape, Where where = Where::here());
/// The sample under another shape of as many elements. No neurons.
Layer reshape_to(Shape sample_shape, Where where = Where::here());

/// Arguments of dense layers that are rarely changed.
struct DenseOptions {
  bool bias = true;
  /// How the weights start: an initializer of soma/nn.h; "auto" is he_uniform before activations
  /// of the relu family, lecun_normal before selu, glorot_uniform before others.
  std::string weights = "auto";
  std::string bias_start = "0";
  /// The same neurons at each place of [..., features], for example at each step of a sequence.
  bool per_step = false;
};
/// `units` neurons, each linked to every input: y = f(w·x + b). Input [features] (other shapes are
/// flattened), output [units]; `per_step` [..., features] to [..., units]. Parameters "weights"
/// [features, units] and "bias" [units], and those that the activation learns.
Layer dense(int64_t units, Activation activation = identity, DenseOptions options = {},
            Where where = Where::here());
/// As many neurons as activation functions: each neuron has its own.
Layer dense(std::vector<Activation> one_per_neuron, DenseOptions options = {},
            Where where = Where::here());
/// An activation function as a step of its own, for example softmax. No neurons.
Layer activation(Activation function, Where where = Where::here());

// Every row of the registry as a function: `lstm(128)`, `conv2d(32, 3, relu)`. Arguments come in
// the order of the row; later ones by name: `conv2d(32, 3).with("padding", "same")`.
#define SOMA_LAYER(name, ...)                                                                \
  Layer name(LayerArgument = {}, LayerArgument = {}, LayerArgument = {}, LayerArgument = {}, \
             LayerArgument = {}, LayerArgument = {}, Where where = Where::here());
#define SOMA_LAYER_ROW(...)
#include "soma/layers.def"

/// A net built neuron by neuron: any links without cycles, and delayed ones that may close cycles.
///
///   Wiring net(2);                                        // two inputs
///   const int a = net.neuron(tanh), b = net.neuron(sigmoid);
///   net.link_input(0, a);
///   net.link(a, b, 0.5);                                  // a weight to start from
///   net.link_delayed(b, a);                               // the value of the step before
///   Network network{input({10, 2}), net.layer()};
///
/// Throws ArgumentError for neurons and inputs that do not exist; the network refuses cycles.
class Wiring {
 public:
  explicit Wiring(int64_t inputs) : inputs_(inputs) {}
  int neuron(const Activation& function = identity);
  void link_input(int input, int neuron, std::optional<double> weight = {});
  void link(int from, int to, std::optional<double> weight = {});
  void link_delayed(int from, int to, std::optional<double> weight = {});
  /// What the layer gives: by default the neurons that no link without delay leaves.
  void outputs(std::vector<int64_t> neurons) { outputs_ = std::move(neurons); }
  Layer layer(Where where = Where::here()) const;

 private:
  void add(Link link);

  int64_t inputs_;
  Activations functions_;
  std::vector<Link> links_;
  std::vector<int64_t> outputs_;
};

/// Layers from text, one per comma or line; a '#' begins a remark: "28x28, 128 relu, 10", "64 tanh
/// name=h, 10 from=input+h",
/// "[relu tanh sigmoid]", "dense(units=5 activation=elu(alpha=0.5) bias=false)", "softmax", "input
/// 4 name=left, input 4 name=right, 8 name=a from=left, 8 from=right share=a". Throws ArgumentError
/// that quotes the part it could not read.
std::vector<Layer> parse_layers(std::string_view text, Where where = Where::here());

// ---------------------------------------------------------------- building

/// The interesting values of one layer in a graph: what the glass box reads. Empty where the kind
/// has no such thing.
struct LayerTaps {
  std::string name;
  Value in;                ///< What arrives, [batch, …]; several sources are joined.
  Value weights, bias;     ///< [in, neurons] and [neurons].
  Value activation_value;  ///< w·x, [batch, neurons].
  Value sum;               ///< w·x + b, [batch, neurons].
  Value out;               ///< [batch, …].
  int64_t links = 0;       ///< Trained connections from the layer's inputs to its neurons.
  int64_t neurons = 0;     ///< How many; 0: one for each number of `sum`.
  int64_t layers = 0;      ///< Layers with neurons inside this one.
  /// With links of its own choice: one for each element of `weights`, [links].
  std::vector<Link> link_list = {};
};

/// What a network is built for. Some layers differ: drop-out is random in training, a recurrent
/// layer carries its state from one run to the next when streaming.
enum class BuildMode : uint8_t { inference, training, streaming };

struct BuildOptions {
  BuildMode mode = BuildMode::inference;
  /// i64[2] {seed, step}: what random numbers in training depend on, beside their place.
  Value key = {};
  /// When given, receive what each layer has to show, and terms that training adds to the loss.
  std::vector<LayerTaps>* taps = nullptr;
  std::vector<Value>* penalties = nullptr;
};

/// What the function of a layer kind works with: its inputs and its place in the graph.
class LayerBuild {
 public:
  /// What all layers of one network share while it is built.
  /// Takes the place of an array of a layer: (the layer, the array's name, the array).
  using ArrayChange = std::function<Value(const LayerBuild&, const std::string&, Value)>;
  struct Shared {
    BuildOptions options;
    int64_t next_stream = 1;    ///< Of random numbers: each layer takes some of its own.
    std::map<Id, Value> masks;  ///< By the value that a mask belongs to.
    ArrayChange change = {};    ///< What parameter() does with each array; empty: nothing.
  };
  LayerBuild(Graph& graph, const Layer& layer, std::vector<Value> sources, Shared& shared,
             LayerTaps& taps);

  Graph& graph() const { return graph_; }
  BuildMode mode() const { return mode_; }
  bool training() const { return mode_ == BuildMode::training; }
  bool streaming() const { return mode_ == BuildMode::streaming; }
  /// For activation functions: random numbers in training have a stream of this layer's own.
  const ActivationContext& context() const { return context_; }
  /// The values of the layers it is linked to, each [batch, …].
  const std::vector<Value>& sources() const { return sources_; }
  /// The sources as one value: the only one, or all flattened side by side.
  Value in() const;
  /// in() as [batch, features].
  Value flat() const;
  int64_t batch() const;

  /// A trained array of this layer; throws ShapeError when it has an absurd size.
  Value parameter(std::string name, Shape shape, const std::string& init) const;
  /// An array that is not trained but kept: running statistics, or, when streaming, what a
  /// recurrent layer carries from call to call. What exists in inference is saved with the network.
  Value state(std::string name, Shape shape, const std::string& init = "0", DType type = f32) const;
  /// In training and streaming, the state holds `value` after the run; else nothing happens. A
  /// layer that is used twice updates from its first use.
  void update(Value state, Value value) const;
  /// Uniform numbers in [0, 1), new in each training step; each call has its own. Throws ShapeError
  /// when the network is not built for training or got no key.
  Value random(Shape shape, DType type = f32);
  /// A term of the loss in training: regularizers, the divergence of a variational auto-encoder.
  void penalize(Value scalar) const;

  /// Which steps of the sequence in() are real: bool [batch, time]; empty when all are.
  Value mask() const;
  /// The same for one of several sources, or for what was built of them.
  Value mask(Value of) const;
  /// The mask that belongs to a value, which this layer returns or builds layers on.
  void set_mask(Value of, Value mask) const;

  /// Layers inside this one, the first over `x`; they may link to each other by name, and to `x` as
  /// "input". Their arrays are named "outer1/conv2d1/weights".
  Value build(std::span<const Layer> layers, Value x) const;
  Value build(const Layers& layers, Value x) const { return build(layers.list, x); }

  /// The same, and each trained array of the layers inside goes through `change` before it is used:
  /// normalized, regularized or masked weights.
  Value build(const Layers& layers, Value x, const ArrayChange& change) const;

  /// x through one activation function, or x [batch, …, neurons] through one per neuron.
  Value activate(Value x, const Activations& functions) const;
  /// To be filled in by kinds that have neurons.
  LayerTaps& taps() const { return taps_; }
  /// Throws ShapeError with the layer's name in front and the place of its description behind.
  [[noreturn]] void fail(std::string_view message) const;

 private:
  void check_size(std::string_view name, const Shape& shape) const;

  Graph& graph_;
  const Layer& layer_;
  std::vector<Value> sources_;
  Shared& shared_;
  BuildMode mode_;
  ActivationContext context_;
  LayerTaps& taps_;
  int64_t randoms_ = 0;
  mutable std::set<std::string, std::less<>> made_;  ///< Arrays of this layer.
};

}  // namespace soma
