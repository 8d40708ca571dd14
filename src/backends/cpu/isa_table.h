// Included once per instruction set with SOMA_ISA defined: builds its table from the templates,
// which compile to different code in each such source.
#include "src/backends/cpu/bf16_kernels.h"
#include "src/backends/cpu/correlate_kernels.h"
#include "src/backends/cpu/gemm_kernels.h"
#include "src/backends/cpu/map_kernels.h"
#include "src/backends/cpu/reduce_kernels.h"

#define SOMA_TEXT_OF(name) #name
#define SOMA_TEXT(name) SOMA_TEXT_OF(name)

namespace soma::cpu {
namespace {
constexpr Isa make_table(const char* name) {
  Isa isa{};
  isa.name = name;
  set_maps(isa);
  set_casts(isa);
  set_reductions(isa);
  set_gemm(isa);
  isa.gemm[2] = gemm_bf16;
  set_correlate(isa);
  return isa;
}
}  // namespace

namespace SOMA_ISA {
extern const Isa table;
constinit const Isa table = make_table(SOMA_TEXT(SOMA_ISA));
}  // namespace SOMA_ISA
}  // namespace soma::cpu
