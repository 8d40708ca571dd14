#include "src/backends/cpu/fused.h"

#include <algorithm>
#include <array>
#include <bit>
#include <span>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/base/visit.h"

namespace soma::cpu {

namespace {

using passes::Step;
using passes::View;

constexpr int64_t block_target = 1024;   // 4 KiB of floats: ten registers fit the L1 cache
constexpr int64_t chunk_target = 16384;  // enough work to be worth handing to another thread
constexpr int64_t most_partials = 64;    // partial sums of a reduction over rows

static_assert(static_cast<int>(Op::select) - static_cast<int>(Op::neg) ==
              static_cast<int>(MapOp::select) - static_cast<int>(MapOp::neg));
MapOp map_op(Op op) {  // both lists follow the registry
  return static_cast<MapOp>(static_cast<int>(op) - static_cast<int>(Op::neg));
}

class Builder {
 public:
  Builder(const Graph& graph, const Step& step, const Isa& isa,
          const std::function<size_t(Id)>& buffer_of, std::optional<int64_t> chunk)
      : graph_(graph), step_(step), isa_(isa), buffer_of_(buffer_of) {
    out_.program.isa = &isa;
    out_.program.elements = step.elements;
    out_.program.columns = step.columns;
    choose_block(chunk);
  }

  FusedStep run() {
    for (size_t i = 0; i < step_.members.size(); ++i) member(step_.members[i], step_.levels[i]);
    allocate_registers();
    make_constants();
    return std::move(out_);
  }

 private:
  VmProgram& program() { return out_.program; }

  // ---- blocks and chunks

  /// Elements after which a view of the step repeats itself, when it does so soon.
  static int64_t period(const View& view) {
    const View v = view.collapsed();
    int64_t elements = 1;
    for (int d = v.shape.rank() - 1; d >= 0; --d) {
      bool rest_repeats = true;
      for (int k = 0; k <= d; ++k) rest_repeats = rest_repeats && v.strides[k] == 0;
      if (rest_repeats) return elements;
      elements *= v.shape[d];
    }
    return v.shape.rank() == 0 ? 1 : elements;
  }

  void choose_block(std::optional<int64_t> chunk) {
    int64_t grain = std::max<int64_t>(step_.columns, 1);
    bool has_end = false;
    const auto include = [&](int64_t count) {
      const int64_t larger = std::max(grain, count);
      if (larger % std::min(grain, count) == 0) grain = larger;
    };
    for (size_t i = 0; i < step_.members.size(); ++i) {
      if (step_.levels[i] != Level::end) continue;
      has_end = true;
      const Node& node = graph_[step_.members[i]];
      const bool of_rows = level_of(node.in[0]) == Level::row;
      include(std::max<int64_t>(node.shape.elements(), 1) * (of_rows ? step_.columns : 1));
    }
    const int64_t needed = grain;
    for (const Id id : step_.members) {  // let repeating operands (biases) repeat block by block
      for (const Id operand : graph_[id].in) {
        if (graph_[operand].shape.elements() != step_.elements) continue;
        const int64_t p = period(passes::load_view(graph_, operand));
        if (p > 1 && p <= 2 * block_target) include(p);
      }
    }
    if (chunk && *chunk % grain != 0) grain = needed;
    auto& p = program();
    p.block = grain * std::max<int64_t>(1, std::min(block_target, p.elements) / grain);
    if (chunk) {
      p.chunk = *chunk;
      while (p.chunk % p.block != 0 && p.block > grain) p.block -= grain;
      if (p.chunk % p.block != 0) p.block = p.chunk;
      return;
    }
    int64_t size = chunk_target;
    const auto wanted = static_cast<uint64_t>((p.elements + size - 1) / size);
    if (!has_end && wanted > 1 && wanted < 16) {  // equal shares for most numbers of threads
      size = p.elements / static_cast<int64_t>(std::bit_ceil(wanted));
    }
    if (has_end) size = std::max(size, (step_.elements + most_partials - 1) / most_partials);
    p.chunk = p.block * std::max<int64_t>(1, size / p.block);
    if (has_end) {
      p.chunk = p.block * ((size + p.block - 1) / p.block);
    }
  }

  // ---- slots

