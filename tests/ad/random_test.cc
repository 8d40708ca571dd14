// Gradients of random functions, and of loops with random bodies: combinations nobody thought of.
#include <random>

#include "soma/gradient.h"
#include "src/ad/gradcheck.h"
#include "tests/ad/points.h"

namespace soma::test {

namespace {

constexpr int64_t n = 3;  // every value is an n × n matrix

// mt19937's sequence is the same everywhere, unlike the standard's distributions.
class Choices {
 public:
  explicit Choices(int seed) : engine_(static_cast<uint32_t>(seed)) {}
  size_t below(size_t count) { return engine_() % count; }
  bool coin() { return below(2) == 0; }

 private:
  std::mt19937 engine_;
};

Value random_value(Choices& choose, const std::vector<Value>& have) {
  // Mostly recent values, so that functions get deep.
  const size_t back = choose.below(choose.coin() ? std::min<size_t>(have.size(), 3) : have.size());
  const Value a = have[have.size() - 1 - back], b = have[choose.below(have.size())];
  const Shape shape{n, n};
  switch (choose.below(16)) {
    case 0: return tanh(a);
    case 1: return sin(a * 2.0);
    case 2: return a * b;
    case 3: return a - b;
    case 4: return a / (square(b) + 1.0);
    case 5:
    case 6:
    case 7: return tanh(dot(a, b, choose.coin(), choose.coin()));
    case 8: return transpose(a) + b;
    case 9: return broadcast_to(sum(a, {0}), shape) * 0.3 + b;
    case 10: return broadcast_to(expand_dims(mean(a, {1}), 1), shape) - b;
    case 11: return pad(slice(a, {1, 0}, {n, n}), {0, 0}, {1, 0}) + sigmoid(b);
    case 12: return slice_axis(concat({a, tanh(b)}, 0), 0, 1, n + 1);
    case 13: return max_over(reshape(concat({a, b}, 1), {n, 2, n}), {1});
    case 14: return select(lt(a.graph().constant(0.5, shape, f32), sigmoid(a)), a, b * 0.5);
    default: return sum(unfold(pad(a, {0, 1}, {0, 1}), 1, 3, 1), {2}) * 0.3 + b;
  }
}

Value random_function(Choices& choose, std::span<const Value> in, int nodes) {
  std::vector<Value> have(in.begin(), in.end());
  for (int i = 0; i < nodes; ++i) have.push_back(random_value(choose, have));
  return have.back();
}

}  // namespace

TEST(RandomGradient, OfAFunction) {
  const Tensor points[] = {around_zero({n, n}), around_zero({n, n}, 1), around_zero({n, n}, 2)};
  GradCheckOptions options;
  options.directions = 1;
  for (int seed = 0; seed < 100; ++seed) {
    const auto result = gradcheck(
        [seed](Graph&, auto x) {
          Choices choose(seed);
          return random_function(choose, x, 8);
        },
        points, options);
    EXPECT_TRUE(result) << "seed " << seed << ": " << result.message;
  }
}

TEST(RandomGradient, OfALoop) {
  const Tensor points[] = {spread({n, n}, -0.8, 0.8), spread({n, n}, -0.8, 0.8, 1),
                           around_zero({n, n}, 2), around_zero({4, n, n})};
  for (int seed = 0; seed < 100; ++seed) {
    const Build build = [seed](Graph& g, auto x) {
      Choices choose(seed);
      Graph body;
      std::vector<Value> in;
      for (const char* name : {"w", "u", "h", "x"}) in.push_back(body.input(name, {n, n}));
      body.output("h", tanh(random_function(choose, in, 7)));
      body.output("y", random_function(choose, in, 3));
      const auto r =
          scan(g, std::move(body), x.first(2), x.subspan(2, 1), x.last(1), 4, choose.coin());
      return choose.coin() ? r[0] : r[1] * expand_dims(r[0], 0);
    };
    GradCheckOptions options;
    options.directions = 1;
    options.order = seed % 10 == 0 ? 2 : 1;
    ad::Options plain;
    plain.hoist = false;
    for (const ad::Options& how : {ad::Options{}, plain}) {
      const auto result = ad::gradcheck(build, points, options, how);
      EXPECT_TRUE(result) << "seed " << seed << (how.hoist ? ", hoisted: " : ": ")
                          << result.message;
    }
  }
}

}  // namespace soma::test
