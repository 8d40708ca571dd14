// verify(): the rules every graph obeys, as a list. Passes, model files and tests ask it.
#include <algorithm>
#include <set>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/ir/infer.h"
#include "src/ir/message.h"

namespace soma {

namespace {

[[noreturn]] void fail(const Graph& graph, const Node& node, std::string_view found) {
  throw GraphError(cat(prefix(graph, node.scope, node.op), found));
}

bool is_bundle(const Node& node) { return node.op == Op::call || node.op == Op::scan; }

const std::shared_ptr<const Graph>* body_of(const Node& node) {
  if (const auto* call = std::get_if<CallAttr>(&node.attr)) return &call->body;
  if (const auto* scan = std::get_if<ScanAttr>(&node.attr)) return &scan->body;
  return nullptr;
}

// Each rule throws GraphError when the graph breaks it; later rules may rely on earlier ones.

void known_ops_and_scopes(const Graph& graph, int) {
  for (const Node& node : graph.nodes()) {
    if (static_cast<size_t>(node.op) >= op_table().size()) {
      throw GraphError(cat("a node has the unknown op ", static_cast<int>(node.op)));
    }
    if (node.scope >= graph.scope_count()) {
      throw GraphError(
          cat("a node of op ", info(node.op).name, " belongs to the unknown scope ", node.scope));
    }
  }
}

void operands_come_first(const Graph& graph, int) {
  for (Id id = 0; id < graph.size(); ++id) {
    for (const Id in : graph[id].in) {
      if (in >= id) {
        fail(graph, graph[id],
             cat("node %", id, " uses %", in, "; operands have smaller numbers than their users"));
      }
    }
  }
}

void bodies_are_graphs(const Graph& graph, int depth);

// infer() checks the number and types of operands, the kind of the attribute, and that only `get`
// reads calls and scans; what it works out must be what the node says.
void shapes_and_types_follow(const Graph& graph, int) {
  for (const Node& node : graph.nodes()) {
    Node again = node;
    try {
      infer(graph, again);
    } catch (const Error& e) {
      fail(graph, node, e.what());
    }
    if (again.shape != node.shape || again.type != node.type) {
      fail(graph, node,
           cat("says ", node.type, node.shape, " but works out to ", again.type, again.shape));
    }
  }
}

void inputs_are_listed(const Graph& graph, int) {
  std::vector<Id> found;
  for (Id id = 0; id < graph.size(); ++id) {
    if (graph[id].op == Op::input) found.push_back(id);
  }
  if (!std::ranges::equal(found, graph.inputs())) {
    throw GraphError("the list of inputs is not the list of input nodes in order");
  }
}

void names_differ(const Graph& graph, int) {
  const auto check = [](std::string_view what, std::set<std::string>& seen,
                        const std::string& name) {
    if (!seen.insert(name).second) {
      throw GraphError(cat("two ", what, " are named \"", name, "\""));
    }
  };
  std::set<std::string> inputs, outputs;
  for (const Id id : graph.inputs()) check("inputs", inputs, graph[id].as<InputAttr>().name);
  for (const auto& output : graph.outputs()) check("outputs", outputs, output.name);
}

void outputs_are_values(const Graph& graph, int) {
  for (const auto& [name, id] : graph.outputs()) {
    if (id >= graph.size() || is_bundle(graph[id])) {
      throw GraphError(cat("the output \"", name, "\" is %", id, ", which is not a value"));
    }
  }
}

void updates_fit_their_states(const Graph& graph, int) {
  std::set<Id> seen;
  for (const auto& [state, value] : graph.updates()) {
    if (state >= graph.size() || value >= graph.size() || is_bundle(graph[value])) {
      throw GraphError(cat("the update of %", state, " by %", value, " does not name values"));
    }
    const Node &target = graph[state], &source = graph[value];
    if (target.op != Op::input || target.as<InputAttr>().kind == InputKind::data) {
      throw GraphError(cat("%", state, " is updated but is neither a parameter nor a state"));
    }
    if (target.shape != source.shape || target.type != source.type) {
      throw GraphError(cat("\"", target.as<InputAttr>().name, "\" is ", target.type, target.shape,
                           " but its update is ", source.type, source.shape));
    }
    if (!seen.insert(state).second) {
      throw GraphError(cat("\"", target.as<InputAttr>().name, "\" is updated twice"));
    }
  }
}

using Rule = void (*)(const Graph&, int depth);
constexpr Rule rules[] = {known_ops_and_scopes,    operands_come_first,     bodies_are_graphs,
                          shapes_and_types_follow, inputs_are_listed,       names_differ,
                          outputs_are_values,      updates_fit_their_states};

void check(const Graph& graph, int depth) {
  for (const Rule rule : rules) rule(graph, depth);
}

void bodies_are_graphs(const Graph& graph, int depth) {
  for (const Node& node : graph.nodes()) {
    const auto* body = body_of(node);
    if (!body) continue;
    if (!*body) fail(graph, node, "has no body");
    if (depth == max_nesting) {
      fail(graph, node, cat("bodies are nested more than ", max_nesting, " deep"));
    }
    try {
      check(**body, depth + 1);
    } catch (const GraphError& e) {
      fail(graph, node, cat("in its body: ", e.what()));
    }
  }
}

}  // namespace

void verify(const Graph& graph) { check(graph, 0); }

}  // namespace soma
