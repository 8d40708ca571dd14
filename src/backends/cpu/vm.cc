#include "src/backends/cpu/vm.h"

#include <algorithm>
#include <cstring>

#include "src/base/philox.h"
#include "src/base/visit.h"

namespace soma::cpu {

namespace {

constexpr size_t max_slots = 256;  // fuse() limits a step's members well below this

/// Calls run(offset, stride, count) for the pieces of a view that lie along its last axis: together
/// its elements [position, position + n), in order.
template <class Run>
void walk(const VmLoad& view, int64_t position, int64_t n, Run&& run) {
  const int rank = view.shape.rank();
  if (rank == 0) return run(view.offset, 0, n);
  int64_t index[Dims::max_size];
  int64_t rest = position, at = view.offset;
  for (int d = rank - 1; d >= 0; --d) {
    index[d] = rest % view.shape[d];
    rest /= view.shape[d];
    at += index[d] * view.strides[d];
  }
  const int64_t inner = view.shape[rank - 1], stride = view.strides[rank - 1];
  for (;;) {
    const int64_t count = std::min(n, inner - index[rank - 1]);
    run(at, stride, count);
    n -= count;
    if (n == 0) return;
    at -= index[rank - 1] * stride;
    index[rank - 1] = 0;
    for (int d = rank - 2; d >= 0; --d) {  // step the outer axes like an odometer
      at += view.strides[d];
      if (++index[d] < view.shape[d]) break;
      at -= index[d] * view.strides[d];
      index[d] = 0;
    }
  }
}

/// dst[i] = make(place in the array) for the elements of a view.
template <class T, class Make>
void make_elements(const VmLoad& view, T* dst, int64_t position, int64_t n, Make&& make) {
  walk(view, position, n, [&](int64_t offset, int64_t stride, int64_t count) {
    for (int64_t i = 0; i < count; ++i) dst[i] = make(offset + i * stride);
    dst += count;
  });
}

struct Block {
  Block(const VmProgram& of, Memory arrays, std::byte* registers)
      : program(of), memory(arrays), scratch(registers) {}

  const VmProgram& program;
  Memory memory;
  std::byte* scratch;
  std::byte* at[max_slots];     // of the program's slots; to clear all would take longer than an op
  int64_t position = 0, n = 0;  // elements
  int64_t row = 0, rows = 0;    // the same in rows, where there are any

