// The layers: for each kind a function that builds it, and at the end the table that gives it its
// name, parameters and documentation. A new layer is a function and a row here.
#include "soma/layers.h"

#include <utility>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma {

namespace {

/// The initializer for weights in front of an activation: He+ 2015 for the relu family, LeCun+ 1998
/// for selu (Klambauer+ 2017), else Glorot and Bengio 2010.
std::string start_of_weights(const Start& wish, const Activation& activation) {
  if (wish.text != "auto") return wish.text;
  if (activation.name() == "selu") return "lecun_normal";
  return activation.name().find("relu") != std::string::npos ? "he_uniform" : "glorot_uniform";
}

Value build_dense(LayerBuild& at, int64_t units, Activations activation, bool bias, Start weights,
                  Start bias_start) {
  if (activation.per_neuron() && static_cast<int64_t>(activation.list.size()) != units) {
    at.fail(cat("has ", units, " neurons but ", activation.list.size(),
                " activation functions; give one for all or one per neuron"));
  }
  if (units < 1) at.fail(cat("has ", units, " neurons; a layer has at least one"));
  const Value x = at.flat();
  const int64_t inputs = x.extent(1);
  LayerTaps& taps = at.taps();
  taps.in = x;
  taps.weights =
      at.parameter("weights", {inputs, units}, start_of_weights(weights, activation.list[0]));
  taps.activation_value = taps.sum = dot(x, taps.weights);
  if (bias) {
    taps.bias = at.parameter("bias", {units}, bias_start.text);
    taps.sum = taps.activation_value + taps.bias;
  }
  taps.links = inputs * units;
  return at.activate(taps.sum, activation);
}

Value build_activation(LayerBuild& at, Activations function) {
  return at.activate(at.in(), function);
}

Value build_input(LayerBuild& at, Shape) { return at.in(); }

Value build_flatten(LayerBuild& at) { return at.flat(); }

Value build_reshape(LayerBuild& at, Shape sample) {
  const Value x = at.in();
  const int64_t numbers = x.shape().elements() / at.batch();
  // Extents from text may be absurd: divide, which cannot overflow.
  int64_t rest = numbers;
  for (const int64_t extent : sample) rest = rest % extent ? 0 : rest / extent;
  if (rest != 1 || sample.size() == Shape::max_size) {
    at.fail(cat("a sample has ", numbers, " numbers, which do not fill the shape ", sample));
  }
  Shape shape{at.batch()};
  for (const int64_t extent : sample) shape.push_back(extent);
  return reshape(x, shape);
}

Value build_add(LayerBuild& at) {
  Value total = at.sources()[0];
  for (size_t i = 1; i < at.sources().size(); ++i) {
    const Value next = at.sources()[i];
    if (next.shape() != total.shape()) {
      at.fail(cat("its sources have different shapes, ", total.shape(), " and ", next.shape(),
                  " (with the batch in front); only equal shapes can be added"));
    }
    total = total + next;
  }
  return total;
}

Value build_concat(LayerBuild& at) { return at.flat(); }

void define_built_in_layers() {
  define_layer("input", build_input, "shape",
               "The data: one sample of that shape. Always first; not counted as a layer.");
  define_layer("dense", build_dense,
               "units, activation=identity, bias=true, weights=auto, bias_start=0",
               "Neurons that are each linked to every input: y = f(w·x + b). `activation` is f, or "
               "a list with one for each neuron; `weights` and `bias_start` say how they start.",
               HasNeurons::yes);
  define_layer("activation", build_activation, "function",
               "An activation function as a step of its own.");
  define_layer("flatten", build_flatten, "", "All axes of the sample in a row.");
  define_layer("reshape", build_reshape, "shape",
               "The sample under another shape of as many elements.");
  define_layer("add", build_add, "", "The sum of its sources, element by element.");
  define_layer("concat", build_concat, "", "Its sources side by side.");
}

}  // namespace

Registry<LayerRow>& layer_kinds() {
  static Registry<LayerRow> kinds("kind of layer");
  // The rows are added through this function, which finds the registry made by then.
  static bool defined = false;
  if (!std::exchange(defined, true)) define_built_in_layers();
  return kinds;
}

// ---- the functions that describe them

Layer input(Shape sample_shape, Where where) {
  return Layer("input", {join(sample_shape, "x")}, where);
}
Layer flatten(Where where) { return Layer("flatten", {}, where); }
Layer reshape_to(Shape sample_shape, Where where) {
  return Layer("reshape", {join(sample_shape, "x")}, where);
}

static Layer dense_layer(int64_t units, const Activations& functions, const DenseOptions& options,
                         Where where) {
  return Layer(
      "dense",
      {std::to_string(units), functions.text(), options.bias, options.weights, options.bias_start},
      where);
}
Layer dense(int64_t units, Activation activation, DenseOptions options, Where where) {
  return dense_layer(units, {{std::move(activation)}}, options, where);
}
Layer dense(std::vector<Activation> one_per_neuron, DenseOptions options, Where where) {
  if (one_per_neuron.empty()) {
    throw ArgumentError("dense({…}) needs an activation function for each neuron, found none");
  }
  const auto units = static_cast<int64_t>(one_per_neuron.size());
  return dense_layer(units, {std::move(one_per_neuron)}, options, where);
}
Layer activation(Activation function, Where where) {
  return Layer("activation", {function.text()}, where);
}
Layer add(Where where) { return Layer("add", {}, where); }
Layer concat(Where where) { return Layer("concat", {}, where); }

}  // namespace soma
