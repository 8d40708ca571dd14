// Metrics as running sums: each is one row of a table, fed batch by batch.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "soma/train.h"
#include "src/train/archive.h"

namespace soma::train {

/// What a network gave for some rows, and what it should have given: labels or numbers.
struct Answers {
  std::span<const float> outputs;  ///< [rows, width]
  int64_t width = 1;
  std::span<const int32_t> labels;  ///< [rows], or empty; negative ones count for nothing
  std::span<const float> numbers;   ///< [rows, width], or empty
  /// Where a single output means "yes": 0 for logits, 0.5 for probabilities.
  double threshold = 0.5;

  bool logits() const { return threshold == 0; }
  std::span<const float> row(size_t i) const {
    return outputs.subspan(i * static_cast<size_t>(width), static_cast<size_t>(width));
  }
};

/// The sums behind one metric.
class Metric {
 public:
  virtual ~Metric() = default;
  virtual void reset() = 0;
  virtual void add(const Answers& answers) = 0;
  virtual double value() const = 0;
  virtual void fields(Archive& archive) = 0;
};

/// Several metrics that are fed together.
class Metrics {
 public:
  /// Throws ArgumentError, naming the nearest, for a name that the table does not have and for a
  /// metric that the targets do not allow.
  Metrics(const std::vector<std::string>& names, bool labels, int64_t width);
  void reset();
  void add(const Answers& answers);
  /// Fills scores that were made once: no allocation.
  void read(std::vector<Score>& scores) const;
  std::vector<Score> scores() const;
  /// The sums so far.
  void fields(Archive& archive);

 private:
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<Metric>> metrics_;
};

}  // namespace soma::train
