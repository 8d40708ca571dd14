// The table of metrics. Sums are doubles in the order of the rows, so a value does not depend on
// threads or on the sizes of batches.
#include "src/train/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/train/metric_sums.h"

namespace soma {
namespace train {
namespace {

/// The mean of one number per row (or per element): the base of most metrics.
class Mean : public Metric {
 public:
  void reset() override { sum_ = 0, count_ = 0; }
  double value() const override { return count_ > 0 ? sum_ / count_ : 0; }
  void fields(Archive& archive) override { archive(sum_, count_); }

 protected:
  void take(double value) { sum_ += value, count_ += 1; }

 private:
  double sum_ = 0, count_ = 0;
};

/// The place of the label among the outputs of its row, from 0: the number of outputs above it.
int64_t rank_of(std::span<const float> row, int32_t label) {
  const float wanted = row[static_cast<size_t>(label)];
  int64_t rank = 0;
  for (size_t k = 0; k < row.size(); ++k) {
    const bool first_of_equals = row[k] == wanted && k < static_cast<size_t>(label);
    rank += row[k] > wanted || first_of_equals || std::isnan(wanted);
  }
  return rank;
}

/// Rows whose label is among the `places` largest outputs. One output alone says yes or no.
template <int places>
class TopAccuracy : public Mean {
 public:
  void add(const Answers& a) override {
    for (size_t i = 0; i < a.labels.size(); ++i) {
      if (a.labels[i] < 0) continue;
      const auto row = a.row(i);
      const bool yes = row.size() == 1 ? (row[0] > a.threshold) == (a.labels[i] != 0)
                                       : rank_of(row, a.labels[i]) < places;
      take(yes ? 1 : 0);
    }
    for (size_t i = 0; i < a.numbers.size(); ++i) {
      take((a.outputs[i] > a.threshold) == (a.numbers[i] > 0.5f) ? 1 : 0);
    }
  }
};

/// The mean over all numbers of a function of output and target.
template <double (*error)(double y, double t)>
class ErrorMean : public Mean {
 public:
  void add(const Answers& a) override {
    for (size_t i = 0; i < a.numbers.size(); ++i) take(error(a.outputs[i], a.numbers[i]));
  }
};

double squared(double y, double t) { return (y - t) * (y - t); }
double absolute(double y, double t) { return std::abs(y - t); }
double signed_error(double y, double t) { return y - t; }
double percentage(double y, double t) {
  return std::abs(y - t) / std::max(std::abs(t), std::numeric_limits<double>::epsilon());
}
double symmetric_percentage(double y, double t) {
  return y == t ? 0 : 2 * std::abs(y - t) / (std::abs(y) + std::abs(t));
}
double squared_logarithmic(double y, double t) {
  return squared(std::log1p(std::max(y, 0.0)), std::log1p(std::max(t, 0.0)));
}

class RootSquaredError : public ErrorMean<squared> {
 public:
  double value() const override { return std::sqrt(ErrorMean::value()); }
};
class PeakSignal : public ErrorMean<squared> {
 public:
  double value() const override { return -10 * std::log10(ErrorMean::value()); }
};

class LargestError : public Metric {
 public:
  void reset() override { largest_ = 0; }
  void add(const Answers& a) override {
    for (size_t i = 0; i < a.numbers.size(); ++i) {
      const double error = absolute(a.outputs[i], a.numbers[i]);
      if (!(error <= largest_)) largest_ = error;
    }
  }
  double value() const override { return largest_; }
  void fields(Archive& archive) override { archive(largest_); }

 private:
  double largest_ = 0;
};

/// Something that is gathered, and one function of it.
template <class Sums, double (*f)(const Sums&)>
class Of : public Metric {
 public:
  explicit Of(int64_t width) : sums_(width) {}
  void reset() override { sums_.reset(); }
  void add(const Answers& answers) override { sums_.add(answers); }
  double value() const override { return f(sums_); }
  void fields(Archive& archive) override { sums_.fields(archive); }

