#include "src/backends/cpu/lower.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "src/backends/cpu/conv.h"
#include "src/backends/cpu/dot.h"
#include "src/backends/cpu/fused.h"
#include "src/backends/cpu/opaque.h"
#include "src/base/text.h"
#include "src/exec/memory.h"
#include "src/ir/cost.h"
#include "src/ir/infer.h"
#include "src/passes/fuse.h"

namespace soma::cpu {

namespace {

using passes::Step;
using passes::View;

size_t bytes_of(const Node& node) {
  return static_cast<size_t>(node.shape.elements()) * size_of(node.type);
}

/// The identity of a reduction: what the sum or maximum of nothing is.
double identity_of(const Node& node) {
  if (node.as<ReduceAttr>().kind == Reduction::sum) return 0;
  switch (node.type) {
    case i32: return std::numeric_limits<int32_t>::min();
    case i64: return static_cast<double>(std::numeric_limits<int64_t>::min());
    case u8: return 0;
    default: return -std::numeric_limits<double>::infinity();
  }
}

/// Lowers one graph. First every step is tried, to learn what it reads and when; then memory is
/// planned; then the instructions are made with their final buffer numbers.
class Lowering {
  static constexpr double worth_sharing = 4000;

 public:
  Lowering(const Graph& graph, const Isa& isa, bool fusion)
      : graph_(graph), isa_(isa), fusion_(fusion), steps_(passes::fuse(graph, fusion)) {}

  Program run() {
    program_.inputs = graph_.inputs().size();
    program_.outputs = graph_.outputs().size();
    for (size_t i = 0; i < graph_.inputs().size(); ++i) external_[graph_.inputs()[i]] = i;
    trials_.resize(steps_.size());
    if (fusion_) {
      remake_comparisons();
      finish_at_once();
    }
    find_last_uses();
    for (size_t s = 0; s < steps_.size(); ++s) try_step(s);
    place_outputs();
    place_updates();
    place_arrays();
    const MemoryPlan plan = plan_memory(pieces_);
    program_.arena_offsets = plan.offsets;
    program_.arena_bytes = plan.bytes;
    for (size_t s = 0; s < steps_.size(); ++s) emit_step(s);
    for (Instruction& i : final_copies()) program_.instructions.push_back(std::move(i));
    return std::move(program_);
  }

 private:
  /// What is known of a step before memory is planned.
  struct Trial {
    std::map<Id, Access> reads;
    std::map<Id, size_t> written;
    std::optional<DotPlan> dot;
    Finish finish;
    std::shared_ptr<const ConvPlan> conv;
    size_t conv_workspace = 0;
    bool epilogue_apart = false;  // the members run after the whole product
    int64_t chunks = 1;
    std::shared_ptr<Loop> loop;
    std::map<Id, size_t> partial;  // arena pieces: partial sums of each end
    size_t loop_arena = 0;
    std::vector<size_t> loop_temporaries;
  };

  size_t first_piece() const { return program_.inputs + program_.outputs; }
  size_t piece(size_t bytes, size_t first, size_t last) {
    pieces_.push_back({bytes, first, last});
    return first_piece() + pieces_.size() - 1;
  }
  size_t buffer_of(Id id) const { return external_.at(id); }

  void find_last_uses() {
    for (size_t s = 0; s < steps_.size(); ++s) {
      for (const Id id : steps_[s].reads) last_use_[id] = s;
      for (const Id id : steps_[s].writes) {
        writer_[id] = s;
        last_use_.try_emplace(id, s);
      }
    }
  }

  // ---- what kernels do at once

