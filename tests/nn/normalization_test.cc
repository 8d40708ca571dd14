// The normalizations against loops written by hand, gradients to second order, the CPU against the
// interpreter, and the sentences for shapes that do not fit.
#include "soma/normalization.h"

#include <limits>

#include "soma/gradcheck.h"
#include "tests/exec/compare.h"
#include "tests/expect_error.h"
#include "tests/nn/evaluate.h"
#include "tests/nn/function.h"

namespace soma::test {

namespace {

// Rows of `width` numbers: (x - mean) / sqrt(variance + eps), or without the mean.
std::vector<double> standardized_rows(const Tensor& x, int64_t width, double eps, bool centre) {
  std::vector<double> result;
  for (int64_t row = 0; row < x.elements() / width; ++row) {
    double mean = 0, size = 0;
    for (int64_t i = 0; i < width; ++i) mean += x.at(row * width + i) / static_cast<double>(width);
    if (!centre) mean = 0;
    for (int64_t i = 0; i < width; ++i) {
      const double d = x.at(row * width + i) - mean;
      size += d * d / static_cast<double>(width);
    }
    for (int64_t i = 0; i < width; ++i) {
      result.push_back((x.at(row * width + i) - mean) / std::sqrt(size + eps));
    }
  }
  return result;
}

}  // namespace

TEST(Normalization, LayerNormIsTheFormula) {
  const Tensor x = points({2, 3, 4}), scale = points({3, 4}, 1), shift = points({3, 4}, 2);
  const Function f = [](auto in) { return layer_norm(in[0], in[1], in[2], 1e-3, 1); };
  auto wanted = standardized_rows(x, 12, 1e-3, true);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto j = static_cast<int64_t>(i % 12);
    wanted[i] = wanted[i] * scale.at(j) + shift.at(j);
  }
  expect_near(numbers(value_of(f, {x, scale, shift})), wanted, 1e-12);
  expect_near(numbers(value_of([](auto in) { return layer_norm(in[0]); }, {x})),
              standardized_rows(x, 4, 1e-5, true), 1e-12);
  expect_sound(f, {x, scale, shift});
  expect_sound([](auto in) { return layer_norm(in[0], in[1]); }, {x, points({4}, 3)});
  expect_sound([](auto in) { return layer_norm(in[0], {}, in[1]); }, {x, points({4}, 3)});
}

TEST(Normalization, RmsNormIsTheFormula) {
  const Tensor x = points({3, 5}), scale = points({5}, 1);
  const Function f = [](auto in) { return rms_norm(in[0], in[1], 1e-2); };
  auto wanted = standardized_rows(x, 5, 1e-2, false);
  for (size_t i = 0; i < wanted.size(); ++i) wanted[i] *= scale.at(static_cast<int64_t>(i % 5));
  expect_near(numbers(value_of(f, {x, scale})), wanted, 1e-12);
  expect_sound(f, {x, scale});
  expect_sound([](auto in) { return rms_norm(in[0], {}, 1e-5, 0); }, {x});
}

TEST(Normalization, GroupAndInstanceNormAreTheFormula) {
  const Tensor x = points({2, 6, 2, 3}), scale = points({6}, 1), shift = points({6}, 2);
  for (const int64_t groups : {1, 2, 6}) {
    auto wanted = standardized_rows(x, 36 / groups, 1e-5, true);
    for (size_t i = 0; i < wanted.size(); ++i) {
      const auto channel = static_cast<int64_t>(i / 6 % 6);
      wanted[i] = wanted[i] * scale.at(channel) + shift.at(channel);
    }
    const Function f = [groups](auto in) { return group_norm(in[0], groups, in[1], in[2]); };
    expect_near(numbers(value_of(f, {x, scale, shift})), wanted, 1e-12);
    expect_sound(f, {x, scale, shift});
    if (groups < 6) continue;
    const Function each = [](auto in) { return instance_norm(in[0], in[1], in[2]); };
    expect_near(numbers(value_of(each, {x, scale, shift})), wanted, 1e-12);
  }
  expect_sound([](auto in) { return instance_norm(in[0]); }, {x});
}

