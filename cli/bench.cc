// soma bench: how fast this machine multiplies matrices and trains, and which share of its peak
// that is. The peak is measured in the same run.
#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/progress.h"
#include "soma/train.h"
#include "src/backends/cpu/isa.h"
#include "src/backends/cpu/peak.h"
#include "src/base/philox.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void fill_uniform(std::span<float> values, uint32_t stream) {
  Random random(1, stream);
  for (float& value : values) value = random.uniform() - 0.5f;
}

/// c [m, n] = a · b, as the layers of networks need it.
struct Product {
  int64_t m, n, k;
  bool transpose_a, transpose_b;
  std::string_view what;
};
constexpr Product products[] = {
    {128, 128, 784, false, false, "784 -> 128 forward, batch 128"},
    {784, 128, 128, true, false, "784 -> 128 weight gradient"},
    {128, 10, 128, false, false, "128 -> 10 forward"},
    {32, 128, 784, false, false, "784 -> 128 forward, batch 32"},
    {1024, 128, 784, false, false, "784 -> 128 forward, batch 1024"},
    {128, 512, 512, false, false, "512 -> 512 forward"},
    {512, 512, 128, true, false, "512 -> 512 weight gradient"},
    {128, 512, 512, false, true, "512 -> 512 input gradient"},
    {1024, 1024, 1024, false, false, "square"},
};

/// A network and how it is trained.
struct Training {
  std::string_view net, optimizer;
  int64_t batch;
};
constexpr Training trainings[] = {
    {"128 relu, 10", "sgd", 32},
    {"128 relu, 10", "sgd", 128},
    {"128 relu, 10", "sgd", 1024},
    {"128 relu, 10", "adam", 128},
    {"512 relu, 512 relu, 10", "adam", 128},
};

/// Images of noise in ten classes: bytes, as those of Fashion-MNIST.
Dataset noise(int64_t rows) {
  Tensor images({rows, 28, 28}, u8), labels({rows}, i32);
  Random random(1);
  for (uint8_t& pixel : images.data<uint8_t>()) pixel = static_cast<uint8_t>(random.bits() >> 24);
  for (int32_t& label : labels.data<int32_t>()) label = static_cast<int32_t>(random.below(10));
  Dataset dataset = data::in_memory(std::move(images), std::move(labels));
  dataset.input_scale = 1.0 / 255;
  return dataset;
}

class Bench : public Command {
 public:
  std::string_view name() const override { return "bench"; }
  std::string_view summary() const override {
    return "Measure matrix products and training steps against the machine's peak";
  }
  std::string_view examples() const override {
    return "  soma bench\n"
           "  soma bench gemm --threads 1\n"
           "  soma bench mlp --json\n";
  }
  void options(Options& o) override {
    o.positional("what", what_, "gemm or mlp (default: both)", Need::optional);
    o.integer("--threads", threads_, 0, 1024, "Threads to compute with (0: every core)");
    o.real("--seconds", seconds_, 0, 3600, "Time for each line");
  }

  int run(Console& console) override {
    const std::vector<std::string> known = {"gemm", "mlp"};
    if (!what_.empty() && std::find(known.begin(), known.end(), what_) == known.end()) {
      throw UsageError(cat("there is no benchmark \"", what_, "\"", did_you_mean(what_, known),
                           "; there are ", join(known, " and ")));
    }
    device_ = Device::cpu(static_cast<int>(threads_));
    measure_peak(console);
    if (what_ != "mlp") products_table(console);
    if (what_ != "gemm") training_table(console);
    return exit_ok;
  }

 private:
  void measure_peak(Console& console) {
    Team team(device_.threads());
    peak_ = cpu::measure_peak(team, cpu::isa()) * 1e9;
    const std::string isa(cpu::isa().name);
    if (console.json()) {
      console.event({{"event", "machine"},
                     {"isa", isa},
                     {"threads", device_.threads()},
                     {"peak_gflops", peak_ * 1e-9}});
    } else {
      console.line(cat("instruction set ", isa, ", ", device_.threads(), " threads: at most ",
                       fixed(peak_ * 1e-9, 0), " GFLOP/s of fp32 multiply-adds\n"));
    }
  }

  std::string share(double flops_per_second) const {
    return peak_ > 0 ? cat(fixed(100 * flops_per_second / peak_, 0), " %") : "";
  }

