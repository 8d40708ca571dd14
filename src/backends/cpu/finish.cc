#include "src/backends/cpu/finish.h"

#include <algorithm>
#include <utility>

namespace soma::cpu {

namespace {

using passes::Step;
using passes::View;

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

}  // namespace

std::string Finish::text() const {
  const bool sum = base && !factor && constant_factor == -1;
  return std::string(sum    ? " + array"
                     : base ? " + descent"
                            : "") +
         (bias ? " + bias" : "") + (relu ? " + relu" : "");
}

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

}  // namespace soma::cpu
