// Lowering: a graph, after the graph passes, to a Program for the CPU.
#pragma once

#include "soma/graph.h"
#include "src/backends/cpu/isa.h"
#include "src/exec/program.h"

namespace soma::cpu {

/// Whether a team shares the chunks of instructions, or one thread runs all of them.
enum class Sharing : bool { alone, team };

/// With `fusion` off every node is a step of its own.
Program lower(const Graph& graph, const Isa& isa, bool fusion, Sharing sharing = Sharing::team);

}  // namespace soma::cpu