  /// A comparison with zero that another step's gates read is made again by them, from the number
  /// itself where that is an array anyway.
  void remake_comparisons() {
    std::map<Id, size_t> writer;
    for (size_t s = 0; s < steps_.size(); ++s) {
      for (const Id id : steps_[s].writes) writer[id] = s;
    }
    for (Step& step : steps_) {
      for (const Id id : step.members) {
        const auto gate = passes::gate_of(graph_, graph_[id]);
        if (!gate || !writer.count(gate->x) || !std::ranges::count(step.reads, gate->comparison)) {
          continue;
        }
        if (!only_gates_read(step, gate->comparison)) continue;
        std::erase(step.reads, gate->comparison);
        if (!std::ranges::count(step.reads, gate->x)) step.reads.push_back(gate->x);
        drop_unread(steps_[writer.at(gate->comparison)], gate->comparison);
      }
    }
  }
  bool only_gates_read(const Step& step, Id comparison) const {
    return std::ranges::all_of(step.members, [&](Id id) {
      const auto reads = [&](Id operand) {
        return passes::link_of(graph_, operand, 0).producer == comparison;
      };
      if (std::ranges::none_of(graph_[id].in, reads)) return true;
      const auto gate = passes::gate_of(graph_, graph_[id]);
      return gate && gate->comparison == comparison && !reads(graph_[id].in[1]);
    });
  }
  /// Takes a member out of its step when no step needs it any more.
  void drop_unread(Step& step, Id member) {
    for (const auto& output : graph_.outputs()) {
      if (output.id == member) return;
    }
    for (const Step& other : steps_) {
      if (std::ranges::count(other.reads, member)) return;
    }
    std::erase(step.writes, member);
    const auto reads = [&](Id operand) {
      return passes::link_of(graph_, operand, step.columns).producer == member;
    };
    for (const Id id : step.members) {
      if (std::ranges::any_of(graph_[id].in, reads)) return;
    }
    const auto at = std::ranges::find(step.members, member) - step.members.begin();
    step.members.erase(step.members.begin() + at);
    step.levels.erase(step.levels.begin() + at);
  }

  void finish_at_once() {
    std::vector<size_t> emptied;
    for (size_t s = 0; s < steps_.size(); ++s) {
      Step& step = steps_[s];
      if (!step.anchor) continue;
      Id made = *step.anchor;
      if (graph_[made].op == Op::dot) {
        trials_[s].finish = take_finish(graph_, step, made, BiasOf::columns);
        if (made == *step.anchor && in_one_block(step)) {
          trials_[s].finish = take_descent(graph_, step, made);
        }
      } else if (const auto next = step_behind_conv(s)) {
        trials_[s].finish = take_finish(graph_, steps_[*next], made, BiasOf::channels);
        if (made == *step.anchor) continue;
        if (move_result(step, steps_[*next], made, trials_[s].finish)) emptied.push_back(*next);
      }
      if (made != *step.anchor) step.finished = made;
    }
    std::ranges::sort(emptied, std::greater{});
    for (const size_t s : emptied) {
      steps_.erase(steps_.begin() + static_cast<long>(s));
      trials_.erase(trials_.begin() + static_cast<long>(s));
    }
  }
  /// Is this one matrix, and each sum complete when it first reaches memory?
  bool in_one_block(const Step& step) const {
    const Node& node = graph_[*step.anchor];
    const Shape& a = step.operands[0].shape;
    const int64_t k = a[a.rank() - (node.as<DotAttr>().transpose_a ? 2 : 1)];
    return node.shape.rank() == 2 && gemm_depth_block(k, node.type, node.shape.back()) >= k;
  }
  /// The maps that go on with a convolution are a step of their own: the one that reads it, if all
  /// else that this one reads is there before the convolution.
  std::optional<size_t> step_behind_conv(size_t s) const {
    const Id conv = *steps_[s].anchor;
    const Node& node = graph_[conv];
    if (node.op != Op::conv || node.as<ConvAttr>().role != ConvRole::y) return {};
    if (node.shape.elements() == 0 || flops(graph_, node) == 0) return {};  // zeros are filled in
    for (const auto& output : graph_.outputs()) {
      if (output.id == conv) return {};
    }
    for (const auto& update : graph_.updates()) {
      if (update.value == conv) return {};
    }
    std::vector<size_t> readers;
    std::set<Id> later{conv};
    for (size_t t = s + 1; t < steps_.size(); ++t) {
      if (std::ranges::count(steps_[t].reads, conv)) readers.push_back(t);
      if (readers.empty()) later.insert(steps_[t].writes.begin(), steps_[t].writes.end());
    }
    if (readers.size() != 1 || steps_[readers[0]].anchor) return {};
    for (const Id id : steps_[readers[0]].reads) {
      if (id != conv && later.count(id)) return {};
    }
    return readers[0];
  }
  /// `step` writes `made` now, which `next` did. True when `next` has nothing left to do.
  static bool move_result(Step& step, Step& next, Id made, const Finish& finish) {
    if (finish.bias) step.reads.push_back(finish.bias->base);
    std::ranges::replace(next.reads, *step.anchor, made);
    std::erase(next.writes, made);
    step.writes = {made};
    return next.members.empty();
  }

