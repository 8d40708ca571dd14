// The blocked machine that runs fused steps. A block is about a thousand elements; each operation
// is one vectorised loop over the block, whose registers stay in the first-level cache. Inputs that
// lie in memory in order are used where they are, outputs are written where they belong.
#pragma once

#include <cstdint>
#include <vector>

#include "soma/graph.h"
#include "src/backends/cpu/isa.h"
#include "src/exec/program.h"
#include "src/passes/fuse.h"

namespace soma::cpu {

using passes::Level;

/// Where a value of a block is: a register (scratch memory), an array that moves on with the block,
/// or a number repeated throughout a block.
struct VmSlot {
  enum class Place : uint8_t { reg, memory, constant };
  DType type = f32;
  Level level = Level::full;
  Place place = Place::reg;
  size_t buffer = 0;  ///< In memory: which buffer, and the byte offset of element 0.
  int64_t offset = 0;
  size_t reg = 0;    ///< Its offset in scratch, or among the constants.
  double value = 0;  ///< Of a constant.
};

/// A strided read of an array in the order of the block's elements.
struct VmLoad {
  size_t buffer = 0;
  int64_t offset = 0;  ///< In elements, as the strides.
  Shape shape;
  Dims strides;
};

struct VmOp {
  /// map_rows: of `a` and one number for each row of it, or one for all, in `b`.
  enum class Kind : uint8_t { map, map_rows, map_constant, load, expand, reduce, iota, rng };
  Kind kind = Kind::map;
  Level level = Level::full;  ///< Of the result.
  uint16_t dst = 0, a = 0, b = 0, c = 0;
  void* kernel = nullptr;  ///< map, reduce: from the Isa table.
  size_t detail = 0;       ///< Index into loads, iotas or rngs.
};

/// Numbers that are made from an element's place in a row-major array, seen through a view of it
/// (a load without a buffer).
struct VmIota {
  VmLoad view;
  int64_t inner = 1, extent = 1;
};
struct VmRng {
  VmLoad view;
  size_t key_buffer = 0;
  int64_t key_offset = 0;  ///< Bytes.
  int64_t stream = 0;
};

/// A reduction over the first axes or over all: each chunk has its own partial result.
struct VmEnd {
  uint16_t source = 0;
  Level level = Level::full;
  int64_t width = 1;  ///< Numbers of the result.
  Reduction kind = Reduction::sum;
  DType type = f32;
  size_t buffer = 0;  ///< chunks × width partial results, or the result when there is one chunk.
};

struct VmProgram {
  int64_t elements = 0, columns = 0;
  int64_t block = 0, chunk = 0;  ///< Elements; a chunk is a whole number of blocks.
  std::vector<VmSlot> slots;
  std::vector<VmOp> once, each;  ///< Before the first block; for each block.
  std::vector<VmLoad> loads;     ///< Of two axes or more.
  std::vector<VmIota> iotas;
  std::vector<VmRng> rngs;
  std::vector<VmEnd> ends;
  std::vector<std::byte> constants;  ///< A block of each, made with the program.
  size_t scratch_bytes = 0;
  const Isa* isa = nullptr;

  int64_t chunks() const { return chunk ? (elements + chunk - 1) / chunk : 0; }
};

/// Runs the chunks [begin, end).
void run_vm(const VmProgram& program, Memory memory, int64_t begin, int64_t end,
            std::byte* scratch) noexcept;

}  // namespace soma::cpu
