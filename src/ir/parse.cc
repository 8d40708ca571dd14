// parse(): reads what print() writes, and nothing else. The text may come from anywhere: whatever
// is wrong with it becomes a GraphError that names line and column.
#include <algorithm>
#include <array>
#include <charconv>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/ir/infer.h"
#include "src/ir/names.h"
#include "src/ir/raw.h"

namespace soma {

namespace {

// ---- characters

/// A place in the text, and the small things that are read there.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  [[noreturn]] void fail(size_t at, std::string_view message) const {
    const std::string_view before = text_.substr(0, at);
    const auto line = 1 + std::ranges::count(before, '\n');
    const size_t line_start = before.find_last_of('\n') + 1;  // npos + 1 is 0
    throw GraphError(cat("line ", line, ", column ", at - line_start + 1, ": ", message));
  }
  [[noreturn]] void fail(std::string_view message) const { fail(at_, message); }

  size_t at() const { return at_; }
  bool at_end() const { return at_ == text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  void skip_spaces() {
    while (peek() == ' ') ++at_;
  }
  void skip_lines() {
    while (peek() == ' ' || peek() == '\n') ++at_;
  }
  /// Takes `token` if it comes next, after spaces.
  bool take(std::string_view token) {
    skip_spaces();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  void expect(std::string_view token) {
    if (!take(token)) fail(cat("expected \"", token, "\", found ", here()));
  }
  void expect_line_end() {
    skip_spaces();
    if (at_end()) return;
    if (peek() != '\n') fail(cat("expected the end of the line, found ", here()));
    ++at_;
  }
  /// A name of letters, digits and underscores; may be empty.
  std::string_view word() {
    skip_spaces();
    const size_t begin = at_;
    const auto in_word = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    while (in_word(peek())) ++at_;
    return text_.substr(begin, at_ - begin);
  }
  bool next_word_is(std::string_view wanted) {
    const size_t begin = at_;
    const bool same = word() == wanted;
    at_ = begin;
    return same;
  }
  template <class T>
  T number_as(std::string_view what) {
    skip_spaces();
    T value{};
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (error == std::errc::result_out_of_range) fail(cat(what, " is out of range"));
    if (error != std::errc{}) fail(cat("expected ", what, ", found ", here()));
    at_ += static_cast<size_t>(end - begin);
    return value;
  }
  /// Up to (not including) `end`; the inverse of what print() escapes. A line end never belongs to
  /// it.
  std::string escaped_until(char end) {
    std::string result;
    while (!at_end() && peek() != end && peek() != '\n') {
      const char c = text_[at_++];
      result += c == '\\' ? escape() : c;
    }
    return result;
  }
  /// What comes next, for a message.
  std::string here() const {
    if (at_end()) return "the end of the text";
    if (peek() == '\n') return "the end of the line";
    std::string shown;
    for (const char c : text_.substr(at_, 12)) {
      if (c == '\n') break;
      shown += c >= ' ' && c < 0x7f ? c : '?';
    }
    return cat("\"", shown, "\"");
  }

 private:
  char escape() {
    if (at_end()) fail("the text ends inside an escape");
    const char c = text_[at_++];
    if (c == '"' || c == '\\') return c;
    if (c == 'n') return '\n';
    if (c == 'x' && at_ + 2 <= text_.size()) {
      unsigned value = 0;
      const char* begin = text_.data() + at_;
      const auto [end, error] = std::from_chars(begin, begin + 2, value, 16);
      if (error == std::errc{} && end == begin + 2) {
        at_ += 2;
        return static_cast<char>(value);
      }
    }
    fail(at_ - 2, "unknown escape; the escapes are \\\", \\\\, \\n and \\xHH");
  }

  std::string_view text_;
  size_t at_ = 0;
};

// ---- graphs

class Parser {
 public:
  explicit Parser(std::string_view text) : read_(text) {}

  Graph whole() {
    Graph graph = lines();
    if (!read_.at_end()) read_.fail(cat("expected a node, found ", read_.here()));
    return graph;
  }

 private:
  /// Nodes, then outputs, then updates; stops before anything else.
  Graph lines() {
    Graph graph;
    scopes_.emplace_back(1, "");
    for (read_.skip_lines(); read_.peek() == '%'; read_.skip_lines()) node(graph);
    for (; read_.next_word_is("output"); read_.skip_lines()) output(graph);
    for (; read_.next_word_is("update"); read_.skip_lines()) update(graph);
    scopes_.pop_back();
    return graph;
  }

  void node(Graph& graph) {
    const size_t start = read_.at();
    read_.expect("%");
    if (read_.number_as<uint32_t>("a node number") != graph.size()) {
      read_.fail(start,
                 cat("expected node %", graph.size(), "; nodes are numbered from 0 in order"));
    }
    read_.expect("=");
    const Op op = op_named();
    read_.expect("(");
    std::vector<Value> in;
    if (read_.take("%")) in.push_back(value(graph));
    while (!in.empty() && read_.take(",")) in.push_back(reference(graph));
    Attr attr = attribute(op);
    read_.expect(")");
    const Id id = append(graph, start, op, in, std::move(attr));
    result_type(graph[id]);
    scope(graph, id);
    read_.expect_line_end();
  }

  Id append(Graph& graph, size_t start, Op op, std::span<const Value> in, Attr attr) {
    const size_t expected = graph.size();
    Value added;
    try {
      added = op == Op::input ? RawGraph{graph}.leaf(std::get<InputAttr>(std::move(attr)))
                              : graph.add(op, in, std::move(attr));
    } catch (const Error& e) {
      read_.fail(start, e.what());
    }
    if (added.id() != expected) {
      read_.fail(start, cat("repeats node %", added.id(), "; equal nodes are written once"));
    }
    return added.id();
  }

  void output(Graph& graph) {
    const size_t start = read_.at();
    read_.expect("output");
    std::string name;
    parse_value(name);
    read_.expect("=");
    const Value result = reference(graph);
    attempt(start, [&] { graph.output(std::move(name), result); });
    read_.expect_line_end();
  }

  void update(Graph& graph) {
    const size_t start = read_.at();
    read_.expect("update");
    const Value state = reference(graph);
    read_.expect("=");
    const Value result = reference(graph);
    attempt(start, [&] { graph.update(state, result); });
    read_.expect_line_end();
  }

  template <class F>
  void attempt(size_t start, F&& action) {
    try {
      action();
    } catch (const Error& e) {
      read_.fail(start, e.what());
    }
  }

  Value reference(Graph& graph) {
    read_.expect("%");
    return value(graph);
  }
  Value value(Graph& graph) {
    const size_t start = read_.at();
    const auto id = read_.number_as<uint32_t>("a node number");
    if (id >= graph.size()) read_.fail(start, cat("node %", id, " does not exist yet"));
    return graph.value(id);
  }

  Op op_named() {
    read_.skip_spaces();
    const size_t start = read_.at();
    const std::string_view name = read_.word();
    std::vector<std::string> names;
    for (const OpInfo& row : op_table()) {
      if (row.name == name) return static_cast<Op>(names.size());
      names.emplace_back(row.name);
    }
    read_.fail(start, cat("unknown op \"", name, "\"", did_you_mean(name, names)));
  }

  void result_type(const Node& node) {
    if (!shows_type(node)) return;
    read_.expect(":");
    read_.skip_spaces();
    const size_t start = read_.at();
    DType type{};
    Shape shape;
    parse_value(type);
    parse_value(shape);
    if (type != node.type || shape != node.shape) {
      read_.fail(start,
                 cat("says ", type, shape, " but the node works out to ", node.type, node.shape));
    }
  }

  void scope(Graph& graph, Id id) {
    if (!read_.take("# ")) return;
    const size_t start = read_.at();
    const std::string name = read_.escaped_until('\n');
    if (name.empty()) read_.fail(start, "expected the name of a layer after #");
    auto& known = scopes_.back();
    const auto at = static_cast<uint32_t>(std::ranges::find(known, name) - known.begin());
    const RawGraph raw{graph};
    if (at == known.size()) {
      known.push_back(name);
      raw.scopes().push_back({name, {}});
    }
    raw.nodes()[id].scope = at;
  }

  // ---- attributes, by their field lists

  Attr attribute(Op op) {
    switch (op) {
#define SOMA_OP(name, arity, kind, flags, attr, meaning) \
  case Op::name:                                         \
    return fields(attr{});
#include "soma/ops.def"
#undef SOMA_OP
    }
    __builtin_unreachable();
  }

  template <class A>
  Attr fields(A attr) {
    std::vector<std::string> names;
    A::fields(attr, [&](const char* name, auto& field) {
      using Field = std::decay_t<decltype(field)>;
      names.emplace_back(name);
      if (read_.next_word_is(name)) {
        read_.expect(name);
        read_.expect("=");
        parse_value(field);
      } else if (!may_be_left_out<Field>) {
        read_.fail(cat("expected the field ", name, ", found ", read_.here()));
      }
    });
    read_.skip_spaces();
    const size_t start = read_.at();
    if (const auto extra = read_.word(); !extra.empty()) {
      read_.fail(start,
                 cat("the field \"", extra, "\" does not belong here; the fields are, in order: ",
                     names.empty() ? "none" : join(names, ", ")));
    }
    return attr;
  }

  /// One of a list of words; returns its index.
  template <class List>
  size_t one_of(const List& words) {
    read_.skip_spaces();
    const size_t start = read_.at();
    const std::string_view found = read_.word();
    const auto at = std::ranges::find(words, found);
    if (at == words.end()) {
      read_.fail(start, cat("expected one of ", join(words, ", "), ", found \"", found, "\""));
    }
    return static_cast<size_t>(at - words.begin());
  }

  void parse_value(bool& field) {
    field = one_of(std::array<std::string_view, 2>{"false", "true"}) == 1;
  }
  void parse_value(int64_t& field) { field = read_.number_as<int64_t>("a whole number"); }
  void parse_value(double& field) { field = read_.number_as<double>("a number"); }
  void parse_value(DType& field) {
    read_.skip_spaces();
    attempt(read_.at(), [&] { field = dtype_named(read_.word()); });
  }
  template <class E>
  requires std::is_enum_v<E>
  void parse_value(E& field) { field = static_cast<E>(one_of(Names<E>::list)); }
  void parse_value(Dims& field) {
    field = {};
    read_.expect("[");
    if (read_.take("]")) return;
    do {
      if (field.size() == Dims::max_size) read_.fail("a list has at most eight numbers");
      field.push_back(read_.number_as<int64_t>("a whole number"));
    } while (read_.take(","));
    read_.expect("]");
  }
  void parse_value(std::string& field) {
    read_.expect("\"");
    field = read_.escaped_until('"');
    read_.expect("\"");
  }
  void parse_value(std::shared_ptr<const Graph>& body) {
    read_.expect("{");
    if (scopes_.size() > max_nesting) {
      read_.fail(cat("bodies are nested more than ", max_nesting, " deep"));
    }
    body = std::make_shared<const Graph>(lines());
    read_.expect("}");
  }

  Reader read_;
  std::vector<std::vector<std::string>> scopes_;  ///< Of each open graph: the names seen so far.
};

}  // namespace

Graph parse(std::string_view text) {
  Graph graph = Parser(text).whole();
  verify(graph);
  return graph;
}

}  // namespace soma
