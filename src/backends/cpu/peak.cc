// Chains of multiply-adds in registers, one for each instruction set.
#include "src/backends/cpu/peak.h"

#include <algorithm>
#include <chrono>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace soma::cpu {
namespace {

// Enough independent chains of multiply-adds that only the multipliers limit them.
constexpr int64_t peak_steps = 20'000;
#if defined(__x86_64__)
#define SOMA_PEAK(name, target_isa, V, set, fma)          \
  __attribute__((target(target_isa))) float name() {      \
    V sums[12];                                           \
    for (V & sum : sums) sum = set(1.0f);                 \
    const V x = set(0.999f), y = set(0.001f);             \
    for (int64_t i = 0; i < peak_steps; ++i)              \
      for (V & sum : sums) {                              \
        sum = fma(sum, x, y);                             \
        asm("" : "+v"(sum));                              \
      }                                                   \
    V total = sums[0];                                    \
    for (const V& sum : sums) total = fma(total, x, sum); \
    return total[0];                                      \
  }
SOMA_PEAK(peak_avx512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps)
SOMA_PEAK(peak_avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps)
#undef SOMA_PEAK
#endif

struct Peak {
  float (*run)();
  double flops;
};
Peak peak_of([[maybe_unused]] const Isa& isa) {
#if defined(__x86_64__)
  if (isa.name == "v4") return {peak_avx512, peak_steps * 12 * 32.0};
  if (isa.name == "v3") return {peak_avx2, peak_steps * 12 * 16.0};
#endif
  return {nullptr, 0};
}

void keep(float value) { asm volatile("" ::"r"(&value) : "memory"); }

}  // namespace

double measure_peak(Team& team, const Isa& isa) {
  const Peak peak = peak_of(isa);
  if (peak.run == nullptr) return 0;
  double best = 0;
  for (int i = 0; i < 30; ++i) {
    const auto start = std::chrono::steady_clock::now();
    parallel(team, team.size(), [&](int64_t begin, int64_t end, int) {
      for (int64_t repeat = 4 * begin; repeat < 4 * end; ++repeat) keep(peak.run());
    });
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    const double seconds = time.count();
    best = std::max(best, 4 * peak.flops * team.size() / seconds * 1e-9);
  }
  return best;
}

}  // namespace soma::cpu
