// Matrix products against a plain triple loop in long double: odd shapes, all transpositions, rows
// that lie apart, bias and accumulation, on every instruction set; and the same bits whatever
// computes the chunks.
#include "src/backends/cpu/gemm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "soma/error.h"
#include "soma/tensor.h"
#include "src/base/philox.h"
#include "src/base/team.h"
#include "src/base/text.h"

namespace soma::cpu {
namespace {

struct Case {
  int64_t m, n, k;
  bool ta, tb;
  int64_t gap = 0;  // added to every row stride
  bool bias = false, accumulate = false, relu = false;

  std::string text() const {
    return cat(m, "x", n, "x", k, " ", ta ? "T" : "N", tb ? "T" : "N", " gap ", gap,
               bias ? " bias" : "", accumulate ? " accumulate" : "", relu ? " relu" : "");
  }
};

template <class T>
struct Operands {
  explicit Operands(const Case& s)
      : lda((s.ta ? s.m : s.k) + s.gap), ldb((s.tb ? s.k : s.n) + s.gap), ldc(s.n + s.gap) {
    Random random(3);
    const auto filled = [&](int64_t count) {
      std::vector<T> values(static_cast<size_t>(count));
      values.reserve(1);  // arrays of plans are never null
      for (T& value : values) value = static_cast<T>(random.uniform_double() - 0.5);
      return values;
    };
    // The last row ends where it must: reading or writing beyond is an error.
    const auto extent = [](int64_t rows, int64_t cols, int64_t stride) {
      return rows == 0 || cols == 0 ? 0 : (rows - 1) * stride + cols;
    };
    a = filled(extent(s.ta ? s.k : s.m, s.ta ? s.m : s.k, lda));
    b = filled(extent(s.tb ? s.n : s.k, s.tb ? s.k : s.n, ldb));
    c = filled(extent(s.m, s.n, ldc));
    bias = filled(s.n);
  }
  int64_t lda, ldb, ldc;
  std::vector<T> a, b, c, bias;
};

template <class T>
std::vector<T> product(const Isa& isa, const Case& s, const Operands<T>& in, Team& team,
                       bool backwards = false) {
  const GemmPlan plan =
      plan_gemm(s.m, s.n, s.k, s.ta, s.tb, in.lda, in.ldb, in.ldc, dtype_of<T>::value);
  std::vector<T> c = in.c;
  std::vector<Tensor> scratch;
  for (int i = 0; i < team.size(); ++i) scratch.emplace_back(Shape{plan.scratch_bytes}, u8);
  parallel(team, plan.chunks(), [&](int64_t begin, int64_t end, int worker) {
    for (int64_t i = begin; i < end; ++i)
      gemm_chunk(isa, plan, in.a.data(), in.b.data(), c.data(), scratch[worker].raw(),
                 backwards ? end - 1 - (i - begin) : i,
                 {s.accumulate, s.bias ? in.bias.data() : nullptr, s.relu});
  });
  return c;
}

template <class T>
void check(const Isa& isa, const Case& s) {
  const Operands<T> in(s);
  Team alone(1);
  const std::vector<T> got = product(isa, s, in, alone);
  const double tolerance =
      4 * std::sqrt(static_cast<double>(s.k) + 1) * std::numeric_limits<T>::epsilon();
  for (int64_t i = 0; i < s.m; ++i)
    for (int64_t j = 0; j < in.ldc; ++j) {
      const size_t at = static_cast<size_t>(i * in.ldc + j);
      if (at >= got.size()) continue;
      if (j >= s.n) {
        ASSERT_EQ(got[at], in.c[at]) << s.text() << ": wrote beside C, on " << isa.name;
        continue;
      }
      long double wanted = (s.accumulate ? in.c[at] : T{}) + (s.bias ? in.bias[j] : T{});
      for (int64_t p = 0; p < s.k; ++p)
        wanted += static_cast<long double>(in.a[s.ta ? p * in.lda + i : i * in.lda + p]) *
                  in.b[s.tb ? j * in.ldb + p : p * in.ldb + j];
      if (s.relu && wanted < 0) wanted = 0;
      ASSERT_NEAR(static_cast<double>(got[at]), static_cast<double>(wanted), tolerance)
          << s.text() << " at " << i << ", " << j << " on " << isa.name;
    }
}

std::vector<Case> odd_cases() {
  std::vector<Case> cases;
  const int64_t extents[][3] = {
      {1, 1, 1},     {1, 10, 7},    {1, 130, 33}, {1, 300, 5},   {2, 70, 9},    {3, 33, 1},
      {1, 10, 200},  {1, 80, 140},  {1, 20, 333}, {1, 128, 784}, {1, 1, 100},   {9, 1, 37},
      {5, 65, 20},   {6, 64, 64},   {7, 31, 300}, {13, 16, 17},  {14, 32, 16},  {15, 47, 15},
      {28, 10, 128}, {29, 129, 31}, {61, 8, 40},  {64, 96, 257}, {128, 10, 50}, {33, 34, 520}};
  for (const auto& e : extents)
    for (bool ta : {false, true})
      for (bool tb : {false, true})
        for (int64_t gap : {0, 5}) {
          const bool bias = (e[0] + e[1] + gap) % 2 == 0;
          cases.push_back({e[0], e[1], e[2], ta, tb, gap, bias, false});
          cases.push_back({e[0], e[1], e[2], ta, tb, gap, bias, true});
          cases.push_back({e[0], e[1], e[2], ta, tb, gap, !bias, false, true});
        }
  return cases;
}

TEST(Gemm, MatchesTheDefinition) {
  for (std::string_view name : isa_names())
    for (const Case& s : odd_cases()) {
      check<float>(isa_named(name), s);
      check<double>(isa_named(name), s);
      if (HasFatalFailure()) return;
    }
}

TEST(Gemm, NetworkShapes) {
  for (std::string_view name : isa_names())
    for (const Case& s :
         {Case{128, 128, 784, false, false, 0, true}, Case{784, 128, 32, true, false},
          Case{32, 784, 128, false, true}, Case{20, 1024, 300, false, false},
          Case{1024, 33, 40, true, false, 0, true}, Case{130, 97, 300, true, false, 200},
          Case{300, 70, 290, true, true}, Case{61, 64, 33, true, false, 300, false, true}}) {
      check<float>(isa_named(name), s);
      check<double>(isa_named(name), s);
      if (HasFatalFailure()) return;
    }
}

TEST(Gemm, StepsOfDescent) {
  for (std::string_view name : isa_names())
    for (const Case& s : {Case{300, 75, 30, true, false, 5}, Case{7, 10, 25, false, true},
                          Case{1, 130, 9, true, false}, Case{33, 1, 20, false, false, 3},
                          Case{33, 1, 20, false, false}, Case{9, 64, 0, false, false}}) {
      const Operands<float> in(s);
      const Isa& isa = isa_named(name);
      const GemmPlan plan = plan_gemm(s.m, s.n, s.k, s.ta, s.tb, in.lda, in.ldb, in.ldc, f32);
      ASSERT_GE(plan.depth_block, s.k);
      Tensor scratch(Shape{plan.scratch_bytes}, u8);
      const auto run = [&](std::vector<float>& c, const GemmFinish& finish) {
        for (int64_t i = 0; i < plan.chunks(); ++i)
          gemm_chunk(isa, plan, in.a.data(), in.b.data(), c.data(), scratch.raw(), i, finish);
      };
      std::vector<float> product = in.c, in_place = in.c;
      run(product, {});
      GemmFinish descent;
      descent.base = in_place.data();
      descent.factor = 0.3f;
      run(in_place, descent);
      for (int64_t i = 0; i < s.m; ++i)
        for (int64_t j = 0; j < s.n; ++j) {
          const auto at = static_cast<size_t>(i * in.ldc + j);
          const float step = product[at] * 0.3f;
          ASSERT_EQ(in_place[at], in.c[at] - step) << s.text() << " at " << i << ", " << j;
        }
    }
}

TEST(Gemm, EmptyExtents) {
  for (std::string_view name : isa_names())
    for (const Case& s : {Case{0, 5, 3, false, false}, Case{5, 0, 3, false, true},
                          Case{5, 7, 0, false, false}, Case{5, 7, 0, true, true, 2, true},
                          Case{5, 70, 0, true, false, 0, false, true}, Case{0, 0, 0, false, false}})
      check<float>(isa_named(name), s);
  EXPECT_EQ(plan_gemm(0, 5, 3, false, false, 3, 5, 5, f32).chunks(), 0);
  EXPECT_EQ(plan_gemm(5, 0, 3, false, false, 3, 0, 0, f32).chunks(), 0);
}

TEST(Gemm, SameBitsForAnyNumberOfThreads) {
  for (std::string_view name : isa_names())
    for (const Case& s :
         {Case{128, 96, 300, false, false, 0, true}, Case{200, 64, 128, true, false},
          Case{67, 200, 130, false, true}, Case{1, 500, 64, false, false},
          Case{100, 10, 64, false, false}, Case{300, 1, 64, false, false}}) {
      const Operands<float> in(s);
      Team alone(1);
      const auto wanted = product(isa_named(name), s, in, alone);
      for (int threads : {1, 2, 3, 4, 7}) {
        Team team(threads);
        EXPECT_EQ(product(isa_named(name), s, in, team), wanted) << s.text() << ", " << threads;
        EXPECT_EQ(product(isa_named(name), s, in, team, true), wanted) << s.text();
      }
    }
}

// One sample gives the same answer alone and in a batch.
TEST(Gemm, RowsDoNotDependOnTheBatch) {
  for (std::string_view name : isa_names())
    for (bool tb : {false, true})
      for (int64_t cols : {1, 10, 40, 75, 128}) {
        const Case batch{37, cols, 400, false, tb, 0, true};
        const Operands<float> in(batch);
        Team alone(1);
        const auto all = product(isa_named(name), batch, in, alone);
        for (int64_t rows : {1, 2, 5, 8}) {
          Case few = batch;
          few.m = rows;
          const auto some = product(isa_named(name), few, in, alone);
          EXPECT_TRUE(std::equal(some.begin(), some.begin() + rows * cols, all.begin()))
              << rows << " rows of " << cols;
        }
      }
}

TEST(Gemm, RegionsTileC) {
  for (int64_t m : {1, 2, 7, 128, 784, 5000})
    for (int64_t n : {1, 10, 128, 513}) {
      const GemmPlan plan = plan_gemm(m, n, 100, false, false, 100, n, n, f32);
      std::vector<int> covered(static_cast<size_t>(m * n), 0);
      for (int64_t chunk = 0; chunk < plan.chunks(); ++chunk) {
        const GemmRegion r = plan.region(chunk);
        EXPECT_LT(r.row0, r.row1);
        EXPECT_LT(r.col0, r.col1);
        for (int64_t i = r.row0; i < r.row1; ++i)
          for (int64_t j = r.col0; j < r.col1; ++j) ++covered[i * n + j];
      }
      EXPECT_EQ(std::count(covered.begin(), covered.end(), 1), m * n) << m << "x" << n;
    }
}

TEST(Gemm, GivesWorkToSeveralThreads) {
  EXPECT_GE(plan_gemm(128, 128, 784, false, false, 784, 128, 128, f32).chunks(), 4);
  EXPECT_GE(plan_gemm(784, 128, 128, true, false, 784, 128, 128, f32).chunks(), 4);
  EXPECT_GE(plan_gemm(32, 128, 784, false, false, 784, 128, 128, f32).chunks(), 4);
}

TEST(Gemm, RefusesWhatCannotBe) {
  EXPECT_THROW(plan_gemm(2, 2, 2, false, false, 2, 2, 2, i32), TypeError);
  EXPECT_THROW(plan_gemm(-1, 2, 2, false, false, 2, 2, 2, f32), ShapeError);
  EXPECT_THROW(plan_gemm(2, 2, 3, false, false, 2, 2, 2, f32), ShapeError);
  EXPECT_THROW(plan_gemm(2, 2, 3, false, true, 3, 2, 2, f32), ShapeError);
}

}  // namespace
}  // namespace soma::cpu
