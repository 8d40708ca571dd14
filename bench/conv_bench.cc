// Training steps of convolution networks on images of 28 x 28, in milliseconds: the median and the
// least of many steps, and the processor time of all threads, which other programs disturb less.
//   soma_bench_conv [--threads N] [--only TEXT] [--profile] [--seconds S]
//   soma_bench_conv --layers      single convolutions, operations a second of one core's time
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "soma/gradient.h"
#include "soma/optim.h"
#include "soma/plan.h"
#include "src/base/philox.h"
#include "src/base/text.h"

namespace {
using namespace soma;
using Clock = std::chrono::steady_clock;

/// Layers over a value, one after the other.
class Builder {
 public:
  Builder(Graph& graph, Value x) : graph_(graph), x_(x) {}

  void conv2d(int64_t channels, int64_t window, bool same) {
    const int64_t pad = same ? window / 2 : 0;
    const Value w = parameter({channels, x_.extent(1), window, window});
    x_ = conv(x_, w, {ConvRole::y, {1, 1}, {pad, pad}, {pad, pad}, {1, 1}, 1, {}});
    x_ = x_ + parameter({channels, 1, 1});
  }
  void batch_norm() {
    const Shape channel{x_.extent(1), 1, 1};
    const Value centred = x_ - mean(x_, {0, 2, 3}, Keep::yes);
    const Value variance = mean(centred * centred, {0, 2, 3}, Keep::yes);
    x_ = centred / sqrt(variance + 1e-5) * (parameter(channel) + 1.0) + parameter(channel);
  }
  void relu() { x_ = select(x_ > 0.0, x_, 0.0); }
  void max_pool() {
    const Shape s = x_.shape();
    x_ = max_over(reshape(x_, {s[0], s[1], s[2] / 2, 2, s[3] / 2, 2}), {3, 5});
  }
  void flatten() { x_ = reshape(x_, {x_.extent(0), -1}); }
  void dense(int64_t units) { x_ = dot(x_, parameter({x_.extent(1), units})) + parameter({units}); }
  Value cross_entropy(Value labels) const {
    const Value z = x_ - stop(max_over(x_, {-1}, Keep::yes));
    const Value place = iota(graph_, z.shape(), 1, i32);
    const Value chosen = eq(place, broadcast(labels, z.shape(), {0}));
    return mean(log(sum(exp(z), {-1})) - sum(select(chosen, z, 0.0), {-1}));
  }

 private:
  Value parameter(Shape shape) { return graph_.parameter(cat("p", number_++), std::move(shape)); }
  Graph& graph_;
  Value x_;
  int number_ = 0;
};

void lenet(Builder& net) {
  net.conv2d(6, 5, true), net.relu(), net.max_pool();
  net.conv2d(16, 5, false), net.relu(), net.max_pool();
  net.flatten(), net.dense(120), net.relu(), net.dense(84), net.relu(), net.dense(10);
}
template <bool norm>
void two_convolutions(Builder& net) {
  for (const int64_t channels : {32, 64}) {
    net.conv2d(channels, 3, true);
    if constexpr (norm) net.batch_norm();
    net.relu(), net.max_pool();
  }
  net.flatten(), net.dense(128), net.relu(), net.dense(10);
}
struct Case {
  const char* name;
  int64_t batch;
  void (*build)(Builder&);
};
const Case cases[] = {{"lenet", 64, lenet},
                      {"conv32-conv64", 128, two_convolutions<false>},
                      {"conv32-conv64 with batch norm", 128, two_convolutions<true>}};

void measure(const Case& c, int threads, double seconds, bool profile) {
  Graph g;
  const Value x = g.input("x", {c.batch, 1, 28, 28}), labels = g.input("labels", {c.batch}, i32);
  Builder net(g, x);
  c.build(net);
  const Value loss = net.cross_entropy(labels);
  g.output("loss", loss);
  apply(adam(1e-3), loss, parameters_of(g));
  Plan plan = compile(g, Device::cpu(threads));
  Random random(1);
  for (const Id id : g.inputs()) {
    const auto& attr = g[id].as<InputAttr>();
    if (attr.kind == InputKind::state || attr.type != f32) continue;
    for (float& v : plan.input<float>(attr.name)) v = 0.2f * random.uniform() - 0.1f;
  }
  for (int i = 0; i < 2; ++i) plan.run();
  plan.profile(profile);
  std::vector<double> times;
  const std::clock_t before = std::clock();
  for (double total = 0; total < seconds || times.size() < 3;) {
    const auto start = Clock::now();
    plan.run();
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    total += times.back();
  }
  const double cpu = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC /
                     static_cast<double>(times.size());
  std::sort(times.begin(), times.end());
  std::printf(
      "%-30s batch %3lld  %d threads  median %8.3f ms  least %8.3f ms  "
      "processor time %8.3f ms  loss %.5f\n",
      c.name, static_cast<long long>(c.batch), threads, times[times.size() / 2] * 1e3,
      times[0] * 1e3, cpu * 1e3, plan.output("loss").scalar());
  if (profile) std::printf("%s", plan.explain().c_str());
}

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
void measure(const Layer& l, int threads, double seconds) {
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
    Plan plan = compile(g, Device::cpu(threads));
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
  int threads = 0;
  double seconds = 1;
  bool profile = false, single = false;
  std::string only;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const bool more = i + 1 < argc;
    if (argument == "--threads" && more) {
      threads = std::atoi(argv[++i]);
    } else if (argument == "--seconds" && more) {
      seconds = std::atof(argv[++i]);
    } else if (argument == "--only" && more) {
      only = argv[++i];
    } else if (argument == "--layers") {
      single = true;
    } else if (argument == "--profile") {
      profile = true;
    } else {
      std::fprintf(stderr,
                   "usage: %s [--threads N] [--only TEXT] [--profile] [--seconds S] [--layers]\n",
                   argv[0]);
      return 2;
    }
  }
  for (const Layer& l : layers) {
    if (single && std::string(l.name).find(only) != std::string::npos) measure(l, 1, seconds);
  }
  if (single) return 0;
  for (const Case& c : cases) {
    if (std::string(c.name).find(only) == std::string::npos) continue;
    for (const int t : threads ? std::vector{threads} : std::vector{1, 2}) {
      measure(c, t, seconds, profile);
    }
  }
}
