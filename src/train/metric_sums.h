// What the metrics are gathered in, and their values as functions of that. Sums are doubles in the
// order of the rows. Where scikit-learn defines a metric, this is its definition.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "src/train/metrics.h"

namespace soma::train {

// ---------------------------------------------------------------- decisions

// `width` is the number of classes; 1 stands for two, no and yes: one output, or targets of 0
// and 1.

/// How often each class was answered (column) to each label (row).
class Confusion {
 public:
  explicit Confusion(int64_t width);
  void reset();
  void add(const Answers& answers);
  void fields(Archive& archive) { archive(counts_); }
  int64_t classes() const { return classes_; }
  double at(int64_t label, int64_t answer) const {
    return counts_[static_cast<size_t>(label * classes_ + answer)];
  }
  double labelled(int64_t k) const;
  double answered(int64_t k) const;
  double total() const;
  double right() const;

 private:
  int64_t classes_;
  std::vector<double> counts_;
};
double balanced_accuracy(const Confusion& c);
double precision(const Confusion& c);
double recall(const Confusion& c);
double f1(const Confusion& c);
double f2(const Confusion& c);
double f_half(const Confusion& c);
double specificity(const Confusion& c);
double jaccard(const Confusion& c);
double macro_precision(const Confusion& c);
double macro_recall(const Confusion& c);
double macro_f1(const Confusion& c);
double weighted_f1(const Confusion& c);
double mean_iou(const Confusion& c);
double hamming(const Confusion& c);
double kappa(const Confusion& c);
double matthews(const Confusion& c);

// ---------------------------------------------------------------- probabilities

/// The probabilities of the classes of one row: {no, yes} for one output.
void probabilities(const Answers& answers, std::span<const float> row, std::vector<double>& out);

/// Every answer with its label, by probability.
class Ranking {
 public:
  struct Item {
    double score;
    bool yes;
  };
  explicit Ranking(int64_t width) : classes_(width == 1 ? 2 : width) {}
  void reset() { scores_.clear(), labels_.clear(); }
  void add(const Answers& answers);
  void fields(Archive& archive) { archive(scores_, labels_); }
  /// The mean of f over the classes that some rows have and others lack, each against the rest; of
  /// two classes only the second. NaN when there is none.
  double mean_over_classes(double (*f)(std::span<const Item>)) const;

 private:
  int64_t classes_;
  std::vector<double> scores_;   ///< [rows, classes], or [rows] of yes for two classes
  std::vector<int32_t> labels_;  ///< [rows]
  std::vector<double> row_;
};
double roc_area(const Ranking& r);
double average_precision(const Ranking& r);

/// Confidence and accuracy by equal steps of confidence.
class Calibration {
 public:
  explicit Calibration(int64_t) : bins_(15) {}
  void reset() { bins_.assign(bins_.size(), {}); }
  void add(const Answers& answers);
  void fields(Archive& archive) { archive(bins_); }
  double error() const;

 private:
  struct Bin {
    double count = 0, right = 0, confidence = 0;
  };
  void take(double confidence, bool right);
  std::vector<Bin> bins_;
  std::vector<double> row_;
};
double calibration_error(const Calibration& c);

/// Sums over rows of -ln of the probability of the label, and of squared distances.
class Likelihood {
 public:
  explicit Likelihood(int64_t) {}
  void reset() { count_ = nll_ = brier_ = 0; }
  void add(const Answers& answers);
  void fields(Archive& archive) { archive(count_, nll_, brier_); }
  double nll() const { return count_ > 0 ? nll_ / count_ : 0; }
  double brier() const { return count_ > 0 ? brier_ / count_ : 0; }

 private:
  void take(const Answers& answers, std::span<const float> row, double wanted);
  double count_ = 0, nll_ = 0, brier_ = 0;
  std::vector<double> row_;
};
double log_loss(const Likelihood& l);
double perplexity(const Likelihood& l);
double bits(const Likelihood& l);
double brier(const Likelihood& l);

// ---------------------------------------------------------------- numbers

/// Means, spreads and errors of each column of outputs y and targets t.
class Moments {
 public:
  struct Column {
    double count = 0, mean_t = 0, mean_y = 0, mean_e = 0;
    double spread_t = 0, spread_y = 0, spread_e = 0, together = 0;
    double errors = 0;  ///< Sum of (y - t)^2.
  };
  explicit Moments(int64_t width) : columns_(static_cast<size_t>(width)) {}
  void reset() { columns_.assign(columns_.size(), {}); }
  void add(const Answers& answers);
  void fields(Archive& archive) { archive(columns_); }
  double mean_over_columns(double (*f)(const Column&)) const;

 private:
  std::vector<Column> columns_;
};
double r2(const Moments& m);
double explained_variance(const Moments& m);
double pearson(const Moments& m);
double concordance(const Moments& m);

/// Every number, for what needs sorting.
class Columns {
 public:
  explicit Columns(int64_t width) : width_(static_cast<size_t>(width)) {}
  void reset() { y_.clear(), t_.clear(); }
  void add(const Answers& answers);
  void fields(Archive& archive) { archive(y_, t_); }
  double mean_over_columns(double (*f)(std::span<const double> y, std::span<const double> t)) const;

 private:
  size_t width_;
  std::vector<float> y_, t_;
};
double median_error(const Columns& c);
double spearman(const Columns& c);

/// Means over rows of functions of whole rows.
class RowMeans {
 public:
  explicit RowMeans(int64_t) {}
  void reset() { count_ = cosine_ = divergence_ = 0; }
  void add(const Answers& answers);
  void fields(Archive& archive) { archive(count_, cosine_, divergence_); }
  double cosine() const { return count_ > 0 ? cosine_ / count_ : 0; }
  double divergence() const { return count_ > 0 ? divergence_ / count_ : 0; }

 private:
  double count_ = 0, cosine_ = 0, divergence_ = 0;
  std::vector<double> row_;
};
double cosine(const RowMeans& r);
double divergence(const RowMeans& r);

}  // namespace soma::train
