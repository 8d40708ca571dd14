// Layers: what a network is described with.
//
// A Layer is a description (kind, arguments, name, sources), a plain value without arrays. What a
// kind of layer computes, which arguments it takes and how it is documented is one LayerKind row in
// the registry: text form, building, help and documentation all follow from it. A new kind is one
// function plus one row.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "soma/graph.h"
#include "soma/nn.h"

namespace soma {

// ---------------------------------------------------------------- layers

/// The value of one argument of a layer.
using LayerArg = std::variant<bool, int64_t, double, std::string, Shape, std::vector<Activation>>;
using LayerArgs = std::map<std::string, LayerArg, std::less<>>;

/// Neurons that no training step changes.
struct Frozen {
  bool all = false;
  std::vector<int64_t> neurons;  ///< Increasing; empty when `all`.
  bool any() const { return all || !neurons.empty(); }
  bool contains(int64_t neuron) const;
  friend bool operator==(const Frozen&, const Frozen&) = default;
};

/// One layer of a network, as described: `dense(128, relu).named("hidden").from({"input"})`.
class Layer {
 public:
  /// Usually made by the functions below. Throws ArgumentError for a kind the registry does not
  /// have and for arguments that kind does not take or that are out of range.
  explicit Layer(std::string kind, LayerArgs args = {}, Where where = Where::here());

  /// The same layer under that name: letters, digits, '_', '-' and '.', not starting with a digit.
  Layer named(std::string name) const;
  /// The same layer fed by those layers (or "input") instead of by the one before it. A layer that
  /// takes one input gets their outputs side by side: links that skip layers.
  Layer from(std::vector<std::string> layers) const;
  /// The same layer with some of its neurons, or all, frozen.
  Layer with_frozen(Frozen frozen) const;

  const std::string& kind() const { return kind_; }
  const std::string& name() const { return name_; }  ///< "" until a network names it.
  const std::vector<std::string>& sources() const { return sources_; }  ///< Empty: the one before.
  const LayerArgs& args() const { return args_; }
  const Frozen& frozen() const { return frozen_; }
  Where where() const { return where_; }
  /// The same layer with one argument changed; checked as in the constructor.
  Layer with(std::string_view argument, LayerArg value) const;
  /// "128 relu", "activation softmax name=chances": what parse_layers() reads back.
  std::string text() const;
  friend bool operator==(const Layer& a, const Layer& b);  ///< `where` does not count.

 private:
  std::string kind_;
  LayerArgs args_;
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
  /// of the relu family, glorot_uniform before others.
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
/// "3 [relu tanh sigmoid]", "dense(units=5, activation=elu(alpha=0.5), bias=no)", "softmax". Throws
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

/// What the function of a layer kind works with: its inputs, its arguments, its place in the graph.
class LayerBuild {
 public:
  LayerBuild(Graph& graph, const Layer& layer, std::vector<Value> sources, bool training,
             LayerTaps& taps);

  Graph& graph() const { return graph_; }
  bool training() const { return training_; }
  /// The values of the layers it is linked to, each [batch, …].
  const std::vector<Value>& sources() const { return sources_; }
  /// The sources as one value: the only one, or all flattened side by side.
  Value in() const;
  /// in() as [batch, features].
  Value flat() const;
  int64_t batch() const;

  bool flag(std::string_view argument) const { return get<bool>(argument); }
  int64_t integer(std::string_view argument) const { return get<int64_t>(argument); }
  double number(std::string_view argument) const { return get<double>(argument); }
  const std::string& text(std::string_view argument) const { return get<std::string>(argument); }
  const Shape& shape(std::string_view argument) const { return get<Shape>(argument); }
  const std::vector<Activation>& activations(std::string_view argument) const {
    return get<std::vector<Activation>>(argument);
  }

  /// A trained array of this layer; throws ShapeError when it has an absurd size.
  Value parameter(std::string name, Shape shape, const std::string& init) const;
  /// x [batch, neurons] through one activation function, or through one per neuron.
  Value activate(Value x, const std::vector<Activation>& functions) const;
  /// To be filled in by kinds that have neurons.
  LayerTaps& taps() const { return taps_; }
  /// Throws ShapeError with the layer's name in front and the place of its description behind.
  [[noreturn]] void fail(std::string_view message) const;

 private:
  const LayerArg& find(std::string_view argument) const;
  template <class T>
  const T& get(std::string_view argument) const {
    return std::get<T>(find(argument));
  }

  Graph& graph_;
  const Layer& layer_;
  std::vector<Value> sources_;
  bool training_;
  LayerTaps& taps_;
};

// ---------------------------------------------------------------- the registry

/// One argument of a layer kind.
struct LayerField {
  enum class Type : uint8_t { flag, integer, number, text, shape, activations };
  std::string name;
  Type type;
  std::string fallback;     ///< The value, as text, when the argument is left out; "" = required.
  std::string description;  ///< For the documentation and the help.
  bool positional = false;  ///< May be given without its name, in the order of the fields.
};

/// One row of the registry.
struct LayerKind {
  std::string name;
  std::string description;  ///< One sentence.
  bool has_neurons = false;
  std::vector<LayerField> fields;
  std::function<Value(LayerBuild&)> build;  ///< [batch, …] in, [batch, …] out.
  /// Optional: throws ArgumentError for arguments that do not go together.
  std::function<void(const LayerArgs&)> check;
};

/// Every kind, in the order of the documentation.
std::vector<const LayerKind*> layer_kinds();
/// Throws ArgumentError, naming the nearest, when there is no such kind.
const LayerKind& layer_kind(std::string_view name);
/// Adds a kind of the program's own, to be used as Layer("its name", {…}) and in text; throws
/// ArgumentError when the name is taken. Do this before other threads describe networks.
void register_layer(LayerKind kind);
/// The registry as a Markdown table.
std::string layer_documentation();

}  // namespace soma
