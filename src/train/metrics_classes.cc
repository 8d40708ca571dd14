// Metrics of decisions and of probabilities.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "src/train/metric_sums.h"

namespace soma::train {
namespace {

double ratio(double a, double b) { return b > 0 ? a / b : 0; }

/// The class that a row answers; one that is wrong when there is a NaN among the outputs.
int64_t answer_of(const Answers& a, std::span<const float> row, int64_t label, int64_t classes) {
  if (std::ranges::any_of(row, [](float x) { return std::isnan(x); })) return (label + 1) % classes;
  if (row.size() == 1) return row[0] > a.threshold ? 1 : 0;
  return std::ranges::max_element(row) - row.begin();
}

/// The mean of f over the classes that occur among labels or answers.
template <class F>
double macro(const Confusion& c, F f) {
  double sum = 0, count = 0;
  for (int64_t k = 0; k < c.classes(); ++k) {
    if (c.labelled(k) + c.answered(k) == 0) continue;
    sum += f(k), ++count;
  }
  return ratio(sum, count);
}
/// Of yes when there are two classes, else the mean.
template <class F>
double of_yes_or_macro(const Confusion& c, F f) {
  return c.classes() == 2 ? f(1) : macro(c, f);
}

auto precision_in(const Confusion& c) {
  return [&c](int64_t k) { return ratio(c.at(k, k), c.answered(k)); };
}
auto recall_in(const Confusion& c) {
  return [&c](int64_t k) { return ratio(c.at(k, k), c.labelled(k)); };
}
auto f_in(const Confusion& c, double beta) {
  return [&c, beta](int64_t k) {
    const double b = beta * beta;
    return ratio((1 + b) * c.at(k, k), b * c.labelled(k) + c.answered(k));
  };
}
auto jaccard_in(const Confusion& c) {
  return [&c](int64_t k) { return ratio(c.at(k, k), c.labelled(k) + c.answered(k) - c.at(k, k)); };
}

}  // namespace

// ---------------------------------------------------------------- decisions

Confusion::Confusion(int64_t width) : classes_(width == 1 ? 2 : width) { reset(); }
void Confusion::reset() { counts_.assign(static_cast<size_t>(classes_ * classes_), 0); }

void Confusion::add(const Answers& a) {
  const auto take = [this](int64_t label, int64_t answer) {
    counts_[static_cast<size_t>(label * classes_ + answer)] += 1;
  };
  for (size_t i = 0; i < a.labels.size(); ++i) {
    const int64_t label = a.labels[i];
    if (label >= 0) take(label, answer_of(a, a.row(i), label, classes_));
  }
  for (size_t i = 0; i < a.numbers.size(); ++i) {
    const int64_t label = a.numbers[i] > 0.5f;
    take(label, answer_of(a, a.outputs.subspan(i, 1), label, 2));
  }
}

double Confusion::labelled(int64_t k) const {
  double sum = 0;
  for (int64_t i = 0; i < classes_; ++i) sum += at(k, i);
  return sum;
}
double Confusion::answered(int64_t k) const {
  double sum = 0;
  for (int64_t i = 0; i < classes_; ++i) sum += at(i, k);
  return sum;
}
double Confusion::total() const { return std::accumulate(counts_.begin(), counts_.end(), 0.0); }
double Confusion::right() const {
  double sum = 0;
  for (int64_t i = 0; i < classes_; ++i) sum += at(i, i);
  return sum;
}

double balanced_accuracy(const Confusion& c) {
  double sum = 0, count = 0;
  for (int64_t k = 0; k < c.classes(); ++k) {
    if (c.labelled(k) == 0) continue;
    sum += recall_in(c)(k), ++count;
  }
  return ratio(sum, count);
}
double precision(const Confusion& c) { return of_yes_or_macro(c, precision_in(c)); }
double recall(const Confusion& c) { return of_yes_or_macro(c, recall_in(c)); }
double f1(const Confusion& c) { return of_yes_or_macro(c, f_in(c, 1)); }
double f2(const Confusion& c) { return of_yes_or_macro(c, f_in(c, 2)); }
double f_half(const Confusion& c) { return of_yes_or_macro(c, f_in(c, 0.5)); }
double jaccard(const Confusion& c) { return of_yes_or_macro(c, jaccard_in(c)); }
double macro_precision(const Confusion& c) { return macro(c, precision_in(c)); }
double macro_recall(const Confusion& c) { return macro(c, recall_in(c)); }
double macro_f1(const Confusion& c) { return macro(c, f_in(c, 1)); }
double mean_iou(const Confusion& c) { return macro(c, jaccard_in(c)); }
double hamming(const Confusion& c) { return ratio(c.total() - c.right(), c.total()); }

double specificity(const Confusion& c) {
  return of_yes_or_macro(c, [&c](int64_t k) {
    const double others = c.total() - c.labelled(k);
    return ratio(others - (c.answered(k) - c.at(k, k)), others);
  });
}
double weighted_f1(const Confusion& c) {
  double sum = 0;
  for (int64_t k = 0; k < c.classes(); ++k) sum += c.labelled(k) * f_in(c, 1)(k);
  return ratio(sum, c.total());
}
double kappa(const Confusion& c) {
  double chance = 0;
  for (int64_t k = 0; k < c.classes(); ++k) chance += c.labelled(k) * c.answered(k);
  chance = ratio(chance, c.total() * c.total());
  return ratio(ratio(c.right(), c.total()) - chance, 1 - chance);
}
double matthews(const Confusion& c) {  // Gorodkin 2004 for more than two classes
  double both = 0, labelled = 0, answered = 0;
  for (int64_t k = 0; k < c.classes(); ++k) {
    both += c.labelled(k) * c.answered(k);
    labelled += c.labelled(k) * c.labelled(k);
    answered += c.answered(k) * c.answered(k);
  }
  const double n = c.total();
  return ratio(c.right() * n - both, std::sqrt((n * n - labelled) * (n * n - answered)));
}

// ---------------------------------------------------------------- probabilities

void probabilities(const Answers& a, std::span<const float> row, std::vector<double>& out) {
  out.assign(row.begin(), row.end());
  if (row.size() == 1) {
    const double yes = a.logits() ? 1 / (1 + std::exp(-out[0])) : out[0];
    out = {1 - yes, yes};
    return;
  }
  if (a.logits()) {
    const double largest = *std::ranges::max_element(out);
    for (double& x : out) x = std::exp(x - largest);
  }
  const double sum = std::accumulate(out.begin(), out.end(), 0.0);
  for (double& x : out) x = ratio(x, sum);
}

void Ranking::add(const Answers& a) {
  const auto take = [&](std::span<const float> row, int32_t label) {
    if (row.size() == 1) {
      scores_.push_back(row[0]);
    } else if (row.size() == 2 && a.logits()) {
      scores_.push_back(static_cast<double>(row[1]) - row[0]);  // probabilities would tie at 1
    } else if (row.size() == 2) {
      scores_.push_back(row[1]);
    } else {
      probabilities(a, row, row_);
      scores_.insert(scores_.end(), row_.begin(), row_.end());
    }
    labels_.push_back(label);
  };
  for (size_t i = 0; i < a.labels.size(); ++i) {
    if (a.labels[i] >= 0) take(a.row(i), a.labels[i]);
  }
  for (size_t i = 0; i < a.numbers.size(); ++i) {
    take(a.outputs.subspan(i, 1), a.numbers[i] > 0.5f ? 1 : 0);
  }
}

double Ranking::mean_over_classes(double (*f)(std::span<const Item>)) const {
  const size_t columns = classes_ == 2 ? 1 : static_cast<size_t>(classes_);
  double sum = 0, count = 0;
  std::vector<Item> items(labels_.size());
  for (size_t k = 0; k < columns; ++k) {
    size_t yes = 0;
    for (size_t i = 0; i < items.size(); ++i) {
      const bool hit = labels_[i] == (columns == 1 ? 1 : static_cast<int32_t>(k));
      items[i] = {scores_[i * columns + k], hit};
      yes += hit;
    }
    if (yes == 0 || yes == items.size()) continue;
    std::ranges::stable_sort(items, [](const Item& x, const Item& y) { return x.score > y.score; });
    sum += f(items), ++count;
  }
  return count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN();
}

// Goes through groups of equal scores, from the largest: `take(yes, no)`.
template <class F>
static void each_tie(std::span<const Ranking::Item> items, F take) {
  for (size_t i = 0; i < items.size();) {
    double yes = 0, no = 0;
    const double score = items[i].score;
    do {
      ++(items[i].yes ? yes : no);
      ++i;
    } while (i < items.size() && items[i].score == score);
    take(yes, no);
  }
}

double roc_area(const Ranking& r) {
  return r.mean_over_classes([](std::span<const Ranking::Item> items) {
    double area = 0, yes_above = 0, all_no = 0;
    each_tie(items, [&](double yes, double no) {
      area += no * (yes_above + 0.5 * yes);
      yes_above += yes, all_no += no;
    });
    return area / (yes_above * all_no);
  });
}

double average_precision(const Ranking& r) {
  return r.mean_over_classes([](std::span<const Ranking::Item> items) {
    double area = 0, yes_above = 0, above = 0;
    each_tie(items, [&](double yes, double no) {
      yes_above += yes, above += yes + no;
      area += yes * yes_above / above;
    });
    return area / yes_above;
  });
}

void Calibration::take(double confidence, bool right) {
  const double steps = static_cast<double>(bins_.size());
  const double place = std::ceil(confidence * steps) - 1;  // a bin holds its upper end
  Bin& bin = bins_[static_cast<size_t>(std::clamp(place, 0.0, steps - 1))];
  bin.count += 1, bin.right += right, bin.confidence += confidence;
}

void Calibration::add(const Answers& a) {
  const auto add_row = [&](std::span<const float> row, int64_t label) {
    probabilities(a, row, row_);
    const auto best = std::ranges::max_element(row_);
    if (!std::isnan(*best)) take(*best, best - row_.begin() == label);
  };
  for (size_t i = 0; i < a.labels.size(); ++i) {
    if (a.labels[i] >= 0) add_row(a.row(i), a.labels[i]);
  }
  for (size_t i = 0; i < a.numbers.size(); ++i) {
    add_row(a.outputs.subspan(i, 1), a.numbers[i] > 0.5f ? 1 : 0);
  }
}

double Calibration::error() const {
  double sum = 0, count = 0;
  for (const Bin& bin : bins_) {
    sum += std::abs(bin.right - bin.confidence);
    count += bin.count;
  }
  return ratio(sum, count);
}
double calibration_error(const Calibration& c) { return c.error(); }

// `wanted` is a label, or, for one output, the probability of yes.
void Likelihood::take(const Answers& a, std::span<const float> row, double wanted) {
  constexpr double least = std::numeric_limits<float>::epsilon();  // as scikit-learn
  probabilities(a, row, row_);
  count_ += 1;
  if (row.size() == 1) {
    const double yes = row_[1], x = row[0];
    brier_ += (yes - wanted) * (yes - wanted);
    if (a.logits()) {
      nll_ += (1 - wanted) * x + std::max(-x, 0.0) + std::log1p(std::exp(-std::abs(x)));
    } else {
      const double p = std::clamp(yes, least, 1 - least);
      nll_ -= wanted * std::log(p) + (1 - wanted) * std::log1p(-p);
    }
    return;
  }
  const auto label = static_cast<size_t>(wanted);
  double distance = 0;
  for (size_t k = 0; k < row_.size(); ++k) {
    const double gap = row_[k] - (k == label ? 1 : 0);
    distance += gap * gap;
  }
  brier_ += row_.size() == 2 ? distance / 2 : distance;
  if (!a.logits()) {
    nll_ -= std::log(std::clamp(row_[label], least, 1 - least));
    return;
  }
  const double largest = *std::ranges::max_element(row);
  double sum = 0;
  for (const float x : row) sum += std::exp(x - largest);
  nll_ += std::log(sum) + largest - row[label];
}

void Likelihood::add(const Answers& a) {
  for (size_t i = 0; i < a.labels.size(); ++i) {
    if (a.labels[i] >= 0) take(a, a.row(i), a.labels[i]);
  }
  for (size_t i = 0; i < a.numbers.size(); ++i) take(a, a.outputs.subspan(i, 1), a.numbers[i]);
}
double log_loss(const Likelihood& l) { return l.nll(); }
double perplexity(const Likelihood& l) { return std::exp(l.nll()); }
double bits(const Likelihood& l) { return l.nll() / std::numbers::ln2; }
double brier(const Likelihood& l) { return l.brier(); }

}  // namespace soma::train
