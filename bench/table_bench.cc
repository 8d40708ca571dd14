// How fast a CSV file is read beside how fast its rows are trained on, in one run, and the memory
// that takes: docs/design/performance.md, "Loading".
//   soma_bench_table [ROWS] [THREADS] [RUNS]     writes table_bench.csv, 93 bytes a row, and
//   removes it
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "soma/soma.h"

namespace {
using namespace soma;
using Clock = std::chrono::steady_clock;

constexpr const char* path = "table_bench.csv";

void write_table(long rows) {
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  FILE* file = std::fopen(path, "w");
  if (!file) std::abort();
  std::fputs("x0,x1,x2,x3,x4,x5,x6,x7,x8,x9,y\n", file);
  for (long row = 0; row < rows; ++row) {
    double x[10];
    for (double& value : x) std::fprintf(file, "%.5f,", value = normal(random));
    std::fprintf(file, "%.4f\n", std::sin(x[0]) + x[1] * x[2] + 0.1 * normal(random));
  }
  std::fflush(file);
  fsync(fileno(file));  // else the system writes while we measure
  std::fclose(file);
}

/// The most memory since this was asked last, in MB.
long peak_memory() {
  long kilobytes = 0;
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "VmHWM:") status >> kilobytes;
  }
  std::ofstream("/proc/self/clear_refs") << "5";
  return kilobytes / 1000;
}

template <class F>
double seconds_of(F&& f) {
  const auto start = Clock::now();
  f();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

int main(int count, char** arguments) {
  const auto argument = [&](int i, int otherwise) {
    return count > i ? std::atoi(arguments[i]) : otherwise;
  };
  const long rows = argument(1, 5'000'000);
  const int threads = argument(2, 2), runs = argument(3, 5);
  write_table(rows);
  const double bytes = static_cast<double>(std::filesystem::file_size(path));
  const double n = static_cast<double>(rows);
  for (int run = 0; run < runs; ++run) {
    peak_memory();
    Schema schema;
    const double look = seconds_of([&] { schema = data::read_schema(path, {.threads = threads}); });
    const long look_peak = peak_memory();
    Dataset train;
    const double load = seconds_of([&] {
      const double all[] = {1};
      train = std::move(data::load_csv(path, schema, all, 0, uint64_t{4} << 30, threads)[0]);
    });
    const long load_peak = peak_memory();
    Network net{input(train.input_shape()),
                encode_inputs(train, {}),
                dense(64, tanh),
                dropout(0.3),
                dense(32, tanh),
                dense(1),
                decode_targets(train, {})};
    double step_seconds = 0;
    const FitOptions options{.epochs = 1,
                             .batch = 1024,
                             .seed = 1,
                             .device = Device::cpu(threads),
                             .callbacks = {[&](const Event& event) {
                               if (event.kind == Event::Kind::epoch)
                                 step_seconds = event.history.back().seconds;
                               return true;
                             }},
                             .loss_weight = 0.7};
    const double training = seconds_of([&] { fit(net, train, options); });
    std::printf(
        "columns %.2f s (%.0f MB/s, %ld MB), rows %.2f s (%.0f MB/s, %ld MB), both %.2f M rows/s; "
        "training %.2f M rows/s (fit %.2f s, %ld MB): %.2f times\n",
        look, bytes / look / 1e6, look_peak, load, bytes / load / 1e6, load_peak,
        n / (look + load) / 1e6, n / step_seconds / 1e6, training, peak_memory(),
        step_seconds / (look + load));
  }
  std::filesystem::remove(path);
}
