// Uses an activation function and an optimizer that exist only as one row each (see test.cmake): as
// functions, in text, in a network, in training, and in the check of gradients.
#include <cmath>
#include <iostream>

#include "soma/soma.h"

using namespace soma;

int main() {
  // As a function and in text; the row's own formula is the check.
  Network net = Network::parse("1 serf", Shape{1});
  net.neuron("output", 0).set_weight(0, 1);
  const double y = net.predict(Tensor::of({1, 1}, {1})).at(0);
  const bool value = std::abs(y - std::erf(std::log1p(std::exp(1.0)))) < 1e-6;

  const Tensor points = Tensor::of({4}, std::vector<double>{-2, -0.5, 0.3, 1.7});
  const GradCheckResult slopes =
      gradcheck([](Graph&, std::span<const Value> x) { return serf(x[0]); }, std::span(&points, 1));

  // By both names, in training.
  const bool same = optimizer_named("clipped_sgd(lr=0.5)").text() == clipped_sgd(0.5).text();
  Network gate{input({2}), dense(8, serf), dense(1)};
  const History history =
      fit(gate, data::xor_gate(),
          {.loss = mean_squared_error(), .optimizer = clipped_sgd(0.5), .epochs = 500, .batch = 4});
  const double loss = history.epochs.back().loss;

  std::cout << "value " << y << ", gradients " << (slopes ? "right" : slopes.message) << ", texts "
            << (same ? "equal" : "different") << ", loss " << loss << '\n';
  return value && slopes && same && loss < 0.01 ? 0 : 1;
}
