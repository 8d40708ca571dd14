// A training step of any network, without data sets and bookkeeping: the median and the least time
// of many steps, and with --profile what each instruction takes, the slowest first.
//   soma_bench_network [NETWORK] [--optimizer TEXT] [--batch N] [--threads N] [--seconds S]
//                      [--profile]
// Sequences of tokens in, a class for each step or for the whole out.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "soma/network.h"
#include "soma/nn.h"
#include "soma/optim.h"
#include "soma/plan.h"
#include "soma/train.h"
#include "src/base/philox.h"

namespace {
using namespace soma;
using Clock = std::chrono::steady_clock;

const char* const language_model =
    "input 64, embedding 65 128, positions learned, "
    "decoder 4 activation=gelu_tanh, decoder 4 activation=gelu_tanh, "
    "decoder 4 activation=gelu_tanh, decoder 4 activation=gelu_tanh, "
    "layer_norm, dense(65 per_step=true)";

/// The lines of explain(), the slowest instruction first.
void print_by_time(const std::string& listing) {
  std::vector<std::pair<double, std::string>> lines;
  for (size_t begin = 0; begin < listing.size();) {
    const size_t end = std::min(listing.find('\n', begin), listing.size());
    const std::string line = listing.substr(begin, end - begin);
    const size_t us = line.find(" us ");
    const size_t number = us == std::string::npos ? us : line.rfind(' ', us - 1);
    if (number != std::string::npos) lines.emplace_back(std::atof(&line[number]), line);
    begin = end + 1;
  }
  std::stable_sort(lines.begin(), lines.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [time, line] : lines) std::printf("%s\n", line.c_str());
}

struct Settings {
  std::string net = language_model, optimizer = "adamw";
  int64_t batch = 32;
  int threads = 2;
  double seconds = 1;
  bool profile = false;
};

void measure(const Settings& settings) {
  Network net = Network::parse(settings.net);
  net.initialize(1);
  Graph g;
  Shape shape{settings.batch};
  for (const int64_t extent : net.sample_shape()) shape.push_back(extent);
  const Value key = g.input("key", {2}, i64);
  const Value x = g.input("x", shape);
  const Value y = net.build(g, x, {.mode = BuildMode::training, .key = key});
  const Shape scores = y.shape();
  const Shape rows(std::span(scores.begin(), scores.end() - 1));
  const Value loss = cross_entropy()(y, g.input("labels", rows, i32));
  Plan plan = compile(train_step(g, loss, optimizer_named(settings.optimizer)),
                      Device::cpu(settings.threads));
  for (const Id id : g.inputs()) {
    const auto& input = g[id].as<InputAttr>();
    if (input.kind == InputKind::data) continue;
    const Tensor& from = net.tensors().find(input.name)->second;
    std::copy_n(from.data<float>().data(), from.elements(), plan.input<float>(input.name).data());
  }
  Random random(1);
  const auto classes = static_cast<double>(scores.back());
  for (float& v : plan.input<float>("x"))
    v = static_cast<float>(static_cast<int>(random.uniform() * classes));
  for (int32_t& v : plan.input<int32_t>("labels"))
    v = static_cast<int32_t>(random.uniform() * classes);

  for (int i = 0; i < 3; ++i) plan.run();
  plan.profile(settings.profile);
  std::vector<double> times;
  const std::clock_t before = std::clock();
  for (double total = 0; total < settings.seconds || times.size() < 5;) {
    const auto start = Clock::now();
    plan.run();
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    total += times.back();
  }
  const double cpu = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC /
                     static_cast<double>(times.size());
  std::sort(times.begin(), times.end());
  std::printf(
      "batch %lld, %d threads: median %.3f ms, least %.3f, processor time %.3f; "
      "%zu instructions, arena %.1f MiB, loss %.6f\n",
      static_cast<long long>(settings.batch), settings.threads, times[times.size() / 2] * 1e3,
      times[0] * 1e3, cpu * 1e3, plan.instructions(),
      static_cast<double>(plan.arena_bytes()) / 1048576, plan.output("loss").scalar());
  if (settings.profile) print_by_time(plan.explain());
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const bool more = i + 1 < argc;
    if (argument == "--optimizer" && more) {
      settings.optimizer = argv[++i];
    } else if (argument == "--batch" && more) {
      settings.batch = std::atoll(argv[++i]);
    } else if (argument == "--threads" && more) {
      settings.threads = std::atoi(argv[++i]);
    } else if (argument == "--seconds" && more) {
      settings.seconds = std::atof(argv[++i]);
    } else if (argument == "--profile") {
      settings.profile = true;
    } else if (!argument.starts_with("--")) {
      settings.net = argument;
    } else {
      std::fprintf(stderr,
                   "usage: %s [NETWORK] [--optimizer TEXT] [--batch N] [--threads N] "
                   "[--seconds S] [--profile]\n",
                   argv[0]);
      return 2;
    }
  }
  measure(settings);
}
