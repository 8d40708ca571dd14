// Features of mean 0 and deviation 1: gradient descent converges faster when all are alike in size.
#include <cmath>

#include "soma/data.h"
#include "soma/error.h"
#include "src/base/text.h"

namespace soma::data {

Standardization measure_standardization(const Dataset& dataset) {
  if (dataset.size() == 0) {
    throw ArgumentError(
        cat("data set \"", dataset.name, "\" is empty; standardizing needs at least one row"));
  }
  const auto features = static_cast<size_t>(dataset.features());
  const auto rows = static_cast<double>(dataset.size());
  std::vector<double> row(features), mean(features), squares(features);
  // Two passes: the short formula E[x²] - E[x]² loses the digits of large means.
  for (int64_t i = 0; i < dataset.size(); ++i) {
    dataset.gather_inputs({&i, 1}, row);
    for (size_t f = 0; f < features; ++f) mean[f] += row[f];
  }
  for (double& value : mean) value /= rows;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    dataset.gather_inputs({&i, 1}, row);
    for (size_t f = 0; f < features; ++f) squares[f] += (row[f] - mean[f]) * (row[f] - mean[f]);
  }
  Standardization result;
  for (size_t f = 0; f < features; ++f) {
    const double deviation = std::sqrt(squares[f] / rows);
    const bool changes = deviation > 1e-7 * std::abs(mean[f]);
    result.mean.push_back(static_cast<float>(mean[f]));
    result.deviation.push_back(changes ? static_cast<float>(deviation) : 1.0f);
  }
  return result;
}

void standardize(Dataset& dataset, const Standardization& standardization) {
  const auto features = static_cast<size_t>(dataset.features());
  const auto& [mean, deviation] = standardization;
  if (mean.size() != features || deviation.size() != features) {
    throw ShapeError(cat("data set \"", dataset.name, "\" has ", features,
                         " features; the standardization was made for ", mean.size()));
  }
  Tensor inputs(dataset.inputs.shape(), f32);
  auto rest = inputs.data<float>();
  for (int64_t i = 0; i < dataset.size(); ++i, rest = rest.subspan(features)) {
    dataset.gather_inputs({&i, 1}, rest);
    for (size_t f = 0; f < features; ++f) rest[f] = (rest[f] - mean[f]) / deviation[f];
  }
  dataset.inputs = std::move(inputs);
  dataset.input_scale = 1;
  dataset.input_shift = 0;
}

Standardization standardize(Dataset& dataset) {
  Standardization result = measure_standardization(dataset);
  standardize(dataset, result);
  return result;
}

}  // namespace soma::data
