// Attention: against loops written by hand, gradients to second order, masks, what must not change
// the result, decoding step by step, and the CPU against the interpreter.
#include "soma/attention.h"

#include <cmath>
#include <limits>

#include "soma/gradcheck.h"
#include "tests/expect_error.h"
#include "tests/nn/evaluate.h"
#include "tests/nn/on_device.h"

namespace soma::test {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// Softmax attention the long way. `score` adds to or hides (-inf) the score of head h, query i and
// key j.
using Adjust = std::function<double(int64_t h, int64_t i, int64_t j, double score)>;
Tensor by_hand(const Tensor& q, const Tensor& k, const Tensor& v, double scale,
               const Adjust& adjust) {
  const Shape qs = q.shape(), ks = k.shape(), vs = v.shape();
  Tensor out({qs[0], qs[1], qs[2], vs[3]}, f64);
  const auto at = [](const Tensor& t, int64_t b, int64_t h, int64_t i, int64_t d) {
    const Shape s = t.shape();
    return t.at(((b * s[1] + h) * s[2] + i) * s[3] + d);
  };
  for (int64_t b = 0; b < qs[0]; ++b) {
    for (int64_t h = 0; h < qs[1]; ++h) {
      const int64_t g = h / (qs[1] / ks[1]);
      for (int64_t i = 0; i < qs[2]; ++i) {
        std::vector<double> weight;
        double total = 0;
        for (int64_t j = 0; j < ks[2]; ++j) {
          double score = 0;
          for (int64_t d = 0; d < qs[3]; ++d) score += at(q, b, h, i, d) * at(k, b, g, j, d);
          weight.push_back(std::exp(adjust(h, i, j, score * scale)));
          total += weight.back();
        }
        for (int64_t d = 0; d < vs[3]; ++d) {
          double y = 0;
          for (int64_t j = 0; j < ks[2]; ++j) {
            y += weight[static_cast<size_t>(j)] * at(v, b, g, j, d);
          }
          out.set(((b * qs[1] + h) * qs[2] + i) * vs[3] + d, total > 0 ? y / total : 0);
        }
      }
    }
  }
  return out;
}

void expect_close(const Tensor& found, const Tensor& wanted, double tolerance = 1e-12) {
  ASSERT_EQ(found.shape(), wanted.shape());
  expect_near(numbers(found), numbers(wanted), tolerance);
}

struct Heads {
  Tensor q = irregular({2, 4, 5, 3}, 1, 2), k = irregular({2, 2, 7, 3}, 2, 2),
         v = irregular({2, 2, 7, 2}, 3);
  std::vector<Tensor> all() const { return {q, k, v}; }
};

Tensor attend(const Heads& x, const AttentionOptions& options) {
  return run([&](Graph&, auto in) { return attention(in[0], in[1], in[2], options); }, x.all());
}

Tensor part(const Tensor& x, int axis, int64_t lo, int64_t hi) {
  return run([&](Graph&, auto in) { return slice_axis(in[0], axis, lo, hi); }, {{x}});
}

}  // namespace

TEST(Attention, AgreesWithLoops) {
  const Heads x;
  const double scale = 1 / std::sqrt(3.0);
  expect_close(attend(x, {}),
               by_hand(x.q, x.k, x.v, scale, [](auto, auto, auto, double s) { return s; }));
  expect_close(attend(x, {.scale = 0.3, .causal = true, .offset = 2}),
               by_hand(x.q, x.k, x.v, 0.3, [](auto, int64_t i, int64_t j, double s) {
                 return j <= i + 2 ? s : -infinity;
               }));
  expect_close(attend(x, {.causal = true, .window = 2, .cap = 0.7}),
               by_hand(x.q, x.k, x.v, scale, [](auto, int64_t i, int64_t j, double s) {
                 return j <= i && i - j < 2 ? 0.7 * std::tanh(s / 0.7) : -infinity;
               }));
  expect_close(attend(x, {.window = 2, .alibi = true}),
               by_hand(x.q, x.k, x.v, scale, [](int64_t h, int64_t i, int64_t j, double s) {
                 const double distance = std::abs(static_cast<double>(i - j));
                 const double slope = std::exp2(-2.0 * static_cast<double>(h + 1));
                 return distance < 2 ? s - slope * distance : -infinity;
               }));
}

