// Initializers: moments, limits, orthogonality, independence of names, text.
#include "tests/expect_error.h"
#include "tests/nn/evaluate.h"

namespace soma::test {

namespace {

Tensor made(const std::string& init, Shape shape, std::string name = "w", uint64_t seed = 1) {
  return initial_value({std::move(name), InputKind::parameter, shape, f64, init}, seed);
}

struct Moments {
  double mean = 0, variance = 0, largest = 0;
};
Moments moments(const Tensor& tensor) {
  Moments m;
  const auto n = static_cast<double>(tensor.elements());
  for (const double x : numbers(tensor))
    m.mean += x / n, m.largest = std::max(m.largest, std::abs(x));
  for (const double x : numbers(tensor)) m.variance += (x - m.mean) * (x - m.mean) / n;
  return m;
}

}  // namespace

TEST(Initializers, MomentsAreThoseOfTheFormula) {
  const Shape shape{200, 100};  // fan_in 200, fan_out 100
  const std::vector<std::pair<std::string, double>> variances{
      {"glorot_uniform", 2 / 300.0}, {"glorot_normal", 2 / 300.0}, {"he_uniform", 2 / 200.0},
      {"he_normal", 2 / 200.0},      {"lecun_uniform", 1 / 200.0}, {"lecun_normal", 1 / 200.0},
      {"normal(std=0.02)", 0.0004},  {"uniform(low=-3 high=3)", 3}};
  for (const auto& [text, variance] : variances) {
    const Moments m = moments(made(text, shape));
    EXPECT_NEAR(m.variance / variance, 1, 0.04) << text;
    EXPECT_NEAR(m.mean / std::sqrt(variance), 0, 0.02) << text;
    if (text.find("uniform") != std::string::npos) {
      EXPECT_LE(m.largest, std::sqrt(3 * variance)) << text;
      EXPECT_GT(m.largest, 0.99 * std::sqrt(3 * variance)) << text;
    }
  }
  EXPECT_NEAR(moments(made("normal(std=1 mean=5)", shape)).mean, 5, 0.03);
}

TEST(Initializers, FansOfConvolutions) {
  EXPECT_EQ(fans({8, 4, 3, 3}), (std::pair<double, double>(36, 72)));
  EXPECT_EQ(fans({10, 20}), (std::pair<double, double>(10, 20)));
  EXPECT_EQ(fans({7}), (std::pair<double, double>(7, 7)));
}

TEST(Initializers, OrthogonalRowsOrColumns) {
  for (const Shape& shape : {Shape{5, 5}, Shape{3, 8}, Shape{8, 3}, Shape{4, 2, 3, 3}}) {
    const Tensor w = made("orthogonal(gain=2)", shape);
    const int64_t rows = shape[0], columns = w.elements() / rows;
    const bool wide = rows <= columns;
    const int64_t few = std::min(rows, columns), many = std::max(rows, columns);
    for (int64_t i = 0; i < few; ++i) {
      for (int64_t j = 0; j < few; ++j) {
        double product = 0;
        for (int64_t k = 0; k < many; ++k) {
          product += wide ? w.at(i * columns + k) * w.at(j * columns + k)
                          : w.at(k * columns + i) * w.at(k * columns + j);
        }
        EXPECT_NEAR(product, i == j ? 4 : 0, 1e-12) << shape;
      }
    }
  }
}

TEST(Initializers, NumbersAndConstants) {
  EXPECT_EQ(numbers(made("0.5", {2})), (std::vector<double>{0.5, 0.5}));
  EXPECT_EQ(numbers(made("zeros", {2})), (std::vector<double>{0, 0}));
  EXPECT_EQ(numbers(made("ones", {2})), (std::vector<double>{1, 1}));
  EXPECT_EQ(numbers(made("constant(3)", {2})), (std::vector<double>{3, 3}));
  EXPECT_EQ(numbers(made("1", {}))[0], 1);
  EXPECT_EQ(made("he_normal", {0, 4}).elements(), 0);
  EXPECT_EQ(made("orthogonal", {0, 4}).elements(), 0);
}

TEST(Initializers, DependOnSeedAndNameAlone) {
  EXPECT_EQ(made("he_normal", {4, 4}), made("he_normal", {4, 4}));
  EXPECT_FALSE(made("he_normal", {4, 4}) == made("he_normal", {4, 4}, "other"));
  EXPECT_FALSE(made("he_normal", {4, 4}) == made("he_normal", {4, 4}, "w", 2));
  Graph small, large;
  small.parameter("second", {3, 3}, "he_normal");
  large.parameter("first", {9}, "he_normal");
  large.parameter("second", {3, 3}, "he_normal");
  large.state("count", {}, "4", i64);
  large.input("x", {3});
  const Tensors all = initialize(large, 5);
  EXPECT_EQ(initialize(small, 5).at("second"), all.at("second"));
  EXPECT_EQ(all.size(), 3u);
  EXPECT_EQ(all.at("count").at(0), 4);
}

TEST(Initializers, BadTextsNameTheParameter) {
  EXPECT_ERROR(ArgumentError, made("he_norml", {2}, "hidden/weights"), "hidden/weights",
               "he_normal");
  EXPECT_ERROR(ArgumentError, made("normal(std=-1)", {2}), "std", "[0,inf)");
  EXPECT_NO_THROW(check_initializer("0.25"));
  EXPECT_NO_THROW(check_initializer("normal(std=0.02)"));
  EXPECT_ERROR(ArgumentError, check_initializer("?"), "?");
}

}  // namespace soma::test