  // ---- trying

  bool fused(const Step& step) const { return step.fused(graph_); }

  void try_step(size_t s) {
    const Step& step = steps_[s];
    Trial& trial = trials_[s];
    if (step.elements == 0 && fused(step)) return;
    if (step.anchor && graph_[*step.anchor].op == Op::scan) return try_scan(s);
    if (step.anchor && graph_[*step.anchor].op == Op::conv) return try_conv(s);
    if (!fused(step)) return;
    if (step.anchor) {
      trial.dot =
          plan_dot(graph_[*step.anchor], step.operands[0], step.operands[1], !step.members.empty());
      trial.epilogue_apart = !trial.dot->whole_rows;
      if (trial.finish.base) {  // read where it is written
        trial.reads[trial.finish.base->base] = {};
        trial.written[step.result()] = 0;
      }
    }
    if (step.members.empty()) return;
    const FusedStep made = build_fused(
        graph_, step, isa_, [](Id) { return size_t{0}; }, chunk_of(trial));
    trial.reads = made.reads;
    trial.written = made.written;
    trial.chunks = made.program.chunks();
    if (trial.chunks > 1) {
      for (const Id id : made.partial) {
        trial.partial[id] = piece(bytes_of(graph_[id]) * static_cast<size_t>(trial.chunks), s, s);
      }
    }
  }

  static std::optional<int64_t> chunk_of(const Trial& trial) {
    if (!trial.dot || trial.epilogue_apart) return {};
    return trial.dot->chunk_elements();
  }

  /// Nothing is planned where there is nothing to add: such results are zeros.
  void try_conv(size_t s) {
    const Node& node = graph_[*steps_[s].anchor];
    if (node.shape.elements() == 0 || flops(graph_, node) == 0) return;
    Trial& trial = trials_[s];
    trial.conv = plan_conv(node, graph_[node.in[0]].shape, graph_[node.in[1]].shape);
    trial.conv_workspace = piece(static_cast<size_t>(trial.conv->workspace_bytes), s, s);
  }

  void try_scan(size_t s) {
    const auto& attr = graph_[*steps_[s].anchor].as<ScanAttr>();
    auto loop = std::make_shared<Loop>();
    loop->body = lower(*attr.body, isa_, fusion_);
    loop->length = attr.length;
    loop->reverse = attr.reverse;
    trials_[s].loop_arena = piece(loop->body.arena_bytes, s, s);
    for (int64_t i = 0; i < attr.carries; ++i) {  // two to alternate and one for an unread result
      const Node& carry = (*attr.body)[attr.body->outputs()[static_cast<size_t>(i)].id];
      for (int k = 0; k < 3; ++k) {
        trials_[s].loop_temporaries.push_back(piece(bytes_of(carry), s, s));
      }
    }
    for (size_t i = static_cast<size_t>(attr.carries); i < attr.body->outputs().size(); ++i) {
      // A stacked result nobody takes is written to one slice, again and again.
      const Node& result = (*attr.body)[attr.body->outputs()[i].id];
      trials_[s].loop_temporaries.push_back(piece(bytes_of(result), s, s));
    }
    trials_[s].loop = std::move(loop);
  }

