#include "src/ir/infer.h"

#include <algorithm>
#include <array>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma {

namespace {

template <class... Parts>
void require(bool condition, const Parts&... parts) {
  if (!condition) throw ShapeError(cat(parts...));
}
template <class... Parts>
void require_type(bool condition, const Parts&... parts) {
  if (!condition) throw TypeError(cat(parts...));
}

// No extent, padding or count reaches this, so that sums of a few of them cannot overflow.
constexpr int64_t limit = int64_t{1} << 48;

void check_extents(const Shape& shape) {
  int64_t product = 1;  // with 1 for 0: strides must not overflow either
  for (const int64_t extent : shape) {
    require(extent >= 0, "the shape ", shape, " has a negative extent");
    require(
        !__builtin_mul_overflow(product, std::max<int64_t>(extent, 1), &product) && product < limit,
        "the shape ", shape, " has too many elements");
  }
}

int64_t product_up_to_limit(int64_t a, int64_t b) {
  int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? limit : std::min(product, limit);
}

// What a rule sees: the node to fill and its operands.
struct Context {
  const Graph& graph;
  Node& node;
  const Node& in(size_t i) const { return graph[node.in[i]]; }
  const Shape& shape(size_t i) const { return in(i).shape; }
  void result(Shape shape, DType type) const {
    check_extents(shape);
    node.shape = shape;
    node.type = type;
  }
};

int64_t check_axis(int64_t axis, const Shape& shape) {
  require(axis >= 0 && axis < shape.rank(), "axis ", axis, " does not exist in the shape ", shape);
  return axis;
}

void check_lengths(const Shape& shape, std::initializer_list<const Dims*> lists) {
  for (const Dims* list : lists) {
    require(list->size() == shape.rank(), "the list ", *list, " needs one entry for each axis of ",
            shape);
  }
}

// ---- leaves

void infer_input(const Context& c) {
  const auto& a = c.node.as<InputAttr>();
  c.result(a.shape, a.type);
}
void infer_constant(const Context& c) { c.result({}, c.node.as<ConstantAttr>().type); }
void infer_iota(const Context& c) {
  const auto& a = c.node.as<IotaAttr>();
  check_axis(a.axis, a.shape);
  require_type(a.type != boolean, "counting needs a number type, not bool");
  c.result(a.shape, a.type);
}
void infer_rng(const Context& c) {
  const auto& a = c.node.as<RngAttr>();
  require(c.shape(0) == Shape{2} && c.in(0).type == i64,
          "the key must be i64[2] {seed, step}, not ", c.in(0).type, c.shape(0));
  require_type(is_float(a.type), "random numbers are f32 or f64, not ", a.type);
  c.result(a.shape, a.type);
}

// ---- maps

void same_operands(const Context& c, size_t first = 0) {
  for (size_t i = first + 1; i < c.node.in.size(); ++i) {
    require(c.shape(i) == c.shape(first), "the operands have different shapes, ", c.shape(first),
            " and ", c.shape(i));
    require_type(c.in(i).type == c.in(first).type, "the operands have different types, ",
                 c.in(first).type, " and ", c.in(i).type, "; cast one of them");
  }
}
void infer_number_map(const Context& c) {
  same_operands(c);
  require_type(c.in(0).type != boolean, "needs numbers, not bool; cast or use a logical function");
  c.result(c.shape(0), c.in(0).type);
}
void infer_float_map(const Context& c) {
  same_operands(c);
  require_type(is_float(c.in(0).type), "needs f32 or f64, not ", c.in(0).type, "; cast it first");
  c.result(c.shape(0), c.in(0).type);
}
void infer_any_map(const Context& c) { c.result(c.shape(0), c.in(0).type); }
void infer_compare(const Context& c) {
  same_operands(c);
  c.result(c.shape(0), boolean);
}
void infer_select(const Context& c) {
  same_operands(c, 1);
  require_type(c.in(0).type == boolean, "the condition must be bool, not ", c.in(0).type);
  require(c.shape(0) == c.shape(1), "the condition is ", c.shape(0), " but the choices are ",
          c.shape(1));
  c.result(c.shape(1), c.in(1).type);
}
void infer_cast(const Context& c) { c.result(c.shape(0), c.node.as<CastAttr>().type); }

// ---- reductions

void infer_reduce(const Context& c) {
  const auto& a = c.node.as<ReduceAttr>();
  Dims seen;
  for (const int64_t axis : a.axes) {
    check_axis(axis, c.shape(0));
    require(seen.empty() || seen.back() < axis, "the axes ", a.axes, " must increase");
    seen.push_back(axis);
  }
  require_type(c.in(0).type != boolean, "needs numbers, not bool; cast it first");
  Shape kept;
  for (int i = 0; i < c.shape(0).rank(); ++i) {
    if (!a.axes.contains(i)) kept.push_back(c.shape(0)[i]);
  }
  c.result(kept, c.in(0).type);
}
void infer_argmax(const Context& c) {
  const int64_t axis = check_axis(c.node.as<ArgmaxAttr>().axis, c.shape(0));
  require(c.shape(0)[static_cast<int>(axis)] > 0, "no largest element along an empty axis of ",
          c.shape(0));
  Shape kept;
  for (int i = 0; i < c.shape(0).rank(); ++i) {
    if (i != axis) kept.push_back(c.shape(0)[i]);
  }
  c.result(kept, i32);
}

// ---- moves

void infer_broadcast(const Context& c) {
  const auto& a = c.node.as<BroadcastAttr>();
  check_lengths(c.shape(0), {&a.dims});
  for (int i = 0; i < a.dims.size(); ++i) {
    check_axis(a.dims[i], a.shape);
    require(i == 0 || a.dims[i - 1] < a.dims[i], "the axes ", a.dims, " must increase");
    require(a.shape[static_cast<int>(a.dims[i])] == c.shape(0)[i], "cannot broadcast ", c.shape(0),
            " to ", a.shape, " along axes ", a.dims);
  }
  c.result(a.shape, c.in(0).type);
}
void infer_reshape(const Context& c) {
  const auto& shape = c.node.as<ReshapeAttr>().shape;
  check_extents(shape);
  require(shape.elements() == c.shape(0).elements(), "cannot reshape ", c.shape(0), " (",
          c.shape(0).elements(), " elements) to ", shape, " (", shape.elements(), " elements)");
  c.result(shape, c.in(0).type);
}
void infer_transpose(const Context& c) {
  const auto& perm = c.node.as<TransposeAttr>().perm;
  check_lengths(c.shape(0), {&perm});
  Shape shape;
  for (int i = 0; i < perm.size(); ++i) {
    require(perm.contains(i), "the axes ", perm, " are not a permutation");
    shape.push_back(c.shape(0)[static_cast<int>(check_axis(perm[i], c.shape(0)))]);
  }
  c.result(shape, c.in(0).type);
}
void infer_slice(const Context& c) {
  const auto& a = c.node.as<SliceAttr>();
  check_lengths(c.shape(0), {&a.lo, &a.hi, &a.step});
  Shape shape;
  for (int i = 0; i < a.lo.size(); ++i) {
    require(a.lo[i] >= 0 && a.lo[i] <= a.hi[i] && a.hi[i] <= c.shape(0)[i] && a.step[i] >= 1,
            "the box ", a.lo, " to ", a.hi, " by ", a.step, " does not lie in the shape ",
            c.shape(0));
    shape.push_back(a.hi[i] == a.lo[i] ? 0 : (a.hi[i] - a.lo[i] - 1) / a.step[i] + 1);
  }
  c.result(shape, c.in(0).type);
}
void infer_pad(const Context& c) {
  const auto& a = c.node.as<PadAttr>();
  check_lengths(c.shape(0), {&a.lo, &a.hi, &a.interior});
  Shape shape;
  for (int i = 0; i < a.lo.size(); ++i) {
    const int64_t extent = c.shape(0)[i];
    require(a.lo[i] >= 0 && a.hi[i] >= 0 && a.interior[i] >= 0,
            "padding cannot be negative: ", a.lo, ", ", a.hi, ", ", a.interior, "; use slice");
    shape.push_back(std::min(a.lo[i], limit) + std::min(a.hi[i], limit) + extent +
                    product_up_to_limit(std::max<int64_t>(extent - 1, 0), a.interior[i]));
  }
  c.result(shape, c.in(0).type);
}
void infer_concat(const Context& c) {
  require(!c.node.in.empty(), "needs at least one part");
  Shape shape = c.shape(0);
  const int axis = static_cast<int>(check_axis(c.node.as<ConcatAttr>().axis, shape));
  for (size_t i = 1; i < c.node.in.size(); ++i) {
    Shape other = c.shape(i);
    const bool ranks_fit = other.rank() == shape.rank();
    const int64_t extent = ranks_fit ? other[axis] : 0;
    if (ranks_fit) other[axis] = shape[axis];
    require(ranks_fit && other == shape, "parts of shapes ", c.shape(0), " and ", c.shape(i),
            " cannot be joined along axis ", axis);
    require_type(c.in(i).type == c.in(0).type, "the parts have different types, ", c.in(0).type,
                 " and ", c.in(i).type);
    shape[axis] = std::min(shape[axis] + extent, limit);
  }
  c.result(shape, c.in(0).type);
}

int64_t windows(int64_t extent, int64_t size, int64_t step, int64_t dilation) {
  require(size >= 1 && step >= 1 && dilation >= 1, "window size ", size, ", step ", step,
          " and dilation ", dilation, " must be at least 1");
  int64_t reach = 0;  // from the first element of a window to its last
  if (__builtin_mul_overflow(dilation, size - 1, &reach) || extent <= reach) return 0;
  return (extent - reach - 1) / step + 1;
}
void infer_unfold(const Context& c) {
  const auto& a = c.node.as<UnfoldAttr>();
  Shape shape = c.shape(0);
  const int axis = static_cast<int>(check_axis(a.axis, shape));
  shape[axis] = windows(shape[axis], a.size, a.step, a.dilation);
  shape.push_back(a.size);
  c.result(shape, c.in(0).type);
}
void infer_fold(const Context& c) {
  const auto& a = c.node.as<FoldAttr>();
  require(c.shape(0).rank() >= 2, "needs windows in the last axis, but the shape is ", c.shape(0));
  Shape shape;
  for (int i = 0; i + 1 < c.shape(0).rank(); ++i) shape.push_back(c.shape(0)[i]);
  const int axis = static_cast<int>(check_axis(a.axis, shape));
  require(
      c.shape(0).back() == a.size && shape[axis] == windows(a.extent, a.size, a.step, a.dilation),
      "windows of shape ", c.shape(0), " do not fold onto an axis of extent ", a.extent);
  shape[axis] = a.extent;
  require_type(is_float(c.in(0).type), "needs f32 or f64, not ", c.in(0).type);
  c.result(shape, c.in(0).type);
}

// ---- index

void infer_gather(const Context& c) {
  require(c.shape(0).rank() >= 1, "rows are taken from an array of at least one axis");
  require_type(c.in(1).type == i32 || c.in(1).type == i64, "the index must be i32 or i64, not ",
               c.in(1).type);
  Shape shape = c.shape(1);
  for (int i = 1; i < c.shape(0).rank(); ++i) shape.push_back(c.shape(0)[i]);
  c.result(shape, c.in(0).type);
}
void infer_scatter_add(const Context& c) {
  const int k = c.shape(0).rank();
  require_type(c.in(0).type == i32 || c.in(0).type == i64, "the index must be i32 or i64, not ",
               c.in(0).type);
  require_type(c.in(1).type != boolean, "needs numbers, not bool");
  require(c.shape(1).rank() >= k &&
              std::equal(c.shape(0).begin(), c.shape(0).end(), c.shape(1).begin()),
          "updates of shape ", c.shape(1), " do not begin with the index shape ", c.shape(0));
  Shape shape{c.node.as<ScatterAttr>().rows};
  for (int i = k; i < c.shape(1).rank(); ++i) shape.push_back(c.shape(1)[i]);
  c.result(shape, c.in(1).type);
}

// ---- contractions

void infer_dot(const Context& c) {
  const auto& a = c.node.as<DotAttr>();
  const Shape &x = c.shape(0), &y = c.shape(1);
  require(x.rank() >= 2 && y.rank() == x.rank() && std::equal(x.begin(), x.end() - 2, y.begin()),
          "the operands are ", x, " and ", y, "; both need the same batch axes and two more");
  require_type(c.in(0).type == c.in(1).type, "the operands have different types, ", c.in(0).type,
               " and ", c.in(1).type);
  require_type(is_float(c.in(0).type), "needs f32 or f64, not ", c.in(0).type);
  const int r = x.rank();
  const int64_t k = x[a.transpose_a ? r - 2 : r - 1], k2 = y[a.transpose_b ? r - 1 : r - 2];
  require(k == k2, "inner sizes differ: the input is ", x, ", the weights are ", y,
          "; expected an input of ", k2, " features");
  Shape shape = x;
  shape[r - 2] = x[a.transpose_a ? r - 1 : r - 2];
  shape[r - 1] = y[a.transpose_b ? r - 2 : r - 1];
  c.result(shape, c.in(0).type);
}

void infer_conv(const Context& c) {
  const auto& a = c.node.as<ConvAttr>();
  const Shape &p = c.shape(0), &q = c.shape(1);
  const int spatial = p.rank() - 2;
  require(spatial >= 1 && q.rank() == p.rank(), "the operands are ", p, " and ", q,
          "; both need two axes and at least one spatial axis");
  require_type(c.in(0).type == c.in(1).type && is_float(c.in(0).type), "the operands are ",
               c.in(0).type, " and ", c.in(1).type, "; both must be f32 or both f64");
  for (const Dims* list : {&a.stride, &a.lo, &a.hi, &a.dilation}) {
    require(list->size() == spatial, "the list ", *list, " needs one entry for each of ", spatial,
            " spatial axes");
  }
  require(a.groups >= 1, "the number of groups must be at least 1, not ", a.groups);
  if (a.role != ConvRole::y) {
    require(a.size.size() == spatial, "the result's spatial size is missing");
    check_extents(a.size);
  }
  // Work out x, w and y from the two given and the role.
  Shape x, w, y;
  switch (a.role) {
    case ConvRole::y: x = p, w = q, y = {p[0], q[0]}; break;
    case ConvRole::dx: y = p, w = q, x = {p[0], product_up_to_limit(q[1], a.groups)}; break;
    case ConvRole::dw: x = p, y = q, w = {q[1], p[1] / a.groups}; break;
  }
  for (int i = 0; i < spatial; ++i) {
    if (a.role == ConvRole::dx) x.push_back(a.size[i]);
    if (a.role == ConvRole::dw) w.push_back(a.size[i]);
    require(a.lo[i] >= 0 && a.hi[i] >= 0 && std::max(a.lo[i], a.hi[i]) < limit,
            "padding cannot be negative or huge: ", a.lo, ", ", a.hi);
    const int64_t out = windows(x[i + 2] + a.lo[i] + a.hi[i], w[i + 2], a.stride[i], a.dilation[i]);
    if (a.role == ConvRole::y) y.push_back(out);
    require(y[i + 2] == out, "spatial sizes do not fit: x ", x, ", w ", w, ", y ", y);
  }
  require(x[0] == y[0] && y[1] == w[0] && product_up_to_limit(w[1], a.groups) == x[1] &&
              w[0] % a.groups == 0,
          "channels do not fit: x ", x, " needs weights [outputs, ", x[1] / a.groups,
          ", …] with outputs a multiple of ", a.groups, ", found w ", w, ", y ", y);
  c.result(a.role == ConvRole::y ? y : a.role == ConvRole::dx ? x : w, c.in(0).type);
}

// ---- control

void check_body_input(const Context& c, const Graph& body, size_t i, const Shape& shape) {
  const Node& parameter = body[body.inputs()[i]];
  require(parameter.shape == shape && parameter.type == c.in(i).type, "body input ", i, " is ",
          parameter.type, parameter.shape, " but was given ", c.in(i).type, shape);
}
void check_body(const Context& c, const std::shared_ptr<const Graph>& body) {
  if (!body) throw GraphError("has no body");
  if (!body->updates().empty()) throw GraphError("a body cannot update states");
  if (body->inputs().size() != c.node.in.size()) {
    throw GraphError(
        cat("the body has ", body->inputs().size(), " inputs but was given ", c.node.in.size()));
  }
}
void infer_call(const Context& c) {
  const auto& body = c.node.as<CallAttr>().body;
  check_body(c, body);
  for (size_t i = 0; i < c.node.in.size(); ++i) check_body_input(c, *body, i, c.shape(i));
  c.result({}, f32);
}
void infer_scan(const Context& c) {
  const auto& a = c.node.as<ScanAttr>();
  check_body(c, a.body);
  const auto operands = static_cast<int64_t>(c.node.in.size());
  require(a.length >= 0 && a.consts >= 0 && a.carries >= 0 && a.consts <= operands &&
              a.carries <= operands - a.consts &&
              a.carries <= static_cast<int64_t>(a.body->outputs().size()),
          "the counts of consts, carries and sequences do not fit the body");
  for (size_t i = 0; i < c.node.in.size(); ++i) {
    Shape shape = c.shape(i);
    if (static_cast<int64_t>(i) >= a.consts + a.carries) {
      require(shape.rank() >= 1 && shape[0] == a.length, "sequence ", i, " is ", shape,
              "; its first axis must be the length ", a.length);
      shape = Shape(std::span<const int64_t>(shape.begin() + 1, shape.end()));
    }
    check_body_input(c, *a.body, i, shape);
  }
  for (int64_t i = 0; i < a.carries; ++i) {
    const Node& next = (*a.body)[a.body->outputs()[static_cast<size_t>(i)].id];
    const Node& carry = c.in(static_cast<size_t>(a.consts + i));
    require(next.shape == carry.shape && next.type == carry.type, "carry ", i, " is ", carry.type,
            carry.shape, " but the body returns ", next.type, next.shape);
  }
  c.result({}, f32);
}
void infer_get(const Context& c) {
  const int64_t index = c.node.as<GetAttr>().index;
  if (c.in(0).op != Op::call && c.in(0).op != Op::scan) {
    throw GraphError("takes a result of a call or a scan");
  }
  if (index < 0 || index >= result_count(c.in(0))) {
    throw GraphError(cat("there is no result ", index));
  }
  const Result result = result_of(c.in(0), index);
  c.result(result.shape, result.type);
}

using Rule = void (*)(const Context&);
constexpr Rule rule_of(Op op) {
  switch (op) {
    case Op::input: return infer_input;
    case Op::constant: return infer_constant;
    case Op::iota: return infer_iota;
    case Op::rng: return infer_rng;
    case Op::neg:
    case Op::abs:
    case Op::add:
    case Op::sub:
    case Op::mul:
    case Op::div:
    case Op::max:
    case Op::min:
    case Op::pow: return infer_number_map;
    case Op::exp:
    case Op::log:
    case Op::expm1:
    case Op::log1p:
    case Op::sqrt:
    case Op::tanh:
    case Op::sigmoid:
    case Op::erf:
    case Op::sin:
    case Op::cos: return infer_float_map;
    case Op::lt:
    case Op::eq: return infer_compare;
    case Op::select: return infer_select;
    case Op::cast: return infer_cast;
    case Op::stop: return infer_any_map;
    case Op::reduce: return infer_reduce;
    case Op::argmax: return infer_argmax;
    case Op::broadcast: return infer_broadcast;
    case Op::reshape: return infer_reshape;
    case Op::transpose: return infer_transpose;
    case Op::slice: return infer_slice;
    case Op::pad: return infer_pad;
    case Op::concat: return infer_concat;
    case Op::unfold: return infer_unfold;
    case Op::fold: return infer_fold;
    case Op::gather: return infer_gather;
    case Op::scatter_add: return infer_scatter_add;
    case Op::dot: return infer_dot;
    case Op::conv: return infer_conv;
    case Op::call: return infer_call;
    case Op::scan: return infer_scan;
    case Op::get: return infer_get;
  }
  return nullptr;
}

template <class A, class... T>
constexpr size_t index_in(const std::variant<T...>*) {
  size_t index = 0;
  (void)((std::is_same_v<A, T> || (++index, false)) || ...);
  return index;
}
constexpr size_t attribute_index[] = {
#define SOMA_OP(name, arity, kind, flags, attr, meaning) \
  index_in<attr>(static_cast<const Attr*>(nullptr)),
#include "soma/ops.def"
#undef SOMA_OP
};

}  // namespace

