// The normalizations against loops written by hand, gradients to second order, the CPU against the
// interpreter, and the sentences for shapes that do not fit.
#include "soma/normalization.h"

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

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

namespace {

// Mean and variance of each element of one axis, by loops.
struct Statistics {
  std::vector<double> mean, variance;
  int64_t count;
};
Statistics statistics(const Tensor& x, int axis) {
  int64_t inner = 1;
  for (int i = axis + 1; i < x.shape().rank(); ++i) inner *= x.shape()[i];
  const int64_t channels = x.shape()[axis];
  Statistics result{std::vector<double>(static_cast<size_t>(channels)), {}, 0};
  result.variance = result.mean;
  result.count = x.elements() / channels;
  const auto channel = [&](int64_t i) { return static_cast<size_t>(i / inner % channels); };
  const auto n = static_cast<double>(result.count);
  for (int64_t i = 0; i < x.elements(); ++i) result.mean[channel(i)] += x.at(i) / n;
  for (int64_t i = 0; i < x.elements(); ++i) {
    const double d = x.at(i) - result.mean[channel(i)];
    result.variance[channel(i)] += d * d / n;
  }
  return result;
}

Tensor positive(const Shape& shape) {
  Tensor result = points(shape, 5);
  for (int64_t i = 0; i < result.elements(); ++i) result.set(i, 0.5 + std::abs(result.at(i)));
  return result;
}

}  // namespace

TEST(BatchNorm, TrainsByTheStatisticsOfTheBatch) {
  const Tensor scale = points({3}, 1), shift = points({3}, 2);
  for (const auto& [shape, axis] :
       std::vector<std::pair<Shape, int>>{{{5, 3}, 1}, {{2, 3, 2, 2}, 1}, {{2, 4, 3}, -1}}) {
    const Tensor x = points(shape);
    const int at = axis < 0 ? shape.rank() - 1 : axis;
    const Statistics wanted = statistics(x, at);
    int64_t inner = 1;
    for (int i = at + 1; i < shape.rank(); ++i) inner *= shape[i];
    std::vector<double> y;
    for (int64_t i = 0; i < x.elements(); ++i) {
      const auto c = static_cast<size_t>(i / inner % 3);
      y.push_back((x.at(i) - wanted.mean[c]) / std::sqrt(wanted.variance[c] + 1e-3) *
                      scale.at(static_cast<int64_t>(c)) +
                  shift.at(static_cast<int64_t>(c)));
    }
    const int k = axis;
    const Function train = [k](auto in) {
      return batch_norm_training(in[0], in[1], in[2], 1e-3, k).y;
    };
    expect_near(numbers(value_of(train, {x, scale, shift})), y, 1e-12);
    expect_sound(train, {x, scale, shift});
    expect_sound([k](auto in) { return batch_norm_training(in[0], {}, {}, 1e-3, k).y; }, {x});
    const Function given = [k](auto in) {
      return batch_norm(in[0], in[3], in[4], in[1], in[2], 1e-3, k);
    };
    const Tensor mean = vector_of(wanted.mean), variance = vector_of(wanted.variance);
    expect_near(numbers(value_of(given, {x, scale, shift, mean, variance})), y, 1e-12);
    expect_sound(given, {x, scale, shift, mean, variance});
    expect_near(numbers(value_of([k](auto in) { return moments(in[0], k).mean; }, {x})),
                wanted.mean, 1e-12);
    auto sample = wanted.variance;
    const auto n = static_cast<double>(wanted.count);
    for (double& v : sample) v *= n / (n - 1);
    expect_near(
        numbers(value_of([k](auto in) { return moments(in[0], k).sample_variance(); }, {x})),
        sample, 1e-12);
  }
}