  // ---- placing

  void place_outputs() {
    for (size_t i = 0; i < graph_.outputs().size(); ++i) {
      const Id id = graph_.outputs()[i].id;
      const size_t slot = program_.inputs + i;
      if (graph_[id].op != Op::input && external_.try_emplace(id, slot).second) continue;
      copies_.push_back({id, slot});
      last_use_[id] = steps_.size();
    }
  }

  /// May step `s` write array `into` where it reads `from`, or where nobody reads it any more?
  bool may_replace(size_t s, Id from, Id result) const {
    const auto last = last_use_.find(from);
    if (last != last_use_.end() && last->second > s) return false;
    if (last == last_use_.end() || last->second < s) return true;
    const Step& step = steps_[s];
    for (const auto& operand : step.operands) {
      if (operand.base == from) return false;
    }
    const Trial& trial = trials_[s];
    const auto read = trial.reads.find(from);
    const auto write = trial.written.find(result);
    if (read == trial.reads.end() || write == trial.written.end()) return false;
    return read->second.in_place && read->second.last <= write->second &&
           graph_[from].type == graph_[result].type &&
           graph_[from].shape.elements() == graph_[result].shape.elements();
  }

  void place_updates() {
    for (const auto& [state, value] : graph_.updates()) {
      // A state that takes over another input's value does so at the end.
      if (graph_[value].op == Op::input) last_use_[value] = steps_.size();
    }
    std::set<Id> taken;
    for (const auto& [state, value] : graph_.updates()) {
      const bool computed = graph_[value].op != Op::input && writer_.count(value);
      if (computed && !external_.count(value) && taken.insert(value).second &&
          may_replace(writer_[value], state, value)) {
        external_[value] = external_.at(state);
      } else {
        late_updates_.push_back({state, value});
        last_use_[value] = steps_.size();
        if (graph_[value].op == Op::input) {
          swaps_[value] = piece(bytes_of(graph_[value]), steps_.size(), steps_.size());
        }
      }
    }
  }

  /// Arena memory for every array that has no outside place, in the memory of one it replaces
  /// where possible.
  void place_arrays() {
    for (size_t s = 0; s < steps_.size(); ++s) {
      std::set<size_t> reused;
      std::vector<Id> arrays = steps_[s].writes;
      if (trials_[s].dot && !std::ranges::count(arrays, steps_[s].result())) {
        arrays.insert(arrays.begin(), steps_[s].result());  // the product itself, on its way
        last_use_[steps_[s].result()] = s;
        product_piece(s, reused);
      }
      for (const Id id : arrays) {
        if (external_.count(id)) continue;
        const size_t last = last_use_.at(id);
        if (const auto old = replaceable(s, id, reused)) {
          external_[id] = *old;
          auto& life = pieces_[*old - first_piece()];
          life.last = std::max(life.last, last);
          reused.insert(*old);
        } else {
          external_[id] = piece(bytes_of(graph_[id]), s, last);
        }
      }
    }
  }
  /// A product that only its own step reads lies where a result of the step will be, if one fits.
  void product_piece(size_t s, std::set<size_t>& reused) {
    const Id product = steps_[s].result();
    for (const Id id : steps_[s].writes) {
      if (id == product || external_.count(id) || !may_replace(s, product, id)) continue;
      external_[product] = external_[id] = piece(bytes_of(graph_[id]), s, last_use_.at(id));
      reused.insert(external_[id]);
      return;
    }
  }

