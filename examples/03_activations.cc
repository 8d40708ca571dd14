// Activation functions: all of them, with their values and derivatives, plotted.
//
// What a neuron makes of its sum is up to its activation function. Without one, layers in a row
// are no more than one layer; with one, they can bend. Each neuron may have its own.
#include <cmath>
#include <iostream>

#include "check.h"
#include "soma/soma.h"

using namespace soma;
using example::check;

namespace {

constexpr int points = 241;

/// The function with its defaults; parameters without one are 0.
Activation with_defaults(const ActivationRow& row) {
  std::string arguments;
  for (const Parameter& parameter : row.parameters) {
    if (parameter.initial.empty()) arguments += parameter.name + "=0 ";
  }
  return activation_named(row.name + "(" + arguments + ")");
}

/// f and its derivative at `points` places from -6 to 6, as the engine computes them.
Chart plot(const Activation& function) {
  Graph graph;
  const Value x = graph.input("x", {points, 1});
  const Value y = function(x);
  graph.output("f", y);
  graph.output("f'", gradients(sum(y), std::vector<Value>{x})[0]);
  Tensors parameters = initialize(graph, 1);
  Plan plan = compile(graph);
  plan.bind(parameters);
  Chart chart{function.name(), function.row().formula, {}, -4, 6};
  std::vector<double> places;
  for (int i = 0; i < points; ++i) {
    places.push_back(-6 + 12.0 * i / (points - 1));
    plan.input<float>("x")[static_cast<size_t>(i)] = static_cast<float>(places.back());
  }
  plan.run();
  for (const char* name : {"f", "f'"}) {
    const auto values = plan.output(name).as<float>();
    chart.curves.push_back({name, places, {values.begin(), values.end()}, name[1] == '\''});
  }
  return chart;
}

/// The derivative belongs to the function: its integral, by trapezoids, is the function's rise.
/// Functions that jump (step, sign, threshold, …) rise where their derivative is 0.
bool derivative_fits(const Chart& chart) {
  const auto& f = chart.curves[0].y;
  const auto& slope = chart.curves[1].y;
  int misfits = 0;
  for (size_t i = 1; i < f.size(); ++i) {
    const double rise = f[i] - f[i - 1];
    const double area = 0.05 * 0.5 * (slope[i] + slope[i - 1]);
    const double scale = 1 + std::abs(f[i]) + std::abs(slope[i]) + std::abs(slope[i - 1]);
    misfits += std::abs(rise - area) > 0.02 * scale;
  }
  return misfits <= 2;  // a jump, or the two ends of a gap
}

void plot_all(const std::string& folder) {
  std::cout << "1. Functions of one number\n";
  std::vector<Chart> charts;
  std::string misfits;
  for (const ActivationRow& row : activations()) {
    if (row.vector) continue;
    charts.push_back(plot(with_defaults(row)));
    std::cout << "  " << row.name << ": " << row.formula << '\n';
    if (!derivative_fits(charts.back())) misfits += " " + row.name;
  }
  check(misfits.empty(), "the derivative of each fits the function" + misfits);
  example::write(folder + "activations.svg", draw_charts(charts));
}

void list_vectors() {
  std::cout << "2. Functions of all numbers of a layer\n";
  for (const ActivationRow& row : activations()) {
    if (row.vector) std::cout << "  " << row.name << ": " << row.formula << '\n';
  }
  Network net{input({3}), activation(softmax)};
  const Tensor chances = net.predict(Tensor::of({1, 3}, {1, 2, 3}));
  check(std::abs(chances.at(0) + chances.at(1) + chances.at(2) - 1) < 1e-6 &&
            chances.at(2) > chances.at(1),
        "softmax makes chances of scores: they sum to 1");
}

void one_per_neuron() {
  std::cout << "3. Each neuron its own\n";
  Network net{input({1}), dense({relu, tanh, sigmoid})};
  for (int64_t i = 0; i < 3; ++i) net.neuron("output", i).set_weight(0, 1);
  const Tensor y = net.predict(Tensor::of({1, 1}, {-1}));
  check(y.at(0) == 0 && std::abs(y.at(1) - std::tanh(-1)) < 1e-6 &&
            std::abs(y.at(2) - 1 / (1 + std::exp(1))) < 1e-6,
        "a layer of relu, tanh and sigmoid: " + net.text());
}

void without_any() {
  std::cout << "4. Without activation functions, layers in a row are one layer\n";
  Network deep{input({2}), dense(3), dense(3), dense(1)};
  const auto at = [&](float x, float y) { return deep.predict(Tensor::of({1, 2}, {x, y})).at(0); };
  check(std::abs(at(1, 0) + at(0, 1) - at(1, 1) - at(0, 0)) < 1e-6,
        "f(a) + f(b) = f(a + b) + f(0): a plane, however deep");
}

}  // namespace

int main(int count, char** arguments) {
  plot_all(example::folder(count, arguments));
  list_vectors();
  one_per_neuron();
  without_any();
  return example::failures;
}
