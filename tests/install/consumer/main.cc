// A program outside of Soma's tree that trains a net with the installed library.
#include <soma/soma.h>

#include <iostream>

int main() {
  using namespace soma;
  Dataset gate = data::xor_gate();
  Network net{input({2}), dense(8, tanh), dense(1)};
  const History history = fit(net, gate, {.optimizer = adam(0.05), .epochs = 200, .batch = 4});
  std::cout << "soma " << version_text << ": loss " << history.epochs.back().loss << '\n';
  return history.epochs.back().loss < 0.01 ? 0 : 1;
}