  uint16_t slot(DType type, Level level) {
    program().slots.push_back({type, level});
    return static_cast<uint16_t>(program().slots.size() - 1);
  }
  uint16_t memory_slot(DType type, Level level, size_t buffer, int64_t offset) {
    const uint16_t s = slot(type, level);
    auto& made = program().slots[s];
    made.place = VmSlot::Place::memory;
    made.buffer = buffer;
    made.offset = offset;
    return s;
  }
  bool written(Id id) const { return std::ranges::find(step_.writes, id) != step_.writes.end(); }
  /// Where a member's result goes: its array when others need it, else a register.
  uint16_t result_slot(Id id, Level level) {
    const DType type = graph_[id].type;
    return written(id) ? memory_slot(type, level, buffer_of_(id), 0) : slot(type, level);
  }

  Level level_of(Id operand) const {
    const auto link = passes::link_of(graph_, operand, 0);
    for (size_t i = 0; i < step_.members.size(); ++i) {
      if (step_.members[i] == link.producer) return step_.levels[i];
    }
    return Level::full;
  }

  // ---- operations

  uint16_t emit(VmOp op, bool once = false) {
    (once ? program().once : program().each).push_back(op);
    return op.dst;
  }

  /// The slot of an operand at a level, made if need be.
  uint16_t operand(Id id, Level level) {
    const auto key = std::pair(id, level);
    if (const auto it = operands_.find(key); it != operands_.end()) return touch(it->second);
    const uint16_t s = make_operand(id, level);
    operands_[key] = s;
    return touch(s);
  }

  uint16_t make_operand(Id id, Level level) {
    const auto link = passes::link_of(graph_, id, level == Level::full ? step_.columns : 0);
    if (const auto it = values_.find(link.producer); it != values_.end()) {
      if (!link.repeats_rows) return it->second;
      const uint16_t row = touch(it->second), dst = slot(graph_[id].type, Level::full);
      return emit({VmOp::Kind::expand, Level::full, dst, row});
    }
    if (step_.anchor && step_.result() == link.producer && !link.repeats_rows) {
      note_read(link.producer, true, level);
      const uint16_t s = memory_slot(graph_[id].type, level, buffer_of_(link.producer), 0);
      base_of_[s] = link.producer;
      return values_[link.producer] = s;
    }
    return load(passes::load_view(graph_, id), graph_[id].type, level);
  }

  uint16_t load(const View& view, DType type, Level level) {
    const Node& base = graph_[view.base];
    const int64_t repeat = period(view);
    const bool once = level == Level::full && program().block % repeat == 0;
    if (base.op == Op::constant) {
      const uint16_t s = slot(type, level);
      program().slots[s].place = VmSlot::Place::constant;
      program().slots[s].value = base.as<ConstantAttr>().value;
      return s;
    }
    if (base.op == Op::iota || base.op == Op::rng) return generate(view, base, type, level);
    if (view.contiguous()) {
      const uint16_t s = memory_slot(type, level, buffer_of_(view.base),
                                     view.offset * static_cast<int64_t>(size_of(type)));
      note_read(view.base, view.offset == 0, level);
      base_of_[s] = view.base;
      return s;
    }
    note_read(view.base, false, level);
    const View v = view.collapsed();
    VmLoad from{buffer_of_(view.base), v.offset, {}, {}};
    for (int rank = v.shape.rank(); rank < 2; ++rank) {  // copies go by rows
      from.shape.push_back(1);
      from.strides.push_back(0);
    }
    for (int d = 0; d < v.shape.rank(); ++d) {
      from.shape.push_back(v.shape[d]);
      from.strides.push_back(v.strides[d]);
    }
    const uint16_t dst = slot(type, level);
    VmOp op{VmOp::Kind::load, level, dst};
    op.detail = program().loads.size();
    program().loads.push_back(from);
    return emit(op, once);
  }

  /// Counting and random numbers are made where they are used.
  uint16_t generate(const View& view, const Node& base, DType type, Level level) {
    const uint16_t dst = slot(type, level);
    const View v = view.collapsed();
    const VmLoad places{0, v.offset, v.shape, v.strides};
    VmOp op{base.op == Op::iota ? VmOp::Kind::iota : VmOp::Kind::rng, level, dst};
    bool once = false;
    if (base.op == Op::iota) {
      const int axis = static_cast<int>(base.as<IotaAttr>().axis);
      const int64_t inner = base.shape.strides()[axis],
                    extent = std::max<int64_t>(1, base.shape[axis]);
      op.detail = program().iotas.size();
      program().iotas.push_back({places, inner, extent});
      const int64_t repeat = view.contiguous() ? inner * extent : period(view);
      once = level == Level::full && program().block % repeat == 0;
    } else {
      const View key = passes::array_view(graph_, base.in[0]);
      op.detail = program().rngs.size();
      program().rngs.push_back({places, buffer_of_(key.base),
                                key.offset * static_cast<int64_t>(sizeof(int64_t)),
                                base.as<RngAttr>().stream});
      note_read(key.base, false, level);
    }
    return emit(op, once);
  }

