// Layers whose filters look at windows of [channels, spatial…].
#include <cmath>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/layer_kinds.h"
#include "src/nn/layer_spatial.h"
#include "src/nn/window.h"

namespace soma {

namespace {

/// `auto` for an array whose shape does not tell how many links enter and leave a neuron.
std::string start_with(const Start& wish, const Activation& activation, const Shape& shape,
                       double fan_in, double fan_out) {
  const std::string name = start_of_weights(wish, activation);
  if (wish.text != "auto" || fans(shape) == std::pair(fan_in, fan_out)) return name;
  if (name == "lecun_normal") return cat("normal(std=", number(std::sqrt(1 / fan_in)), ")");
  const double limit = std::sqrt(6 / (name == "he_uniform" ? fan_in : fan_in + fan_out));
  return cat("uniform(low=", number(-limit), " high=", number(limit), ")");
}

double product(const Dims& window) {
  double result = 1;
  for (const int64_t size : window) result *= static_cast<double>(size);
  return result;
}

Shape with_window(Shape shape, const Dims& window) {
  for (const int64_t size : window) shape.push_back(size);
  return shape;
}

int64_t channels_of_groups(const LayerBuild& at, Value x, int64_t filters, int64_t groups) {
  if (x.extent(1) % groups || filters % groups) {
    at.fail(cat("has ", x.extent(1), " channels and ", filters, " filters, which do not divide ",
                "into ", groups, " groups"));
  }
  return x.extent(1) / groups;
}

/// What follows the products: bias and activation, for [batch, filters, places…].
struct Finish {
  const Activations& activation;
  bool bias;
  const Start& bias_start;
};
Value finish(LayerBuild& at, Value sum, const Finish& how) {
  const int64_t filters = sum.extent(1);
  LayerTaps& taps = at.taps();
  taps.activation_value = taps.sum = sum;
  if (how.bias) {
    taps.bias = at.parameter("bias", {filters}, how.bias_start.text);
    Shape shape = Shape::filled(sum.rank() - 1, 1);
    shape[0] = filters;
    taps.sum = sum + reshape(taps.bias, shape);
  }
  return activate_channels(at, taps.sum, how.activation);
}

Value build_conv(LayerBuild& at, int axes, int64_t filters, const Extents& kernel,
                 const ConvOptions& options, const Start& weights, const Finish& how) {
  const Value x = spatial_input(at, axes);
  const int64_t inputs = channels_of_groups(at, x, filters, options.groups);
  LayerTaps& taps = at.taps();
  return fitted(at, [&] {
    const Dims window = kernel.over(axes);
    const auto places =
        window_axes("convolution", x.shape(),
                    {window, options.stride, options.dilation, options.padding, false});
    const Shape shape = with_window({filters, inputs}, window);
    const double each = product(window);
    const auto into = static_cast<double>(inputs) * each;
    const auto out_of = static_cast<double>(filters / options.groups) * each;
    taps.weights = at.parameter("weights", shape,
                                start_with(weights, how.activation.list[0], shape, into, out_of));
    taps.links = links_of(places) * inputs * filters;
    return finish(at, convolution(x, taps.weights, options), how);
  });
}

}  // namespace

#define SOMA_CONV(axes)                                                                 \
  Value build_conv##axes##d(LayerBuild& at, int64_t filters, Extents kernel,            \
                            Activations activation, Extents stride, Padding padding,    \
                            Extents dilation, int64_t groups, bool bias, Start weights, \
                            Start bias_start) {                                         \
    const ConvOptions options{dims_of(stride), padding, dims_of(dilation), groups};     \
    return build_conv(at, axes, filters, kernel, options, weights,                      \
                      {activation, bias, bias_start});                                  \
  }
SOMA_CONV(1)
SOMA_CONV(2)
SOMA_CONV(3)
#undef SOMA_CONV

// ---- one filter for each channel