  std::optional<size_t> replaceable(size_t s, Id id, const std::set<size_t>& reused) const {
    for (const auto& [from, access] : trials_[s].reads) {
      const auto place = external_.find(from);
      if (place == external_.end() || place->second < first_piece()) continue;
      if (reused.count(place->second) || !may_replace(s, from, id)) continue;
      if (pieces_[place->second - first_piece()].last > s) continue;
      return place->second;
    }
    return {};
  }

  // ---- emitting

  /// `nanoseconds`: a low guess at the time one core takes to compute, moving data apart.
  void emit(size_t s, Instruction instruction, size_t scratch, std::string text,
            double nanoseconds = 0) {
    const Step& step = steps_[s];
    instruction.text = std::move(text);
    const Id named = step.anchor ? *step.anchor : step.members.back();
    instruction.scope = graph_.scope_of(graph_[named]).name;
    for (const auto* list : {&step.reads, &step.writes}) {
      for (const Id id : *list) instruction.bytes += static_cast<int64_t>(bytes_of(graph_[id]));
    }
    const double moving = 0.1 * static_cast<double>(instruction.bytes);
    instruction.alone = std::max(nanoseconds, moving) < worth_sharing;
    program_.scratch_bytes = std::max(program_.scratch_bytes, scratch);
    if (instruction.chunks > 0) program_.instructions.push_back(std::move(instruction));
  }

  static double vm_nanoseconds(const VmProgram& vm) {
    return 0.1 * static_cast<double>(vm.elements) * static_cast<double>(vm.each.size());
  }
  static double dot_nanoseconds(const DotPlan& plan) {
    const GemmPlan& g = plan.gemm;  // narrow results take as long as a whole vector
    return 0.02 * static_cast<double>(plan.batch * g.m * std::max<int64_t>(g.n, 16) * g.k);
  }

  FinishAt placed(const Finish& finish) const {
    const auto array = [&](const std::optional<View>& view) -> std::optional<Array> {
      if (!view) return {};
      const auto bytes = static_cast<int64_t>(size_of(graph_[view->base].type));
      return Array{buffer_of(view->base), view->offset * bytes};
    };
    return {array(finish.bias), finish.relu, array(finish.base), array(finish.factor),
            finish.constant_factor};
  }
  std::string names(const Step& step) const {
    std::vector<std::string> list;
    for (const Id id : step.members) list.emplace_back(info(graph_[id].op).name);
    return join(list, " ");
  }

  void emit_step(size_t s) {
    const Step& step = steps_[s];
    Trial& trial = trials_[s];
    if (trial.loop) return emit_loop(s);
    if (!fused(step)) return emit_opaque(s);
    if (step.elements == 0) return emit_empty(s);
    std::shared_ptr<VmProgram> vm;
    if (!step.members.empty()) {
      const auto buffers = [this](Id id) { return buffer_of(id); };
      FusedStep made = build_fused(graph_, step, isa_, buffers, chunk_of(trial));
      for (size_t i = 0; i < made.partial.size(); ++i) {
        const auto partial = trial.partial.find(made.partial[i]);
        if (partial != trial.partial.end()) made.program.ends[i].buffer = partial->second;
      }
      vm = std::make_shared<VmProgram>(std::move(made.program));
    }
    if (trial.dot) {
      const auto follow = trial.epilogue_apart ? nullptr : vm;
      const Node& node = graph_[*step.anchor];
      std::string text = cat("dot ", node.shape, " over ", trial.dot->gemm.k, trial.finish.text());
      if (follow) text += cat(" + ", names(step));
      emit(s,
           dot_instruction(*trial.dot, isa_, buffer_of(step.operands[0].base),
                           buffer_of(step.operands[1].base), buffer_of(step.result()),
                           placed(trial.finish), follow),
           dot_scratch(*trial.dot, follow.get()), std::move(text),
           dot_nanoseconds(*trial.dot) + (follow ? vm_nanoseconds(*follow) : 0));
      if (follow || !vm) return emit_combines(s);
    }
    Instruction instruction;
    instruction.kernel = [](const void* args, Memory memory, int64_t begin, int64_t end,
                            std::byte* scratch) noexcept {
      run_vm(*static_cast<const VmProgram*>(args), memory, begin, end, scratch);
    };
    instruction.chunks = vm->chunks();
    instruction.flops = step.elements * static_cast<int64_t>(vm->each.size());
    instruction.args = vm;
    emit(s, std::move(instruction), vm->scratch_bytes,
         cat("fused [", step.elements, step.columns ? cat(", rows of ", step.columns) : "", "] ",
             names(step)),
         vm_nanoseconds(*vm));
    emit_combines(s);
  }