  void note_read(Id base, bool in_place, Level level) {
    const auto [it, fresh] = out_.reads.try_emplace(base, Access{in_place, level, 0});
    if (!fresh) it->second.in_place = it->second.in_place && in_place && it->second.level == level;
    it->second.last = std::max(it->second.last, program().each.size());
  }
  /// Remembers that the next operation (or the end of the block) reads this slot, for arrays read
  /// where they lie.
  uint16_t touch(uint16_t s) { return touch(s, program().each.size()); }
  uint16_t touch(uint16_t s, size_t position) {
    if (const auto it = base_of_.find(s); it != base_of_.end()) {
      auto& last = out_.reads[it->second].last;
      last = std::max(last, position);
    }
    return s;
  }

  VmOp map_operation(const Node& node, Level level) const {
    VmOp op{VmOp::Kind::map, level};
    const size_t type = static_cast<size_t>(graph_[node.in[0]].type);
    if (node.op == Op::cast) {
      op.kernel = reinterpret_cast<void*>(isa_.cast[type][static_cast<size_t>(node.type)]);
    } else if (node.op == Op::stop) {
      op.kernel = reinterpret_cast<void*>(isa_.cast[type][type]);
    } else {
      const size_t by = node.op == Op::select ? static_cast<size_t>(node.type) : type;
      op.kernel = reinterpret_cast<void*>(isa_.map[static_cast<size_t>(map_op(node.op))][by]);
    }
    if (!op.kernel) {
      throw TypeError(cat("the CPU has no kernel for ", info(node.op).name, " of ",
                          graph_[node.in[0]].type, "; cast the operands first"));
    }
    return op;
  }

  void member(Id id, Level level) {
    const Node& node = graph_[id];
    if (node.op == Op::reduce) return reduce(id, level);
    if (info(node.op).kind != OpClass::map) return copy(id, level);
    if (only_for_gates(id)) return;
    if (const auto gate = gate_of(id)) {
      return map(id, level, gate_kernel(node), std::array{*gate, node.in[1]});
    }
    if (node.in.size() == 2 && map_by_rows(id, level)) return;
    map(id, level, map_operation(node, level).kernel, node.in);
  }
  void map(Id id, Level level, void* kernel, std::span<const Id> in) {
    VmOp op{VmOp::Kind::map, level};
    op.kernel = kernel;
    uint16_t* const operands[] = {&op.a, &op.b, &op.c};
    for (size_t i = 0; i < in.size(); ++i) *operands[i] = operand(in[i], level);
    for (size_t i = 0; i < in.size(); ++i) touch(*operands[i]);  // expansions came between
    if (in.size() < 2) op.b = op.a;
    if (in.size() < 3) op.c = op.a;
    op.dst = result_slot(id, level);
    finish(id, op);
  }

  /// A binary map with a constant, or with one number for each row, needs no block of those.
  bool map_by_rows(Id id, Level level) {
    const Node& node = graph_[id];
    for (const int side : {number_second, number_first}) {
      const Id number = node.in[side == number_second ? 1 : 0], other = node.in[side];
      const Id base = passes::load_view(graph_, number).base;
      const auto link = passes::link_of(graph_, number, level == Level::full ? step_.columns : 0);
      const bool constant = graph_[base].op == Op::constant;
      if (!constant && !link.repeats_rows) continue;
      VmOp op{constant ? VmOp::Kind::map_constant : VmOp::Kind::map_rows, level};
      op.kernel = reinterpret_cast<void*>(isa_.map_rows[side][static_cast<size_t>(map_op(node.op))]
                                                       [static_cast<size_t>(node.type)]);
      if (!op.kernel || graph_[number].type != node.type) continue;
      op.a = op.c = operand(other, level);
      op.b = constant ? operand(number, level) : operand(link.producer, Level::row);
      touch(op.a);
      op.dst = result_slot(id, level);
      finish(id, op);
      return true;
    }
    return false;
  }

