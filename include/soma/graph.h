// The computational graph: every network, loss, gradient and optimizer step is one of these.
//
// A Graph is a flat list of nodes in topological order: inputs have smaller ids than their users.
// It is pure (nothing is ever assigned), statically shaped and typed, and equal nodes are built
// once. A program is a graph with named outputs and updates {state := value}. A Value is a handle
// to one node; the functions below are the only vocabulary that layers, losses, optimizers and
// gradient rules have. Not thread-safe while being built; immutable graphs may be shared.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "soma/tensor.h"

namespace soma {

class Graph;
using Id = uint32_t;

// ---------------------------------------------------------------- ops and their attributes

enum class Op : uint8_t {
#define SOMA_OP(name, ...) name,
#include "soma/ops.def"
#undef SOMA_OP
};

enum class OpClass : uint8_t { leaf, map, move, reduce, contract, opaque, control };

/// One row of the registry.
struct OpInfo {
  enum Flags : uint8_t { commutative = 1, cheap = 2, smooth = 4 };
  std::string_view name;
  int arity;
  OpClass kind;
  uint8_t flags;
  std::string_view meaning;
  bool is(Flags flag) const { return (flags & flag) != 0; }
};
/// The registry, indexed by Op.
std::span<const OpInfo> op_table();
inline const OpInfo& info(Op op) { return op_table()[static_cast<size_t>(op)]; }

/// What feeds an input: data changes from run to run, parameters are trained, state is what a
/// program carries from one run to the next (optimizer moments, running statistics, counters).
enum class InputKind : uint8_t { data, parameter, state };
enum class Reduction : uint8_t { sum, max };
/// The three roles of one trilinear form: y = conv(x, w); dx = conv(dy, w); dw = conv(x, dy).
enum class ConvRole : uint8_t { y, dx, dw };

// Every attribute lists its fields once; printing, parsing, equality and hashing follow from that.
#define SOMA_FIELDS(...)                                                    \
  template <class Self, class F>                                            \
  static void fields([[maybe_unused]] Self& self, [[maybe_unused]] F&& f) { \
    __VA_ARGS__                                                             \
  }

struct NoAttr {
  SOMA_FIELDS()
};
struct InputAttr {
  std::string name;
  InputKind kind = InputKind::data;
  Shape shape;
  DType type = f32;
  std::string init;  ///< How a parameter or state starts, for example "glorot_uniform" or "0".
  SOMA_FIELDS(f("name", self.name); f("kind", self.kind); f("shape", self.shape);
              f("type", self.type); f("init", self.init);)
};
struct ConstantAttr {
  double value = 0;
  DType type = f32;
  SOMA_FIELDS(f("value", self.value); f("type", self.type);)
};
struct IotaAttr {
  Shape shape;
  int64_t axis = 0;
  DType type = f32;
  SOMA_FIELDS(f("shape", self.shape); f("axis", self.axis); f("type", self.type);)
};
struct RngAttr {
  Shape shape;
  int64_t stream = 0;
  DType type = f32;
  SOMA_FIELDS(f("shape", self.shape); f("stream", self.stream); f("type", self.type);)
};
struct CastAttr {
  DType type = f32;
  SOMA_FIELDS(f("type", self.type);)
};
struct ReduceAttr {
  Reduction kind = Reduction::sum;
  Dims axes;
  SOMA_FIELDS(f("kind", self.kind); f("axes", self.axes);)
};
struct ArgmaxAttr {
  int64_t axis = 0;
  SOMA_FIELDS(f("axis", self.axis);)
};
struct BroadcastAttr {
  Shape shape;
  Dims dims;  ///< dims[i] is the output axis that input axis i becomes; increasing.
  SOMA_FIELDS(f("shape", self.shape); f("dims", self.dims);)
};
struct ReshapeAttr {
  Shape shape;
  SOMA_FIELDS(f("shape", self.shape);)
};
struct TransposeAttr {
  Dims perm;  ///< Output axis i is input axis perm[i].
  SOMA_FIELDS(f("perm", self.perm);)
};
struct SliceAttr {
  Dims lo, hi, step;  ///< Half open; steps are positive.
  SOMA_FIELDS(f("lo", self.lo); f("hi", self.hi); f("step", self.step);)
};
struct PadAttr {
  Dims lo, hi, interior;  ///< Elements added before, after and between.
  double value = 0;
  SOMA_FIELDS(f("lo", self.lo); f("hi", self.hi); f("interior", self.interior);
              f("value", self.value);)
};
struct ConcatAttr {
  int64_t axis = 0;
  SOMA_FIELDS(f("axis", self.axis);)
};
struct UnfoldAttr {
  int64_t axis = 0, size = 1, step = 1, dilation = 1;
  SOMA_FIELDS(f("axis", self.axis); f("size", self.size); f("step", self.step);
              f("dilation", self.dilation);)
};
struct FoldAttr {
  int64_t axis = 0, size = 1, step = 1, dilation = 1, extent = 0;
  SOMA_FIELDS(f("axis", self.axis); f("size", self.size); f("step", self.step);
              f("dilation", self.dilation); f("extent", self.extent);)
};
struct ScatterAttr {
  int64_t rows = 0;
  SOMA_FIELDS(f("rows", self.rows);)
};
struct DotAttr {
  bool transpose_a = false, transpose_b = false;
  SOMA_FIELDS(f("transpose_a", self.transpose_a); f("transpose_b", self.transpose_b);)
};
struct ConvAttr {
  ConvRole role = ConvRole::y;
  Dims stride, lo, hi, dilation;  ///< One entry per spatial axis; lo and hi are the padding.
  int64_t groups = 1;
  Dims size;  ///< Role dx: spatial extents of x. Role dw: of w. Role y: empty.
  SOMA_FIELDS(f("role", self.role); f("stride", self.stride); f("lo", self.lo); f("hi", self.hi);
              f("dilation", self.dilation); f("groups", self.groups); f("size", self.size);)
};
struct CallAttr {
  std::string name;
  std::shared_ptr<const Graph> body;
  SOMA_FIELDS(f("name", self.name); f("body", self.body);)
};
struct ScanAttr {
  std::shared_ptr<const Graph> body;
  int64_t consts = 0, carries = 0, length = 0;
  bool reverse = false;
  SOMA_FIELDS(f("body", self.body); f("consts", self.consts); f("carries", self.carries);
              f("length", self.length); f("reverse", self.reverse);)
};
struct GetAttr {
  int64_t index = 0;
  SOMA_FIELDS(f("index", self.index);)
};

using Attr = std::variant<NoAttr, InputAttr, ConstantAttr, IotaAttr, RngAttr, CastAttr, ReduceAttr,
                          ArgmaxAttr, BroadcastAttr, ReshapeAttr, TransposeAttr, SliceAttr, PadAttr,
                          ConcatAttr, UnfoldAttr, FoldAttr, ScatterAttr, DotAttr, ConvAttr,
                          CallAttr, ScanAttr, GetAttr>;

// ---------------------------------------------------------------- nodes, values, graphs

/// The place in the user's source that a message should name (clang 14 has no source_location).
struct Where {
  const char* file = "";
  int line = 0;
  static constexpr Where here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

struct Node {
  Op op;
  DType type;
  Shape shape;
  std::vector<Id> in;
  Attr attr;
  uint32_t scope = 0;  ///< Index into Graph::scopes(): the layer this node belongs to.

