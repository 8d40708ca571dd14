#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "src/exec/program.h"

namespace soma {

namespace {
double now() {
  using clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(clock::now().time_since_epoch()).count();
}
}  // namespace

size_t Program::instruction_count() const {
  size_t count = instructions.size();
  for (const Instruction& i : instructions) count += i.loop ? i.loop->body.instruction_count() : 0;
  return count;
}

bool Program::shares_work() const {
  return std::ranges::any_of(instructions, [](const Instruction& i) {
    return i.shared() || (i.loop && i.loop->body.shares_work());
  });
}

namespace {

/// What a worker needs for the blocks of a loop: the body's table, the loop's own memory, scratch.
struct BlockMemory {
  size_t own, scratch, bytes;
  explicit BlockMemory(const Loop& loop)
      : own(aligned(loop.body.buffers() * sizeof(std::byte*))),
        scratch(own + aligned(loop.own_bytes)),
        bytes(scratch + loop.body.scratch_bytes) {}

 private:
  static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }
};

void place_arena(const Program& program, std::byte* arena, std::byte** memory) {
  const size_t first = program.inputs + program.outputs;
  for (size_t i = 0; i < program.arena.size(); ++i) {
    memory[first + i] = arena + program.arena[i].offset;
  }
}

}  // namespace

size_t scratch_bytes(const Program& program) {
  size_t bytes = program.scratch_bytes;
  for (const Instruction& i : program.instructions) {
    if (!i.loop) continue;
    bytes = std::max(bytes,
                     i.loop->by_rows() ? BlockMemory(*i.loop).bytes : scratch_bytes(i.loop->body));
  }
  return bytes;
}

void place(const Program& program, std::byte* arena, std::vector<std::byte*>& memory) {
  memory.resize(program.buffers());
  place_arena(program, arena, memory.data());
  for (const Instruction& i : program.instructions) {
    if (i.loop && !i.loop->by_rows()) place(i.loop->body, memory[i.loop->own], i.loop->memory);
  }
}

namespace {

/// Runs the instruction, and takes its time.
template <class Run>
void timed(const Instruction& instruction, bool profile, Run&& run) {
  const double start = profile ? now() : 0;
  run();
  if (profile) {
    const double seconds = now() - start;
    if (instruction.measured == 0 || seconds < instruction.measured) instruction.measured = seconds;
  }
}

/// Takes one block of rows through all steps: `run(inner)` runs the body.
template <class Run>
void run_steps(const Loop& loop, int64_t block, Memory outer, std::byte** inner, std::byte* own,
               Run&& run) {
  const auto at = [&](const Loop::Part& part) {
    if (part.buffer == Loop::own_buffer) return own + part.offset;
    return outer[part.buffer] + part.offset + static_cast<size_t>(block) * part.block;
  };
  for (const auto& [slot, from] : loop.consts) inner[slot] = at(from);
  for (const auto& carry : loop.carries) {
    inner[carry.in] = at(carry.from);
    if (loop.length == 0) std::memcpy(at(carry.to), inner[carry.in], carry.bytes);
  }
  for (int64_t i = 0; i < loop.length; ++i) {
    const int64_t t = loop.reverse ? loop.length - 1 - i : i;
    for (const auto& s : loop.sequences) {
      inner[s.slot] = at(s.outer) + static_cast<size_t>(t) * s.stride;
    }
    for (const auto& carry : loop.carries) {
      inner[carry.out] = at(i + 1 == loop.length ? carry.to : carry.temporary[i % 2]);
    }
    run(inner);
    for (const auto& carry : loop.carries) inner[carry.in] = inner[carry.out];
  }
}

}  // namespace

void Runner::run(const Program& program, Memory memory) const noexcept {
  for (const Instruction& i : program.instructions) {
    timed(i, profile, [&] {
      if (i.loop) {
        run_loop(i, memory);
      } else if (!i.shared() || team.size() == 1) {
        i.kernel(i.args.get(), memory, 0, i.chunks, scratch);
      } else {
        parallel(team, i.chunks, [&](int64_t begin, int64_t end, int worker) {
          i.kernel(i.args.get(), memory, begin, end,
                   scratch + static_cast<size_t>(worker) * scratch_stride);
        });
      }
    });
  }
}

void Runner::run_loop(const Instruction& instruction, Memory memory) const noexcept {
  Loop& loop = *instruction.loop;
  if (!loop.by_rows()) {
    return run_steps(loop, 0, memory, loop.memory.data(), memory[loop.own],
                     [&](Memory inner) { run(loop.body, inner); });
  }
  const BlockMemory places(loop);
  const auto blocks = [&](int64_t begin, int64_t end, int worker) {
    std::byte* const mine = scratch + static_cast<size_t>(worker) * scratch_stride;
    const auto inner = reinterpret_cast<std::byte**>(mine);
    place_arena(loop.body, mine + places.own, inner);
    for (int64_t block = begin; block < end; ++block) {
      run_steps(loop, block, memory, inner, mine + places.own, [&](Memory table) {
        for (const Instruction& i : loop.body.instructions) {  // times are the first worker's
          timed(i, profile && worker == 0,
                [&] { i.kernel(i.args.get(), table, 0, i.chunks, mine + places.scratch); });
        }
      });
    }
  };
  if (!instruction.shared() || team.size() == 1) {
    blocks(0, loop.blocks, 0);
  } else {
    parallel(team, loop.blocks, blocks);
  }
}

}  // namespace soma
