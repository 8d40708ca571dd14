// A worked example: one forward and one backward pass of a 2-2-1 net (two inputs, a hidden layer of
// two neurons, one output neuron), with every number. The same numbers come out by hand:
//
//   inputs x = (0.5, -1), target 1, activation function of the hidden neurons: sigmoid s(z)
//
//   forward           activation value w·x          sum with bias       output
//   hidden 1   0.4·0.5 + 0.2·(-1)   =  0      + 0.1 =  0.1    s( 0.1)  =  0.524979
//   hidden 2  -0.6·0.5 + 0.3·(-1)   = -0.6    + 0.2 = -0.4    s(-0.4)  =  0.401312
//   output     1·0.524979 - 2·0.401312 = -0.277645 + 0.5 = 0.222355       0.222355
//   loss      (0.222355 - 1)² = 0.604732
//
//   backward: each weight is adjusted in proportion to its contribution to the error
//   dL/dy       = 2 (0.222355 - 1)                            = -1.555291
//   output      dL/dv = dL/dy · (0.524979, 0.401312)          = (-0.816495, -0.624157)
//               dL/db = dL/dy                                 = -1.555291
//   hidden      dL/dh = dL/dy · (1, -2)                       = (-1.555291, 3.110582)
//               dL/dz = dL/dh · s (1 - s)
//                     = (-1.555291·0.249376, 3.110582·0.240261) = (-0.387852, 0.747351)
//   hidden 1    dL/dw = dL/dz · (0.5, -1)                     = (-0.193926,  0.387852)
//   hidden 2                                                  = ( 0.373675, -0.747351)
//
//   one step of gradient descent with the learning rate 0.1: w - 0.1 dL/dw
//   hidden 1    w = (0.419393, 0.161215), b = 0.138785
//   hidden 2    w = (-0.637368, 0.374735), b = 0.125265
//   output      v = (1.081650, -1.937584), b = 0.655529;  the loss is now 0.206031
#include <cmath>
#include <iostream>

#include "check.h"
#include "soma/soma.h"

using namespace soma;

namespace {

/// Prints an array and compares it with the calculation above.
void compare(const std::string& name, const Tensor& found, const std::vector<double>& by_hand) {
  std::string text;
  bool equal = found.elements() == static_cast<int64_t>(by_hand.size());
  for (size_t i = 0; equal && i < by_hand.size(); ++i) {
    const double value = found.at(static_cast<int64_t>(i));
    text += " " + std::to_string(value);
    equal = std::abs(value - by_hand[i]) < 1e-6;
  }
  example::check(equal, name + " =" + text);
}

void compare(const std::string& name, double found, double by_hand) {
  compare(name, Tensor::scalar(found), {by_hand});
}

void set_up(Network& net) {
  net.neuron("hidden1", 0).set_weights(std::vector<float>{0.4f, 0.2f});
  net.neuron("hidden1", 0).set_bias(0.1f);
  net.neuron("hidden1", 1).set_weights(std::vector<float>{-0.6f, 0.3f});
  net.neuron("hidden1", 1).set_bias(0.2f);
  net.neuron("output", 0).set_weights(std::vector<float>{1, -2});
  net.neuron("output", 0).set_bias(0.5f);
}

void pass_forward(const Probe& probe) {
  std::cout << "Forward\n";
  compare("hidden: activation value w·x", probe["hidden1"].activation_value, {0, -0.6});
  compare("hidden: sum with the bias", probe["hidden1"].sum, {0.1, -0.4});
  compare("hidden: output", probe["hidden1"].out, {0.524979, 0.401312});
  compare("output: activation value", probe["output"].activation_value, {-0.277645});
  compare("output: sum with the bias", probe["output"].sum, {0.222355});
  compare("loss", *probe.loss, 0.604732);
}

void pass_backward(const Probe& probe) {
  std::cout << "Backward\n";
  compare("output: dL/dy", probe["output"].out_gradient, {-1.555291});
  compare("output: dL/dv", probe["output"].weights_gradient, {-0.816495, -0.624157});
  compare("output: dL/db", probe["output"].bias_gradient, {-1.555291});
  compare("hidden: dL/dh", probe["hidden1"].out_gradient, {-1.555291, 3.110582});
  compare("hidden: dL/dz", probe["hidden1"].sum_gradient, {-0.387852, 0.747351});
  // One row for each input, one column for each neuron.
  compare("hidden: dL/dw", probe["hidden1"].weights_gradient,
          {-0.193926, 0.373675, 0.387852, -0.747351});
}

}  // namespace

int main() {
  Network net{input({2}), dense(2, sigmoid), dense(1)};
  set_up(net);
  const Tensor x = Tensor::of({1, 2}, {0.5f, -1});
  const Tensor target = Tensor::of({1, 1}, {1});
  const Probe probe = net.probe(x, target, mean_squared_error());
  pass_forward(probe);
  pass_backward(probe);

  std::cout << "One step of gradient descent\n";
  const Dataset sample = data::in_memory(x, target);
  fit(net, sample, {.loss = mean_squared_error(), .optimizer = sgd(0.1), .epochs = 1, .batch = 1});
  compare("hidden: w", net.tensors().at("hidden1/weights"),
          {0.419393, -0.637368, 0.161215, 0.374735});
  compare("hidden: b", net.tensors().at("hidden1/bias"), {0.138785, 0.125265});
  compare("output: v", net.tensors().at("output/weights"), {1.081650, -1.937584});
  compare("output: b", net.tensors().at("output/bias"), {0.655529});
  compare("loss", evaluate(net, sample, mean_squared_error()).loss, 0.206031);
  return example::failures;
}
