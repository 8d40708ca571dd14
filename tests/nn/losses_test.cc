// Losses: numbers worked out by hand (and as PyTorch documents them), gradients, weights, errors.
#include "soma/gradcheck.h"
#include "tests/expect_error.h"
#include "tests/nn/evaluate.h"

namespace soma::test {

namespace {

Tensor matrix(int64_t rows, const std::vector<double>& values) {
  return Tensor::of({rows, static_cast<int64_t>(values.size()) / rows}, values);
}
Tensor labels(const std::vector<int32_t>& values) {
  return Tensor::of({static_cast<int64_t>(values.size())}, values);
}

double value_of(const Loss& f, const Tensor& prediction, const Tensor& target,
                const Tensor* weights = nullptr) {
  Graph graph;
  const Value p = graph.input("p", prediction.shape(), prediction.type());
  const Value t = graph.input("t", target.shape(), target.type());
  Tensors data{{"p", prediction}, {"t", target}};
  Value w;
  if (weights) {
    w = graph.input("w", weights->shape(), weights->type());
    data["w"] = *weights;
  }
  return evaluate(graph, f(p, t, w), data).at(0);
}

const std::vector<double> logits{1, 2, 3, 0.5, -1, 2.5};

double log_sum_exp(const double* x, int n) {
  double total = 0;
  for (int i = 0; i < n; ++i) total += std::exp(x[i]);
  return std::log(total);
}

}  // namespace

TEST(Losses, Regression) {
  const Tensor p = matrix(2, {1, 2, 3, 5}), t = matrix(2, {0, 2, 5, 4.5});
  EXPECT_DOUBLE_EQ(value_of(mean_squared_error(), p, t), (1 + 0 + 4 + 0.25) / 4);
  EXPECT_DOUBLE_EQ(value_of(mean_absolute_error(), p, t), (1 + 0 + 2 + 0.5) / 4);
  EXPECT_DOUBLE_EQ(value_of(huber(), p, t), (0.5 + 0 + 1.5 + 0.125) / 4);
  EXPECT_DOUBLE_EQ(value_of(huber(2), p, t), (0.5 + 0 + 2 + 0.125) / 4);
}

TEST(Losses, CrossEntropy) {
  const Tensor p = matrix(2, logits);
  const double a = log_sum_exp(logits.data(), 3), b = log_sum_exp(logits.data() + 3, 3);
  const double first = a - 3, second = b + 1;   // labels 2 and 1
  EXPECT_NEAR(first, 0.40760596444438, 1e-13);  // PyTorch's answer for [1, 2, 3] and label 2
  const Tensor t = labels({2, 1});
  EXPECT_NEAR(value_of(cross_entropy(), p, t), (first + second) / 2, 1e-14);
  // Probabilities in place of labels.
  EXPECT_NEAR(value_of(cross_entropy(), p, matrix(2, {0, 0, 1, 0, 1, 0})), (first + second) / 2,
              1e-14);
  // Label smoothing 0.1: 0.9 of the label and 0.1 spread over the three classes.
  const double spread_a = a - 2, spread_b = b - (0.5 - 1 + 2.5) / 3;
  EXPECT_NEAR(value_of(cross_entropy(0.1), p, t),
              (0.9 * first + 0.1 * spread_a + 0.9 * second + 0.1 * spread_b) / 2, 1e-14);
  // Class weights: a weighted mean.
  const Loss weighted = cross_entropy({}, std::vector<double>{1, 2, 5});
  EXPECT_NEAR(value_of(weighted, p, t), (5 * first + 2 * second) / 7, 1e-14);
  EXPECT_EQ(weighted.text(), "cross_entropy(class_weights=[1 2 5])");
  // With label smoothing too, as PyTorch: the spread part is weighted class by class.
  const double smooth_a = (1 * (a - 1) + 2 * (a - 2) + 5 * (a - 3)) / 3;
  const double smooth_b = (1 * (b - 0.5) + 2 * (b + 1) + 5 * (b - 2.5)) / 3;
  EXPECT_NEAR(value_of(loss_named("cross_entropy(0.1 [1 2 5])"), p, t),
              (0.9 * (5 * first + 2 * second) + 0.1 * (smooth_a + smooth_b)) / 7, 1e-14);
}

TEST(Losses, CrossEntropyOfSequencesAveragesOverAllPlaces) {
  const Tensor p = matrix(2, logits), t = labels({2, 1});
  EXPECT_NEAR(value_of(cross_entropy(), p.reshaped({1, 2, 3}), t.reshaped({1, 2})),
              value_of(cross_entropy(), p, t), 1e-15);
}

TEST(Losses, NegativeLabelsCountForNothing) {
  const Tensor p = matrix(2, logits), t = labels({2, -1});
  const double first = log_sum_exp(logits.data(), 3) - 3;
  for (const char* text : {"cross_entropy", "cross_entropy(class_weights=[1 2 5])"}) {
    EXPECT_NEAR(value_of(loss_named(text), p, t), first, 1e-14);
    EXPECT_EQ(value_of(loss_named(text), p, labels({-1, -100})), 0);
  }
  const Tensor weights = Tensor::of({2}, std::vector<double>{3, 7});
  EXPECT_NEAR(value_of(cross_entropy(), p, t, &weights), first, 1e-14);
  Graph graph;  // a sequence of one sample: the mean over the steps that count
  const Value each =
      cross_entropy().per_sample(graph.input("p", {1, 2, 3}, f64), graph.input("t", {1, 2}, i32));
  const Tensors data{{"p", p.reshaped({1, 2, 3})}, {"t", t.reshaped({1, 2})}};
  expect_near(numbers(evaluate(graph, each, data)), {first}, 1e-14);
}

TEST(Losses, AreThoseOfOtherLibraries) {
  // The examples in scikit-learn's documentation of mean_pinball_loss, mean_tweedie_deviance
  // (power 1.5 worked out by hand), mean_gamma_deviance and mean_squared_log_error.
  const auto column = [](const std::vector<double>& x) { return matrix(1, x); };
  EXPECT_NEAR(value_of(quantile(0.1), column({0, 2, 3}), column({1, 2, 3})), 0.1 / 3, 1e-12);
  EXPECT_NEAR(value_of(quantile(0.9), column({0, 2, 3}), column({1, 2, 3})), 0.3, 1e-12);
  EXPECT_NEAR(value_of(gamma_deviance(false), column({0.5, 0.5, 2, 2}), column({2, 0.5, 1, 4})),
              1.0568528, 1e-7);
  EXPECT_NEAR(
      value_of(mean_squared_logarithmic_error(), column({2.5, 5, 4, 8}), column({3, 5, 2.5, 7})),
      0.03973012, 1e-8);
  // Those in the documentation of Keras: CategoricalHinge, KLDivergence (on logits: ln p), Poisson,
  // LogCosh, Hinge, CategoricalCrossentropy, MeanAbsolutePercentageError.
  const Tensor bits = matrix(2, {0, 1, 0, 0}), p = matrix(2, {0.6, 0.4, 0.4, 0.6});
  EXPECT_NEAR(value_of(categorical_hinge(), p, bits), 1.4, 1e-12);
  EXPECT_NEAR(value_of(hinge(), p, bits), 1.3, 1e-12);
  EXPECT_NEAR(value_of(squared_hinge(), p, bits), 1.86, 1e-12);
  EXPECT_NEAR(value_of(probability_binary_cross_entropy(), p, bits), 0.815, 1e-3);
  EXPECT_NEAR(value_of(log_cosh(), matrix(2, {1, 1, 0, 0}), bits), 0.108, 1e-3);
  EXPECT_NEAR(value_of(probability_cross_entropy(), matrix(2, {0.05, 0.95, 0, 0.1, 0.8, 0.1}),
                       matrix(2, {0, 1, 0, 0, 0, 1})),
              1.177, 1e-3);
  EXPECT_NEAR(
      value_of(mean_absolute_percentage_error(), matrix(2, {1, 1, 1, 0}), matrix(2, {2, 1, 2, 3})),
      50, 1e-12);
}

TEST(Losses, BinaryCrossEntropy) {
  const Tensor p = matrix(1, {0.5, -2, 3}), t = matrix(1, {1, 0, 0});
  const double x = std::log1p(std::exp(-0.5)), y = std::log1p(std::exp(-2)),
               z = std::log1p(std::exp(3));
  EXPECT_NEAR(x, 0.474076984180107, 1e-14);
  EXPECT_NEAR(value_of(binary_cross_entropy(), p, t), (x + y + z) / 3, 1e-14);
  EXPECT_NEAR(value_of(binary_cross_entropy(3), p, t), (3 * x + y + z) / 3, 1e-14);
  EXPECT_DOUBLE_EQ(value_of(binary_cross_entropy(), matrix(1, {1e4, -1e4}), matrix(1, {0, 0})),
                   5e3);
}

TEST(Losses, Hinge) {
  EXPECT_DOUBLE_EQ(value_of(hinge(), matrix(1, {0.5, -2, 0.25}), matrix(1, {1, 1, -1})),
                   (0.5 + 3 + 1.25) / 3);
  EXPECT_DOUBLE_EQ(value_of(hinge(), matrix(1, {0.5, 0.25}), matrix(1, {1, 0})), (0.5 + 1.25) / 2);
  EXPECT_DOUBLE_EQ(value_of(hinge(), matrix(2, logits), labels({2, 1})), (0 + 4.5) / 2);
  EXPECT_DOUBLE_EQ(value_of(hinge(2), matrix(2, logits), labels({2, 1})), (1 + 5.5) / 2);
}

TEST(Losses, SampleWeights) {
  const Tensor p = matrix(2, {1, 2, 3, 5}), t = matrix(2, {0, 2, 5, 4.5});
  const Tensor weights = Tensor::of({2}, std::vector<double>{3, 1});
  EXPECT_NEAR(value_of(mean_squared_error(), p, t, &weights), (3 * 1.0 + 4.25) / (3 * 2 + 2),
              1e-15);
  Graph graph;
  const Value each =
      mean_squared_error().per_sample(graph.input("p", {2, 2}, f64), graph.input("t", {2, 2}, f64));
  expect_near(numbers(evaluate(graph, each, {{"p", p}, {"t", t}})), {0.5, 2.125}, 1e-15);
}

TEST(Losses, GradientsToSecondOrder) {
  // By the targets too, where they are numbers; losses_table_test.cc has every row.
  for (const char* text : {"mean_squared_error", "huber", "binary_cross_entropy", "cross_entropy",
                           "kl_divergence", "dice", "gamma_deviance"}) {
    const Loss f = loss_named(text);
    const Tensor points[] = {matrix(2, {0.3, -0.7, 1.9, 0.2, 2.6, -1.4}),
                             matrix(2, {0.9, 0.1, 0.4, 0.3, 0.6, 1.0})};
    const auto same = gradcheck([&](Graph&, auto in) { return f(in[0], in[1]); }, points);
    EXPECT_TRUE(same.passed) << f.text() << " " << same.message;
  }
  for (const char* text : {"cross_entropy", "cross_entropy(0.2)", "cross_entropy(0.2 [1 2 3])",
                           "hinge", "cross_entropy(class_weights=[1 0 2])"}) {
    const Loss f = loss_named(text);
    const Tensor points[] = {matrix(2, {0.3, -0.7, 1.9, 0.2, 2.6, -1.4}), labels({2, 0})};
    const auto found = gradcheck([&](Graph&, auto in) { return f(in[0], in[1]); }, points);
    EXPECT_TRUE(found.passed) << text << " " << found.message;
    const auto each =
        gradcheck([&](Graph&, auto in) { return f.per_sample(in[0], in[1]); }, points);
    EXPECT_TRUE(each.passed) << text << " " << each.message;
  }
}

TEST(Losses, TextReadsBackAndBadTextsGiveSentences) {
  for (const LossRow& row : losses()) EXPECT_EQ(loss_named(row.name).text(), row.name);
  EXPECT_EQ(loss_named("huber(2)"), huber(2));
  EXPECT_EQ(huber(2).text(), "huber(delta=2)");
  EXPECT_ERROR(ArgumentError, loss_named("cross_entropi"), "cross_entropy");
  EXPECT_ERROR(ArgumentError, huber(-1), "delta", "(0,inf)");
  EXPECT_ERROR(ArgumentError, loss_named("cross_entropy(class_weights=1)"), "list");
}

TEST(Losses, WrongShapesAndTypesGiveSentences) {
  Graph graph;
  const Value p = graph.input("p", {4, 3}), q = graph.input("q", {4}),
              i = graph.input("i", {4}, i32);
  EXPECT_ERROR(ShapeError, mean_squared_error()(p, q), "[4, 3]", "[4]");
  EXPECT_ERROR(ShapeError, cross_entropy()(p, q), "[4, 3]", "integer labels");
  EXPECT_ERROR(ShapeError, cross_entropy()(p, graph.input("j", {5}, i32)), "[4]", "[5]");
  EXPECT_ERROR(ShapeError, loss_named("cross_entropy(class_weights=[1 2])")(p, i), "2",
               "3 classes");
  EXPECT_ERROR(TypeError, mean_squared_error()(i, i), "i32");
  EXPECT_ERROR(ShapeError, mean_squared_error()(p, p, p), "one number for each sample");
}

TEST(Losses, ObjectToALastActivationThatTheyApplyThemselves) {
  EXPECT_NE(loss_objection(cross_entropy(), softmax).find("leave the activation"),
            std::string::npos);
  EXPECT_NE(loss_objection(binary_cross_entropy(), sigmoid), "");
  EXPECT_EQ(loss_objection(cross_entropy(), identity), "");
  EXPECT_EQ(loss_objection(mean_squared_error(), sigmoid), "");
  EXPECT_NE(loss_objection(negative_log_likelihood(), softmax).find("takes what log_softmax gives"),
            std::string::npos);
  EXPECT_EQ(loss_objection(negative_log_likelihood(), log_softmax), "");
  EXPECT_NE(loss_objection(probability_binary_cross_entropy(), identity), "");
  for (const LossRow& row : losses()) {  // every name in the column exists
    std::istringstream words(row.refuses);
    for (std::string word; words >> word;) {
      if (word == "|") continue;  // after it comes the activation that the loss wants
      EXPECT_NO_THROW(activation_named(word));
    }
  }
}

}  // namespace soma::test
