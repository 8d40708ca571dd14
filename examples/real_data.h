// What the examples on real images share.
#pragma once

#include <iomanip>
#include <iostream>
#include <optional>

#include "check.h"
#include "soma/soma.h"

namespace example {

/// Fashion-MNIST, or nothing, with the reason, where it is not installed.
inline std::optional<soma::TrainTest> fashion_mnist() {
  try {
    return soma::data::fashion_mnist();
  } catch (const soma::FileError& error) {
    std::cout << "left out: " << error.what() << '\n';
    return {};
  }
}

/// A line for each epoch.
inline soma::Callback report() {
  return [](const soma::Event& event) {
    if (event.kind != soma::Event::Kind::epoch) return true;
    std::cout << "  epoch " << event.epoch << '/' << event.epochs << "  loss " << event.loss;
    if (event.validation) std::cout << ", of new images " << event.validation->loss;
    std::cout << "  (" << std::fixed << std::setprecision(0) << event.seconds << " s)\n"
              << std::defaultfloat << std::setprecision(6) << std::flush;
    return true;
  };
}

/// Whether the program was asked for all data and the full training, which take minutes.
inline bool full(int count, char** arguments) {
  for (int i = 1; i < count; ++i) {
    if (std::string(arguments[i]) == "--full") return true;
  }
  return false;
}

}  // namespace example
