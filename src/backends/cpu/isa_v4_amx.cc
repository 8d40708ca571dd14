// The product in bf16 for x86-64-v4 with AMX_BF16; isa.cmake sets the compiler flags.
#if defined(__x86_64__)
#include "src/backends/cpu/bf16_kernels.h"

namespace soma::cpu::v4_amx {
extern GemmKernel* const gemm;
constinit GemmKernel* const gemm = gemm_bf16;
}  // namespace soma::cpu::v4_amx
#endif
