// Normalizations.
#include "soma/normalization.h"

#include "tests/onnx/table.h"

namespace soma::onnx {

namespace {

double epsilon(const Site& at) { return at.number("epsilon", 1e-5); }

// X, scale, shift, running mean, running variance; in training the running statistics follow.
std::vector<Value> batch_normalization(const Site& at) {
  const Value x = at.in(0), scale = at.in(1), shift = at.in(2), mean = at.in(3),
              variance = at.in(4);
  if (!at.flag("training_mode")) return {batch_norm(x, mean, variance, scale, shift, epsilon(at))};
  const BatchNorm result = batch_norm_training(x, scale, shift, epsilon(at));
  const double kept = at.number("momentum", 0.9);
  return {result.y, running_average(mean, result.batch.mean, kept),
          running_average(variance, result.batch.variance, kept)};
}

// Beside the result the statistics may be asked for, which Soma's builder composes.
std::vector<Value> layer_normalization(const Site& at) {
  const Value x = at.in(0);
  const int axis = at.axis(-1, x.rank());
  Dims axes;
  for (int i = axis; i < x.rank(); ++i) axes.push_back(i);
  const Value average = mean(x, axes, Keep::yes);
  const Value variance = mean(square(x - average), axes, Keep::yes);
  const Value shift = at.has(2) ? at.in(2) : Value{};
  return {layer_norm(x, at.in(1), shift, epsilon(at), axis), average,
          rsqrt(variance + epsilon(at))};
}

Value response_normalization(const Site& at) {
  LocalResponse response;
  response.size = at.integer("size", 0);
  response.alpha = at.number("alpha", 1e-4);
  response.beta = at.number("beta", 0.75);
  response.bias = at.number("bias", 1);
  return local_response_norm(at.in(0), response);
}

Value mean_variance_normalization(const Site& at) {
  return at.set("axes") ? mean_variance_norm(at.in(0), dims_of(at.list("axes")))
                        : mean_variance_norm(at.in(0));
}

}  // namespace

void add_normalizations(Table& table) {
  table.add("BatchNormalization", "batch_norm, batch_norm_training, running_average",
            batch_normalization);
  table.add("InstanceNormalization", "instance_norm", [](const Site& at) {
    return instance_norm(at.in(0), at.in(1), at.in(2), epsilon(at));
  });
  table.add("LayerNormalization", "layer_norm", layer_normalization);
  table.add("LRN", "local_response_norm", response_normalization);
  table.add("MeanVarianceNormalization", "mean_variance_norm", mean_variance_normalization);
}

}  // namespace soma::onnx
