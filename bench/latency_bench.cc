// One sample on one thread: a plan (or a stream), predict(), and the same network written by hand
// (latency_twins.cc). The median time of a call over blocks that take turns, and with --calls
// single calls for the jitter.
//   soma_bench_latency [--only TEXT] [--calls N] [--profile]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/latency_twins.h"
#include "soma/network.h"
#include "soma/plan.h"
#include "soma/stream.h"
#include "src/base/philox.h"

namespace {
using namespace soma;
using Clock = std::chrono::steady_clock;

double nanoseconds(Clock::duration d) {
  return std::chrono::duration<double, std::nano>(d).count();
}

double part(std::vector<double> times, double fraction) {
  std::ranges::sort(times);
  const auto at = static_cast<size_t>(fraction * static_cast<double>(times.size()));
  return times[std::min(at, times.size() - 1)];
}

/// Something that computes a sample, and what it measured.
struct Runner {
  const char* name;
  std::function<void()> run;
  std::vector<double> blocks = {}, calls = {};

  double block(int calls_per_block) const {
    const auto start = Clock::now();
    for (int i = 0; i < calls_per_block; ++i) run();
    return nanoseconds(Clock::now() - start) / calls_per_block;
  }
};

/// Lets them take turns. The last one is what the others are compared with.
void measure(const char* net, std::vector<Runner> runners, int64_t calls) {
  for (Runner& r : runners) r.block(1000);
  const int per_block = std::max(1, static_cast<int>(1e6 / runners[0].block(1000)));
  for (int i = 0; i < 101; ++i) {
    for (Runner& r : runners) r.blocks.push_back(r.block(per_block));
  }
  for (int64_t i = 0; i < calls / 1000; ++i) {
    for (Runner& r : runners) {
      for (int k = 0; k < 1000; ++k) r.calls.push_back(r.block(1));
    }
  }
  for (const Runner& r : runners) {
    const double time = part(r.blocks, 0.5);
    std::printf("%-12s %-8s %9.1f ns, %6.2f of the twin's", net, r.name, time,
                time / part(runners.back().blocks, 0.5));
    if (calls > 0) {
      std::printf("  single calls: median %9.0f  99.99 %% %9.0f  ratio %6.2f", part(r.calls, 0.5),
                  part(r.calls, 0.9999), part(r.calls, 0.9999) / part(r.calls, 0.5));
    }
    std::printf("\n");
  }
}

struct Case {
  const char* name;
  const char* net;
  std::vector<const char*> weights;  ///< In the order of the twin.
  void (*twin)(const float* const* w, const float* x, float* y);
  void (*streaming_twin)(const float* const* w, float* state, const float* x, float* y);
  int state;
};
const Case cases[] = {
    {"784-128-10",
     "input 784, 128 relu, 10",
     {"hidden1/weights", "hidden1/bias", "output/weights", "output/bias"},
     twins::mlp784,
     nullptr,
     0},
    {"16-32-32-1",
     "input 16, 32 relu, 32 relu, 1",
     {"hidden1/weights", "hidden1/bias", "hidden2/weights", "hidden2/bias", "output/weights",
      "output/bias"},
     twins::mlp16,
     nullptr,
     0},
    {"lstm 20",
     "input 100x1, lstm 20, 1",
     {"hidden1/weights", "hidden1/recurrent", "hidden1/bias", "output/weights", "output/bias"},
     nullptr,
     twins::lstm20,
     40},
    {"lenet",
     "input 1x28x28, conv2d 6 5 relu padding=same, max_pool 2, conv2d 16 5 relu, max_pool 2, "
     "flatten, 120 relu, 84 relu, 10",
     {"hidden1/weights", "hidden1/bias", "hidden2/weights", "hidden2/bias", "hidden3/weights",
      "hidden3/bias", "hidden4/weights", "hidden4/bias", "output/weights", "output/bias"},
     twins::lenet,
     nullptr,
     0},
};

void compare(const Case& c, int64_t calls, bool profile) {
  Network net = Network::parse(c.net);
  Random random(1);
  for (auto& [name, tensor] : net.tensors()) {
    for (float& v : tensor.data<float>()) v = 0.2f * random.uniform() - 0.1f;
  }
  std::vector<float> x(static_cast<size_t>(net.inputs()[0].shape.elements()));
  for (float& v : x) v = 2 * random.uniform() - 1;
  const bool streams = c.streaming_twin != nullptr;
  Plan plan = compile(streams ? net.streaming_graph(1) : net.inference_graph(1), Device::cpu(1));
  std::optional<Stream> stream;
  if (streams) {
    stream.emplace(net);
  } else {
    net.bind(plan);
    plan.bind("input", x.data());
  }
  View y = plan.output("output");
  const auto soma = [&] {
    if (streams)
      y = stream->step({x.data(), 1});
    else
      plan.run();
  };

  std::vector<const float*> w;
  for (const char* name : c.weights) w.push_back(net.tensors().at(name).data<float>().data());
  std::vector<float> state(static_cast<size_t>(c.state)), twin_y(16);
  const auto twin = [&] {
    if (streams)
      c.streaming_twin(w.data(), state.data(), x.data(), twin_y.data());
    else
      c.twin(w.data(), x.data(), twin_y.data());
  };
  for (int step = 0; step < 3; ++step) {  // the same numbers?
    soma();
    twin();
    for (size_t i = 0; i < y.as<float>().size(); ++i) {
      if (std::abs(y.as<float>()[i] - twin_y[i]) < 1e-4f) continue;
      std::printf("%s: the plan says %g, the twin %g\n", c.name,
                  static_cast<double>(y.as<float>()[i]), static_cast<double>(twin_y[i]));
      std::exit(1);
    }
  }
  std::vector<Runner> runners{{streams ? "stream" : "plan", soma}};
  Shape one{1};
  for (const int64_t extent : net.inputs()[0].shape) one.push_back(extent);
  Tensor sample(one);
  std::ranges::copy(x, sample.data<float>().begin());
  const Device device = Device::cpu(1);
  if (!streams) runners.push_back({"predict", [&] { (void)net.predict(sample, device); }});
  runners.push_back({"twin", twin});
  measure(c.name, std::move(runners), calls);
  if (profile) {
    plan.profile(true);
    for (int i = 0; i < 10000; ++i) plan.run();
    std::printf("%s", plan.explain().c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::string_view only;
  int64_t calls = 0;
  bool profile = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag == "--only" && i + 1 < argc) only = argv[++i];
    if (flag == "--calls" && i + 1 < argc) calls = std::atoll(argv[++i]);
    if (flag == "--profile") profile = true;
  }
  for (const Case& c : cases) {
    if (std::string_view(c.name).find(only) != std::string_view::npos) compare(c, calls, profile);
  }
}
