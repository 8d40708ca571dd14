#include "src/backends/cpu/finish.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "src/backends/cpu/dot.h"
#include "src/ir/cost.h"

namespace soma::cpu {

namespace {

using passes::Step;
using passes::View;

/// What the numbers of a bias belong to: the last axis, or the axis behind the samples.
enum class BiasOf { columns, channels };

/// Does the view give each column or channel of `shape` its own number, one after the other?
bool is_bias(const View& view, const Shape& shape, BiasOf of) {
  const int axis = of == BiasOf::columns ? shape.rank() - 1 : 1;
  int64_t before = 1, behind = 1;
  for (int i = 0; i < axis; ++i) before *= shape[i];
  for (int i = axis + 1; i < shape.rank(); ++i) behind *= shape[i];
  View wanted{view.base, view.offset, {}, {}};
  wanted.shape = {before, shape[axis], behind};
  wanted.strides = {0, 1, 0};
  const View found = view.collapsed(), row = wanted.collapsed();
  return found.shape == row.shape && found.strides == row.strides;
}

class Taker {
 public:
  Taker(const Graph& graph, Step& step, Id& made) : graph_(graph), step_(step), made_(made) {}

  std::vector<Id> taken;

  std::optional<View> bias(BiasOf of) {
    const auto readers = users(made_);
    if (readers.size() != 1 || is_array(made_)) return {};
    const Node& add = graph_[readers[0]];
    if (add.op != Op::add || is_made(add.in[0]) == is_made(add.in[1])) return {};
    const Id other = is_made(add.in[0]) ? add.in[1] : add.in[0];
    const View view = passes::load_view(graph_, other);
    if (!is_read(view.base) || is_member(source(other)) || !is_bias(view, graph_[made_].shape, of))
      return {};
    made_ = readers[0];
    take(made_);
    return view;
  }

  /// base + made
  void sum(Finish& finish) {
    const auto readers = users(made_);
    if (readers.size() != 1 || is_array(made_)) return;
    const Node& add = graph_[readers[0]];
    if (add.op != Op::add || is_made(add.in[0]) == is_made(add.in[1])) return;
    const View base = passes::load_view(graph_, is_made(add.in[0]) ? add.in[1] : add.in[0]);
    if (!is_whole(base) || !is_read(base.base)) return;
    finish.base = base;
    finish.constant_factor = -1;
    made_ = readers[0];
    take(made_);
  }

  /// base - factor · made, if that is all
  void descent(Finish& finish) {
    const auto products = users(made_);
    if (step_.members.size() != 2 || products.size() != 1 || is_array(made_)) return;
    const Node& scaled = graph_[products[0]];
    const auto steps = users(products[0]);
    if (scaled.op != Op::mul || is_made(scaled.in[0]) == is_made(scaled.in[1])) return;
    if (steps.size() != 1 || is_array(products[0])) return;
    const Node& step = graph_[steps[0]];
    if (step.op != Op::sub || source(step.in[0]) == products[0]) return;
    const View base = passes::load_view(graph_, step.in[0]);
    View factor =
        passes::load_view(graph_, is_made(scaled.in[0]) ? scaled.in[1] : scaled.in[0]).collapsed();
    for (const int64_t stride : factor.strides) {
      if (stride != 0) return;
    }
    const Node& number = graph_[factor.base];
    if (!is_whole(base) || !is_read(base.base)) return;
    if (number.op == Op::constant) {
      finish.constant_factor = number.as<ConstantAttr>().value;
    } else if (is_read(factor.base)) {
      finish.factor = factor;
    } else {
      return;
    }
    finish.base = base;
    made_ = steps[0];
    take(products[0]);
    take(made_);
  }

  bool relu() {
    const auto readers = users(made_);
    if (readers.size() != 2 || is_array(made_)) return false;
    for (const Id id : readers) {
      const auto gate = passes::gate_of(graph_, graph_[id]);
      if (!gate || gate->x != made_ || !is_made(graph_[id].in[1])) continue;
      if (!is_member(gate->comparison) || is_array(gate->comparison)) continue;
      if (users(gate->comparison).size() != 1) continue;
      take(gate->comparison);
      take(id);
      made_ = id;
      return true;
    }
    return false;
  }

