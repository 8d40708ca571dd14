// The layers: for each kind what it computes, and at the end the table that gives it its name,
// arguments and documentation. A new layer is a function and a row here.
#include <utility>

#include "soma/error.h"
#include "soma/layers.h"
#include "src/base/text.h"
#include "src/nn/layer_kinds.h"

namespace soma {

namespace {

using Type = LayerField::Type;

/// The initializer for weights in front of an activation: He+ 2015 for the relu family, LeCun+ 1998
/// for selu (Klambauer+ 2017), else Glorot and Bengio 2010.
std::string start_of_weights(const std::string& wish, const std::vector<Activation>& functions) {
  if (wish != "auto") return wish;
  const std::string name = functions[0].text();
  if (name.starts_with("selu")) return "lecun_normal";
  return name.find("relu") != name.npos ? "he_uniform" : "glorot_uniform";
}

Value build_dense(LayerBuild& at) {
  const Value x = at.flat();
  const int64_t inputs = x.extent(1), units = at.integer("units");
  const auto& functions = at.activations("activation");
  LayerTaps& taps = at.taps();
  taps.in = x;
  taps.weights =
      at.parameter("weights", {inputs, units}, start_of_weights(at.text("weights"), functions));
  taps.activation_value = taps.sum = dot(x, taps.weights);
  if (at.flag("bias")) {
    taps.bias = at.parameter("bias", {units}, at.text("bias_start"));
    taps.sum = taps.activation_value + taps.bias;
  }
  taps.links = inputs * units;
  return at.activate(taps.sum, functions);
}

void check_dense(const LayerArgs& args) {
  const int64_t units = std::get<int64_t>(args.at("units"));
  const auto& functions = std::get<std::vector<Activation>>(args.at("activation"));
  if (units < 1) throw ArgumentError(cat("a layer has at least one neuron, found ", units));
  if (functions.empty()) throw ArgumentError("the list of activation functions is empty");
  if (functions.size() != 1 && static_cast<int64_t>(functions.size()) != units) {
    throw ArgumentError(cat("the layer has ", units, " neurons but ", functions.size(),
                            " activation functions; give one for all or one per neuron"));
  }
}

Value build_activation(LayerBuild& at) {
  const Value x = at.in();
  return at.activate(x, at.activations("function"));
}

Value build_flatten(LayerBuild& at) { return at.flat(); }

Value build_reshape(LayerBuild& at) {
  const Value x = at.in();
  const Shape& sample = at.shape("shape");
  if (sample.elements() * at.batch() != x.shape().elements()) {
    at.fail(cat("a sample has ", x.shape().elements() / at.batch(), " numbers, the shape ",
                sample, " needs ", sample.elements()));
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

Value build_concat(LayerBuild& at) { return at.in(); }

Value build_input(LayerBuild& at) { return at.in(); }

}  // namespace

std::deque<LayerKind> built_in_layer_kinds() {
  const std::string shape_help = "extents of one sample, without the batch: 28x28";
  return {
      {"input",
       "The data: one sample. Not counted as a layer; always the first.",
       false,
       {{"shape", Type::shape, "", shape_help, true}},
       build_input,
       {}},
      {"dense",
       "Neurons that are each linked to every input: y = f(w·x + b).",
       true,
       {{"units", Type::integer, "", "number of neurons", true},
        {"activation", Type::activations, "identity", "f, or a list with one for each neuron",
         true},
        {"bias", Type::flag, "yes", "whether each neuron has a bias"},
        {"weights", Type::text, "auto", "how the weights start; auto fits the activation"},
        {"bias_start", Type::text, "0", "how the biases start"}},
       build_dense,
       check_dense},
      {"activation",
       "An activation function as a step of its own.",
       false,
       {{"function", Type::activations, "", "the function", true}},
       build_activation,
       {}},
      {"flatten", "All axes of the sample in a row.", false, {}, build_flatten, {}},
      {"reshape",
       "The sample under another shape of as many elements.",
       false,
       {{"shape", Type::shape, "", shape_help, true}},
       build_reshape,
       {}},
      {"add", "The sum of its sources, element by element.", false, {}, build_add, {}},
      {"concat", "Its sources side by side.", false, {}, build_concat, {}},
  };
}

// ---- the functions that make them

Layer input(Shape sample_shape, Where where) {
  return Layer("input", {{"shape", sample_shape}}, where);
}
Layer flatten(Where where) { return Layer("flatten", {}, where); }
Layer reshape_to(Shape sample_shape, Where where) {
  return Layer("reshape", {{"shape", sample_shape}}, where);
}
Layer dense(std::vector<Activation> one_per_neuron, DenseOptions options, Where where) {
  const auto units = static_cast<int64_t>(one_per_neuron.size());
  return Layer("dense",
               {{"units", units},
                {"activation", std::move(one_per_neuron)},
                {"bias", options.bias},
                {"weights", std::move(options.weights)},
                {"bias_start", std::move(options.bias_start)}},
               where);
}
Layer dense(int64_t units, Activation activation, DenseOptions options, Where where) {
  return dense(std::vector{std::move(activation)}, std::move(options), where).with("units", units);
}
Layer activation(Activation function, Where where) {
  return Layer("activation", {{"function", std::vector{std::move(function)}}}, where);
}
Layer add(Where where) { return Layer("add", {}, where); }
Layer concat(Where where) { return Layer("concat", {}, where); }

}  // namespace soma