  template <class A>
  const A& as() const {
    return std::get<A>(attr);
  }
};

/// A handle to one node of one graph. Cheap to copy; valid as long as the graph lives.
class Value {
 public:
  Value() = default;
  Value(Graph* graph, Id id) : graph_(graph), id_(id) {}
  Graph& graph() const { return *graph_; }
  Id id() const { return id_; }
  const Node& node() const;
  const Shape& shape() const { return node().shape; }
  DType type() const { return node().type; }
  int rank() const { return shape().rank(); }
  int64_t extent(int axis) const { return shape()[axis < 0 ? axis + rank() : axis]; }
  /// False for a default-made value ("no gradient", "no bias").
  explicit operator bool() const { return graph_ != nullptr; }
  friend bool operator==(Value a, Value b) { return a.graph_ == b.graph_ && a.id_ == b.id_; }

 private:
  Graph* graph_ = nullptr;
  Id id_ = 0;
};

class Graph {
 public:
  Graph();
  Graph(const Graph&) = default;
  Graph(Graph&&) noexcept = default;
  Graph& operator=(const Graph&) = default;
  Graph& operator=(Graph&&) noexcept = default;

  // -- leaves
  /// Data that changes from run to run. Throws GraphError when the name is taken.
  Value input(std::string name, Shape shape, DType type = f32);
  /// A trained array; its name is prefixed with the open scopes ("hidden/weights"). `init` names
  /// the initializer (see soma/nn.h). Asked for again with the same shape, type and start, it is
  /// the same array: weights are shared. Otherwise throws GraphError when the name is taken.
  Value parameter(std::string_view name, Shape shape, std::string init = "0", DType type = f32);
  /// An array that a run reads and update() rewrites; `init` is an initializer name or a number.
  Value state(std::string_view name, Shape shape, std::string init = "0", DType type = f32);
  Value constant(double value, DType type = f32);
  Value constant(double value, Shape shape, DType type);

