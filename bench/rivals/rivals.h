// What the C++ rivals share: the made-up images that `soma bench` trains with, the measuring, and
// the line of JSON that compare.py reads.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace rivals {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// "mlp-128" and the seconds to measure for.
struct Arguments {
  std::string workload;
  double seconds;
  Arguments(int count, char** values) {
    if (count != 3) {
      std::fprintf(stderr, "usage: %s WORKLOAD SECONDS\n", values[0]);
      std::exit(2);
    }
    workload = values[1];
    seconds = std::atof(values[2]);
  }
  [[noreturn]] void unknown() const {
    std::fprintf(stderr, "there is no workload %s here\n", workload.c_str());
    std::exit(2);
  }
};

constexpr int rows = 61'440;

/// Noise with two bright rows that tell the class; one label in five is drawn at random.
struct Images {
  std::vector<float> pixels = std::vector<float>(size_t{rows} * 784);
  std::vector<int64_t> labels = std::vector<int64_t>(rows);
  Images() {
    std::mt19937 random(1);
    for (int row = 0; row < rows; ++row) {
      float* image = &pixels[size_t(row) * 784];
      for (int i = 0; i < 784; i += 4) {
        const uint32_t bits = random();
        for (int j = 0; j < 4; ++j) image[i + j] = float((bits >> (8 * j) & 255) / 2);
      }
      labels[row] = random() % 10;
      for (int i = 0; i < 56; ++i) image[28 * (2 * labels[row] + 4) + i] += 64;
      if (random() % 5 == 0) labels[row] = random() % 10;
      for (int i = 0; i < 784; ++i) image[i] /= 255;
    }
  }
};

/// The rows in an order that is new for each epoch, batch by batch.
class Order {
 public:
  explicit Order(int batch) : batch_(batch), order_(rows) {
    std::iota(order_.begin(), order_.end(), 0);
  }
  const int* next() {
    if (at_ % rows == 0) std::shuffle(order_.begin(), order_.end(), random_);
    const int* found = &order_[at_ % rows];
    at_ += batch_;
    return found;
  }

 private:
  int batch_;
  size_t at_ = 0;
  std::mt19937 random_{1};
  std::vector<int> order_;
};

inline long peak_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (long kilobytes = 0; word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

/// Times of `calls` steps each.
inline void report(std::vector<double> times, double calls, const std::string& more = "") {
  const double mean = std::accumulate(times.begin(), times.end(), 0.0) / double(times.size());
  std::sort(times.begin(), times.end());
  std::printf(
      "{\"mean_seconds\": %.9g, \"median_seconds\": %.9g, \"least_seconds\": %.9g, \"steps\": "
      "%.0f, "
      "\"peak_bytes\": %ld%s}\n",
      mean / calls, times[times.size() / 2] / calls, times[0] / calls, calls * double(times.size()),
      peak_bytes(), more.c_str());
}

/// Training steps; `loss` tells that of the last one, which is asked for after the first and the
/// twentieth. A fifth of the time before warms up.
template <class Step, class Loss>
void measure_training(double seconds, Step&& step, Loss&& loss) {
  long steps = 0;
  double first = 0, later = 0;
  const auto next = [&] {
    step();
    if (++steps == 1) first = loss();
    if (steps == 20) later = loss();
  };
  next();
  const double start = now();
  do next();
  while (now() - start < seconds / 5);
  std::vector<double> times;
  const double begin = now();
  while (steps < 20 || times.size() < 5 || now() - begin < seconds) {
    const double before = now();
    next();
    times.push_back(now() - before);
  }
  report(times, 1,
         ", \"first_loss\": " + std::to_string(first) + ", \"loss\": " + std::to_string(later));
}

/// Short calls: in groups long enough for the clock, and one by one for the slowest of them.
template <class Call>
void measure_calls(double seconds, Call&& call) {
  const auto group = [&](long calls) {
    const double start = now();
    for (long i = 0; i < calls; ++i) call();
    return now() - start;
  };
  long calls = 1;
  while (group(calls) < 50e-6) calls *= 2;
  std::vector<double> groups, single;
  for (const double start = now(); now() - start < seconds / 2;) groups.push_back(group(calls));
  for (const double start = now(); now() - start < seconds / 2;) single.push_back(group(1));
  std::sort(single.begin(), single.end());
  const auto worst = size_t(0.9999 * double(single.size() - 1) + 0.5);
  char slowest[48];
  std::snprintf(slowest, sizeof slowest, ", \"p9999_seconds\": %.9g", single[worst]);
  report(groups, double(calls), slowest);
}

inline std::vector<float> random_floats(size_t count, float most) {
  static std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-most, most);
  std::vector<float> values(count);
  for (float& value : values) value = uniform(random);
  return values;
}

/// "gemm-784x128x128-tn": c [m, n] = a · b, each operand as it is (n) or transposed (t).
struct Product {
  int m, n, k;
  bool transpose_a, transpose_b;
  explicit Product(const Arguments& arguments) {
    char a = 0, b = 0;
    if (std::sscanf(arguments.workload.c_str(), "gemm-%dx%dx%d-%c%c", &m, &n, &k, &a, &b) != 5) {
      arguments.unknown();
    }
    transpose_a = a == 't', transpose_b = b == 't';
  }
};

}  // namespace rivals