  /// Median seconds of one run.
  double time_of(Plan& plan) const {
    plan.run();
    std::vector<double> times;
    const auto start = Clock::now();
    while (times.size() < 5 || seconds_since(start) < seconds_) {
      const auto begin = Clock::now();
      plan.run();
      times.push_back(seconds_since(begin));
    }
    return median(std::move(times));
  }

  void products_table(Console& console) const {
    std::vector<std::vector<std::string>> rows = {
        {"product", "M x N x K", "time", "GFLOP/s", "peak"}};
    for (const Product& p : products) {
      console.status(cat("measuring ", p.what));
      Graph graph;
      const Value a = graph.input("a", p.transpose_a ? Shape{p.k, p.m} : Shape{p.m, p.k});
      const Value b = graph.input("b", p.transpose_b ? Shape{p.n, p.k} : Shape{p.k, p.n});
      graph.output("c", dot(a, b, p.transpose_a, p.transpose_b));
      Plan plan = compile(graph, device_);
      fill_uniform(plan.input<float>("a"), 0);
      fill_uniform(plan.input<float>("b"), 1);
      const double seconds = time_of(plan);
      const double rate = 2.0 * static_cast<double>(p.m * p.n * p.k) / seconds;
      if (console.json()) {
        console.event({{"event", "gemm"},
                       {"what", p.what},
                       {"m", p.m},
                       {"n", p.n},
                       {"k", p.k},
                       {"seconds", seconds},
                       {"gflops", rate * 1e-9},
                       {"share", rate / peak_}});
      } else {
        rows.push_back({std::string(p.what), cat(p.m, " x ", p.n, " x ", p.k),
                        cat(fixed(seconds * 1e6, 1), " us"), fixed(rate * 1e-9, 1), share(rate)});
      }
    }
    if (!console.json()) console.line(table(rows) + "\n");
  }

  void training_table(Console& console) const {
    const Dataset images = noise(8192);
    std::vector<std::vector<std::string>> rows = {
        {"training step", "optimizer", "batch", "time", "samples/s", "GFLOP/s", "peak"}};
    for (const Training& t : trainings) {
      console.status(cat("measuring ", t.net));
      Network net = Network::parse(t.net, Shape{28, 28});
      const double seconds = step_time(net, images, t);
      const double samples = static_cast<double>(t.batch) / seconds;
      const double rate = samples * flops_per_sample(net);
      if (console.json()) {
        console.event({{"event", "mlp"},
                       {"net", t.net},
                       {"optimizer", t.optimizer},
                       {"batch", t.batch},
                       {"seconds", seconds},
                       {"samples_per_second", samples},
                       {"gflops", rate * 1e-9},
                       {"share", rate / peak_}});
      } else {
        rows.push_back({cat("784, ", t.net), std::string(t.optimizer), std::to_string(t.batch),
                        cat(fixed(seconds * 1e3, 3), " ms"), fixed(samples, 0),
                        fixed(rate * 1e-9, 1), share(rate)});
      }
    }
    if (!console.json()) {
      console.line(table(rows));
      console.note(
          "\nA step gathers a shuffled batch of images and runs forward, backward and update.");
    }
  }

  /// Products of one sample: forward, weight gradients, and input gradients of all layers but the
  /// first.
  static double flops_per_sample(const Network& net) {
    double links = 0, first = 0;
    for (const LayerInfo& layer : net.info().layers) {
      links += static_cast<double>(layer.links);
      if (first == 0) first = static_cast<double>(layer.links);
    }
    return 2 * (3 * links - first);
  }

  /// Median seconds of a step of fit(), batches and bookkeeping included.
  double step_time(Network& net, const Dataset& images, const Training& training) const {
    std::vector<double> times;
    double last = 0;
    FitOptions options;
    options.loss = cross_entropy();
    options.optimizer = optimizer_named(training.optimizer);
    options.epochs = 1'000'000;
    options.batch = training.batch;
    options.device = device_;
    options.callbacks = {[&](const Event& event) {
      if (event.kind == Event::Kind::step) times.push_back(event.seconds - last);
      last = event.seconds;
      return event.seconds < seconds_ || times.size() < 5;
    }};
    fit(net, images, options);
    return median(std::move(times));
  }

  std::string what_;
  int64_t threads_ = 0;
  double seconds_ = 1, peak_ = 0;
  Device device_ = Device::cpu(1);
};

}  // namespace

std::unique_ptr<Command> make_bench() { return std::make_unique<Bench>(); }

}  // namespace soma::cli
