// The kernels for whatever the compiler targets by default: every processor, arm64 with NEON.
#define SOMA_ISA portable
#include "src/backends/cpu/isa_table.h"
