// Philox against the known-answer vectors of the authors' Random123 library (file kat_vectors), and
// the distributions built on it against their moments.
#include "src/base/philox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <vector>

namespace soma {
namespace {

TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t all = 0xffffffff;
  EXPECT_EQ(philox({all, all, all, all}, {all, all}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, MapsElementsToCounterWords) {
  constexpr uint64_t seed = 0x299f31d0a4093822;
  const PhiloxCounter block = philox({5, 1, 7, 9}, {0xa4093822, 0x299f31d0});
  for (uint64_t word = 0; word < 4; ++word)
    EXPECT_EQ(philox_bits(seed, 9, 7, ((uint64_t{1} << 32) + 5) * 4 + word), block[word]);
  static_assert(philox_bits(0, 0, 0, 0) == 0x6627e8d5);
  // Layers are 2^32 streams apart: the high half counts, too.
  const PhiloxCounter far = philox({5, 3, 7, 9}, {0xa4093822, 0x299f31d0});
  EXPECT_EQ(philox_bits(seed, 9, (uint64_t{3} << 32) + 7, 5 * 4 + 2), far[2]);
}

TEST(Random, DrawsTheElementsInOrder) {
  Random random(42, 3);
  for (uint64_t i = 0; i < 20; ++i) EXPECT_EQ(random.bits(), philox_bits(42, 0, 3, i));
  EXPECT_EQ(random.bits_at(2), philox_bits(42, 0, 3, 2));
}

TEST(Random, UniformStaysBelowOne) {
  EXPECT_EQ(uniform_float(0), 0.0f);
  EXPECT_EQ(uniform_float(0xffffffff), 1.0f - 0x1p-24f);
  Random random(1);
  double sum = 0, squares = 0;
  constexpr int count = 100'000;
  for (int i = 0; i < count; ++i) {
    const double value = random.uniform_double();
    ASSERT_GE(value, 0);
    ASSERT_LT(value, 1);
    sum += value, squares += value * value;
  }
  EXPECT_NEAR(sum / count, 0.5, 0.004);
  EXPECT_NEAR(squares / count, 1.0 / 3, 0.004);
}

TEST(Random, PortableFunctionsAreAccurate) {
  for (int i = 1; i <= 4000; ++i) {
    const double u = i / 4001.0;
    EXPECT_NEAR(detail::portable_log(u), std::log(u), 1e-15 + 4e-16 * -std::log(u));
    EXPECT_NEAR(detail::portable_cos_turns(u), std::cos(6.283185307179586 * u), 2e-15);
  }
  EXPECT_EQ(detail::portable_log(1), 0);
  EXPECT_EQ(detail::portable_cos_turns(0), 1);
}

TEST(Random, NormalHasNormalMoments) {
  Random random(7);
  constexpr int count = 100'000;
  double moments[5] = {};
  for (int i = 0; i < count; ++i) {
    const double value = random.normal();
    for (double power = 1; double& moment : moments) moment += power / count, power *= value;
  }
  EXPECT_NEAR(moments[1], 0, 0.012);
  EXPECT_NEAR(moments[2], 1, 0.02);
  EXPECT_NEAR(moments[3], 0, 0.05);
  EXPECT_NEAR(moments[4], 3, 0.15);
}

TEST(Random, BelowIsUnbiased) {
  Random random(5);
  std::vector<int> counts(7, 0);
  for (int i = 0; i < 70'000; ++i) ++counts[random.below(7)];
  for (int count : counts) EXPECT_NEAR(count, 10'000, 400);
  EXPECT_EQ(random.below(1), 0u);
  constexpr uint64_t large = (uint64_t{1} << 63) + 1;  // nearly half of all draws are refused
  for (int i = 0; i < 100; ++i) EXPECT_LT(random.below(large), large);
}

TEST(Random, ShuffleReachesEveryOrderEvenly) {
  Random random(11);
  std::map<std::vector<int>, int> orders;
  for (int i = 0; i < 24'000; ++i) {
    std::vector<int> items{1, 2, 3, 4};
    random.shuffle(std::span(items));
    ++orders[items];
  }
  EXPECT_EQ(orders.size(), 24u);
  for (const auto& [order, count] : orders) EXPECT_NEAR(count, 1000, 150);
}

TEST(Random, SameSeedSameBitsOtherStreamOtherBits) {
  Random a(9), b(9), c(9, 1), d(10);
  std::vector<double> xs, ys, zs, ws;
  for (int i = 0; i < 8; ++i) {
    xs.push_back(a.normal()), ys.push_back(b.normal());
    zs.push_back(c.normal()), ws.push_back(d.normal());
  }
  EXPECT_EQ(xs, ys);
  EXPECT_NE(xs, zs);
  EXPECT_NE(xs, ws);
}

}  // namespace
}  // namespace soma
