// Embeddings and positions: against formulas written out, their invariances and gradients.
#include <cmath>

#include "soma/attention.h"
#include "soma/gradcheck.h"
#include "tests/expect_error.h"
#include "tests/nn/evaluate.h"
#include "tests/nn/on_device.h"

namespace soma::test {

TEST(Embedding, ReadsRowsAndThePadRowLearnsNothing) {
  const Tensor table = irregular({5, 3}, 1);
  const Tensor index = Tensor::of({2, 3}, std::vector<int32_t>{4, 0, 2, 2, 7, 0});
  const Tensor points[] = {table, index};
  const Tensor y = run([](Graph&, auto in) { return embedding(in[0], in[1], 2); }, points);
  EXPECT_EQ(y.shape(), (Shape{2, 3, 3}));
  for (int64_t i = 0; i < 6; ++i) {
    for (int64_t d = 0; d < 3; ++d) {
      const auto row = static_cast<int64_t>(index.at(i));
      EXPECT_EQ(y.at(i * 3 + d), row < 5 ? table.at(row * 3 + d) : 0);
    }
  }
  const Tensor g = run(
      [](Graph&, auto in) {
        const Value wrt[] = {in[0]};
        return gradients(sum(embedding(in[0], in[1], 2)), wrt)[0];
      },
      points);
  const double wanted[] = {2, 0, 0, 0, 1};  // how often each row is used, but for the pad
  for (int64_t i = 0; i < 15; ++i) EXPECT_EQ(g.at(i), wanted[i / 3]);
}

TEST(EmbeddingBag, SumMeanAndMaxLeaveOutWhatIsNotThere) {
  const Tensor table = irregular({4, 2}, 1);
  const Tensor index = Tensor::of({3, 3}, std::vector<int64_t>{3, 1, -1, 0, 2, 1, -1, 2, 9});
  const Tensor weights = irregular({3, 3}, 5);
  const Tensor points[] = {table, index, weights};
  for (const Bag mode : {Bag::sum, Bag::mean, Bag::max}) {
    for (const bool weighted : {false, true}) {
      if (weighted && mode == Bag::max) continue;
      const Build build = [&](Graph&, auto in) {
        return embedding_bag(in[0], in[1], mode, weighted ? in[2] : Value{}, 2);
      };
      const Tensor y = run(build, points);
      for (int64_t b = 0; b < 3; ++b) {
        for (int64_t d = 0; d < 2; ++d) {
          double sum = 0, share = 0, largest = -1e9;
          for (int64_t i = 0; i < 3; ++i) {
            const auto row = static_cast<int64_t>(index.at(b * 3 + i));
            if (row < 0 || row > 3 || row == 2) continue;
            const double w = weighted ? weights.at(b * 3 + i) : 1;
            sum += w * table.at(row * 2 + d);
            share += w;
            largest = std::max(largest, table.at(row * 2 + d));
          }
          const double wanted = share == 0          ? 0
                                : mode == Bag::max  ? largest
                                : mode == Bag::mean ? sum / share
                                                    : sum;
          EXPECT_NEAR(y.at(b * 2 + d), wanted, 1e-12);
        }
      }
      const auto result = gradcheck(build, points, {.directions = 1});
      EXPECT_TRUE(result.passed) << result.message;
    }
  }
}

// ---------------------------------------------------------------- positions

TEST(Rotary, TurnsPairsByPositionTimesRate) {
  const Tensor x = irregular({2, 3, 6}, 1);
  for (const Pairing pairing : {Pairing::halves, Pairing::interleaved}) {
    for (const int64_t depth : {6, 4}) {
      const Tensor y = run(
          [&](Graph&, auto in) {
            return rotary(in[0], {.base = 100, .pairing = pairing, .depth = depth, .offset = 5});
          },
          {{x}});
      for (int64_t row = 0; row < 6; ++row) {
        for (int64_t i = 0; i < depth / 2; ++i) {
          const int64_t a = row * 6 + (pairing == Pairing::halves ? i : 2 * i);
          const int64_t b = a + (pairing == Pairing::halves ? depth / 2 : 1);
          const double angle =
              static_cast<double>(row % 3 + 5) *
              std::pow(100, -2 * static_cast<double>(i) / static_cast<double>(depth));
          EXPECT_NEAR(y.at(a), x.at(a) * std::cos(angle) - x.at(b) * std::sin(angle), 1e-12);
          EXPECT_NEAR(y.at(b), x.at(b) * std::cos(angle) + x.at(a) * std::sin(angle), 1e-12);
        }
        for (int64_t d = depth; d < 6; ++d) EXPECT_EQ(y.at(row * 6 + d), x.at(row * 6 + d));
      }
      const auto result = gradcheck(
          [&](Graph&, auto in) { return rotary(in[0], {.pairing = pairing, .depth = depth}); },
          {{x}}, {.directions = 1});
      EXPECT_TRUE(result.passed) << result.message;
    }
  }
}

TEST(Rotary, ScoresDependOnTheDifferenceOfPositionsOnly) {
  const Tensor points[] = {irregular({4, 6}, 1), irregular({4, 6}, 2)};
  for (const Pairing pairing : {Pairing::halves, Pairing::interleaved}) {
    const auto scores = [&](int64_t q, int64_t k) {
      return numbers(run(
          [&](Graph&, auto in) {
            return dot(rotary(in[0], {.pairing = pairing, .offset = q}),
                       rotary(in[1], {.pairing = pairing, .offset = k}), false, true);
          },
          points));
    };
    expect_near(scores(3, 0), scores(1003, 1000), 1e-10);
    EXPECT_GT(std::abs(scores(3, 0)[0] - scores(4, 0)[0]), 1e-3);
  }
}

TEST(Rotary, APositionKnownWhenTheProgramRunsIsAnOffset) {
  Tensor seven({}, i32);
  seven.set(0, 7);
  const Tensor points[] = {irregular({2, 4}, 1, 1, f32), seven};
  const Build known = [](Graph&, auto in) { return rotary(in[0], {.offset = 7}); };
  const Build given = [](Graph&, auto in) { return rotary(in[0], {.position = in[1]}); };
  EXPECT_EQ(run_on(Device::cpu(1), known, points), run_on(Device::cpu(1), given, points));
}

TEST(Positions, SinusoidalIsThePapersTable) {
  for (const int64_t width : {6, 5}) {
    const auto table = [&](Pairing pairing) {
      return run([&](Graph& graph,
                     auto) { return sinusoidal_positions(graph, 4, width, f64, {}, pairing); },
                 {});
    };
    const Tensor mixed = table(Pairing::interleaved), halves = table(Pairing::halves);
    for (int64_t p = 0; p < 4; ++p) {
      for (int64_t d = 0; d < width; ++d) {
        const double angle =
            static_cast<double>(p) *
            std::pow(10000, -static_cast<double>(d / 2 * 2) / static_cast<double>(width));
        const double wanted = d % 2 ? std::cos(angle) : std::sin(angle);
        EXPECT_NEAR(mixed.at(p * width + d), wanted, 1e-12);
        EXPECT_NEAR(halves.at(p * width + d / 2 + d % 2 * ((width + 1) / 2)), wanted, 1e-12);
      }
    }
  }
}

TEST(Positions, LearnedAreRowsFromThePositionOn) {
  Tensor two({}, i32);
  two.set(0, 2);
  const Tensor table = irregular({4, 3}, 1), points[] = {table, two};
  const Tensor from_start =
      run([](Graph&, auto in) { return learned_positions(in[0], 2); }, points);
  const Tensor from_two =
      run([](Graph&, auto in) { return learned_positions(in[0], 3, in[1]); }, points);
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(from_start.at(i), table.at(i));
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(from_two.at(i), table.at(i + 6));
  for (int64_t i = 6; i < 9; ++i) EXPECT_EQ(from_two.at(i), 0);
  Graph graph;
  const Value small = graph.input("table", {4, 3});
  EXPECT_ERROR(ShapeError, learned_positions(small, 5), "5 steps do not fit a table [4, 3]");
}

// The figures of the authors' get_slopes() for 8 and 12 heads.
TEST(Alibi, SlopesAreThoseOfItsAuthors) {
  const auto eight = alibi_slopes(8), twelve = alibi_slopes(12);
  ASSERT_EQ(eight.size(), 8u);
  for (size_t h = 0; h < 8; ++h) EXPECT_EQ(eight[h], std::exp2(-static_cast<double>(h + 1)));
  ASSERT_EQ(twelve.size(), 12u);
  for (size_t h = 0; h < 8; ++h) EXPECT_EQ(twelve[h], eight[h]);
  const double extra[] = {0.7071067811865476, 0.3535533905932738, 0.1767766952966369,
                          0.08838834764831845};
  for (size_t h = 0; h < 4; ++h) EXPECT_NEAR(twelve[8 + h], extra[h], 1e-15);
  const Tensor bias =
      run([](Graph& graph, auto) { return alibi_bias(graph, 2, 2, 4, 1, f64); }, {});
  EXPECT_EQ(bias.shape(), (Shape{2, 2, 4}));
  EXPECT_EQ(bias.at(0), -0.0625);
  EXPECT_EQ(bias.at(3), -0.125);
  EXPECT_EQ(bias.at(8), -0.00390625);
}

}  // namespace soma::test
