// The cases, family by family.
#include "src/ad/cases.h"

#include <algorithm>
#include <numeric>

namespace soma::ad {
namespace {

uint64_t scramble(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

Tensor spread(const Shape& shape, double lo, double hi, int seed) {
  Tensor result(shape);
  const auto count = static_cast<size_t>(shape.elements());
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  const auto key = [&](size_t i) { return scramble(i * 1000 + static_cast<size_t>(seed) + 1); };
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key(a) < key(b); });
  const double width = (hi - lo) / static_cast<double>(count);
  for (size_t i = 0; i < count; ++i) {
    // Each seed has its own place within the width, so that no two arrays tie.
    const double place = 0.2 + 0.25 * (seed % 3);
    result.set(static_cast<int64_t>(i), lo + width * (static_cast<double>(order[i]) + place));
  }
  return result;
}

Tensor around_zero(const Shape& shape, int seed) { return spread(shape, -1, 1, seed); }

Value curved(Value x) { return tanh(x) * x; }

namespace {

ConvAttr conv2d(ConvRole role, Dims size = {}, int64_t groups = 1) {
  ConvAttr attr;
  attr.role = role;
  attr.stride = {2, 1};
  attr.lo = {1, 0};
  attr.hi = {0, 2};
  attr.dilation = {1, 2};
  attr.groups = groups;
  attr.size = size;
  return attr;
}
ConvAttr conv1d(ConvRole role, int64_t stride, int64_t padding, int64_t dilation, int64_t groups,
                Dims size = {}) {
  return {role, {stride}, {padding}, {padding}, {dilation}, groups, size};
}

// The builder's function for an op, for the ops that are nothing else.
using Unary = Value (*)(Value);
using Binary = Value (*)(Value, Value, Where);

std::vector<GradientCase> map_cases() {
  std::vector<GradientCase> list;
  const auto add_unary = [&](Op op, Unary f, double lo, double hi) {
    list.push_back({op, std::string(info(op).name), {spread({4}, lo, hi)}, [f](Graph&, auto x) {
                      return curved(f(x[0]));
                    }});
  };
  add_unary(Op::neg, neg, -1, 1);
  add_unary(Op::abs, abs, 0.1, 2);
  add_unary(Op::abs, abs, -2, -0.1);
  add_unary(Op::exp, exp, -1, 1);
  add_unary(Op::log, log, 0.3, 2);
  add_unary(Op::expm1, expm1, -1, 1);
  add_unary(Op::log1p, log1p, -0.5, 1);
  add_unary(Op::sqrt, sqrt, 0.3, 2);
  add_unary(Op::tanh, tanh, -1, 1);
  add_unary(Op::sigmoid, sigmoid, -2, 2);
  add_unary(Op::erf, erf, -1, 1);
  add_unary(Op::sin, sin, -2, 2);
  add_unary(Op::cos, cos, -2, 2);
  const auto add_binary = [&](Op op, Binary f, double lo, double hi) {
    list.push_back({op,
                    std::string(info(op).name),
                    {spread({3, 2}, lo, hi), spread({3, 2}, lo, hi, 1)},
                    [f](Graph&, auto x) { return curved(f(x[0], x[1], Where{})); }});
  };
  add_binary(Op::add, add, -1, 1);
  add_binary(Op::sub, sub, -1, 1);
  add_binary(Op::mul, mul, -1, 1);
  add_binary(Op::div, div, 0.5, 2);
  add_binary(Op::max, max, -1, 1);
  add_binary(Op::min, min, -1, 1);
  add_binary(Op::pow, pow, 0.5, 1.5);
  list.push_back({Op::pow,
                  "pow of numbers around zero",
                  {Tensor::of({4}, {-1.5f, 0, 0, 0.7f})},
                  [](Graph&, auto x) { return pow(x[0], 3.0); }});
  list.push_back({Op::select,
                  "select",
                  {around_zero({6}), around_zero({6}, 1), around_zero({6}, 2)},
                  [](Graph&, auto x) { return curved(select(x[0] < 0.0, x[1], x[2])); }});
  list.push_back({Op::cast, "cast", {around_zero({4})}, [](Graph&, auto x) {
                    return curved(cast(curved(x[0]), f64));
                  }});
  list.push_back({Op::cast,
                  "cast of an integer",
                  {around_zero({3}), Tensor::of<int32_t>({3}, {1, 2, 3})},
                  [](Graph&, auto x) { return curved(x[0] * cast(x[1], f32)); }});
  return list;
}

std::vector<GradientCase> reduce_and_move_cases() {
  const auto x34 = around_zero({3, 4});
  return {
      {Op::reduce, "sum", {x34}, [](Graph&, auto x) { return curved(sum(curved(x[0]), {1})); }},
      {Op::reduce, "sum of all", {x34}, [](Graph&, auto x) { return curved(sum(x[0])); }},
      {Op::reduce,
       "max",
       {around_zero({2, 3, 4})},
       [](Graph&, auto x) {
         return curved(max_over(x[0], {0, 2}));
       }},
      {Op::broadcast,
       "broadcast",
       {around_zero({3})},
       [](Graph&, auto x) {
         return curved(broadcast(x[0], {2, 3, 2}, {1})) * 0.5;
       }},
      {Op::broadcast,
       "broadcast into products",
       {around_zero({3}), around_zero({2, 3}, 1)},
       [](Graph&, auto x) { return curved(x[0] * x[1]); }},
      {Op::reshape,
       "reshape",
       {x34},
       [](Graph&, auto x) {
         return curved(reshape(x[0], {2, 6}));
       }},
      {Op::transpose,
       "transpose",
       {around_zero({2, 3, 4})},
       [](Graph&, auto x) {
         return curved(transpose(x[0], {2, 0, 1}));
       }},
      {Op::slice,
       "slice",
       {around_zero({7, 3})},
       [](Graph&, auto x) {
         return curved(slice(x[0], {1, 0}, {6, 3}, {3, 1}));
       }},
      {Op::slice,
       "slice of nothing",
       {x34},
       [](Graph&, auto x) {
         return sum(curved(slice(x[0], {1, 2}, {3, 2}, {1, 2}))) + sum(curved(x[0]));
       }},
      {Op::pad,
       "pad",
       {around_zero({3, 2})},
       [](Graph&, auto x) {
         return curved(pad(x[0], {1, 0}, {2, 1}, {1, 0}, 0.3));
       }},
      {Op::concat,
       "concat",
       {around_zero({2, 2}), around_zero({2, 2}, 1), around_zero({2, 1}, 2)},
       [](Graph&, auto x) {
         return curved(concat({x[0], x[1], x[2], x[0]}, 1));
       }},
      {Op::unfold,
       "unfold",
       {around_zero({2, 7})},
       [](Graph&, auto x) { return curved(unfold(x[0], 1, 3, 2)); }},
      {Op::unfold,
       "unfold, dilated",
       {around_zero({8, 2})},
       [](Graph&, auto x) { return curved(unfold(x[0], 0, 3, 1, 2)); }},
      {Op::fold,
       "fold, overlapping",
       {around_zero({2, 4, 3})},
       [](Graph&, auto x) { return curved(fold(x[0], 1, 3, 1, 1, 6)); }},
      {Op::fold,
       "fold, dilated with a rest",
       {around_zero({3, 2, 2})},
       [](Graph&, auto x) { return curved(fold(x[0], 0, 2, 2, 3, 9)); }},
      {Op::gather,
       "gather",
       {around_zero({5, 3}), Tensor::of<int32_t>({2, 3}, {0, 3, 3, 4, -1, 5})},
       [](Graph&, auto x) { return curved(gather(x[0], x[1])); }},
      {Op::scatter_add,
       "scatter_add",
       {Tensor::of<int64_t>({4}, {2, 0, 2, 9}), around_zero({4, 2})},
       [](Graph&, auto x) { return curved(scatter_add(x[0], x[1], 3)); }},
  };
}

std::vector<GradientCase> contract_cases() {
  std::vector<GradientCase> list;
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      const Shape a = ta ? Shape{2, 3, 4} : Shape{2, 4, 3},
                  b = tb ? Shape{2, 5, 3} : Shape{2, 3, 5};
      list.push_back(
          {Op::dot,
           std::string("dot") + (ta ? ", a transposed" : "") + (tb ? ", b transposed" : ""),
           {around_zero(a), around_zero(b, 1)},
           [=](Graph&, auto x) { return curved(dot(x[0], x[1], ta, tb)); }});
    }
  }
  list.push_back({Op::dot,
                  "dot of square matrices",
                  {around_zero({3, 3}), around_zero({3, 3}, 1)},
                  [](Graph&, auto x) { return curved(dot(x[0], x[1], false, true)); }});
  list.push_back(
      {Op::dot, "dot of a matrix with itself", {around_zero({3, 3})}, [](Graph&, auto x) {
         return curved(dot(x[0], x[0], true, false));
       }});
  const auto add = [&](std::string name, ConvAttr attr, Shape a, Shape b) {
    list.push_back(
        {Op::conv, std::move(name), {around_zero(a), around_zero(b, 1)}, [attr](Graph&, auto x) {
           return curved(conv(x[0], x[1], attr));
         }});
  };
  add("conv 1-D", conv1d(ConvRole::y, 1, 0, 1, 1), {2, 2, 6}, {3, 2, 3});
  add("conv 1-D, all options", conv1d(ConvRole::y, 2, 1, 2, 2), {2, 4, 8}, {2, 2, 3});
  add("conv 1-D dx", conv1d(ConvRole::dx, 2, 1, 2, 2, {8}), {2, 2, 3}, {2, 2, 3});
  add("conv 1-D dw", conv1d(ConvRole::dw, 2, 1, 2, 2, {3}), {2, 4, 8}, {2, 2, 3});
  add("conv 2-D", conv2d(ConvRole::y), {2, 2, 5, 6}, {3, 2, 3, 2});
  add("conv 2-D, groups", conv2d(ConvRole::y, {}, 2), {1, 4, 5, 4}, {4, 2, 2, 3});
  add("conv 2-D dx", conv2d(ConvRole::dx, {5, 6}), {2, 3, 2, 6}, {3, 2, 3, 2});
  add("conv 2-D dw", conv2d(ConvRole::dw, {3, 2}), {2, 2, 5, 6}, {2, 3, 2, 6});
  return list;
}

