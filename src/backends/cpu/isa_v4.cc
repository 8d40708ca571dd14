// The kernels for x86-64-v4; isa.cmake sets the compiler flags.
#if defined(__x86_64__)
#define SOMA_ISA v4
#include "src/backends/cpu/isa_table.h"
#endif
