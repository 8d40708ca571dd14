// Programs: what a graph becomes on a device. A flat list of instructions over a table of buffers;
// no graph, no allocation, no decision is left for run time.
//
// Buffers are numbered: first the inputs of the graph, then its outputs, then arena memory at fixed
// offsets. A kernel gets the table of their addresses and a range of chunks; chunks are cut by
// shape, never by the number of threads, and each writes memory of its own, so the results do not
// depend on who runs which.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/base/team.h"

namespace soma {

using Memory = std::byte* const*;
using Kernel = void(const void* args, Memory memory, int64_t begin, int64_t end,
                    std::byte* scratch) noexcept;

struct Loop;

struct Instruction {
  Kernel* kernel = nullptr;  ///< Null for a loop.
  std::shared_ptr<const void> args;
  int64_t chunks = 1;
  bool alone = false;  ///< So little work that waking the team would take longer.
  std::shared_ptr<Loop> loop;
  // For explain():
  std::string text;   ///< "dot[128, 10] + add, relu"
  std::string scope;  ///< The layer.
  int64_t flops = 0, bytes = 0;
  mutable double seconds = 0;
  mutable int64_t runs = 0;
};

struct Program {
  size_t inputs = 0, outputs = 0;
  std::vector<size_t> arena_offsets;  ///< Of the buffers after inputs and outputs.
  size_t arena_bytes = 0;
  size_t scratch_bytes = 0;  ///< For each worker.
  std::vector<Instruction> instructions;

  size_t buffers() const { return inputs + outputs + arena_offsets.size(); }
  size_t instruction_count() const;  ///< Loop bodies included.
};

/// A scan: a body program run once per step with pointers that move along the sequences.
struct Loop {
  Program body;
  std::vector<std::byte*>
      memory;  ///< The body's table; arena addresses are set when a plan is made.
  int64_t length = 0;
  bool reverse = false;
  size_t arena = 0;  ///< The outer buffer that is the body's arena.
  /// Part of an outer buffer, from a byte offset on.
  struct Part {
    size_t buffer = 0, offset = 0;
    std::byte* in(Memory outer) const { return outer[buffer] + offset; }
  };
  struct Const {
    size_t slot;
    Part from;
  };
  struct Carry {
    size_t in, out;
    Part from;
    size_t to;
    size_t temporary[2];
    size_t bytes;
  };
  /// A sliced input or a stacked result.
  struct Sequence {
    size_t slot;
    Part outer;
    size_t stride;
  };
  std::vector<Const> consts;
  std::vector<Carry> carries;
  std::vector<Sequence> sequences;
};

/// Points the table's arena entries into `arena`, and those of nested loops.
void place(const Program& program, std::byte* arena, std::vector<std::byte*>& memory);

/// Runs programs on a team. `scratch` holds size() pieces of scratch memory.
struct Runner {
  Team& team;
  std::byte* scratch;
  size_t scratch_stride;
  bool profile;
  void run(const Program& program, Memory memory) const noexcept;

 private:
  void run_loop(Loop& loop, Memory memory) const noexcept;
};

/// The largest scratch of a program and its loops.
size_t scratch_bytes(const Program& program);
/// The listing behind Plan::explain().
std::string listing(const Program& program, double peak_flops);

}  // namespace soma
