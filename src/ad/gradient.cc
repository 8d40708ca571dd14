// Backpropagation: one walk over the nodes, from the last to the first, that hands each node's
// cotangent to its rule and adds what comes back to the cotangents of the inputs.
#include "soma/gradient.h"

#include "soma/error.h"
#include "src/ad/rules.h"
#include "src/base/text.h"

namespace soma {

namespace ad {

namespace {

bool is_control(Op op) { return info(op).kind == OpClass::control && op != Op::get; }

// The cotangents that have arrived so far, per node and result (calls and scans have many).
class Arrived {
 public:
  explicit Arrived(size_t nodes) : at_(nodes) {}

  void add(Id id, size_t result, Value cotangent) {
    auto& slots = at_[id];
    if (slots.size() <= result) slots.resize(result + 1);
    Value& slot = slots[result];
    slot = slot ? slot + cotangent : cotangent;
  }
  bool any(Id id) const { return !at_[id].empty(); }
  const std::vector<Value>& all(Id id) const { return at_[id]; }
  Value of(Value value) const {
    return value.id() < at_.size() && any(value.id()) ? at_[value.id()][0] : Value{};
  }

 private:
  std::vector<std::vector<Value>> at_;
};

Reverse seen_from_behind(Graph& graph, Id id, const std::vector<Value>& cotangents,
                         const std::vector<bool>& depends, const Options& options) {
  const Node& node = graph[id];
  Reverse r{node, graph.value(id), cotangents[0], cotangents, {}, {}, {}, {}, {}, options};
  for (const Id in : node.in) {
    r.in.push_back(graph.value(in));
    r.needs.push_back(depends[in]);
  }
  Value* const named[] = {&r.a, &r.b, &r.c};
  for (size_t i = 0; i < r.in.size() && i < std::size(named); ++i) *named[i] = r.in[i];
  if (is_control(node.op)) {
    const auto& body = node.op == Op::call ? node.as<CallAttr>().body : node.as<ScanAttr>().body;
    r.gs.resize(body->outputs().size());
  }
  return r;
}

}  // namespace

std::vector<bool> depends_on(const Graph& graph, std::span<const Id> wrt, const RuleTable& rules) {
  std::vector<bool> depends(graph.size(), false);
  for (const Id id : wrt) depends[id] = true;
  for (Id id = 0; id < graph.size(); ++id) {
    const Node& node = graph[id];
    if (!rules[static_cast<size_t>(node.op)] || !(is_float(node.type) || is_control(node.op))) {
      continue;
    }
    for (const Id in : node.in) depends[id] = depends[id] || depends[in];
  }
  return depends;
}

std::vector<Value> pull_back(std::span<const Value> of, std::span<const Value> seeds,
                             std::span<const Value> wrt, const Options& options) {
  std::vector<Value> result(wrt.size());
  if (of.empty()) return result;
  Graph& graph = of[0].graph();
  std::vector<Id> sources;
  for (const Value value : wrt) sources.push_back(value.id());
  const std::vector<bool> depends = depends_on(graph, sources, *options.rules);

  Arrived arrived(graph.size());
  for (size_t i = 0; i < of.size(); ++i) {
    if (depends[of[i].id()]) arrived.add(of[i].id(), 0, seeds[i]);
  }
  for (Id id = static_cast<Id>(depends.size()); id-- > 0;) {
    if (!depends[id] || !arrived.any(id)) continue;
    const Rule rule = (*options.rules)[static_cast<size_t>(graph[id].op)];
    if (!rule) continue;
    const Graph::Scope layer(graph, graph[id].scope);
    const Reverse r = seen_from_behind(graph, id, arrived.all(id), depends, options);
    const Cotangents cotangents = rule(r);
    const auto slot = r.node.op == Op::get ? static_cast<size_t>(r.as<GetAttr>().index) : 0;
    for (size_t i = 0; i < r.in.size(); ++i) {
      if (r.needs[i] && cotangents[i]) arrived.add(r.in[i].id(), slot, cotangents[i]);
    }
  }
  for (size_t i = 0; i < wrt.size(); ++i) result[i] = arrived.of(wrt[i]);
  return result;
}

}  // namespace ad

namespace {

void check(std::span<const Value> of, std::span<const Value> seeds, std::span<const Value> wrt) {
  if (of.size() != seeds.size()) {
    throw ArgumentError(cat("gradients: ", of.size(), " values were given ", seeds.size(),
                            " cotangents; each value needs one"));
  }
  if (of.empty()) throw ArgumentError("gradients: there is nothing to differentiate");
  const Graph* const graph = of[0] ? &of[0].graph() : nullptr;
  const auto same_graph = [&](Value value) {
    if (!value || &value.graph() != graph) {
      throw GraphError("gradients: a value is empty or belongs to another graph than the loss");
    }
  };
  for (size_t i = 0; i < of.size(); ++i) {
    same_graph(of[i]);
    same_graph(seeds[i]);
    if (!is_float(of[i].type())) {
      throw TypeError(cat("gradients: the loss is ", of[i].type(),
                          "; only f32 and f64 values have "
                          "gradients"));
    }
    if (of[i].shape() != seeds[i].shape() || of[i].type() != seeds[i].type()) {
      throw ShapeError(cat("gradients: the value is ", of[i].type(), of[i].shape(),
                           " but its cotangent is ", seeds[i].type(), seeds[i].shape(),
                           "; they must be alike"));
    }
  }
  for (const Value value : wrt) {
    same_graph(value);
    if (!is_float(value.type())) {
      throw TypeError(cat("gradients: no gradient exists with respect to a value of type ",
                          value.type(), "; only f32 and f64 values have gradients"));
    }
  }
}

}  // namespace

std::vector<Value> ad::gradients(std::span<const Value> of, std::span<const Value> seeds,
                                 std::span<const Value> wrt, const Options& options) {
  check(of, seeds, wrt);
  std::vector<Value> result = pull_back(of, seeds, wrt, options);
  for (size_t i = 0; i < wrt.size(); ++i) {
    if (!result[i]) result[i] = of[0].graph().constant(0, wrt[i].shape(), wrt[i].type());
  }
  return result;
}

std::vector<Value> gradients(std::span<const Value> of, std::span<const Value> seeds,
                             std::span<const Value> wrt) {
  return ad::gradients(of, seeds, wrt, {});
}

std::vector<Value> gradients(Value loss, std::span<const Value> wrt, Value seed) {
  if (loss && !seed) {
    if (loss.rank() != 0) {
      throw ShapeError(cat("gradients: the loss is ", loss.type(), loss.shape(),
                           ", not a scalar; take its mean or sum, or give the cotangent to start "
                           "from"));
    }
    seed = loss.graph().constant(1, loss.type());
  }
  return gradients(std::span(&loss, 1), std::span(&seed, 1), wrt);
}

}  // namespace soma
