// One neuron. It takes numbers, multiplies each by the weight of its link, adds its bias and puts
// the sum through its activation function: y = f(w·x + b).
//
// 1. With one input and no activation function it is a straight line, fitted to points.
// 2. With two inputs its weights and bias are a line in the plane (in more dimensions: a
//    hyperplane): f(w·x + b) changes where w·x + b = 0. The bias moves it off the origin.
// 3. So one neuron learns AND and OR, whose answers a line separates; no line separates XOR's.
#include <cmath>
#include <iostream>

#include "check.h"
#include "soma/soma.h"

using namespace soma;
using example::check;

namespace {

void fit_a_line() {
  std::cout << "1. y = w x + b, fitted to points\n";
  const std::vector<float> x = {-2, -1, 0, 1, 2, 3};
  const std::vector<float> y = {-5.1f, -2.9f, -1.2f, 1.1f, 2.8f, 5.2f};  // near y = 2 x - 1
  const Dataset points = data::in_memory(Tensor::of({6, 1}, x), Tensor::of({6, 1}, y));

  Network net{input({1}), dense(1)};
  fit(net, points,
      {.loss = mean_squared_error(), .optimizer = sgd(0.1), .epochs = 200, .batch = 6});
  const Neuron neuron = net.neuron("output", 0);
  std::cout << "  learned: y = " << neuron.weight(0) << " x + " << neuron.bias() << '\n';

  // The best line is known: w = cov(x, y) / var(x), b = mean(y) - w mean(x).
  double sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    sx += x[i], sy += y[i], sxx += x[i] * x[i], sxy += x[i] * y[i];
  }
  const auto n = static_cast<double>(x.size());
  const double w = (n * sxy - sx * sy) / (n * sxx - sx * sx);
  const double b = (sy - w * sx) / n;
  check(std::abs(neuron.weight(0) - w) < 1e-3 && std::abs(neuron.bias() - b) < 1e-3,
        "gradient descent found the line of least squares");
}

/// Where the neuron says 1, over the square from -2 to 2.
void show(const Network& net) {
  for (double y = 2; y >= -2; y -= 1) {
    std::cout << "    ";
    for (double x = -2; x <= 2; x += 0.5) {
      const Tensor point = Tensor::of({1, 2}, {static_cast<float>(x), static_cast<float>(y)});
      std::cout << (net.predict(point).at(0) > 0 ? " #" : " .");
    }
    std::cout << '\n';
  }
}

void move_the_hyperplane() {
  std::cout << "2. The bias moves the hyperplane off the origin\n";
  Network net{input({2}), dense(1, step)};
  Neuron neuron = net.neuron("output", 0);
  neuron.set_weights(std::vector<float>{1, 1});
  for (const float border : {0.0f, 1.5f}) {
    neuron.set_bias(0 - border);
    std::cout << "  w = (1, 1), b = " << neuron.bias() << ": 1 where x1 + x2 > " << border << '\n';
    show(net);
    // On the line w·x = -b the sum is 0; its distance from the origin is |b| / |w|.
    const Tensor on_the_line = Tensor::of({2}, {border / 2, border / 2});
    const LayerProbe probe = net.probe(on_the_line)["output"];
    check(probe.activation_value.at(0) == border && probe.sum.at(0) == 0,
          "on the line the activation value w·x is " + std::to_string(border) +
              ", and the sum with the bias 0");
  }
  const Tensor origin({1, 2});
  check(net.predict(origin).at(0) == 0, "with the bias -1.5 the origin lies clearly on one side");
}

/// How many of the four rows of the gate one neuron gets right after training.
int rows_learned(const std::vector<float>& answers) {
  const Dataset gate =
      data::in_memory(Tensor::of({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1}), Tensor::of({4, 1}, answers));
  Network net{input({2}), dense(1)};
  fit(net, gate,
      {.loss = binary_cross_entropy(), .optimizer = adam(0.1), .epochs = 500, .batch = 4});
  const Tensor scores = net.predict(gate.inputs);  // above 0: more likely 1 than 0
  int right = 0;
  for (int64_t row = 0; row < 4; ++row) right += (scores.at(row) > 0) == (answers[row] > 0.5f);
  return right;
}

void learn_gates() {
  std::cout << "3. One neuron learns AND and OR, and cannot learn XOR\n";
  check(rows_learned({0, 0, 0, 1}) == 4, "AND: all 4 rows right");
  check(rows_learned({0, 1, 1, 1}) == 4, "OR: all 4 rows right");
  check(rows_learned({0, 1, 1, 0}) < 4, "XOR: at least one row wrong, however long it learns");
}

}  // namespace

int main() {
  fit_a_line();
  move_the_hyperplane();
  learn_gates();
  return example::failures;
}
