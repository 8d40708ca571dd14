// What the first and the last layer must know of the training rows.
#include "soma/preprocess.h"

#include <cmath>
#include <utility>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma {

namespace {

/// Categories up to here get a number each.
constexpr size_t most_one_hot = 32;

/// Mean and deviation in one pass (Welford 1962).
class Moments {
 public:
  void add(double x) {
    const double before = x - mean_;
    mean_ += before / ++count_;
    squares_ += before * (x - mean_);
  }
  MeanDeviation result() const {
    const double deviation = count_ > 0 ? std::sqrt(squares_ / count_) : 0;
    const bool changes = deviation > 1e-7 * std::abs(mean_);
    return {mean_, changes ? deviation : 1};
  }

 private:
  double count_ = 0, mean_ = 0, squares_ = 0;
};

/// More than a layer of f32 can use, few enough to read.
std::string seven_digits(double value) { return general(value, 7); }

std::string encoding_of(const Column& column, const Moments& moments, bool missing) {
  const size_t categories = column.categories.size();
  if (column.kind == ColumnKind::category) {
    if (categories <= most_one_hot) {
      return cat("one_hot(", categories, missing ? " missing=true)" : ")");
    }
    const auto width = static_cast<int>(std::sqrt(static_cast<double>(categories)));
    return cat("embedding(", categories, " ", width, ")");
  }
  const auto [mean, deviation] = moments.result();
  return cat(column.kind == ColumnKind::date ? "date(" : "number(", seven_digits(mean), " ",
             seven_digits(deviation), missing ? " missing=true)" : ")");
}

}  // namespace

Layer encode_inputs(const Dataset& train, Where where) {
  if (train.input_shape().rank() != 1 || !is_float(train.inputs.type())) {
    throw ShapeError(cat("data set \"", train.name, "\" is no table: a row is ",
                         train.input_shape(), " of ", train.inputs.type(),
                         ", not [columns] of f32"));
  }
  if (train.size() == 0) {
    throw ArgumentError(cat("data set \"", train.name, "\" is empty; encode_inputs() measures ",
                            "at least one row"));
  }
  const auto columns = static_cast<size_t>(train.features());
  std::vector<Moments> moments(columns);
  std::vector<bool> missing(columns);
  std::vector<double> row(columns);
  for (int64_t i = 0; i < train.size(); ++i) {
    train.gather_inputs({&i, 1}, row);
    for (size_t c = 0; c < columns; ++c) {
      if (std::isnan(row[c])) {
        missing[c] = true;
      } else {
        moments[c].add(row[c]);
      }
    }
  }
  const std::vector<const Column*> known = train.schema.inputs();
  std::vector<std::string> encodings;
  for (size_t c = 0; c < columns; ++c) {
    encodings.push_back(
        encoding_of(c < known.size() ? *known[c] : Column{}, moments[c], missing[c]));
  }
  return Layer("table", {cat("[", join(encodings, " "), "]")}, where);
}

MeanDeviation measure_targets(const Dataset& train) {
  if (train.is_classification()) {
    throw ArgumentError(
        cat("the targets of data set \"", train.name, "\" are classes, which have ", "no mean"));
  }
  Moments moments;
  for (int64_t i = 0; i < train.targets.elements(); ++i) moments.add(train.targets.at(i));
  const auto [mean, deviation] = moments.result();
  return {mean, deviation};
}

Layer decode_targets(const Dataset& train, Where where) {
  const auto [mean, deviation] = measure_targets(train);
  return Layer("rescaling", {seven_digits(deviation), seven_digits(mean)}, where);
}

std::vector<double> balanced_class_weights(const Dataset& train) {
  std::vector<double> weights(static_cast<size_t>(train.classes()));
  int64_t rows = 0;
  for (int64_t i = 0; i < train.targets.elements(); ++i) {
    const double label = train.targets.at(i);
    if (label < 0) continue;
    ++weights.at(static_cast<size_t>(label));
    ++rows;
  }
  for (double& weight : weights) {
    if (weight > 0) {
      weight = static_cast<double>(rows) / (static_cast<double>(weights.size()) * weight);
    }
  }
  return weights;
}

}  // namespace soma
