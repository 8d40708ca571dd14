// Auto-encoders: nets whose target is their own input. In the middle stand few neurons, which must
// hold all that matters.
//
// 1. An auto-encoder: 784 pixels through 16 numbers and back.
// 2. A variational one (Kingma & Welling 2014): the 16 numbers are drawn at random around what the
//    encoder says, and kept near the unit normal; so new images can be drawn from noise.
//
//   11_autoencoder           1,500 images, in seconds
//   11_autoencoder --full    60,000 images, in minutes
//
// Writes reconstructions.bmp: originals, what the first and the second made of them, and images
// from noise.
#include <cmath>
#include <iostream>
#include <string>

#include "picture.h"
#include "real_data.h"

using namespace soma;
using example::check;

namespace {

constexpr int64_t pixels = 784, code = 16;

/// Images as targets of themselves.
Dataset of_themselves(const Dataset& images) {
  Dataset data = images;
  data.targets = Tensor({images.size(), pixels});
  data.class_names.clear();
  const auto from = images.inputs.data<uint8_t>();
  const auto to = data.targets.data<float>();
  for (size_t i = 0; i < from.size(); ++i) to[i] = static_cast<float>(from[i]) / 255;
  return data;
}

/// The layers of another net that have the same names get its weights.
void take_weights(Network& to, const Network& from) {
  for (auto& [name, tensor] : to.tensors()) tensor = from.tensors().at(name);
}

/// binary_cross_entropy compares each pixel; its outputs are logits.
Tensor as_ink(Tensor logits) {
  for (float& x : logits.data<float>()) x = 1 / (1 + std::exp(-x));
  return logits;
}

double learn(Network& net, const Dataset& images, int epochs) {
  const auto steps = static_cast<double>((images.size() + 127) / 128 * epochs);
  const History history = fit(net, images,
                              {.loss = binary_cross_entropy(),
                               .optimizer = adam(one_cycle(3e-3, steps)),
                               .epochs = epochs,
                               .batch = 128,
                               .seed = 1,
                               .callbacks = {example::report()}});
  return history.epochs.back().loss;
}

/// The loss of saying for each pixel how dark it is on average: what a net must beat.
double loss_of_the_mean(const Dataset& images) {
  const auto ink = images.targets.data<float>();
  std::vector<double> mean(pixels, 0);
  for (size_t i = 0; i < ink.size(); ++i)
    mean[i % pixels] += ink[i] / static_cast<double>(images.size());
  double loss = 0;
  for (size_t i = 0; i < ink.size(); ++i) {
    const double p = std::fmin(1 - 1e-6, std::fmax(1e-6, mean[i % pixels]));
    loss -= ink[i] * std::log(p) + (1 - ink[i]) * std::log(1 - p);
  }
  return loss / static_cast<double>(ink.size());
}

}  // namespace

int main(int count, char** arguments) {
  const auto images = example::fashion_mnist();
  if (!images) return 0;
  const bool full = example::full(count, arguments);
  const Dataset train = of_themselves(full ? images->train : images->train.subset(0, 1500));
  const Dataset test = of_themselves(images->test.subset(0, 1000));
  const double mean_loss = loss_of_the_mean(train);
  const std::string decoder = "128 relu name=d1, 256 relu name=d2, 784 name=ink";

  std::cout << "1. An auto-encoder: " << pixels << " pixels through " << code << " numbers\n";
  Network plain =
      Network::parse("256 relu name=e1, 128 relu name=e2, 16 name=code, " + decoder, Shape{28, 28});
  const double plain_loss = learn(plain, train, full ? 12 : 8);
  check(plain_loss < 0.85 * mean_loss,
        "it keeps more of an image than the mean of all images does");

  std::cout << "2. A variational auto-encoder\n";
  // The loss is a mean over pixels, so the divergence from the unit normal is one, too: beta = 1 /
  // 784.
  Network variational =
      Network::parse("256 relu name=e1, 128 relu name=e2, 32 name=moments, gaussian_sample beta=" +
                         std::to_string(1.0 / pixels) + " name=code, " + decoder,
                     Shape{28, 28});
  learn(variational, train, full ? 12 : 8);
  const double variational_loss = evaluate(variational, test, binary_cross_entropy()).loss;
  check(variational_loss < 0.9 * mean_loss, "so does the variational one, on new images");

  Network draw = Network::parse(decoder, Shape{code});
  take_weights(draw, variational);
  InputAttr normal{"noise", InputKind::data, {10, code}, f32, "normal(1)"};
  const Tensor noise = initial_value(normal, 7);

  example::Sheet sheet(4, 10, 28);
  Tensor some({10, 28, 28});
  const Dataset ten = test.subset(0, 10);
  std::vector<int64_t> rows(10);
  for (size_t i = 0; i < 10; ++i) rows[i] = static_cast<int64_t>(i);
  ten.gather_inputs(rows, some.data<float>());
  const Tensor lines[] = {some.reshaped({10, pixels}), as_ink(plain.predict(some)),
                          as_ink(variational.predict(some)), as_ink(draw.predict(noise))};
  for (int64_t row = 0; row < 4; ++row) {
    for (int64_t i = 0; i < 10; ++i) {
      sheet.put(row, i, lines[row].data<float>().data() + i * pixels);
    }
  }
  std::string folder;
  for (int i = 1; i < count; ++i) {
    if (std::string(arguments[i]) != "--full") folder = std::string(arguments[i]) + '/';
  }
  example::write(folder + "reconstructions.bmp", sheet.bmp());
  return example::failures;
}
