// PyTorch's C++ frontend: training steps without the interpreter.
#include <torch/torch.h>

#include "rivals.h"

namespace {
namespace nn = torch::nn;
using torch::Tensor;

struct Recurrent : nn::Module {
  nn::LSTM lstm{nullptr};
  nn::GRU gru{nullptr};
  nn::Linear last{nullptr};
  explicit Recurrent(bool gated) {
    if (gated) {
      gru = register_module("gru", nn::GRU(nn::GRUOptions(28, 128).batch_first(true)));
    } else {
      lstm = register_module("lstm", nn::LSTM(nn::LSTMOptions(28, 128).batch_first(true)));
    }
    last = register_module("last", nn::Linear(128, 10));
  }
  Tensor forward(Tensor x) {
    const Tensor all = gru ? std::get<0>(gru->forward(x)) : std::get<0>(lstm->forward(x));
    return last->forward(all.select(1, 27));
  }
};

auto conv(int in, int out, int window, int pad) {
  return nn::Conv2d(nn::Conv2dOptions(in, out, window).padding(pad));
}

}  // namespace

int main(int count, char** values) {
  const rivals::Arguments arguments(count, values);
  const std::string& w = arguments.workload;
  torch::manual_seed(1);
  rivals::Images images;
  Tensor x = torch::from_blob(images.pixels.data(), {rivals::rows, 784});
  const Tensor y = torch::from_blob(images.labels.data(), {rivals::rows}, torch::kLong);

  const auto relu = [] { return nn::ReLU(); };
  const auto pool = [] { return nn::MaxPool2d(2); };
  nn::Sequential net;
  int batch = 128;
  if (w == "mlp-wide") {
    net = nn::Sequential(nn::Linear(784, 512), relu(), nn::Linear(512, 512), relu(),
                         nn::Linear(512, 10));
  } else if (w.rfind("mlp-", 0) == 0) {
    batch = std::atoi(&w[4]);
    net = nn::Sequential(nn::Linear(784, 128), relu(), nn::Linear(128, 10));
  } else if (w == "lenet") {
    batch = 64;
    net = nn::Sequential(conv(1, 6, 5, 2), relu(), pool(), conv(6, 16, 5, 0), relu(), pool(),
                         nn::Flatten(), nn::Linear(400, 120), relu(), nn::Linear(120, 84), relu(),
                         nn::Linear(84, 10));
  } else if (w == "cnn") {
    net = nn::Sequential(conv(1, 32, 3, 1), relu(), conv(32, 64, 3, 1), relu(), pool(),
                         nn::Flatten(), nn::Linear(12544, 128), relu(), nn::Linear(128, 10));
  } else if (w == "lstm" || w == "gru") {
    net = nn::Sequential(Recurrent(w == "gru"));
  } else {
    arguments.unknown();
  }
  if (w == "lenet" || w == "cnn") x = x.view({-1, 1, 28, 28});
  if (w == "lstm" || w == "gru") x = x.view({-1, 28, 28});

  std::unique_ptr<torch::optim::Optimizer> optimizer;
  if (w.rfind("mlp-", 0) == 0 && w != "mlp-wide") {
    optimizer = std::make_unique<torch::optim::SGD>(net->parameters(), 0.1);
  } else {
    optimizer = std::make_unique<torch::optim::Adam>(net->parameters(), 1e-3);
  }
  Tensor order, loss;
  int64_t at = rivals::rows;
  const auto step = [&] {
    if (at == rivals::rows) order = torch::randperm(rivals::rows), at = 0;
    const Tensor chosen = order.narrow(0, at, batch);
    at += batch;
    optimizer->zero_grad();
    loss = nn::functional::cross_entropy(net->forward(x.index_select(0, chosen)),
                                         y.index_select(0, chosen));
    loss.backward();
    optimizer->step();
  };
  rivals::measure_training(arguments.seconds, step, [&] { return loss.item<double>(); });
}
