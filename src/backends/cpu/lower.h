// Lowering: a graph, after the graph passes, to a Program for the CPU.
#pragma once

#include "soma/graph.h"
#include "src/backends/cpu/isa.h"
#include "src/exec/program.h"

namespace soma::cpu {

/// Whether a team shares the chunks of instructions, or one thread runs all of them.
enum class Sharing : bool { alone, team };

struct LowerOptions {
  bool fusion = true;  ///< Else every node is a step of its own.
  Precision precision = Precision::fp32;
  Sharing sharing = Sharing::team;
};
Program lower(const Graph& graph, const Isa& isa, const LowerOptions& options);

}  // namespace soma::cpu
