#include "src/backends/cpu/dot.h"

#include <algorithm>

namespace soma::cpu {

namespace {

/// Products of more columns are cut freely, and what follows them walks over the result again.
constexpr int64_t whole_rows_up_to = 1024;

Matrices matrices(const passes::View& view, bool transpose) {
  const int r = view.shape.rank();
  Matrices m;
  m.offset = view.offset;
  for (int i = 0; i + 2 < r; ++i) {
    m.batch.push_back(view.shape[i]);
    m.batch_strides.push_back(view.strides[i]);
  }
  const int64_t rows = view.shape[r - 2], columns = view.shape[r - 1];
  const bool by_rows = view.strides[r - 1] == 1 || columns <= 1;
  m.transposed = by_rows ? transpose : !transpose;
  // An axis of extent one may have any stride; kernels want one that clears the other axis.
  m.row_stride = std::max<int64_t>(
      {by_rows ? view.strides[r - 2] : view.strides[r - 1], by_rows ? columns : rows, 1});
  return m;
}

int64_t batch_offset(const Matrices& m, int64_t index) {
  int64_t offset = m.offset;
  for (int d = m.batch.rank() - 1; d >= 0; --d) {
    offset += index % m.batch[d] * m.batch_strides[d];
    index /= m.batch[d];
  }
  return offset;
}

struct DotArgs {
  DotPlan plan;
  const Isa* isa;
  size_t c;
  std::shared_ptr<const VmProgram> epilogue;
  size_t vm_scratch;
};

void run_dot(const void* args, Memory memory, int64_t begin, int64_t end,
             std::byte* scratch) noexcept {
  const auto& d = *static_cast<const DotArgs*>(args);
  const DotPlan& p = d.plan;
  const auto bytes = static_cast<int64_t>(size_of(p.gemm.type));
  const int64_t each = p.gemm.chunks();
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    const int64_t matrix = chunk / each;
    gemm_chunk(*d.isa, p.gemm, memory[p.a.buffer] + batch_offset(p.a, matrix) * bytes,
               memory[p.b.buffer] + batch_offset(p.b, matrix) * bytes, nullptr,
               memory[d.c] + matrix * p.gemm.m * p.gemm.n * bytes, scratch + d.vm_scratch,
               chunk % each, false);
    if (d.epilogue) run_vm(*d.epilogue, memory, chunk, chunk + 1, scratch);
  }
}

size_t vm_scratch(const VmProgram* epilogue) {
  return epilogue ? (epilogue->scratch_bytes + 63) / 64 * 64 : 0;
}

}  // namespace

DotPlan plan_dot(const Node& node, const passes::View& a, const passes::View& b,
                 bool has_epilogue) {
  const auto& attr = node.as<DotAttr>();
  DotPlan plan;
  plan.a = matrices(a, attr.transpose_a);
  plan.b = matrices(b, attr.transpose_b);
  const int r = node.shape.rank();
  const int64_t m = node.shape[r - 2], n = node.shape[r - 1];
  const int64_t k = a.shape[attr.transpose_a ? r - 2 : r - 1];
  for (int i = 0; i + 2 < r; ++i) plan.batch *= node.shape[i];
  plan.gemm = plan_gemm(m, n, k, plan.a.transposed, plan.b.transposed, plan.a.row_stride,
                        plan.b.row_stride, std::max<int64_t>(n, 1), node.type,
                        has_epilogue && n <= whole_rows_up_to ? Rows::whole : Rows::cut);
  // Chunks of a batch are cut at its matrices, so they line up with the elements only when rows
  // divide evenly or there is one matrix.
  const bool even = plan.batch == 1 || m % plan.gemm.row_step == 0;
  plan.whole_rows = plan.gemm.col_chunks() == 1 && even;
  return plan;
}

void DotPlan::cut_nothing() {
  gemm.row_step = std::max<int64_t>(gemm.m, 1);  // taller tiles need no more scratch
  gemm.col_step = std::max<int64_t>(gemm.n, 1);
  whole_rows = true;
}

Instruction dot_instruction(const DotPlan& plan, const Isa& isa, size_t a, size_t b, size_t c,
                            std::shared_ptr<const VmProgram> epilogue) {
  auto args = std::make_shared<DotArgs>();
  args->plan = plan;
  args->plan.a.buffer = a;
  args->plan.b.buffer = b;
  args->isa = &isa;
  args->c = c;
  args->vm_scratch = vm_scratch(epilogue.get());
  args->epilogue = std::move(epilogue);
  Instruction result;
  result.kernel = run_dot;
  result.chunks = plan.chunks();
  result.flops = 2 * plan.batch * plan.gemm.m * plan.gemm.n * plan.gemm.k;
  result.args = std::move(args);
  return result;
}

size_t dot_scratch(const DotPlan& plan, const VmProgram* epilogue) {
  return vm_scratch(epilogue) + static_cast<size_t>(plan.gemm.scratch_bytes);
}

}  // namespace soma::cpu
