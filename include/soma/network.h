// Networks: layers in sequence or as a graph, with their weights; and the glass box, which reads
// and changes single neurons.
//
//   Network net{input({28, 28}), dense(128, relu), dense(10)};
//   net.initialize(1);
//   Tensor scores = net.predict(images);              // any number of rows
//   net.neuron("hidden1", 7).set_bias(0.5f);
//
// The input layer is the data and is not counted: this is a network of two layers. A network is
// used by one thread at a time; copies are independent.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "soma/graph.h"
#include "soma/layers.h"
#include "soma/nn.h"
#include "soma/plan.h"
#include "soma/tensor.h"

namespace soma {

/// What is known of a layer without running it. Shapes are those of one sample.
struct LayerInfo {
  std::string name;
  std::string kind;
  std::string text;                  ///< As in Network::text().
  std::vector<std::string> sources;  ///< Names of the layers (or "input") it is linked to.
  Shape input, output;
  bool has_neurons = false;
  int64_t layers = 0;  ///< Layers with neurons: 1, or those inside a block.
  int64_t neurons = 0;
  int64_t links = 0;       ///< Trained connections that end in this layer.
  int64_t all_links = 0;   ///< The same before pruning.
  int64_t parameters = 0;  ///< Trained numbers: weights, biases, learned activations.
  int64_t frozen = 0;      ///< Neurons that training leaves as they are.
  /// Whether each neuron has weights of its own, a column of the layer's array "weights" or, with
  /// links of its own choice, those of its links. Else (convolutions, blocks) weights are shared.
  bool separate = false;
  std::vector<Link> link_list;           ///< Links of its own choice, one for each weight.
  int64_t flops = 0;                     ///< Per sample, forward; a multiply-add counts as two.
  std::vector<std::string> activations;  ///< One for the layer, or one per neuron.
  std::vector<std::string> tensors;      ///< Names in Network::tensors().
  std::vector<std::string> states;       ///< Those among them that are kept, not trained.
};

/// The same for the whole network.
struct NetworkInfo {
  Shape input, output;
  std::vector<LayerInfo> layers;  ///< All steps, also those without neurons, in order.
  int64_t layer_count = 0;        ///< Layers with neurons: the input is not counted.
  int64_t neurons = 0, links = 0, parameters = 0;
  int64_t flops = 0;             ///< Per sample, forward.
  int64_t parameter_bytes = 0;   ///< Of all tensors.
  int64_t activation_bytes = 0;  ///< Of the outputs of all layers for one sample.
};

/// The data a network takes: a name ("input" where there is one) and the shape of one sample.
struct NetworkInput {
  std::string name;
  Shape shape;
};
/// Values of a graph by the name of the layer (or input) they belong to.
using Values = std::map<std::string, Value, std::less<>>;

/// What one layer did with one sample. Vectors have one number per neuron.
struct LayerProbe {
  std::string name;
  Tensor in{Shape{0}};                ///< What arrived on the links, [in].
  Tensor activation_value{Shape{0}};  ///< w·x, [neurons]; [0] for layers without neurons.
  Tensor sum{Shape{0}};               ///< w·x + b, [neurons].
  Tensor out{Shape{0}};               ///< f(w·x + b), or the layer's result, in its shape.
  // With a target:
  Tensor out_gradient{Shape{0}};      ///< dL/dout: the gradient that reaches each neuron.
  Tensor sum_gradient{Shape{0}};      ///< dL/dsum: the same behind its activation function.
  Tensor weights_gradient{Shape{0}};  ///< dL/dw, [in, neurons]: each link's part in the error.
  Tensor bias_gradient{Shape{0}};     ///< dL/db, [neurons].
};

/// What the network did with one sample.
struct Probe {
  Tensor in, out;
  std::optional<double> loss;  ///< With a target.
  std::vector<LayerProbe> layers;
  /// Throws ArgumentError, naming the nearest, when there is no such layer.
  const LayerProbe& operator[](std::string_view layer) const;
};

class Network;

/// One neuron: a handle that reads and changes its part of the network. Valid while the network
/// lives and is not connected anew. Setters throw ArgumentError for numbers that are not finite.
class Neuron {
 public:
  const std::string& layer() const;
  int64_t index() const { return index_; }

  /// The weights of the links that end here, in the order of links().
  std::vector<float> weights() const;
  void set_weights(std::span<const float> weights);
  float weight(int64_t link) const;
  void set_weight(int64_t link, float weight);
  /// Where each link comes from: "input:3", "hidden1:0".
  std::vector<std::string> links() const;

