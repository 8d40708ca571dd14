// What this machine can do at most: the yardstick of every benchmark.
#pragma once

#include <cstddef>

#include "src/backends/cpu/isa.h"
#include "src/base/team.h"

namespace soma::cpu {

/// fp32 multiply-adds of all workers together in GFLOP/s, the best of several runs; 0 where no such
/// loop is known for the instruction set.
double measure_peak(Team& team, const Isa& isa);

/// Bytes a second that all workers together read of an array of so many bytes, the best of several
/// runs. Arrays that fit a cache are read from there.
double measure_read(Team& team, const Isa& isa, size_t bytes);

}  // namespace soma::cpu
