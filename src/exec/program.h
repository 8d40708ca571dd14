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

#include "soma/plan_report.h"
#include "src/base/team.h"
#include "src/exec/memory.h"

namespace soma {

using Memory = std::byte* const*;
using Kernel = void(const void* args, Memory memory, int64_t begin, int64_t end,
                    std::byte* scratch) noexcept;

struct Loop;

/// What is known before the first run stands in the report's row.
struct Instruction : PlanReport::Instruction {
  Kernel* kernel = nullptr;  ///< Null for a loop.
  std::shared_ptr<const void> args;
  bool alone = false;  ///< So little work that waking the team would take longer.
  std::shared_ptr<Loop> loop;
  size_t step = 0;              ///< Of the schedule on which lifetimes count.
  mutable double measured = 0;  ///< The least seconds of an execution so far; 0: none.

  /// Threads share its chunks; those of a loop are blocks of rows.
  bool shared() const { return !alone && chunks > 1; }
};

struct Program {
  size_t inputs = 0, outputs = 0;
  struct Buffer {
    size_t offset = 0;
    Lifetime life;
    std::string holds;
  };
  std::vector<Buffer> arena;  ///< The buffers after inputs and outputs.
  size_t arena_bytes = 0;
  size_t scratch_bytes = 0;  ///< For each worker.
  std::vector<Instruction> instructions;

  size_t buffers() const { return inputs + outputs + arena.size(); }
  size_t instruction_count() const;  ///< Loop bodies included.
  bool shares_work() const;          ///< Has instructions for several threads.
};

/// A scan: a body program run once per step with pointers that move along the sequences.
///
/// The batch may be cut into blocks of rows that know nothing of each other. Then a thread takes a
/// block through all steps alone, in memory of its own.
struct Loop {
  Program body;  ///< For the rows of one block.
  std::vector<std::byte*>
      memory;  ///< The body's table; arena addresses are set when a plan is made.
  int64_t length = 0, blocks = 1;
  bool reverse = false;
  /// The loop's own memory, the body's arena first: an outer buffer, or with blocks scratch.
  size_t own = 0, own_bytes = 0;
  /// Part of an outer buffer, or of the loop's own memory.
  struct Part {
    size_t buffer = 0, offset = 0;
    size_t block = 0;  ///< Bytes from block to block.
  };
  static constexpr size_t own_buffer = SIZE_MAX;
  struct Const {
    size_t slot;
    Part from;
  };
  struct Carry {
    size_t in, out;
    Part from, to, temporary[2];
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

  bool by_rows() const { return blocks > 1; }
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
  void run_loop(const Instruction& instruction, Memory memory) const noexcept;
};

/// The largest scratch of a program and its loops.
size_t scratch_bytes(const Program& program);
/// The program's part of a report: instructions and arena.
void describe(const Program& program, PlanReport& report);

}  // namespace soma
