// Recurrent networks: cells, and the driver that runs any cell along a sequence.
//
//   Cell cell = lstm_cell(28, 128);                      // features, units
//   auto weights = parameters(graph, cell);              // its arrays, to be trained
//   auto run = recurrent(cell, x, weights);              // x [batch, time, 28]
//   run.outputs                                          // [batch, time, 128]
//   run.states                                           // {h, c} after the last step
//
// A cell is one function: from the input of a time step, the states and the weights it makes the
// new states, of which the first is also what the cell puts out. The driver is one scan (the
// graph's loop), so that backpropagation through time (Werbos 1990) is the gradient of the scan,
// and products of the input with weights leave the loop as one product over all steps.
//
// Every cell documents its arrays. Gates lie side by side along the last axis, [features,
// gates·units], in the order the cell names; arrays_from() and arrays_to() translate from and to
// the layouts of PyTorch, Keras and ONNX. Numbers are those of x's type.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "soma/graph.h"
#include "soma/nn.h"
#include "soma/plan.h"

namespace soma {

// ---------------------------------------------------------------- cells

struct Cell;

/// What a cell works with at one time step, inside the loop.
struct CellStep {
  const Cell& cell;
  Value x;  ///< The input, [batch, …features].
  std::span<const Value> states;
  std::span<const Value> weights;
  Value keep;  ///< Factors of recurrent dropout, [batch, …], or empty.

