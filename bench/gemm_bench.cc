// Matrix products of the shapes that neural networks have, against the multiply-add peak of this
// machine measured in the same run.
//   soma_bench_gemm [--json] [--threads N] [--only TEXT]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "soma/tensor.h"
#include "src/backends/cpu/gemm.h"
#include "src/backends/cpu/peak.h"
#include "src/base/philox.h"
#include "src/base/team.h"
#include "src/base/text.h"

namespace {
using namespace soma;
using namespace soma::cpu;
using Clock = std::chrono::steady_clock;

double seconds_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

struct Product {
  int64_t m, n, k;
  bool ta, tb;
  const char* what;
};
const Product products[] = {{128, 128, 784, false, false, "forward"},
                            {784, 128, 128, true, false, "dW"},
                            {128, 784, 128, false, true, "dX"},
                            {1024, 128, 784, false, false, "forward, batch 1024"},
                            {784, 128, 1024, true, false, "dW, batch 1024"},
                            {128, 512, 512, false, false, "hidden layer"},
                            {512, 512, 128, true, false, "hidden layer dW"},
                            {128, 512, 512, false, true, "hidden layer dX"},
                            {128, 512, 784, false, false, "forward, 512 wide"},
                            {784, 512, 128, true, false, "dW, 512 wide"},
                            {32, 128, 784, false, false, "forward, batch 32"},
                            {784, 128, 32, true, false, "dW, batch 32"},
                            {128, 10, 128, false, false, "output layer"},
                            {128, 10, 128, true, false, "output layer dW"},
                            {128, 128, 10, false, true, "output layer dX"},
                            {128, 512, 128, false, false, "LSTM step"},
                            {128, 128, 512, false, true, "LSTM step dX"},
                            {128, 1024, 1024, false, false, "wide layer"},
                            {1024, 1024, 128, true, false, "wide layer dW"},
                            {128, 1024, 1024, false, true, "wide layer dX"},
                            {1, 128, 784, false, false, "one sample"},
                            {2048, 2048, 2048, false, false, "square"},
                            {2048, 2048, 2048, false, true, "square, B transposed"},
                            {2048, 2048, 2048, true, false, "square, A transposed"}};

struct Result {
  double median_gflops, best_gflops;
};

Result measure(Team& team, const Isa& isa, const Product& s) {
  const GemmPlan plan =
      plan_gemm(s.m, s.n, s.k, s.ta, s.tb, s.ta ? s.m : s.k, s.tb ? s.k : s.n, s.n, f32);
  Random random(1);
  Tensor a({s.m, s.k}), b({s.k, s.n}), c({s.m, s.n});
  for (float& x : a.data<float>()) x = random.uniform() - 0.5f;
  for (float& x : b.data<float>()) x = random.uniform() - 0.5f;
  std::vector<Tensor> scratch;
  for (int i = 0; i < team.size(); ++i) scratch.emplace_back(soma::Shape{plan.scratch_bytes}, u8);
  const auto once = [&] {
    parallel(team, plan.chunks(), [&](int64_t begin, int64_t end, int worker) {
      for (int64_t chunk = begin; chunk < end; ++chunk)
        gemm_chunk(isa, plan, a.raw(), b.raw(), c.raw(), scratch[worker].raw(), chunk);
    });
  };
  const double flops =
      2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
  once();
  const int inner = static_cast<int>(std::clamp(2e7 / flops, 1.0, 200.0));
  const int repeats = static_cast<int>(std::clamp(2e10 / (flops * inner), 5.0, 301.0));
  std::vector<double> rates;
  for (int i = 0; i < repeats; ++i) {
    const double seconds = seconds_of([&] {
      for (int j = 0; j < inner; ++j) once();
    });
    rates.push_back(flops * inner / seconds * 1e-9);
  }
  return {median(rates), *std::max_element(rates.begin(), rates.end())};
}

}  // namespace

int main(int argc, char** argv) {
  bool json = false;
  int most_threads = 2;
  std::string only;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--json")
      json = true;
    else if (argument == "--threads" && i + 1 < argc)
      most_threads = std::atoi(argv[++i]);
    else if (argument == "--only" && i + 1 < argc)
      only = argv[++i];
    else
      return std::fprintf(stderr, "usage: %s [--json] [--threads N] [--only TEXT]\n", argv[0]), 2;
  }
  const Isa& chosen = isa();
  if (json) std::printf("[\n");
  const char* separator = "";
  for (int threads = 1; threads <= most_threads; ++threads) {
    Team team(threads);
    const double peak = measure_peak(team, chosen);
    if (!json)
      std::printf("%s, %d thread(s): multiply-add peak %.0f GFLOP/s\n%-34s %9s %7s %9s %7s %s\n",
                  std::string(chosen.name).c_str(), threads, peak, "product", "median", "share",
                  "best", "share", "chunks");
    for (const Product& s : products) {
      const std::string name =
          cat(s.m, "x", s.n, "x", s.k, " ", s.ta ? "T" : "N", s.tb ? "T" : "N", " ", s.what);
      if (name.find(only) == std::string::npos) continue;
      const Result result = measure(team, chosen, s);
      const GemmPlan plan =
          plan_gemm(s.m, s.n, s.k, s.ta, s.tb, s.ta ? s.m : s.k, s.tb ? s.k : s.n, s.n, f32);
      if (json) {
        std::printf(
            "%s{\"product\": \"%s\", \"isa\": \"%s\", \"threads\": %d, \"peak_gflops\": %.1f, "
            "\"median_gflops\": %.1f, \"best_gflops\": %.1f}",
            separator, name.c_str(), std::string(chosen.name).c_str(), threads, peak,
            result.median_gflops, result.best_gflops);
        separator = ",\n";
      } else {
        std::printf("%-34s %9.1f %6.1f%% %9.1f %6.1f%% %lld of %lldx%lld\n", name.c_str(),
                    result.median_gflops, 100 * result.median_gflops / peak, result.best_gflops,
                    100 * result.best_gflops / peak, static_cast<long long>(plan.chunks()),
                    static_cast<long long>(plan.row_step), static_cast<long long>(plan.col_step));
      }
    }
  }
  if (json) std::printf("\n]\n");
}
