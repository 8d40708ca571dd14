// The builder: the vocabulary over Graph::add, with numpy's broadcasting rules.
#include <algorithm>
#include <cmath>

#include "soma/error.h"
#include "soma/graph.h"
#include "src/base/text.h"
#include "src/ir/infer.h"

namespace soma {

namespace {

int normal_axis(int64_t axis, int rank, const char* what) {
  if (axis < -rank || axis >= rank) {
    throw ShapeError(cat(what, ": axis ", axis, " does not exist in an array of rank ", rank));
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

Shape broadcast_shape(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  Shape shape = Shape::filled(rank, 1);
  for (int i = 0; i < rank; ++i) {
    const int64_t x = i < rank - a.rank() ? 1 : a[i - (rank - a.rank())];
    const int64_t y = i < rank - b.rank() ? 1 : b[i - (rank - b.rank())];
    if (x != y && x != 1 && y != 1) {
      throw ShapeError(cat("the shapes ", a, " and ", b,
                           " do not broadcast: axes align at the end and must be equal or 1"));
    }
    shape[i] = x == 1 ? y : x;
  }
  return shape;
}

Value binary(Op op, Value a, Value b, Where where) {
  if (a && b && a.shape() != b.shape()) {
    const Shape shape = broadcast_shape(a.shape(), b.shape());
    a = broadcast_to(a, shape, where);
    b = broadcast_to(b, shape, where);
  }
  return (a ? a : b).graph().add(op, {a, b}, NoAttr{}, where);
}

Value like(Value x, double value) { return x.graph().constant(value, x.shape(), x.type()); }

Value unary(Op op, Value x) { return x.graph().add(op, {x}); }

}  // namespace

#define SOMA_UNARY(name) \
  Value name(Value x) { return unary(Op::name, x); }
SOMA_UNARY(neg)
SOMA_UNARY(abs)
SOMA_UNARY(exp)
SOMA_UNARY(log)
SOMA_UNARY(expm1)
SOMA_UNARY(log1p)
SOMA_UNARY(sqrt)
SOMA_UNARY(tanh)
SOMA_UNARY(sigmoid)
SOMA_UNARY(erf)
SOMA_UNARY(sin)
SOMA_UNARY(cos)
SOMA_UNARY(stop)
#undef SOMA_UNARY
Value square(Value x) { return x * x; }
Value reciprocal(Value x) { return 1.0 / x; }
Value rsqrt(Value x) { return 1.0 / sqrt(x); }
Value logical_not(Value x) { return eq(x, 0.0); }

#define SOMA_BINARY(name)                                                             \
  Value name(Value a, Value b, Where where) { return binary(Op::name, a, b, where); } \
  Value name(Value a, double b) { return name(a, like(a, b), Where{}); }              \
  Value name(double a, Value b) { return name(like(b, a), b, Where{}); }
SOMA_BINARY(add)
SOMA_BINARY(sub)
SOMA_BINARY(mul)
SOMA_BINARY(div)
SOMA_BINARY(max)
SOMA_BINARY(min)
SOMA_BINARY(pow)
SOMA_BINARY(lt)
SOMA_BINARY(eq)
#undef SOMA_BINARY

// The other comparisons, built so that every comparison with NaN but ne is false.
#define SOMA_DERIVED(name, expression)                                   \
  Value name(Value a, Value b, Where) { return expression; }             \
  Value name(Value a, double b) { return name(a, like(a, b), Where{}); } \
  Value name(double a, Value b) { return name(like(b, a), b, Where{}); }
SOMA_DERIVED(gt, lt(b, a))
SOMA_DERIVED(le, logical_or(lt(a, b), eq(a, b)))
SOMA_DERIVED(ge, logical_or(lt(b, a), eq(a, b)))
SOMA_DERIVED(ne, logical_not(eq(a, b)))
#undef SOMA_DERIVED

Value logical_and(Value a, Value b) { return select(a, b, like(b, 0)); }
Value logical_or(Value a, Value b) { return select(a, like(b, 1), b); }

Value select(Value condition, Value a, Value b, Where where) {
  const Shape shape = broadcast_shape(condition.shape(), broadcast_shape(a.shape(), b.shape()));
  return condition.graph().add(Op::select,
                               {broadcast_to(condition, shape, where),
                                broadcast_to(a, shape, where), broadcast_to(b, shape, where)},
                               NoAttr{}, where);
}
Value select(Value condition, Value a, double b) { return select(condition, a, like(a, b)); }
Value select(Value condition, double a, Value b) { return select(condition, like(b, a), b); }
Value cast(Value x, DType type) {
  return x.type() == type ? x : x.graph().add(Op::cast, {x}, CastAttr{type});
}

Value reduce(Value x, Reduction kind, Dims axes, Keep keep, Where where) {
  for (int64_t& axis : axes) axis = normal_axis(axis, x.rank(), "reduce");
  std::sort(axes.begin(), axes.end());
  const Value result =
      axes.empty() ? x : x.graph().add(Op::reduce, {x}, ReduceAttr{kind, axes}, where);
  if (keep == Keep::no) return result;
  Shape kept = x.shape();
  for (const int64_t axis : axes) kept[static_cast<int>(axis)] = 1;
  return reshape(result, kept);
}
Value sum(Value x, Dims axes, Keep keep) { return reduce(x, Reduction::sum, axes, keep); }
Value max_over(Value x, Dims axes, Keep keep) { return reduce(x, Reduction::max, axes, keep); }
Value mean(Value x, Dims axes, Keep keep) {
  int64_t count = 1;
  for (const int64_t axis : axes) count *= x.extent(normal_axis(axis, x.rank(), "mean"));
  return sum(x, axes, keep) * (1.0 / static_cast<double>(count));
}

static Dims all_axes(Value x) {
  Dims axes;
  for (int i = 0; i < x.rank(); ++i) axes.push_back(i);
  return axes;
}
Value sum(Value x) { return sum(x, all_axes(x)); }
Value mean(Value x) { return mean(x, all_axes(x)); }
Value argmax(Value x, int axis, Where where) {
  return x.graph().add(Op::argmax, {x}, ArgmaxAttr{normal_axis(axis, x.rank(), "argmax")}, where);
}

Value broadcast(Value x, Shape shape, Dims dims, Where where) {
  if (x.shape() == shape) return x;
  return x.graph().add(Op::broadcast, {x}, BroadcastAttr{shape, dims}, where);
}
Value broadcast_to(Value x, Shape shape, Where where) {
  if (x.shape() == shape) return x;
  const int shift = shape.rank() - x.rank();
  Shape squeezed;  // without the axes that stretch
  Dims dims;
  for (int i = 0; i < x.rank(); ++i) {
    const bool stretches = shift >= 0 && x.extent(i) == 1 && shape[i + shift] != 1;
    if (stretches) continue;
    squeezed.push_back(x.extent(i));
    dims.push_back(i + shift);
  }
  if (shift < 0) throw ShapeError(cat("cannot broadcast ", x.shape(), " to ", shape));
  return broadcast(reshape(x, squeezed, where), shape, dims, where);
}
Value reshape(Value x, Shape shape, Where where) {
  int64_t known = 1;
  int open = -1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] != -1) {
      known *= shape[i];
    } else if (open < 0) {
      open = i;
    } else {
      throw ShapeError(cat("reshape: only one extent may be -1, found ", shape));
    }
  }
  if (open >= 0) {
    if (known == 0 || x.shape().elements() % known) {
      throw ShapeError(cat("reshape: ", x.shape(), " does not divide into ", shape));
    }
    shape[open] = x.shape().elements() / known;
  }
  if (x.shape() == shape) return x;
  return x.graph().add(Op::reshape, {x}, ReshapeAttr{shape}, where);
}
Value expand_dims(Value x, int axis) {
  const int at = normal_axis(axis, x.rank() + 1, "expand_dims");
  Shape shape;
  for (int i = 0; i <= x.rank(); ++i) {
    shape.push_back(i == at ? 1 : x.extent(i < at ? i : i - 1));
  }
  return reshape(x, shape);
}
Value transpose(Value x, Dims perm, Where where) {
  bool identity = perm.size() == x.rank();
  for (int i = 0; i < perm.size(); ++i) identity = identity && perm[i] == i;
  return identity ? x : x.graph().add(Op::transpose, {x}, TransposeAttr{perm}, where);
}
Value transpose(Value x) {
  if (x.rank() < 2) throw ShapeError(cat("transpose: ", x.shape(), " has no two axes to swap"));
  Dims perm = all_axes(x);
  std::swap(perm[x.rank() - 2], perm[x.rank() - 1]);
  return transpose(x, perm);
}
Value slice(Value x, Dims lo, Dims hi, Dims step, Where where) {
  if (step.empty()) step = Dims::filled(lo.size(), 1);
  const bool whole =
      lo == Dims::filled(x.rank(), 0) && hi == x.shape() && step == Dims::filled(x.rank(), 1);
  return whole ? x : x.graph().add(Op::slice, {x}, SliceAttr{lo, hi, step}, where);
}
Value slice_axis(Value x, int axis, int64_t lo, int64_t hi, Where where) {
  Dims from = Dims::filled(x.rank(), 0), to = x.shape();
  const int at = normal_axis(axis, x.rank(), "slice_axis");
  from[at] = lo;
  to[at] = hi;
  return slice(x, from, to, {}, where);
}
Value pad(Value x, Dims lo, Dims hi, Dims interior, double value, Where where) {
  const Dims none = Dims::filled(x.rank(), 0);
  if (interior.empty()) interior = none;
  if (lo == none && hi == none && interior == none) return x;
  return x.graph().add(Op::pad, {x}, PadAttr{lo, hi, interior, value}, where);
}
Value concat(std::vector<Value> parts, int axis, Where where) {
  if (parts.empty()) throw ShapeError("concat: needs at least one part");
  if (parts.size() == 1) return parts[0];
  const int at = normal_axis(axis, parts[0].rank(), "concat");
  return parts[0].graph().add(Op::concat, parts, ConcatAttr{at}, where);
}
std::vector<Value> split(Value x, int parts, int axis, Where where) {
  const int at = normal_axis(axis, x.rank(), "split");
  if (parts < 1 || x.extent(at) % parts) {
    throw ShapeError(cat("split: axis ", at, " of ", x.shape(), " does not divide into ", parts,
                         " equal parts"));
  }
  const int64_t each = x.extent(at) / parts;
  std::vector<Value> result;
  for (int64_t i = 0; i < parts; ++i) {
    result.push_back(slice_axis(x, at, i * each, (i + 1) * each, where));
  }
  return result;
}
Value unfold(Value x, int axis, int64_t size, int64_t step, int64_t dilation, Where where) {
  const int at = normal_axis(axis, x.rank(), "unfold");
  return x.graph().add(Op::unfold, {x}, UnfoldAttr{at, size, step, dilation}, where);
}
Value fold(Value x, int axis, int64_t size, int64_t step, int64_t dilation, int64_t extent,
           Where where) {
  const int at = normal_axis(axis, x.rank() - 1, "fold");
  return x.graph().add(Op::fold, {x}, FoldAttr{at, size, step, dilation, extent}, where);
}

