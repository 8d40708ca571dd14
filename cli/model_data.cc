// Scaling of rows and reading of outputs.
#include "cli/model_data.h"

#include <algorithm>
#include <cmath>

#include "cli/media.h"
#include "cli/series.h"
#include "cli/tables.h"
#include "soma/nn.h"
#include "src/base/visit.h"

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
  info.table = train.schema;
  info.input_scale = train.input_scale;
  info.input_shift = train.input_shift;
  info.notes = train.notes;
  const bool numbers = train.inputs.type() == u8 || is_float(train.inputs.type());
  if (channel_scaling(train) || is_series(train)) {
    info.input_scale = 1;                    // a layer of the network scales them
  } else if (!is_table(train) && numbers) {  // the mean element is 0, their deviation 1
    double sum = 0, squares = 0;
    visit_type(train.inputs.type(), [&]<class T>(T) {
      for (const T element : train.inputs.data<T>()) {
        const auto x = static_cast<double>(element);
        sum += x;
        squares += x * x;
      }
    });
    const double n = static_cast<double>(std::max<int64_t>(train.inputs.elements(), 1));
    const double mean = sum / n;
    const double deviation = std::sqrt(std::max(squares / n - mean * mean, 1e-12));
    info.input_scale = 1 / deviation;
    info.input_shift = -mean / deviation;
  }
  return info;
}

void prepare_rows(Dataset& raw, const ModelInfo& info) {
  raw.input_scale = info.input_scale;
  raw.input_shift = info.input_shift;
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
