// Matrix products with the fused step that goes on with their rows.
#pragma once

#include <memory>

#include "src/backends/cpu/finish.h"
#include "src/backends/cpu/gemm.h"
#include "src/backends/cpu/vm.h"
#include "src/exec/program.h"
#include "src/passes/fuse.h"

namespace soma::cpu {

/// One operand of a batched product: matrices inside a buffer.
struct Matrices {
  int64_t offset = 0;  ///< Elements.
  Shape batch;         ///< Extents and strides (elements) of the batch axes.
  Dims batch_strides;
  bool transposed = false;  ///< Stored the other way round.
  int64_t row_stride = 1;
};

/// How the product of a step is computed; made once to learn its chunks, then completed.
struct DotPlan {
  GemmPlan gemm;
  int64_t batch = 1;
  Matrices a, b, c;
  bool whole_rows =
      false;  ///< Every chunk has complete rows, so the fused step may follow at once.
  int64_t chunks() const { return batch * gemm.chunks(); }
  /// Elements of C in a full chunk when whole_rows.
  int64_t chunk_elements() const { return gemm.row_step * gemm.n; }
  /// One chunk for each matrix: for a thread that does all of them.
  void cut_nothing();
};
DotPlan plan_dot(const Graph& graph, const passes::Step& step, Precision precision);

/// `a`, `b` and `c` are the buffers of operands and result. `epilogue` may be null. Its chunks are
/// those of the product.
Instruction dot_instruction(const DotPlan& plan, const Isa& isa, size_t a, size_t b, size_t c,
                            FinishAt finish, std::shared_ptr<const VmProgram> epilogue);
/// Scratch bytes of a worker.
size_t dot_scratch(const DotPlan& plan, const VmProgram* epilogue);

}  // namespace soma::cpu