  /// The array of that name; empty when this cell goes without (no bias).
  Value weight(std::string_view name) const;
  /// A state on its way into a recurrent product: dropped out where the run says so.
  Value recurrent(Value state) const { return keep ? state * keep : state; }
};

/// One array of a cell.
struct CellArray {
  std::string name;
  Shape shape;              ///< Of a state: without the batch axis.
  std::string start = "0";  ///< Initializer.
  bool links = false;       ///< Its numbers are links between neurons (biases are not).
};

/// A recurrent cell: which arrays it has, and what it does at one time step.
struct Cell {
  std::string name;
  std::vector<CellArray> weights;
  /// Carried from step to step, zeros before the first unless given. The first is the output.
  std::vector<CellArray> states;
  /// The new states.
  std::function<std::vector<Value>(const CellStep&)> step;
};

/// The arrays of a cell as parameters in the open scope, in the order of Cell::weights.
std::vector<Value> parameters(Graph& graph, const Cell& cell);

/// How the arrays of a cell start.
struct CellStarts {
  std::string weights = "glorot_uniform";
  std::string recurrent = "orthogonal";
  std::string bias = "0";
};

struct RnnOptions {
  bool bias = true;
  /// h' = (1 - leak)·h + leak·f(…): leaky-integrator units (Jaeger+ 2007), used by echo state
  /// networks. In (0, 1].
  double leak = 1;
  CellStarts starts = {};
};
/// Elman 1990: h' = f(x·W + h·U + b). f is one function for all units or one for each.
/// Arrays: weights W [features, units], recurrent U [units, units], bias b [units].
/// PyTorch and ONNX add two biases (b_ih + b_hh, Wb + Rb), which is one.
Cell rnn_cell(int64_t features, int64_t units, std::vector<Activation> f = {tanh},
              const RnnOptions& options = {});

/// Jordan 1986: what comes back is the output y, not the hidden layer h.
/// h = f(x·W + y·U + b), y' = g(h·V + c). State y [outputs].
/// Arrays: weights W [features, units], recurrent U [outputs, units], bias b [units], output V
/// [units, outputs], output_bias c [outputs].
Cell jordan_cell(int64_t features, int64_t units, int64_t outputs, const Activation& f = tanh,
                 const Activation& g = identity, const CellStarts& starts = {});

struct LstmOptions {
  /// The gates also see the cell c (Gers & Schmidhuber 2000): i and f the old one, o the new one,
  /// each unit its own. Adds peephole [3·units] in the order i, f, o ([2·units], i, o, if coupled).
  bool peephole = false;
  /// h = (o ∘ tanh(c'))·P with P [units, projection] (Sak+ 2014; PyTorch's proj_size); 0: without.
  int64_t projection = 0;
  /// f = 1 - i (Greff+ 2015; ONNX's input_forget): three gates, i, g, o.
  bool coupled = false;
  /// Where the bias of the forget gate starts (Gers+ 2000; Jozefowicz+ 2015). Keras 1, PyTorch and
  /// ONNX 0. Only a start: nothing is added at run time.
  double forget_bias = 1;
  Activation gate = sigmoid;     ///< Of i, f and o. Keras 1 used hard_sigmoid.
  Activation activation = tanh;  ///< Of g.
  Activation hidden = tanh;      ///< Of the cell on its way out.
  bool bias = true;
  CellStarts starts = {};
};
/// Hochreiter & Schmidhuber 1997 with forget gates (Gers+ 2000).
/// i, f, g, o = x·W + h·U + b; c' = σ(f) ∘ c + σ(i) ∘ tanh(g); h' = σ(o) ∘ tanh(c').
/// Gate order i, f, g, o as PyTorch and Keras (ONNX: i, o, f, g). States h [units] (or
/// [projection]) and c [units]. Arrays: weights W [features, 4·units], recurrent U [units,
/// 4·units], bias b [4·units], and peephole, projection.
Cell lstm_cell(int64_t features, int64_t units, const LstmOptions& options = {});

/// Where a GRU's reset gate acts.
enum class Reset : uint8_t {
  after,  ///< On h·U: r ∘ (h·U + bU). PyTorch, cuDNN, Keras 2 and later; ONNX
          ///< linear_before_reset=1.
  before  ///< On h: (r ∘ h)·U. Cho+ 2014; ONNX's default; Keras 1.
};
struct GruOptions {
  Reset reset = Reset::after;
  Activation gate = sigmoid;     ///< Of r and z.
  Activation activation = tanh;  ///< Of the candidate n.
  bool bias = true;
  CellStarts starts = {};
};
/// Cho+ 2014: r, z = σ(x·W + h·U + b); n = tanh(x·W + r ∘ (h·U + bU) + b); h' = (1 - z) ∘ n + z ∘
/// h. (Chung+ 2014 writes z and 1 - z the other way round; PyTorch, Keras and ONNX write it like
/// this.) Gate order r, z, n as PyTorch (Keras and ONNX: z, r, n). Arrays: weights W [features,
/// 3·units], recurrent U [units, 3·units], bias b [3·units], and with Reset::after recurrent_bias
/// bU [units], of the candidate alone: elsewhere two biases would be one.
Cell gru_cell(int64_t features, int64_t units, const GruOptions& options = {});

/// Minimal gated unit, Zhou+ 2016: f = σ(x·W + h·U + b); n = tanh(x·W + (f ∘ h)·U + b);
/// h' = (1 - f) ∘ h + f ∘ n. Gate order f, n. Arrays: weights [features, 2·units], recurrent
/// [units, 2·units], bias [2·units].
Cell mgu_cell(int64_t features, int64_t units, const CellStarts& starts = {});

/// Li+ 2018: each unit is linked to itself alone, h' = f(x·W + u ∘ h + b). Arrays: weights W
/// [features, units], recurrent u [units] (starts in U(0, 1)), bias b [units].
Cell indrnn_cell(int64_t features, int64_t units, const Activation& f = relu,
                 const CellStarts& starts = {.recurrent = "uniform(low=0 high=1)"});

/// Feng+ 2024: gates see the input alone, z = σ(x·W + b); h' = (1 - z) ∘ h + z ∘ (x·W + b). Gate
/// order z, n. Arrays: weights [features, 2·units], bias [2·units].
Cell mingru_cell(int64_t features, int64_t units, const CellStarts& starts = {});
/// Feng+ 2024, the length-independent form: f, i = σ(x·W + b), each divided by f + i;
/// h' = f ∘ h + i ∘ (x·W + b). Gate order f, i, n. Arrays: weights [features, 3·units], bias
/// [3·units].
Cell minlstm_cell(int64_t features, int64_t units, const CellStarts& starts = {});

/// Simple recurrent unit, Lei+ 2018: f, r = σ(x·W + v ∘ c + b); c' = f ∘ c + (1 - f) ∘ x·W;
/// h = r ∘ c' + (1 - r) ∘ x', where x' is x if it has as many features as units, else x·W once
/// more. Gate order n, f, r (, x'). States h (not read), c. Arrays: weights [features, 3·units]
/// (4·units), recurrent v [2·units], bias b [2·units] for f and r.
Cell sru_cell(int64_t features, int64_t units,
              const CellStarts& starts = {.recurrent = "uniform(low=-1 high=1)"});

/// Quasi-recurrent unit with fo-pooling, Bradbury+ 2016: n, f, o = tanh, σ, σ of a convolution of
/// the last `window` inputs, 1 or 2; c' = f ∘ c + (1 - f) ∘ n; h = o ∘ c'. Gate order n, f, o.
/// States h (not read), c and, with window 2, the input before. Arrays: weights [features,
/// 3·units], previous [features, 3·units] (window 2), bias [3·units].
Cell qrnn_cell(int64_t features, int64_t units, int64_t window = 2, const CellStarts& starts = {});

/// Liquid time-constant unit, Hasani+ 2021 (fused Euler steps): per step `unfolds` times
/// h ← (h + δ·s ∘ a) / (1 + δ·(1/τ + s)), s = σ(x·W + h·U + b), δ = elapsed / unfolds.
/// Arrays: weights W [features, units], recurrent U [units, units], bias b [units], reversal a
/// [units], log_tau [units] (τ = e^log_tau starts at 1).
Cell ltc_cell(int64_t features, int64_t units, double elapsed = 1, int64_t unfolds = 6,
              const CellStarts& starts = {});
/// Closed-form continuous-time unit, Hasani+ 2022, without a backbone: f, g = tanh(…), s =
/// σ(elapsed · a + c), h' = (1 - s) ∘ f + s ∘ g, where f, g, a, c = x·W + h·U + b, in that order.
/// Arrays: weights [features, 4·units], recurrent [units, 4·units], bias [4·units].
Cell cfc_cell(int64_t features, int64_t units, double elapsed = 1, const CellStarts& starts = {});

/// Convolutional LSTM, Shi+ 2015 (without peepholes, as Keras): an LSTM whose products are
/// convolutions with zero padding that keeps the size. x [batch, time, channels, …space]; `sample`
/// is [channels, …space], `window` has an odd extent for each axis of space. States h and c
/// [filters, …space]; gate order i, f, g, o. Arrays: weights [4·filters, channels, …window],
/// recurrent [4·filters, filters, …window], bias [4·filters].
Cell conv_lstm_cell(const Shape& sample, int64_t filters, const Dims& window,
                    double forget_bias = 1);

// ---------------------------------------------------------------- the driver

/// What the outputs show at steps that the mask says are not real.
enum class Padded : uint8_t {
  repeat,  ///< The output before it once more (Keras's default); the initial state at the start.
  zero     ///< Zeros (PyTorch's padded sequences, ONNX, Keras's zero_output_for_mask).
};

struct RecurrentOptions {
  /// From the last step to the first. Outputs stay in the places of their inputs (PyTorch, ONNX;
  /// Keras's go_backwards turns them round), and the final states are those after step 0.
  bool reverse = false;
  /// The states before the first step, [batch, …state] each; empty: zeros.
  std::vector<Value> initial = {};
  /// bool [batch, time]: false where a sequence is padding. There the states stay as they are, so a
  /// padded batch has the final states, and at real steps the outputs, of the shorter sequences
  /// alone; padding may be at either end or in the middle. Empty: all steps are real.
  Value mask = {};
  Padded padded = Padded::repeat;
  /// Truncated backpropagation through time (Williams & Peng 1990): the steps are cut into pieces
  /// of `truncate`, counted from where the run starts, and no gradient flows from one piece into
  /// the states of the one before. Results stay the same. 0: one piece.
  int64_t truncate = 0;
  /// Recurrent dropout (Gal & Ghahramani 2016): factors [batch, …first state] (0, or 1 / (1 - p))
  /// for the first state wherever it enters a recurrent product, the same at every step.
  Value keep = {};
};

struct Recurrence {
  Value outputs;              ///< [batch, time, …first state].
  std::vector<Value> states;  ///< After the last step run, [batch, …state] each.
};

/// Runs a cell along x [batch, time, …features] with its arrays in the order of Cell::weights.
/// Activations with parameters of their own get them as parameters in the open scope; random ones
/// act as in inference. Throws ShapeError, TypeError or ArgumentError for what does not fit.
Recurrence recurrent(const Cell& cell, Value x, std::span<const Value> weights,
                     const RecurrentOptions& options = {});

/// bool [batch, time]: true at steps before `lengths` (i32 or i64, [batch]).
Value mask_from_lengths(Value lengths, int64_t time);

/// How the two directions of a bidirectional layer become one (Schuster & Paliwal 1997).
enum class Join : uint8_t { concat, add, mul, average };
/// Forward and backward outputs [batch, …, n] as one: side by side along the last axis or element
/// by element.
Value join_directions(Value forward, Value backward, Join join = Join::concat);

// ---------------------------------------------------------------- other frameworks' layouts

/// Who names and lays out the arrays (of one layer and one direction):
///   pytorch  weight_ih [gates·units, features], weight_hh [gates·units, units], bias_ih, bias_hh
///            [gates·units] and weight_hr [projection, units]; LSTM i, f, g, o; GRU r, z, n
///   keras    kernel [features, gates·units], recurrent_kernel [units, gates·units], bias
///            [gates·units], of GRU with reset_after [2, 3·units]; LSTM i, f, c, o; GRU z, r, h
///   onnx     W [gates·units, features], R [gates·units, units], B [2·gates·units] = Wb ‖ Rb and P
///            [3·units]; LSTM i, o, f, c, P i, o, f; GRU z, r, h. ONNX's leading axis of directions
///            is left out.
enum class Framework : uint8_t { pytorch, keras, onnx };
/// Arrays of an rnn, lstm or gru cell in that framework's names and layout, as this library's, by
/// the names of the cell's arrays. Two biases become one where that is the same. Throws
/// ArgumentError for an array that is missing or a cell the framework does not have, ShapeError for
/// one of another shape.
Tensors arrays_from(Framework framework, const Cell& cell, const Tensors& arrays);
/// The other way; where the framework has two biases and the cell one, the second is zeros.
Tensors arrays_to(Framework framework, const Cell& cell, const Tensors& arrays);

}  // namespace soma