TEST(Attention, MasksAndBiases) {
  const Heads x;
  const Tensor bias = irregular({4, 5, 7}, 4);
  Tensor mask({2, 1, 1, 7}, boolean), hidden = bias;
  for (int64_t i = 0; i < mask.elements(); ++i) mask.set(i, i % 3 != 1);
  // The same for both samples, to compare with the loop.
  for (int64_t i = 7; i < 14; ++i) mask.set(i, mask.at(i - 7));
  for (int64_t i = 0; i < hidden.elements(); ++i) {
    if (i % 7 % 3 == 1) hidden.set(i, -infinity);
  }
  const Tensor wanted =
      by_hand(x.q, x.k, x.v, 1 / std::sqrt(3.0), [&](int64_t h, int64_t i, int64_t j, double s) {
        return j % 3 == 1 ? -infinity : s + bias.at((h * 5 + i) * 7 + j);
      });
  const Tensor masked[] = {x.q, x.k, x.v, mask, bias}, minus_infinity[] = {x.q, x.k, x.v, hidden};
  expect_close(
      run([](Graph&,
             auto in) { return attention(in[0], in[1], in[2], {.mask = in[3], .bias = in[4]}); },
          masked),
      wanted);
  expect_close(run([](Graph&, auto in) { return attention(in[0], in[1], in[2], {.bias = in[3]}); },
                   minus_infinity),
               wanted);
}

TEST(Attention, GradientsToSecondOrder) {
  const Tensor points[] = {irregular({1, 4, 3, 2}, 1), irregular({1, 2, 4, 2}, 2),
                           irregular({1, 2, 4, 3}, 3), irregular({1, 1, 3, 4}, 4)};
  for (const AttentionOptions& options : {AttentionOptions{}, AttentionOptions{.causal = true},
                                          AttentionOptions{.window = 2, .cap = 1, .alibi = true}}) {
    const auto result = gradcheck(
        [&](Graph&, auto in) {
          AttentionOptions with = options;
          with.bias = in[3];
          return attention(in[0], in[1], in[2], with);
        },
        points, {.directions = 1});
    EXPECT_TRUE(result.passed) << result.message;
  }
}

// A query that may look at nothing: zeros, and gradients that are numbers.
TEST(Attention, NothingVisibleGivesZerosAndFiniteGradients) {
  for (const DType type : {f32, f64}) {
    const std::vector<Tensor> points{irregular({1, 1, 2, 2}, 1, 1, type),
                                     irregular({1, 1, 3, 2}, 2, 1, type),
                                     irregular({1, 1, 3, 2}, 3, 1, type)};
    for (const bool with_bias : {false, true}) {
      const Tensor out = run(
          [&](Graph& graph, auto in) {
            const Value see = iota(graph, {2, 3}, 0, type) > 0.0;
            AttentionOptions options{.mask = see};
            if (with_bias) options = {.bias = select(see, graph.constant(0, type), -infinity)};
            const Value y = attention(in[0], in[1], in[2], options);
            const Value wrt[] = {in[0], in[1], in[2]};
            const auto g = gradients(sum(square(y)), wrt);
            std::vector<Value> flat{reshape(y, {-1})};
            for (const Value gradient : g) flat.push_back(reshape(gradient, {-1}));
            return concat(flat, 0);
          },
          points);
      for (int64_t i = 0; i < out.elements(); ++i) EXPECT_TRUE(std::isfinite(out.at(i))) << i;
      EXPECT_EQ(out.at(0), 0);
      EXPECT_EQ(out.at(1), 0);
      EXPECT_NE(out.at(2), 0);
      EXPECT_EQ(out.at(4), 0);  // the gradient of the blind query
      EXPECT_NE(out.at(6), 0);
    }
  }
}

