// Which instruction set to use: the table of those there are, and the choice.
#include "src/backends/cpu/isa.h"

#include <cstdlib>
#include <string>

#include "soma/error.h"
#include "src/base/text.h"

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
#endif
namespace portable {
extern const Isa table;
}

namespace {

struct Candidate {
  const Isa* isa;
  bool runs_here;
};

/// From the plainest to the best.
std::vector<Candidate> candidates() {
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
#endif
  return list;
}

const Isa& chosen() {
  if (const char* name = std::getenv("SOMA_ISA"); name != nullptr && *name != '\0')
    return isa_named(name);
  return isa_named(isa_names().back());
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

const Isa& isa() {
  static const Isa& best = chosen();
  return best;
}

}  // namespace soma::cpu
