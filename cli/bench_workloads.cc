// The workloads of `soma bench` and how each kind is measured: as a program that uses the library
// would run it.
#include "cli/bench_workloads.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <memory>
#include <numeric>

#include "soma/error.h"
#include "soma/stream.h"
#include "soma/train.h"
#include "src/base/philox.h"
#include "src/base/text.h"
#include "src/ir/cost.h"

extern char** environ;

namespace soma::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// The largest resident memory of this process since it was last forgotten.
size_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (size_t kilobytes = 0; word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}
void forget_peak_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }

/// The value that this share of all is smaller than.
double quantile(std::vector<double>& values, double share) {
  const auto place = static_cast<int64_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), values.begin() + place, values.end());
  return values[static_cast<size_t>(place)];
}

/// Times of steps, taken until `seconds` are over and there are some.
class Times {
 public:
  explicit Times(double seconds) : seconds_(seconds) { values_.reserve(1 << 16); }
  bool more() const { return values_.size() < 5 || seconds_since(start_) < seconds_; }
  void add(double seconds) { values_.push_back(seconds); }
  /// Each value is the time of `steps` steps.
  void write(Figures& figures, int64_t steps = 1) {
    const double each = 1.0 / static_cast<double>(steps);
    figures.steps = steps * static_cast<int64_t>(values_.size());
    figures.mean =
        std::accumulate(values_.begin(), values_.end(), 0.0) / static_cast<double>(figures.steps);
    figures.processor = (processor_seconds() - processor_) / static_cast<double>(figures.steps);
    figures.least = *std::min_element(values_.begin(), values_.end()) * each;
    figures.median = quantile(values_, 0.5) * each;
    figures.peak_bytes = peak_memory();
  }
  std::vector<double>& values() { return values_; }

 private:
  Clock::time_point start_ = Clock::now();
  double seconds_, processor_ = processor_seconds();
  std::vector<double> values_;
};

void fill_uniform(std::span<float> values, uint32_t stream) {
  Random random(1, stream);
  for (float& value : values) value = random.uniform() - 0.5f;
}

