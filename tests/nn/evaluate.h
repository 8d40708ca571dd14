// Values of small graphs, through the interpreter.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "soma/gradient.h"
#include "soma/nn.h"

namespace soma::test {

/// The numbers of one value, given its data inputs by name; parameters and states start as
/// initialize() says.
inline Tensor evaluate(Graph& graph, Value value, const Tensors& data) {
  Graph program;
  std::unordered_map<Id, Value> replaced;
  for (const Id id : graph.inputs()) {
    const auto& input = graph[id].as<InputAttr>();
    replaced[id] = program.input(input.name, input.shape, input.type);
  }
  const Id wanted[] = {value.id()};
  program.output("value", program.splice(graph, wanted, replaced)[0]);
  const Tensors start = initialize(graph, 1);
  std::vector<Tensor> inputs;
  for (const Id id : graph.inputs()) {
    const auto& name = graph[id].as<InputAttr>().name;
    inputs.push_back(data.count(name) ? data.at(name) : start.at(name));
  }
  return interpret(program, inputs).outputs.at(0);
}

inline std::vector<double> numbers(const Tensor& tensor) {
  std::vector<double> result;
  for (int64_t i = 0; i < tensor.elements(); ++i) result.push_back(tensor.at(i));
  return result;
}

inline Tensor vector_of(const std::vector<double>& values) {
  return Tensor::of({static_cast<int64_t>(values.size())}, values);
}

struct Curve {
  std::vector<double> y, slope;
};
/// f and f' at each x, in the type given.
inline Curve curve(const Activation& f, const std::vector<double>& x, DType type = f64) {
  Graph graph;
  const Value in = graph.input("x", {static_cast<int64_t>(x.size())}, type);
  const Value y = f(in);
  const Value wrt[] = {in};
  const Value slope = gradients(sum(y), wrt)[0];
  const Tensors data{{"x", vector_of(x).cast(type)}};
  return {numbers(evaluate(graph, y, data)), numbers(evaluate(graph, slope, data))};
}

/// The row with its defaults; parameters without one get a number.
inline Activation with_defaults(const ActivationRow& row) {
  std::string text = row.name + "(";
  for (const Parameter& p : row.parameters) {
    if (p.initial.empty()) text += p.name + "=0.3 ";
  }
  return activation_named(text + ")");
}

/// Relative where numbers are large, absolute near zero.
inline void expect_near(const std::vector<double>& found, const std::vector<double>& wanted,
                        double tolerance, const std::string& what = "") {
  ASSERT_EQ(found.size(), wanted.size()) << what;
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], wanted[i], tolerance * std::max(1.0, std::abs(wanted[i])))
        << what << " element " << i;
  }
}

}  // namespace soma::test
