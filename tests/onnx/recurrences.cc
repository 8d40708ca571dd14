// RNN, LSTM and GRU: one cell for each direction, run along the sequences.
#include "soma/recurrent.h"

#include "tests/onnx/pieces.h"
#include "tests/onnx/table.h"

namespace soma::onnx {

namespace {

// The activations of one direction, in ONNX's order. Scaling values are handed out in the order of
// the functions that take them.
class Activations {
 public:
  Activations(const Site& at, size_t direction, std::vector<std::string> defaults)
      : alpha_(at.numbers("activation_alpha")), beta_(at.numbers("activation_beta")) {
    std::vector<std::string> names = at.texts("activations");
    const size_t each = defaults.size();
    if (names.empty()) {
      for (size_t d = 0; d <= direction; ++d)
        names.insert(names.end(), defaults.begin(), defaults.end());
    }
    for (size_t i = 0; i < (direction + 1) * each; ++i) {
      const Activation f = named(names.at(i));
      if (i >= direction * each) list_.push_back(f);
    }
  }
  const Activation& operator[](size_t i) const { return list_[i]; }

 private:
  Activation named(const std::string& name) {
    if (name == "Tanh") return tanh;
    if (name == "Sigmoid") return sigmoid;
    if (name == "Relu") return relu;
    if (name == "Softsign") return softsign;
    if (name == "Softplus") return softplus;
    if (name == "LeakyRelu") return leaky_relu(next(alpha_, 0.01));
    if (name == "ThresholdedRelu") return thresholded_relu(next(alpha_, 1));
    if (name == "Elu") return elu(next(alpha_, 1));
    const double alpha = next(alpha_, name == "HardSigmoid" ? 0.2 : 1);
    const double beta = next(beta_, name == "HardSigmoid" ? 0.5 : 0);
    if (name == "HardSigmoid") return onnx_hard_sigmoid(alpha, beta);
    if (name == "Affine") return affine(alpha, beta);
    if (name == "ScaledTanh") return scaled_tanh(alpha, beta);
    throw NotExpressible("the activation " + name);
  }
  static double next(std::vector<double>& values, double absent) {
    if (values.empty()) return absent;
    const double value = values.front();
    values.erase(values.begin());
    return value;
  }