Value iota(Graph& graph, Shape shape, int axis, DType type) {
  return graph.add(Op::iota, {}, IotaAttr{shape, normal_axis(axis, shape.rank(), "iota"), type});
}
Value rng(Value key, Shape shape, int64_t stream, DType type) {
  return key.graph().add(Op::rng, {key}, RngAttr{shape, stream, type});
}
Value gather(Value x, Value index, Where where) {
  return x.graph().add(Op::gather, {x, index}, NoAttr{}, where);
}
Value scatter_add(Value index, Value updates, int64_t rows, Where where) {
  return index.graph().add(Op::scatter_add, {index, updates}, ScatterAttr{rows}, where);
}
Value dot(Value a, Value b, bool transpose_a, bool transpose_b, Where where) {
  return a.graph().add(Op::dot, {a, b}, DotAttr{transpose_a, transpose_b}, where);
}

Value matmul(Value a, Value b, Where where) {
  if (a.rank() == 0 || b.rank() == 0) throw ShapeError("matmul: a scalar has no matrix axes");
  const bool row = a.rank() == 1, column = b.rank() == 1;
  if (row) a = expand_dims(a, 0);
  if (column) b = expand_dims(b, 1);
  // Many rows times one matrix is one large product.
  if (b.rank() == 2 && a.rank() > 2) {
    Shape shape = a.shape();
    shape[shape.rank() - 1] = b.extent(1);
    const Value flat = dot(reshape(a, {-1, a.extent(-1)}), b, false, false, where);
    const Value result = reshape(flat, shape);
    return column ? reshape(result, Shape(std::span(shape.begin(), shape.end() - 1))) : result;
  }
  const auto batch = [](const Shape& s) { return Shape(std::span(s.begin(), s.end() - 2)); };
  const Shape common = broadcast_shape(batch(a.shape()), batch(b.shape()));
  const auto stretch = [&](Value x) {
    Shape shape = common;
    shape.push_back(x.extent(-2));
    shape.push_back(x.extent(-1));
    return broadcast_to(x, shape, where);
  };
  Value result = dot(stretch(a), stretch(b), false, false, where);
  Shape shape = common;
  if (!row) shape.push_back(a.extent(-2));
  if (!column) shape.push_back(b.extent(-1));
  return reshape(result, shape);
}

