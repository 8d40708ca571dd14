// The builder: shapes, broadcasting, hash-consing, and messages that name the layer.
#include <gmock/gmock.h>

#include "soma/error.h"
#include "soma/graph.h"

namespace soma {
namespace {

using testing::HasSubstr;

template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "nothing was thrown";
}

TEST(Builder, BroadcastsLikeNumpy) {
  Graph g;
  const Value x = g.input("x", {32, 10}), b = g.input("b", {10}), c = g.input("c", {32, 1});
  EXPECT_EQ((x + b).shape(), (Shape{32, 10}));
  EXPECT_EQ((x * c).shape(), (Shape{32, 10}));
  EXPECT_EQ((c + b).shape(), (Shape{32, 10}));
  EXPECT_THAT(message_of<ShapeError>([&] { (void)(x + g.input("d", {11})); }),
              HasSubstr("[32, 10] and [11] do not broadcast"));
}

TEST(Builder, EqualNodesAreBuiltOnce) {
  Graph g;
  const Value x = g.input("x", {4}), y = g.input("y", {4});
  EXPECT_EQ(x + y, y + x);
  EXPECT_EQ(exp(x * 2.0), exp(x * 2.0));
  EXPECT_FALSE(x - y == y - x);
  EXPECT_FALSE(x * 0.0 == x * -0.0);
}

TEST(Builder, ErrorsNameTheLayer) {
  Graph g;
  const Value x = g.input("x", {32, 100});
  const std::string message = message_of<ShapeError>([&] {
    const Graph::Scope scope(g, "fc2", Where{"network.cc", 41});
    (void)dot(x, g.parameter("weights", {128, 10}));
  });
  EXPECT_EQ(message,
            "layer \"fc2\": dot: inner sizes differ: the input is [32, 100], the weights are "
            "[128, 10]; expected an input of 128 features (network.cc:41)");
  EXPECT_THAT(message_of<TypeError>([&] { (void)exp(g.input("i", {2}, i32)); }),
              HasSubstr("needs f32 or f64, not i32"));
  EXPECT_THAT(message_of<GraphError>([&] { g.input("x", {1}); }), HasSubstr("named \"x\" already"));
  EXPECT_THAT(message_of<GraphError>([&] { g.find_input("z"); }), HasSubstr("no input named"));
}

TEST(Builder, SpliceCopiesWhatIsNeeded) {
  Graph body;
  const Value a = body.input("a", {2}), b = body.input("b", {2});
  (void)sin(b);  // not needed
  body.output("y", exp(a) + b);
  Graph g;
  const Value x = g.input("x", {2});
  const auto y = g.splice(body, std::vector<Value>{x, x});
  EXPECT_EQ(y[0], exp(x) + x);
  EXPECT_EQ(g.size(), 3u);
}

TEST(Builder, BodiesCompareByContent) {
  Graph g;
  const Value x = g.input("x", {2, 3});
  const auto twice = [](const std::vector<Value>& in) { return in[0] * 2.0; };
  EXPECT_EQ(call("twice", {x}, twice), call("twice", {x}, twice));
  EXPECT_EQ(g.size(), 3u);  // x, the call, its result
}

}  // namespace
}  // namespace soma
