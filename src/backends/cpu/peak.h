// What this machine can do at most: the yardstick of every benchmark.
#pragma once

#include "src/backends/cpu/isa.h"
#include "src/base/team.h"

namespace soma::cpu {

/// fp32 multiply-adds of all workers together in GFLOP/s, the best of several runs; 0 where no such
/// loop is known for the instruction set.
double measure_peak(Team& team, const Isa& isa);

}  // namespace soma::cpu