TEST(Attention, LargeLogitsAndLongSequencesStayFinite) {
  const Tensor points[] = {irregular({1, 1, 3, 4}, 1, 1e15, f32),
                           irregular({1, 1, 2000, 4}, 2, 1e15, f32),
                           irregular({1, 1, 2000, 2}, 3, 1, f32)};
  for (const bool causal : {false, true}) {
    const Tensor y = run_on(
        Device::cpu(1),
        [&](Graph&, auto in) {
          const Value out = attention(in[0], in[1], in[2], {.causal = causal, .offset = 1500});
          const Value wrt[] = {in[0], in[2]};
          const auto g = gradients(sum(out), wrt);
          return concat({reshape(out, {-1}), reshape(g[0], {-1}), reshape(g[1], {-1})}, 0);
        },
        points);
    for (int64_t i = 0; i < y.elements(); ++i) ASSERT_TRUE(std::isfinite(y.at(i))) << i;
  }
}

TEST(Attention, CausalOutputsDoNotDependOnWhatComesLater) {
  Heads x;
  const AttentionOptions options{.causal = true};
  const Tensor before = attend(x, options);
  for (int64_t h = 0; h < 4; ++h) {
    for (int64_t d = 0; d < 3; ++d) x.k.set((h * 7 + 3) * 3 + d, 50);
    for (int64_t d = 0; d < 2; ++d) x.v.set((h * 7 + 3) * 2 + d, -9);
  }
  const Tensor after = attend(x, options);
  EXPECT_EQ(part(before, 2, 0, 3), part(after, 2, 0, 3));
  EXPECT_FALSE(part(before, 2, 3, 4) == part(after, 2, 3, 4));
}

TEST(Attention, WithoutPositionsTheOrderOfKeysDoesNotMatter) {
  const Heads x;
  const Tensor order = Tensor::of({7}, std::vector<int32_t>{3, 6, 0, 2, 5, 1, 4});
  const Tensor points[] = {x.q, x.k, x.v, order};
  const auto shuffle = [](Value v, Value by) {
    return transpose(gather(transpose(v, {2, 0, 1, 3}), by), {1, 2, 0, 3});
  };
  expect_close(
      run([&](Graph&,
              auto in) { return attention(in[0], shuffle(in[1], in[3]), shuffle(in[2], in[3])); },
          points),
      attend(x, {}));
}

// Grouped key heads are key heads repeated.
TEST(Attention, GroupedAndMultiQueryRepeatKeyHeads) {
  for (const int64_t kv_heads : {1, 2, 4}) {
    const Tensor points[] = {irregular({2, 4, 3, 2}, 1), irregular({2, kv_heads, 5, 2}, 2),
                             irregular({2, kv_heads, 5, 2}, 3)};
    const auto repeat = [&](Value x) {
      return reshape(broadcast_to(expand_dims(x, 2), {2, kv_heads, 4 / kv_heads, 5, 2}),
                     {2, 4, 5, 2});
    };
    expect_close(
        run([](Graph&, auto in) { return attention(in[0], in[1], in[2]); }, points),
        run([&](Graph&, auto in) { return attention(in[0], repeat(in[1]), repeat(in[2])); },
            points));
  }
}

TEST(Attention, WeightsAddUpToOneAndMixTheValues) {
  const Heads x;
  const auto all = x.all();
  const Tensor w =
      run([](Graph&,
             auto in) { return attention_weights(in[0], in[1], {.causal = true, .offset = 1}); },
          all);
  EXPECT_EQ(w.shape(), (Shape{2, 4, 5, 7}));
  for (int64_t row = 0; row < 40; ++row) {
    double total = 0;
    for (int64_t j = 0; j < 7; ++j) total += w.at(row * 7 + j);
    EXPECT_NEAR(total, 1, 1e-12);
  }
}