namespace {

struct Depthwise {
  const Extents& kernel;
  int64_t multiplier;
  ConvOptions options;
};
/// The convolution of each channel with the array `name`; `links` is set to how many there are.
Value depthwise_part(LayerBuild& at, Value x, const Depthwise& d, const std::string& name,
                     const Start& weights, const Activation& activation, Value& array) {
  const Dims window = d.kernel.over(x.rank() - 2);
  const auto places =
      window_axes("depthwise convolution", x.shape(),
                  {window, d.options.stride, d.options.dilation, d.options.padding, false});
  const int64_t outputs = x.extent(1) * d.multiplier;
  const Shape shape = with_window({outputs, 1}, window);
  const double each = product(window);
  array = at.parameter(
      name, shape,
      start_with(weights, activation, shape, each, each * static_cast<double>(d.multiplier)));
  at.taps().links = links_of(places) * outputs;
  return depthwise_convolution(x, array, d.options);
}

}  // namespace

Value build_depthwise_conv(LayerBuild& at, Extents kernel, Activations activation,
                           int64_t multiplier, Extents stride, Padding padding, Extents dilation,
                           bool bias, Start weights, Start bias_start) {
  const Value x = spatial_input(at);
  const Depthwise d{kernel, multiplier, {dims_of(stride), padding, dims_of(dilation), 1}};
  return fitted(at, [&] {
    const Value each =
        depthwise_part(at, x, d, "weights", weights, activation.list[0], at.taps().weights);
    return finish(at, each, {activation, bias, bias_start});
  });
}

Value build_separable_conv(LayerBuild& at, int64_t filters, Extents kernel, Activations activation,
                           int64_t multiplier, Extents stride, Padding padding, Extents dilation,
                           bool bias, Start weights, Start bias_start) {
  const Value x = spatial_input(at);
  const Depthwise d{kernel, multiplier, {dims_of(stride), padding, dims_of(dilation), 1}};
  return fitted(at, [&] {
    Value depthwise;
    const Value each =
        depthwise_part(at, x, d, "depthwise", weights, activation_named("identity"), depthwise);
    const int64_t inputs = each.extent(1);
    Shape shape = Shape::filled(x.rank(), 1);
    shape[0] = filters;
    shape[1] = inputs;
    LayerTaps& taps = at.taps();
    taps.weights = at.parameter("weights", shape, start_of_weights(weights, activation.list[0]));
    const Value sum = convolution(each, taps.weights);
    taps.links += sum.shape().elements() / at.batch() * inputs;
    return finish(at, sum, {activation, bias, bias_start});
  });
}

// ---- other directions

Value build_conv_transpose(LayerBuild& at, int64_t filters, Extents kernel, Activations activation,
                           Extents stride, Padding padding, Extents output_padding,
                           Extents dilation, int64_t groups, bool bias, Start weights,
                           Start bias_start) {
  const Value x = spatial_input(at);
  const int64_t inputs = channels_of_groups(at, x, filters, groups);
  const TransposedConvOptions options{dims_of(stride),         padding, dims_of(dilation), groups,
                                      dims_of(output_padding), {}};
  LayerTaps& taps = at.taps();
  return fitted(at, [&] {
    const Dims window = kernel.over(x.rank() - 2);
    const auto places = transposed_axes("transposed convolution", x.shape(), window, options);
    const Shape shape = with_window({x.extent(1), filters / groups}, window);
    const double each = product(window);
    const auto into = static_cast<double>(inputs) * each;
    const auto out_of = static_cast<double>(filters / groups) * each;
    taps.weights = at.parameter("weights", shape,
                                start_with(weights, activation.list[0], shape, into, out_of));
    taps.links = links_of(places) * inputs * filters;
    return finish(at, transposed_convolution(x, taps.weights, options),
                  {activation, bias, bias_start});
  });
}