/// Short calls: timed in groups long enough for the clock, and one by one for the slowest of them.
template <class Call>
Figures measure_calls(const Effort& effort, Call&& call) {
  constexpr double group_seconds = 50e-6;
  call();
  const auto group = [&call](int64_t calls) {
    const auto start = Clock::now();
    for (int64_t i = 0; i < calls; ++i) call();
    return seconds_since(start);
  };
  int64_t calls = 1;
  while (group(calls) < group_seconds) calls *= 2;
  Figures figures;
  Times groups(effort.seconds / 2);
  while (groups.more()) groups.add(group(calls));
  groups.write(figures, calls);
  Times single(effort.seconds / 2);
  while (single.more()) single.add(group(1));
  if (single.values().size() >= 10'000) figures.p9999 = quantile(single.values(), 0.9999);
  return figures;
}

/// A graph compiled for its figures. Later it can show where its time goes.
class Compiled {
 public:
  Compiled(const Graph& graph, const Device& device)
      : plan(compile(graph, device,
                     {.without = {}, .watch = [this](std::string_view, const Graph& now) {
                        operations = product_flops(now);
                      }})) {}
  std::string listing() {
    plan.profile(true);
    for (int i = 0; i < 20; ++i) plan.run();
    return plan.explain();
  }
  static void write(const std::shared_ptr<Compiled>& self, Figures& figures) {
    figures.operations = self->operations;
    figures.arena_bytes = self->plan.arena_bytes();
    figures.plan = [self] { return self->listing(); };
  }

  int64_t operations = 0;
  Plan plan;
};

// ---------------------------------------------------------------- products

/// c [m, n] = a · b, with operands transposed as the layers of networks need it.
auto product(int64_t m, int64_t n, int64_t k, bool transpose_a = false, bool transpose_b = false) {
  return [=](const Effort& effort) {
    Graph graph;
    const Value a = graph.input("a", transpose_a ? Shape{k, m} : Shape{m, k});
    const Value b = graph.input("b", transpose_b ? Shape{n, k} : Shape{k, n});
    graph.output("c", dot(a, b, transpose_a, transpose_b));
    const auto compiled = std::make_shared<Compiled>(graph, effort.device);
    Plan& plan = compiled->plan;
    fill_uniform(plan.input<float>("a"), 0);
    fill_uniform(plan.input<float>("b"), 1);
    Figures figures = measure_calls(effort, [&plan] { plan.run(); });
    Compiled::write(compiled, figures);
    return figures;
  };
}

// ---------------------------------------------------------------- training

/// Rows of made-up data: a multiple of all batches.
constexpr int64_t data_rows = 61'440;

/// Images of noise, bytes as those of Fashion-MNIST, with two bright rows that tell the class; one
/// label in five is drawn at random, so that the loss stays at 0.87 and no gradient vanishes.
Dataset images() {
  Tensor pixels({data_rows, 28, 28}, u8), labels({data_rows}, i32);
  Random random(1);
  uint8_t* image = pixels.data<uint8_t>().data();
  for (int32_t& label : labels.data<int32_t>()) {
    for (int64_t i = 0; i < 28 * 28; i += 4) {
      const uint32_t bits = random.bits();
      for (int64_t j = 0; j < 4; ++j) image[i + j] = static_cast<uint8_t>(bits >> (8 * j)) / 2;
    }
    label = static_cast<int32_t>(random.below(10));
    uint8_t* const bright = image + 28 * (2 * label + 4);
    for (int64_t i = 0; i < 2 * 28; ++i) bright[i] = static_cast<uint8_t>(bright[i] + 64);
    if (random.below(5) == 0) label = static_cast<int32_t>(random.below(10));
    image += 28 * 28;
  }
  Dataset dataset = data::in_memory(std::move(pixels), std::move(labels));
  dataset.input_scale = 1.0 / 255;
  return dataset;
}

/// Texts of 64 letters of an alphabet of 65; each letter is followed by one of four, so that the
/// loss cannot fall below log 4 = 1.39.
Dataset texts() {
  constexpr int64_t length = 64;
  constexpr uint32_t alphabet = 65;
  Tensor letters({data_rows, length}, u8), next({data_rows, length}, i32);
  Random random(1);
  for (int64_t row = 0; row < data_rows; ++row) {
    auto letter = static_cast<uint32_t>(random.below(alphabet));
    for (int64_t i = row * length; i < (row + 1) * length; ++i) {
      letters.data<uint8_t>()[static_cast<size_t>(i)] = static_cast<uint8_t>(letter);
      letter = (5 * letter + 17 + (random.bits() >> 30)) % alphabet;
      next.data<int32_t>()[static_cast<size_t>(i)] = static_cast<int32_t>(letter);
    }
  }
  return data::in_memory(std::move(letters), std::move(next));
}

/// The program of one step of fit().
Graph step_of(const Network& net, const Dataset& data, const Loss& loss, const Optimizer& optimizer,
              int64_t batch) {
  const auto batch_of = [batch](const Shape& row) {
    Shape shape{batch};
    for (const int64_t extent : row) shape.push_back(extent);
    return shape;
  };
  Graph graph;
  const Value bytes = graph.input("input", batch_of(data.input_shape()), u8);
  const Value target = graph.input("target", batch_of(data.target_shape()), i32);
  const Value scores =
      net.build(graph, cast(bytes, f32) * data.input_scale, {.mode = BuildMode::training});
  graph.output("output", scores);
  const Value error = loss(scores, target);  // before the graph is moved
  return train_step(std::move(graph), error, optimizer);
}

/// Losses are told after so many steps, to compare programs of any speed.
constexpr int64_t steps_to_loss = 20;

/// Steps of fit(): shuffling, gathering, metrics and checks included. A fifth of the time before
/// warms up.
auto training(std::string net_text, Dataset (*make_data)(), std::string optimizer, int64_t batch) {
  return [=](const Effort& effort) {
    const Dataset data = make_data();
    Network net = Network::parse(net_text);
    Figures figures;
    std::optional<Times> times;
    double last = 0;
    FitOptions options{.loss = cross_entropy(),
                       .optimizer = optimizer_named(optimizer),
                       .epochs = 1'000'000,
                       .batch = batch,
                       .device = effort.device};
    options.callbacks = {[&](const Event& event) {
      if (event.kind == Event::Kind::end) return true;
      if (event.kind == Event::Kind::step && event.step <= steps_to_loss) {
        figures.loss = event.step_loss;
      }
      if (!figures.first_loss) figures.first_loss = figures.loss;
      if (event.kind == Event::Kind::step && times) times->add(event.seconds - last);
      if (!times && event.step >= 2 && event.seconds > effort.seconds / 5) {
        times.emplace(effort.seconds);
      }
      if (event.kind != Event::Kind::epoch) last = event.seconds;
      return !times || times->more() || (effort.seconds > 0 && event.step < steps_to_loss);
    }};
    fit(net, data, options);
    times->write(figures);
    figures.samples = batch;
    Compiled::write(std::make_shared<Compiled>(
                        step_of(net, data, options.loss, options.optimizer, batch), effort.device),
                    figures);
    return figures;
  };
}

// ---------------------------------------------------------------- one sample

/// Samples to take in turn.
Tensor samples_of(const Shape& shape) {
  Tensor samples({64, shape.elements()}, f32);
  fill_uniform(samples.data<float>(), 0);
  return samples;
}

/// One sample after the other through a plan, the copying of the sample included.
auto prediction(std::string net_text) {
  return [=](const Effort& effort) {
    const auto net = std::make_shared<Network>(Network::parse(net_text));
    const auto compiled = std::make_shared<Compiled>(net->inference_graph(1), effort.device);
    Plan& plan = compiled->plan;
    net->bind(plan);
    const Tensor samples = samples_of(net->sample_shape());
    const std::span<float> input = plan.input<float>("input");
    size_t turn = 0;
    Figures figures = measure_calls(effort, [&, from = samples.data<float>()] {
      const auto sample = from.subspan((turn++ % 64) * input.size(), input.size());
      std::copy(sample.begin(), sample.end(), input.begin());
      plan.run();
    });
    figures.samples = 1;
    Compiled::write(compiled, figures);
    figures.plan = [net, list = std::move(figures.plan)] { return list(); };  // keeps the weights
    return figures;
  };
}

/// A sequence that comes step by step, and the network remembers.
auto streaming(std::string net_text) {
  return [=](const Effort& effort) {
    const Network net = Network::parse(net_text);
    Stream stream(net, 1, effort.device);
    const Tensor samples = samples_of(stream.input_shape());
    const auto size = static_cast<size_t>(stream.input_shape().elements());
    size_t turn = 0;
    Figures figures = measure_calls(effort, [&, from = samples.data<float>()] {
      stream.step(from.subspan((turn++ % 64) * size, size));
    });
    figures.samples = 1;
    Compiled::write(std::make_shared<Compiled>(net.streaming_graph(1), effort.device), figures);
    return figures;
  };
}

// ---------------------------------------------------------------- start-up

/// This program from its start to its end, when there is nothing to do.
Figures start_up(const Effort& effort) {
  Figures figures;
  Times times(effort.seconds);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  double processor = 0;
  while (times.more()) {
    std::string program = "/proc/self/exe", argument = "--version";
    char* const arguments[] = {program.data(), argument.data(), nullptr};
    const auto start = Clock::now();
    pid_t child = 0;
    int status = 1;
    rusage usage{};
    if (posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environ) != 0 ||
        wait4(child, &status, 0, &usage) != child || status != 0) {
      throw Error("cannot start this program again to see how long that takes");
    }
    times.add(seconds_since(start));
    for (const timeval& t : {usage.ru_utime, usage.ru_stime}) {
      processor += static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    }
    figures.peak_bytes = std::max(figures.peak_bytes, size_t{1024} * usage.ru_maxrss);
  }
  posix_spawn_file_actions_destroy(&actions);
  times.write(figures);
  figures.processor = processor / static_cast<double>(figures.steps);
  return figures;
}

