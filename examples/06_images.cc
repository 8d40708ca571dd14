// Convolutional networks: filters that look at every place of an image with the same weights.
//
//   06_images                  3,000 images, in seconds
//   06_images --full           60,000 images: a plain convolutional net, in minutes
//   06_images --full residual  the same with residual blocks and mirrored images, longer
#include <iostream>
#include <numeric>
#include <string>

#include "real_data.h"

using namespace soma;
using example::check;

namespace {

/// Two convolutions with pooling, then neurons linked to all that is left.
const char* const plain =
    "28x28\n"
    "conv2d 32 3 relu padding=same   # 32 filters of 3 x 3\n"
    "max_pool 2                      # the larger half of each direction\n"
    "conv2d 64 3 relu padding=same\n"
    "max_pool 2\n"
    "dropout 0.25\n"
    "128 relu\n"
    "dropout 0.5\n"
    "10\n";

/// Residual blocks (He+ 2015): what the layers inside make is added to what came in, so that a deep
/// net learns as well as a shallow one.
std::string residual_net() {
  const auto convolution = [](int filters, int window, int stride) {
    return "conv2d " + std::to_string(filters) + " " + std::to_string(window) +
           " stride=" + std::to_string(stride) + " padding=same bias=false, batch_norm";
  };
  // Where the number of filters changes, what came in goes through filters of one place, too.
  const auto block = [&](int filters, int stride, bool same) {
    return "residual [" + convolution(filters, 3, stride) + ", relu, " +
           convolution(filters, 3, 1) + "] relu" +
           (same ? "" : " shortcut=[" + convolution(filters, 1, stride) + "]") + "\n";
  };
  return "28x28\nconv2d 32 3 padding=same bias=false\nbatch_norm\nrelu\nmax_pool 2\n" +
         block(48, 1, false) + block(48, 1, true) + block(96, 2, false) + block(96, 1, true) +
         "global_avg_pool\ndropout 0.2\n10\n";
}

/// Every image, and every image seen in a mirror: a shoe is a shoe either way.
Dataset with_mirrored(const Dataset& images) {
  std::vector<int64_t> twice(static_cast<size_t>(2 * images.size()));
  std::iota(twice.begin(), twice.begin() + images.size(), 0);
  std::iota(twice.begin() + images.size(), twice.end(), 0);
  Dataset all = images.rows(twice);
  const auto pixels = all.inputs.data<uint8_t>();
  const int64_t side = images.input_shape()[1];
  const auto half = static_cast<size_t>(images.inputs.elements());
  for (size_t row = half; row < pixels.size(); row += static_cast<size_t>(side)) {
    std::reverse(pixels.begin() + static_cast<std::ptrdiff_t>(row),
                 pixels.begin() + static_cast<std::ptrdiff_t>(row) + side);
  }
  return all;
}

double learn(const std::string& text, const Dataset& train, const Dataset& test, int epochs,
             double rate) {
  Network net = Network::parse(text);
  net.summary(std::cout);
  const auto steps = static_cast<double>((train.size() + 127) / 128 * epochs);
  fit(net, train,
      {.loss = cross_entropy(),
       .optimizer = adamw(one_cycle(rate, steps)),
       .epochs = epochs,
       .batch = 128,
       .validation = &test,
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
  const auto& [train, test] = *images;
  if (!example::full(count, arguments)) {
    const double accuracy = learn(plain, train.subset(0, 3000), test.subset(0, 1000), 3, 4e-3);
    check(accuracy > 0.75, "a convolutional net learns from 3,000 images");
    std::cout << "The residual net that --full residual trains:\n";
    Network::parse(residual_net()).summary(std::cout);
  } else if (std::string(arguments[count - 1]) == "residual") {
    const double accuracy = learn(residual_net(), with_mirrored(train), test, 10, 4e-3);
    check(accuracy >= 0.93, "the residual net reaches 93 %");
  } else {
    const double accuracy = learn(plain, train, test, 8, 3e-3);
    check(accuracy >= 0.915, "the convolutional net reaches 91.5 %");
  }
  return example::failures;
}
