#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <utility>

#include "src/exec/program.h"

namespace soma {

namespace {
/// What a worker has for itself: scratch memory of kernels, a table of buffers, local buffers.
struct OwnMemory {
  size_t table, locals, bytes;
  explicit OwnMemory(const Program& program)
      : table(aligned(program.scratch_bytes)),
        locals(table + aligned(program.buffers() * sizeof(std::byte*))),
        bytes(locals + program.local_bytes) {}

 private:
  static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }
};

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
  size_t bytes = OwnMemory(program).bytes;
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
  const std::span<const Instruction> all = program.instructions;
  for (size_t i = 0; i < all.size();) {
    if (all[i].together > 1) {
      run_together(program, all.subspan(i, all[i].together), memory);
      i += all[i].together;
      continue;
    }
    const double start = profile ? now() : 0;
    run_one(all[i], memory);
    if (profile) {
      all[i].seconds += now() - start;
      ++all[i].runs;
    }
    ++i;
  }
}

void Runner::run_one(const Instruction& i, Memory memory) const noexcept {
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
}

void Runner::run_together(const Program& program, std::span<const Instruction> list,
                          Memory memory) const noexcept {
  const int64_t parts = list[0].parts;
  const OwnMemory places(program);
  parallel(team, parts, [&](int64_t begin, int64_t end, int worker) {
    std::byte* const own = scratch + static_cast<size_t>(worker) * scratch_stride;
    auto* const table = reinterpret_cast<std::byte**>(own + places.table);
    std::copy_n(memory, program.buffers(), table);
    for (int64_t part = begin; part < end; ++part) {
      for (const auto& local : list[0].locals) {  // where its part lies in the whole buffer
        table[local.buffer] =
            own + places.locals + local.offset - static_cast<size_t>(part) * local.part_bytes;
      }
      for (const Instruction& i : list) {
        const double start = profile ? now() : 0;
        const int64_t share = i.chunks / parts;
        i.kernel(i.args.get(), table, part * share, (part + 1) * share, own);
        if (profile) std::atomic_ref(i.seconds).fetch_add((now() - start) / team.size());
      }
    }
  });
  for (const Instruction& i : list) i.runs += profile;
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
