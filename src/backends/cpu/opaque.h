// Kernels for the ops that are not fused: one instruction each.
#pragma once

#include "src/exec/program.h"
#include "src/passes/fuse.h"

namespace soma::cpu {

/// A contiguous array: element 0 is `offset` bytes into the buffer.
struct Array {
  size_t buffer = 0;
  int64_t offset = 0;
};

/// The instruction for a step around gather, scatter_add, fold, argmax, pad or concat.
Instruction opaque_instruction(const Graph& graph, const Node& node, std::vector<Array> in,
                               size_t out);

/// Copies a whole array.
Instruction copy_instruction(Array from, size_t to, size_t bytes);
/// Writes `count` times the same element.
Instruction fill_instruction(size_t to, DType type, double value, int64_t count);

}  // namespace soma::cpu
