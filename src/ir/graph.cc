// Graph: appending nodes with hash-consing, scopes, outputs, splicing.
#include "soma/graph.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/ir/infer.h"
#include "src/ir/message.h"

namespace soma {

namespace {

constexpr uint8_t commutative = OpInfo::commutative, cheap = OpInfo::cheap, smooth = OpInfo::smooth;
constexpr OpInfo table[] = {
#define SOMA_OP(name, arity, kind, flags, attr, meaning) \
  {#name, arity, OpClass::kind, flags, meaning},
#include "soma/ops.def"
#undef SOMA_OP
};
static_assert(std::size(table) == 45, "44 primitives and get");

// ---- hashing and equality of attributes, from their field lists

size_t mix(size_t seed, size_t value) {
  return seed ^ (value + 0x9e3779b97f4a7c15ULL + (seed << 6) + (seed >> 2));
}

size_t hash_field(const Dims& dims) {
  size_t seed = static_cast<size_t>(dims.size());
  for (const int64_t d : dims) seed = mix(seed, static_cast<size_t>(d));
  return seed;
}
size_t hash_field(const std::string& text) { return std::hash<std::string>{}(text); }
size_t hash_field(const std::shared_ptr<const Graph>& body) {
  return body ? body->fingerprint() : 0;
}
// Numbers are equal when their bits are: 0 and -0 differ. All NaNs are one.
uint64_t bits_of(double value) {
  if (std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
  return __builtin_bit_cast(uint64_t, value);
}
size_t hash_field(double value) { return std::hash<uint64_t>{}(bits_of(value)); }
template <class T>
size_t hash_field(const T& value) {
  return static_cast<size_t>(value);
}

bool equal_field(const std::shared_ptr<const Graph>& a, const std::shared_ptr<const Graph>& b) {
  return a == b || (a && b && *a == *b);
}
bool equal_field(double a, double b) { return bits_of(a) == bits_of(b); }
template <class T>
bool equal_field(const T& a, const T& b) {
  return a == b;
}

size_t hash_attr(const Attr& attr) {
  size_t seed = attr.index();
  std::visit(
      [&](const auto& a) {
        a.fields(a, [&](const char*, const auto& field) { seed = mix(seed, hash_field(field)); });
      },
      attr);
  return seed;
}

template <class A>
bool equal_fields(const A& a, const A& b) {
  // Walk a's fields and b's in step: the n-th field of each has the same type.
  bool equal = true;
  int n = 0;
  A::fields(a, [&](const char*, const auto& x) {
    int m = 0;
    A::fields(b, [&](const char*, const auto& y) {
      if (m++ == n) {
        if constexpr (std::is_same_v<decltype(x), decltype(y)>) equal = equal && equal_field(x, y);
      }
    });
    ++n;
  });
  return equal;
}

bool equal_attr(const Attr& a, const Attr& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&](const auto& x) { return equal_fields(x, std::get<std::decay_t<decltype(x)>>(b)); }, a);
}

bool equal_node(const Node& a, const Node& b) {
  return a.op == b.op && a.in == b.in && equal_attr(a.attr, b.attr);
}

size_t hash_node(Op op, const std::vector<Id>& in, const Attr& attr) {
  size_t seed = mix(static_cast<size_t>(op), hash_attr(attr));
  for (const Id id : in) seed = mix(seed, id);
  return seed;
}

}  // namespace

std::span<const OpInfo> op_table() { return table; }

const Node& Value::node() const { return (*graph_)[id_]; }

// ---- messages

std::string prefix(const Graph& graph, uint32_t scope, Op op) {
  const auto& info_ = graph.scope_at(scope);
  return info_.name.empty() ? cat(info(op).name, ": ")
                            : cat("layer \"", info_.name, "\": ", info(op).name, ": ");
}

std::string suffix(const Graph& graph, uint32_t scope, Where where) {
  const Where scope_where = graph.scope_at(scope).where;
  return suffix(scope_where.line ? scope_where : where);
}

std::string suffix(Where where) {
  if (!where.line) return "";
  const std::string_view file = where.file;
  return cat(" (", file.substr(file.find_last_of('/') + 1), ":", where.line, ")");
}

// ---- building

Graph::Graph() : scopes_{{"", {}}} {}

Value Graph::add(Op op, std::span<const Value> in, Attr attr, Where where) {
  Node node{op, f32, {}, {}, std::move(attr), scope_};
  for (const Value value : in) {
    if (!value || &value.graph() != this) {
      throw GraphError(cat(prefix(*this, scope_, op), "an operand ",
                           value ? "belongs to another graph" : "is an empty value",
                           "; build all operands in the graph that uses them",
                           suffix(*this, scope_, where)));
    }
    node.in.push_back(value.id());
  }
  if (info(op).is(OpInfo::commutative) && node.in.size() == 2 && node.in[0] > node.in[1]) {
    std::swap(node.in[0], node.in[1]);
  }
  const size_t hash = hash_node(op, node.in, node.attr);
  if (op != Op::input) {
    const auto [begin, end] = known_.equal_range(hash);
    for (auto it = begin; it != end; ++it) {
      if (equal_node(nodes_[it->second], node)) return {this, it->second};
    }
  }
  try {
    infer(*this, node);
  } catch (const ShapeError& e) {
    throw ShapeError(cat(prefix(*this, scope_, op), e.what(), suffix(*this, scope_, where)));
  } catch (const TypeError& e) {
    throw TypeError(cat(prefix(*this, scope_, op), e.what(), suffix(*this, scope_, where)));
  } catch (const GraphError& e) {
    throw GraphError(cat(prefix(*this, scope_, op), e.what(), suffix(*this, scope_, where)));
  }
  const Id id = static_cast<Id>(nodes_.size());
  nodes_.push_back(std::move(node));
  known_.emplace(hash, id);
  return {this, id};
}

std::string Graph::full_name(std::string_view name) const {
  const auto& scope = scopes_[scope_].name;
  return scope.empty() ? std::string(name) : cat(scope, "/", name);
}

Value Graph::leaf(InputAttr attr) {
  for (const Id id : inputs_) {
    const auto& known = nodes_[id].as<InputAttr>();
    if (known.name != attr.name) continue;
    // A parameter or state asked for again is the same one: layers that share their weights.
    const bool same = known.kind == attr.kind && known.shape == attr.shape &&
                      known.type == attr.type && known.init == attr.init;
    if (same && attr.kind != InputKind::data) return {this, id};
    throw GraphError(cat("the graph has an input named \"", attr.name, "\" already",
                         known.shape == attr.shape ? "" : cat(", of shape ", known.shape),
                         "; give each layer and input its own name"));
  }
  const Value value = add(Op::input, {}, std::move(attr));
  inputs_.push_back(value.id());
  return value;
}

Value Graph::input(std::string name, Shape shape, DType type) {
  return leaf({std::move(name), InputKind::data, shape, type, ""});
}
Value Graph::parameter(std::string_view name, Shape shape, std::string init, DType type) {
  return leaf({full_name(name), InputKind::parameter, shape, type, std::move(init)});
}
Value Graph::state(std::string_view name, Shape shape, std::string init, DType type) {
  return leaf({full_name(name), InputKind::state, shape, type, std::move(init)});
}

Value Graph::constant(double value, DType type) {
  return add(Op::constant, {}, ConstantAttr{value, type});
}
Value Graph::constant(double value, Shape shape, DType type) {
  return broadcast(constant(value, type), shape, {});
}

void Graph::output(std::string name, Value value) {
  for (const auto& [existing, id] : outputs_) {
    if (existing == name) {
      throw GraphError(cat("the graph has an output named \"", name,
                           "\" already; outputs need different names"));
    }
  }
  outputs_.push_back({std::move(name), value.id()});
}

void Graph::update(Value state, Value value) {
  const Node& target = state.node();
  if (target.op != Op::input || target.as<InputAttr>().kind == InputKind::data) {
    throw GraphError("only a parameter or a state can be updated");
  }
  const auto& name = target.as<InputAttr>().name;
  if (target.shape != value.shape() || target.type != value.type()) {
    throw ShapeError(cat("\"", name, "\" is ", target.type, target.shape, ", but its update is ",
                         value.type(), value.shape(),
                         "; an update has the type and shape of its state"));
  }
  for (const auto& [id, existing] : updates_) {
    if (id == state.id()) {
      throw GraphError(cat("\"", name, "\" is updated twice; a state has one update"));
    }
  }
  updates_.push_back({state.id(), value.id()});
}

Graph::Scope::Scope(Graph& graph, std::string_view name, Where where)
    : graph_(graph), outer_(graph.scope_) {
  const std::string full = graph.full_name(name);
  graph.scopes_.push_back({full, where});
  graph.scope_ = static_cast<uint32_t>(graph.scopes_.size() - 1);
}
Graph::Scope::Scope(Graph& graph, const ScopeInfo& like) : graph_(graph), outer_(graph.scope_) {
  graph.scope_ = graph.scope_like(like);
}
Graph::Scope::~Scope() { graph_.scope_ = outer_; }

uint32_t Graph::scope_like(const ScopeInfo& scope) {
  const auto same = [&](const ScopeInfo& other) {
    return other.name == scope.name && other.where.line == scope.where.line &&
           other.where.file == scope.where.file;
  };
  const auto index = std::ranges::find_if(scopes_, same) - scopes_.begin();
  if (static_cast<size_t>(index) == scopes_.size()) scopes_.push_back(scope);
  return static_cast<uint32_t>(index);
}

// ---- reading

Value Graph::find_input(std::string_view name) {
  std::vector<std::string> names;
  for (const Id id : inputs_) {
    const auto& existing = nodes_[id].as<InputAttr>().name;
    if (existing == name) return {this, id};
    names.push_back(existing);
  }
  throw GraphError(cat("the graph has no input named \"", name, "\"", did_you_mean(name, names)));
}

Id Graph::output_id(std::string_view name) const {
  std::vector<std::string> names;
  for (const auto& [existing, id] : outputs_) {
    if (existing == name) return id;
    names.push_back(existing);
  }
  throw GraphError(cat("the graph has no output named \"", name, "\"", did_you_mean(name, names)));
}

size_t Graph::fingerprint() const {
  size_t seed = nodes_.size();
  for (const Node& node : nodes_) seed = mix(seed, hash_node(node.op, node.in, node.attr));
  for (const auto& [name, id] : outputs_) seed = mix(mix(seed, hash_field(name)), id);
  for (const auto& [state, value] : updates_) seed = mix(mix(seed, state), value);
  return seed;
}

bool operator==(const Graph& a, const Graph& b) {
  const auto same_output = [](const Graph::Named& x, const Graph::Named& y) {
    return x.name == y.name && x.id == y.id;
  };
  const auto same_update = [](const Graph::Update& x, const Graph::Update& y) {
    return x.state == y.state && x.value == y.value;
  };
  return a.inputs_ == b.inputs_ && std::ranges::equal(a.nodes_, b.nodes_, equal_node) &&
         std::ranges::equal(a.outputs_, b.outputs_, same_output) &&
         std::ranges::equal(a.updates_, b.updates_, same_update);
}

// ---- splicing

std::vector<Value> Graph::splice(const Graph& body, std::span<const Value> in) {
  if (in.size() != body.inputs().size()) {
    throw GraphError(cat("a body with ", body.inputs().size(), " inputs was given ", in.size()));
  }
  std::unordered_map<Id, Value> replaced;
  for (size_t i = 0; i < in.size(); ++i) replaced[body.inputs()[i]] = in[i];
  std::vector<Id> wanted;
  for (const auto& output : body.outputs()) wanted.push_back(output.id);
  return splice(body, wanted, replaced);
}

std::vector<Value> Graph::splice(const Graph& body, std::span<const Id> wanted,
                                 std::unordered_map<Id, Value>& replaced) {
  // Mark backwards what is needed, then copy forwards: ids are in topological order.
  std::vector<bool> needed(body.size(), false);
  for (const Id id : wanted) needed[id] = true;
  for (size_t i = body.size(); i-- > 0;) {
    const Id id = static_cast<Id>(i);
    if (!needed[i] || replaced.count(id)) continue;
    for (const Id in : body[id].in) needed[in] = true;
  }
  std::vector<Value> in;
  const uint32_t outer = scope_;
  for (Id id = 0; id < body.size(); ++id) {
    if (!needed[id] || replaced.count(id)) continue;
    const Node& node = body[id];
    scope_ = node.scope == 0 ? outer : scope_like(body.scope_of(node));  // layers keep their names
    in.clear();
    for (const Id operand : node.in) in.push_back(replaced.at(operand));
    replaced[id] = node.op == Op::input ? leaf(node.as<InputAttr>()) : add(node.op, in, node.attr);
  }
  scope_ = outer;
  std::vector<Value> result;
  for (const Id id : wanted) result.push_back(replaced.at(id));
  return result;
}

}  // namespace soma