TEST(Attention, DropoutDropsWeightsAndScalesTheOthers) {
  const Tensor points[] = {irregular({1, 1, 1, 2}, 1), irregular({1, 1, 4, 2}, 2),
                           Tensor::of({1, 1, 1, 4}, std::vector<double>{0.1, 0.3, 0.24, 0.9})};
  const Build build = [](Graph& graph, auto in) {
    const Value one = graph.constant(1, {1, 1, 4, 4}, f64);
    const Value each = select(eq(iota(graph, {4, 4}, 0), iota(graph, {4, 4}, 1)), one, 0.0);
    return attention(in[0], in[1], each, {.dropout = 0.25, .noise = in[2]});
  };
  const Tensor y = run(build, points);
  const Tensor w = run([](Graph&, auto in) { return attention_weights(in[0], in[1]); },
                       std::span(points).first(2));
  EXPECT_EQ(y.at(0), 0);
  EXPECT_NEAR(y.at(1), w.at(1) / 0.75, 1e-12);
  EXPECT_EQ(y.at(2), 0);
  EXPECT_NEAR(y.at(3), w.at(3) / 0.75, 1e-12);
}

TEST(Attention, CpuAgreesWithTheInterpreter) {
  const Tensor points[] = {irregular({2, 6, 9, 5}, 1, 2, f32), irregular({2, 3, 11, 5}, 2, 2, f32),
                           irregular({2, 3, 11, 7}, 3, 1, f32)};
  const Build build = [](Graph&, auto in) {
    const Value y = attention(rotary(in[0] * 1.0, {.depth = 4, .offset = 3}), in[1], in[2],
                              {.causal = true, .window = 6, .offset = 2, .cap = 3, .alibi = true});
    const Value wrt[] = {in[0], in[1]};
    const auto g = gradients(sum(square(y)), wrt);
    return concat({reshape(y, {-1}), reshape(g[0], {-1}), reshape(g[1], {-1})}, 0);
  };
  expect_close(run_on(Device::cpu(2), build, points), run(build, points), 2e-5);
}

// ---------------------------------------------------------------- other scores

TEST(AdditiveAttention, AgreesWithItsFormula) {
  const std::vector<Tensor> points{irregular({1, 2, 3}, 1), irregular({1, 4, 2}, 2),
                                   irregular({1, 4, 2}, 3), irregular({3, 5}, 4),
                                   irregular({2, 5}, 5),    irregular({5}, 6)};
  const Build build = [](Graph&, auto in) {
    return additive_attention(in[0], in[1], in[2], in[3], in[4], in[5]);
  };
  const Tensor y = run(build, points);
  for (int64_t i = 0; i < 2; ++i) {
    double total = 0, mixed[2] = {0, 0};
    for (int64_t j = 0; j < 4; ++j) {
      double score = 0;
      for (int64_t a = 0; a < 5; ++a) {
        double sum = 0;
        for (int64_t d = 0; d < 3; ++d) sum += points[0].at(i * 3 + d) * points[3].at(d * 5 + a);
        for (int64_t d = 0; d < 2; ++d) sum += points[1].at(j * 2 + d) * points[4].at(d * 5 + a);
        score += std::tanh(sum) * points[5].at(a);
      }
      total += std::exp(score);
      for (int64_t d = 0; d < 2; ++d) mixed[d] += std::exp(score) * points[2].at(j * 2 + d);
    }
    for (int64_t d = 0; d < 2; ++d) EXPECT_NEAR(y.at(i * 2 + d), mixed[d] / total, 1e-12);
  }
  const auto result = gradcheck(build, points, {.directions = 1});
  EXPECT_TRUE(result.passed) << result.message;
}

