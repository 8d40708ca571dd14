// The registry of layers, made from soma/layers.def, and the functions that describe them.
#include "src/nn/layer_kinds.h"

#include <utility>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma {

static Registry<LayerRow> built_in_layers() {
  Registry<LayerRow> registry("kind of layer");
  constexpr auto yes = HasNeurons::yes, no = HasNeurons::no;
#define SOMA_LAYER(name, neurons, does, source, note, parameters, arguments) \
  registry.add(                                                              \
      detail::layer_row({#name, does, source, note, {}}, build_##name, parameters, neurons));
#define SOMA_LAYER_ROW SOMA_LAYER
#include "soma/layers.def"
  return registry;
}

Registry<LayerRow>& layer_kinds() {
  static Registry<LayerRow> registry = built_in_layers();
  return registry;
}

#define SOMA_LAYER(name, ...)                                                                     \
  Layer name(LayerArgument a, LayerArgument b, LayerArgument c, LayerArgument d, LayerArgument e, \
             LayerArgument f, Where where) {                                                      \
    return Layer(#name, {a, b, c, d, e, f}, where);                                               \
  }
#define SOMA_LAYER_ROW(...)
#include "soma/layers.def"

// ---- those with arguments of their own

Layer input(Shape sample_shape, Where where) {
  return Layer("input", {join(sample_shape, "x")}, where);
}
Layer reshape_to(Shape sample_shape, Where where) {
  return Layer("reshape", {join(sample_shape, "x")}, where);
}

static Layer dense_layer(int64_t units, const Activations& functions, const DenseOptions& options,
                         Where where) {
  return Layer("dense",
               {std::to_string(units), functions.text(), options.bias, options.weights,
                options.bias_start, options.per_step},
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

}  // namespace soma