void infer(const Graph& graph, Node& node) {
  const size_t op = static_cast<size_t>(node.op);
  const int arity = info(node.op).arity;
  if (arity >= 0 && node.in.size() != static_cast<size_t>(arity)) {
    throw GraphError(cat("takes ", arity, " inputs, not ", node.in.size()));
  }
  if (node.attr.index() != attribute_index[op]) {
    throw GraphError("carries the attribute of another op");
  }
  for (const Id id : node.in) {
    const Op producer = graph[id].op;
    if ((producer == Op::call || producer == Op::scan) && node.op != Op::get) {
      throw GraphError("uses a call or scan directly; take one of its results");
    }
  }
  rule_of(node.op)({graph, node});
}

int64_t result_count(const Node& node) {
  const auto& body = node.op == Op::call ? node.as<CallAttr>().body : node.as<ScanAttr>().body;
  return static_cast<int64_t>(body->outputs().size());
}

Result result_of(const Node& node, int64_t index) {
  const bool is_call = node.op == Op::call;
  const Graph& body = is_call ? *node.as<CallAttr>().body : *node.as<ScanAttr>().body;
  const Node& output = body[body.outputs()[static_cast<size_t>(index)].id];
  if (is_call || index < node.as<ScanAttr>().carries) return {output.shape, output.type};
  Shape stacked{node.as<ScanAttr>().length};
  for (const int64_t extent : output.shape) stacked.push_back(extent);
  return {stacked, output.type};
}

}  // namespace soma