  // A comparison with zero and the selection by it are one operation.
  void* gate_kernel(const Node& node) const {
    return reinterpret_cast<void*>(
        isa_.map[static_cast<size_t>(MapOp::gate)][static_cast<size_t>(node.type)]);
  }
  /// The number that a selection compares with zero, if it is at hand.
  std::optional<Id> gate_of(Id id) const {
    const auto gate = passes::gate_of(graph_, graph_[id]);
    const bool there = gate && (std::ranges::count(step_.members, gate->comparison) ||
                                std::ranges::count(step_.reads, gate->x));
    return there ? std::optional(gate->x) : std::nullopt;
  }
  bool only_for_gates(Id id) const {
    if (graph_[id].op != Op::lt || written(id)) return false;
    return std::ranges::all_of(step_.members, [&](Id user) {
      const auto& in = graph_[user].in;
      const auto reads = [&](Id operand) {
        return passes::link_of(graph_, operand, step_.columns).producer == id;
      };
      return std::ranges::none_of(in, reads) || (gate_of(user) && !reads(in[1]));
    });
  }

  /// A leaf or a move that must lie in memory.
  void copy(Id id, Level level) {
    VmOp op{VmOp::Kind::map, level};
    const size_t type = static_cast<size_t>(graph_[id].type);
    op.kernel = reinterpret_cast<void*>(isa_.cast[type][type]);
    op.a = op.b = op.c = touch(load(passes::source_of(graph_, id), graph_[id].type, level));
    op.dst = result_slot(id, level);
    finish(id, op);
  }

  void finish(Id id, const VmOp& op) {
    if (written(id)) out_.written[id] = program().each.size();
    values_[id] = op.dst;
    emit(op);
  }

  void reduce(Id id, Level level) {
    const Node& node = graph_[id];
    const size_t type = static_cast<size_t>(node.type);
    const auto& attr = node.as<ReduceAttr>();
    if (const auto spread = step_.spreads.find(id); spread != step_.spreads.end()) {
      return reduce_spread(id, spread->second);
    }
    if (level == Level::end) {
      const Level source_level = level_of(node.in[0]);
      VmEnd end;
      end.source = touch(operand(node.in[0], source_level), SIZE_MAX);
      end.level = source_level;
      end.width = std::max<int64_t>(node.shape.elements(), 1);
      end.kind = attr.kind;
      end.type = node.type;
      end.buffer = buffer_of_(id);
      program().ends.push_back(end);
      out_.partial.push_back(id);
      return;
    }
    VmOp op{VmOp::Kind::reduce, Level::row};
    op.kernel = reinterpret_cast<void*>(isa_.reduce_rows[static_cast<size_t>(attr.kind)][type]);
    op.a = op.b = op.c = touch(reduced_operand(node, attr));
    op.dst = result_slot(id, Level::row);
    finish(id, op);
  }

  /// A reduction over few elements as a map: each of them is read (and computed) for itself.
  void reduce_spread(Id id, const passes::Spread& spread) {
    const Node& node = graph_[id];
    const auto& attr = node.as<ReduceAttr>();
    Shape window;
    for (const int64_t axis : attr.axes) {
      window.push_back(graph_[node.in[0]].shape[static_cast<int>(axis)]);
    }
    const MapOp join = attr.kind == Reduction::sum ? MapOp::add : MapOp::max;
    void* kernel = reinterpret_cast<void*>(
        isa_.map[static_cast<size_t>(join)][static_cast<size_t>(node.type)]);
    std::map<std::pair<Id, int64_t>, uint16_t> read;
    std::optional<uint16_t> sum;
    Dims at = Dims::filled(window.rank(), 0);
    for (int64_t i = 0; i < spread.count; ++i) {
      const uint16_t value = spread_element(node, spread, at, read);
      for (int d = window.rank(); d-- > 0;) {
        if (++at[d] < window[d]) break;
        at[d] = 0;
      }
      if (sum) {
        VmOp op{VmOp::Kind::map, Level::full, 0, *sum, value, value, kernel};
        op.dst =
            i + 1 == spread.count ? result_slot(id, Level::full) : slot(node.type, Level::full);
        touch(value);
        touch(*sum);
        if (i + 1 == spread.count) {
          finish(id, op);
        } else {
          emit(op);
        }
        sum = op.dst;
      } else {
        sum = value;
      }
    }
  }
  uint16_t spread_element(const Node& reduce, const passes::Spread& spread, const Dims& at,
                          std::map<std::pair<Id, int64_t>, uint16_t>& read) {
    std::map<Id, uint16_t> values;
    for (const Id id : spread.sources) {
      const View part =
          passes::spread_view(passes::view_of(graph_, id), reduce.as<ReduceAttr>().axes, at);
      const auto key = std::pair(id, part.offset);
      if (!read.contains(key)) read[key] = load(part, graph_[id].type, Level::full);
      values[id] = touch(read[key]);
    }
    for (const Id id : spread.maps) {
      const Node& node = graph_[id];
      VmOp op = map_operation(node, Level::full);
      uint16_t* const operands[] = {&op.a, &op.b, &op.c};
      for (size_t i = 0; i < node.in.size(); ++i) *operands[i] = touch(values.at(node.in[i]));
      if (node.in.size() < 2) op.b = op.a;
      if (node.in.size() < 3) op.c = op.a;
      op.dst = slot(node.type, Level::full);
      values[id] = emit(op);
    }
    return values.at(reduce.in[0]);
  }

