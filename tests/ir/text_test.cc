// print() and parse(): the text of a graph reads back to an equal graph, and whatever is wrong with
// a text is answered with line and column.
#include <gmock/gmock.h>

#include <limits>

#include "soma/error.h"
#include "soma/graph.h"

namespace soma {
namespace {

using testing::HasSubstr;

std::string complaint(std::string_view text) {
  try {
    (void)parse(text);
  } catch (const GraphError& e) {
    return e.what();
  }
  return "nothing was thrown";
}

Graph small_network() {
  Graph g;
  const Value x = g.input("x", {32, 784});
  Value h;
  {
    const Graph::Scope scope(g, "hidden");
    const Value w = g.parameter("weights", {10, 784}, "glorot_uniform");
    h = tanh(dot(x, w, false, true));
    g.update(w, w * 0.5);
  }
  g.output("y", h);
  return g;
}

TEST(Print, OneNodeALine) {
  EXPECT_EQ(print(small_network()), R"(%0 = input(name="x" kind=data shape=[32, 784] type=f32)
%1 = input(name="hidden/weights" kind=parameter shape=[10, 784] type=f32 init="glorot_uniform")  # hidden
%2 = dot(%0, %1 transpose_b=true) : f32[32, 10]  # hidden
%3 = tanh(%2) : f32[32, 10]  # hidden
%4 = constant(value=0.5 type=f32)  # hidden
%5 = broadcast(%4 shape=[10, 784] dims=[]) : f32[10, 784]  # hidden
%6 = mul(%1, %5) : f32[10, 784]  # hidden
output "y" = %3
update %1 = %6
)");
}

TEST(Print, BodiesAreIndented) {
  Graph g;
  const Value x = g.input("x", {3});
  g.output("y", call("half", {x}, [](const auto& in) { return in[0] * 0.5; }));
  EXPECT_EQ(print(g), R"(%0 = input(name="x" kind=data shape=[3] type=f32)
%1 = call(%0 name="half" body={
  %0 = input(name="x0" kind=data shape=[3] type=f32)
  %1 = constant(value=0.5 type=f32)
  %2 = broadcast(%1 shape=[3] dims=[]) : f32[3]
  %3 = mul(%0, %2) : f32[3]
  output "y" = %3
})
%2 = get(%1 index=0) : f32[3]
output "y" = %2
)");
}

void expect_round_trip(const Graph& graph) {
  const std::string text = print(graph);
  const Graph again = parse(text);
  EXPECT_EQ(graph, again);
  EXPECT_EQ(text, print(again));
  for (Id id = 0; id < graph.size(); ++id) {
    EXPECT_EQ(graph.scope_of(graph[id]).name, again.scope_of(again[id]).name);
  }
}

TEST(Parse, ReadsWhatPrintWrites) {
  expect_round_trip(Graph());
  expect_round_trip(small_network());
}

TEST(Parse, KeepsEveryNumberAndName) {
  Graph g;
  using Limits = std::numeric_limits<double>;
  int n = 0;
  for (const double v : {0.1, -0.0, 0.0, 1e300, Limits::denorm_min(), Limits::infinity(),
                         -Limits::infinity(), Limits::quiet_NaN(), -Limits::quiet_NaN()}) {
    g.output("out" + std::to_string(n++), g.constant(v, f64));
  }
  g.output("quote\" back\\slash\nline\ttab\x01 \x7f caf\xc3\xa9", g.constant(1, u8));
  {
    const Graph::Scope outer(g, " spaced \"scope\"\n");
    const Graph::Scope inner(g, "#2");
    g.parameter("w", {}, "");
  }
  expect_round_trip(g);
  EXPECT_EQ(g.constant(Limits::quiet_NaN(), f64), g.constant(-Limits::quiet_NaN(), f64));
}

TEST(Parse, AllowsBlankLinesAndNoFinalLineEnd) {
  const Graph g = parse("\n  %0 = constant( value=1 type=i32 )\n\n\noutput \"y\" = %0");
  EXPECT_EQ(g.size(), 1u);
  EXPECT_EQ(g.outputs()[0].name, "y");
}

struct Malformed {
  const char* text;
  const char* message;
};
TEST(Parse, SaysWhereAndWhat) {
  const char* x = "%0 = input(name=\"x\" kind=data shape=[2, 3] type=f32)\n";
  const Malformed cases[] = {
      {"hello", "line 1, column 1: expected a node, found \"hello\""},
      {"%1 = constant(value=1 type=f32)", "line 1, column 1: expected node %0"},
      {"%x", "line 1, column 2: expected a node number, found \"x\""},
      {"%99999999999 = ", "column 2: a node number is out of range"},
      {"%0 constant", "column 4: expected \"=\", found \"constant\""},
      {"%0 = konstant(value=1)", "column 6: unknown op \"konstant\"; did you mean \"constant\"?"},
      {"%0 = constant(", "expected the field value, found the end of the text"},
      {"%0 = constant(value=one type=f32)", "expected a number, found \"one type=f32"},
      {"%0 = constant(value=1e999 type=f32)", "a number is out of range"},
      {"%0 = constant(value=1 type=f16)", "column 28: unknown element type \"f16\""},
      {"%0 = constant(value=1 type=f32 size=2)", "the field \"size\" does not belong here"},
      {"%0 = constant(value=1 type=f32) : f32[]",
       "expected the end of the line, found \": f32[]\""},
      {"%0 = constant(value=1 type=f32) # ", "expected the name of a layer"},
      {"%0 = input(name=\"x", "expected \"\"\", found the end of the text"},
      {"%0 = input(name=\"x\\", "the text ends inside an escape"},
      {"%0 = input(name=\"\\q\"", "column 18: unknown escape"},
      {"%0 = input(name=\"x\" kind=date", "expected one of data, parameter, state, found \"date\""},
      {"%0 = iota(shape=[1, 2, 3, 4, 5, 6, 7, 8, 9] axis=0 type=f32)", "at most eight numbers"},
      {"%0 = iota(shape=[-1] axis=0 type=f32)", "iota: the shape [-1] has a negative extent"},
      {"%0 = iota(shape=[9223372036854775807, 2] axis=0 type=f32)", "too many elements"},
      {"%0 = neg(%0) : f32[]", "line 1, column 11: node %0 does not exist yet"},
      {"%0 = constant(value=1 type=f32)\n%1 = add(%0) : f32[]", "line 2, column 1: add: takes 2"},
      {"%0 = constant(value=1 type=f32)\n%1 = neg(%0) : f32[2]",
       "line 2, column 16: says f32[2] but the node works out to f32[]"},
      {"%0 = constant(value=1 type=f32)\n%1 = constant(value=1 type=f32)",
       "line 2, column 1: repeats node %0"},
      {"%0 = constant(value=1 type=f32)\noutput y = %0", "line 2, column 8: expected \"\"\""},
      {"%0 = constant(value=1 type=f32)\noutput \"y\" = %1", "node %1 does not exist yet"},
      {"%0 = constant(value=1 type=f32)\noutput \"y\" = %0\noutput \"y\" = %0",
       "line 3, column 1: the graph has an output named \"y\""},
      {"%0 = constant(value=1 type=f32)\nupdate %0 = %0", "only a parameter or a state"},
      {"%0 = constant(value=1 type=f32)\n%1 = call(%0, name=\"f\")", "expected \"%\""},
      {"%0 = call(name=\"f\" body={\n  %0 = neg(%0) : f32[]\n})", "line 2, column 13: node %0"},
      {"%0 = call(name=\"f\" body={})\n%1 = neg(%0) : f32[]", "take one of its results"},
      {"%0 = call(name=\"f\" body={})\noutput \"y\" = %0", "which is not a value"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(complaint(text), HasSubstr(message)) << text;
  }
  EXPECT_THAT(complaint(std::string(x) + x), HasSubstr("line 2"));
}

TEST(Parse, LimitsTheNestingOfBodies) {
  const auto nested = [](int depth) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += "%0 = call(name=\"f\" body={\n";
    for (int i = 0; i < depth; ++i) text += "})\n";
    return text;
  };
  EXPECT_EQ(parse(nested(16)).size(), 1u);
  EXPECT_THAT(complaint(nested(17)), HasSubstr("line 17, column 26: bodies are nested more"));
  EXPECT_THAT(complaint(nested(100000)), HasSubstr("bodies are nested more than 16 deep"));
}

}  // namespace
}  // namespace soma
