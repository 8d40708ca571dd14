// The driver of recurrent cells: directions, masks, initial states, truncated backpropagation,
// recurrent dropout, and its messages.
#include <algorithm>
#include <functional>

#include "soma/error.h"
#include "soma/gradcheck.h"
#include "soma/gradient.h"
#include "tests/exec/compare.h"
#include "tests/nn/recurrent_cells.h"

namespace soma::test {

namespace {

// Steps [lo, hi) of [batch, time, n].
Tensor steps(const Tensor& x, int64_t lo, int64_t hi) {
  const int64_t time = x.shape()[1], width = x.shape()[2];
  Tensor result({x.shape()[0], hi - lo, width}, x.type());
  for (int64_t i = 0; i < result.elements(); ++i) {
    const int64_t b = i / ((hi - lo) * width), rest = i % ((hi - lo) * width);
    result.set(i, x.at(b * time * width + lo * width + rest));
  }
  return result;
}
Tensor reversed(const Tensor& x) {
  const int64_t time = x.shape()[1], width = x.shape()[2];
  Tensor result(x.shape(), x.type());
  for (int64_t i = 0; i < x.elements(); ++i) {
    const int64_t b = i / (time * width), t = i / width % time;
    result.set((b * time + time - 1 - t) * width + i % width, x.at(i));
  }
  return result;
}
// Sample b of [batch, …] with the batch axis.
Tensor sample(const Tensor& x, int64_t b) {
  Shape shape = x.shape();
  shape[0] = 1;
  Tensor result(shape, x.type());
  for (int64_t i = 0; i < result.elements(); ++i) result.set(i, x.at(b * result.elements() + i));
  return result;
}

// Outputs and final states with a mask as a data input.
std::vector<Tensor> masked(const Cell& cell, const std::vector<Tensor>& points, const Tensor& mask,
                           RecurrentOptions options = {}) {
  CellProgram program(points);
  options.mask = program.graph.input("mask", mask.shape(), boolean);
  program.values.push_back(mask);
  program.outputs(run_cell(cell, program.in, options));
  return program.results();
}

Tensor mask_of(const Shape& shape, const std::vector<int>& values) {
  Tensor mask(shape, boolean);
  for (size_t i = 0; i < values.size(); ++i) mask.set(static_cast<int64_t>(i), values[i]);
  return mask;
}

TEST(Recurrent, WithoutInitialStatesItStartsAtZero) {
  for (const auto& [name, cell] : all_cells()) {
    auto points = points_of(cell, {2, 3, 3});
    const size_t states = 1 + cell.weights.size();
    for (size_t i = states; i < points.size(); ++i) points[i] = Tensor(points[i].shape());
    CellProgram program({points.begin(), points.begin() + static_cast<long>(states)});
    const auto weights = std::span(program.in).subspan(1);
    program.outputs(recurrent(cell, program.in[0], weights));
    EXPECT_EQ(program.results(), results_of(cell, points)) << name;
  }
}

TEST(Recurrent, BackwardsIsForwardsOnTheSequenceTurnedRound) {
  for (const auto& [name, cell] : all_cells()) {
    auto points = points_of(cell, {2, 4, 3});
    const auto backward = results_of(cell, points, {.reverse = true});
    points[0] = reversed(points[0]);
    const auto forward = results_of(cell, points);
    expect_close(backward[0], reversed(forward[0]), 1e-13, name);
    for (size_t i = 1; i < forward.size(); ++i) expect_close(backward[i], forward[i], 1e-13, name);
  }
}

// The end of one piece is the start of the next.
TEST(Recurrent, StatesCarryASequenceOnInPieces) {
  for (const auto& [name, cell] : all_cells()) {
    const auto points = points_of(cell, {2, 5, 3});
    const auto whole = results_of(cell, points);
    auto piece = points;
    piece[0] = steps(points[0], 0, 2);
    const auto first = results_of(cell, piece);
    piece[0] = steps(points[0], 2, 5);
    const size_t states = 1 + cell.weights.size();
    for (size_t i = 1; i < first.size(); ++i) {
      piece[states + i - 1] = first[i].cast(f32);
    }
    const auto second = results_of(cell, piece);
    expect_close(first[0], steps(whole[0], 0, 2), 1e-13, name);
    expect_close(second[0], steps(whole[0], 2, 5), 1e-6, name);
    for (size_t i = 1; i < whole.size(); ++i) expect_close(second[i], whole[i], 1e-6, name);
  }
}

// Sequences of lengths 5, 3 and 1, padded at the end: each sample is what it is alone.
TEST(Recurrent, APaddedBatchIsTheShorterSequencesAlone) {
  const int64_t lengths[] = {5, 3, 1};
  const Tensor mask = mask_of({3, 5}, {1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0});
  for (const auto& [name, cell] : all_cells()) {
    for (const bool reverse : {false, true}) {
      const auto points = points_of(cell, {3, 5, 3});
      const size_t states = 1 + cell.weights.size();
      const auto found = masked(cell, points, mask, {.reverse = reverse});
      const auto zeroed = masked(cell, points, mask, {.reverse = reverse, .padded = Padded::zero});
      for (int64_t b = 0; b < 3; ++b) {
        auto alone = points;
        alone[0] = steps(sample(points[0], b), 0, lengths[b]);
        for (size_t i = states; i < points.size(); ++i) alone[i] = sample(points[i], b);
        const auto wanted = results_of(cell, alone, {.reverse = reverse});
        expect_close(steps(sample(found[0], b), 0, lengths[b]), wanted[0], 0, name);
        expect_close(steps(sample(zeroed[0], b), 0, lengths[b]), wanted[0], 0, name);
        for (size_t i = 1; i < wanted.size(); ++i) {
          expect_close(sample(found[i], b), wanted[i], 0, name);
        }
        // Padding shows the last output, backwards the initial state; or zeros.
        const Tensor filler = reverse ? alone[states] : wanted[1];
        for (int64_t t = lengths[b]; t < 5; ++t) {
          const Tensor shown = steps(sample(found[0], b), t, t + 1);
          expect_close(shown.reshaped(filler.shape()), filler, 1e-7, name);
          const Tensor zero = steps(sample(zeroed[0], b), t, t + 1);
          expect_close(zero, Tensor(zero.shape(), zero.type()), 0, name);
        }
      }
    }
  }
}

TEST(Recurrent, AStepMaskedInTheMiddleIsNotThere) {
  const Cell cell = gru_cell(3, 2);
  auto points = points_of(cell, {1, 4, 3});
  const auto found = masked(cell, points, mask_of({1, 4}, {1, 0, 1, 1}));
  Tensor shorter({1, 3, 3});
  for (int64_t i = 0; i < 9; ++i) shorter.set(i, points[0].at(i < 3 ? i : i + 3));
  points[0] = shorter;
  const auto wanted = results_of(cell, points);
  EXPECT_EQ(found[1], wanted[1]);
}

TEST(Recurrent, GradientsThroughMasks) {
  for (const auto& [name, cell] : all_cells()) {
    auto points = points_of(cell, {2, 3, 3});
    points.push_back(mask_of({2, 3}, {1, 1, 1, 1, 0, 0}));
    const auto build = [&, &used = cell](Graph&, std::span<const Value> in) {
      return run_cell(used, in, {.mask = in.back(), .padded = Padded::zero}).outputs;
    };
    const auto result = gradcheck(build, points, {.order = 1, .directions = 1});
    EXPECT_TRUE(result) << name << ": " << result.message;
  }
}

TEST(Recurrent, MaskFromLengths) {
  CellProgram program({Tensor::of<int32_t>({3}, {2, 0, 3})});
  program.graph.output("mask", mask_from_lengths(program.in[0], 3));
  EXPECT_EQ(program.results()[0], mask_of({3, 3}, {1, 1, 0, 0, 0, 0, 1, 1, 1}));
}

TEST(Recurrent, TwoDirectionsBecomeOne) {
  const Tensor a = Tensor::of({1, 2, 2}, {1, 2, 3, 4}), b = Tensor::of({1, 2, 2}, {5, 6, 7, 9});
  CellProgram program({a, b});
  for (const Join join : {Join::concat, Join::add, Join::mul, Join::average}) {
    program.graph.output("y" + std::to_string(static_cast<int>(join)),
                         join_directions(program.in[0], program.in[1], join));
  }
  const auto found = program.results(false);
  EXPECT_EQ(found[0], Tensor::of({1, 2, 4}, {1, 2, 5, 6, 3, 4, 7, 9}));
  EXPECT_EQ(found[1], Tensor::of({1, 2, 2}, {6, 8, 10, 13}));
  EXPECT_EQ(found[2], Tensor::of({1, 2, 2}, {5, 12, 21, 36}));
  EXPECT_EQ(found[3], Tensor::of({1, 2, 2}, {3, 4, 5, 6.5}));
}

// ---- truncated backpropagation through time

// The gradients of a loss over all outputs and final states, cut by the driver or by hand.
std::vector<Tensor> truncated_slopes(const Cell& cell, const std::vector<Tensor>& points,
                                     int64_t piece, bool reverse, bool by_hand) {
  CellProgram program(points);
  const Value x = program.in[0];
  const int64_t time = x.extent(1);
  Recurrence run;
  if (!by_hand) {
    run = run_cell(cell, program.in, {.reverse = reverse, .truncate = piece});
  } else {
    Values in = program.in, parts;
    const size_t states = 1 + cell.weights.size();
    for (int64_t done = 0; done < time; done += piece) {
      const int64_t end = std::min(time, done + piece);
      in[0] = reverse ? slice_axis(x, 1, time - end, time - done) : slice_axis(x, 1, done, end);
      run = run_cell(cell, in, {.reverse = reverse});
      parts.insert(reverse ? parts.begin() : parts.end(), run.outputs);
      for (size_t i = 0; i < run.states.size(); ++i) in[states + i] = stop(run.states[i]);
    }
    run.outputs = concat(parts, 1);
  }
  Value loss = sum(ad::curved(run.outputs));
  for (const Value state : run.states) loss = loss + sum(square(state));
  const auto slopes = gradients(loss, program.in);
  program.graph.output("outputs", run.outputs);
  for (size_t i = 0; i < slopes.size(); ++i) {
    program.graph.output("slope" + std::to_string(i), slopes[i]);
  }
  return program.results();
}

TEST(Recurrent, TruncationIsCuttingTheSequenceByHand) {
  for (const auto& [name, cell] : all_cells()) {
    const auto points = points_of(cell, {2, 5, 3});
    for (const bool reverse : {false, true}) {
      for (const int64_t piece : {int64_t{2}, int64_t{3}}) {
        const auto found = truncated_slopes(cell, points, piece, reverse, false);
        const auto wanted = truncated_slopes(cell, points, piece, reverse, true);
        for (size_t i = 0; i < wanted.size(); ++i) expect_close(found[i], wanted[i], 1e-12, name);
      }
    }
  }
  // It does cut, and a piece as long as the sequence does not.
  const Cell cell = rnn_cell(3, 2);
  const auto points = points_of(cell, {2, 5, 3});
  const auto whole = truncated_slopes(cell, points, 0, false, false);
  const auto cut = truncated_slopes(cell, points, 2, false, false);
  EXPECT_EQ(whole[0], cut[0]);
  EXPECT_NE(whole[1], cut[1]);
  EXPECT_EQ(whole, truncated_slopes(cell, points, 5, false, false));
}

// Masked steps hand the state on, but not past a cut.
TEST(Recurrent, TruncationHoldsForPaddingToo) {
  const Cell cell = rnn_cell(3, 2);
  CellProgram program(points_of(cell, {1, 4, 3}));
  const Value mask = program.graph.input("mask", {1, 4}, boolean);
  program.values.push_back(mask_of({1, 4}, {1, 1, 0, 0}));
  const Recurrence run = run_cell(cell, program.in, {.mask = mask, .truncate = 2});
  const Value x = program.in[0];
  program.graph.output("slope", gradients(sum(run.states[0]), std::span(&x, 1))[0]);
  const Tensor slope = program.results()[0];
  expect_close(slope, Tensor(slope.shape(), slope.type()), 0, "past the cut");
}

TEST(Recurrent, TruncatedGradientsOnTheCpu) {
  const Cell cell = lstm_cell(3, 2);
  CellProgram program(points_of(cell, {2, 5, 3}));
  const Recurrence run = run_cell(cell, program.in, {.truncate = 2});
  const auto slopes = gradients(sum(square(run.outputs)), program.in);
  for (size_t i = 0; i < slopes.size(); ++i) {
    program.graph.output("slope" + std::to_string(i), slopes[i]);
  }
  expect_cpu_agrees(program.graph, program.values, 2e-5);
}

// ---- recurrent dropout

TEST(Recurrent, DropoutActsOnTheRecurrentProductAlone) {
  // With all factors 0 every step of an Elman net sees no history.
  const Cell cell = rnn_cell(3, 2);
  const auto points = points_of(cell, {2, 3, 3});
  CellProgram program(points);
  const Value none = program.graph.constant(0, {2, 2}, f32);
  program.outputs(run_cell(cell, program.in, {.keep = none}));
  const auto found = program.results();
  for (int64_t t = 0; t < 3; ++t) {
    auto alone = points;
    alone[0] = steps(points[0], t, t + 1);
    alone.back() = Tensor(alone.back().shape());
    expect_close(steps(found[0], t, t + 1), results_of(cell, alone)[0], 1e-13, "step");
  }
}

// The same factors at every step, here as weights: h ∘ m · U = h · (m as rows of U).
TEST(Recurrent, DropoutIsTheSameAtEveryStep) {
  for (const auto& [name, cell] : all_cells()) {
    auto points = points_of(cell, {1, 4, 3});
    const bool has_product =
        name.substr(0, 3) != "min" && name.substr(0, 4) != "qrnn" && name.substr(0, 3) != "sru";
    if (!has_product || name == "indrnn") continue;
    const int64_t rows = cell.states[0].shape[0];
    Tensor keep({1, rows});
    for (int64_t i = 0; i < rows; ++i) keep.set(i, i == 1 ? 0 : 1.25);
    CellProgram program(points);
    const Value factors = program.graph.input("keep", keep.shape());
    program.values.push_back(keep);
    program.outputs(run_cell(cell, program.in, {.keep = factors}));
    const auto found = program.results();
    for (size_t i = 0; i < cell.weights.size(); ++i) {
      if (cell.weights[i].name != "recurrent") continue;
      Tensor& u = points[1 + i];
      for (int64_t k = 0; k < u.elements(); ++k) {
        u.set(k, u.at(k) * keep.at(k / u.shape()[1]));
      }
    }
    // Numbers of weights are rounded to f32 here.
    expect_close(found[0], results_of(cell, points)[0], 1e-6, name);
  }
}

// ---- messages

template <class E>
void expect_error(const std::function<void()>& act, const std::string& words) {
  try {
    act();
    ADD_FAILURE() << "nothing was thrown; expected: " << words;
  } catch (const E& e) {
    EXPECT_NE(std::string(e.what()).find(words), std::string::npos) << e.what();
  }
}

TEST(Recurrent, MessagesSayWhatWasFound) {
  const Cell cell = gru_cell(3, 2);
  CellProgram program(points_of(cell, {2, 4, 3}));
  auto& in = program.in;
  Graph& g = program.graph;
  const auto run = [&](const RecurrentOptions& options) {
    return [&, options] { (void)recurrent(cell, in[0], std::span(in).subspan(1, 4), options); };
  };
  expect_error<ShapeError>(
      [&] {
        (void)recurrent(cell, g.input("flat", {2, 3}), std::span(in).subspan(1, 4));
      },
      "[batch, time, …features], found [2, 3]");
  expect_error<ArgumentError>([&] { (void)recurrent(cell, in[0], std::span(in).subspan(1, 2)); },
                              "has 4 arrays, found 2");
  expect_error<ShapeError>([&] { (void)recurrent(cell, in[0], std::span(in).subspan(0, 4)); },
                           "\"weights\" of a cell of kind gru is [3, 6], found [2, 4, 3]");
  // Named first: gcc 12 warns of options that an exception would leave half made.
  const Value numbers = g.input("m", {2, 4}), short_mask = g.input("n", {2, 3}, boolean);
  expect_error<TypeError>(run({.mask = numbers}), "mask of a sequence is bool");
  expect_error<ShapeError>(run({.mask = short_mask}), "[batch, time] = [2, 4], found [2, 3]");
  expect_error<ShapeError>(run({.initial = {in[0]}}), "the initial state \"h\" is [2, 2]");
  expect_error<ArgumentError>(run({.initial = {in[0], in[0]}}), "has 1 states, found 2");
  expect_error<ArgumentError>(run({.truncate = -1}), "found -1");
  expect_error<ArgumentError>([] { (void)gru_cell(3, 0); }, "found 0");
  expect_error<ArgumentError>(
      [] {
        (void)rnn_cell(3, 3, {tanh, relu});
      },
      "of 3 units has 2 activation functions");
  expect_error<ArgumentError>([] { (void)qrnn_cell(3, 3, 4); }, "found 4");
  expect_error<ArgumentError>([] { (void)conv_lstm_cell({3, 5}, 2, {2}); }, "odd extents");
  const Cell min = mingru_cell(3, 2);
  CellProgram other(points_of(min, {2, 4, 3}));
  expect_error<ArgumentError>(
      [&] {
        (void)recurrent(min, other.in[0], std::span(other.in).subspan(1, 2),
                        {.keep = other.graph.constant(1, {2, 2}, f32)});
      },
      "recurrent dropout would do nothing");
}

}  // namespace
}  // namespace soma::test
