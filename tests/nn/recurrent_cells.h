// Every recurrent cell in a small size, with numbers for its arrays: what the tests run over.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "soma/recurrent.h"
#include "src/ad/cases.h"

namespace soma::test {

using Values = std::vector<Value>;
using Vec = std::vector<double>;

struct NamedCell {
  std::string name;
  Cell cell;
};
/// Three features and as many units (two of them where sizes could be mixed up).
inline std::vector<NamedCell> all_cells(int64_t features = 3, int64_t units = 2) {
  const auto lstm = [&](const LstmOptions& options) { return lstm_cell(features, units, options); };
  return {
      {"rnn", rnn_cell(features, units)},
      {"rnn_each", rnn_cell(features, 2, {tanh, sigmoid})},
      {"rnn_leaky", rnn_cell(features, units, {tanh}, {.bias = false, .leak = 0.3})},
      {"jordan", jordan_cell(features, units, 3)},
      {"lstm", lstm({})},
      {"lstm_peephole", lstm({.peephole = true})},
      {"lstm_projection", lstm({.peephole = true, .projection = 3})},
      {"lstm_coupled", lstm({.peephole = true, .coupled = true})},
      {"lstm_plain", lstm({.gate = tanh, .activation = softsign, .hidden = sin, .bias = false})},
      {"gru_after", gru_cell(features, units)},
      {"gru_after_plain", gru_cell(features, units, {.bias = false})},
      {"gru_before", gru_cell(features, units, {.reset = Reset::before})},
      {"mgu", mgu_cell(features, units)},
      {"indrnn", indrnn_cell(features, units, tanh)},
      {"mingru", mingru_cell(features, units)},
      {"minlstm", minlstm_cell(features, units)},
      {"sru", sru_cell(features, units)},
      {"sru_square", sru_cell(features, features)},
      {"qrnn", qrnn_cell(features, units)},
      {"qrnn_narrow", qrnn_cell(features, units, 1)},
      {"ltc", ltc_cell(features, units, 0.7, 2)},
      {"cfc", cfc_cell(features, units, 0.7)},
  };
}

/// Numbers for x, the arrays of a cell and its initial states, in that order.
inline std::vector<Tensor> points_of(const Cell& cell, const Shape& x, double width = 0.8) {
  std::vector<Tensor> points{ad::spread(x, -1, 1)};
  int seed = 1;
  for (const CellArray& array : cell.weights) {
    points.push_back(ad::spread(array.shape, -width, width, seed++));
  }
  for (const CellArray& array : cell.states) {
    Shape shape{x[0]};
    for (const int64_t extent : array.shape) shape.push_back(extent);
    points.push_back(ad::spread(shape, -0.5, 0.5, seed++));
  }
  return points;
}

/// Runs a cell over operands in the order of points_of().
inline Recurrence run_cell(const Cell& cell, std::span<const Value> in,
                           RecurrentOptions options = {}) {
  const size_t weights = cell.weights.size();
  const auto states = in.subspan(1 + weights, cell.states.size());
  options.initial.assign(states.begin(), states.end());
  return recurrent(cell, in[0], in.subspan(1, weights), options);
}

/// A program over data inputs with those values.
struct CellProgram {
  Graph graph;
  Values in;
  std::vector<Tensor> values;
  explicit CellProgram(const std::vector<Tensor>& points) : values(points) {
    for (const Tensor& point : points) {
      in.push_back(graph.input("x" + std::to_string(in.size()), point.shape(), point.type()));
    }
  }
  void outputs(const Recurrence& run) {
    graph.output("outputs", run.outputs);
    for (size_t i = 0; i < run.states.size(); ++i) {
      graph.output("state" + std::to_string(i), run.states[i]);
    }
  }
  std::vector<Tensor> results(bool as_double = true) {
    return interpret(graph, values, as_double).outputs;
  }
};

/// Outputs and final states of a cell: by default from its points alone.
inline std::vector<Tensor> results_of(const Cell& cell, const std::vector<Tensor>& points,
                                      const RecurrentOptions& options = {}) {
  CellProgram program(points);
  program.outputs(run_cell(cell, program.in, options));
  return program.results();
}

inline void expect_close(const Tensor& found, const Tensor& wanted, double tolerance,
                         const std::string& what) {
  ASSERT_EQ(found.shape(), wanted.shape()) << what;
  for (int64_t i = 0; i < wanted.elements(); ++i) {
    ASSERT_NEAR(found.at(i), wanted.at(i), tolerance) << what << ", element " << i;
  }
}

}  // namespace soma::test
