// The gradient of scan. The body is differentiated once. A second forward scan also returns the
// values the backward steps read (residuals), stacked over time; a compiler pass merges it with the
// first. Then a scan in the other direction carries the cotangents of the carries, and sums those
// of the constants unless their sum can leave the loop (hoist.h). (Backpropagation through time:
// Werbos 1990; residuals as in JAX's scan.)
#include <algorithm>
#include <map>

#include "src/ad/hoist.h"
#include "src/ad/rules.h"
#include "src/base/text.h"

namespace soma::ad {

namespace {

class ScanPullBack {
 public:
  explicit ScanPullBack(const Reverse& r)
      : r_(r),
        attr_(r.as<ScanAttr>()),
        body_(*attr_.body),
        consts_(static_cast<size_t>(attr_.consts)),
        carries_(static_cast<size_t>(attr_.carries)),
        inputs_(r.in.size()),
        results_(body_.outputs().size()) {}

  Cotangents run() {
    differentiate_body();
    find_invariant();
    choose_residuals();
    run_forward();
    plan_hoisting();
    run_backward();
    hoist();
    return std::move(given_);
  }

 private:
  bool is_const(size_t input) const { return input < consts_; }
  bool is_carry(size_t input) const { return input >= consts_ && input < consts_ + carries_; }
  bool is_sequence(size_t input) const { return input >= consts_ + carries_; }
  bool accumulates(size_t input) const {
    return is_const(input) && leaving_[input] && !hoisted_.count(input);
  }
  static Value zeros(Graph& graph, Value like) {
    return graph.constant(0, like.shape(), like.type());
  }

  std::vector<bool> active_inputs() const;
  void differentiate_body();
  void find_invariant();
  bool is_recomputed(Id id) const;
  void choose_residuals();
  void run_forward();
  Id stacked_source(Id id) const;
  Value stacked(Id id) const;
  void plan_hoisting();
  std::vector<bool> read_by_backward() const;
  void enter_backward();
  void leave_backward();
  void run_backward();
  void hoist();

  const Reverse& r_;
  const ScanAttr& attr_;
  const Graph& body_;
  const size_t consts_, carries_, inputs_, results_;

  // The body with its gradient: the inputs (so that input i is node i), the forward nodes, an input
  // for the cotangent of each result, and the nodes that pull those back to the inputs.
  Graph joint_;
  Id forward_end_ = 0;
  std::vector<Value> in_, out_;
  std::vector<Value> arriving_;  // per result; empty where no cotangent can arrive
  std::vector<Value> leaving_;   // per input; empty where none is wanted or none flows
  std::vector<bool> invariant_;  // per node: the same at every step

  std::vector<Id> residuals_;                  // increasing
  std::map<Id, Value> stacked_;                // node of joint_ -> its values over time, outside
  std::map<size_t, std::vector<Id>> hoisted_;  // constant -> contractions that leave the loop
  std::vector<Id> extra_;  // operands of those that only the backward scan knows

