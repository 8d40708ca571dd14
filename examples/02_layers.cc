// Layers. The neurons of a layer work side by side on the same inputs; they are linked to neurons
// of other layers, never to each other. The input layer is the data and is not counted. Layers
// between the input and the output layer are hidden layers.
#include <iostream>

#include "check.h"
#include "soma/soma.h"

using namespace soma;
using example::check;

namespace {

void count_layers() {
  std::cout << "1. The input layer is not counted\n";
  const Network single{input({2}), dense(3)};
  const Network multi{input({2}), dense(4, tanh), dense(3)};
  single.summary(std::cout);
  check(single.info().layer_count == 1, "input and one layer: a 1-layer net");
  check(multi.info().layer_count == 2 && multi.info().links == 2 * 4 + 4 * 3,
        "a hidden layer of 4 neurons makes a 2-layer net of 20 links");
}

double accuracy(Network& net, const Dataset& points) {
  fit(net, points, {.loss = cross_entropy(), .optimizer = adam(0.01), .epochs = 400});
  return evaluate(net, points, cross_entropy())["accuracy"];
}

void solve_xor() {
  std::cout << "2. XOR: a hidden layer solves what one layer cannot\n";
  const Dataset gate = data::xor_gate();
  Network single{input({2}), dense(1)};
  Network multi{input({2}), dense(4, tanh), dense(1)};
  const FitOptions options{
      .loss = mean_squared_error(), .optimizer = adam(0.05), .epochs = 500, .batch = 4};
  fit(single, gate, options);
  fit(multi, gate, options);
  const double flat = evaluate(single, gate, mean_squared_error()).loss;
  const double bent = evaluate(multi, gate, mean_squared_error()).loss;
  std::cout << "  loss of the 1-layer net " << flat << ", of the 2-layer net " << bent << '\n';
  check(flat > 0.24, "the 1-layer net answers 1/2 to everything: loss 1/4");
  check(bent < 0.01, "the 2-layer net has learned XOR");
}

void solve_spirals() {
  std::cout << "3. Two spirals: two hidden layers\n";
  const Dataset spirals = data::two_spirals();
  Network single{input({2}), dense(2)};
  Network multi{input({2}), dense(32, tanh), dense(32, tanh), dense(2)};
  const double flat = accuracy(single, spirals);
  const double bent = accuracy(multi, spirals);
  std::cout << "  accuracy of the 1-layer net " << flat << ", of the 3-layer net " << bent << '\n';
  check(flat < 0.75, "a straight line does not part the spirals");
  check(bent > 0.98, "hidden layers do");
}

void skip_a_layer() {
  std::cout << "4. A link may skip layers\n";
  Network net{input({2}), dense(4, tanh), dense(3).from({"hidden1", "input"})};
  std::cout << "  " << net.text() << '\n';
  const std::vector<std::string> links = net.neuron("output", 0).links();
  check(links.size() == 6 && links.front() == "hidden1:0" && links.back() == "input:1",
        "an output neuron has 4 links from hidden neurons and 2 straight from the input");
}

void refuse_a_link() {
  std::cout << "5. Neurons of one layer are not linked to each other\n";
  Network net{input({2}), dense(4, tanh), dense(3)};
  std::string message;
  try {
    net.connect("hidden1:1", "hidden1:2");
  } catch (const GraphError& error) {
    message = error.what();
  }
  std::cout << "  " << message << '\n';
  check(message.find("hidden1") != std::string::npos, "such a link is refused by name");
}

void draw(const std::string& folder) {
  std::cout << "6. A drawing\n";
  const Network net{input({2}), dense(4, tanh), dense(3).from({"hidden1", "input"})};
  example::write(folder + "layers.svg", draw_network(net));
}

}  // namespace

int main(int count, char** arguments) {
  count_layers();
  solve_xor();
  solve_spirals();
  skip_a_layer();
  refuse_a_link();
  draw(example::folder(count, arguments));
  return example::failures;
}
