// The table of metrics. Sums are doubles in the order of the rows, so a value does not depend on
// threads or on the sizes of batches.
#include "src/train/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma {
namespace train {
namespace {

/// The mean of one number per row (or per element): the base of most metrics.
class Mean : public Metric {
 public:
  void reset() override { sum_ = 0, count_ = 0; }
  double value() const override { return count_ > 0 ? sum_ / count_ : 0; }

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
    const auto width = static_cast<size_t>(a.width);
    for (size_t i = 0; i < a.labels.size(); ++i) {
      const auto row = a.outputs.subspan(i * width, width);
      const bool yes = width == 1 ? (row[0] > a.threshold) == (a.labels[i] != 0)
                                  : rank_of(row, a.labels[i]) < places;
      take(yes ? 1 : 0);
    }
    for (size_t i = 0; i < a.numbers.size(); ++i) {
      take((a.outputs[i] > a.threshold) == (a.numbers[i] > 0.5f) ? 1 : 0);
    }
  }
};

class SquaredError : public Mean {
 public:
  void add(const Answers& a) override {
    for (size_t i = 0; i < a.numbers.size(); ++i) {
      const double error = static_cast<double>(a.outputs[i]) - a.numbers[i];
      take(error * error);
    }
  }
};

class RootSquaredError : public SquaredError {
 public:
  double value() const override { return std::sqrt(SquaredError::value()); }
};

class AbsoluteError : public Mean {
 public:
  void add(const Answers& a) override {
    for (size_t i = 0; i < a.numbers.size(); ++i) {
      take(std::abs(static_cast<double>(a.outputs[i]) - a.numbers[i]));
    }
  }
};

/// The share of the variance that the network explains, averaged over the output columns.
class R2 : public Metric {
 public:
  explicit R2(int64_t width) : columns_(static_cast<size_t>(width)) {}
  void reset() override { std::fill(columns_.begin(), columns_.end(), Column{}); }
  void add(const Answers& a) override {
    for (size_t i = 0; i < a.numbers.size(); ++i) {
      Column& column = columns_[i % columns_.size()];
      const double target = a.numbers[i], error = a.outputs[i] - target;
      // Welford (1962): the short formula loses the digits of large means.
      const double before = target - column.mean;
      column.mean += before / ++column.count;
      column.spread += before * (target - column.mean);
      column.errors += error * error;
    }
  }
  double value() const override {
    double sum = 0;
    for (const Column& column : columns_) {
      sum +=
          column.spread > 0 ? 1 - column.errors / column.spread : (column.errors > 0 ? 0.0 : 1.0);
    }
    return sum / static_cast<double>(columns_.size());
  }

 private:
  struct Column {
    double count = 0, mean = 0, spread = 0, errors = 0;
  };
  std::vector<Column> columns_;
};

template <class M>
std::unique_ptr<Metric> plain(int64_t) {
  return std::make_unique<M>();
}

enum class Targets : uint8_t { labels, numbers, both };
struct Row {
  MetricInfo info;
  Targets targets;
  std::unique_ptr<Metric> (*make)(int64_t width);
};
constexpr std::array<Row, 7> rows = {{
    {{"accuracy", "the share of rows with the right answer", true},
     Targets::both,
     plain<TopAccuracy<1>>},
    {{"top3_accuracy", "the share of rows whose label is among the three largest outputs", true},
     Targets::labels,
     plain<TopAccuracy<3>>},
    {{"top5_accuracy", "the share of rows whose label is among the five largest outputs", true},
     Targets::labels,
     plain<TopAccuracy<5>>},
    {{"mse", "the mean squared error: the mean of (y - t)²", false},
     Targets::numbers,
     plain<SquaredError>},
    {{"rmse", "the square root of mse, in the unit of the target", false},
     Targets::numbers,
     plain<RootSquaredError>},
    {{"mae", "the mean absolute error: the mean of |y - t|", false},
     Targets::numbers,
     plain<AbsoluteError>},
    {{"r2", "the share of the variance explained: 1 - Σ(y - t)² / Σ(t - mean t)²", true},
     Targets::numbers,
     [](int64_t width) -> std::unique_ptr<Metric> { return std::make_unique<R2>(width); }},
}};

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
    metrics_.push_back(row.make(width));
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
std::vector<Score> Metrics::scores() const {
  std::vector<Score> scores;
  for (const std::string& name : names_) scores.push_back({name, 0});
  read(scores);
  return scores;
}

}  // namespace train

std::span<const MetricInfo> metric_table() {
  static const auto infos = [] {
    std::array<MetricInfo, train::rows.size()> all{};
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