// ---------------------------------------------------------------- registry

const char* const lenet =
    "input 28x28, conv2d 6 5 relu padding=same, max_pool 2, conv2d 16 5 relu, max_pool 2, "
    "120 relu, 84 relu, 10";

std::vector<Workload> all_workloads() {
  return {
      // First, because the system counts a child's memory from that of its parent.
      {"start-up", "soma --version, from start to end", start_up},

      {"gemm-128x128x784-nn", "784 to 128 forward, batch 128", product(128, 128, 784)},
      {"gemm-784x128x128-tn", "its weight gradient", product(784, 128, 128, true)},
      {"gemm-128x784x128-nt", "its input gradient", product(128, 784, 128, false, true)},
      {"gemm-32x128x784-nn", "784 to 128 forward, batch 32", product(32, 128, 784)},
      {"gemm-1024x128x784-nn", "784 to 128 forward, batch 1024", product(1024, 128, 784)},
      {"gemm-128x512x512-nn", "512 to 512 forward, batch 128", product(128, 512, 512)},
      {"gemm-512x512x128-tn", "its weight gradient", product(512, 512, 128, true)},
      {"gemm-128x512x512-nt", "its input gradient", product(128, 512, 512, false, true)},
      {"gemm-128x10x128-nn", "128 to 10 forward, batch 128", product(128, 10, 128)},
      {"gemm-128x512x128-nn", "a step of an LSTM of 128", product(128, 512, 128)},
      {"gemm-128x1024x1024-nn", "1024 to 1024 forward", product(128, 1024, 1024)},
      {"gemm-2048x2048x2048-nn", "square", product(2048, 2048, 2048)},

      {"mlp-32", "784-128-10, SGD, batch 32",
       training("input 28x28, 128 relu, 10", images, "sgd(0.1)", 32)},
      {"mlp-128", "784-128-10, SGD, batch 128",
       training("input 28x28, 128 relu, 10", images, "sgd(0.1)", 128)},
      {"mlp-1024", "784-128-10, SGD, batch 1024",
       training("input 28x28, 128 relu, 10", images, "sgd(0.1)", 1024)},
      {"mlp-wide", "784-512-512-10, Adam, batch 128",
       training("input 28x28, 512 relu, 512 relu, 10", images, "adam(1e-3)", 128)},
      {"lenet", "LeNet-5, Adam, batch 64", training(lenet, images, "adam(1e-3)", 64)},
      {"cnn", "conv 32, conv 64, pool, 128, 10, Adam, batch 128",
       training("input 28x28, conv2d 32 3 relu padding=same, conv2d 64 3 relu padding=same, "
                "max_pool 2, 128 relu, 10",
                images, "adam(1e-3)", 128)},
      {"batch-norm", "conv 32, norm, pool, conv 64, norm, pool, 128, 10, Adam, batch 128",
       training("input 28x28, conv2d 32 3 padding=same, batch_norm, activation relu, max_pool 2, "
                "conv2d 64 3 padding=same, batch_norm, activation relu, max_pool 2, 128 relu, 10",
                images, "adam(1e-3)", 128)},
      {"lstm", "LSTM 28 x 28 to 128, 10, Adam, batch 128",
       training("input 28x28, lstm 128, 10", images, "adam(1e-3)", 128)},
      {"gru", "GRU 28 x 28 to 128, 10, Adam, batch 128",
       training("input 28x28, gru 128, 10", images, "adam(1e-3)", 128)},
      {"transformer", "4 x (128, 4 heads), context 64, AdamW, batch 32",
       training("input 64, embedding(65 128 start=normal(std=1)), positions(learned "
                "start=normal(std=1)), decoder 4 activation=gelu_tanh, "
                "decoder 4 activation=gelu_tanh, decoder 4 activation=gelu_tanh, "
                "decoder 4 activation=gelu_tanh, layer_norm, dense(65 per_step=true)",
                texts, "adamw(1e-3)", 32)},

      {"predict-mlp", "784-128-10, one sample", prediction("input 784, 128 relu, 10")},
      {"predict-small", "16-32-32-1, one sample", prediction("input 16, 32 relu, 32 relu, 1")},
      {"predict-lstm", "LSTM 1 to 20, 1, one step of a sequence",
       streaming("input 64x1, lstm 20, dense(1)")},
      {"predict-lenet", "LeNet-5, one sample", prediction(lenet)},
  };
}

}  // namespace

const std::vector<Workload>& workloads() {
  static const std::vector<Workload> all = all_workloads();
  return all;
}

Figures measure(const Workload& workload, const Effort& effort) {
  forget_peak_memory();
  return workload.run(effort);
}

}  // namespace soma::cli
