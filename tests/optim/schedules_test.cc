// Schedules against their formulas, from the registry so that none is forgotten.
#include <functional>

#include "soma/optim.h"
#include "tests/expect_error.h"
#include "tests/nn/evaluate.h"

namespace soma::test {

namespace {

constexpr double pi = 3.14159265358979323846;

double at(const Schedule& schedule, double step, DType type = f64) {
  Graph graph;
  const Value t = graph.input("t", {}, type);
  return evaluate(graph, schedule(t), {{"t", Tensor::scalar(step, type)}}).at(0);
}

double half_cosine(double part) { return (1 + std::cos(pi * part)) / 2; }

// Counted cycle by cycle.
double restarts(double t, double steps, double grow, double shrink) {
  double height = 0.5;
  while (t >= steps) {
    t -= steps;
    steps *= grow;
    height *= shrink;
  }
  return 0.1 + (height - 0.1) * half_cosine(t / steps);
}

double one_cycle(double t, bool lines) {
  const double low = 0.5 / 10, last = low / 100, top = 0.25 * 100 - 1;
  const auto way = [&](double from, double to, double part) {
    return lines ? from + (to - from) * part : to + (from - to) * half_cosine(part);
  };
  if (t <= top) return way(low, 0.5, t / top);
  return way(0.5, last, std::min((t - top) / (99 - top), 1.0));
}

double triangle(double t) {
  const double cycle = std::floor(1 + t / 20), x = std::abs(t / 10 - 2 * cycle + 1);
  return std::max(0.0, 1 - x);
}

struct ScheduleCase {
  std::string text;
  std::function<double(double)> wanted;
};
const std::map<std::string, std::vector<ScheduleCase>>& schedule_cases() {
  const auto cosine_part = [](double t) { return half_cosine(std::min(t / 100, 1.0)); };
  static const std::map<std::string, std::vector<ScheduleCase>> cases{
      {"constant", {{"constant(0.25)", [](double) { return 0.25; }}}},
      {"step_decay",
       {{"step_decay(0.5 10)", [](double t) { return 0.5 * std::pow(0.1, std::floor(t / 10)); }}}},
      {"exponential_decay",
       {{"exponential_decay(0.5 0.97)", [](double t) { return 0.5 * std::pow(0.97, t); }}}},
      {"cosine", {{"cosine(0.5 100 0.1)", [=](double t) { return 0.1 + 0.4 * cosine_part(t); }}}},
      {"linear_decay",
       {{"linear_decay(0.5 100)", [](double t) { return 0.5 * (1 - std::min(t / 100, 1.0)); }}}},
      {"warmup",
       {{"warmup(10 cosine(0.5 100))",
         [=](double t) { return t < 10 ? 0.5 * (t + 1) / 10 : 0.5 * cosine_part(t - 10); }}}},
      {"multi_step",
       {{"multi_step(0.5 [10 55] 0.5)",
         [](double t) { return t < 10   ? 0.5
                               : t < 55 ? 0.25
                                        : 0.125; }}}},
      {"inverse_time",
       {{"inverse_time(0.5 2 10)", [](double t) { return 0.5 / (1 + 2 * t / 10); }},
        {"inverse_time(0.5 2 10 true)",
         [](double t) { return 0.5 / (1 + 2 * std::floor(t / 10)); }}}},
      {"inverse_power",
       {{"inverse_power(0.5 0.1 0.75)",
         [](double t) { return 0.5 * std::pow(1 + 0.1 * t, -0.75); }}}},
      {"inverse_sqrt",
       {{"inverse_sqrt(0.5 16)",
         [](double t) { return t < 15 ? 0.5 * (t + 1) / 16 : 0.5 * std::sqrt(16 / (t + 1)); }}}},
      {"noam",
       {{"noam(512 20 2)",
         [](double t) {
           return 2 * std::pow(512, -0.5) *
                  std::min(std::pow(t + 1, -0.5), (t + 1) * std::pow(20, -1.5));
         }}}},
      {"sigmoid_decay",
       {{"sigmoid_decay(0.5 0.1 50)",
         [](double t) { return 0.5 / (1 + std::exp(0.1 * (t - 50))); }}}},
      {"polynomial",
       {{"polynomial(0.5 100 2 0.1)",
         [](double t) { return 0.1 + 0.4 * std::pow(1 - std::min(t / 100, 1.0), 2); }}}},
      {"cosine_swing",
       {{"cosine_swing(0.5 100 0.1)", [](double t) { return 0.1 + 0.4 * half_cosine(t / 100); }}}},
      {"cosine_restarts",
       {{"cosine_restarts(0.5 10 end=0.1)", [](double t) { return restarts(t, 10, 1, 1); }},
        {"cosine_restarts(0.5 10 2 0.1 0.9)", [](double t) { return restarts(t, 10, 2, 0.9); }},
        {"cosine_restarts(0.5 9 1.5 0.1)", [](double t) { return restarts(t, 9, 1.5, 1); }}}},
      {"one_cycle",
       {{"one_cycle(0.5 100 0.25 10 100)", [](double t) { return one_cycle(t, false); }},
        {"one_cycle(0.5 100 0.25 10 100 true)", [](double t) { return one_cycle(t, true); }}}},
      {"triangular",
       {{"triangular(0.1 0.5 10)", [](double t) { return 0.1 + 0.4 * triangle(t); }}}},
      {"triangular2",
       {{"triangular2(0.1 0.5 10)",
         [](double t) { return 0.1 + 0.4 * triangle(t) * std::pow(0.5, std::floor(t / 20)); }}}},
      {"exp_range",
       {{"exp_range(0.1 0.5 10 0.99)",
         [](double t) { return 0.1 + 0.4 * triangle(t) * std::pow(0.99, t); }}}},
      {"piecewise_constant",
       {{"piecewise_constant([10 55] [0.5 0.3 0.1])",
         [](double t) { return t < 10   ? 0.5
                               : t < 55 ? 0.3
                                        : 0.1; }}}},
      {"piecewise_linear",
       {{"piecewise_linear([9 29 100] [0.1 0.5 0.2])",
         [](double t) {
           if (t <= 9) return 0.1;
           if (t <= 29) return 0.1 + 0.4 * (t - 9) / 20;
           return t <= 100 ? 0.5 - 0.3 * (t - 29) / 71 : 0.2;
         }}}},
      {"wsd",
       {{"wsd(0.5 10 40 20 0.1)",
         [](double t) {
           if (t < 10) return 0.5 * (t + 1) / 10;
           return t < 50 ? 0.5 : 0.5 - 0.4 * std::min((t - 50) / 20, 1.0);
         }}}},
      {"warmup_constant",
       {{"warmup_constant(10 0.25 linear_decay(0.5 100))",
         [](double t) { return t < 10 ? 0.125 : 0.5 * (1 - std::min((t - 10) / 100, 1.0)); }}}},
      {"warmup_cosine",
       {{"warmup_cosine(10 0.5)",
         [](double t) { return t < 10 ? 0.25 * (1 - std::cos(pi * (t + 1) / 10)) : 0.5; }}}},
      {"warmup_exponential",
       {{"warmup_exponential(10 0.5 0.01)",
         [](double t) { return t < 10 ? 0.5 * std::pow(0.01, 1 - t / 10) : 0.5; }}}},
      {"sequence",
       {{"sequence(0.25 10 linear_decay(0.5 100))",
         [](double t) { return t < 10 ? 0.25 : 0.5 * (1 - std::min((t - 10) / 100, 1.0)); }}}},
      {"chained",
       {{"chained(linear_decay(0.5 100) step_decay(1 10 0.5))",
         [](double t) {
           return 0.5 * (1 - std::min(t / 100, 1.0)) * std::pow(0.5, std::floor(t / 10));
         }}}},
  };
  return cases;
}

}  // namespace

TEST(Schedules, FollowTheirFormulas) {
  for (const ScheduleRow& row : schedules()) {
    EXPECT_FALSE(row.formula.empty()) << row.name;
    const auto found = schedule_cases().find(row.name);
    ASSERT_NE(found, schedule_cases().end()) << "write the formula of " << row.name;
    for (const auto& each : found->second) {
      const Schedule schedule = schedule_named(each.text);
      EXPECT_EQ(schedule_named(schedule.text()).text(), schedule.text());
      for (const double t : {0.,  1.,  8.,  9.,  10., 11., 15., 16., 20.,  24.,
                             29., 30., 49., 50., 55., 69., 70., 99., 100., 500.}) {
        EXPECT_NEAR(at(schedule, t), each.wanted(t), 1e-13) << each.text << " at " << t;
        EXPECT_NEAR(at(schedule, t, f32), each.wanted(t), 1e-5) << each.text << " at " << t;
      }
    }
  }
}

TEST(Schedules, RestartsBeginExactlyThere) {
  // Whole cycles of doubled length: the logarithm alone misses some of these by rounding.
  const Schedule schedule = schedule_named("cosine_restarts(1 10 2)");
  double start = 0, length = 10;
  for (int cycle = 0; cycle < 12; ++cycle) {
    EXPECT_NEAR(at(schedule, start, f32), 1, 1e-5) << start;
    start += length;
    length *= 2;
    EXPECT_LT(at(schedule, start - 1, f32), 0.03) << start;
  }
}

TEST(Schedules, TextsAndMistakes) {
  EXPECT_EQ(schedule_named("0.5").text(), "0.5");
  EXPECT_EQ(schedule_named("cosine(0.5 100)").text(), "cosine(lr=0.5 steps=100)");
  EXPECT_EQ(multi_step(0.1, std::vector<double>{30, 60}).text(),
            "multi_step(lr=0.1 milestones=[30 60])");
  EXPECT_ERROR(ArgumentError, schedule_named("cosine(0.5)"), "steps");
  EXPECT_ERROR(ArgumentError, at(schedule_named("piecewise_constant([1 2] [1 2])"), 0),
               "one value more", "2 values");
  EXPECT_ERROR(ArgumentError, at(schedule_named("piecewise_linear([2 1] [1 2])"), 0), "must rise");
  EXPECT_ERROR(ArgumentError, at(schedule_named("piecewise_linear([] [])"), 0),
               "a value for each step");
  EXPECT_ERROR(ArgumentError, at(schedule_named("one_cycle(0.1 3 0.1)"), 0), "no step to rise in");
}

}  // namespace soma::test
