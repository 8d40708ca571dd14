// Drawings: well-formed, escaped, complete, and equal to the golden files.
#include <gmock/gmock.h>

#include "soma/gradient.h"
#include "soma/inspect.h"
#include "tests/inspect/xml.h"

namespace soma {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

Network small() { return Network{input({2}), dense(2, tanh), dense(1)}; }

TEST(XmlChecker, FindsFaults) {
  EXPECT_EQ(xml_error("<a b=\"1\"><c/>x &amp; y</a>"), "");
  for (const char* wrong : {"<a>", "<a></b>", "<a b=\"1\" b=\"2\"/>", "<a>&</a>", "<a b=1/>", "",
                            "<a/></a>", "<a><b></a></b>", "<a b=\"<\"/>", "x<a/>"}) {
    EXPECT_NE(xml_error(wrong), "") << wrong;
  }
}

TEST(DrawNetwork, SmallNetworksShowEveryNeuronAndLink) {
  Network net = small();
  net.initialize(1);
  const std::string svg = draw_network(net);
  EXPECT_EQ(xml_error(svg), "");
  EXPECT_EQ(count(svg, "class=\"neuron\""), 3u);
  EXPECT_EQ(count(svg, "class=\"data\""), 2u);
  EXPECT_EQ(count(svg, "class=\"positive\"") + count(svg, "class=\"negative\""), 2u * 2 + 2);
  EXPECT_EQ(count(svg, "class=\"dot\""), 0u);
  EXPECT_THAT(svg, HasSubstr("prefers-color-scheme:dark"));
  for (const char* foreign : {"href", "url(", "<script", "@import"}) {
    EXPECT_THAT(svg, Not(HasSubstr(foreign)));
  }
}

TEST(DrawNetwork, StrongerLinksAreDarker) {
  Network net = small();
  net.neuron("output", 0).set_weights(std::vector<float>{1, -0.5f});
  const std::string svg = draw_network(net);
  EXPECT_THAT(svg, HasSubstr("opacity=\"0.9\"><title>hidden1 0 → output 0: 1</title>"));
  EXPECT_THAT(svg, HasSubstr("opacity=\"0.5\"><title>hidden1 1 → output 0: -0.5</title>"));
}

TEST(DrawNetwork, LinksOfOnesOwnChoiceAreDrawnOneByOne) {
  Network net = Network::parse(
      "input 3 name=a, input 2 name=b, sparse 2 [i0>0:1 i4>1:-1] name=s from=a+b, wired 2 [i0>0:1 "
      "i1>1:2 "
      "0>1:-3] name=w");
  net.initialize(1);
  const std::string svg = draw_network(net);
  EXPECT_EQ(xml_error(svg), "");
  EXPECT_EQ(count(svg, "class=\"positive\"") + count(svg, "class=\"negative\""), 2u + 3u);
  EXPECT_THAT(svg, HasSubstr("b 1 → s 1: -1"));
  EXPECT_THAT(svg, HasSubstr("w 0 → w 1: -3"));
  EXPECT_EQ(count(svg, "class=\"data\""), 5u);
}

TEST(DrawNetwork, BigLayersHaveAnEllipsis) {
  Network net{input({28, 28}), dense(128, relu), dense(10)};
  const std::string svg = draw_network(net);
  EXPECT_EQ(xml_error(svg), "");
  EXPECT_EQ(count(svg, "class=\"dot\""), 6u);
  EXPECT_EQ(count(svg, "class=\"neuron\""), 11u + 10u);
  EXPECT_THAT(svg, HasSubstr("128 neurons"));
  EXPECT_LT(svg.size(), 200'000u);
}

TEST(DrawNetwork, StepsSkipsFrozenAndOwnActivations) {
  Network net{input({3}), dense({relu, tanh}).named("h"), dense(4).named("o").from({"h", "input"}),
              activation(softmax)};
  net.freeze("h", 1);
  const std::string svg = draw_network(net);
  EXPECT_EQ(xml_error(svg), "");
  EXPECT_EQ(count(svg, "class=\"frozen\""), 1u);
  EXPECT_EQ(count(svg, "class=\"step\""), 1u);
  EXPECT_THAT(svg, HasSubstr(" C"));  // curves past the layer in between
  EXPECT_THAT(svg, HasSubstr(">tanh</text>"));
}

TEST(DrawNetwork, GoldenDot) {
  const Network net{input({2}), dense(2, tanh), dense(1).from({"hidden1", "input"})};
  EXPECT_EQ(draw_network(net, {.format = DrawFormat::dot}), R"(digraph network {
  rankdir=LR;
  node [shape=box, style=rounded];
  "input" [label="input\n2 numbers\ndata, not counted", style=dashed];
  "hidden1" [label="hidden1\n2 neurons\ntanh"];
  "input" -> "hidden1" [label="4 links"];
  "output" [label="output\n1 neuron\nidentity"];
  "hidden1" -> "output" [label="2 links"];
  "input" -> "output" [label="2 links"];
}
)");
}

TEST(DrawGraph, GoldenDot) {
  Graph graph;
  const Value x = graph.input("x", {1, 2});
  Value y;
  {
    const Graph::Scope scope(graph, "h");
    y = tanh(dot(x, graph.parameter("w", {2, 3})) * 2.0);
  }
  graph.output("y", y);
  EXPECT_EQ(draw_graph(graph, DrawFormat::dot), R"(digraph graph_of_nodes {
  {
    n0 [shape=ellipse, label="x\ndata f32[1, 2]"];
    n5 [shape=doubleoctagon, label="y\noutput"];
  }
  subgraph cluster_0 {
    label="h";
    n1 [shape=ellipse, label="h/w\nparameter f32[2, 3]"];
    n2 [shape=box, label="dot\nf32[1, 3]"];
    n3 [shape=box, label="mul (2)\nf32[1, 3]"];
    n4 [shape=box, label="tanh\nf32[1, 3]"];
  }
  n0 -> n2;
  n1 -> n2;
  n2 -> n3;
  n3 -> n4;
  n4 -> n5;
}
)");
}