  struct CombineArgs {
    ReduceCols* kernel;
    size_t from, to;
    int64_t rows, width;
  };
  void emit_combines(size_t s) {
    for (const auto& [id, partial] : trials_[s].partial) {
      const Node& node = graph_[id];
      Instruction instruction;
      const int64_t width = std::max<int64_t>(node.shape.elements(), 1);
      instruction.args = std::make_shared<CombineArgs>(
          CombineArgs{isa_.reduce_cols[static_cast<size_t>(node.as<ReduceAttr>().kind)]
                                      [static_cast<size_t>(node.type)],
                      partial, buffer_of(id), trials_[s].chunks, width});
      instruction.kernel = [](const void* args, Memory memory, int64_t, int64_t,
                              std::byte*) noexcept {
        const auto& a = *static_cast<const CombineArgs*>(args);
        a.kernel(memory[a.to], memory[a.from], a.rows, a.width, a.width, false);
      };
      emit(s, std::move(instruction), 0, cat("combine ", trials_[s].chunks, " partial sums"));
    }
  }

  /// Nothing to walk over: sums and maxima of nothing.
  void emit_empty(size_t s) {
    for (const Id id : steps_[s].writes) {
      const Node& node = graph_[id];
      if (node.op != Op::reduce || node.shape.elements() == 0) continue;
      emit(s, fill_instruction(buffer_of(id), node.type, identity_of(node), node.shape.elements()),
           0, "fill");
    }
  }

  void emit_opaque(size_t s) {
    const Step& step = steps_[s];
    const Node& node = graph_[*step.anchor];
    std::vector<Array> in;
    for (const auto& operand : step.operands) {
      const auto bytes = static_cast<int64_t>(size_of(graph_[operand.base].type));
      in.push_back({buffer_of(operand.base), operand.offset * bytes});
    }
    if (node.op == Op::conv) return emit_conv(s, in);
    emit(s, opaque_instruction(graph_, node, std::move(in), buffer_of(*step.anchor)), 0,
         cat(info(node.op).name, " ", node.shape));
  }

  void emit_conv(size_t s, const std::vector<Array>& in) {
    const Trial& trial = trials_[s];
    const size_t out = buffer_of(steps_[s].result());
    if (!trial.conv) {
      const Node& node = graph_[*steps_[s].anchor];
      if (node.shape.elements() == 0) return;
      return emit(s, fill_instruction(out, node.type, 0, node.shape.elements()), 0, "fill");
    }
    const ConvPlan::Places places{in[0], in[1], out, trial.conv_workspace, placed(trial.finish)};
    for (Instruction& i : trial.conv->instructions(places, isa_)) {
      std::string text = i.text + trial.finish.text();  // y is one instruction
      const double nanoseconds = 0.01 * static_cast<double>(i.flops);
      emit(s, std::move(i), static_cast<size_t>(trial.conv->scratch_bytes), std::move(text),
           nanoseconds);
    }
  }

