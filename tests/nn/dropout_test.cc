// Dropout and its relatives: masks that count, keep mean and variance, and are the same forward and
// backward.
#include "soma/dropout.h"

#include "soma/gradcheck.h"
#include "tests/exec/compare.h"
#include "tests/expect_error.h"
#include "tests/nn/evaluate.h"
#include "tests/nn/function.h"

namespace soma::test {

namespace {

// u is drawn from key {7, step}.
using Noisy = std::function<Value(Value x, Value key)>;

Tensor key_of(int64_t step) { return Tensor::of({2}, std::vector<int64_t>{7, step}); }

Graph noisy_graph(const Noisy& f, const Shape& shape) {
  Graph graph;
  const Value x = graph.input("x", shape), key = graph.input("key", {2}, i64);
  const Value y = f(x, key);
  const Value wrt[] = {x};
  const Value slope = gradients(sum(y), wrt)[0];
  graph.output("y", y);
  graph.output("slope", slope);
  return graph;
}

struct Found {
  Tensor y, slope;
};
Found run_noisy(const Noisy& f, const Tensor& x, int64_t step = 0) {
  const auto result = interpret(noisy_graph(f, x.shape()), std::vector{x, key_of(step)});
  return {result.outputs[0], result.outputs[1]};
}

Tensor ones(const Shape& shape) {
  Tensor result(shape, f32);
  for (int64_t i = 0; i < result.elements(); ++i) result.set(i, 1);
  return result;
}

std::pair<double, double> mean_and_variance(const Tensor& x) {
  double mean = 0, variance = 0;
  const auto n = static_cast<double>(x.elements());
  for (const double v : numbers(x)) mean += v / n;
  for (const double v : numbers(x)) variance += (v - mean) * (v - mean) / n;
  return {mean, variance};
}

const Noisy plain = [](Value x, Value key) {
  const Shape shape = x.shape();
  return dropout(x, rng(key, shape, 1), 0.3);
};
const Noisy gaussian = [](Value x, Value key) {
  const Shape shape = x.shape();
  return gaussian_dropout(x, standard_normal(rng(key, shape, 1), rng(key, shape, 2)), 0.2);
};

}  // namespace

TEST(Dropout, DropsItsShareAndKeepsTheMean) {
  const Found found = run_noisy(plain, ones({100, 200}));
  int64_t dropped = 0;
  for (const double v : numbers(found.y)) {
    dropped += v == 0;
    if (v != 0) {
      EXPECT_NEAR(v, 1 / 0.7, 1e-6);
    }
  }
  EXPECT_NEAR(static_cast<double>(dropped) / 20000, 0.3, 0.01);  // 3 standard deviations
  EXPECT_NEAR(mean_and_variance(found.y).first, 1, 0.015);
}

TEST(Dropout, BackwardUsesTheSameMask) {
  for (const Noisy& f : {plain, gaussian}) {
    const Found found = run_noisy(f, ones({20, 30}));
    EXPECT_TRUE(found.y == found.slope);  // y = x · mask at x = 1, and the slope is the mask
  }
}

TEST(Dropout, NewNumbersEachStepAndTheSameBitsForAnyThreads) {
  for (const Noisy& f : {plain, gaussian}) {
    const Tensor x = points({9, 33}, 0, f32);
    EXPECT_TRUE(run_noisy(f, x, 0).y == run_noisy(f, x, 0).y);
    EXPECT_FALSE(run_noisy(f, x, 0).y == run_noisy(f, x, 1).y);
    expect_cpu_agrees(noisy_graph(f, x.shape()), {x, key_of(3)}, 2e-5);
  }
}

TEST(Dropout, EdgesOfTheRate) {
  const Tensor x = points({4, 5}, 0, f32);
  for (const double rate : {0.0, 1.0}) {
    for (const bool alpha : {false, true}) {
      const auto f = [&](Value in, Value key) {
        const Shape shape = in.shape();
        const Value u = rng(key, shape, 1);
        return alpha ? alpha_dropout(in, u, rate) : dropout(in, u, rate);
      };
      const Found found = run_noisy(f, x);
      for (int64_t i = 0; i < x.elements(); ++i) {
        EXPECT_EQ(found.y.at(i), rate == 0 ? x.at(i) : 0);
        EXPECT_EQ(found.slope.at(i), 1 - rate);
      }
    }
  }
  Graph graph;
  const Value in = graph.input("x", {4}), u = graph.input("u", {4}), long_u = graph.input("v", {3});
  EXPECT_ERROR(ArgumentError, dropout(in, u, 1.5), "rate", "1.5");
  EXPECT_ERROR(ArgumentError, alpha_dropout(in, u, -0.1), "rate", "-0.1");
  EXPECT_ERROR(ArgumentError, gaussian_dropout(in, u, 1), "below 1");
  EXPECT_THROW(dropout(in, long_u, 0.5), ShapeError);
  EXPECT_ERROR(ShapeError, channel_dropout(graph.input("i", {2, 3, 4}), u, 0.5), "[2, 3]", "[4]");
}

TEST(Dropout, WholeChannelsAndWholeSamples) {
  const Tensor x = ones({40, 6, 4});
  const auto check = [&](const Noisy& f, int64_t outer, int64_t groups, int64_t inner) {
    const Tensor y = run_noisy(f, x).y;
    std::vector<int64_t> dropped(static_cast<size_t>(groups));
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t g = 0; g < groups; ++g)
        for (int64_t i = 0; i < inner; ++i)
          dropped[static_cast<size_t>(g)] += y.at((o * groups + g) * inner + i) == 0;
    return dropped;
  };
  for (const int64_t n : check(
           [](Value in, Value key) {
             return channel_dropout(in, rng(key, {40, 6}, 1), 0.5);
           },
           1, 240, 4)) {
    EXPECT_TRUE(n == 0 || n == 4) << n;
  }
  for (const int64_t n :
       check([](Value in, Value key) { return stochastic_depth(in, rng(key, {40}, 1), 0.5); }, 1,
             40, 24)) {
    EXPECT_TRUE(n == 0 || n == 24) << n;
  }
  const Noisy sequence = [](Value in, Value key) {
    return channel_dropout(in, rng(key, {40, 4}, 1), 0.5, -1);
  };
  const Tensor y = run_noisy(sequence, x).y;
  for (int64_t sample = 0; sample < 40; ++sample)
    for (int64_t step = 1; step < 6; ++step)
      for (int64_t c = 0; c < 4; ++c)
        EXPECT_EQ(y.at((sample * 6 + step) * 4 + c), y.at(sample * 24 + c));
}