TEST(DrawGraph, WholeTrainingGraphsAreWellFormed) {
  const Network net{input({4}), dense(5, gelu), dense(3)};
  Graph graph;
  const Value out = net.build(graph, graph.input("x", {2, 4}), {.mode = BuildMode::training});
  const Value loss = cross_entropy()(out, graph.input("label", {2}, i32));
  std::vector<Value> parameters;
  for (const Id id : graph.inputs()) {
    if (graph[id].as<InputAttr>().kind == InputKind::parameter) parameters.push_back({&graph, id});
  }
  const auto found = gradients(loss, parameters);
  for (size_t i = 0; i < found.size(); ++i) graph.update(parameters[i], parameters[i] - found[i]);
  graph.output("loss", loss);
  const std::string svg = draw_graph(graph);
  EXPECT_EQ(xml_error(svg), "");
  EXPECT_EQ(count(svg, ">update</text>"), 4u);
  EXPECT_EQ(count(svg, ">output</text>"), 1u);
}

TEST(DrawGraph, NamesAreEscaped) {
  Graph graph;
  graph.output("<&\"'>\x01", graph.input("a<b & \"c\"", {1}));
  EXPECT_EQ(xml_error(draw_graph(graph)), "");
  EXPECT_THAT(draw_graph(graph, DrawFormat::dot), HasSubstr(R"(a<b & \"c\")"));
}

TEST(DrawGraph, AnEmptyGraphIsADrawingToo) { EXPECT_EQ(xml_error(draw_graph(Graph())), ""); }

TEST(Summary, JsonHasTheCounts) {
  const Network net{input({28, 28}), dense(128, relu), dense(10)};
  const std::string json = summary(net, SummaryFormat::json);
  for (const char* part : {"\"parameters\": 101770", "\"links\": 101632", "\"neurons\": 138",
                           "\"layer_count\": 2", "\"name\": \"hidden1\""}) {
    EXPECT_THAT(json, HasSubstr(part));
  }
}

}  // namespace
}  // namespace soma