TEST(BatchNorm, RenormIsNearTheRunningStatistics) {
  const Tensor x = points({4, 3}), mean = points({3}, 4), variance = positive({3});
  // Without bounds the batch's statistics cancel, and what remains are the running ones.
  const auto renorm = [&](double r_max, double d_max) {
    return value_of([=](auto in) { return batch_renorm(in[0], in[1], in[2], r_max, d_max).y; },
                    {x, mean, variance});
  };
  const Function by_running = [](auto in) { return batch_norm(in[0], in[1], in[2]); };
  expect_near(numbers(renorm(1e6, 1e6)), numbers(value_of(by_running, {x, mean, variance})), 1e-10);
  const Function plain = [](auto in) { return batch_norm_training(in[0]).y; };
  expect_near(numbers(renorm(1, 0)), numbers(value_of(plain, {x})), 1e-12);
  const Statistics own = statistics(x, 1);
  const Tensor bounded = renorm(1.1, 0.2);
  for (int64_t i = 0; i < x.elements(); ++i) {
    const auto c = static_cast<size_t>(i % 3);
    const double sigma = std::sqrt(own.variance[c] + 1e-5);
    const double running = std::sqrt(variance.at(i % 3) + 1e-5);
    const double r = std::clamp(sigma / running, 1 / 1.1, 1.1);
    const double d = std::clamp((own.mean[c] - mean.at(i % 3)) / running, -0.2, 0.2);
    EXPECT_NEAR(bounded.at(i), (x.at(i) - own.mean[c]) / sigma * r + d, 1e-12);
  }
}

TEST(BatchNorm, RunningAverageKeepsItsShare) {
  const Function f = [](auto in) { return running_average(in[0], in[1], 0.9); };
  const Tensor running = points({3}), batch = points({3}, 1);
  const Tensor y = value_of(f, {running, batch});
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(y.at(i), 0.9 * running.at(i) + 0.1 * batch.at(i), 1e-15);
  }
}

TEST(WeightNorms, WeightNormSetsTheLengthOfEachNeuron) {
  const Tensor v = points({4, 3}), gain = points({3}, 1);
  const Function f = [](auto in) { return weight_norm(in[0], in[1], 1); };
  const Tensor w = value_of(f, {v, gain});
  for (int64_t j = 0; j < 3; ++j) {
    double size = 0;
    for (int64_t i = 0; i < 4; ++i) size += v.at(i * 3 + j) * v.at(i * 3 + j);
    for (int64_t i = 0; i < 4; ++i) {
      EXPECT_NEAR(w.at(i * 3 + j), gain.at(j) * v.at(i * 3 + j) / std::sqrt(size), 1e-12);
    }
  }
  expect_sound(f, {v, gain});
  expect_sound([](auto in) { return weight_norm(in[0], in[1], 0); }, {points({3, 2, 2, 2}), gain});
}

TEST(WeightNorms, SpectralNormMakesTheLargestSingularValueOne) {
  const Tensor w = points({3, 4, 2}), start = points({4}, 3);
  const auto after = [&](int iterations) {
    return value_of([=](auto in) { return spectral_norm(in[0], in[1], 1, iterations).weights; },
                    {w, start});
  };
  // The largest singular value of the result by many steps of the plain power method on W Wᵀ.
  const auto largest = [](const Tensor& result) {
    double matrix[4][6], u[4] = {1, 0.3, -0.2, 0.5}, size = 0;
    for (int64_t i = 0; i < 3; ++i)
      for (int64_t j = 0; j < 4; ++j)
        for (int64_t k = 0; k < 2; ++k) matrix[j][i * 2 + k] = result.at((i * 4 + j) * 2 + k);
    for (int step = 0; step < 500; ++step) {
      double v[6] = {}, next[4] = {};
      for (int j = 0; j < 4; ++j)
        for (int i = 0; i < 6; ++i) v[i] += matrix[j][i] * u[j];
      for (int j = 0; j < 4; ++j)
        for (int i = 0; i < 6; ++i) next[j] += matrix[j][i] * v[i];
      size = 0;
      for (const double x : next) size += x * x;
      size = std::sqrt(size);
      for (int j = 0; j < 4; ++j) u[j] = next[j] / size;
    }
    return std::sqrt(size);
  };
  EXPECT_NEAR(largest(after(100)), 1, 1e-9);
  EXPECT_GT(std::abs(largest(after(0)) - 1), 1e-3);  // not yet from the start alone
  const Function f = [](auto in) { return spectral_norm(in[0], stop(in[1]), 1, 40).weights; };
  const auto result =
      gradcheck([&](Graph&, auto in) { return f(in); }, std::vector{w, start}, {.order = 1});
  // Held fixed, u and v are where σ is stationary, so the gradient is that of the true σ.
  EXPECT_TRUE(result.inputs[0].worst < 1e-6) << result.message;
  const Function vector = [](auto in) { return spectral_norm(in[0], in[1], 1, 1).vector; };
  double size = 0;
  for (const double x : numbers(value_of(vector, {w, start}))) size += x * x;
  EXPECT_NEAR(size, 1, 1e-12);
}