  bool has_bias() const;
  /// Throws ArgumentError when the layer has no bias.
  float bias() const;
  void set_bias(float bias);

  Activation activation() const;
  /// Gives this neuron an activation function of its own; the others keep theirs.
  void set_activation(const Activation& activation);

  /// Training leaves its weights and bias exactly as they are, bit for bit.
  void freeze();
  void unfreeze();
  bool frozen() const;

 private:
  friend class Network;
  Neuron(Network& network, size_t layer, int64_t index)
      : network_(&network), layer_(layer), index_(index) {}
  const LayerInfo& row() const;
  const Tensor& array(std::string_view name) const;
  float& entry(std::string_view name, int64_t place);
  /// Where its weights are in the array "weights", in the order of links().
  std::vector<int64_t> places() const;
  int64_t place_of(int64_t link) const;
  void check(float value) const;

  Network* network_;
  size_t layer_;
  int64_t index_;
};

class Network {
 public:
  /// The first layers are the inputs, mostly one. Names the layers that have no name: hidden1,
  /// hidden2, …, output (the last one with neurons), others by kind and number. Adds a flatten
  /// before a dense layer only in effect: dense reads any shape. A layer without from() takes the
  /// one before. Throws GraphError for unknown or doubled names, links to a later layer or within a
  /// layer, and ShapeError for what does not fit; every message names the layer and the place of
  /// its description.
  Network(std::initializer_list<Layer> layers);
  explicit Network(std::vector<Layer> layers);
  /// From text, "128 relu, 10": see parse_layers(). The sample's shape is given here or as the
  /// first layer of the text ("input 28x28, 128 relu, 10").
  static Network parse(std::string_view text, std::optional<Shape> sample = {},
                       Where where = Where::here());
  /// Parses back to an equal network (without the weights).
  std::string text() const;

  // ---- structure
  /// The layers as described, with their final names; the input is not among them.
  std::span<const Layer> layers() const { return layers_; }
  std::span<const NetworkInput> inputs() const { return inputs_; }
  /// The layers whose values no other layer takes, the last layer last: the results.
  const std::vector<std::string>& outputs() const { return outputs_; }
  /// Of the first input, and of the last layer.
  const Shape& sample_shape() const { return inputs_[0].shape; }
  Shape output_shape() const { return info_.output; }
  /// Of that layer or input; throws ArgumentError, naming the nearest, when there is none.
  const Shape& shape_of(std::string_view name) const;
  /// The same layers and weights for samples of another shape: longer sequences, larger images.
  /// Throws ShapeError when an array would need another shape.
  Network resized(Shape sample_shape) const;
  const NetworkInfo& info() const { return info_; }
  /// Links all neurons of layer `from` (or "input") to those of the later layer `to`, past the
  /// layers in between. The new links start with weight 0: the network computes what it did.
  /// Throws GraphError for links within one layer ("h:1" to "h:2"), to an earlier layer, and for
  /// those that exist.
  void connect(std::string_view from, std::string_view to, Where where = Where::here());
  /// Layers, neurons, links, parameters, shapes and costs as a table.
  void summary(std::ostream& out) const;

  // ---- as a graph
  /// Appends the network to a graph: input [batch, …sample] to the last layer's [batch, …].
  /// Parameters are named "hidden1/weights", behind the open scopes; built again in the same scope,
  /// the network has the same weights. When streaming, a sequence may have another number of steps.
  Value build(Graph& graph, Value batch_input, const BuildOptions& options = {}) const;
  /// With several inputs, by name. Returns the values of all layers.
  Values build(Graph& graph, const Values& inputs, const BuildOptions& options = {}) const;
  /// The program from the data "input" [batch, …] to the result "output", or from all inputs by
  /// name; results other than the last layer are named "output/<layer>".
  Graph inference_graph(int64_t batch) const;
  /// The program for `steps` steps of a sequence; what layers carry from run to run is state.
  /// Throws ShapeError, naming the layer, when one needs the whole sequence at once.
  Graph streaming_graph(int64_t batch, int64_t steps = 1) const;
  /// Binds the parameters and states of this network, built in the scope `prefix`, for reading and
  /// writing. Throws what Plan::bind() throws.
  void bind(Plan& plan, std::string_view prefix = "");