TEST(LuongAttention, IsUnscaledDotAttention) {
  const std::vector<Tensor> points{irregular({2, 3, 4}, 1), irregular({2, 5, 4}, 2),
                                   irregular({2, 5, 3}, 3), irregular({4, 4}, 4)};
  const auto one_head = [](Value q, Value k, Value v) {
    return reshape(attention(expand_dims(q, 1), expand_dims(k, 1), expand_dims(v, 1),
                             {.scale = 1, .causal = true}),
                   {2, 3, 3});
  };
  expect_close(
      run([](Graph&,
             auto in) { return luong_attention(in[0], in[1], in[2], {}, {.causal = true}); },
          points),
      run([&](Graph&, auto in) { return one_head(in[0], in[1], in[2]); }, points));
  expect_close(
      run([](Graph&,
             auto in) { return luong_attention(in[0], in[1], in[2], in[3], {.causal = true}); },
          points),
      run([&](Graph&, auto in) { return one_head(matmul(in[0], in[3]), in[1], in[2]); }, points));
}

TEST(LinearAttention, AgreesWithTheSumOverKeys) {
  const std::vector<Tensor> points{irregular({1, 2, 4, 3}, 1), irregular({1, 2, 4, 3}, 2),
                                   irregular({1, 2, 4, 2}, 3)};
  const auto phi = [](double x) { return x > 0 ? x + 1 : std::exp(x); };
  for (const bool causal : {false, true}) {
    const Build build = [&](Graph&, auto in) {
      return linear_attention(in[0], in[1], in[2], causal);
    };
    const Tensor y = run(build, points);
    for (int64_t h = 0; h < 2; ++h) {
      for (int64_t i = 0; i < 4; ++i) {
        double total = 0, mixed[2] = {0, 0};
        for (int64_t j = 0; j < (causal ? i + 1 : 4); ++j) {
          double weight = 0;
          for (int64_t d = 0; d < 3; ++d) {
            weight +=
                phi(points[0].at((h * 4 + i) * 3 + d)) * phi(points[1].at((h * 4 + j) * 3 + d));
          }
          total += weight;
          for (int64_t d = 0; d < 2; ++d) mixed[d] += weight * points[2].at((h * 4 + j) * 2 + d);
        }
        for (int64_t d = 0; d < 2; ++d) {
          EXPECT_NEAR(y.at((h * 4 + i) * 2 + d), mixed[d] / total, 1e-12);
        }
      }
    }
    const auto result = gradcheck(build, points, {.directions = 1});
    EXPECT_TRUE(result.passed) << result.message;
  }
}

// ---------------------------------------------------------------- many heads

namespace {

MultiHeadWeights weights_from(std::span<const Value> in) {
  return {.query = in[0],
          .key = in[1],
          .value = in[2],
          .output = in[3],
          .query_bias = in[4],
          .key_bias = in[5],
          .value_bias = in[6],
          .output_bias = in[7]};
}
std::vector<Tensor> random_weights(int64_t width, int64_t memory, int64_t heads, int64_t kv_heads,
                                   int64_t depth, DType type = f64) {
  const int64_t q = heads * depth, kv = kv_heads * depth;
  return {irregular({width, q}, 1, 1, type),   irregular({memory, kv}, 2, 1, type),
          irregular({memory, kv}, 3, 1, type), irregular({q, width}, 4, 1, type),
          irregular({q}, 5, 1, type),          irregular({kv}, 6, 1, type),
          irregular({kv}, 7, 1, type),         irregular({width}, 8, 1, type)};
}

}  // namespace

