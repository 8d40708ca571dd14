// The plain layers: dense neurons, activations, shapes, joins.
#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/layer_kinds.h"

namespace soma {

std::string start_of_weights(const Start& wish, const Activation& activation) {
  if (wish.text != "auto") return wish.text;
  if (activation.name() == "selu") return "lecun_normal";
  return activation.name().find("relu") != std::string::npos ? "he_uniform" : "glorot_uniform";
}

Value build_dense(LayerBuild& at, int64_t units, Activations activation, bool bias, Start weights,
                  Start bias_start, bool per_step) {
  if (activation.per_neuron() && static_cast<int64_t>(activation.list.size()) != units) {
    at.fail(cat("has ", units, " neurons but ", activation.list.size(),
                " activation functions; give one for all or one per neuron"));
  }
  if (units < 1) at.fail(cat("has ", units, " neurons; a layer has at least one"));
  const Value in = at.in();
  if (per_step && in.rank() < 3) {
    at.fail(cat("works per step on samples like [time, features], found a batch of shape ",
                in.shape(), "; leave per_step out for samples of one axis"));
  }
  if (!per_step && at.streaming() && in.rank() > 2) {
    at.fail("looks at all steps of the sequence at once and cannot stream; use per_step=true");
  }
  // The places of a sequence are rows of one product.
  Shape places = in.shape();
  const int64_t inputs = per_step ? places.back() : in.shape().elements() / at.batch();
  places[places.rank() - 1] = units;
  const Value x = per_step ? reshape(in, {-1, inputs}) : at.flat();
  const auto shaped = [&](Value y) { return per_step ? reshape(y, places) : y; };
  LayerTaps& taps = at.taps();
  taps.in = per_step ? in : x;
  taps.weights =
      at.parameter("weights", {inputs, units}, start_of_weights(weights, activation.list[0]));
  Value sum = dot(x, taps.weights);
  taps.activation_value = shaped(sum);
  if (bias) {
    taps.bias = at.parameter("bias", {units}, bias_start.text);
    sum = sum + taps.bias;
  }
  taps.sum = shaped(sum);
  taps.links = inputs * units;
  taps.neurons = units;
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

Value build_concat(LayerBuild& at, int64_t axis) {
  if (axis == 0) return at.flat();
  const Shape first = at.sources()[0].shape();
  const int along = axis_argument(at, at.sources()[0], axis);
  for (const Value source : at.sources()) {
    Shape shape = source.shape();
    if (shape.rank() == first.rank()) shape[along] = first[along];
    if (shape == first) continue;
    at.fail(cat("its sources have the shapes ", first, " and ", source.shape(),
                " (with the batch in front), which differ in more than axis ", along,
                "; leave axis out to put all their numbers in a row"));
  }
  return concat(at.sources(), along);
}

}  // namespace soma
