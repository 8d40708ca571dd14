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
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
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

template <>
struct Reader<int64_t> {
  static int64_t read(std::string_view text);
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

/// One kind of layer.
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
/// Adds a kind. `build` takes a LayerBuild& and then its arguments, which the specification names
/// and gives defaults: "units, scale=1 in (0,inf)". Do this before other threads describe
/// networks.
template <class... Args>
void define_layer(std::string name, Value (*build)(LayerBuild&, Args...),
                  std::string_view specification, std::string description,
                  HasNeurons has_neurons = HasNeurons::no) {
  using Binder = detail::Bind<Value, LayerBuild&>;
  LayerRow row;
  row.name = std::move(name);
  row.formula = std::move(description);
  row.parameters = Binder::parameters(build, specification);
  row.has_neurons = has_neurons == HasNeurons::yes;
  row.build = Binder::call(build);
  layer_kinds().add(std::move(row));
}

// ---------------------------------------------------------------- layers

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
  /// The same layer, said to be described there.
  Layer placed(Where where) const;
  /// The same layer with one argument changed.
  Layer with(std::string_view parameter, const Argument& argument) const;

  const LayerRow& row() const { return call_.row(); }
  const std::string& kind() const { return call_.name(); }
  std::span<const std::string> arguments() const { return call_.arguments(); }
  /// The text of one argument; throws ArgumentError when this kind has no such parameter.
  const std::string& argument(std::string_view parameter) const;
  bool has_argument(std::string_view parameter) const;
  const std::string& name() const { return name_; }  ///< "" until a network names it.
  const std::vector<std::string>& sources() const { return sources_; }  ///< Empty: the one before.
  const Frozen& frozen() const { return frozen_; }
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
  Where where_;
};

/// The data, one sample of that shape; not counted as a layer. Its name is "input".
Layer input(Shape sample_shape, Where where = Where::here());
/// All axes of the sample in a row. No neurons.
Layer flatten(Where where = Where::here());
/// The sample under another shape of as many elements. No neurons.
Layer reshape_to(Shape sample_shape, Where where = Where::here());

/// Arguments of dense layers that are rarely changed.
struct DenseOptions {
  bool bias = true;
  /// How the weights start: an initializer of soma/nn.h; "auto" is he_uniform before activations
  /// of the relu family, lecun_normal before selu, glorot_uniform before others.
  std::string weights = "auto";
  std::string bias_start = "0";
};
/// `units` neurons, each linked to every input: y = f(w·x + b). Input [features] (other shapes are
/// flattened), output [units]. Parameters "weights" [features, units] and "bias" [units], and those
/// that the activation learns.
Layer dense(int64_t units, Activation activation = identity, DenseOptions options = {},
            Where where = Where::here());
/// As many neurons as activation functions: each neuron has its own.
Layer dense(std::vector<Activation> one_per_neuron, DenseOptions options = {},
            Where where = Where::here());
/// An activation function as a step of its own, for example softmax. No neurons.
Layer activation(Activation function, Where where = Where::here());
/// The sum of its sources, element by element (residual links): give them with from().
Layer add(Where where = Where::here());
/// Its sources side by side: give them with from().
Layer concat(Where where = Where::here());

/// Layers from text, one per comma: "28x28, 128 relu, 10", "64 tanh name=h, 10 from=input+h",
/// "[relu tanh sigmoid]", "dense(units=5 activation=elu(alpha=0.5) bias=false)", "softmax". Throws
/// ArgumentError that quotes the part it could not read.
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
};

/// What the function of a layer kind works with: its inputs and its place in the graph.
class LayerBuild {
 public:
  LayerBuild(Graph& graph, const Layer& layer, std::vector<Value> sources,
             ActivationContext context, LayerTaps& taps);

  Graph& graph() const { return graph_; }
  bool training() const { return context_.training; }
  /// Random numbers in training: the key, and a stream of this layer's own.
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
  /// x through one activation function, or x [batch, neurons] through one per neuron.
  Value activate(Value x, const Activations& functions) const;
  /// To be filled in by kinds that have neurons.
  LayerTaps& taps() const { return taps_; }
  /// Throws ShapeError with the layer's name in front and the place of its description behind.
  [[noreturn]] void fail(std::string_view message) const;

 private:
  Graph& graph_;
  const Layer& layer_;
  std::vector<Value> sources_;
  ActivationContext context_;
  LayerTaps& taps_;
};

}  // namespace soma