Graph two_results() {
  Graph body;
  const Value x = body.input("x", {3}), w = body.input("w", {3});
  body.output("product", tanh(x) * w);
  body.output("sum", x + sin(w));
  return body;
}

Graph leaky_sum() {
  Graph body;
  const Value w = body.input("w", {2}), h = body.input("h", {2}), x = body.input("x", {2});
  const Value next = tanh(w * h + x);
  body.output("h", next);
  body.output("y", next * x);
  return body;
}

std::vector<GradientCase> control_cases() {
  const std::vector<Tensor> pair = {around_zero({3}), around_zero({3}, 1)};
  const auto both = [](Graph& g, auto x) {
    const auto results = call(g, "both", x, two_results());
    return curved(results[0]) * results[1];
  };
  return {
      {Op::call, "call", pair, both},
      {Op::get, "the second result alone", pair,
       [](Graph& g, auto x) { return curved(call(g, "both", x, two_results())[1]); }},
      {Op::scan,
       "scan",
       {around_zero({2}), around_zero({2}, 1), around_zero({4, 2}, 2)},
       [](Graph& g, auto x) {
         const auto results =
             scan(g, leaky_sum(), x.subspan(0, 1), x.subspan(1, 1), x.subspan(2), 4);
         return sum(curved(results[0])) + sum(curved(results[1]));
       }},
  };
}

}  // namespace

const std::vector<GradientCase>& gradient_cases() {
  static const std::vector<GradientCase> all = [] {
    std::vector<GradientCase> list;
    for (auto part : {map_cases(), reduce_and_move_cases(), contract_cases(), control_cases()}) {
      list.insert(list.end(), part.begin(), part.end());
    }
    return list;
  }();
  return all;
}

std::string_view reason_without_gradient(Op op) {
  switch (op) {
    case Op::input: return "a leaf: cotangents end there";
    case Op::constant:
    case Op::iota: return "a leaf that never changes";
    case Op::rng: return "its key is integers";
    case Op::lt:
    case Op::eq: return "its result is boolean";
    case Op::argmax: return "its result is integers";
    case Op::stop: return "it exists to stop gradients";
    default: return "";
  }
}

}  // namespace soma::ad
