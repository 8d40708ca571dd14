// CTC against the sum over all alignments, one by one; lengths, fillers, extremes; the functions of
// pairs over values.
#include "soma/gradient.h"
#include "tests/expect_error.h"
#include "tests/nn/evaluate.h"

namespace soma::test {
namespace {

using Labels = std::vector<int32_t>;

/// What an alignment reads: repetitions first, then blanks are left out.
Labels read(const Labels& alignment, int32_t blank) {
  Labels labels;
  int32_t before = blank;
  for (const int32_t k : alignment) {
    if (k != before && k != blank) labels.push_back(k);
    before = k;
  }
  return labels;
}

/// -ln of the sum over all classes^time alignments that read `labels`.
double by_hand(const std::vector<double>& logits, int classes, int time, const Labels& labels,
               int32_t blank) {
  double total = 0;
  Labels alignment(static_cast<size_t>(time), 0);
  for (;;) {
    if (read(alignment, blank) == labels) {
      double p = 1;
      for (int t = 0; t < time; ++t) {
        double sum = 0;
        for (int k = 0; k < classes; ++k) sum += std::exp(logits[t * classes + k]);
        p *= std::exp(logits[t * classes + alignment[t]]) / sum;
      }
      total += p;
    }
    int at = 0;
    while (at < time && ++alignment[at] == classes) alignment[at++] = 0;
    if (at == time) return -std::log(total);
  }
}

Tensor filled(const Labels& labels, size_t n) {
  Labels row = labels;
  row.resize(n, -1);
  return Tensor::of({1, static_cast<int64_t>(n)}, row);
}

std::vector<double> some_logits(int count) {
  std::vector<double> x;
  for (int i = 0; i < count; ++i) x.push_back(1.5 * std::sin(1 + 2.3 * i));
  return x;
}

struct Result {
  double loss;
  std::vector<double> slope;
};
Result ctc_of(const std::vector<double>& logits, int classes, const Tensor& labels, int64_t blank,
              DType type = f64) {
  const int64_t time = static_cast<int64_t>(logits.size()) / classes;
  Graph graph;
  const Value x = graph.input("x", {1, time, classes}, type);
  const Value loss = ctc_loss(x, graph.input("t", labels.shape(), i32), blank);
  const Value wrt[] = {x};
  const Value slope = gradients(sum(loss), wrt)[0];
  const Tensor points = vector_of(logits).reshaped({1, time, classes}).cast(type);
  const Tensors data{{"x", points}, {"t", labels}};
  return {evaluate(graph, loss, data).at(0), numbers(evaluate(graph, slope, data))};
}

}  // namespace

TEST(Ctc, IsTheSumOverAllAlignments) {
  const auto logits = some_logits(5 * 3);
  for (const int32_t blank : {0, 1, 2}) {
    const int32_t a = blank == 0 ? 1 : 0, b = 3 - a - blank;
    for (const Labels& labels : {Labels{}, {a}, {b}, {a, b}, {a, a}, {b, a, b}, {a, b, b}}) {
      EXPECT_NEAR(ctc_of(logits, 3, filled(labels, 3), blank).loss,
                  by_hand(logits, 3, 5, labels, blank), 1e-12);
    }
  }
}

TEST(Ctc, OfOneStepIsTheCrossEntropy) {
  EXPECT_NEAR(ctc_of({1, 2, 3}, 3, filled({2}, 1), 0).loss, 0.40760596444438, 1e-13);
}

TEST(Ctc, OfEqualProbabilitiesCountsAlignments) {
  // Three steps and a label of three classes: 6 of 27 alignments read it.
  const Result found = ctc_of(std::vector<double>(9, 0), 3, filled({1}, 1), 0);
  EXPECT_NEAR(found.loss, std::log(27.0 / 6), 1e-12);
  // The gradient is softmax minus the share of the alignments that pass: (Graves+ 2006, eq. 15).
  expect_near(found.slope,
              {1.0 / 3 - 3.0 / 6, 1.0 / 3 - 3.0 / 6, 1.0 / 3,  //
               1.0 / 3 - 2.0 / 6, 1.0 / 3 - 4.0 / 6, 1.0 / 3,  //
               1.0 / 3 - 3.0 / 6, 1.0 / 3 - 3.0 / 6, 1.0 / 3},
              1e-12);
}

TEST(Ctc, LeavesOutStepsBeyondTheLength) {
  const auto logits = some_logits(5 * 3);
  Graph graph;
  const Value x = graph.input("x", {2, 5, 3}, f64);
  const Value loss = ctc_loss(x, graph.input("t", {2, 2}, i32), 0, graph.input("n", {2}, i32));
  std::vector<double> both = logits;
  both.insert(both.end(), logits.begin(), logits.end());
  const Tensors data{{"x", vector_of(both).reshaped({2, 5, 3})},
                     {"t", Tensor::of<int32_t>({2, 2}, {1, 2, 2, -1})},
                     {"n", Tensor::of<int32_t>({2}, {3, 5})}};
  const std::vector<double> front(logits.begin(), logits.begin() + 9);
  expect_near(numbers(evaluate(graph, loss, data)),
              {by_hand(front, 3, 3, {1, 2}, 0), by_hand(logits, 3, 5, {2}, 0)}, 1e-12);
}

TEST(Ctc, StaysFiniteAtTheExtremes) {
  std::vector<double> logits = some_logits(6 * 4);
  for (double& x : logits) x *= 1e4;
  const Result far = ctc_of(logits, 4, filled({1, 1, 3}, 4), 0, f32);
  EXPECT_TRUE(std::isfinite(far.loss));
  for (const double slope : far.slope) EXPECT_TRUE(std::isfinite(slope));
}

TEST(Ctc, WhatDoesNotFitCountsForNothing) {
  const auto logits = some_logits(3 * 3);
  for (const Labels& labels : {Labels{1, 1, 2}, {1, 2, 1, 2}, {1, 0}, {1, 7}}) {  // 0 is the blank
    const Result found = ctc_of(logits, 3, filled(labels, 4), 0);
    EXPECT_EQ(found.loss, 0);
    for (const double slope : found.slope) EXPECT_EQ(slope, 0);
  }
  Graph graph;  // nor in the mean
  const Value loss = ctc()(graph.input("x", {2, 3, 3}, f64), graph.input("t", {2, 3}, i32));
  std::vector<double> both = logits;
  both.insert(both.end(), logits.begin(), logits.end());
  const Tensors data{{"x", vector_of(both).reshaped({2, 3, 3})},
                     {"t", Tensor::of<int32_t>({2, 3}, {1, 1, 2, 2, -1, -1})}};
  EXPECT_NEAR(evaluate(graph, loss, data).at(0), by_hand(logits, 3, 3, {2}, 0), 1e-12);
}

TEST(Ctc, WrongShapesGiveSentences) {
  Graph graph;
  const Value x = graph.input("x", {2, 5, 3}), t = graph.input("t", {2, 2}, i32);
  EXPECT_ERROR(ShapeError, ctc()(x, x), "[batch, time, classes]");
  EXPECT_ERROR(ShapeError, ctc()(x, graph.input("u", {3, 2}, i32)), "[3, 2]");
  EXPECT_ERROR(ArgumentError, ctc(3)(x, t), "blank", "3");
}

TEST(Pairs, DistancesHaveGradientsWhereVectorsAreEqual) {
  Graph graph;
  const Value a = graph.input("a", {2, 2}, f64), b = graph.input("b", {2, 2}, f64);
  const Value far = euclidean_distance(a, b), wrt[] = {a};
  const Value slope = gradients(sum(far + cosine_similarity(a, b)), wrt)[0];
  const Tensors data{{"a", vector_of({0, 0, 3, 4}).reshaped({2, 2})},
                     {"b", vector_of({0, 0, 0, 0}).reshaped({2, 2})}};
  expect_near(numbers(evaluate(graph, far, data)), {0, 5}, 1e-14);
  expect_near(numbers(evaluate(graph, slope, data)), {0, 0, 0.6, 0.8}, 1e-12);
}

TEST(Pairs, DivergenceFromTheUnitNormal) {
  Graph graph;
  const Value kl = kl_to_unit_normal(graph.input("m", {2, 2}, f64), graph.input("v", {2, 2}, f64));
  const Tensors data{{"m", vector_of({0, 0, 1, 2}).reshaped({2, 2})},
                     {"v", vector_of({0, 0, 0, std::log(4.0)}).reshaped({2, 2})}};
  const double wanted = 0.5 * (1 + (4 + 4 - 1 - std::log(4.0)));
  expect_near(numbers(evaluate(graph, kl, data)), {0, wanted}, 1e-14);
}

TEST(Pairs, WrongShapesGiveSentences) {
  Graph graph;
  const Value p = graph.input("p", {4, 3}), t = graph.input("t", {4}, i32);
  EXPECT_ERROR(ShapeError, triplet()(p, t), "[batch, 3, d]", "[4, 3]");
  EXPECT_ERROR(ShapeError, contrastive()(p, t), "[batch, 2, d]");
  EXPECT_ERROR(ShapeError, margin_ranking()(p, t), "two scores");
  EXPECT_ERROR(ShapeError, ntxent()(p, p), "integers");
  EXPECT_ERROR(ShapeError, gaussian_nll()(p, p), "logarithms of the variances");
  EXPECT_ERROR(ShapeError, multilabel_margin()(p, t), "list of labels");
}

}  // namespace soma::test
