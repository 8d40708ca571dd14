// The body of a scan for some of its rows computes those rows of what the whole body does.
#include "src/passes/rows.h"

#include <gtest/gtest.h>

#include "tests/exec/compare.h"

namespace soma::passes {
namespace {

constexpr int64_t all = 8, rows = 3;

/// A body over a weight [4, 4], a constant that has rows, a carry [8, 4], a sequence of numbers and
/// one of rows [8, 4]: what `build` makes of them is carried on.
struct Operands {
  Value weight, keep, carry, number, x;
};
ScanAttr scan_of(Value (*build)(const Operands&)) {
  Graph body;
  const Operands in{body.input("w", {4, 4}), body.input("keep", {all, 4}),
                    body.input("h", {all, 4}), body.input("t", {}), body.input("x", {all, 4})};
  body.output("h", build(in));
  return {std::make_shared<const Graph>(std::move(body)), 2, 1, 5, false};
}

Tensor some_rows(const Tensor& from, int64_t first) {
  Shape shape = from.shape();
  shape[0] = rows;
  Tensor part(shape, from.type());
  const int64_t each = from.elements() / all;
  for (int64_t i = 0; i < part.elements(); ++i) part.set(i, from.at(first * each + i));
  return part;
}

struct Case {
  const char* name;
  Value (*build)(const Operands&);
};
class Cut : public testing::TestWithParam<Case> {};

TEST_P(Cut, RowsAreThoseOfTheWhole) {
  const ScanAttr scan = scan_of(GetParam().build);
  const auto cut = body_of_rows(scan, rows);
  ASSERT_TRUE(cut.has_value());
  verify(cut->body);
  const auto inputs = random_inputs(*scan.body, 5);
  const Tensor whole = interpret(*scan.body, inputs).outputs[0];
  for (const int64_t first : {0, 2, 5}) {
    std::vector<Tensor> part;
    for (const auto& input : cut->inputs) {
      part.push_back(input.cut ? some_rows(inputs[input.from], first) : inputs[input.from]);
    }
    EXPECT_EQ(interpret(cut->body, part).outputs[0], some_rows(whole, first)) << "from " << first;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Forms, Cut,
    testing::Values(
        Case{"cell",
             [](const Operands& in) {
               return tanh(in.x + dot(in.keep * in.carry, in.weight)) + in.number;
             }},
        Case{"turned_weight",
             [](const Operands& in) {
               return dot(in.carry, in.weight * 2.0, false, true) + sum(in.weight, {0});
             }},
        Case{"softmax",
             [](const Operands& in) {
               const Value e = exp(in.x - max_over(in.x, {1}, Keep::yes));
               return e / sum(e, {1}, Keep::yes) + in.carry;
             }},
        Case{"moves",
             [](const Operands& in) {
               const Value parts = reshape(concat({in.x, in.carry}, 1), {all, 2, 2, 2});
               const Value turned = transpose(parts, {0, 3, 1, 2});
               const Value windows = unfold(slice_axis(turned, 1, 1, 2), 2, 2, 1);
               return pad(reshape(windows, {all, 4}), {0, 0}, {0, 0}) + in.carry;
             }},
        Case{"counting_along_the_row",
             [](const Operands& in) {
               return in.carry + iota(in.carry.graph(), {all, 4}, 1);
             }},
        Case{"rows_of_a_table",
             [](const Operands& in) {
               const Value index = cast(abs(sum(in.x, {1})), i32);
               return gather(in.weight, index) * in.carry;
             }},
        Case{"products_of_rows",
             [](const Operands& in) {
               const Value a = reshape(in.x, {all, 2, 2}), b = reshape(in.carry, {all, 2, 2});
               return reshape(dot(a, b, true, true), {all, 4});
             }}),
    [](const auto& test) { return test.param.name; });

class Refused : public testing::TestWithParam<Case> {};

TEST_P(Refused, RowsThatKnowOfEachOther) {
  EXPECT_FALSE(body_of_rows(scan_of(GetParam().build), rows).has_value());
}

INSTANTIATE_TEST_SUITE_P(
    Forms, Refused,
    testing::Values(Case{"sum_over_rows",
                         [](const Operands& in) { return in.carry - sum(in.x, {0}); }},
                    Case{"neighbours",
                         [](const Operands& in) {
                           return in.carry + pad(slice_axis(in.carry, 0, 1, all), {0, 0}, {1, 0});
                         }},
                    Case{"counting_rows",
                         [](const Operands& in) {
                           return in.carry + iota(in.carry.graph(), {all, 4}, 0);
                         }},
                    Case{"rows_as_weights",
                         [](const Operands& in) {
                           return dot(reshape(in.x, {all, 4}), dot(in.carry, in.x, true, false));
                         }},
                    Case{"reshaped_over_rows",
                         [](const Operands& in) {
                           return reshape(transpose(reshape(in.carry, {4, all})), {all, 4});
                         }}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace soma::passes