Value build_locally_connected(LayerBuild& at, int64_t filters, Extents kernel,
                              Activations activation, Extents stride, Padding padding, bool bias,
                              Start weights, Start bias_start) {
  const Value x = spatial_input(at);
  const ConvOptions options{dims_of(stride), padding};
  LayerTaps& taps = at.taps();
  return fitted(at, [&] {
    const Dims window = kernel.over(x.rank() - 2);
    const auto axes =
        window_axes("locally connected", x.shape(), {window, options.stride, {}, padding, false});
    int64_t places = 1, numbers = x.extent(1);
    for (const WindowAxis& axis : axes) places *= axis.places, numbers *= axis.size;
    const Shape shape{places, numbers, filters};
    taps.weights =
        at.parameter("weights", shape,
                     start_with(weights, activation.list[0], shape, static_cast<double>(numbers),
                                static_cast<double>(filters)));
    taps.links = links_of(axes) * x.extent(1) * filters;
    taps.activation_value = taps.sum = locally_connected(x, taps.weights, window, options);
    if (bias) {
      const Shape sums = taps.sum.shape();
      taps.bias =
          at.parameter("bias", Shape(std::span(sums.begin() + 1, sums.end())), bias_start.text);
      taps.sum = taps.sum + taps.bias;
    }
    return activate_channels(at, taps.sum, activation);
  });
}

// ---- sequences

Value build_causal_conv(LayerBuild& at, int64_t filters, int64_t kernel, Activations activation,
                        int64_t dilation, bool bias, Start weights, Start bias_start) {
  const Value x = at.in();
  if (x.rank() != 3) {
    at.fail(cat("takes sequences [time, features], found a batch of shape ", x.shape()));
  }
  constexpr int64_t longest = int64_t{1} << 31;
  if (kernel >= longest || dilation >= longest) at.fail("has a window that no sequence fills");
  const int64_t before = dilation * (kernel - 1), features = x.extent(2);
  const Shape shape{filters, features, kernel};
  LayerTaps& taps = at.taps();
  taps.in = x;
  taps.weights = at.parameter("weights", shape, start_of_weights(weights, activation.list[0]));
  // The steps before: zeros, or, when streaming, those of the last call.
  const Shape past_shape{at.batch(), before, features};
  Value past;
  if (before > 0) {
    past = at.streaming() ? at.state("past", past_shape, "0", x.type())
                          : at.graph().constant(0, past_shape, x.type());
  }
  const Value all = past ? concat({past, x}, 1) : x;
  if (past && at.streaming()) {
    at.update(past, slice_axis(all, 1, x.extent(1), x.extent(1) + before));
  }
  // Each step's window is a row of one product.
  const Value windows = reshape(unfold(all, 1, kernel, 1, dilation), {-1, features * kernel});
  Value sum = dot(windows, reshape(taps.weights, {filters, features * kernel}), false, true);
  const Shape steps{x.extent(0), x.extent(1), filters};
  taps.activation_value = reshape(sum, steps);
  if (bias) {
    taps.bias = at.parameter("bias", {filters}, bias_start.text);
    sum = sum + taps.bias;
  }
  taps.sum = reshape(sum, steps);
  WindowAxis axis{x.extent(1), kernel, 1, dilation, before, 0, x.extent(1), 0};
  taps.links = links_of({axis}) * features * filters;
  return at.activate(taps.sum, activation);
}

// ---- gates

Value build_squeeze_excite(LayerBuild& at, int64_t reduction, Activations activation,
                           Activations gate) {
  const Value x = spatial_input(at);
  const int64_t channels = x.extent(1), hidden = std::max<int64_t>(channels / reduction, 1);
  Dims places;
  Shape factors{at.batch(), channels};
  for (int i = 2; i < x.rank(); ++i) places.push_back(i), factors.push_back(1);
  const auto one = [&](const Activations& functions) {
    if (functions.per_neuron()) at.fail("takes one activation function for all its neurons");
    return functions.list[0];
  };
  const Layer inside[] = {dense(hidden, one(activation)), dense(channels, one(gate))};
  const Value factor = at.build(inside, mean(x, places));
  if (factor.extent(1) != channels) {
    at.fail(cat("makes ", factor.extent(1), " factors for ", channels,
                " channels; its gate must give one number for each"));
  }
  at.taps().neurons = hidden + channels;
  at.taps().links = 2 * hidden * channels;
  return x * reshape(factor, factors);
}

}  // namespace soma
