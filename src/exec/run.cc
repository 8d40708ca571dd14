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

size_t scratch_bytes(const Program& program) {
  size_t bytes = program.scratch_bytes;
  for (const Instruction& i : program.instructions) {
    if (i.loop) bytes = std::max(bytes, scratch_bytes(i.loop->body));
  }
  return bytes;
}

void place(const Program& program, std::byte* arena, std::vector<std::byte*>& memory) {
  memory.resize(program.buffers());
  const size_t first = program.inputs + program.outputs;
  for (size_t i = 0; i < program.arena_offsets.size(); ++i) {
    memory[first + i] = arena + program.arena_offsets[i];
  }
  for (const Instruction& i : program.instructions) {
    if (i.loop) place(i.loop->body, memory[i.loop->arena], i.loop->memory);
  }
}

void Runner::run(const Program& program, Memory memory) const noexcept {
  for (const Instruction& i : program.instructions) {
    const double start = profile ? now() : 0;
    if (i.loop) {
      run_loop(*i.loop, memory);
    } else if (i.alone || i.chunks == 1 || team.size() == 1) {
      i.kernel(i.args.get(), memory, 0, i.chunks, scratch);
    } else {
      parallel(team, i.chunks, [&](int64_t begin, int64_t end, int worker) {
        i.kernel(i.args.get(), memory, begin, end,
                 scratch + static_cast<size_t>(worker) * scratch_stride);
      });
    }
    if (profile) {
      i.seconds += now() - start;
      ++i.runs;
    }
  }
}

void Runner::run_loop(Loop& loop, Memory memory) const noexcept {
  auto& inner = loop.memory;
  for (const auto& [slot, from] : loop.consts) inner[slot] = from.in(memory);
  for (const auto& carry : loop.carries) {
    inner[carry.in] = carry.from.in(memory);
    if (loop.length == 0) std::memcpy(memory[carry.to], inner[carry.in], carry.bytes);
  }
  for (int64_t i = 0; i < loop.length; ++i) {
    const int64_t t = loop.reverse ? loop.length - 1 - i : i;
    for (const auto& s : loop.sequences) {
      inner[s.slot] = s.outer.in(memory) + static_cast<size_t>(t) * s.stride;
    }
    for (const auto& carry : loop.carries) {
      inner[carry.out] = i + 1 == loop.length ? memory[carry.to] : memory[carry.temporary[i % 2]];
    }
    run(loop.body, inner.data());
    for (const auto& carry : loop.carries) inner[carry.in] = inner[carry.out];
  }
}

}  // namespace soma