  std::vector<double> alpha_, beta_;
  std::vector<Activation> list_;
};

// The part of a tensor [directions, …] for one of them.
Tensor of_direction(const Tensor& all, size_t direction) {
  Shape shape(std::span(all.shape().begin() + 1, all.shape().end()));
  Tensor part(shape, all.type());
  const int64_t first = static_cast<int64_t>(direction) * shape.elements();
  for (int64_t i = 0; i < shape.elements(); ++i) part.set(i, all.at(first + i));
  return part;
}

// One of the cells of this node: its kind, and where the inputs of states and peepholes are.
struct Kind {
  Cell (*cell)(const Site&, int64_t features, int64_t units, size_t direction, bool whole);
  std::vector<size_t> states;  ///< The inputs that hold the states' starts.
};

// Without the second of `gates` equal parts of the last axis.
Value without_second(Value x, int gates) {
  std::vector<Value> parts = split(x, gates, -1);
  parts.erase(parts.begin() + 1);
  return concat(parts, -1);
}

// Coupled gates have no forget gate of their own, but ONNX's arrays do: theirs is left out.
std::vector<Value> weights_of(const Site& at, const Cell& cell, size_t direction) {
  Tensors arrays{{"W", of_direction(at.known(1), direction)},
                 {"R", of_direction(at.known(2), direction)}};
  if (at.has(3)) arrays["B"] = of_direction(at.known(3), direction);
  if (at.has(7)) arrays["P"] = of_direction(at.known(7), direction);
  const Tensors ours = arrays_from(Framework::onnx, cell, arrays);
  std::vector<Value> weights;
  for (const CellArray& array : cell.weights) {
    const Value value = at.array(array.name + std::to_string(direction), ours.at(array.name));
    const int gates = array.name == "peephole" ? 3 : 4;
    weights.push_back(at.flag("input_forget") ? without_second(value, gates) : value);
  }
  return weights;
}

// Values of the directions as one with a new axis; [directions, batch, …] or [batch, directions,
// …].
Value stacked(std::vector<Value> parts, int axis) {
  for (Value& part : parts) part = expand_dims(part, axis);
  return concat(parts, axis);
}

std::vector<Value> run_recurrent(const Site& at, const Kind& kind) {
  if (at.set("clip")) throw NotExpressible("clipping before the activations");
  const bool batch_first = at.flag("layout");
  const Value x = batch_first ? at.in(0) : move_axis(at.in(0), 1, 0);
  const int64_t units = at.known(2).shape().back();
  const auto directions = static_cast<size_t>(at.known(1).shape()[0]);
  std::vector<Value> outputs;
  std::vector<std::vector<Value>> states(kind.states.size());
  for (size_t d = 0; d < directions; ++d) {
    const Cell cell = kind.cell(at, x.extent(2), units, d, false);
    RecurrentOptions options;
    options.reverse = d == 1 || at.text("direction", "forward") == "reverse";
    options.padded = Padded::zero;
    if (at.has(4)) options.mask = mask_from_lengths(at.in(4), x.extent(1));
    for (const size_t input : kind.states) {
      if (at.has(input)) {
        const auto i = static_cast<int64_t>(d);
        const int axis = batch_first ? 1 : 0;
        const Value start = slice_axis(at.in(input), axis, i, i + 1);
        options.initial.push_back(reshape(start, {x.extent(0), units}));
      }
    }
    const Cell whole = kind.cell(at, x.extent(2), units, d, true);
    const std::vector<Value> weights = weights_of(at, whole, d);
    const Recurrence run = recurrent(cell, x, weights, options);
    outputs.push_back(run.outputs);
    for (size_t k = 0; k < states.size(); ++k) states[k].push_back(run.states[k]);
  }
  const Value all = stacked(outputs, 2);  // [batch, time, directions, units]
  std::vector<Value> results{batch_first ? all : transpose(all, {1, 2, 0, 3})};
  for (const auto& parts : states) results.push_back(stacked(parts, batch_first ? 1 : 0));
  return results;
}

Cell cell_of_rnn(const Site& at, int64_t features, int64_t units, size_t direction, bool) {
  const Activations f(at, direction, {"Tanh"});
  RnnOptions options;
  options.bias = at.has(3);
  return rnn_cell(features, units, {f[0]}, options);
}

Cell cell_of_lstm(const Site& at, int64_t features, int64_t units, size_t direction, bool whole) {
  const Activations f(at, direction, {"Sigmoid", "Tanh", "Tanh"});
  LstmOptions options;
  options.bias = at.has(3);
  options.peephole = at.has(7);
  options.coupled = !whole && at.flag("input_forget");
  options.gate = f[0];
  options.activation = f[1];
  options.hidden = f[2];
  return lstm_cell(features, units, options);
}

Cell cell_of_gru(const Site& at, int64_t features, int64_t units, size_t direction, bool) {
  const Activations f(at, direction, {"Sigmoid", "Tanh"});
  GruOptions options;
  options.bias = at.has(3);
  options.reset = at.flag("linear_before_reset") ? Reset::after : Reset::before;
  options.gate = f[0];
  options.activation = f[1];
  return gru_cell(features, units, options);
}

}  // namespace

void add_recurrences(Table& table) {
  const auto add = [&](const char* op, const char* with, Kind kind) {
    table.add(op, with, [kind](const Site& at) { return run_recurrent(at, kind); });
  };
  add("RNN", "rnn_cell, recurrent", {cell_of_rnn, {5}});
  add("LSTM", "lstm_cell, recurrent", {cell_of_lstm, {5, 6}});
  add("GRU", "gru_cell, recurrent", {cell_of_gru, {5}});
}

}  // namespace soma::onnx