TEST(MultiHeadAttention, CrossAttentionAgreesWithItsParts) {
  auto points = random_weights(3, 5, 4, 2, 2);
  points.push_back(irregular({2, 3, 3}, 9));
  points.push_back(irregular({2, 4, 5}, 10));
  const MultiHeadOptions options{.heads = 4, .kv_heads = 2};
  const Build build = [&](Graph&, auto in) {
    return multi_head_attention(in[8], in[9], weights_from(in), options);
  };
  expect_close(run(build, points),
               run(
                   [&](Graph&, auto in) {
                     // Each head by itself, through columns of the weights.
                     std::vector<Value> heads;
                     for (int64_t h = 0; h < 4; ++h) {
                       const auto columns = [&](size_t w, int64_t head) {
                         const Value bias = slice_axis(in[w + 4], 0, head * 2, head * 2 + 2);
                         return matmul(in[w == 0 ? 8 : 9],
                                       slice_axis(in[w], 1, head * 2, head * 2 + 2)) +
                                bias;
                       };
                       const Value scores =
                           dot(columns(0, h), columns(1, h / 2), false, true) / std::sqrt(2.0);
                       const Value e = exp(scores);
                       heads.push_back(dot(e / sum(e, {2}, Keep::yes), columns(2, h / 2)));
                     }
                     return matmul(concat(heads, 2), in[3]) + in[7];
                   },
                   points));
  const auto result = gradcheck(build, points, {.directions = 1});
  EXPECT_TRUE(result.passed) << result.message;
}

// One step at a time over a cache that holds the whole sequence gives the bits of one run.
TEST(MultiHeadAttention, DecodingStepByStepGivesTheBitsOfTheWholeRun) {
  constexpr int64_t time = 37, width = 20, heads = 4, kv_heads = 2, depth = 10, batch = 2;
  const auto weights = random_weights(width, width, heads, kv_heads, depth, f32);
  const Tensor x = irregular({batch, time, width}, 9, 1, f32);
  for (const auto& [turn, alibi, window] : {std::tuple{true, false, 0}, {false, true, 4}}) {
    MultiHeadOptions options{.heads = heads, .kv_heads = kv_heads, .turn = turn};
    options.attention = {.causal = true, .window = window, .alibi = alibi};
    auto points = weights;
    points.push_back(x);
    const Tensor whole = run_on(
        Device::cpu(1),
        [&](Graph&, auto in) {
          return multi_head_attention(in[8], in[8], weights_from(in), options);
        },
        points);

    Graph graph;
    std::vector<Value> in;
    for (size_t i = 0; i < weights.size(); ++i) {
      in.push_back(graph.input("x" + std::to_string(i), weights[i].shape()));
    }
    const Value now = graph.input("now", {batch, 1, width});
    KeyValueCache cache{graph.state("keys", {batch, kv_heads, time, depth}),
                        graph.state("values", {batch, kv_heads, time, depth}),
                        graph.state("position", {}, "0", i32)};
    const KeyValueCache start = cache;
    graph.output("y", multi_head_attention(now, now, weights_from(in), options, &cache));
    graph.update(start.keys, cache.keys);
    graph.update(start.values, cache.values);
    graph.update(start.position, cache.position);
    Plan plan = compile(graph, Device::cpu(1));
    for (size_t i = 0; i < weights.size(); ++i) {
      plan.bind("x" + std::to_string(i), weights[i].raw());
    }
    Tensors states = initialize(graph, 1);
    plan.bind(states);
    for (int64_t t = 0; t < time; ++t) {
      const Tensor step = part(x, 1, t, t + 1);
      plan.bind("now", step.raw());
      plan.run();
      EXPECT_EQ(plan.output("y").copy(), part(whole, 1, t, t + 1)) << "step " << t;
    }
    EXPECT_EQ(states.at("position").at(0), time);
  }
}

