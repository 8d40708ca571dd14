// The meaning of dot and conv: numbers by hand, and the three roles of a convolution as one
// trilinear form.
#include "tests/ir/evaluate.h"

namespace soma {
namespace {

TEST(Dot, InAllFourOrders) {
  const Tensor a = array({2, 3}, {1, 2, 3, 4, 5, 6}), b = array({3, 2}, {1, 0, 2, 1, 0, 3});
  const Tensor wanted = array({2, 2}, {5, 11, 14, 23});
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      const Tensor found = evaluated({a, b}, [&](const auto& in) {
        const Value x = ta ? transpose(in[0]) : in[0], y = tb ? transpose(in[1]) : in[1];
        return dot(x, y, ta, tb);
      });
      expect_tensor(found, wanted);
    }
  }
}
TEST(Dot, BatchesAndEmptySums) {
  const Tensor a = counting({2, 1, 2}), b = counting({2, 2, 1});
  expect_tensor(evaluated({a, b}, [](const auto& in) { return dot(in[0], in[1]); }),
                array({2, 1, 1}, {1, 13}));
  expect_tensor(
      evaluated({Tensor({2, 0}), Tensor({0, 1})}, [](const auto& in) { return dot(in[0], in[1]); }),
      array({2, 1}, {0, 0}));
}
TEST(Dot, MatmulFollowsNumpy) {
  const Tensor x = counting({2, 2, 2}), v = list({1, 10});
  const auto product = [](const auto& in) { return matmul(in[0], in[1]); };
  expect_tensor(evaluated({x, v}, product), array({2, 2}, {10, 32, 54, 76}));
  expect_tensor(evaluated({v, x}, product), array({2, 2}, {20, 31, 64, 75}));
  expect_tensor(evaluated({v, v}, product), array({}, {101}));
  expect_tensor(evaluated({x, array({2, 1}, {1, 10})}, product),
                array({2, 2, 1}, {10, 32, 54, 76}));
}

TEST(Conv, OneAxisByHand) {
  const Tensor x = array({1, 1, 5}, {1, 2, 3, 4, 5}), w = array({1, 1, 2}, {1, 10});
  const auto y = [&](ConvAttr attr) {
    return evaluated({x, w}, [&](const auto& in) { return conv(in[0], in[1], attr); });
  };
  expect_tensor(y({ConvRole::y, {1}, {0}, {0}, {1}, 1, {}}), array({1, 1, 4}, {21, 32, 43, 54}));
  expect_tensor(y({ConvRole::y, {2}, {0}, {0}, {1}, 1, {}}), array({1, 1, 2}, {21, 43}));
  expect_tensor(y({ConvRole::y, {1}, {1}, {1}, {1}, 1, {}}),
                array({1, 1, 6}, {10, 21, 32, 43, 54, 5}));
  expect_tensor(y({ConvRole::y, {1}, {0}, {0}, {3}, 1, {}}), array({1, 1, 2}, {41, 52}));
  expect_tensor(y({ConvRole::y, {2}, {2}, {1}, {2}, 1, {}}), array({1, 1, 3}, {10, 31, 53}));
}
TEST(Conv, TheOtherRolesByHand) {
  const Tensor dy = array({1, 1, 2}, {1, 100}), w = array({1, 1, 2}, {2, 3});
  expect_tensor(evaluated({dy, w},
                          [](const auto& in) {
                            return conv(in[0], in[1], {ConvRole::dx, {2}, {1}, {0}, {1}, 1, {3}});
                          }),
                array({1, 1, 3}, {3, 200, 300}));
  const Tensor x = array({1, 1, 3}, {5, 6, 7});
  expect_tensor(evaluated({x, dy},
                          [](const auto& in) {
                            return conv(in[0], in[1], {ConvRole::dw, {2}, {1}, {0}, {1}, 1, {2}});
                          }),
                array({1, 1, 2}, {600, 705}));
}
TEST(Conv, TwoAxesChannelsAndGroups) {
  // Two channels, 2 x 2 images, weights of ones: sums over windows and channels.
  const Tensor x = counting({1, 2, 2, 2}), ones = array({1, 2, 2, 2}, std::vector<double>(8, 1));
  expect_tensor(
      evaluated({x, ones},
                [](const auto& in) {
                  return conv(in[0], in[1], {ConvRole::y, {1, 1}, {0, 1}, {0, 0}, {1, 1}, 1, {}});
                }),
      array({1, 1, 1, 2}, {12, 28}));
  // Two groups: each output sees its own channel.
  const Tensor each = array({2, 1, 1, 1}, {1, 10});
  expect_tensor(
      evaluated({x, each},
                [](const auto& in) {
                  return conv(in[0], in[1], {ConvRole::y, {1, 1}, {0, 0}, {0, 0}, {1, 1}, 2, {}});
                }),
      array({1, 2, 2, 2}, {0, 1, 2, 3, 40, 50, 60, 70}));
}

TEST(Conv, IsOneTrilinearForm) {
  Random random(3);
  const auto pick = [&](uint64_t from, uint64_t count) {
    return static_cast<int64_t>(from + random.below(count));
  };
  for (int n = 0; n < 120; ++n) {
    const int spatial = 1 + n % 3;
    ConvAttr attr{ConvRole::y, {}, {}, {}, {}, pick(1, 3), {}};
    Shape xs{pick(1, 2), attr.groups * pick(1, 2)},
        ws{attr.groups * pick(1, 2), xs[1] / attr.groups};
    Dims x_size, w_size;
    for (int i = 0; i < spatial; ++i) {
      attr.stride.push_back(pick(1, 3));
      attr.lo.push_back(pick(0, 3));
      attr.hi.push_back(pick(0, 3));
      attr.dilation.push_back(pick(1, 2));
      x_size.push_back(pick(0, 6));
      w_size.push_back(pick(1, 3));
      xs.push_back(x_size.back());
      ws.push_back(w_size.back());
    }
    const Tensor x = noise(xs, random), w = noise(ws, random);
    const auto in_role = [&](ConvRole role, const Tensor& a, const Tensor& b, const Dims& size) {
      ConvAttr of_role = attr;
      of_role.role = role;
      of_role.size = size;
      return evaluated({a, b}, [&](const auto& in) { return conv(in[0], in[1], of_role); });
    };
    const Tensor y = in_role(ConvRole::y, x, w, {});
    const Tensor dy = noise(y.shape(), random);
    const double form = inner(y, dy);
    EXPECT_NEAR(inner(x, in_role(ConvRole::dx, dy, w, x_size)), form, 1e-11);
    EXPECT_NEAR(inner(w, in_role(ConvRole::dw, x, dy, w_size)), form, 1e-11);
  }
}

}  // namespace
}  // namespace soma
