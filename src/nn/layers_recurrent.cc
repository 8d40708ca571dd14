// The recurrent layers: each makes its cell and hands it to build_recurrent.
#include <algorithm>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/layer_kinds.h"

namespace soma {

// ---- words

/// The place of a word in a list; throws what it should have been.
static size_t word_in(std::string_view text, std::initializer_list<std::string_view> words) {
  const auto* found = std::find(words.begin(), words.end(), text);
  if (found == words.end()) throw ArgumentError(cat("one of ", join(words, ", ")));
  return static_cast<size_t>(found - words.begin());
}
Returns Reader<Returns>::read(std::string_view text) {
  return static_cast<Returns>(word_in(text, {"last", "all"}));
}
Reset Reader<Reset>::read(std::string_view text) {
  return static_cast<Reset>(word_in(text, {"after", "before"}));
}
Padded Reader<Padded>::read(std::string_view text) {
  return static_cast<Padded>(word_in(text, {"repeat", "zero"}));
}
Join Reader<Join>::read(std::string_view text) {
  return static_cast<Join>(word_in(text, {"concat", "add", "mul", "average"}));
}

namespace {

/// What all recurrent layers have in common.
struct Wishes {
  Returns returns = Returns::last;
  bool reverse = false;
  double dropout = 0;
  int64_t truncate = 0;
  Padded padded = Padded::repeat;
  bool trained = true;
};

const Activation& one(LayerBuild& at, const Activations& functions) {
  if (functions.per_neuron()) {
    at.fail(cat("has ", functions.list.size(), " activation functions where it takes one"));
  }
  return functions.list[0];
}

/// The sequence that arrives, [batch, time, …features]; [batch, time] has one feature, and several
/// sources of as many steps lie side by side.
Value sequence_of(LayerBuild& at) {
  std::vector<Value> parts;
  for (Value source : at.sources()) {
    if (source.rank() == 2) source = expand_dims(source, 2);
    if (source.rank() < 3 || source.extent(1) != at.sources()[0].extent(1)) {
      at.fail(cat("runs along sequences of samples [time, features], found a batch of shape ",
                  source.shape()));
    }
    parts.push_back(source);
  }
  return concat(parts, parts[0].rank() - 1);
}
int64_t features_of(LayerBuild& at) {
  const Value x = sequence_of(at);
  if (x.rank() != 3) {
    at.fail(cat("takes samples [time, features], found a batch of shape ", x.shape(),
                "; flatten what belongs to a step, or use conv_lstm for images"));
  }
  return x.extent(2);
}

std::vector<Value> arrays_of(LayerBuild& at, const Cell& cell, bool trained) {
  std::vector<Value> arrays;
  for (const CellArray& array : cell.weights) {
    arrays.push_back(trained ? at.parameter(array.name, array.shape, array.start)
                             : at.state(array.name, array.shape, array.start));
    if (array.links && trained) at.taps().links += array.shape.elements();
  }
  return arrays;
}

/// When streaming: what the layer carries from call to call.
std::vector<Value> carried_states(LayerBuild& at, const Cell& cell) {
  std::vector<Value> states;
  for (const CellArray& array : cell.states) {
    Shape shape{at.batch()};
    for (const int64_t extent : array.shape) shape.push_back(extent);
    const Value state = at.state(array.name, shape);
    for (const auto& update : at.graph().updates()) {
      if (update.state != state.id()) continue;
      at.fail("shares the arrays of a recurrent layer, whose state it would take when streaming");
    }
    states.push_back(state);
  }
  return states;
}

/// Factors of recurrent dropout, one for each sample and unit.
Value keep_factors(LayerBuild& at, const Cell& cell, double dropout) {
  Shape shape{at.batch()};
  for (const int64_t extent : cell.states[0].shape) shape.push_back(extent);
  return cast(at.random(shape) >= dropout, f32) * (1 / (1 - dropout));
}

Value build_recurrent(LayerBuild& at, const Cell& cell, int64_t neurons, const Wishes& wishes) {
  if (at.streaming() && wishes.reverse) {
    at.fail("runs from the last step to the first and cannot stream");
  }
  const Value x = sequence_of(at);
  at.taps().in = x;
  at.taps().neurons = neurons;
  RecurrentOptions options{.reverse = wishes.reverse, .mask = at.mask(), .padded = wishes.padded};
  const std::vector<Value> arrays = arrays_of(at, cell, wishes.trained);
  if (at.streaming()) options.initial = carried_states(at, cell);
  if (at.training()) {
    options.truncate = wishes.truncate;
    if (wishes.dropout > 0) options.keep = keep_factors(at, cell, wishes.dropout);
  }
  const Recurrence run = recurrent(cell, x, arrays, options);
  for (size_t i = 0; i < options.initial.size(); ++i) at.update(options.initial[i], run.states[i]);
  if (wishes.returns == Returns::all) return run.outputs;
  // No sequence any more, even with as many units as there were steps.
  at.set_mask(run.states[0], {});
  return run.states[0];
}

}  // namespace

// ---- the kinds

Value build_rnn(LayerBuild& at, int64_t units, Activations activation, Returns returns,
                bool reverse, double recurrent_dropout, int64_t truncate, double leak, bool bias,
                Start weights, Start recurrent, Start bias_start, Padded padded) {
  const RnnOptions options{bias, leak, {weights.text, recurrent.text, bias_start.text}};
  const Cell cell = rnn_cell(features_of(at), units, activation.list, options);
  return build_recurrent(at, cell, units, {returns, reverse, recurrent_dropout, truncate, padded});
}

Value build_lstm(LayerBuild& at, int64_t units, Activations activation, Returns returns,
                 bool reverse, double recurrent_dropout, int64_t truncate, Activations gate,
                 Activations hidden, bool peephole, int64_t projection, bool coupled,
                 double forget_bias, bool bias, Start weights, Start recurrent, Start bias_start,
                 Padded padded) {
  const LstmOptions options{.peephole = peephole,
                            .projection = projection,
                            .coupled = coupled,
                            .forget_bias = forget_bias,
                            .gate = one(at, gate),
                            .activation = one(at, activation),
                            .hidden = one(at, hidden),
                            .bias = bias,
                            .starts = {weights.text, recurrent.text, bias_start.text}};
  return build_recurrent(at, lstm_cell(features_of(at), units, options), units,
                         {returns, reverse, recurrent_dropout, truncate, padded});
}

Value build_gru(LayerBuild& at, int64_t units, Activations activation, Returns returns,
                bool reverse, double recurrent_dropout, int64_t truncate, Reset reset,
                Activations gate, bool bias, Start weights, Start recurrent, Start bias_start,
                Padded padded) {
  const GruOptions options{.reset = reset,
                           .gate = one(at, gate),
                           .activation = one(at, activation),
                           .bias = bias,
                           .starts = {weights.text, recurrent.text, bias_start.text}};
  return build_recurrent(at, gru_cell(features_of(at), units, options), units,
                         {returns, reverse, recurrent_dropout, truncate, padded});
}

Value build_jordan(LayerBuild& at, int64_t units, int64_t outputs, Activations activation,
                   Activations output_activation, Returns returns, bool reverse,
                   double recurrent_dropout, int64_t truncate) {
  const Cell cell =
      jordan_cell(features_of(at), units, outputs, one(at, activation), one(at, output_activation));
  return build_recurrent(at, cell, units + outputs,
                         {returns, reverse, recurrent_dropout, truncate});
}

Value build_mgu(LayerBuild& at, int64_t units, Returns returns, bool reverse,
                double recurrent_dropout, int64_t truncate) {
  return build_recurrent(at, mgu_cell(features_of(at), units), units,
                         {returns, reverse, recurrent_dropout, truncate});
}

Value build_indrnn(LayerBuild& at, int64_t units, Activations activation, Returns returns,
                   bool reverse, double recurrent_dropout, int64_t truncate) {
  return build_recurrent(at, indrnn_cell(features_of(at), units, one(at, activation)), units,
                         {returns, reverse, recurrent_dropout, truncate});
}

Value build_mingru(LayerBuild& at, int64_t units, Returns returns, bool reverse, int64_t truncate) {
  return build_recurrent(at, mingru_cell(features_of(at), units), units,
                         {returns, reverse, 0, truncate});
}

Value build_minlstm(LayerBuild& at, int64_t units, Returns returns, bool reverse,
                    int64_t truncate) {
  return build_recurrent(at, minlstm_cell(features_of(at), units), units,
                         {returns, reverse, 0, truncate});
}

Value build_sru(LayerBuild& at, int64_t units, Returns returns, bool reverse,
                double recurrent_dropout, int64_t truncate) {
  return build_recurrent(at, sru_cell(features_of(at), units), units,
                         {returns, reverse, recurrent_dropout, truncate});
}

Value build_qrnn(LayerBuild& at, int64_t units, int64_t window, Returns returns, bool reverse,
                 int64_t truncate) {
  return build_recurrent(at, qrnn_cell(features_of(at), units, window), units,
                         {returns, reverse, 0, truncate});
}

Value build_ltc(LayerBuild& at, int64_t units, double elapsed, int64_t unfolds, Returns returns,
                bool reverse, double recurrent_dropout, int64_t truncate) {
  return build_recurrent(at, ltc_cell(features_of(at), units, elapsed, unfolds), units,
                         {returns, reverse, recurrent_dropout, truncate});
}

Value build_cfc(LayerBuild& at, int64_t units, double elapsed, Returns returns, bool reverse,
                double recurrent_dropout, int64_t truncate) {
  return build_recurrent(at, cfc_cell(features_of(at), units, elapsed), units,
                         {returns, reverse, recurrent_dropout, truncate});
}

Value build_reservoir(LayerBuild& at, int64_t units, Activations activation, Returns returns,
                      bool reverse, double radius, double scale, double leak) {
  const std::string in = cat("uniform(low=", number(-scale), " high=", number(scale), ")");
  const std::string back = cat("orthogonal(gain=", number(radius), ")");
  const Cell cell =
      rnn_cell(features_of(at), units, activation.list, {.leak = leak, .starts = {in, back, in}});
  return build_recurrent(at, cell, units,
                         {.returns = returns, .reverse = reverse, .trained = false});
}

Value build_conv_lstm(LayerBuild& at, int64_t filters, Extents window, Returns returns,
                      bool reverse, double recurrent_dropout, int64_t truncate,
                      double forget_bias) {
  const Value x = at.in();
  if (x.rank() < 4) {
    at.fail(cat("takes samples [time, channels, …space], found a batch of shape ", x.shape()));
  }
  const Shape shape = x.shape();
  const Shape sample(std::span<const int64_t>(shape.begin() + 2, shape.end()));
  const Cell cell = conv_lstm_cell(sample, filters, window.over(sample.rank() - 1), forget_bias);
  return build_recurrent(at, cell, cell.states[0].shape.elements(),
                         {returns, reverse, recurrent_dropout, truncate});
}

Value build_bidirectional(LayerBuild& at, Layers layer, Join merge) {
  if (layer.list.size() != 1 || !layer.list[0].has_argument("reverse")) {
    at.fail("takes one recurrent layer, for example bidirectional [lstm 64]");
  }
  if (at.streaming()) at.fail("needs the end of the sequence and cannot stream");
  const Layer& forward = layer.list[0];
  const bool turned = Reader<bool>::read(forward.argument("reverse"));
  const Layer both[] = {forward.named("forward"),
                        forward.with("reverse", !turned).named("backward")};
  const Value one_way = at.build(std::span(both, 1), at.in());
  const Value other_way = at.build(std::span(both + 1, 1), at.in());
  return join_directions(one_way, other_way, merge);
}

Value build_masking(LayerBuild& at, double value) {
  const Value x = at.in();
  if (x.rank() != 2 && x.rank() != 3) {
    at.fail(cat("takes samples [time, features], found a batch of shape ", x.shape()));
  }
  Value real = ne(x, value);
  if (x.rank() == 3) real = max_over(cast(real, f32), {2}) > 0.0;
  if (const Value before = at.mask()) real = logical_and(before, real);
  const Value shown = select(x.rank() == 3 ? expand_dims(real, 2) : real, x, 0.0);
  at.set_mask(shown, real);
  return shown;
}

}  // namespace soma
