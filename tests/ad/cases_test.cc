// Gradients of every op, to second order, generated from the registry; and a wrong rule planted for
// each op, which the check must notice.
#include <algorithm>

#include "src/ad/gradcheck.h"
#include "tests/ad/points.h"

namespace soma::test {

namespace {

using Case = ad::GradientCase;
using ad::gradient_cases;

bool has_gradient(Op op) { return ad::reason_without_gradient(op).empty(); }

TEST(GradientOfEveryOp, HasACaseOrAReason) {
  for (size_t i = 0; i < op_table().size(); ++i) {
    const Op op = static_cast<Op>(i);
    const bool has_case = std::any_of(gradient_cases().begin(), gradient_cases().end(),
                                      [&](const Case& c) { return c.op == op; });
    EXPECT_EQ(has_case, has_gradient(op)) << op_table()[i].name;
    EXPECT_EQ(ad::rule_table()[i] != nullptr, has_gradient(op)) << op_table()[i].name;
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
INSTANTIATE_TEST_SUITE_P(EveryOp, GradientOf, testing::ValuesIn(gradient_cases()), test_name);

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
  return std::any_of(gradient_cases().begin(), gradient_cases().end(), [&](const Case& c) {
    return c.op == op && !ad::gradcheck(c.build, c.points, options, how);
  });
}

TEST(GradCheck, NoticesAWrongRuleForEveryOp) {
  for (size_t i = 0; i < op_table().size(); ++i) {
    const Op op = static_cast<Op>(i);
    if (!has_gradient(op)) continue;
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
