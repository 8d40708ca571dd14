// Connectionist temporal classification (Graves, Fernandez, Gomez and Schmidhuber 2006): the sum
// over all alignments by the forward recursion over time, in logarithms. The gradient is that of
// the recursion.
#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/losses.h"
#include "src/nn/pieces.h"

namespace soma {

namespace {

/// The logarithm of 0: far below every sum of logarithms, and differences stay finite.
constexpr double never = -1e30;

/// The labels with blanks before, between and after them: states 0 … 2 n.
struct States {
  Value log_p;  ///< [time, batch, states]: of the class of each state
  Value jump;   ///< [batch, states]: may be entered from two states before
  Value last;   ///< [batch, states]: alignments may end here
  Value count;  ///< [batch]: labels of each row
};

void check(Value logits, Value labels, int64_t blank) {
  if (logits.rank() != 3 || labels.rank() != 2 || is_float(labels.type()) ||
      labels.extent(0) != logits.extent(0)) {
    throw ShapeError(cat("ctc: the prediction must be [batch, time, classes] and the targets ",
                         "integers [batch, n]; found ", logits.shape(), " and ", labels.type(),
                         labels.shape()));
  }
  if (blank < 0 || blank >= logits.extent(2)) {
    throw ArgumentError(cat("ctc: the blank is class ", blank, ", but the prediction has ",
                            logits.extent(2), " classes, counted from 0"));
  }
}

/// The state `by` before each, with `fill` in front.
Value shifted(Value x, int64_t by, double fill) {
  const int64_t n = x.extent(-1);
  if (by >= n) return like(x, fill);
  const Value kept = slice_axis(x, x.rank() - 1, 0, n - by);
  return pad(kept, {0, by}, {0, 0}, {}, fill);
}

States states_of(Value logits, Value labels, int64_t blank) {
  const int64_t batch = logits.extent(0), n = labels.extent(1), all = 2 * n + 1;
  const DType type = logits.type();
  // Blanks are class `blank`; what is no label (a filler, a blank, no class) is -1.
  const Value real = labels >= 0.0;
  const Value label = select(eq(labels, static_cast<double>(blank)), -1.0, labels);
  const Value blanks =
      labels.graph().constant(static_cast<double>(blank), {batch, n, 1}, labels.type());
  const Value pairs = reshape(concat({blanks, expand_dims(label, 2)}, 2), {batch, 2 * n});
  const Value classes = pad(pairs, {0, 0}, {0, 1}, {}, static_cast<double>(blank));
  const Value hot = one_hot(classes, logits.extent(2), type);  // [batch, states, classes]
  const Value log_p = dot(log_softmax_of(logits), hot, false, true);
  const Value exists = expand_dims(sum(hot, {-1}) > 0.0, 1);
  const Value index = iota(labels.graph(), {batch, all}, 1, i32);
  const Value count = sum(cast(real, i32), {-1});
  const Value end = expand_dims(2.0 * count, 1);
  const Value odd = iota(labels.graph(), {batch, n, 2}, 2, i32) > 0.0;
  const Value is_label = pad(reshape(odd, {batch, 2 * n}), {0, 0}, {0, 1});
  const Value other = ne(classes, shifted(classes, 2, -2));
  return {transpose(select(broadcast_to(exists, log_p.shape()), log_p, never), {1, 0, 2}),
          logical_and(is_label, other),
          logical_or(eq(index, broadcast_to(end, index.shape())),
                     eq(index + 1.0, broadcast_to(end, index.shape()))),
          count};
}

/// One step: alignments stay, go on by a state, or leave a blank out.
Value step(Value alpha, Value log_p, Value jump) {
  const Value one = shifted(alpha, 1, never);
  const Value two = select(jump, shifted(alpha, 2, never), never);
  const Value from = concat({expand_dims(alpha, 2), expand_dims(one, 2), expand_dims(two, 2)}, 2);
  const Value largest = stop(max_over(from, {2}, Keep::yes));
  const Value total = log(sum(exp(from - largest), {2})) + reshape(largest, alpha.shape());
  return max(total + log_p, stop(like(alpha, never)));
}

Graph step_body(const Shape& shape, DType type) {
  Graph body;
  const Value jump = body.input("jump", shape, boolean);
  const Value alpha = body.input("alpha", shape, type);
  const Value log_p = body.input("log_p", shape, type);
  const Value live = body.input("live", {shape[0], 1}, boolean);
  body.output("alpha", select(broadcast_to(live, shape), step(alpha, log_p, jump), alpha));
  return body;
}

/// The logarithm of the probability of each row, [batch]; about -1e30 where it is 0.
Value log_likelihood(Value logits, const States& states, Value lengths) {
  Graph& graph = logits.graph();
  const int64_t batch = logits.extent(0), time = logits.extent(1);
  const Shape shape = states.jump.shape();
  // Before the first step everything waits in front of state 0: there it is entered, or state 1.
  const Value first = eq(iota(graph, shape, 1, i32), 0.0);
  const Value start = select(first, like(cast(first, logits.type()), 0), never);
  const Value now = iota(graph, {time, batch, 1}, 0, i32);
  const Value live = lengths ? now < reshape(cast(lengths, i32), {1, batch, 1}) : now >= 0.0;
  const Value end = scan(graph, step_body(shape, logits.type()), std::array{states.jump},
                         std::array{start}, std::array{states.log_p, live}, time)[0];
  return masked_log_sum_exp(end, states.last);
}

}  // namespace

static LossTerms ctc_rows(Value logits, Value labels, int64_t blank, Value lengths,
                          bool per_label) {
  check(logits, labels, blank);
  const States states = states_of(logits, labels, blank);
  const Value log_p = log_likelihood(logits, states, lengths);
  const Value possible = log_p > 0.1 * never;
  Value loss_ = select(possible, -log_p, 0.0);
  if (per_label) {
    loss_ = loss_ / cast(select(states.count > 0.0, states.count, 1.0), logits.type());
  }
  return {loss_, cast(possible, logits.type())};
}

Value ctc_loss(Value logits, Value labels, int64_t blank, Value lengths) {
  return ctc_rows(logits, labels, blank, lengths, false).loss;
}

LossTerms ctc_terms(Value p, Value t, int64_t blank, bool per_label) {
  return ctc_rows(p, t, blank, {}, per_label);
}

}  // namespace soma