  /// The operand with the reduced axes last.
  uint16_t reduced_operand(const Node& node, const ReduceAttr& attr) {
    const bool last = attr.axes[0] == graph_[node.in[0]].shape.rank() - attr.axes.size();
    if (last) return operand(node.in[0], Level::full);
    return load(passes::reduced_view(graph_, node), node.type, Level::full);
  }

  // ---- registers

  void make_constants() {
    auto& p = program();
    for (VmSlot& s : p.slots) {
      if (s.place != VmSlot::Place::constant) continue;
      const int64_t n = s.level == Level::row ? p.block / p.columns : p.block;
      s.reg = p.constants.size();
      p.constants.resize(s.reg + (static_cast<size_t>(n) * size_of(s.type) + 63) / 64 * 64);
      visit_type(s.type, [&]<class T>(T) {
        std::fill_n(reinterpret_cast<T*>(p.constants.data() + s.reg), n, static_cast<T>(s.value));
      });
    }
  }

  void allocate_registers() {
    auto& p = program();
    std::vector<size_t> last(p.slots.size(), 0);
    std::vector<bool> pinned(p.slots.size(), false);
    for (const VmOp& op : p.once) pinned[op.dst] = true;
    for (size_t i = 0; i < p.each.size(); ++i) {
      for (const uint16_t s : {p.each[i].a, p.each[i].b, p.each[i].c, p.each[i].dst}) last[s] = i;
    }
    for (const VmEnd& end : p.ends) last[end.source] = p.each.size();
    const auto bytes = [&](uint16_t s) {
      const int64_t n = p.slots[s].level == Level::row ? p.block / p.columns : p.block;
      return (static_cast<size_t>(n) * size_of(p.slots[s].type) + 63) / 64 * 64;
    };
    size_t top = 0;
    std::multimap<size_t, size_t> free;  // bytes → offset
    const auto take = [&](uint16_t s) {
      const auto it = free.lower_bound(bytes(s));
      if (it != free.end() && it->first == bytes(s)) {
        p.slots[s].reg = it->second;
        free.erase(it);
      } else {
        p.slots[s].reg = top;
        top += bytes(s);
      }
    };
    for (const VmOp& op : p.once) take(op.dst);
    std::vector<bool> given(p.slots.size(), false);
    for (size_t i = 0; i < p.each.size(); ++i) {
      const VmOp& op = p.each[i];
      if (p.slots[op.dst].place == VmSlot::Place::reg && !pinned[op.dst]) {
        take(op.dst);
        given[op.dst] = true;
      }
      for (uint16_t s = 0; s < p.slots.size(); ++s) {
        if (given[s] && last[s] == i) {
          free.emplace(bytes(s), p.slots[s].reg);
          given[s] = false;
        }
      }
    }
    p.scratch_bytes = top;
  }

  const Graph& graph_;
  const Step& step_;
  const Isa& isa_;
  const std::function<size_t(Id)>& buffer_of_;
  FusedStep out_;
  std::map<Id, uint16_t> values_;                      // members and the anchor
  std::map<std::pair<Id, Level>, uint16_t> operands_;  // what has been loaded or expanded
  std::map<uint16_t, Id> base_of_;                     // arrays read where they lie
};

}  // namespace

FusedStep build_fused(const Graph& graph, const Step& step, const Isa& isa,
                      const std::function<size_t(Id)>& buffer_of, std::optional<int64_t> chunk) {
  return Builder(graph, step, isa, buffer_of, chunk).run();
}

}  // namespace soma::cpu