  // The backward body, and what its scan is given.
  struct {
    Graph body;
    std::unordered_map<Id, Value> inside;  // node of joint_ -> node of body
    std::vector<Value> consts, carries, sequences;
    std::vector<Value> sums;  // in body: the accumulated cotangents of constants
  } backward_;
  Cotangents given_;
};

// The inputs whose cotangents matter: those wanted, and the carries that come to depend on them.
std::vector<bool> ScanPullBack::active_inputs() const {
  std::vector<bool> active = r_.needs;
  for (bool changed = true; changed;) {
    changed = false;
    std::vector<Id> sources;
    for (size_t i = 0; i < inputs_; ++i) {
      if (active[i] && is_float(body_[body_.inputs()[i]].type)) {
        sources.push_back(body_.inputs()[i]);
      }
    }
    const std::vector<bool> depends = depends_on(body_, sources, *r_.options.rules);
    for (size_t k = 0; k < carries_; ++k) {
      if (active[consts_ + k] || !depends[body_.outputs()[k].id]) continue;
      active[consts_ + k] = true;
      changed = true;
    }
  }
  return active;
}

void ScanPullBack::differentiate_body() {
  const std::vector<bool> active = active_inputs();
  for (size_t i = 0; i < inputs_; ++i) {
    const Node& node = body_[body_.inputs()[i]];
    in_.push_back(joint_.input(cat("x", i), node.shape, node.type));
  }
  out_ = joint_.splice(body_, in_);
  forward_end_ = static_cast<Id>(joint_.size());

  std::vector<Value> of, seeds, wrt;
  arriving_.resize(results_);
  for (size_t j = 0; j < results_; ++j) {
    if (j < carries_ ? !active[consts_ + j] : !r_.gs[j]) continue;
    arriving_[j] = joint_.input(cat("g", j), out_[j].shape(), out_[j].type());
    of.push_back(out_[j]);
    seeds.push_back(arriving_[j]);
  }
  for (size_t i = 0; i < inputs_; ++i) {
    if (active[i]) wrt.push_back(in_[i]);
  }
  const std::vector<Value> pulled = pull_back(of, seeds, wrt, r_.options);
  leaving_.resize(inputs_);
  for (size_t i = 0, k = 0; i < inputs_; ++i) {
    if (active[i]) leaving_[i] = pulled[k++];
  }
}

void ScanPullBack::find_invariant() {
  for (Id id = 0; id < joint_.size(); ++id) {
    const Node& node = joint_[id];
    const bool same = node.op == Op::input
                          ? is_const(id)
                          : std::all_of(node.in.begin(), node.in.end(),
                                        [&](Id in) -> bool { return invariant_[in]; });
    invariant_.push_back(same);
  }
}

// Whether the backward body computes this forward value again: when it is the same at every step,
// or follows cheaply from one value that takes no more room.
bool ScanPullBack::is_recomputed(Id id) const {
  if (invariant_[id]) return true;
  const Node& node = joint_[id];
  if (!info(node.op).is(OpInfo::cheap)) return false;
  const auto bytes = [](const Node& n) {
    return static_cast<size_t>(n.shape.elements()) * size_of(n.type);
  };
  int varying = 0;
  size_t source_bytes = 0;
  for (const Id in : node.in) {
    if (invariant_[in]) continue;
    ++varying;
    source_bytes = bytes(joint_[in]);
  }
  return varying == 1 && source_bytes <= bytes(node);
}

// Walks back from the cotangents to the first forward values met. The forward scan that the
// gradient of a scan inside the body added counts as forward: its residuals are ours.
void ScanPullBack::choose_residuals() {
  std::vector<bool> forward(joint_.size());
  for (Id id = 0; id < joint_.size(); ++id) {
    const Node& node = joint_[id];
    forward[id] = id < forward_end_ || (info(node.op).kind == OpClass::control &&
                                        std::all_of(node.in.begin(), node.in.end(),
                                                    [&](Id in) -> bool { return forward[in]; }));
  }
  std::vector<bool> seen(joint_.size(), false);
  std::vector<Id> open;
  for (const Value cotangent : leaving_) {
    if (cotangent) open.push_back(cotangent.id());
  }
  while (!open.empty()) {
    const Id id = open.back();
    open.pop_back();
    if (seen[id]) continue;
    seen[id] = true;
    const Node& node = joint_[id];
    const bool has_results = node.op == Op::scan || node.op == Op::call;
    if (node.op == Op::input) {
      if (id < inputs_ && is_carry(id)) residuals_.push_back(id);
    } else if (forward[id] && !has_results && !is_recomputed(id)) {
      residuals_.push_back(id);
    } else {
      open.insert(open.end(), node.in.begin(), node.in.end());
    }
  }
  std::sort(residuals_.begin(), residuals_.end());
}

void ScanPullBack::run_forward() {
  for (size_t i = consts_ + carries_; i < inputs_; ++i) stacked_[in_[i].id()] = r_.in[i];
  for (size_t j = carries_; j < results_; ++j) {
    if (arriving_[j]) stacked_[arriving_[j].id()] = r_.gs[j];
  }
  if (residuals_.empty()) return;
  Graph body;
  std::unordered_map<Id, Value> replaced;
  for (const Value in : in_) {
    const auto& attr = in.node().as<InputAttr>();
    replaced[in.id()] = body.input(attr.name, attr.shape, attr.type);
  }
  std::vector<Id> wanted;
  for (size_t k = 0; k < carries_; ++k) wanted.push_back(out_[k].id());
  wanted.insert(wanted.end(), residuals_.begin(), residuals_.end());
  const std::vector<Value> results = body.splice(joint_, wanted, replaced);
  for (size_t i = 0; i < results.size(); ++i) body.output(cat("y", i), results[i]);

  const std::span<const Value> in = r_.in;
  const auto values =
      scan(r_.graph(), std::move(body), in.first(consts_), in.subspan(consts_, carries_),
           in.subspan(consts_ + carries_), attr_.length, attr_.reverse);
  for (size_t i = 0; i < residuals_.size(); ++i) stacked_[residuals_[i]] = values[carries_ + i];
}

// The node whose stacked values give this one's by a reshape, if any reshape is needed.
Id ScanPullBack::stacked_source(Id id) const {
  while (!stacked_.count(id) && joint_[id].op == Op::reshape) id = joint_[id].in[0];
  return id;
}

Value ScanPullBack::stacked(Id id) const {
  Shape shape{attr_.length};
  for (const int64_t extent : joint_[id].shape) shape.push_back(extent);
  return reshape(stacked_.at(stacked_source(id)), shape);
}

void ScanPullBack::plan_hoisting() {
  if (!r_.options.hoist) return;
  for (size_t i = 0; i < consts_; ++i) {
    if (!leaving_[i]) continue;
    auto found = contractions(joint_, leaving_[i].id(), invariant_);
    if (!found) continue;
    for (const Id contraction : *found) {
      for (const Id operand : joint_[contraction].in) {
        const Id source = stacked_source(operand);
        if (!stacked_.count(source)) extra_.push_back(source);
      }
    }
    hoisted_[i] = std::move(*found);
  }
  std::sort(extra_.begin(), extra_.end());
  extra_.erase(std::unique(extra_.begin(), extra_.end()), extra_.end());
}

// Which nodes of joint_ the backward body is made of or is given.
std::vector<bool> ScanPullBack::read_by_backward() const {
  std::vector<bool> read(joint_.size(), false);
  for (size_t i = 0; i < inputs_; ++i) {
    if (leaving_[i] && !hoisted_.count(i)) read[leaving_[i].id()] = true;
  }
  for (const Id id : extra_) read[id] = true;
  for (Id id = static_cast<Id>(joint_.size()); id-- > 0;) {
    if (!read[id] || stacked_.count(id)) continue;
    for (const Id in : joint_[id].in) read[in] = true;
  }
  return read;
}

void ScanPullBack::enter_backward() {
  const std::vector<bool> read = read_by_backward();
  const auto enter = [&](std::vector<Value>& list, Value outside, Value joint) {
    list.push_back(outside);
    Graph& body = backward_.body;
    return body.input(cat("x", body.inputs().size()), joint.shape(), joint.type());
  };
  auto& inside = backward_.inside;
  for (size_t i = 0; i < consts_; ++i) {
    if (read[in_[i].id()]) inside[in_[i].id()] = enter(backward_.consts, r_.in[i], in_[i]);
  }
  for (size_t k = 0; k < carries_; ++k) {
    if (!arriving_[k]) continue;
    const Value last = r_.gs[k] ? r_.gs[k] : zeros(r_.graph(), out_[k]);
    inside[arriving_[k].id()] = enter(backward_.carries, last, arriving_[k]);
  }
  for (size_t i = 0; i < consts_; ++i) {
    if (!accumulates(i)) continue;
    backward_.sums.push_back(enter(backward_.carries, zeros(r_.graph(), in_[i]), in_[i]));
  }
  for (const auto& [id, over_time] : stacked_) {
    if (read[id]) inside[id] = enter(backward_.sequences, over_time, joint_.value(id));
  }
}

void ScanPullBack::leave_backward() {
  std::vector<Id> wanted = extra_;
  for (size_t i = 0; i < inputs_; ++i) {
    if (leaving_[i] && !hoisted_.count(i)) wanted.push_back(leaving_[i].id());
  }
  Graph& body = backward_.body;
  auto& inside = backward_.inside;
  body.splice(joint_, wanted, inside);
  const auto leave = [&](Value value) { body.output(cat("y", body.outputs().size()), value); };
  for (size_t k = 0; k < carries_; ++k) {
    if (!arriving_[k]) continue;
    const Value next = leaving_[consts_ + k];
    leave(next ? inside.at(next.id()) : zeros(body, out_[k]));
  }
  for (size_t i = 0, n = 0; i < consts_; ++i) {
    if (accumulates(i)) leave(backward_.sums[n++] + inside.at(leaving_[i].id()));
  }
  for (size_t i = consts_ + carries_; i < inputs_; ++i) {
    if (leaving_[i]) leave(inside.at(leaving_[i].id()));
  }
  for (const Id id : extra_) leave(inside.at(id));
}

void ScanPullBack::run_backward() {
  enter_backward();
  leave_backward();
  given_.resize(inputs_);
  if (backward_.body.outputs().empty()) return;
  const auto values = scan(r_.graph(), std::move(backward_.body), backward_.consts,
                           backward_.carries, backward_.sequences, attr_.length, !attr_.reverse);
  size_t at = 0;  // in the order in which they left
  for (size_t k = 0; k < carries_; ++k) {
    if (arriving_[k]) given_[consts_ + k] = values[at++];
  }
  for (size_t i = 0; i < inputs_; ++i) {
    if (accumulates(i) || (is_sequence(i) && leaving_[i])) given_[i] = values[at++];
  }
  for (const Id id : extra_) stacked_[id] = values[at++];
}

// The sums over time outside the loop, and what the body does with them, once.
void ScanPullBack::hoist() {
  std::unordered_map<Id, Value> outside;
  for (size_t i = 0; i < consts_; ++i) outside[in_[i].id()] = r_.in[i];
  for (const auto& [input, found] : hoisted_) {
    for (const Id contraction : found) {
      std::vector<Value> operands;
      for (const Id in : joint_[contraction].in) operands.push_back(stacked(in));
      outside[contraction] = contract_over_time(joint_[contraction], operands);
    }
    const Id wanted[] = {leaving_[input].id()};
    given_[input] = r_.graph().splice(joint_, wanted, outside)[0];
  }
}

}  // namespace

Cotangents scan_rule(const Reverse& r) { return ScanPullBack(r).run(); }

}  // namespace soma::ad