  // ---- weights
  /// Gives every parameter and state its start value; the same seed gives the same bits. A new
  /// network is initialized with seed 0.
  void initialize(uint64_t seed);
  /// True until initialize(), a change of a tensor or the loading of weights: fit() initializes
  /// such a network with its own seed.
  bool fresh() const { return fresh_; }
  /// Parameters and states by name, with addresses that stay until connect() or set_activation().
  /// The writable form ends fresh().
  Tensors& tensors();
  const Tensors& tensors() const { return tensors_; }
  /// Rises when tensors were added, removed or shaped anew: plans bound to them are out of date.
  uint64_t structure_version() const { return version_; }

  // ---- freezing
  /// Whole layers, whatever their kind; single neurons where each has weights of its own.
  void freeze(std::string_view layer);
  void freeze(std::string_view layer, int64_t neuron);
  void unfreeze(std::string_view layer);
  void unfreeze(std::string_view layer, int64_t neuron);
  /// For the optimizer: by the name of each parameter with frozen neurons, an f32 array of the
  /// parameter's shape with 1 where training may change it and 0 elsewhere.
  Tensors masks() const;

  // ---- pruning
  /// Cuts links: sets that fraction of the weights that are left to 0, the smallest in magnitude
  /// over all given layers together (all layers when none is given), and leaves them out of
  /// training and counts from now on; go on with fit() to fine-tune the rest (LeCun+ 1990; Han+
  /// 2015). Weights are the trained arrays of two and more axes, and those of links of one's own
  /// choice; biases stay. Returns how many links were cut. Throws ArgumentError for a fraction
  /// outside [0, 1] and unknown layers.
  int64_t prune(double fraction, std::span<const std::string> layers = {});

  // ---- use
  /// The results for any number of samples [n, …sample]: [n, …output]. Plans are kept for the next
  /// call with as many rows. Throws ShapeError.
  Tensor predict(const Tensor& inputs, const Device& device) const;
  /// On a CPU device of the network's own, with every core.
  Tensor predict(const Tensor& inputs) const;
  /// Several inputs and results, each by its name.
  Tensors predict(const Tensors& inputs, const Device& device) const;
  Tensors predict(const Tensors& inputs) const;

  // ---- the glass box
  /// Throws ArgumentError for a layer without neurons and an index out of range.
  Neuron neuron(std::string_view layer, int64_t index);
  /// Everything about one sample ([…sample], or [1, …sample]), forward.
  Probe probe(const Tensor& sample) const;
  /// Forward and backward: `target` is what `loss` compares one sample with, with or without a
  /// batch axis of 1.
  Probe probe(const Tensor& sample, const Tensor& target, const Loss& loss) const;

  /// Text and tensors equal, bit for bit.
  friend bool operator==(const Network& a, const Network& b);

 private:
  friend class Neuron;
  friend class NetworkFile;  // Reads the structure before any array exists.
  struct WithoutTensors {};
  Network(std::vector<Layer> layers, WithoutTensors);

  /// Plans of predict(). A copy of a network starts without.
  struct Plans {
    Plans() = default;
    Plans(const Plans&) {}
    Plans(Plans&&) noexcept = default;
    Plans& operator=(const Plans&) {
      cache.reset();
      return *this;
    }
    Plans& operator=(Plans&&) noexcept = default;
    std::shared_ptr<void> cache;
  };

  Probe probe(const Tensor& sample, const Tensor* target, const Loss* loss) const;
  void describe();
  void count(const Graph& graph, std::span<const Id> ends);
  Values build(Graph& graph, const Values& inputs, const BuildOptions& options,
               std::vector<Id>* ends) const;
  Graph graph_of(int64_t batch, BuildMode mode, int64_t steps) const;
  const Device& own_device() const;
  /// Inputs and results in the order of inputs() and outputs().
  std::vector<Tensor> predict(const std::vector<const Tensor*>& inputs, const Device& device) const;
  void check_frozen(const Layer& layer, LayerInfo& row) const;
  void count_pruned();
  void allocate();
  void restructure(std::vector<Layer> layers);
  size_t layer_index(std::string_view name) const;
  void set_frozen(std::string_view layer, std::optional<int64_t> neuron, bool frozen);

  std::vector<NetworkInput> inputs_;
  std::vector<std::string> outputs_;
  Where where_;
  std::vector<Layer> layers_;
  NetworkInfo info_;
  Tensors tensors_;
  bool fresh_ = true;
  uint64_t version_ = 0;
  mutable Plans plans_;
};

}  // namespace soma
