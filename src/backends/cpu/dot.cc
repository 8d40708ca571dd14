#include "src/backends/cpu/dot.h"

#include <algorithm>

namespace soma::cpu {

namespace {

/// Products of more columns are cut freely, and what follows them walks over the result again.
constexpr int64_t whole_rows_up_to = 1024;
/// What that costs in the cycles of a GemmPlan: for each element, and for one more instruction, at
/// whose end the threads meet.
constexpr double walk_again = 4, meet_again = 90e3;

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

/// Where the elements of the product lie in the array that is written.
passes::View result_view(const Graph& graph, const passes::Step& step) {
  if (!step.turned) return passes::whole(graph, *step.anchor);  // a finished one is laid out so
  passes::View view = passes::whole(graph, *step.turned);
  const Dims& perm = graph[*step.turned].as<TransposeAttr>().perm;
  const Dims strides = view.strides;
  view.shape = graph[*step.anchor].shape;
  for (int i = 0; i < perm.size(); ++i) view.strides[static_cast<int>(perm[i])] = strides[i];
  return view;
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
  size_t a, b, c;
  FinishAt finish;
  std::shared_ptr<const VmProgram> epilogue;
  size_t vm_scratch;
};

double factor_of(const DotArgs& d, Memory memory) {
  if (!d.finish.factor) return d.finish.constant_factor;
  const std::byte* at = memory[d.finish.factor->buffer] + d.finish.factor->offset;
  if (d.plan.gemm.type == f64) return *reinterpret_cast<const double*>(at);
  return static_cast<double>(*reinterpret_cast<const float*>(at));
}

void run_dot(const void* args, Memory memory, int64_t begin, int64_t end,
             std::byte* scratch) noexcept {
  const auto& d = *static_cast<const DotArgs*>(args);
  const DotPlan& p = d.plan;
  const auto bytes = static_cast<int64_t>(size_of(p.gemm.type));
  const bool single = p.batch == 1;
  const int64_t each = single ? end : p.gemm.chunks();
  const std::byte *a = memory[d.a], *b = memory[d.b];
  GemmFinish finish{false, d.finish.bias_in(memory), d.finish.relu};
  if (d.finish.base) {
    finish.base = memory[d.finish.base->buffer];
    finish.factor = factor_of(d, memory);
  }
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    const int64_t matrix = single ? 0 : chunk / each;
    const auto at = [&](const Matrices& m) {
      return (single ? m.offset : batch_offset(m, matrix)) * bytes;
    };
    gemm_chunk(*d.isa, p.gemm, a + at(p.a), b + at(p.b), memory[d.c] + at(p.c),
               scratch + d.vm_scratch, chunk - matrix * each, finish);
    if (d.epilogue) run_vm(*d.epilogue, memory, chunk, chunk + 1, scratch);
  }
}

size_t vm_scratch(const VmProgram* epilogue) {
  return epilogue ? (epilogue->scratch_bytes + 63) / 64 * 64 : 0;
}

}  // namespace

DotPlan plan_dot(const Graph& graph, const passes::Step& step, Precision precision) {
  const Node& node = graph[*step.anchor];
  const auto& attr = node.as<DotAttr>();
  DotPlan plan;
  plan.a = matrices(step.operands[0], attr.transpose_a);
  plan.b = matrices(step.operands[1], attr.transpose_b);
  plan.c = matrices(result_view(graph, step), false);
  const int r = node.shape.rank();
  const int64_t m = node.shape[r - 2], n = node.shape[r - 1];
  const int64_t k = step.operands[0].shape[attr.transpose_a ? r - 2 : r - 1];
  for (int i = 0; i + 2 < r; ++i) plan.batch *= node.shape[i];
  const auto plan_with = [&](Rows rows) {
    return plan_gemm(m, n, k, plan.a.transposed, plan.b.transposed, plan.a.row_stride,
                     plan.b.row_stride, plan.c.row_stride, node.type, rows, plan.batch, precision);
  };
  plan.gemm = plan_with(Rows::cut);
  if (!step.members.empty() && n <= whole_rows_up_to) {
    const GemmPlan whole = plan_with(Rows::whole);
    const double again = meet_again + walk_again * static_cast<double>(plan.batch * m * n);
    if (whole.cycles <= plan.gemm.cycles + again) plan.gemm = whole;
  }
  // Chunks of a batch are cut at its matrices, so they line up with the elements only when rows
  // divide evenly or there is one matrix.
  const bool even = plan.batch == 1 || m % plan.gemm.row_step == 0;
  plan.whole_rows = plan.gemm.col_chunks() == 1 && even;
  return plan;
}

void DotPlan::cut_nothing() {
  gemm.cut_nothing();
  whole_rows = true;
}

Instruction dot_instruction(const DotPlan& plan, const Isa& isa, size_t a, size_t b, size_t c,
                            FinishAt finish, std::shared_ptr<const VmProgram> epilogue) {
  const size_t scratch = vm_scratch(epilogue.get());
  auto args =
      std::make_shared<DotArgs>(DotArgs{plan, &isa, a, b, c, finish, std::move(epilogue), scratch});
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
