// Chains of multiply-adds in registers and sums over arrays, one for each instruction set.
#include "src/backends/cpu/peak.h"

#include <algorithm>
#include <chrono>
#include <vector>

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

// Additions of the array's vectors to as many sums as keep the loads busy.
#define SOMA_READ(name, target_isa, V, load, add, zero)                                   \
  __attribute__((target(target_isa))) void name(const float* from, int64_t count) {       \
    constexpr int64_t lanes = sizeof(V) / sizeof(float);                                  \
    V sums[8];                                                                            \
    for (V & sum : sums) sum = zero();                                                    \
    for (int64_t i = 0; i < count; i += 8 * lanes)                                        \
      for (int64_t k = 0; k < 8; ++k) sums[k] = add(sums[k], load(from + i + k * lanes)); \
    for (V & sum : sums) asm volatile("" : "+v"(sum));                                    \
  }
SOMA_READ(read_avx512, "avx512f", __m512, _mm512_loadu_ps, _mm512_add_ps, _mm512_setzero_ps)
SOMA_READ(read_avx2, "avx2", __m256, _mm256_loadu_ps, _mm256_add_ps, _mm256_setzero_ps)
SOMA_READ(read_sse, "sse2", __m128, _mm_loadu_ps, _mm_add_ps, _mm_setzero_ps)
#undef SOMA_READ
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
  if (isa.name.starts_with("v4")) return {peak_avx512, peak_steps * 12 * 32.0};
  if (isa.name == "v3") return {peak_avx2, peak_steps * 12 * 16.0};
#endif
  return {nullptr, 0};
}

using Read = void(const float* from, int64_t count);
Read* read_of([[maybe_unused]] const Isa& isa) {
#if defined(__x86_64__)
  return isa.name.starts_with("v4") ? read_avx512 : isa.name == "v3" ? read_avx2 : read_sse;
#else
  return [](const float* from, int64_t count) {
    float sums[16] = {};
    for (int64_t i = 0; i < count; i += 16)
      for (int64_t k = 0; k < 16; ++k) sums[k] += from[i + k];
    for (float& sum : sums) asm volatile("" ::"r"(&sum) : "memory");
  };
#endif
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

double measure_read(Team& team, const Isa& isa, size_t bytes) {
  constexpr size_t block = 4096, least = 64 * block, most = size_t{1} << 28;  // floats
  const size_t each =
      std::clamp(bytes / sizeof(float) / static_cast<size_t>(team.size()), block, most) / block *
      block;
  const std::vector<float> array(each * static_cast<size_t>(team.size()), 1.0f);
  const size_t repeats = (least + each - 1) / each;
  Read* const read = read_of(isa);
  double best = 0;
  for (int i = 0; i < 10; ++i) {
    const auto start = std::chrono::steady_clock::now();
    parallel(team, team.size(), [&](int64_t begin, int64_t end, int) {
      for (int64_t part = begin; part < end; ++part) {
        for (size_t k = 0; k < repeats; ++k) {
          read(array.data() + static_cast<size_t>(part) * each, static_cast<int64_t>(each));
        }
      }
    });
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    const size_t read_bytes = repeats * array.size() * sizeof(float);
    best = std::max(best, static_cast<double>(read_bytes) / time.count());
  }
  return best;
}

}  // namespace soma::cpu
