// Which instruction set to use: the table of those there are, and the choice.
#include "src/backends/cpu/isa.h"

#include <cstdlib>
#include <string>

#include "soma/error.h"
#include "soma/graph.h"
#include "src/base/text.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace soma::cpu {

#if defined(__x86_64__)
namespace v2 {
extern const Isa table;
}
namespace v3 {
extern const Isa table;
}
namespace v4 {
extern const Isa table;
}
namespace v4_bf16 {
extern GemmKernel* const gemm;
}
namespace v4_amx {
extern GemmKernel* const gemm;
}
#endif
namespace portable {
extern const Isa table;
}

namespace {

struct Candidate {
  const Isa* isa;
  bool runs_here;
};

#if defined(__x86_64__)
Isa with_bf16(std::string_view name, Isa table, GemmKernel* gemm) {
  table.name = name;
  table.gemm[2] = gemm;
  return table;
}

/// The processor has tiles, and the system lets this process use them. Once it does, threads need
/// room for them on the stacks of their signals, so only those ask who multiply in bf16.
bool may_use_amx() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr unsigned tiles = 1u << 22 | 1u << 24;
  constexpr int request_permission = 0x1023, tile_data = 18;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & tiles) == tiles &&
         syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}
#endif

/// From the plainest to the best; those that differ in bf16 alone where that is wanted.
std::vector<Candidate> candidates([[maybe_unused]] Precision precision = Precision::bf16) {
  std::vector<Candidate> list{{&portable::table, true}};
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool has_v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
  const bool has_v3 = has_v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                      __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  const bool has_v4 = has_v3 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  list.push_back({&v2::table, has_v2});
  list.push_back({&v3::table, has_v3});
  list.push_back({&v4::table, has_v4});
  if (precision == Precision::fp32) return list;
  static const Isa v4_bf16 = with_bf16("v4_bf16", v4::table, v4_bf16::gemm);
  static const Isa v4_amx = with_bf16("v4_amx", v4::table, v4_amx::gemm);
  const bool has_bf16 = has_v4 && __builtin_cpu_supports("avx512bf16");
  list.push_back({&v4_bf16, has_bf16});
  list.push_back({&v4_amx, has_bf16 && may_use_amx()});
#endif
  return list;
}

const Isa& chosen(Precision precision) {
  if (const char* name = std::getenv("SOMA_ISA"); name != nullptr && *name != '\0')
    return isa_named(name);
  const Isa* best = nullptr;
  for (const Candidate& candidate : candidates(precision))
    if (candidate.runs_here) best = candidate.isa;
  return *best;
}

}  // namespace

std::vector<std::string_view> isa_names() {
  std::vector<std::string_view> names;
  for (const Candidate& candidate : candidates())
    if (candidate.runs_here) names.push_back(candidate.isa->name);
  return names;
}

const Isa& isa_named(std::string_view name) {
  std::vector<std::string> known;
  for (const Candidate& candidate : candidates()) {
    known.emplace_back(candidate.isa->name);
    if (candidate.isa->name != name) continue;
    if (candidate.runs_here) return *candidate.isa;
    throw ArgumentError(cat("The instruction set \"", name,
                            "\" does not run on this processor, which has ",
                            join(isa_names(), ", "), "; choose one of those."));
  }
  throw ArgumentError(cat("There is no instruction set \"", name, "\"", did_you_mean(name, known),
                          "; choose one of ", join(known, ", "), "."));
}

const Isa& isa(Precision precision) {
  static const Isa& best = chosen(Precision::fp32);
  if (precision == Precision::fp32) return best;
  static const Isa& best_of_bf16 = chosen(Precision::bf16);
  return best_of_bf16;
}

}  // namespace soma::cpu
