// An image as a sequence: a recurrent net reads 28 rows of 28 pixels from top to bottom and says at
// the end what it saw. LSTM and GRU, side by side.
//
//   08_rows           2,000 images, in seconds
//   08_rows --full    60,000 images, in minutes
#include <iostream>
#include <string>

#include "real_data.h"

using namespace soma;
using example::check;

namespace {

double learn(const std::string& text, const Dataset& train, const Dataset& test, int epochs) {
  Network net = Network::parse(text, train.input_shape());
  std::cout << text << ": " << net.info().parameters << " parameters\n";
  const auto steps = static_cast<double>((train.size() + 127) / 128 * epochs);
  fit(net, train,
      {.loss = cross_entropy(),
       .optimizer = clip_global_norm(1) + adam(one_cycle(5e-3, steps)),
       .epochs = epochs,
       .batch = 128,
       .seed = 1,
       .callbacks = {example::report()}});
  const double accuracy = evaluate(net, test, cross_entropy())["accuracy"];
  std::cout << "  accuracy on " << test.size() << " new images: " << accuracy << '\n';
  return accuracy;
}

}  // namespace

int main(int count, char** arguments) {
  const auto images = example::fashion_mnist();
  if (!images) return 0;
  const bool full = example::full(count, arguments);
  const Dataset train = full ? images->train : images->train.subset(0, 2000);
  const Dataset test = full ? images->test : images->test.subset(0, 1000);
  for (const char* net : {"lstm 128, 10", "gru 128, 10"}) {
    const double accuracy = learn(net, train, test, full ? 6 : 3);
    check(accuracy >= (full ? 0.88 : 0.6), std::string(net) + " learns to read images");
  }
  return example::failures;
}
