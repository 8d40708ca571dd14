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
      {"glorot_uniform", 2 / 300.0},
      {"glorot_normal", 2 / 300.0},
      {"he_uniform", 2 / 200.0},
      {"he_normal", 2 / 200.0},
      {"lecun_uniform", 1 / 200.0},
      {"lecun_normal", 1 / 200.0},
      {"normal(std=0.02)", 0.0004},
      {"glorot_normal(gain=2)", 8 / 300.0},
      {"he_uniform(a=1)", 1 / 200.0},
      {"he_normal(mode=fan_out)", 2 / 100.0},
      {"pytorch_uniform", 1 / 600.0},
      {"pytorch_uniform(fan_in=50)", 1 / 150.0},
      {"siren(omega=10)", 0.02 / 200},
      {"siren(first=true)", 1 / 120000.0},
      {"variance_scaling", 1 / 200.0},
      {"variance_scaling(2 fan_avg uniform)", 2 / 150.0},
      {"variance_scaling(2 fan_geo_avg normal)", 2 / std::sqrt(20000)},
      {"variance_scaling(mode=fan_out)", 1 / 100.0},
      // A normal number cut at two deviations has the variance 1 - 4 phi(2) / (2 Phi(2) - 1).
      {"truncated_normal(std=0.1)", 0.01 * 0.7737413},
      {"uniform(low=-3 high=3)", 3}};
  for (const auto& [text, variance] : variances) {
    const Moments m = moments(made(text, shape));
    EXPECT_NEAR(m.variance / variance, 1, 0.04) << text;
    EXPECT_NEAR(m.mean / std::sqrt(variance), 0, 0.02) << text;
    if (text.find("uniform") != std::string::npos || text.starts_with("siren")) {
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

TEST(Initializers, TruncatedStaysWithinItsCut) {
  EXPECT_LE(moments(made("truncated_normal(std=0.1)", {100, 100})).largest, 0.2);
  EXPECT_GT(moments(made("truncated_normal(std=0.1)", {100, 100})).largest, 0.195);
  EXPECT_LE(moments(made("truncated_normal(std=0.1 cut=1)", {100, 100})).largest, 0.1);
}

TEST(Initializers, IdentitiesOfMatricesAndConvolutions) {
  EXPECT_EQ(numbers(made("identity(gain=2)", {2, 3})), (std::vector<double>{2, 0, 0, 0, 2, 0}));
  // A convolution that starts as dirac hands each channel on.
  const Tensor dirac = made("dirac(groups=2)", {4, 2, 3});
  for (int64_t i = 0; i < dirac.elements(); ++i) {
    const int64_t to = i / 6, from = i / 3 % 2, place = i % 3;
    EXPECT_EQ(dirac.at(i), from == to % 2 && place == 1 ? 1 : 0) << i;
  }
  EXPECT_EQ(made("dirac", {1, 1, 3, 5}).at(1 * 5 + 2), 1);
  const Tensor delta = made("delta_orthogonal(gain=3)", {4, 2, 3, 3});
  double squares = 0, product = 0, outside = 0;
  for (int64_t to = 0; to < 4; ++to) {
    const double a = delta.at((to * 2 + 0) * 9 + 4), b = delta.at((to * 2 + 1) * 9 + 4);
    squares += a * a;
    product += a * b;
    for (int64_t k = 0; k < 18; ++k) outside += k % 9 == 4 ? 0 : std::abs(delta.at(to * 18 + k));
  }
  EXPECT_NEAR(squares, 9, 1e-12);
  EXPECT_NEAR(product, 0, 1e-12);
  EXPECT_EQ(outside, 0);
}

TEST(Initializers, LinksIntoEachNeuron) {
  const Tensor sparse = made("sparse(sparsity=0.75 std=1)", {8, 5});
  const Tensor kernel = made("sparse(sparsity=0.75 std=1)", {5, 4, 2});
  for (int64_t neuron = 0; neuron < 5; ++neuron) {
    int links = 0, kernel_links = 0;
    for (int64_t i = 0; i < 8; ++i) {
      links += sparse.at(i * 5 + neuron) != 0;
      kernel_links += kernel.at(neuron * 8 + i) != 0;
    }
    EXPECT_EQ(links, 2);
    EXPECT_EQ(kernel_links, 2);
  }
  const Tensor widrow = made("nguyen_widrow", {2, 9});
  for (int64_t neuron = 0; neuron < 9; ++neuron) {
    EXPECT_NEAR(std::hypot(widrow.at(neuron), widrow.at(9 + neuron)), 0.7 * 3, 1e-12);
  }
}

TEST(Initializers, KernelsAndLists) {
  const Tensor four = made("bilinear", {1, 1, 4, 4}), three = made("bilinear", {2, 1, 3});
  const std::vector<double> side{0.25, 0.75, 0.75, 0.25};
  for (size_t i = 0; i < 16; ++i) {
    EXPECT_NEAR(four.at(static_cast<int64_t>(i)), side[i / 4] * side[i % 4], 1e-15);
  }
  EXPECT_EQ(numbers(three), (std::vector<double>{0.5, 1, 0.5, 0.5, 1, 0.5}));
  EXPECT_EQ(numbers(made("values([1 -2 3 4])", {2, 2})), (std::vector<double>{1, -2, 3, 4}));
  EXPECT_ERROR(ArgumentError, made("values([1 2])", {3}), "2 numbers", "3");
  EXPECT_ERROR(ArgumentError, made("dirac", {3, 3}), "convolutions");
  EXPECT_ERROR(ArgumentError, made("dirac(groups=2)", {3, 1, 3}), "3 channels", "2 groups");
  EXPECT_ERROR(ArgumentError, made("identity", {3}), "matrices");
  EXPECT_ERROR(ArgumentError, made("variance_scaling(mode=fan)", {3, 3}), "fan_in, fan_out");
}

TEST(Initializers, EveryRowFillsAnArrayItSuits) {
  for (const InitializerRow& row : initializers()) {
    EXPECT_FALSE(row.formula.empty()) << row.name;
    std::string text = row.name == "values" ? "values([1 2 3 4 5 6 7 8])" : example_text(row);
    const bool matrix = row.name == "identity";
    const Tensor filled = made(text, matrix ? Shape{4, 2} : Shape{2, 2, 2});
    for (const double x : numbers(filled)) EXPECT_TRUE(std::isfinite(x)) << text;
  }
}

TEST(Initializers, GainsOfActivations) {
  EXPECT_EQ(gain_of("linear"), 1);
  EXPECT_NEAR(gain_of("tanh"), 5.0 / 3, 1e-15);
  EXPECT_NEAR(gain_of("leaky_relu", 0.2), std::sqrt(2 / 1.04), 1e-15);
  EXPECT_ERROR(ArgumentError, gain_of("rellu"), "rellu", "leaky_relu");
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
