#include "src/backends/cpu/lower.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "src/backends/cpu/conv.h"
#include "src/backends/cpu/dot.h"
#include "src/backends/cpu/fused.h"
#include "src/backends/cpu/opaque.h"
#include "src/backends/cpu/scan.h"
#include "src/base/text.h"
#include "src/exec/memory.h"
#include "src/ir/cost.h"
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
  Lowering(const Graph& graph, const Isa& isa, const LowerOptions& options)
      : graph_(graph), isa_(isa), options_(options), steps_(passes::fuse(graph, options.fusion)) {}

  Program run() {
    program_.inputs = graph_.inputs().size();
    program_.outputs = graph_.outputs().size();
    for (size_t i = 0; i < graph_.inputs().size(); ++i) external_[graph_.inputs()[i]] = i;
    std::vector<Finish> finishes;
    if (options_.fusion) finishes = finish_steps(graph_, steps_, options_.precision);
    trials_.resize(steps_.size());
    for (size_t s = 0; s < finishes.size(); ++s) trials_[s].finish = std::move(finishes[s]);
    find_last_uses();
    for (size_t s = 0; s < steps_.size(); ++s) try_step(s);
    place_outputs();
    place_updates();
    place_arrays();
    const MemoryPlan plan = plan_memory(pieces_);
    program_.arena_bytes = plan.bytes;
    for (size_t i = 0; i < pieces_.size(); ++i) {
      program_.arena.push_back({plan.offsets[i], pieces_[i], holds(i)});
    }
    for (size_t s = 0; s < steps_.size(); ++s) emit_step(s);
    for (Instruction& i : final_copies()) {
      i.step = steps_.size();
      program_.instructions.push_back(std::move(i));
    }
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
    std::vector<ScanPart> scan;
    std::map<Id, size_t> partial;  // arena pieces: partial sums of each end
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
      trial.dot = plan_dot(graph_, step, options_.precision);
      if (options_.sharing == Sharing::alone) trial.dot->cut_nothing();
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
    trials_[s].scan = scan_parts(attr, isa_, options_);
    for (ScanPart& part : trials_[s].scan) {
      if (!part.loop->by_rows()) part.loop->own = piece(part.loop->own_bytes, s, s);
    }
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

  /// `nanoseconds`: a low guess at the time one core takes to compute, moving data apart. An
  /// instruction that does not say which bytes it moves moves those of the step.
  void emit(size_t s, Instruction instruction, size_t scratch, std::string text,
            double nanoseconds = 0) {
    const Step& step = steps_[s];
    instruction.step = s;
    instruction.text = std::move(text);
    instruction.layer = layer_of(named(step));
    if (instruction.bytes == 0) {
      instruction.text += results(step.writes);
      for (const auto* list : {&step.reads, &step.writes}) {
        for (const Id id : *list) instruction.bytes += static_cast<int64_t>(bytes_of(graph_[id]));
      }
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
  // ---- for the report

  static Id named(const Step& step) { return step.anchor ? *step.anchor : step.members.back(); }
  const std::string& layer_of(Id id) const { return graph_.scope_of(graph_[id]).name; }
  /// "hidden1: add f32[128, 128]", or the name of an input.
  std::string name_of(Id id) const {
    const Node& node = graph_[id];
    if (node.op == Op::input) return node.as<InputAttr>().name;
    const std::string& layer = layer_of(id);
    return cat(layer, layer.empty() ? "" : ": ", info(node.op).name, " ", node.type, node.shape);
  }
  /// The arrays that a piece of the arena holds, one after the other, or whose step works there.
  std::string holds(size_t piece) const {
    std::vector<std::string> names;
    for (const auto& [id, buffer] : external_) {
      if (buffer == first_piece() + piece) names.push_back(name_of(id));
    }
    if (!names.empty()) return join(names, ", ");
    const size_t s = pieces_[piece].first;
    return s < steps_.size() ? cat("workspace of ", name_of(named(steps_[s]))) : "a copy";
  }
  /// Which of these arrays the user sees: " -> loss, hidden1/weights".
  std::string results(const std::vector<Id>& arrays) const {
    std::vector<std::string_view> names;
    const auto writes = [&](Id id) { return std::ranges::count(arrays, id) != 0; };
    for (const auto& output : graph_.outputs()) {
      if (writes(output.id)) names.push_back(output.name);
    }
    for (const auto& update : graph_.updates()) {
      if (writes(update.value)) names.push_back(graph_[update.state].as<InputAttr>().name);
    }
    return names.empty() ? "" : cat(" -> ", join(names, ", "));
  }
  /// What else it does, and how much that computes.
  void add_members(const std::vector<Id>& members, Instruction& instruction) const {
    for (const Id id : members) {
      auto& parts = instruction.parts;
      if (parts.empty() || parts.back().layer != layer_of(id)) parts.push_back({layer_of(id), {}});
      parts.back().ops.push_back(info(graph_[id].op).name);
      instruction.flops += flops(graph_, graph_[id]);
    }
  }
  void add_members(const Step& step, Instruction& instruction) const {
    add_members(step.members, instruction);
    if (step.apart) instruction.apart = cat(name_of(step.apart->from), ": ", step.apart->why);
  }

  void emit_step(size_t s) {
    const Step& step = steps_[s];
    Trial& trial = trials_[s];
    if (!trial.scan.empty()) return emit_scan(s);
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
      Instruction product = dot_instruction(*trial.dot, isa_, buffer_of(step.operands[0].base),
                                            buffer_of(step.operands[1].base),
                                            buffer_of(step.result()), placed(trial.finish), follow);
      add_members(trial.finish.members, product);
      if (follow) add_members(step, product);
      emit(s, std::move(product), dot_scratch(*trial.dot, follow.get()),
           cat("dot ", node.shape, " over ", trial.dot->gemm.k, trial.finish.text()),
           dot_nanoseconds(*trial.dot) + (follow ? vm_nanoseconds(*follow) : 0));
      if (follow || !vm) return emit_combines(s);
    }
    Instruction instruction;
    instruction.kernel = [](const void* args, Memory memory, int64_t begin, int64_t end,
                            std::byte* scratch) noexcept {
      run_vm(*static_cast<const VmProgram*>(args), memory, begin, end, scratch);
    };
    instruction.chunks = vm->chunks();
    instruction.args = vm;
    add_members(step, instruction);
    emit(s, std::move(instruction), vm->scratch_bytes,
         cat("fused [", step.elements, step.columns ? cat(", rows of ", step.columns) : "", "]"),
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
      instruction.bytes = (trials_[s].chunks + 1) * static_cast<int64_t>(bytes_of(node));
      emit(s, std::move(instruction), 0,
           cat("combine ", trials_[s].chunks, " partial sums", results({id})));
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
      std::string text = i.text;
      if (i.flops == 0) {  // brings weights into the workspace, or from there
        const Node& node = graph_[*steps_[s].anchor];
        const bool dw = node.as<ConvAttr>().role == ConvRole::dw;
        i.bytes = trial.conv->workspace_bytes +
                  static_cast<int64_t>(bytes_of(dw ? node : graph_[node.in[1]]));
      } else {
        text += trial.finish.text();
        add_members(trial.finish.members, i);
      }
      const double nanoseconds = 0.01 * static_cast<double>(i.flops);
      emit(s, std::move(i), static_cast<size_t>(trial.conv->scratch_bytes), std::move(text),
           nanoseconds);
    }
  }

  void emit_scan(size_t s) {
    const auto& attr = graph_[*steps_[s].anchor].as<ScanAttr>();
    std::vector<Loop::Part> operands;
    for (const auto& operand : steps_[s].operands) {
      operands.push_back({buffer_of(operand.base), static_cast<size_t>(operand.offset) *
                                                       size_of(graph_[operand.base].type)});
    }
    std::vector<std::optional<size_t>> taken(attr.body->outputs().size());
    for (const Id id : steps_[s].writes) {
      taken[static_cast<size_t>(graph_[id].as<GetAttr>().index)] = buffer_of(id);
    }
    for (const ScanPart& part : trials_[s].scan) {
      Instruction instruction = scan_instruction(part, operands, taken);
      std::string text = instruction.text;
      const double nanoseconds = 0.01 * static_cast<double>(instruction.flops);
      emit(s, std::move(instruction), 0, std::move(text), nanoseconds);
    }
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
  LowerOptions options_;
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

Program lower(const Graph& graph, const Isa& isa, const LowerOptions& options) {
  return Lowering(graph, isa, options).run();
}

}  // namespace soma::cpu
