// Reports of plans: the counts are those of the graph, the memory map is one, and reasons are
// given.
#include <gmock/gmock.h>

#include <algorithm>

#include "soma/gradient.h"
#include "soma/nn.h"
#include "src/base/text.h"
#include "src/passes/passes.h"

namespace soma {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// A step of gradient descent of a network of two layers.
Graph two_layers() {
  Graph g;
  Value y = g.input("x", {32, 20});
  std::vector<Value> parameters;
  for (const auto& [name, in, out] : {std::tuple("hidden", 20, 16), std::tuple("output", 16, 4)}) {
    const Graph::Scope layer(g, name);
    const Value w = g.parameter("w", {in, out}), b = g.parameter("b", {out});
    y = tanh(dot(y, w) + b);
    parameters.insert(parameters.end(), {w, b});
  }
  const Value loss = mean(square(y - g.input("target", {32, 4})));
  const auto slopes = gradients(loss, parameters);
  for (size_t i = 0; i < slopes.size(); ++i) g.update(parameters[i], parameters[i] - slopes[i]);
  g.output("loss", loss);
  return g;
}

TEST(PlanReport, TellsWhatWasFusedByLayer) {
  Graph g;
  const Value x = g.input("x", {32, 20});
  const Graph::Scope layer(g, "hidden");
  const Value y = tanh(dot(x, g.parameter("w", {20, 16})) + g.parameter("b", {16}));
  g.output("y", y);
  const PlanReport report = compile(g, Device::cpu(1)).report();
  ASSERT_EQ(report.instructions.size(), 1u);
  const auto& i = report.instructions[0];
  EXPECT_EQ(i.layer, "hidden");
  EXPECT_EQ(i.text, "dot [32, 16] over 20 -> y");
  ASSERT_EQ(i.parts.size(), 1u);
  EXPECT_EQ(i.parts[0].layer, "hidden");
  EXPECT_EQ(i.parts[0].ops, (std::vector<std::string_view>{"add", "tanh"}));
  // The product, an addition and a tanh for each of its 32 x 16 results.
  EXPECT_EQ(i.flops, 2 * 32 * 16 * 20 + 2 * 32 * 16);
  EXPECT_EQ(i.bytes, 4 * (32 * 20 + 20 * 16 + 16 + 32 * 16));
}

TEST(PlanReport, NamesWhatAnInstructionUpdates) {
  const PlanReport report = compile(two_layers(), Device::cpu(1)).report();
  for (const char* result : {"hidden/w", "hidden/b", "output/w", "output/b", "loss"}) {
    EXPECT_TRUE(std::ranges::any_of(report.instructions, [&](const auto& i) {
      return i.text.find(cat("-> ", result)) != i.text.npos;
    })) << result;
  }
}

TEST(PlanReport, SumsAreThoseOfTheInstructions) {
  const Plan plan = compile(two_layers(), Device::cpu(2));
  const PlanReport report = plan.report();
  EXPECT_EQ(report.instructions.size(), plan.instructions());
  EXPECT_EQ(report.arena_bytes, plan.arena_bytes());
  int64_t flops = 0;
  for (const auto& i : report.instructions) flops += i.flops;
  EXPECT_EQ(report.flops(), flops);
  EXPECT_GT(flops, 2 * 32 * (3 * 20 * 16 - 20 * 16 + 3 * 16 * 4));
}

TEST(PlanReport, BuffersInUseTogetherLieApart) {
  const PlanReport report = compile(two_layers(), Device::cpu(1)).report();
  ASSERT_FALSE(report.arena.empty());
  for (const auto& a : report.arena) {
    EXPECT_FALSE(a.holds.empty());
    EXPECT_LE(a.first, a.last);
    EXPECT_LT(a.last, report.instructions.size());
    EXPECT_LE(a.offset + a.bytes, report.arena_bytes);
    for (const auto& b : report.arena) {
      if (&a == &b || a.last < b.first || b.last < a.first) continue;
      EXPECT_TRUE(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset)
          << a.holds << " and " << b.holds;
    }
  }
}

TEST(PlanReport, BodiesOfLoopsFollowTheirLine) {
  Graph body;
  const Value w = body.input("w", {8, 8}), h = body.input("h", {4, 8});
  const Value next = tanh(dot(h, w) + body.input("x", {4, 8}));
  body.output("next", next);
  body.output("stacked", next);
  Graph g;
  const std::vector<Value> consts{g.input("w", {8, 8})}, carries{g.input("h", {4, 8})},
      sequences{g.input("x", {5, 4, 8})};
  const auto results = scan(g, std::move(body), consts, carries, sequences, 5);
  g.output("all", sum(results[1], {1}));
  const PlanReport report = compile(g, Device::cpu(1)).report();
  size_t loop = 0;
  while (report.instructions.at(loop + 1).depth == 0) ++loop;
  const auto& inside = report.instructions[loop + 1];
  EXPECT_EQ(inside.times, 5);
  EXPECT_EQ(inside.flops, 2 * 4 * 8 * 8 + 2 * 4 * 8);
  EXPECT_EQ(report.instructions[loop].flops, 5 * inside.flops);
  EXPECT_EQ(report.instructions[loop].bytes, 5 * inside.bytes);
  for (const auto& buffer : report.arena) {
    EXPECT_LE(buffer.offset + buffer.bytes, report.arena_bytes);
    EXPECT_LT(buffer.last, report.instructions.size());
  }
}

TEST(PlanReport, SaysWhyAnInstructionStandsApart) {
  Graph g;
  const Value x = g.input("x", {8, 16});
  const Value total = sum(exp(x));  // known only when all elements are done
  g.output("share", exp(x) / broadcast_to(total, {8, 16}));
  const PlanReport report = compile(g, Device::cpu(1)).report();
  const bool said = std::ranges::any_of(report.instructions, [](const auto& i) {
    return i.apart.find("it takes none of the elements there one by one") != std::string::npos ||
           i.apart.find("it also needs") != std::string::npos;
  });
  EXPECT_TRUE(said) << to_text(report);
  EXPECT_THAT(to_text(report), HasSubstr("not part of "));
}

TEST(PlanReport, TimesComeWithLimits) {
  Plan plan = compile(two_layers(), Device::cpu(1));
  EXPECT_EQ(plan.report().peak_flops, 0);
  EXPECT_THAT(plan.explain(), Not(HasSubstr("limits")));
  plan.profile(true);
  for (int i = 0; i < 3; ++i) plan.run();
  const PlanReport report = plan.report();
  EXPECT_GT(report.peak_bytes, 0);
  for (const auto& i : report.instructions) {
    EXPECT_GT(i.seconds, 0) << i.text;
    EXPECT_GT(report.seconds_at_limit(i), 0) << i.text;
  }
  EXPECT_THAT(to_text(report), HasSubstr("limits"));
}

TEST(PlanReport, NamesThePasses) {
  const PlanReport report = compile(two_layers(), Device::cpu(1)).report();
  std::vector<std::string> found, wanted;
  for (const auto& pass : report.passes) found.push_back(pass.name);
  for (const auto& pass : passes::pipeline()) wanted.emplace_back(pass.name);
  wanted.emplace_back("lower");
  EXPECT_EQ(found, wanted);
  EXPECT_EQ(report.passes.back().after, report.instructions.size());
}

TEST(PlanReport, OfTheInterpreterListsTheGraph) {
  const Graph g = two_layers();
  const PlanReport report = compile(g, Device::reference()).report();
  EXPECT_EQ(report.instructions.size(), g.size());
  EXPECT_THAT(to_text(report), HasSubstr("tanh f32[32, 16]"));
}

}  // namespace
}  // namespace soma
