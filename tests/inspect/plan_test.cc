// Reports of plans as JSON and as a drawing.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "soma/inspect.h"
#include "tests/inspect/xml.h"

namespace soma {
namespace {

PlanReport report_of_small() {
  const Network net{input({6}), dense(5, tanh), dense(4, relu), dense(3)};
  return compile(net.inference_graph(16), Device::cpu(1)).report();
}

TEST(PlanJson, HasEveryRowAndTheSums) {
  const PlanReport report = report_of_small();
  const auto json = nlohmann::json::parse(to_json(report));
  ASSERT_EQ(json["instructions"].size(), report.instructions.size());
  EXPECT_EQ(json["arena"].size(), report.arena.size());
  EXPECT_EQ(json["passes"].size(), report.passes.size());
  EXPECT_EQ(json["flops"], report.flops());
  EXPECT_EQ(json["bytes"], report.bytes());
  const auto& first = json["instructions"][0];
  EXPECT_EQ(first["text"], report.instructions[0].text);
  EXPECT_EQ(first["parts"][0]["layer"], "hidden1");
  EXPECT_EQ(first["parts"][0]["ops"][0], "add");
  EXPECT_EQ(first["flops"], report.instructions[0].flops);
}

TEST(DrawMemory, HasABoxForEachBuffer) {
  const PlanReport report = report_of_small();
  const std::string svg = draw_memory(report);
  EXPECT_EQ(xml_error(svg), "");
  size_t boxes = 0;
  for (size_t at = svg.find("class=\"box\""); at != svg.npos;
       at = svg.find("class=\"box\"", at + 1))
    ++boxes;
  ASSERT_GE(report.arena.size(), 2u);
  EXPECT_EQ(boxes, report.arena.size());
  for (const auto& buffer : report.arena) {
    EXPECT_NE(svg.find(buffer.holds), svg.npos) << buffer.holds;
  }
  EXPECT_EQ(xml_error(draw_memory(PlanReport{})), "");
}

}  // namespace
}  // namespace soma
