// Scaling of rows and reading of outputs.
#include "cli/model_data.h"

#include <algorithm>
#include <cmath>

#include "cli/media.h"
#include "cli/series.h"
#include "soma/nn.h"

namespace soma::cli {
namespace {

void softmax_in_place(std::vector<double>& values) {
  const double most = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (double& value : values) sum += value = std::exp(value - most);
  for (double& value : values) value /= sum;
}

}  // namespace

ModelInfo describe_rows(const Dataset& train) {
  ModelInfo info;
  info.dataset = train.name;
  info.class_names = train.class_names;
  info.feature_names = train.feature_names;
  info.input_scale = train.input_scale;
  info.input_shift = train.input_shift;
  info.notes = train.notes;
  if (channel_scaling(train) || is_series(train)) {
    info.input_scale = 1;                  // its own layer scales them
  } else if (train.inputs.type() == u8) {  // images: the mean pixel is 0, their deviation 1
    const auto pixels = train.inputs.data<uint8_t>();
    double sum = 0, squares = 0;
    for (const uint8_t pixel : pixels) {
      sum += pixel;
      squares += pixel * pixel;
    }
    const double n = static_cast<double>(std::max<size_t>(pixels.size(), 1)), mean = sum / n;
    const double deviation = std::sqrt(std::max(squares / n - mean * mean, 1e-12));
    info.input_scale = 1 / deviation;
    info.input_shift = -mean / deviation;
  }
  const bool is_table = is_float(train.inputs.type()) && train.input_shape().rank() == 1;
  if (is_table) {
    const data::Standardization measured = data::measure_standardization(train);
    info.input_mean.assign(measured.mean.begin(), measured.mean.end());
    info.input_deviation.assign(measured.deviation.begin(), measured.deviation.end());
  }
  return info;
}

void prepare_rows(Dataset& raw, const ModelInfo& info) {
  raw.input_scale = info.input_scale;
  raw.input_shift = info.input_shift;
  if (info.input_mean.empty()) return;
  data::Standardization stored;
  stored.mean.assign(info.input_mean.begin(), info.input_mean.end());
  stored.deviation.assign(info.input_deviation.begin(), info.input_deviation.end());
  data::standardize(raw, stored);
}

Prediction read_outputs(std::span<const float> outputs, const ModelInfo& info) {
  const bool softmax = info.loss.rfind("cross_entropy", 0) == 0;
  const bool sigmoid = info.loss.rfind("binary_cross_entropy", 0) == 0;
  Prediction result;
  result.probabilities = softmax || sigmoid;
  auto& values = result.values;
  values.assign(outputs.begin(), outputs.end());
  if (softmax) softmax_in_place(values);
  if (sigmoid) {
    for (double& value : values) value = 1 / (1 + std::exp(-value));
  }
  if (!softmax && info.class_names.empty()) return result;
  if (values.size() == 1) {  // one output says yes or no: logits at 0, probabilities at the middle
    const bool logits = !sigmoid && !info.loss.empty() &&
                        !loss_objection(loss_named(info.loss), activation_named("sigmoid")).empty();
    result.label = values[0] > (logits ? 0.0 : 0.5) ? 1 : 0;
  } else {
    result.label = std::max_element(values.begin(), values.end()) - values.begin();
  }
  return result;
}

}  // namespace soma::cli