TEST(Normalization, LocalResponseNormIsTheFormula) {
  const Tensor x = points({2, 5, 3});
  for (const int64_t size : {1, 3, 4, 7}) {
    for (const int64_t before : {(size - 1) / 2, size / 2}) {
      std::vector<double> wanted;
      for (int64_t i = 0; i < x.elements(); ++i) {
        const int64_t channel = i / 3 % 5;
        double around = 0;
        for (int64_t c = channel - before; c < channel - before + size; ++c) {
          if (c < 0 || c >= 5) continue;
          const double v = x.at(i + (c - channel) * 3);
          around += v * v;
        }
        wanted.push_back(x.at(i) / std::pow(2 + 0.3 / static_cast<double>(size) * around, 0.75));
      }
      const Function f = [&](auto in) {
        return local_response_norm(in[0],
                                   {.size = size, .alpha = 0.3, .bias = 2, .before = before});
      };
      expect_near(numbers(value_of(f, {x})), wanted, 1e-12);
      if (size == 4) expect_sound(f, {x});
    }
  }
}

TEST(Normalization, LpNormalizeGivesLengthOne) {
  const Tensor x = points({3, 4, 2});
  for (const double p : {1.0, 2.0, 3.5, std::numeric_limits<double>::infinity()}) {
    const Function f = [p](auto in) { return lp_normalize(in[0], p, 1); };
    const auto y = numbers(value_of(f, {x}));
    for (size_t row = 0; row < 6; ++row) {
      double length = 0, ratio = 0;
      for (size_t i = 0; i < 4; ++i) {
        const size_t at = row / 2 * 8 + i * 2 + row % 2;
        const double size = std::abs(y[at]);
        length = std::isinf(p) ? std::max(length, size) : length + std::pow(size, p);
        const double r = x.at(static_cast<int64_t>(at)) / y[at];
        if (i > 0) {
          EXPECT_NEAR(r, ratio, 1e-12);
        }
        ratio = r;
      }
      EXPECT_NEAR(length, 1, 1e-12) << p;
    }
    expect_sound(f, {x});
    // Zeros stay zeros, and their gradient is finite.
    Graph graph;
    const Value zero = graph.input("x", {1, 4});
    const Value wrt[] = {zero};
    const Value y0 = lp_normalize(zero, p), slope = gradients(sum(y0), wrt)[0];
    const Tensors data{{"x", Tensor({1, 4})}};
    for (const double v : numbers(evaluate(graph, y0, data))) EXPECT_EQ(v, 0);
    for (const double v : numbers(evaluate(graph, slope, data))) EXPECT_TRUE(std::isfinite(v));
  }
}

TEST(Normalization, MeanVarianceNormIsTheFormula) {
  const Tensor x = points({2, 1, 2, 3});  // one channel: the axes {0, 2, 3} are everything
  const Function f = [](auto in) { return mean_variance_norm(in[0]); };
  expect_near(numbers(value_of(f, {x})), standardized_rows(x, 12, 0, true), 1e-8);
  expect_sound(f, {x});
  expect_sound(
      [](auto in) {
        return mean_variance_norm(in[0], {1, -1}, 0.1);
      },
      {points({2, 3, 2, 2})});
}

TEST(Normalization, DynamicTanhIsTheFormula) {
  const Tensor x = points({2, 3}), scale = points({3}, 1), shift = points({3}, 2);
  const Tensor alpha = Tensor::of({}, std::vector<double>{0.7});
  const Function f = [](auto in) { return dynamic_tanh(in[0], in[1], in[2], in[3]); };
  std::vector<double> wanted;
  for (int64_t i = 0; i < 6; ++i) {
    wanted.push_back(std::tanh(0.7 * x.at(i)) * scale.at(i % 3) + shift.at(i % 3));
  }
  expect_near(numbers(value_of(f, {x, alpha, scale, shift})), wanted, 1e-12);
  expect_sound(f, {x, alpha, scale, shift});
}

TEST(Normalization, SaysWhatDoesNotFit) {
  Graph graph;
  const Value x = graph.input("x", {2, 6, 3}), whole = graph.input("i", {2, 3}, i32);
  const Value three = graph.input("s", {3});
  EXPECT_ERROR(TypeError, layer_norm(whole), "layer_norm", "floating-point", "i32");
  EXPECT_ERROR(ShapeError, layer_norm(x, three, {}, 1e-5, 1), "scale", "[6, 3]", "[3]");
  EXPECT_ERROR(ShapeError, rms_norm(x, {}, 1e-5, 3), "axis 3", "0 to 2");
  EXPECT_ERROR(ShapeError, group_norm(x, 4), "6 channels", "4 groups");
  EXPECT_ERROR(ShapeError, group_norm(x, 2, three), "scale", "[6]");
  EXPECT_ERROR(ShapeError, instance_norm(three), "instance_norm", "[batch, channels, positions");
  EXPECT_ERROR(ShapeError, local_response_norm(x, {.size = 2, .before = 2}), "window of 2");
  EXPECT_ERROR(ArgumentError, lp_normalize(x, 0.5), "p >= 1");
}

}  // namespace soma::test
