// Training. Gradient descent steps against the gradient of the loss; the learning rate sizes the
// steps. Backpropagation finds the gradient.
//
// 1. One neuron, y = w x + b, has a loss for each (w, b): a surface. Gradient descent walks down.
// 2. The learning rate: too small, right, too large.
// 3. The same on 60,000 real images, when Fashion-MNIST is there.
#include <algorithm>
#include <cmath>
#include <iostream>

#include "check.h"
#include "soma/soma.h"

using namespace soma;
using example::check;

namespace {

// Points near y = 2 x - 1: the loss has one lowest place, close to w = 2, b = -1.
const std::vector<float> xs = {-1, 0, 1, 2};
const std::vector<float> ys = {-3.1f, -0.9f, 1.2f, 2.8f};

double loss_at(double w, double b) {
  double total = 0;
  for (size_t i = 0; i < xs.size(); ++i) total += std::pow(w * xs[i] + b - ys[i], 2);
  return total / static_cast<double>(xs.size());
}

struct Place {
  double w, b, loss;
};

/// The places gradient descent visits from w = -2, b = 2. Forward pass, backpropagation and update
/// are one program; each run is one step.
std::vector<Place> descend(double learning_rate, int steps) {
  Graph g;
  const Value x = g.input("x", {4, 1});
  const Value target = g.input("target", {4, 1});
  const Value w = g.parameter("w", {1, 1}, "-2");
  const Value b = g.parameter("b", {1}, "2");
  const Value loss = mean_squared_error()(dot(x, w) + b, target);
  const Graph program = train_step(g, loss, sgd(learning_rate));

  Tensors numbers = initialize(program, 0);
  Plan step = compile(program, Device::cpu(1));
  step.bind(numbers);
  std::copy(xs.begin(), xs.end(), step.input<float>("x").begin());
  std::copy(ys.begin(), ys.end(), step.input<float>("target").begin());
  std::vector<Place> path;
  for (int i = 0; i <= steps; ++i) {
    const double at_w = numbers.at("w").at(0), at_b = numbers.at("b").at(0);
    path.push_back({at_w, at_b, loss_at(at_w, at_b)});
    step.run();
  }
  return path;
}

/// The surface from above, darker where the loss is smaller, and the path across it.
std::string draw_surface(const std::vector<Place>& path) {
  constexpr int cells = 60, size = 8;
  constexpr double w_low = -3, b_low = -4, span = 8;  // w from -3 to 5, b from -4 to 4
  const auto px = [&](double w) { return std::to_string((w - w_low) / span * cells * size); };
  const auto py = [&](double b) {
    return std::to_string((b_low + span - b) / span * cells * size);
  };
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 480 480\">\n";
  for (int i = 0; i < cells; ++i) {
    for (int j = 0; j < cells; ++j) {
      const double w = w_low + span * (i + 0.5) / cells, b = b_low + span * (j + 0.5) / cells;
      const int level = std::min(19, static_cast<int>(4 * std::log1p(loss_at(w, b))));
      svg += "<rect x=\"" + std::to_string(i * size) + "\" y=\"" +
             std::to_string((cells - 1 - j) * size) +
             "\" width=\"8\" height=\"8\" fill=\"hsl(210 60% " + std::to_string(20 + 4 * level) +
             "%)\"/>\n";
    }
  }
  svg += "<polyline fill=\"none\" stroke=\"orange\" stroke-width=\"2\" points=\"";
  for (const Place& place : path) svg += px(place.w) + "," + py(place.b) + " ";
  svg += "\"/>\n";
  for (const Place& place : path) {
    svg +=
        "<circle r=\"3\" fill=\"orange\" cx=\"" + px(place.w) + "\" cy=\"" + py(place.b) + "\"/>\n";
  }
  return svg + "</svg>\n";
}

void walk_down(const std::string& folder) {
  std::cout << "1. Down the loss surface of one neuron\n";
  const std::vector<Place> path = descend(0.1, 60);
  for (const size_t i : {0, 1, 2, 5, 10, 20, 60}) {
    std::cout << "  step " << i << ": w = " << path[i].w << ", b = " << path[i].b << ", loss "
              << path[i].loss << '\n';
  }
  const bool down = std::is_sorted(path.begin(), path.end(),
                                   [](Place a, Place b) { return a.loss > b.loss + 1e-9; });
  check(down, "each step goes down");
  check(std::abs(path.back().w - 2) < 0.05 && std::abs(path.back().b + 1) < 0.05,
        "it arrives near w = 2, b = -1, the line the points came from");
  example::write(folder + "descent.svg", draw_surface(path));
}

void compare_learning_rates() {
  std::cout << "2. The learning rate sizes the steps\n";
  const double small = descend(0.001, 60).back().loss;
  const double right = descend(0.1, 60).back().loss;
  const double large = descend(0.7, 60).back().loss;
  const double start = loss_at(-2, 2);
  std::cout << "  loss at the start " << start << "; after 60 steps with 0.001: " << small
            << ", 0.1: " << right << ", 0.7: " << large << '\n';
  check(right < 0.05, "0.1 is right");
  check(small > 20 * right && small < start, "0.001 is too small: the way is long");
  check(!(large < start), "0.7 is too large: each step goes too far, and the loss grows");
}

void learn_images() {
  std::cout << "3. Fashion-MNIST: 60,000 images of clothes\n";
  TrainTest images;
  try {
    images = data::fashion_mnist();
  } catch (const FileError& error) {
    std::cout << "  left out: " << error.what() << '\n';
    return;
  }
  Network net{input({28, 28}), dense(128, relu), dense(10)};
  const Callback report = [](const Event& event) {
    if (event.kind == Event::Kind::epoch) {
      std::cout << "  epoch " << event.epoch << ": loss " << event.loss << '\n';
    }
    return true;
  };
  fit(net, images.train,
      {.loss = cross_entropy(),
       .optimizer = adam(1e-3),
       .epochs = 2,
       .batch = 128,
       .seed = 1,
       .callbacks = {report}});
  const double accuracy = evaluate(net, images.test, cross_entropy())["accuracy"];
  check(accuracy > 0.83, "it names " + std::to_string(accuracy * 100) + " % of 10,000 new images");
}

}  // namespace

int main(int count, char** arguments) {
  walk_down(example::folder(count, arguments));
  compare_learning_rates();
  learn_images();
  return example::failures;
}