 private:
  Sums sums_;
};

using Made = std::unique_ptr<Metric>;
template <class M>
Made plain(int64_t) {
  return std::make_unique<M>();
}
template <class Sums, double (*f)(const Sums&)>
Made of(int64_t width) {
  return std::make_unique<Of<Sums, f>>(width);
}

enum class Targets : uint8_t { labels, numbers, both };
struct Row {
  MetricInfo info;
  Targets targets;
  Made (*make)(int64_t width);
};
constexpr bool higher = true, lower = false;
using enum Targets;

// clang-format off
// Of yes for one output, for targets of 0 and 1 and for two classes; else the mean over the classes
// that occur: "of yes, or the mean over the classes".
constexpr Row rows[] = {
    {{"accuracy", "the share of rows with the right answer", higher}, both, plain<TopAccuracy<1>>},
    {{"top3_accuracy", "the share of rows whose label is among the three largest outputs", higher}, labels, plain<TopAccuracy<3>>},
    {{"top5_accuracy", "the share of rows whose label is among the five largest outputs", higher}, labels, plain<TopAccuracy<5>>},
    {{"balanced_accuracy", "the mean over the classes of the share of their rows that is found", higher}, both, of<Confusion, balanced_accuracy>},
    {{"precision", "the share of the answers that is right: TP / (TP + FP), of yes (the second of two classes), or the mean over several classes", higher}, both, of<Confusion, precision>},
    {{"recall", "the share of the rows that is found: TP / (TP + FN), of yes, or the mean over several classes", higher}, both, of<Confusion, recall>},
    {{"specificity", "the share of the other rows that is left out: TN / (TN + FP), of yes, or the mean over several classes", higher}, both, of<Confusion, specificity>},
    {{"f1", "2 precision recall / (precision + recall), the Dice coefficient, of yes, or the mean over several classes", higher}, both, of<Confusion, f1>},
    {{"f2", "as f1 with recall twice as important: (1 + b²) P R / (b² P + R), b = 2", higher}, both, of<Confusion, f2>},
    {{"f05", "as f1 with precision twice as important: b = 0.5", higher}, both, of<Confusion, f_half>},
    {{"macro_precision", "the mean of precision over the classes, also of two", higher}, both, of<Confusion, macro_precision>},
    {{"macro_recall", "the mean of recall over the classes, also of two", higher}, both, of<Confusion, macro_recall>},
    {{"macro_f1", "the mean of f1 over the classes, also of two", higher}, both, of<Confusion, macro_f1>},
    {{"weighted_f1", "the mean of f1 over the classes, by their rows", higher}, both, of<Confusion, weighted_f1>},
    {{"jaccard", "TP / (TP + FP + FN), of yes, or the mean over several classes", higher}, both, of<Confusion, jaccard>},
    {{"mean_iou", "the mean of TP / (TP + FP + FN) over the classes, also of two: intersection over union", higher}, both, of<Confusion, mean_iou>},
    {{"hamming", "the share of wrong answers", lower}, both, of<Confusion, hamming>},
    {{"cohen_kappa", "(accuracy - chance) / (1 - chance), chance: the accuracy of the same answers in any order (Cohen 1960)", higher}, both, of<Confusion, kappa>},
    {{"mcc", "Matthews' correlation of answers and labels (Matthews 1975; Gorodkin 2004)", higher}, both, of<Confusion, matthews>},
    {{"auc_roc", "the chance that a row of the class has a larger output than another row, ties count half: of yes, or the mean over the classes, each against the rest", higher}, both, of<Ranking, roc_area>},
    {{"auc_pr", "the area under precision over recall, as average precision: of yes, or the mean over the classes, each against the rest", higher}, both, of<Ranking, average_precision>},
    {{"log_loss", "the mean of -ln of the probability of the label", lower}, both, of<Likelihood, log_loss>},
    {{"perplexity", "e to the power log_loss", lower}, both, of<Likelihood, perplexity>},
    {{"bits", "log_loss in bits: per character or token of a sequence", lower}, both, of<Likelihood, bits>},
    {{"brier", "the mean of (probability of yes - t)², or of the sum of the squares over several classes (Brier 1950)", lower}, both, of<Likelihood, brier>},
    {{"calibration_error", "the mean of |accuracy - confidence| over 15 equal steps of confidence, by their rows (Naeini+ 2015)", lower}, both, of<Calibration, calibration_error>},
    {{"mse", "the mean squared error: the mean of (y - t)²", lower}, numbers, plain<ErrorMean<squared>>},
    {{"rmse", "the square root of mse, in the unit of the target", lower}, numbers, plain<RootSquaredError>},
    {{"mae", "the mean absolute error: the mean of |y - t|", lower}, numbers, plain<ErrorMean<absolute>>},
    {{"mean_error", "the mean of y - t: near 0 for a network that errs to both sides alike", lower}, numbers, plain<ErrorMean<signed_error>>},
    {{"median_error", "the median of |y - t|, averaged over the columns", lower}, numbers, of<Columns, median_error>},
    {{"max_error", "the largest |y - t|", lower}, numbers, plain<LargestError>},
    {{"mape", "the mean of |y - t| / |t|, a share and not in percent", lower}, numbers, plain<ErrorMean<percentage>>},
    {{"smape", "the mean of 2 |y - t| / (|y| + |t|), between 0 and 2", lower}, numbers, plain<ErrorMean<symmetric_percentage>>},
    {{"msle", "the mean of (ln(1 + y) - ln(1 + t))², negative numbers as 0", lower}, numbers, plain<ErrorMean<squared_logarithmic>>},
    {{"psnr", "the peak signal-to-noise ratio of numbers between 0 and 1 in dB: -10 log10 mse", higher}, numbers, plain<PeakSignal>},
    {{"r2", "the share of the variance explained: 1 - Σ(y - t)² / Σ(t - mean t)²", higher}, numbers, of<Moments, r2>},
    {{"explained_variance", "as r2, but the errors may have a mean: 1 - variance(y - t) / variance(t)", higher}, numbers, of<Moments, explained_variance>},
    {{"pearson", "the correlation of y and t, averaged over the columns", higher}, numbers, of<Moments, pearson>},
    {{"spearman", "the correlation of the ranks of y and t, averaged over the columns", higher}, numbers, of<Columns, spearman>},
    {{"concordance", "2 cov(y, t) / (var y + var t + (mean y - mean t)²), averaged over the columns (Lin 1989)", higher}, numbers, of<Moments, concordance>},
    {{"cosine_similarity", "the mean over the rows of y·t / (|y| |t|)", higher}, numbers, of<RowMeans, cosine>},
    {{"kl_divergence", "the mean over the rows of Σ t ln(t / p), p the probabilities of the classes", lower}, numbers, of<RowMeans, divergence>},
};
// clang-format on

const Row& find(std::string_view name) {
  std::vector<std::string> names;
  for (const Row& row : rows) {
    if (row.info.name == name) return row;
    names.emplace_back(row.info.name);
  }
  throw ArgumentError(cat("there is no metric \"", name, "\"", did_you_mean(name, names),
                          "; the metrics are ", join(names, ", ")));
}

}  // namespace

Metrics::Metrics(const std::vector<std::string>& names, bool labels, int64_t width)
    : names_(names) {
  for (const std::string& name : names) {
    const Row& row = find(name);
    if (row.targets == (labels ? Targets::numbers : Targets::labels)) {
      throw ArgumentError(cat("the metric ", name, " is for ", labels ? "numbers" : "classes",
                              ", but the targets are ", labels ? "classes" : "numbers"));
    }
    const bool yes_or_no = row.targets == both && !labels;  // of each number
    metrics_.push_back(row.make(yes_or_no ? 1 : width));
  }
}

void Metrics::reset() {
  for (auto& metric : metrics_) metric->reset();
}
void Metrics::add(const Answers& answers) {
  for (auto& metric : metrics_) metric->add(answers);
}
void Metrics::read(std::vector<Score>& scores) const {
  for (size_t i = 0; i < metrics_.size(); ++i) scores[i].value = metrics_[i]->value();
}
void Metrics::fields(Archive& archive) {
  for (auto& metric : metrics_) metric->fields(archive);
}
std::vector<Score> Metrics::scores() const {
  std::vector<Score> scores;
  for (const std::string& name : names_) scores.push_back({name, 0});
  read(scores);
  return scores;
}

}  // namespace train

std::span<const MetricInfo> metric_table() {
  static const auto infos = [] {
    std::array<MetricInfo, std::size(train::rows)> all{};
    for (size_t i = 0; i < all.size(); ++i) all[i] = train::rows[i].info;
    return all;
  }();
  return infos;
}

double Evaluation::operator[](std::string_view metric) const {
  std::vector<std::string> names;
  for (const Score& score : metrics) {
    if (score.name == metric) return score.value;
    names.push_back(score.name);
  }
  throw ArgumentError(cat("the evaluation has no metric \"", metric, "\"",
                          did_you_mean(metric, names), "; it has ", join(names, ", "),
                          ": ask for others with the option metrics"));
}

}  // namespace soma