  void set(int64_t first, int64_t elements) {
    position = first;
    n = elements;
    if (program.columns > 0) row = first / program.columns, rows = elements / program.columns;
  }
  int64_t count(Level level) const { return level == Level::row ? rows : n; }
  int64_t start(Level level) const { return level == Level::row ? row : position; }
};

void run_load(const Block& block, const VmOp& op, int64_t first, int64_t n) {
  const VmLoad& load = block.program.loads[op.detail];
  const size_t bytes = size_of(block.program.slots[op.dst].type);
  const std::byte* from = block.memory[load.buffer] + load.offset * static_cast<int64_t>(bytes);
  block.program.isa->copy_view[width_index(bytes)](
      block.at[op.dst], from, {load.shape.rank(), load.shape.begin(), load.strides.begin()}, first,
      n);
}

void run_iota(const Block& block, const VmOp& op, int64_t first, int64_t n) {
  const VmIota& iota = block.program.iotas[op.detail];
  visit_type(block.program.slots[op.dst].type, [&]<class T>(T) {
    T* dst = reinterpret_cast<T*>(block.at[op.dst]);
    walk(iota.view, first, n, [&](int64_t offset, int64_t stride, int64_t count) {
      // Counts instead of dividing: `repeats` of each number, then the next one.
      int64_t number = offset / iota.inner % iota.extent, repeats = offset % iota.inner;
      const int64_t numbers = stride / iota.inner, rest = stride % iota.inner;
      for (int64_t i = 0; i < count; ++i) {
        *dst++ = static_cast<T>(number);
        repeats += rest;
        number += numbers + (repeats >= iota.inner);
        repeats -= repeats >= iota.inner ? iota.inner : 0;
        if (number >= iota.extent) number %= iota.extent;
      }
    });
  });
}

void run_rng(const Block& block, const VmOp& op, int64_t first, int64_t n) {
  const VmRng& rng = block.program.rngs[op.detail];
  int64_t key[2];
  std::memcpy(key, block.memory[rng.key_buffer] + rng.key_offset, sizeof key);
  const auto bits = [&](int64_t element) {
    return philox_bits(static_cast<uint64_t>(key[0]), static_cast<uint32_t>(key[1]),
                       static_cast<uint64_t>(rng.stream), static_cast<uint64_t>(element));
  };
  if (block.program.slots[op.dst].type == f32) {
    make_elements(rng.view, reinterpret_cast<float*>(block.at[op.dst]), first, n,
                  [&](int64_t e) { return uniform_float(bits(e)); });
  } else {
    make_elements(rng.view, reinterpret_cast<double*>(block.at[op.dst]), first, n, [&](int64_t e) {
      const uint64_t wide = bits(2 * e) | uint64_t{bits(2 * e + 1)} << 32;
      return static_cast<double>(wide >> 11) * 0x1p-53;
    });
  }
}

void run_op(const Block& block, const VmOp& op) {
  const VmProgram& p = block.program;
  const auto& at = block.at;
  switch (op.kind) {
    case VmOp::Kind::map:
      reinterpret_cast<MapKernel*>(op.kernel)(at[op.dst], at[op.a], at[op.b], at[op.c],
                                              block.count(op.level));
      break;
    case VmOp::Kind::map_rows:
      reinterpret_cast<MapRows*>(op.kernel)(at[op.dst], at[op.a], at[op.b], block.rows, p.columns);
      break;
    case VmOp::Kind::map_constant:
      reinterpret_cast<MapRows*>(op.kernel)(at[op.dst], at[op.a], at[op.b], 1,
                                            block.count(op.level));
      break;
    case VmOp::Kind::load: run_load(block, op, block.start(op.level), block.count(op.level)); break;
    case VmOp::Kind::expand:
      p.isa->expand_rows[width_index(size_of(p.slots[op.dst].type))](at[op.dst], at[op.a],
                                                                     block.rows, p.columns);
      break;
    case VmOp::Kind::reduce:
      reinterpret_cast<ReduceRows*>(op.kernel)(at[op.dst], at[op.a], block.rows, p.columns, false);
      break;
    case VmOp::Kind::iota: run_iota(block, op, block.start(op.level), block.count(op.level)); break;
    case VmOp::Kind::rng: run_rng(block, op, block.start(op.level), block.count(op.level)); break;
  }
}

void run_ends(const Block& block, int64_t chunk, bool first) {
  for (const VmEnd& end : block.program.ends) {
    const int64_t n = block.count(end.level);
    const size_t type = static_cast<size_t>(end.type), kind = static_cast<size_t>(end.kind);
    std::byte* dst =
        block.memory[end.buffer] + static_cast<size_t>(chunk * end.width) * size_of(end.type);
    const Isa& isa = *block.program.isa;
    if (end.width == 1) {
      isa.reduce_rows[kind][type](dst, block.at[end.source], 1, n, !first);
    } else {
      isa.reduce_cols[kind][type](dst, block.at[end.source], n / end.width, end.width, end.width,
                                  !first);
    }
  }
}

void set_memory(Block& block) {
  const auto& slots = block.program.slots;
  for (size_t s = 0; s < slots.size(); ++s) {
    if (slots[s].place != VmSlot::Place::memory) continue;
    block.at[s] = block.memory[slots[s].buffer] + slots[s].offset +
                  block.start(slots[s].level) * static_cast<int64_t>(size_of(slots[s].type));
  }
}

}  // namespace

void run_vm(const VmProgram& program, Memory memory, int64_t begin, int64_t end,
            std::byte* scratch) noexcept {
  Block block(program, memory, scratch);
  for (size_t s = 0; s < program.slots.size(); ++s) {
    const VmSlot& slot = program.slots[s];
    if (slot.place == VmSlot::Place::reg) block.at[s] = scratch + slot.reg;
    if (slot.place == VmSlot::Place::constant) {
      // Operands are pointers to bytes that may be written; these never are.
      block.at[s] = const_cast<std::byte*>(program.constants.data()) + slot.reg;
    }
  }
  if (!program.once.empty()) {
    block.set(0, program.block);  // what repeats from block to block is made for a whole one
    set_memory(block);
    for (const VmOp& op : program.once) run_op(block, op);
  }
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    const int64_t stop = std::min(program.elements, (chunk + 1) * program.chunk);
    bool first = true;
    for (int64_t at = chunk * program.chunk; at < stop; at += program.block) {
      block.set(at, std::min(program.block, stop - at));
      set_memory(block);
      for (const VmOp& op : program.each) run_op(block, op);
      run_ends(block, chunk, first);
      first = false;
    }
  }
}

}  // namespace soma::cpu
