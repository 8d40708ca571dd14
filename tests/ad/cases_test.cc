// Gradients of every op, to second order, generated from the registry; and a wrong rule planted for
// each op, which the check must notice.
#include <map>

#include "src/ad/gradcheck.h"
#include "tests/ad/points.h"

namespace soma::test {

namespace {

// A small function whose gradient needs the rule of `op`, at points where it is smooth. A linear op
// is followed by a curved function, so that its rule also counts in second derivatives.
struct Case {
  Op op;
  std::string name;
  std::vector<Tensor> points;
  Build build;
};

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

std::vector<Case> map_cases() {
  std::vector<Case> list;
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

std::vector<Case> reduce_and_move_cases() {
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

std::vector<Case> contract_cases() {
  std::vector<Case> list;
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

std::vector<Case> control_cases() {
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

const std::vector<Case>& cases() {
  static const std::vector<Case> all = [] {
    std::vector<Case> list;
    for (auto part : {map_cases(), reduce_and_move_cases(), contract_cases(), control_cases()}) {
      list.insert(list.end(), part.begin(), part.end());
    }
    return list;
  }();
  return all;
}

// Ops that deliberately have no gradient.
const std::map<Op, std::string>& without_gradient() {
  static const std::map<Op, std::string> reasons = {
      {Op::input, "a leaf: cotangents end there"}, {Op::constant, "a leaf that never changes"},
      {Op::iota, "a leaf that never changes"},     {Op::rng, "its key is integers"},
      {Op::lt, "its result is boolean"},           {Op::eq, "its result is boolean"},
      {Op::argmax, "its result is integers"},      {Op::stop, "it exists to stop gradients"},
  };
  return reasons;
}

TEST(GradientOfEveryOp, HasACaseOrAReason) {
  for (size_t i = 0; i < op_table().size(); ++i) {
    const Op op = static_cast<Op>(i);
    const bool has_case =
        std::any_of(cases().begin(), cases().end(), [&](const Case& c) { return c.op == op; });
    EXPECT_NE(has_case, without_gradient().count(op) == 1) << op_table()[i].name;
    EXPECT_EQ(ad::rule_table()[i] == nullptr, without_gradient().count(op) == 1)
        << op_table()[i].name;
  }
}

class GradientOf : public testing::TestWithParam<Case> {};

TEST_P(GradientOf, AgreesWithDifferencesToSecondOrder) {
  const auto result = gradcheck(GetParam().build, GetParam().points);
  EXPECT_TRUE(result) << GetParam().name << ": " << result.message;
  RecordProperty("worst", testing::PrintToString(result.worst));
}

std::string test_name(const testing::TestParamInfo<Case>& info) {
  std::string name = std::string(soma::info(info.param.op).name) + "_" + std::to_string(info.index);
  return name;
}
INSTANTIATE_TEST_SUITE_P(EveryOp, GradientOf, testing::ValuesIn(cases()), test_name);

// ---- planted faults

enum class Fault { scaled, negated, dropped, swapped, stopped };

Op broken_op;
Fault broken_how;

ad::Cotangents broken_rule(const ad::Reverse& r) {
  ad::Cotangents cotangents = ad::rule_table()[static_cast<size_t>(broken_op)](r);
  for (Value& cotangent : cotangents) {
    if (!cotangent) continue;
    switch (broken_how) {
      case Fault::scaled: cotangent = cotangent * 1.01; break;
      case Fault::negated: cotangent = -cotangent; break;
      case Fault::dropped: cotangent = cotangent * 0.0; break;
      case Fault::stopped: cotangent = stop(cotangent); break;
      case Fault::swapped: break;
    }
  }
  const bool can_swap = cotangents.size() > 1 && cotangents[0] && cotangents[1] &&
                        cotangents[0].shape() == cotangents[1].shape();
  if (broken_how == Fault::swapped && can_swap) std::swap(cotangents[0], cotangents[1]);
  return cotangents;
}

// Whether some case of the op fails when its rule is broken in that way.
bool is_noticed(Op op, Fault fault) {
  ad::RuleTable rules = ad::rule_table();
  rules[static_cast<size_t>(op)] = broken_rule;
  broken_op = op;
  broken_how = fault;
  ad::Options how;
  how.rules = &rules;
  GradCheckOptions options;
  options.order = fault == Fault::stopped ? 2 : 1;  // wrong only when differentiated again
  options.directions = 1;
  return std::any_of(cases().begin(), cases().end(), [&](const Case& c) {
    return c.op == op && !ad::gradcheck(c.build, c.points, options, how);
  });
}

TEST(GradCheck, NoticesAWrongRuleForEveryOp) {
  for (size_t i = 0; i < op_table().size(); ++i) {
    const Op op = static_cast<Op>(i);
    if (without_gradient().count(op)) continue;
    for (const Fault fault : {Fault::scaled, Fault::negated, Fault::dropped, Fault::stopped}) {
      EXPECT_TRUE(is_noticed(op, fault)) << op_table()[i].name << ", fault " << int(fault);
    }
  }
}

TEST(GradCheck, NoticesSwappedCotangents) {
  for (const Op op : {Op::sub, Op::mul, Op::div, Op::max, Op::min, Op::pow, Op::dot, Op::concat}) {
    EXPECT_TRUE(is_noticed(op, Fault::swapped)) << info(op).name;
  }
}

}  // namespace

}  // namespace soma::test
