// Single convolutions and their gradients, in operations a second of one core's processor time,
// which other programs disturb little.
//   soma_bench_conv [--only TEXT] [--seconds S]
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>

#include "soma/plan.h"

namespace {
using namespace soma;

/// One convolution on square images, "same" padding.
struct Layer {
  const char* name;
  int64_t batch, ins, outs, size, window, stride, groups;
};
const Layer layers[] = {{"first layer", 32, 3, 32, 56, 3, 1, 1},
                        {"3 x 3", 16, 64, 64, 56, 3, 1, 1},
                        {"3 x 3, deep", 16, 256, 256, 14, 3, 1, 1},
                        {"3 x 3, small maps", 32, 512, 512, 7, 3, 1, 1},
                        {"3 x 3, every other", 16, 128, 128, 28, 3, 2, 1},
                        {"1 x 1", 16, 256, 64, 28, 1, 1, 1},
                        {"1 x 1, every other", 16, 256, 512, 28, 1, 2, 1},
                        {"7 x 7, every other", 8, 3, 64, 112, 7, 2, 1},
                        {"depthwise", 16, 144, 144, 28, 3, 1, 144},
                        {"8 groups", 16, 128, 128, 28, 3, 1, 8},
                        {"one sample", 1, 64, 64, 56, 3, 1, 1}};

/// Rates of the three roles by processor time.
void measure(const Layer& l, double seconds) {
  const int64_t pad = l.window / 2;
  const Dims window{l.window, l.window}, padding{pad, pad};
  ConvAttr attr{ConvRole::y, {l.stride, l.stride}, padding, padding, {1, 1}, l.groups, {}};
  std::printf("%-20s batch %3lld, %3lld to %3lld channels of %3lld^2 ", l.name,
              static_cast<long long>(l.batch), static_cast<long long>(l.ins),
              static_cast<long long>(l.outs), static_cast<long long>(l.size));
  for (const ConvRole role : {ConvRole::y, ConvRole::dx, ConvRole::dw}) {
    Graph g;
    const Value x = g.input("x", {l.batch, l.ins, l.size, l.size});
    const Value w = g.input("w", {l.outs, l.ins / l.groups, l.window, l.window});
    const Value y = conv(x, w, attr);
    const Value dy = g.input("dy", Shape(y.shape()));
    ConvAttr other = attr;
    other.role = role;
    if (role == ConvRole::dx) other.size = {l.size, l.size};
    if (role == ConvRole::dw) other.size = window;
    const Value a = role == ConvRole::dx ? dy : x, b = role == ConvRole::dw ? dy : w;
    const double flops = 2.0 * static_cast<double>(y.shape().elements() * w.shape().elements()) /
                         static_cast<double>(l.outs);
    g.output("result", role == ConvRole::y ? y : conv(a, b, other));
    Plan plan = compile(g, Device::cpu(1));
    for (const char* name : {"x", "w", "dy"}) {
      for (float& v : plan.input<float>(name)) v = 0.5f;
    }
    plan.run();
    int runs = 0;
    const std::clock_t before = std::clock();
    const auto time = [&] { return static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC; };
    for (; runs < 3 || time() < seconds / 3; ++runs) plan.run();
    std::printf(" %8.1f", flops * runs / time() * 1e-9);
  }
  std::printf(" GFLOP/s of y, dx, dw\n");
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = 1;
  std::string only;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const bool more = i + 1 < argc;
    if (argument == "--seconds" && more) {
      seconds = std::atof(argv[++i]);
    } else if (argument == "--only" && more) {
      only = argv[++i];
    } else {
      std::fprintf(stderr, "usage: %s [--only TEXT] [--seconds S]\n", argv[0]);
      return 2;
    }
  }
  for (const Layer& l : layers) {
    if (std::string(l.name).find(only) != std::string::npos) measure(l, seconds);
  }
}
