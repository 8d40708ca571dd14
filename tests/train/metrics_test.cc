// Metrics against figures worked out by hand and the examples in scikit-learn's documentation.
#include "src/train/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/expect_error.h"

namespace soma::train {
namespace {

double measure(const std::string& name, const Answers& answers) {
  Metrics metrics({name}, !answers.labels.empty(), answers.width);
  metrics.add(answers);
  return metrics.scores()[0].value;
}

bool allowed(const std::string& name, bool labels, int64_t width) {
  try {
    Metrics({name}, labels, width);
    return true;
  } catch (const ArgumentError&) {
    return false;
  }
}

TEST(Accuracy, CountsTheLargestOutput) {
  const std::vector<float> outputs = {1, 3, 2, /**/ 5, 0, 0, /**/ 0, 0, 7, /**/ 1, 2, 3};
  const std::vector<int32_t> labels = {1, 0, 1, 2};
  EXPECT_DOUBLE_EQ(measure("accuracy", {outputs, 3, labels, {}}), 0.75);
}

TEST(Accuracy, GivesATieToTheFirst) {
  const std::vector<float> outputs = {2, 2, 1};
  const std::vector<int32_t> first = {0}, second = {1};
  EXPECT_EQ(measure("accuracy", {outputs, 3, first, {}}), 1);
  EXPECT_EQ(measure("accuracy", {outputs, 3, second, {}}), 0);
}

TEST(Accuracy, NeverCountsNaNAsRight) {
  const std::vector<float> outputs = {NAN, NAN};
  for (const int32_t label : {0, 1}) {
    EXPECT_EQ(measure("accuracy", {outputs, 2, std::vector<int32_t>{label}, {}}), 0);
  }
}

TEST(Accuracy, OfOneOutputLooksAtTheThreshold) {
  const std::vector<float> outputs = {-1, 0.2f, 0.7f, 3};
  const std::vector<float> numbers = {0, 1, 1, 0};
  const std::vector<int32_t> labels = {0, 1, 1, 0};
  EXPECT_EQ(measure("accuracy", {outputs, 1, {}, numbers, 0}), 0.75);
  EXPECT_EQ(measure("accuracy", {outputs, 1, {}, numbers, 0.5}), 0.5);
  EXPECT_EQ(measure("accuracy", {outputs, 1, labels, {}, 0.5}), 0.5);
}

TEST(TopAccuracy, LooksAtTheLargestFew) {
  const std::vector<float> outputs = {9, 8, 7, 6, 5, 4};
  for (int32_t label = 0; label < 6; ++label) {
    const std::vector<int32_t> labels = {label};
    EXPECT_EQ(measure("top3_accuracy", {outputs, 6, labels, {}}), label < 3);
    EXPECT_EQ(measure("top5_accuracy", {outputs, 6, labels, {}}), label < 5);
  }
}

TEST(Errors, AreThoseOfTheDefinition) {
  const std::vector<float> outputs = {2.5f, 0, 2, 8}, numbers = {3, -0.5f, 2, 7};
  const Answers answers{outputs, 1, {}, numbers};
  EXPECT_DOUBLE_EQ(measure("mse", answers), 0.375);
  EXPECT_DOUBLE_EQ(measure("rmse", answers), std::sqrt(0.375));
  EXPECT_DOUBLE_EQ(measure("mae", answers), 0.5);
  EXPECT_NEAR(measure("r2", answers), 0.948608137, 1e-9);
}

TEST(R2, IsAveragedOverColumns) {
  const std::vector<float> numbers = {0.5f, 1, -1, 1, 7, -6}, outputs = {0, 2, -1, 2, 8, -5};
  EXPECT_NEAR(measure("r2", {outputs, 2, {}, numbers}), 0.936800526662278, 1e-9);
}

TEST(R2, KeepsItsDigitsFarFromZero) {
  std::vector<float> numbers, outputs;
  for (int i = 0; i < 1000; ++i) {
    numbers.push_back(1e6f + static_cast<float>(i % 10));
    outputs.push_back(1e6f + static_cast<float>(i % 10) + (i % 2 ? 1.0f : -1.0f));
  }
  EXPECT_NEAR(measure("r2", {outputs, 1, {}, numbers}), 1 - 1 / 8.25, 1e-9);
}

/// Outputs that answer these classes.
std::vector<float> saying(const std::vector<int32_t>& answers, size_t classes) {
  std::vector<float> outputs(answers.size() * classes);
  for (size_t i = 0; i < answers.size(); ++i) {
    outputs[i * classes + static_cast<size_t>(answers[i])] = 1;
  }
  return outputs;
}
double measure(const std::string& name, const std::vector<int32_t>& labels,
               const std::vector<int32_t>& answers, int64_t classes) {
  const std::vector<float> outputs = saying(answers, static_cast<size_t>(classes));
  return measure(name, {outputs, classes, labels, {}});
}

TEST(Decisions, OfSeveralClasses) {
  // scikit-learn: precision_score, recall_score, f1_score, average "macro" and "weighted".
  const std::vector<int32_t> labels = {0, 1, 2, 0, 1, 2}, answers = {0, 2, 1, 0, 0, 1};
  EXPECT_NEAR(measure("precision", labels, answers, 3), 2.0 / 9, 1e-12);
  EXPECT_NEAR(measure("recall", labels, answers, 3), 1.0 / 3, 1e-12);
  EXPECT_NEAR(measure("f1", labels, answers, 3), 0.8 / 3, 1e-12);
  EXPECT_NEAR(measure("f05", labels, answers, 3), 0.714285714 / 3, 1e-9);  // fbeta_score 0.238
  EXPECT_NEAR(measure("weighted_f1", labels, answers, 3), 0.8 / 3, 1e-12);
  EXPECT_EQ(measure("macro_f1", labels, answers, 3), measure("f1", labels, answers, 3));
  EXPECT_NEAR(measure("accuracy", labels, answers, 3), 1.0 / 3, 1e-12);
  EXPECT_NEAR(measure("specificity", labels, answers, 3), (0.75 + 0.5 + 0.75) / 3, 1e-12);
  // A class that never occurs is left out.
  EXPECT_EQ(measure("f1", labels, answers, 5), measure("f1", labels, answers, 3));
}

TEST(Decisions, OfYesAndNo) {
  // scikit-learn: balanced_accuracy_score.
  const std::vector<int32_t> labels = {0, 1, 0, 0, 1, 0}, answers = {0, 1, 0, 0, 0, 1};
  EXPECT_NEAR(measure("balanced_accuracy", labels, answers, 2), 0.625, 1e-12);
  EXPECT_NEAR(measure("macro_recall", labels, answers, 2), 0.625, 1e-12);
  EXPECT_NEAR(measure("macro_precision", labels, answers, 2), (0.75 + 0.5) / 2, 1e-12);
  EXPECT_NEAR(measure("precision", labels, answers, 2), 0.5, 1e-12);
  EXPECT_NEAR(measure("recall", labels, answers, 2), 0.5, 1e-12);
  EXPECT_NEAR(measure("specificity", labels, answers, 2), 0.75, 1e-12);
  EXPECT_NEAR(measure("f2", {1, 1, 0, 0, 0}, {1, 0, 1, 1, 0}, 2), 5.0 / 11, 1e-12);  // P 1/3, R 1/2
  EXPECT_NEAR(measure("jaccard", labels, answers, 2), 1.0 / 3, 1e-12);
  EXPECT_NEAR(measure("mean_iou", labels, answers, 2), (3.0 / 5 + 1.0 / 3) / 2, 1e-12);
  EXPECT_NEAR(measure("hamming", {1, 2, 3, 0}, {2, 2, 3, 0}, 4), 0.25, 1e-12);
  // One output and numbers 0 and 1 say the same as two classes.
  const std::vector<float> outputs = {-1, 2, -3, -1, -2, 1}, numbers = {0, 1, 0, 0, 1, 0};
  for (const char* name : {"precision", "recall", "f1", "specificity", "mcc", "cohen_kappa",
                           "balanced_accuracy", "jaccard", "mean_iou", "hamming"}) {
    const double wanted = measure(name, labels, answers, 2);
    EXPECT_EQ(measure(name, {outputs, 1, labels, {}, 0}), wanted) << name;
    EXPECT_EQ(measure(name, {outputs, 1, {}, numbers, 0}), wanted) << name;
    EXPECT_EQ(measure(name, {outputs, 3, {}, numbers, 0}), wanted) << name;
  }
}

TEST(Decisions, Agreement) {
  // scikit-learn: matthews_corrcoef, cohen_kappa_score.
  EXPECT_NEAR(measure("mcc", {1, 1, 1, 0}, {1, 0, 1, 1}, 2), -1.0 / 3, 1e-12);
  EXPECT_NEAR(measure("cohen_kappa", {0, 1, 0, 2, 1}, {0, 1, 0, 2, 0}, 3), 0.6875, 1e-12);
  EXPECT_EQ(measure("mcc", {1, 2, 0}, {1, 2, 0}, 3), 1);
}

TEST(Ranking, IsExact) {
  // scikit-learn: roc_auc_score and average_precision_score.
  const std::vector<float> outputs = {0.1f, 0.4f, 0.35f, 0.8f}, numbers = {0, 0, 1, 1};
  const std::vector<int32_t> labels = {0, 0, 1, 1};
  EXPECT_NEAR(measure("auc_roc", {outputs, 1, labels, {}}), 0.75, 1e-12);
  EXPECT_NEAR(measure("auc_roc", {outputs, 1, {}, numbers}), 0.75, 1e-12);
  EXPECT_NEAR(measure("auc_pr", {outputs, 1, labels, {}}), 5.0 / 6, 1e-12);
  const std::vector<float> pairs = {5, 5.1f, 5, 5.4f, 5, 5.35f, -100, 700};  // of logits
  EXPECT_NEAR(measure("auc_roc", {pairs, 2, labels, {}, 0}), 0.75, 1e-12);
  const std::vector<float> equal(4, 0.5f);  // ties count half
  EXPECT_NEAR(measure("auc_roc", {equal, 1, labels, {}}), 0.5, 1e-12);
  EXPECT_NEAR(measure("auc_pr", {equal, 1, labels, {}}), 0.5, 1e-12);
  // Three classes, each against the rest: 1, 1 and 1/2.
  const std::vector<float> three = {.5f, .1f, .4f, .3f, .4f, .3f, .3f, .3f, .35f};
  EXPECT_NEAR(measure("auc_roc", {three, 3, std::vector<int32_t>{0, 1, 2}, {}}), 2.5 / 3, 1e-12);
  const std::vector<int32_t> one_kind = {1, 1, 1, 1};
  EXPECT_TRUE(std::isnan(measure("auc_roc", {outputs, 1, one_kind, {}})));
}

TEST(Probabilities, LogLossAndBrier) {
  // scikit-learn: log_loss and brier_score_loss.
  const std::vector<float> p = {.1f, .9f, .9f, .1f, .8f, .2f, .35f, .65f};
  const std::vector<int32_t> spam = {1, 0, 0, 1};
  EXPECT_NEAR(measure("log_loss", {p, 2, spam, {}}), 0.21616187, 1e-7);
  EXPECT_NEAR(measure("perplexity", {p, 2, spam, {}}), std::exp(0.21616187), 1e-7);
  EXPECT_NEAR(measure("bits", {p, 2, spam, {}}), 0.21616187 / std::log(2.0), 1e-7);
  const std::vector<float> yes = {.1f, .9f, .8f, .3f}, numbers = {0, 1, 1, 0};
  const std::vector<int32_t> labels = {0, 1, 1, 0};
  EXPECT_NEAR(measure("brier", {yes, 1, labels, {}}), 0.0375, 1e-7);
  EXPECT_NEAR(measure("brier", {yes, 1, {}, numbers}), 0.0375, 1e-7);
  const std::vector<float> both = {.9f, .1f, .1f, .9f, .2f, .8f, .7f, .3f};
  EXPECT_NEAR(measure("brier", {both, 2, labels, {}}), 0.0375, 1e-7);
  // Logits: the losses of the same name.
  const std::vector<float> logits = {1, 2, 3};
  EXPECT_NEAR(measure("log_loss", {logits, 3, std::vector<int32_t>{2}, {}, 0}), 0.40760596444438,
              1e-12);
  const std::vector<float> far = {1000, 0, -1000};
  EXPECT_NEAR(measure("log_loss", {far, 3, std::vector<int32_t>{2}, {}, 0}), 2000, 1e-9);
  const std::vector<float> one = {-1000};
  EXPECT_NEAR(measure("log_loss", {one, 1, std::vector<int32_t>{1}, {}, 0}), 1000, 1e-9);
}

TEST(Probabilities, CalibrationError) {
  // Two rows of confidence 0.9, one right; three of 0.6, all right.
  const std::vector<float> yes = {.9f, .9f, .6f, .6f, .6f};
  const std::vector<int32_t> labels = {1, 0, 1, 1, 1};
  EXPECT_NEAR(measure("calibration_error", {yes, 1, labels, {}}), (2 * 0.4 + 3 * 0.4) / 5, 1e-6);
  const std::vector<float> sure = {0, 1};
  EXPECT_EQ(measure("calibration_error", {sure, 1, std::vector<int32_t>{0, 1}, {}}), 0);
}

TEST(Numbers, AreThoseOfTheDefinition) {
  // scikit-learn: the examples of the functions of these names.
  const std::vector<float> outputs = {2.5f, 0, 2, 8}, numbers = {3, -0.5f, 2, 7};
  const Answers answers{outputs, 1, {}, numbers};
  EXPECT_NEAR(measure("mape", answers), 0.3273809523809524, 1e-12);
  EXPECT_NEAR(measure("explained_variance", answers), 0.957173447537473, 1e-12);
  EXPECT_DOUBLE_EQ(measure("median_error", answers), 0.5);
  EXPECT_DOUBLE_EQ(measure("max_error", answers), 1);
  EXPECT_DOUBLE_EQ(measure("mean_error", answers), 0.25);
  EXPECT_NEAR(measure("smape", answers), (1 / 5.5 + 2 + 0 + 2.0 / 15) / 4, 1e-12);
  EXPECT_NEAR(measure("psnr", answers), -10 * std::log10(0.375), 1e-12);
  const std::vector<float> y = {2.5f, 5, 4, 8}, t = {3, 5, 2.5f, 7};
  EXPECT_NEAR(measure("msle", {y, 1, {}, t}), 0.03973012298459379, 1e-12);
  const std::vector<float> wide = {0, 2, -1, 2, 8, -5}, wanted = {0.5f, 1, -1, 1, 7, -6};
  EXPECT_NEAR(measure("explained_variance", {wide, 2, {}, wanted}), 0.983870967741935, 1e-12);
  EXPECT_NEAR(measure("median_error", {wide, 2, {}, wanted}), 0.75, 1e-12);
}

TEST(Numbers, Correlations) {
  const std::vector<float> t = {1, 2, 3, 4, 5}, y = {5, 6, 7, 8, 7};  // SciPy's spearmanr: 0.8208
  EXPECT_NEAR(measure("spearman", {y, 1, {}, t}), 0.82078268, 1e-8);
  EXPECT_NEAR(measure("pearson", {y, 1, {}, t}), 6 / std::sqrt(10 * 5.2), 1e-7);
  EXPECT_NEAR(measure("concordance", {y, 1, {}, t}), 2 * 6 / (10 + 5.2 + 5 * 3.6 * 3.6), 1e-6);
  EXPECT_NEAR(measure("cosine_similarity", {y, 5, {}, t}), 105 / std::sqrt(223.0 * 55), 1e-6);
}

TEST(Numbers, DivergenceOfShares) {
  const std::vector<float> logits = {0, 0, std::log(3.0f), 0}, t = {0.5f, 0.5f, 1, 0};
  EXPECT_NEAR(measure("kl_divergence", {logits, 2, {}, t, 0}), -std::log(0.75) / 2, 1e-7);
}

TEST(Metrics, SkipNegativeLabels) {
  const std::vector<float> outputs = {1, 3, 2, 5, 0, 0, 0, 0, 7, 1, 4, 3};
  const std::vector<int32_t> labels = {1, -1, 0, 2}, kept = {1, 0, 2};
  const std::vector<float> rest = {1, 3, 2, 0, 0, 7, 1, 4, 3};
  for (const MetricInfo& info : metric_table()) {
    const std::string name(info.name);
    if (!allowed(name, true, 3)) continue;
    EXPECT_EQ(measure(name, {outputs, 3, labels, {}, 0}), measure(name, {rest, 3, kept, {}, 0}))
        << name;
  }
}

TEST(Metrics, DoNotDependOnTheSizesOfBatches) {
  const std::vector<float> outputs = {1, 2, 4, 8, 16, 3}, numbers = {1, 3, 0, 9, 12, 1};
  const std::vector<int32_t> labels = {0, 1, 1};
  const auto span = [](const auto& x, size_t i, size_t n) { return std::span(x).subspan(i, n); };
  for (const MetricInfo& info : metric_table()) {
    const std::string name(info.name);
    bool used = false;
    for (const bool classes : {false, true}) {
      if (!allowed(name, classes, 2)) continue;
      used = true;
      const Answers all =
          classes ? Answers{outputs, 2, labels, {}} : Answers{outputs, 2, {}, numbers};
      Metrics metrics({name}, classes, 2);
      for (size_t i = 0; i < 3; ++i) {
        metrics.add(classes ? Answers{span(outputs, 2 * i, 2), 2, span(labels, i, 1), {}}
                            : Answers{span(outputs, 2 * i, 2), 2, {}, span(numbers, 2 * i, 2)});
      }
      const double found = metrics.scores()[0].value;
      EXPECT_FALSE(std::isnan(found) && name != "bits") << name;
      EXPECT_EQ(found, measure(name, all)) << name;
      metrics.reset();
      metrics.add(all);
      EXPECT_EQ(metrics.scores()[0].value, found) << name;
    }
    EXPECT_TRUE(used) << name;
  }
}

TEST(Metrics, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (const MetricInfo& info : metric_table()) EXPECT_TRUE(names.insert(info.name).second);
}

TEST(Functions, ConfusionMatrix) {
  // scikit-learn: confusion_matrix.
  const std::vector<int32_t> labels = {2, 0, 2, 2, 0, 1, -1}, answers = {0, 0, 2, 2, 0, 2, 1};
  EXPECT_EQ(confusion_matrix(labels, answers, 3),
            Tensor::of<int64_t>({3, 3}, {2, 0, 0, 0, 0, 1, 1, 0, 2}));
  EXPECT_ERROR(ArgumentError, confusion_matrix(labels, answers, 2), "label 2");
  EXPECT_ERROR(ShapeError, confusion_matrix(labels, std::span(answers).first(2), 3), "7", "2");
}

TEST(Functions, EditDistances) {
  const std::vector<int32_t> a = {1, 2, 3, 4}, b = {2, 3, 5, 4, 6}, none;
  EXPECT_EQ(edit_distance(a, b), 3);
  EXPECT_EQ(edit_distance(b, a), 3);
  EXPECT_EQ(edit_distance(none, a), 4);
  EXPECT_DOUBLE_EQ(character_error_rate("sitting", "kitten"), 0.5);
  EXPECT_DOUBLE_EQ(character_error_rate("gruen", "grün"), 0.5);
  EXPECT_DOUBLE_EQ(word_error_rate("the cat  sat", "the dog sat down"), 0.5);
  EXPECT_EQ(character_error_rate("", ""), 0);
}

TEST(Functions, CtcBestPath) {
  const Tensor scores = Tensor::of<float>(
      {6, 3}, {0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1});  // 1 1 - 1 2 2
  EXPECT_EQ(ctc_best_path(scores), (std::vector<int32_t>{1, 1, 2}));
  EXPECT_EQ(ctc_best_path(scores, 2), (std::vector<int32_t>{1, 0, 1}));
}

TEST(Metrics, RefuseWhatDoesNotFit) {
  EXPECT_ERROR(ArgumentError, Metrics({"acuracy"}, true, 3), "acuracy", "accuracy");
  EXPECT_ERROR(ArgumentError, Metrics({"r2"}, true, 3), "r2", "classes");
  EXPECT_ERROR(ArgumentError, Metrics({"top3_accuracy"}, false, 3), "numbers");
}

}  // namespace
}  // namespace soma::train