Value conv(Value a, Value b, ConvAttr attr, Where where) {
  return a.graph().add(Op::conv, {a, b}, attr, where);
}

static std::vector<Value> results_of(Value node) {
  std::vector<Value> results;
  for (int64_t i = 0; i < result_count(node.node()); ++i) {
    results.push_back(node.graph().add(Op::get, {node}, GetAttr{i}));
  }
  return results;
}
std::vector<Value> call(Graph& graph, std::string name, std::span<const Value> in, Graph body) {
  CallAttr attr{std::move(name), std::make_shared<const Graph>(std::move(body))};
  return results_of(graph.add(Op::call, in, std::move(attr)));
}
std::vector<Value> scan(Graph& graph, Graph body, std::span<const Value> consts,
                        std::span<const Value> carries, std::span<const Value> sequences,
                        int64_t length, bool reverse) {
  std::vector<Value> in(consts.begin(), consts.end());
  in.insert(in.end(), carries.begin(), carries.end());
  in.insert(in.end(), sequences.begin(), sequences.end());
  ScanAttr attr{std::make_shared<const Graph>(std::move(body)), static_cast<int64_t>(consts.size()),
                static_cast<int64_t>(carries.size()), length, reverse};
  return results_of(graph.add(Op::scan, in, std::move(attr)));
}

}  // namespace soma