TEST(WeightNorms, StandardizationIsTheFormula) {
  const Tensor w = points({2, 3, 2});
  const Function f = [](auto in) { return weight_standardization(in[0], 0); };
  expect_near(numbers(value_of(f, {w})), standardized_rows(w, 6, 1e-5, true), 1e-12);
  expect_sound([](auto in) { return weight_standardization(in[0], 1); }, {w});
}

namespace {

using Operator = std::function<std::vector<Value>(std::span<const Value>, const nlohmann::json&)>;

// The operators of tests/data/normalization.json.
const std::map<std::string, Operator> operators{
    {"batch_norm",
     [](auto in, const auto& a) {
       return std::vector{batch_norm(in[0], in[3], in[4], in[1], in[2], a["eps"])};
     }},
    {"batch_norm_training",
     [](auto in, const auto& a) {
       const BatchNorm norm = batch_norm_training(in[0], in[1], in[2], a["eps"]);
       const double kept = a["momentum"];
       return std::vector{norm.y, running_average(in[3], norm.batch.mean, kept),
                          running_average(in[4], norm.batch.variance, kept)};
     }},
    {"instance_norm",
     [](auto in, const auto& a) {
       return std::vector{instance_norm(in[0], in[1], in[2], a["eps"])};
     }},
    {"layer_norm",
     [](auto in, const auto& a) {
       return std::vector{layer_norm(in[0], in[1], in[2], a["eps"], a["axis"])};
     }},
    {"mean_variance_norm",
     [](auto in, const auto&) { return std::vector{mean_variance_norm(in[0])}; }},
    {"local_response_norm",
     [](auto in, const auto& a) {
       return std::vector{local_response_norm(
           in[0], {.size = a["size"], .alpha = a["alpha"], .beta = a["beta"], .bias = a["bias"]})};
     }},
};

Tensor tensor_of(const nlohmann::json& entry) {
  Shape shape;
  for (const int64_t extent : entry["shape"]) shape.push_back(extent);
  return Tensor::of(shape, entry["values"].get<std::vector<double>>());
}

}  // namespace

// Inputs and results of the node tests that ONNX 1.12 publishes for its operators.
TEST(Normalization, AgreesWithOnnx) {
  std::ifstream file(SOMA_SOURCE_DIR "/tests/data/normalization.json");
  const auto cases = nlohmann::json::parse(file);
  EXPECT_EQ(cases.size(), 9u);
  for (const auto& entry : cases) {
    Graph graph;
    std::vector<Tensor> points_in;
    std::vector<Value> in;
    for (const auto& one : entry["in"]) {
      points_in.push_back(tensor_of(one));
      in.push_back(graph.input("x" + std::to_string(in.size()), points_in.back().shape(), f64));
    }
    const auto out = operators.at(entry["op"])(in, entry["attributes"]);
    for (size_t i = 0; i < out.size(); ++i) graph.output("y" + std::to_string(i), out[i]);
    const auto found = interpret(graph, points_in).outputs;
    ASSERT_EQ(found.size(), entry["out"].size());
    for (size_t i = 0; i < found.size(); ++i) {
      expect_near(numbers(found[i]), numbers(tensor_of(entry["out"][i])), 2e-6, entry["name"]);
    }
  }
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
  EXPECT_ERROR(ShapeError, batch_norm(x, three, three), "mean", "[6]", "[3]");
  EXPECT_ERROR(ShapeError, batch_norm_training(x, {}, three), "shift", "[6]", "[3]");
  EXPECT_ERROR(ShapeError, weight_norm(x, three, 1), "gain", "[6]");
}

}  // namespace soma::test