TEST(Dropout, AlphaDropoutKeepsMeanAndVariance) {
  const Noisy f = [](Value x, Value key) {
    const Shape shape = x.shape();
    const Value z = standard_normal(rng(key, shape, 1), rng(key, shape, 2));
    return alpha_dropout(x + z, rng(key, shape, 3), 0.2);
  };
  const auto [mean, variance] = mean_and_variance(run_noisy(f, Tensor({200, 200}, f32)).y);
  EXPECT_NEAR(mean, 0, 0.02);
  EXPECT_NEAR(variance, 1, 0.03);
}

TEST(Dropout, GaussianNoiseHasItsMeanAndVariance) {
  const auto [mean, variance] = mean_and_variance(run_noisy(gaussian, ones({200, 200})).y);
  EXPECT_NEAR(mean, 1, 0.01);
  EXPECT_NEAR(variance, 0.25, 0.01);  // rate / (1 - rate)
  const Noisy noise = [](Value x, Value key) {
    const Shape shape = x.shape();
    return gaussian_noise(x, standard_normal(rng(key, shape, 1), rng(key, shape, 2)), 0.5);
  };
  const auto added = mean_and_variance(run_noisy(noise, Tensor({200, 200}, f32)).y);
  EXPECT_NEAR(added.first, 0, 0.01);
  EXPECT_NEAR(added.second, 0.25, 0.01);
}

TEST(Dropout, GradientsToSecondOrder) {
  const Tensor x = points({3, 4}),
               u = Tensor::of({3, 4}, std::vector<double>{0.1, 0.7, 0.3, 0.9, 0.5, 0.2, 0.6, 0.05,
                                                          0.8, 0.4, 0.95, 0.33});
  for (const Function& f : std::vector<Function>{
           [&](auto in) { return dropout(square(in[0]), stop(in[1]), 0.45); },
           [&](auto in) { return alpha_dropout(square(in[0]), stop(in[1]), 0.45); },
           [&](auto in) { return gaussian_dropout(square(in[0]), stop(in[1]), 0.45); }}) {
    const auto result = gradcheck([&](Graph&, auto in) { return f(in); }, std::vector{x, u});
    EXPECT_LT(result.inputs[0].worst, 1e-6) << result.message;
  }
}

}  // namespace soma::test
