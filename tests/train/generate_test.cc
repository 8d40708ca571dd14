// Sampling: the filters one by one, the frequencies of what is chosen, and the loop.
#include "soma/generate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "soma/network.h"
#include "soma/stream.h"
#include "tests/expect_error.h"

namespace soma {

namespace {

// The chances are 0.5, 0.25, 0.125, 0.125 in a mixed order.
const std::vector<float> logits{std::log(2.0f), std::log(1.0f), std::log(4.0f), std::log(1.0f)};

void expect_chances(const Sampling& options, const std::vector<double>& wanted) {
  const auto found = Sampler(options).chances(logits);
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-6) << i;
}

}  // namespace

TEST(Sampler, FiltersLeaveTheLikeliest) {
  expect_chances({}, {0.25, 0.125, 0.5, 0.125});
  expect_chances({.temperature = 0.5}, {4.0 / 22, 1.0 / 22, 16.0 / 22, 1.0 / 22});
  expect_chances({.temperature = 0}, {0, 0, 1, 0});
  expect_chances({.top_k = 2}, {1.0 / 3, 0, 2.0 / 3, 0});
  expect_chances({.top_k = 3}, {2.0 / 7, 1.0 / 7, 4.0 / 7, 0});  // of equals the first
  expect_chances({.top_k = 9}, {0.25, 0.125, 0.5, 0.125});
  expect_chances({.top_p = 0.4}, {0, 0, 1, 0});
  expect_chances({.top_p = 0.6}, {1.0 / 3, 0, 2.0 / 3, 0});
  expect_chances({.min_p = 0.3}, {1.0 / 3, 0, 2.0 / 3, 0});
  expect_chances({.top_k = 2, .top_p = 0.6}, {0, 0, 1, 0});  // 0.6 of what top_k left
}

TEST(Sampler, ChoosesAsOftenAsTheChancesSayAndRepeatably) {
  Sampler first({.temperature = 1}, 7), second({.temperature = 1}, 7), other({}, 8);
  std::vector<int> count(4);
  int equal = 0;
  for (int i = 0; i < 4000; ++i) {
    const int64_t token = first(logits);
    EXPECT_EQ(second(logits), token);
    equal += other(logits) == token;
    ++count[static_cast<size_t>(token)];
  }
  const double wanted[] = {0.25, 0.125, 0.5, 0.125};
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(count[i] / 4000.0, wanted[i], 0.03) << i;
  EXPECT_LT(equal, 2000);
}

TEST(Sampler, LargeLogitsAndMinusInfinityAreFine) {
  const float far = std::numeric_limits<float>::infinity();
  const std::vector<float> large{3e38f, -3e38f, 3e38f, -far};
  EXPECT_EQ(Sampler().chances(large), (std::vector<double>{0.5, 0, 0.5, 0}));
  EXPECT_ERROR(ArgumentError, Sampler().chances(std::vector<float>{1, far}), "token 1 is inf");
  EXPECT_ERROR(ArgumentError, Sampler().chances(std::vector<float>{-far}), "every logit is -inf");
  EXPECT_ERROR(ArgumentError, Sampler().chances({}), "no logits");
  EXPECT_ERROR(ArgumentError, Sampler({.top_p = 0}), "top_p must be in (0, 1], found 0");
}

TEST(Generate, FeedsThePromptThenWhatWasChosen) {
  std::vector<int64_t> seen;
  std::vector<float> answer(5);
  const auto next = [&](int64_t token) {  // always the token after it
    seen.push_back(token);
    answer.assign(5, 0);
    answer[static_cast<size_t>((token + 1) % 5)] = 1;
    return std::span<const float>(answer);
  };
  Sampler greedy({.temperature = 0});
  const std::vector<int64_t> prompt{0, 2};
  EXPECT_EQ(generate(next, prompt, 4, greedy), (std::vector<int64_t>{3, 4, 0, 1}));
  EXPECT_EQ(seen, (std::vector<int64_t>{0, 2, 3, 4, 0}));
  EXPECT_EQ(generate(next, prompt, 9, greedy, [](int64_t token) { return token != 4; }),
            (std::vector<int64_t>{3, 4}));
  EXPECT_ERROR(ArgumentError, generate(next, {}, 1, greedy), "the prompt is empty");
}

TEST(Generate, FromAStreamGoesOnWhereItStands) {
  const Network net = Network::parse(
      "input 6, embedding 5 8 start=normal(std=1), decoder 2 context=6, unembedding 5");
  Stream stream(net), steps(net);
  Sampler sampler({}, 3), again({}, 3);
  std::vector<int64_t> wanted;
  float token = 2;
  for (int i = 0; i < 5; ++i) {
    wanted.push_back(again(steps.step(std::span(&token, 1)).as<float>()));
    token = static_cast<float>(wanted.back());
  }
  const std::vector<int64_t> prompt{2};
  auto found = generate(stream, prompt, 3, sampler);
  const auto more = generate(stream, std::span(found).last(1), 2, sampler);
  found.insert(found.end(), more.begin(), more.end());
  EXPECT_EQ(found, wanted);
  Stream pair(net, 2);
  EXPECT_ERROR(ShapeError, generate(pair, prompt, 1, sampler), "one token of one sequence");
}

}  // namespace soma