 private:
  Id source(Id operand) const { return passes::link_of(graph_, operand, step_.columns).producer; }
  bool is_made(Id operand) const {
    const auto link = passes::link_of(graph_, operand, step_.columns);
    return link.producer == made_ && !link.repeats_rows;
  }
  bool is_member(Id id) const { return std::ranges::count(step_.members, id) > 0; }
  bool is_read(Id id) const { return std::ranges::count(step_.reads, id) > 0; }
  /// Does it lie like what is made?
  bool is_whole(const View& view) const {
    return view.contiguous() && view.offset == 0 &&
           graph_[view.base].shape.elements() == graph_[made_].shape.elements();
  }
  bool is_array(Id id) const { return std::ranges::count(step_.writes, id) > 0; }
  std::vector<Id> users(Id id) const {
    std::vector<Id> list;
    for (const Id member : step_.members) {
      const auto reads = [&](Id operand) { return source(operand) == id; };
      if (std::ranges::any_of(graph_[member].in, reads)) list.push_back(member);
    }
    return list;
  }
  void take(Id id) {
    const auto at = std::ranges::find(step_.members, id) - step_.members.begin();
    step_.members.erase(step_.members.begin() + at);
    step_.levels.erase(step_.levels.begin() + at);
    taken.push_back(id);
  }

  const Graph& graph_;
  Step& step_;
  Id& made_;
};

/// Takes what a kernel that makes `made` can do of the members of `step`, which read it. They leave
/// the step, and `made` becomes the last of them. Nothing else may read what `made` was. `arrays`:
/// it can add the sums to an array, or take them from one.
Finish take_finish(const Graph& graph, Step& step, Id& made, BiasOf of, bool arrays) {
  Taker taker(graph, step, made);
  Finish finish;
  if (arrays) taker.descent(finish);
  if (arrays) taker.sum(finish);
  finish.bias = taker.bias(of);
  finish.relu = taker.relu();
  finish.members = std::move(taker.taken);
  return finish;
}

/// A comparison with zero, a bias or an array, relu: what products and convolutions do themselves
/// leaves the steps behind them.
class Finishing {
 public:
  Finishing(const Graph& graph, std::vector<Step>& steps, Precision precision)
      : graph_(graph), steps_(steps), precision_(precision), finishes_(steps.size()) {}

  std::vector<Finish> run() {
    remake_comparisons();
    finish_at_once();
    drop_empty_steps();
    return std::move(finishes_);
  }

 private:
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
    for (const auto& update : graph_.updates()) {
      if (update.value == member) return;
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
    if (step.members.empty() && !step.anchor) step.reads.clear();
  }

  void finish_at_once() {
    for (size_t s = 0; s < steps_.size(); ++s) {
      Step& step = steps_[s];
      if (!step.anchor) continue;
      Id made = *step.anchor;
      if (graph_[made].op == Op::dot) {
        finishes_[s] = take_finish(graph_, step, made, BiasOf::columns, in_one_block(step));
      } else if (const auto next = step_behind_conv(s)) {
        finishes_[s] = take_finish(graph_, steps_[*next], made, BiasOf::channels, false);
        if (made == *step.anchor) continue;
        move_result(step, steps_[*next], made, finishes_[s]);
      }
      if (made != *step.anchor) step.finished = made;
    }
  }
  void drop_empty_steps() {
    for (size_t s = steps_.size(); s-- > 0;) {
      if (steps_[s].anchor || !steps_[s].members.empty()) continue;
      steps_.erase(steps_.begin() + static_cast<long>(s));
      finishes_.erase(finishes_.begin() + static_cast<long>(s));
    }
  }
  /// Is this one matrix, and each sum complete when it first reaches memory?
  bool in_one_block(const Step& step) const {
    const DotPlan plan = plan_dot(graph_, step, precision_);
    return plan.batch == 1 && plan.gemm.depth_block >= plan.gemm.k;
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
  /// `step` writes `made` now, which `next` did.
  static void move_result(Step& step, Step& next, Id made, const Finish& finish) {
    if (finish.bias) step.reads.push_back(finish.bias->base);
    std::ranges::replace(next.reads, *step.anchor, made);
    std::erase(next.writes, made);
    step.writes = {made};
  }

  const Graph& graph_;
  std::vector<Step>& steps_;
  Precision precision_;
  std::vector<Finish> finishes_;
};

}  // namespace

std::string Finish::text() const {
  const bool sum = base && !factor && constant_factor == -1;
  return std::string(sum    ? " + array"
                     : base ? " + descent"
                            : "") +
         (bias ? " + bias" : "") + (relu ? " + relu" : "");
}

std::vector<Finish> finish_steps(const Graph& graph, std::vector<Step>& steps,
                                 Precision precision) {
  return Finishing(graph, steps, precision).run();
}

}  // namespace soma::cpu
