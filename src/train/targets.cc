// Do data, network and loss go together? The loss itself is asked, on a small graph.
#include "src/train/targets.h"

#include <algorithm>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma::train {
namespace {

std::string name_of(const Dataset& dataset) {
  return dataset.name.empty() ? "the data set" : cat("the data set \"", dataset.name, "\"");
}

void check_inputs(const Network& net, const Dataset& dataset) {
  if (dataset.size() == 0) {
    throw ArgumentError(cat(name_of(dataset), " is empty; training and evaluation need rows"));
  }
  if (dataset.input_shape() != net.sample_shape()) {
    throw ShapeError(cat("a row of ", name_of(dataset), " is ", dataset.input_shape(),
                         ", but the network takes ", net.sample_shape(),
                         "; give the network an input layer of the shape of the data"));
  }
  const Tensor& weights = dataset.weights;
  if (weights.elements() > 0 &&
      (weights.shape() != Shape{dataset.size()} || weights.type() != f32)) {
    throw ShapeError(cat("the weights of ", name_of(dataset), " are ", weights.type(),
                         weights.shape(), "; give one f32 for each of ", dataset.size(), " rows"));
  }
  for (const NetworkInput& input : net.inputs().subspan(1)) {
    const Tensor& more = dataset.more_input(input.name);
    Shape wanted{dataset.size()};
    for (const int64_t extent : input.shape) wanted.push_back(extent);
    if (more.shape() == wanted && more.type() == f32) continue;
    throw ShapeError(cat("the input \"", input.name, "\" of ", name_of(dataset), " is ",
                         more.type(), more.shape(), ", but the network takes f32", wanted));
  }
}

/// Throws when the loss brings its own last activation and the network has one too.
void check_last_activation(const Network& net, const Loss& loss, std::string_view output) {
  const auto found = std::ranges::find(net.layers(), output, &Layer::name);
  if (found == net.layers().end()) return;  // the input itself
  const Layer& last = *found;
  for (const std::string_view parameter : {"activation", "function"}) {
    if (!last.has_argument(parameter)) continue;
    for (const Activation& f : Reader<Activations>::read(last.argument(parameter)).list) {
      const std::string objection = loss_objection(loss, f);
      if (!objection.empty()) throw ArgumentError(cat("layer \"", last.name(), "\": ", objection));
    }
  }
}

/// Throws what the loss throws about such outputs and targets.
void try_loss(const Shape& output, const Loss& loss, const Target& target) {
  constexpr int64_t rows = 2;
  Graph graph;
  const auto batch_of = [](const Shape& row) {
    Shape shape{rows};
    for (const int64_t extent : row) shape.push_back(extent);
    return shape;
  };
  const Value out = graph.input("output", batch_of(output));
  const Value wanted = graph.input("target", batch_of(target.shape), target.type);
  loss_of(loss, target, out, wanted);
}

Target labels_target(const Shape& output, const Dataset& dataset, const Loss& loss, Target target) {
  target.type = i32;
  const int64_t classes = dataset.classes();
  if (loss.row().answer == LossAnswer::other) {  // labels that are no classes of the last layer
    try_loss(output, loss, target);
    return target;
  }
  const int64_t most = target.width == 1 ? 2 : target.width;  // one output says yes or no
  if (classes > most) {
    throw ShapeError(cat(name_of(dataset), " has ", classes, " classes, but the last layer has ",
                         target.width, target.width == 1 ? " neuron" : " neurons",
                         "; it needs one for each class"));
  }
  if (target.width == 1) {
    target.shape.push_back(1);
    try_loss(output, loss, target);
    return target;
  }
  try {
    try_loss(output, loss, target);
  } catch (const Error&) {
    target.one_hot = true;  // a loss of numbers: 1 for the class and 0 for the others
    try_loss(output, loss, target);
  }
  return target;
}

}  // namespace

Value loss_of(const Loss& loss, const Target& target, Value output, Value wanted, Value weights) {
  if (target.one_hot) wanted = one_hot(wanted, target.width, output.type());
  return loss(output, wanted, weights);
}

static Target check_output(const Network& net, const std::string& layer, const Dataset& dataset,
                           const Loss& loss) {
  check_last_activation(net, loss, layer);
  Target target;
  target.shape = dataset.target_shape();
  const Shape output = net.shape_of(layer);
  target.width = output.empty() ? 1 : output.back();
  const LossAnswer answer = loss.row().answer;
  if (answer == LossAnswer::classes && target.width == 1) {
    throw ArgumentError(cat(
        loss.name(), " compares classes, but the last layer has 1 neuron; give it one for each ",
        "class, or use binary_cross_entropy for yes and no, or mean_squared_error for numbers"));
  }
  const int64_t rows = output.elements() / std::max<int64_t>(target.width, 1);
  target.compares = dataset.is_classification()
                        ? answer != LossAnswer::other && target.shape.elements() == rows
                        : target.shape.elements() == output.elements();
  // A loss that refuses sigmoid applies it itself: its outputs are logits.
  const bool logits = !loss_objection(loss, activation_named("sigmoid")).empty();
  target.threshold = logits ? 0 : 0.5;
  target.decides = target.compares && (dataset.is_classification() || answer == LossAnswer::yes_no);
  target.numbers = target.compares && answer == LossAnswer::numbers;
  if (dataset.is_classification()) return labels_target(output, dataset, loss, target);
  try_loss(output, loss, target);
  return target;
}

Target check_fit(const Network& net, const Dataset& dataset, const Loss& loss,
                 std::string_view output, std::string_view target) {
  check_inputs(net, dataset);
  const std::string layer(output.empty() ? net.outputs().back() : output);
  if (target.empty()) return check_output(net, layer, dataset, loss);
  Dataset other;
  other.name = cat(dataset.name, dataset.name.empty() ? "" : " ", target);
  other.targets = dataset.more_target(target);
  if (other.targets.shape().empty() || other.targets.shape()[0] != dataset.size()) {
    throw ShapeError(cat("the target \"", target, "\" of ", name_of(dataset), " is ",
                         other.targets.shape(), ", but there are ", dataset.size(), " rows"));
  }
  return check_output(net, layer, other, loss);
}

}  // namespace soma::train
