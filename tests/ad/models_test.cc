// Gradients of whole networks, written in primitives alone, and through an optimizer's step.
#include <cmath>

#include "soma/gradient.h"
#include "tests/ad/points.h"

namespace soma::test {

namespace {

Value relu(Value x) { return select(0.0 < x, x, 0.0); }
Value gelu(Value x) { return x * 0.5 * (1.0 + erf(x * std::sqrt(0.5))); }

Value softmax(Value x) {
  const Value e = exp(x - stop(max_over(x, {-1}, Keep::yes)));
  return e / sum(e, {-1}, Keep::yes);
}

Value cross_entropy(Value logits, Value one_hot) {
  const Value z = logits - stop(max_over(logits, {-1}, Keep::yes));
  return sum(log(sum(exp(z), {-1}))) - sum(z * one_hot);
}

Value layer_norm(Value x, Value gain, Value bias) {
  const Value centred = x - mean(x, {-1}, Keep::yes);
  return centred * rsqrt(mean(square(centred), {-1}, Keep::yes) + 1e-5) * gain + bias;
}

Value causal_attention(Value q, Value k, Value v) {
  const Value scores = dot(q, k, false, true) * (1 / std::sqrt(static_cast<double>(q.extent(-1))));
  const Value later = lt(iota(q.graph(), scores.shape(), scores.rank() - 2),
                         iota(q.graph(), scores.shape(), scores.rank() - 1));
  return dot(softmax(select(later, -1e9, scores)), v);
}

// What Adam (Kingma and Ba 2015) makes of a parameter in its first step, from moments of 0.1.
Value adam_step(Value w, Value gradient) {
  const Value m = 0.9 * 0.1 + 0.1 * gradient, v = 0.99 * 0.1 + 0.01 * square(gradient);
  return w - 0.1 * (m / 0.1) / (sqrt(v / 0.01) + 1e-8);
}

}  // namespace

TEST(ModelGradient, PerceptronWithCrossEntropy) {
  const Tensor points[] = {around_zero({3, 4}), spread({4, 5}, -0.7, 0.7, 1), around_zero({5}, 2),
                           spread({5, 3}, -0.7, 0.7), around_zero({3}, 1)};
  expect_gradients(
      [](Graph& g, auto x) {
        const Value label = cast(eq(iota(g, {3, 3}, 0), iota(g, {3, 3}, 1)), f32);
        return cross_entropy(matmul(gelu(matmul(x[0], x[1]) + x[2]), x[3]) + x[4], label);
      },
      points, 2);
}

TEST(ModelGradient, ConvolutionsWithPooling) {
  const Tensor points[] = {around_zero({2, 2, 6, 6}), spread({4, 2, 3, 3}, -0.5, 0.5, 1),
                           spread({4, 1, 2, 2}, -0.5, 0.5, 2), spread({4, 3}, -0.5, 0.5)};
  expect_gradients(
      [](Graph&, auto x) {
        const Value first = conv(x[0], x[1], {ConvRole::y, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1, {}});
        const Value pooled = max_over(unfold(unfold(relu(first), 2, 2, 2), 3, 2, 2), {4, 5});
        const Value depthwise =
            conv(pooled, x[2], {ConvRole::y, {1, 1}, {0, 0}, {1, 1}, {2, 2}, 4, {}});
        return curved(matmul(mean(tanh(depthwise), {2, 3}), x[3]));
      },
      points, 2);
}

TEST(ModelGradient, CausalAttentionWithLayerNorm) {
  std::vector<Tensor> points = {around_zero({2, 4, 3})};
  for (int i = 0; i < 3; ++i) points.push_back(spread({3, 3}, -0.8, 0.8, i));
  points.push_back(spread({3}, 0.5, 1.5));
  points.push_back(around_zero({3}, 1));
  expect_gradients(
      [](Graph&, auto x) {
        const Value a =
            causal_attention(matmul(x[0], x[1]), matmul(x[0], x[2]), matmul(x[0], x[3]));
        return curved(layer_norm(x[0] + a, x[4], x[5]));
      },
      points, 2);
}

TEST(ModelGradient, EmbeddingUsedTwice) {
  const Tensor points[] = {around_zero({5, 3}), Tensor::of<int32_t>({2, 3}, {0, 3, 3, 4, 0, 2})};
  expect_gradients(
      [](Graph&, auto x) { return curved(matmul(gather(x[0], x[1]), transpose(x[0]))); }, points,
      2);
}

TEST(ModelGradient, DropoutKeepsItsMask) {
  const Tensor points[] = {around_zero({4, 3}), Tensor::of<int64_t>({2}, {7, 1})};
  expect_gradients(
      [](Graph&, auto x) {
        const Value kept = lt(0.4, rng(x[1], x[0].shape(), 3));
        return curved(select(kept, x[0] * (1 / 0.6), 0.0));
      },
      points, 2);
}

TEST(ModelGradient, ThroughAnOptimizerStep) {
  const Tensor points[] = {spread({3, 2}, -0.6, 0.6), around_zero({4, 3}, 1),
                           around_zero({4, 2}, 2)};
  expect_gradients(
      [](Graph&, auto in) {
        const auto loss = [&](Value w) { return sum(square(tanh(dot(in[1], w)) - in[2])); };
        const Value w = in[0];
        return loss(adam_step(w, gradients(loss(w), std::span(&w, 1))[0]));
      },
      points, 2);
}

// The same functions inside a call: its gradient, and the gradient of that.
TEST(ModelGradient, CallsWithinCalls) {
  const Tensor points[] = {around_zero({2, 3}), spread({3}, 0.5, 1.5), around_zero({3}, 1)};
  expect_gradients(
      [](Graph&, auto x) {
        return call("block", {x[0], x[1], x[2]}, [](auto in) {
          const Value normal = call("layer_norm", {in[0], in[1], in[2]},
                                    [](auto y) { return layer_norm(y[0], y[1], y[2]); });
          return softmax(curved(normal));
        });
      },
      points, 3);
}

}  // namespace soma::test
