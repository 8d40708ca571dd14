// The regularizers against loops written by hand, and penalties over parameters by name.
#include "soma/regularizers.h"

#include "soma/gradcheck.h"
#include "tests/expect_error.h"
#include "tests/nn/evaluate.h"
#include "tests/nn/function.h"

namespace soma::test {

namespace {

double penalty(const Regularizer& regularizer, const Tensor& w) {
  return value_of([&](auto in) { return regularizer(in[0]); }, {w}).at(0);
}

}  // namespace

TEST(Regularizers, AreTheirFormulas) {
  const Tensor w = points({2, 3});
  double sizes = 0, squares = 0, rows = 0, gram[2][2] = {};
  for (int64_t i = 0; i < 6; ++i) sizes += std::abs(w.at(i)), squares += w.at(i) * w.at(i);
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 2; ++j)
      for (int64_t k = 0; k < 3; ++k) gram[i][j] += w.at(i * 3 + k) * w.at(j * 3 + k);
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 2; ++j) rows += std::pow(gram[i][j] - (i == j), 2);
  EXPECT_NEAR(penalty(l1(0.1), w), 0.1 * sizes, 1e-12);
  EXPECT_NEAR(penalty(l2(0.1), w), 0.1 * squares, 1e-12);
  EXPECT_NEAR(penalty(l1l2(0.1, 0.2), w), 0.1 * sizes + 0.2 * squares, 1e-12);
  EXPECT_NEAR(penalty(orthogonal(0.1), w), 0.1 * rows, 1e-12);
  const double cosine = gram[0][1] / std::sqrt(gram[0][0] * gram[1][1]);
  EXPECT_NEAR(penalty(cosine_orthogonal(0.1), w), 0.1 * std::abs(cosine), 1e-12);
  // The same neurons in columns, and a narrow matrix has the smaller product.
  Tensor t({3, 2}, f64);
  for (int64_t i = 0; i < 6; ++i) t.set(i % 3 * 2 + i / 3, w.at(i));
  EXPECT_NEAR(penalty(cosine_orthogonal(0.1, true), t), 0.1 * std::abs(cosine), 1e-12);
  EXPECT_NEAR(penalty(orthogonal(0.1), t), 0.1 * rows, 1e-12);
}

TEST(Regularizers, EveryRowHasGradientsAndText) {
  for (const RegularizerRow& row : regularizers()) {
    const Regularizer regularizer = regularizer_named(example_text(row));
    EXPECT_EQ(regularizer_named(regularizer.text()), regularizer);
    EXPECT_FALSE(row.formula.empty() || row.source.empty()) << row.name;
    expect_sound([&](auto in) { return regularizer(in[0]); }, {points({3, 2, 2})});
  }
  EXPECT_ERROR(ArgumentError, regularizer_named("l3(1)"), "l3");
  EXPECT_ERROR(ArgumentError, l2(-1), "rate");
}

TEST(Regularizers, PenaltiesByName) {
  Graph graph;
  const Value a = graph.parameter("hidden1/weights", {2, 3}, "0.5");
  graph.parameter("hidden1/bias", {3}, "2");
  const Value b = graph.parameter("output/weights", {3, 1}, "0.25");
  const auto of = [&](std::string_view pattern) {
    return evaluate(graph, penalty_of(graph, l2(1), pattern), {}).at(0);
  };
  EXPECT_NEAR(of("*/weights"), 6 * 0.25 + 3 * 0.0625, 1e-6);
  EXPECT_NEAR(of("hidden1/*"), 6 * 0.25 + 3 * 4, 1e-6);
  EXPECT_NEAR(of("output/weights"), 3 * 0.0625, 1e-6);
  EXPECT_ERROR(ArgumentError, of("*/gain"), "*/gain");
  EXPECT_ERROR(ShapeError, orthogonal(1)(graph.find_input("hidden1/bias")), "[3]", "two axes");
  EXPECT_TRUE(a && b);
}

}  // namespace soma::test