  void emit_loop(size_t s) {
    const Id scan = *steps_[s].anchor;
    const auto& attr = graph_[scan].as<ScanAttr>();
    Trial& trial = trials_[s];
    Loop& loop = *trial.loop;
    loop.arena = trial.loop_arena;
    std::map<int64_t, size_t> taken;  // result → outer buffer
    for (const Id id : steps_[s].writes) taken[graph_[id].as<GetAttr>().index] = buffer_of(id);
    const size_t inputs = attr.body->inputs().size();
    const auto temporary = [&](int64_t i) {
      return trial.loop_temporaries[static_cast<size_t>(i)];
    };
    std::vector<Loop::Part> outer;
    for (const auto& operand : steps_[s].operands) {
      outer.push_back({buffer_of(operand.base),
                       static_cast<size_t>(operand.offset) * size_of(graph_[operand.base].type)});
    }
    for (size_t i = 0; i < static_cast<size_t>(attr.consts); ++i) {
      loop.consts.push_back({i, outer[i]});
    }
    for (int64_t i = 0; i < attr.carries; ++i) {
      const size_t in = static_cast<size_t>(attr.consts + i), out = inputs + static_cast<size_t>(i);
      loop.carries.push_back({in,
                              out,
                              outer[in],
                              taken.count(i) ? taken[i] : temporary(3 * i + 2),
                              {temporary(3 * i), temporary(3 * i + 1)},
                              bytes_of((*attr.body)[attr.body->inputs()[in]])});
    }
    for (size_t i = static_cast<size_t>(attr.consts + attr.carries); i < inputs; ++i) {
      loop.sequences.push_back({i, outer[i], bytes_of((*attr.body)[attr.body->inputs()[i]])});
    }
    for (int64_t i = attr.carries; i < static_cast<int64_t>(attr.body->outputs().size()); ++i) {
      const Node& result = (*attr.body)[attr.body->outputs()[static_cast<size_t>(i)].id];
      const size_t slot = inputs + static_cast<size_t>(i);
      const bool read = taken.count(i) != 0;
      const size_t buffer = read ? taken[i] : temporary(3 * attr.carries + i - attr.carries);
      loop.sequences.push_back({slot, {buffer, 0}, read ? bytes_of(result) : 0});
    }
    Instruction instruction;
    for (const Instruction& i : loop.body.instructions) instruction.flops += i.flops * attr.length;
    instruction.loop = trial.loop;
    emit(s, std::move(instruction), 0,
         cat("scan of ", attr.length, attr.reverse ? " steps, backwards" : " steps"));
  }
  /// Outputs and updates that could not be written in place. Outputs first: they may show a state
  /// as it was before its update.
  std::vector<Instruction> final_copies() {
    std::vector<Instruction> list;
    for (const auto& [id, slot] : copies_) {
      list.push_back(copy_instruction({buffer_of(id), 0}, slot, bytes_of(graph_[id])));
    }
    for (const auto& [value, temporary] : swaps_) {  // two states may take each other's value
      list.push_back(copy_instruction({buffer_of(value), 0}, temporary, bytes_of(graph_[value])));
    }
    for (const auto& [state, value] : late_updates_) {
      const auto swap = swaps_.find(value);
      const size_t from = swap == swaps_.end() ? buffer_of(value) : swap->second;
      list.push_back(copy_instruction({from, 0}, buffer_of(state), bytes_of(graph_[state])));
    }
    return list;
  }

  const Graph& graph_;
  const Isa& isa_;
  bool fusion_;
  std::vector<Step> steps_;
  std::vector<Trial> trials_;
  Program program_;
  std::vector<Lifetime> pieces_;
  std::map<Id, size_t> external_;  // array → buffer
  std::map<Id, size_t> last_use_, writer_;
  struct Copy {
    Id id;
    size_t slot;
  };
  std::vector<Copy> copies_;
  std::vector<Graph::Update> late_updates_;
  std::map<Id, size_t> swaps_;  // input → temporary
};

}  // namespace

Program lower(const Graph& graph, const Isa& isa, bool fusion) {
  return Lowering(graph, isa, fusion).run();
}

}  // namespace soma::cpu