  // -- results
  /// Names a result of the program. Throws GraphError when the name is taken.
  void output(std::string name, Value value);
  /// After a run the state (or parameter) holds `value`. Shapes and types must be equal.
  void update(Value state, Value value);

  // -- scopes: the layer names that messages and parameter names carry
  struct ScopeInfo {
    std::string name;
    Where where;
  };
  class Scope {
   public:
    Scope(Graph& graph, std::string_view name, Where where = Where::here());
    /// Opens a scope of the graph again: gradients belong to the layer they are of.
    Scope(Graph& graph, uint32_t index) : graph_(graph), outer_(graph.scope_) {
      graph.scope_ = index;
    }
    /// Opens a scope like one of another graph, for copies of its nodes: the same layer.
    Scope(Graph& graph, const ScopeInfo& like);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Graph& graph_;
    uint32_t outer_;
  };

  // -- reading
  struct Named {
    std::string name;
    Id id;
  };
  struct Update {
    Id state;
    Id value;
  };
  size_t size() const { return nodes_.size(); }
  const Node& operator[](Id id) const { return nodes_[id]; }
  Value value(Id id) { return {this, id}; }
  std::span<const Node> nodes() const { return nodes_; }
  std::span<const Id> inputs() const { return inputs_; }
  std::span<const Named> outputs() const { return outputs_; }
  std::span<const Update> updates() const { return updates_; }
  const ScopeInfo& scope_of(const Node& node) const { return scopes_[node.scope]; }
  const ScopeInfo& scope_at(uint32_t index) const { return scopes_[index]; }
  size_t scope_count() const { return scopes_.size(); }
  /// The input with that full name; throws GraphError, naming the nearest, when there is none.
  Value find_input(std::string_view name);
  Id output_id(std::string_view name) const;
  /// A number that is equal for equal graphs: hash-consing compares bodies by it, then by ==.
  size_t fingerprint() const;
  friend bool operator==(const Graph& a, const Graph& b);

  // -- building
  /// Appends a node (or returns the equal one that exists): the one way into the graph. Checks the
  /// inputs and works out shape and type; throws ShapeError, TypeError or GraphError.
  Value add(Op op, std::span<const Value> in, Attr attr = NoAttr{}, Where where = {});
  Value add(Op op, std::initializer_list<Value> in, Attr attr = NoAttr{}, Where where = {}) {
    return add(op, std::span<const Value>(in.begin(), in.size()), std::move(attr), where);
  }
  /// Appends a copy of the nodes of `body` that its outputs and updates need, with its inputs
  /// replaced by `in` in order; returns its outputs. The way to call a body in the open.
  std::vector<Value> splice(const Graph& body, std::span<const Value> in);
  /// As splice, but for the given node ids instead of the outputs. `replaced[id]`, where true,
  /// stands for body node id; newly copied nodes are added to it.
  std::vector<Value> splice(const Graph& body, std::span<const Id> wanted,
                            std::unordered_map<Id, Value>& replaced);

 private:
  friend struct RawGraph;  // src/ir/raw.h: parse() and the tests of verify()
  std::string full_name(std::string_view name) const;
  Value leaf(InputAttr attr);
  uint32_t scope_like(const ScopeInfo& scope);

