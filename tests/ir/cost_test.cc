// Counts of floating-point operations.
#include "src/ir/cost.h"

#include <gtest/gtest.h>

namespace soma {
namespace {

TEST(Cost, CountsProductsApartFromTheRest) {
  Graph g;
  const Value a = g.input("a", {2, 3}), b = g.input("b", {3, 4});
  g.output("y", dot(a, b) + 1.0);
  EXPECT_EQ(flops(g), 2 * 2 * 3 * 4 + 2 * 4);
  EXPECT_EQ(product_flops(g), 2 * 2 * 3 * 4);
}

TEST(Cost, CountsEachStepOfALoop) {
  Graph body;
  const Value h = body.input("h", {1, 3}), w = body.input("w", {3, 3});
  body.output("h", dot(h, w));
  body.output("w", w);
  Graph g;
  const Value carries[] = {g.input("h", {1, 3}), g.input("w", {3, 3})};
  g.output("last", scan(g, std::move(body), {}, carries, {}, 10)[0]);
  EXPECT_EQ(product_flops(g), 10 * 2 * 3 * 3);
}

}  // namespace
}  // namespace soma
