// The gradient of every op, one row each, in the vocabulary of the builder: gradients of gradients
// need nothing more. Conventions where a derivative does not exist: abs'(0) = 0; a tie in max or
// min gives each operand half, a tie in reduce-max gives the largest equal shares; the derivative
// of x^p by p counts as 0 at x = 0. Integers and booleans have no gradient. (Griewank and Walther,
// Evaluating Derivatives, 2nd ed. 2008, chapters 3 and 4.)
#include "src/ad/rules.h"

#include <numbers>

namespace soma::ad {

namespace {

using R = const Reverse&;
using G = Cotangents;

constexpr double two_over_sqrt_pi = 2 * std::numbers::inv_sqrtpi;

// The axes of an array of that rank that are not in `axes`.
Dims other_axes(int rank, const Dims& axes) {
  Dims result;
  for (int i = 0; i < rank; ++i) {
    if (!axes.contains(i)) result.push_back(i);
  }
  return result;
}

// The cotangent of `winner` in a max or min that `loser` loses.
Value share(R r, Value loser_first, Value winner_first) {
  return select(lt(loser_first, winner_first), r.g, select(eq(r.a, r.b), r.g * 0.5, 0.0));
}

G abs_rule(R r) { return G{select(0.0 < r.a, r.g, select(r.a < 0.0, -r.g, 0.0))}; }

// Written so that neither 0·x^-1 at p = 0 nor 0·log 0 at x = 0 turns into NaN, at any order.
G pow_rule(R r) {
  const Value exponent = select(eq(r.b, 0.0), 1.0, r.b) - 1.0;
  const Value base = r.needs[0] ? r.g * (r.b * pow(r.a, exponent)) : Value{};
  return G{base, r.needs[1] ? r.g * (r.y * log(select(eq(r.a, 0.0), 1.0, r.a))) : Value{}};
}

G reduce_rule(R r) {
  const auto& attr = r.as<ReduceAttr>();
  const Shape shape = r.a.shape();
  const Dims kept = other_axes(shape.rank(), attr.axes);
  if (attr.kind == Reduction::sum) return G{broadcast(r.g, shape, kept)};
  const Value largest = eq(r.a, broadcast(r.y, shape, kept));
  const Value count = sum(cast(largest, r.a.type()), attr.axes);
  return G{select(largest, broadcast(r.g / count, shape, kept), 0.0)};
}

G broadcast_rule(R r) { return G{sum(r.g, other_axes(r.y.rank(), r.as<BroadcastAttr>().dims))}; }

G transpose_rule(R r) {
  const Dims& perm = r.as<TransposeAttr>().perm;
  Dims inverse = perm;
  for (int i = 0; i < perm.size(); ++i) inverse[static_cast<int>(perm[i])] = i;
  return G{transpose(r.g, inverse)};
}

G slice_rule(R r) {
  const auto& attr = r.as<SliceAttr>();
  Dims hi = attr.hi, interior = attr.step;
  for (int i = 0; i < hi.size(); ++i) {
    const int64_t count = r.y.extent(i);
    const int64_t covered = count > 0 ? (count - 1) * attr.step[i] + 1 : 0;
    hi[i] = r.a.extent(i) - attr.lo[i] - covered;
    interior[i] -= 1;
  }
  return G{pad(r.g, attr.lo, hi, interior)};
}

G pad_rule(R r) {
  const auto& attr = r.as<PadAttr>();
  Dims hi = attr.hi, step = attr.interior;
  for (int i = 0; i < hi.size(); ++i) {
    hi[i] = r.y.extent(i) - attr.hi[i];
    step[i] += 1;
  }
  return G{slice(r.g, attr.lo, hi, step)};
}

G concat_rule(R r) {
  const int axis = static_cast<int>(r.as<ConcatAttr>().axis);
  G parts;
  int64_t at = 0;
  for (const Value part : r.in) {
    parts.push_back(slice_axis(r.g, axis, at, at + part.extent(axis)));
    at += part.extent(axis);
  }
  return parts;
}

G unfold_rule(R r) {
  const auto& attr = r.as<UnfoldAttr>();
  const int axis = static_cast<int>(attr.axis);
  return G{fold(r.g, axis, attr.size, attr.step, attr.dilation, r.a.extent(axis))};
}

G fold_rule(R r) {
  const auto& attr = r.as<FoldAttr>();
  return G{unfold(r.g, static_cast<int>(attr.axis), attr.size, attr.step, attr.dilation)};
}

// y = op(a)·op(b): each cotangent is a product again, written without transposing anything.
G dot_rule(R r) {
  const auto [ta, tb] = r.as<DotAttr>();
  return G{ta ? dot(r.b, r.g, tb, true) : dot(r.g, r.b, false, !tb),
           tb ? dot(r.g, r.a, true, ta) : dot(r.a, r.g, !ta, false)};
}

// x, w and y are the three arguments of one trilinear form: the cotangents of each role are the
// other two roles.
G conv_rule(R r) {
  const auto& attr = r.as<ConvAttr>();
  const auto as = [&](ConvRole role, Value a, Value b, Value like = {}) {
    ConvAttr other = attr;
    other.role = role;
    other.size = like ? Dims(std::span(like.shape()).subspan(2)) : Dims{};
    return conv(a, b, other);
  };
  switch (attr.role) {
    case ConvRole::y: return G{as(ConvRole::dx, r.g, r.b, r.a), as(ConvRole::dw, r.a, r.g, r.b)};
    case ConvRole::dx: return G{as(ConvRole::y, r.g, r.b), as(ConvRole::dw, r.g, r.a, r.b)};
    case ConvRole::dw: return G{as(ConvRole::dx, r.b, r.g, r.a), as(ConvRole::y, r.a, r.g)};
  }
  return {};
}

struct Row {
  Op op;
  Rule rule;
};
constexpr Rule none = nullptr;

// clang-format off
constexpr Row rows[] = {
    {Op::input, none},
    {Op::constant, none},
    {Op::iota, none},
    {Op::rng, none},
    {Op::neg, [](R r) { return G{-r.g}; }},
    {Op::abs, abs_rule},
    {Op::exp, [](R r) { return G{r.g * r.y}; }},
    {Op::log, [](R r) { return G{r.g / r.a}; }},
    {Op::expm1, [](R r) { return G{r.g * (r.y + 1.0)}; }},
    {Op::log1p, [](R r) { return G{r.g / (r.a + 1.0)}; }},
    {Op::sqrt, [](R r) { return G{r.g * 0.5 / r.y}; }},
    {Op::tanh, [](R r) { return G{r.g * (1.0 - r.y * r.y)}; }},
    {Op::sigmoid, [](R r) { return G{r.g * (r.y * (1.0 - r.y))}; }},
    {Op::erf, [](R r) { return G{r.g * (two_over_sqrt_pi * exp(-(r.a * r.a)))}; }},
    {Op::sin, [](R r) { return G{r.g * cos(r.a)}; }},
    {Op::cos, [](R r) { return G{-(r.g * sin(r.a))}; }},
    {Op::add, [](R r) { return G{r.g, r.g}; }},
    {Op::sub, [](R r) { return G{r.g, -r.g}; }},
    {Op::mul, [](R r) { return G{r.g * r.b, r.g * r.a}; }},
    {Op::div, [](R r) { return G{r.g / r.b, -(r.g * r.y / r.b)}; }},
    {Op::max, [](R r) { return G{share(r, r.b, r.a), share(r, r.a, r.b)}; }},
    {Op::min, [](R r) { return G{share(r, r.a, r.b), share(r, r.b, r.a)}; }},
    {Op::pow, pow_rule},
    {Op::lt, none},
    {Op::eq, none},
    {Op::select, [](R r) { return G{{}, select(r.a, r.g, 0.0), select(r.a, 0.0, r.g)}; }},
    {Op::cast, [](R r) { return G{cast(r.g, r.a.type())}; }},
    {Op::stop, none},
    {Op::reduce, reduce_rule},
    {Op::argmax, none},
    {Op::broadcast, broadcast_rule},
    {Op::reshape, [](R r) { return G{reshape(r.g, r.a.shape())}; }},
    {Op::transpose, transpose_rule},
    {Op::slice, slice_rule},
    {Op::pad, pad_rule},
    {Op::concat, concat_rule},
    {Op::unfold, unfold_rule},
    {Op::fold, fold_rule},
    {Op::gather, [](R r) { return G{scatter_add(r.b, r.g, r.a.extent(0)), {}}; }},
    {Op::scatter_add, [](R r) { return G{{}, gather(r.g, r.a)}; }},
    {Op::dot, dot_rule},
    {Op::conv, conv_rule},
    {Op::call, call_rule},
    {Op::scan, scan_rule},
    {Op::get, [](R r) { return G{r.g}; }},  // the loop delivers it to that result of the input
};
// clang-format on

constexpr bool every_op_has_one_row() {
  std::array<int, op_count> seen{};
  for (const Row& row : rows) ++seen[static_cast<size_t>(row.op)];
  for (const int count : seen) {
    if (count != 1) return false;
  }
  return true;
}
static_assert(every_op_has_one_row(), "every op needs exactly one gradient rule, or none");

constexpr RuleTable table = [] {
  RuleTable result{};
  for (const Row& row : rows) result[static_cast<size_t>(row.op)] = row.rule;
  return result;
}();

}  // namespace

const RuleTable& rule_table() { return table; }

}  // namespace soma::ad
