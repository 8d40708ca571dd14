// What a gradient rule sees, and the table of all rules: the seam between the reverse loop
// (gradient.cc), the rules (rules.cc) and the rules of the two ops with bodies (call.cc, scan.cc).
#pragma once

#include <array>
#include <span>
#include <vector>

#include "soma/graph.h"

namespace soma::ad {

inline constexpr size_t op_count = 0
#define SOMA_OP(...) +1
#include "soma/ops.def"
#undef SOMA_OP
    ;

struct Reverse;
/// One cotangent per input; an empty value where none flows.
using Cotangents = std::vector<Value>;
/// Vector-Jacobian product of one op, in the builder's vocabulary. A null rule is the explicit
/// "none": nothing flows back through the op.
using Rule = Cotangents (*)(const Reverse&);
using RuleTable = std::array<Rule, op_count>;

/// The rules, indexed by Op.
const RuleTable& rule_table();

/// How to differentiate; the defaults are what gradients() does. Tests plant wrong rules and
/// compare with and without hoisting.
struct Options {
  const RuleTable* rules = &rule_table();
  /// Sums over time of weight gradients leave a scan's loop as one contraction.
  bool hoist = true;
};

/// One node seen from behind. Holds copies: a rule appends to the graph, which moves its nodes.
struct Reverse {
  Node node;
  Value y;                ///< The node.
  Value g;                ///< The cotangent of its (first) result.
  std::vector<Value> gs;  ///< Of every result of a call or scan; empty where none arrived.
  std::vector<Value> in;  ///< The inputs; the first three are also a, b and c.
  Value a, b, c;
  std::vector<bool> needs;  ///< Whether input i wants a cotangent.
  const Options& options;

  template <class A>
  const A& as() const {
    return node.as<A>();
  }
  Graph& graph() const { return y.graph(); }
};

/// As soma::gradients, with options.
std::vector<Value> gradients(std::span<const Value> of, std::span<const Value> seeds,
                             std::span<const Value> wrt, const Options& options);

/// As gradients, but an empty value where no cotangent arrives, and no checks.
std::vector<Value> pull_back(std::span<const Value> of, std::span<const Value> seeds,
                             std::span<const Value> wrt, const Options& options);

/// Which nodes of the graph depend on `wrt` in a way a gradient can follow.
std::vector<bool> depends_on(const Graph& graph, std::span<const Id> wrt, const RuleTable& rules);

Cotangents call_rule(const Reverse& r);
Cotangents scan_rule(const Reverse& r);

}  // namespace soma::ad