  std::vector<Node> nodes_;
  std::vector<Id> inputs_;
  std::vector<Named> outputs_;
  std::vector<Update> updates_;
  std::vector<ScopeInfo> scopes_;
  uint32_t scope_ = 0;
  std::unordered_multimap<size_t, Id> known_;
};

// ---------------------------------------------------------------- the builder: maps
// Element-wise; two operands follow numpy's broadcasting rules, a plain number becomes a constant.

#define SOMA_UNARY(name) Value name(Value x)
SOMA_UNARY(neg);
SOMA_UNARY(abs);
SOMA_UNARY(exp);
SOMA_UNARY(log);
SOMA_UNARY(expm1);
SOMA_UNARY(log1p);
SOMA_UNARY(sqrt);
SOMA_UNARY(tanh);
SOMA_UNARY(sigmoid);
SOMA_UNARY(erf);
SOMA_UNARY(sin);
SOMA_UNARY(cos);
/// The same value; no gradient flows through it.
SOMA_UNARY(stop);
/// x², 1/x, 1/√x.
SOMA_UNARY(square);
SOMA_UNARY(reciprocal);
SOMA_UNARY(rsqrt);
/// Not, for booleans.
SOMA_UNARY(logical_not);
#undef SOMA_UNARY

#define SOMA_BINARY(name)                              \
  Value name(Value a, Value b, Where = Where::here()); \
  Value name(Value a, double b);                       \
  Value name(double a, Value b)
SOMA_BINARY(add);
SOMA_BINARY(sub);
SOMA_BINARY(mul);
SOMA_BINARY(div);
SOMA_BINARY(pow);
/// The larger and the smaller; NaN wins; at a tie each operand gets half the gradient.
SOMA_BINARY(max);
SOMA_BINARY(min);
/// Comparisons give booleans; every comparison with NaN is false but ne.
SOMA_BINARY(lt);
SOMA_BINARY(le);
SOMA_BINARY(gt);
SOMA_BINARY(ge);
SOMA_BINARY(eq);
SOMA_BINARY(ne);
#undef SOMA_BINARY
Value logical_and(Value a, Value b);
Value logical_or(Value a, Value b);
/// condition ? a : b, element by element.
Value select(Value condition, Value a, Value b, Where = Where::here());
Value select(Value condition, Value a, double b);
Value select(Value condition, double a, Value b);
Value cast(Value x, DType type);

inline Value operator-(Value x) { return neg(x); }
#define SOMA_OPERATOR(symbol, name)                                              \
  inline Value operator symbol(Value a, Value b) { return name(a, b, Where{}); } \
  inline Value operator symbol(Value a, double b) { return name(a, b); }         \
  inline Value operator symbol(double a, Value b) { return name(a, b); }
SOMA_OPERATOR(+, add);
SOMA_OPERATOR(-, sub);
SOMA_OPERATOR(*, mul);
SOMA_OPERATOR(/, div);
SOMA_OPERATOR(<, lt);
SOMA_OPERATOR(<=, le);
SOMA_OPERATOR(>, gt);
SOMA_OPERATOR(>=, ge);
#undef SOMA_OPERATOR

// ---------------------------------------------------------------- the builder: reductions
// Negative axes count from the end. The reduced axes vanish; `keep` leaves them with extent 1.

enum class Keep : bool { no, yes };
Value reduce(Value x, Reduction kind, Dims axes, Keep keep = Keep::no, Where = Where::here());
Value sum(Value x, Dims axes, Keep keep = Keep::no);
Value mean(Value x, Dims axes, Keep keep = Keep::no);
Value max_over(Value x, Dims axes, Keep keep = Keep::no);
/// Over all elements: scalars.
Value sum(Value x);
Value mean(Value x);
/// Index (i32) of the largest element along an axis; the first of equals; NaN is largest.
Value argmax(Value x, int axis, Where = Where::here());

// ---------------------------------------------------------------- the builder: moves

/// Input axis i becomes output axis dims[i] (extents equal); the other output axes repeat x.
Value broadcast(Value x, Shape shape, Dims dims, Where = Where::here());
/// numpy's rule: axes align at the end, extent 1 stretches.
Value broadcast_to(Value x, Shape shape, Where = Where::here());
/// One extent may be -1: it follows from the others.
Value reshape(Value x, Shape shape, Where = Where::here());
/// Adds an axis of extent 1.
Value expand_dims(Value x, int axis);
Value transpose(Value x, Dims perm, Where = Where::here());
/// Swaps the last two axes.
Value transpose(Value x);
/// Half-open box with positive steps (default 1); negative bounds are not counted from the end.
Value slice(Value x, Dims lo, Dims hi, Dims step = {}, Where = Where::here());
/// [lo, hi) along one axis.
Value slice_axis(Value x, int axis, int64_t lo, int64_t hi, Where = Where::here());
/// Adds elements of `value` before, after and between (interior) along each axis.
Value pad(Value x, Dims lo, Dims hi, Dims interior = {}, double value = 0, Where = Where::here());
Value concat(std::vector<Value> parts, int axis, Where = Where::here());
/// Equal parts along an axis.
std::vector<Value> split(Value x, int parts, int axis, Where = Where::here());
/// Sliding windows: axis extent E becomes (E - dilation·(size-1) - 1) / step + 1 windows, and the
/// elements of each window become a new last axis of extent `size`.
Value unfold(Value x, int axis, int64_t size, int64_t step, int64_t dilation = 1,
             Where = Where::here());
/// The adjoint of unfold: windows are added back onto an axis of extent `extent`.
Value fold(Value x, int axis, int64_t size, int64_t step, int64_t dilation, int64_t extent,
           Where = Where::here());

// ---------------------------------------------------------------- the builder: the rest

/// 0, 1, 2, … along `axis`.
Value iota(Graph& graph, Shape shape, int axis, DType type = f32);
/// Uniform numbers in [0, 1) that depend only on key = i64[2] {seed, step}, stream and element
/// (Philox 4×32-10, Salmon+ 2011).
Value rng(Value key, Shape shape, int64_t stream, DType type = f32);
/// Rows of x by index: x [N, …], index […] of i32 or i64 → index.shape + x.shape[1:]. An index
/// outside [0, N) gives zeros.
Value gather(Value x, Value index, Where = Where::here());
/// The adjoint of gather: zeros [rows, …] to which the rows of `updates` are added; an index
/// outside is dropped.
Value scatter_add(Value index, Value updates, int64_t rows, Where = Where::here());
/// Matrix product of the last two axes, all earlier axes being equal batch axes:
/// […, M, K]·[…, K, N] → […, M, N]; the flags transpose an operand first.
Value dot(Value a, Value b, bool transpose_a = false, bool transpose_b = false,
          Where = Where::here());
/// numpy's matmul: batch axes broadcast, vectors are promoted.
Value matmul(Value a, Value b, Where = Where::here());
/// Convolution (cross-correlation) over any number of spatial axes in one of its three roles.
/// x [N, C, …], w [O, C/groups, …], y [N, O, …].
Value conv(Value a, Value b, ConvAttr attr, Where = Where::here());
/// A named body in primitives that a backend may run with a fused kernel. Returns its results.
std::vector<Value> call(Graph& graph, std::string name, std::span<const Value> in, Graph body);
/// Shorthand: builds the body from a function over values and calls it; one result.
template <class F>
Value call(std::string name, std::vector<Value> in, F&& build);
/// The one loop. Body inputs: consts, carries, then one slice of each sequence; body outputs: the
/// new carries, then one slice of each stacked result. Sequences have the time axis first
/// ([length, …]); `reverse` runs from the last slice to the first. Returns the final carries, then
/// the stacked results.
std::vector<Value> scan(Graph& graph, Graph body, std::span<const Value> consts,
                        std::span<const Value> carries, std::span<const Value> sequences,
                        int64_t length, bool reverse = false);

template <class F>
Value call(std::string name, std::vector<Value> in, F&& build) {
  Graph body;
  std::vector<Value> args;
  for (size_t i = 0; i < in.size(); ++i) {
    args.push_back(body.input("x" + std::to_string(i), in[i].shape(), in[i].type()));
  }
  body.output("y", build(std::as_const(args)));
  return call(in[0].graph(), std::move(name), in, std::move(body))[0];
}

// ---------------------------------------------------------------- checking, text, meaning

/// Throws GraphError unless every node obeys the rules (ids, arity, shapes, types, outputs).
void verify(const Graph& graph);
/// The graph as text, one node a line; parse() reads it back to an equal graph.
std::string print(const Graph& graph);
/// Throws GraphError with line and column for anything malformed.
Graph parse(std::string_view text);

/// How matrix products of f32 are computed. With bf16 their operands are rounded to bfloat16 (8
/// bits of fraction, the range of f32; to nearest, ties to even) where they are read; the sums, and
/// all else, weights, their updates, maps and reductions, stay f32. Convolutions and f64 are not
/// changed.
enum class Precision : uint8_t { fp32, bf16 };

/// The meaning of a graph: a slow, obvious evaluation that every backend is tested against.
struct Interpretation {
  std::vector<Tensor> outputs;  ///< In the order of Graph::outputs().
  std::vector<Tensor> updates;  ///< In the order of Graph::updates().
};
/// `inputs` in the order of Graph::inputs(). With `as_double` all f32 arithmetic is done in f64.
Interpretation interpret(const Graph& graph, std::span<const Tensor> inputs, bool as_double = false,
                         Precision precision = Precision::fp32);

}  // namespace soma