TEST(Cache, IsARingThatKnowsWhichStepEachPlaceHolds) {
  constexpr int64_t capacity = 5, depth = 2;
  for (const int64_t steps : {1, 3}) {
    Tensor cache({1, 1, capacity, depth}, f32);
    std::vector<int64_t> holds(capacity, -1);
    for (int64_t position = 0; position < 14; position += steps) {
      Tensor rows({1, 1, steps, depth}, f32);
      for (int64_t i = 0; i < rows.elements(); ++i) {
        rows.set(i, static_cast<double>(100 * position + i));
      }
      Tensor where({}, i32);
      where.set(0, static_cast<double>(position));
      const Tensor points[] = {cache, rows, where};
      cache = run([](Graph&, auto in) { return cache_append(in[0], in[1], in[2]); }, points);
      for (int64_t s = 0; s < steps; ++s) {
        holds[static_cast<size_t>((position + s) % capacity)] = position + s;
      }
      const Tensor found =
          run([&](Graph&, auto in) { return cache_positions(capacity, steps, in[2]); }, points);
      for (int64_t place = 0; place < capacity; ++place) {
        const int64_t held = holds[static_cast<size_t>(place)];
        if (held < 0) {
          EXPECT_LT(found.at(place), 0);
          continue;
        }
        EXPECT_EQ(found.at(place), static_cast<double>(held));
        const int64_t first = held / steps * steps;
        EXPECT_EQ(cache.at(place * depth),
                  static_cast<double>(100 * first + (held - first) * depth));
      }
    }
  }
}

// Sequences of one batch that stand at different steps go on as each would alone.
TEST(Cache, EverySequenceHasItsOwnPosition) {
  constexpr int64_t capacity = 6, steps = 2, width = 4;
  const auto weights = random_weights(width, width, 2, 1, 4, f32);
  const int32_t positions[] = {3, 0, 7};
  const Build build = [&](Graph&, auto in) {
    KeyValueCache cache{in[9], in[10], in[11]};
    MultiHeadOptions options{.heads = 2, .kv_heads = 1, .turn = true};
    options.attention = {.causal = true, .alibi = true};
    const Value y = multi_head_attention(in[8], in[8], weights_from(in), options, &cache);
    const Value at = cache.position.rank() ? reshape(in[11], {-1, 1, 1}) : in[11];
    const Value more = sinusoidal_positions(y.graph(), steps, width, f32, in[11]) +
                       learned_positions(in[3], steps, in[11]) + cast(at, f32);
    return concat({reshape(y + more, {-1, steps * width}), reshape(cache.keys, {-1, capacity * 4})},
                  1);
  };
  const Tensor x = irregular({3, steps, width}, 1, 1, f32),
               keys = irregular({3, 1, capacity, 4}, 2, 1, f32),
               values = irregular({3, 1, capacity, 4}, 3, 1, f32);
  auto points = weights;
  points.insert(points.end(), {x, keys, values});
  auto together = points;
  together.push_back(Tensor::of({3}, std::vector<int32_t>{3, 0, 7}));
  const Tensor all = run(build, together);
  for (int64_t b = 0; b < 3; ++b) {
    auto alone = weights;
    for (size_t i = 8; i < 11; ++i) alone.push_back(part(points[i], 0, b, b + 1));
    alone.push_back(Tensor::scalar(positions[b], i32));
    EXPECT_EQ(run(build, alone), part(all, 0, b, b + 1)) << b;
  }
}

TEST(Attention, MistakesAreSaid) {
  Graph graph;
  const Value q = graph.input("q", {2, 4, 5, 3}), k = graph.input("k", {2, 3, 5, 3});
  const Value number = graph.input("mask", {5, 5});
  EXPECT_ERROR(ShapeError, attention(q, k, k), "must divide the number of query heads");
  EXPECT_ERROR(TypeError, attention(q, q, q, {.mask = number}), "true: may look");
  EXPECT_ERROR(ArgumentError, attention(q, q, q, {.dropout = 1}), "[0, 1)");
  EXPECT_ERROR(ShapeError, split_heads(reshape(q, {2, 5, 12}), 5), "5 heads");
}

}  // namespace soma::test
