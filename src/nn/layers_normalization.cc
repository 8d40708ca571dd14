// Layers that normalize what passes, and layers that change the weights of the layers inside them.
#include "soma/dropout.h"
#include "soma/error.h"
#include "soma/normalization.h"
#include "src/base/text.h"
#include "src/nn/layer_kinds.h"
#include "src/nn/words.h"

namespace soma {

// ---------------------------------------------------------------- arguments

SOMA_WORDS(BatchNormRule, {"pytorch", BatchNormRule::pytorch}, {"keras", BatchNormRule::keras},
           {"onnx", BatchNormRule::onnx})

int axis_argument(LayerBuild& at, Value x, int64_t axis) {
  const int rank = x.rank();
  const int64_t from_front = axis < 0 ? axis + rank : axis;
  if (from_front == 0) at.fail(cat("axis ", axis, " is the batch, which samples do not share"));
  if (from_front < 0 || from_front >= rank) {
    at.fail(cat("there is no axis ", axis, " in ", x.shape(), " (with the batch in front)"));
  }
  return static_cast<int>(from_front);
}

void refuse_streaming_along(LayerBuild& at, Value x, int axis) {
  if (!at.streaming() || axis != 1 || x.rank() < 3) return;
  at.fail("looks at all steps of the sequence at once and cannot stream");
}

namespace {

Value ones(LayerBuild& at, bool wanted, const char* name, const Shape& shape) {
  return wanted ? at.parameter(name, shape, "1") : Value();
}
Value zeros(LayerBuild& at, bool wanted, const char* name, const Shape& shape) {
  return wanted ? at.parameter(name, shape, "0") : Value();
}

Shape shape_from(Value x, int first) {
  const Shape& shape = x.shape();
  return Shape(std::span<const int64_t>(shape.begin() + first, shape.end()));
}

void need_channels(LayerBuild& at, Value x, int least_rank) {
  if (x.rank() < least_rank) {
    at.fail(cat("needs samples like ", least_rank == 2 ? "[channels, …]" : "[channels, positions…]",
                ", found a batch of shape ", x.shape()));
  }
  refuse_streaming_along(at, x, 1);
}

// ---- the batch

struct BatchSettings {
  double kept, eps;
  bool sample_variance;
};

BatchSettings settings(LayerBuild& at, const Auto<double>& momentum, const Auto<double>& eps,
                       BatchNormRule rule) {
  const bool pytorch = rule == BatchNormRule::pytorch, keras = rule == BatchNormRule::keras;
  const double m = momentum.value.value_or(pytorch ? 0.1 : keras ? 0.99 : 0.9);
  const double e = eps.value.value_or(keras ? 1e-3 : 1e-5);
  if (!(m >= 0 && m <= 1)) at.fail(cat("has the momentum ", m, "; it is from 0 to 1"));
  if (!(e >= 0)) at.fail(cat("has the eps ", e, "; it is at least 0"));
  return {pytorch ? 1 - m : m, e, pytorch};
}

struct Running {
  Value mean, variance;
};

Running running_of(LayerBuild& at, int64_t channels) {
  return {at.state("running_mean", {channels}, "0"), at.state("running_var", {channels}, "1")};
}

void follow(LayerBuild& at, const Running& running, const Moments& batch,
            const BatchSettings& with) {
  if (batch.count < 2) {
    at.fail(
        "has one number for each channel in a batch, which has no variance; train with "
        "batches of two samples or more, that divide the number of samples, or all but one");
  }
  const Value variance = with.sample_variance ? batch.sample_variance() : batch.variance;
  at.update(running.mean, running_average(running.mean, batch.mean, with.kept));
  at.update(running.variance, running_average(running.variance, variance, with.kept));
}

}  // namespace

Value build_batch_norm(LayerBuild& at, Auto<double> momentum, Auto<double> eps, bool scale,
                       bool shift, int64_t axis, BatchNormRule compat) {
  const BatchSettings with = settings(at, momentum, eps, compat);
  const Value x = at.in();
  const int along = axis_argument(at, x, axis);
  const int64_t channels = x.extent(along);
  refuse_streaming_along(at, x, along);
  const Value s = ones(at, scale, "scale", {channels}), b = zeros(at, shift, "shift", {channels});
  const Running running = running_of(at, channels);
  if (!at.training()) {
    return batch_norm(x, running.mean, running.variance, s, b, with.eps, along);
  }
  const BatchNorm result = batch_norm_training(x, s, b, with.eps, along);
  follow(at, running, result.batch, with);
  return result.y;
}

Value build_batch_renorm(LayerBuild& at, double r_max, double d_max, Auto<double> momentum,
                         Auto<double> eps, int64_t axis, BatchNormRule compat) {
  const BatchSettings with = settings(at, momentum, eps, compat);
  const Value x = at.in();
  const int along = axis_argument(at, x, axis);
  const int64_t channels = x.extent(along);
  refuse_streaming_along(at, x, along);
  const Value s = ones(at, true, "scale", {channels}), b = zeros(at, true, "shift", {channels});
  const Running running = running_of(at, channels);
  if (!at.training()) {
    return batch_norm(x, running.mean, running.variance, s, b, with.eps, along);
  }
  const BatchNorm result =
      batch_renorm(x, running.mean, running.variance, r_max, d_max, s, b, with.eps, along);
  follow(at, running, result.batch, with);
  return result.y;
}

// ---- each sample

Value build_layer_norm(LayerBuild& at, double eps, bool scale, bool shift, int64_t axis) {
  const Value x = at.in();
  const int first = axis_argument(at, x, axis);
  refuse_streaming_along(at, x, first);
  const Shape shape = shape_from(x, first);
  const Value s = ones(at, scale, "scale", shape), b = zeros(at, shift, "shift", shape);
  return layer_norm(x, s, b, eps, first);
}

Value build_rms_norm(LayerBuild& at, double eps, bool scale, int64_t axis) {
  const Value x = at.in();
  const int first = axis_argument(at, x, axis);
  refuse_streaming_along(at, x, first);
  return rms_norm(x, ones(at, scale, "scale", shape_from(x, first)), eps, first);
}

Value build_group_norm(LayerBuild& at, int64_t groups, double eps, bool scale, bool shift) {
  const Value x = at.in();
  need_channels(at, x, 2);
  const int64_t channels = x.extent(1);
  if (channels % groups) {
    at.fail(cat("has ", groups, " groups, which do not divide ", channels, " channels"));
  }
  const Value s = ones(at, scale, "scale", {channels}), b = zeros(at, shift, "shift", {channels});
  return group_norm(x, groups, s, b, eps);
}

Value build_instance_norm(LayerBuild& at, double eps, bool scale, bool shift) {
  const Value x = at.in();
  need_channels(at, x, 3);
  const int64_t channels = x.extent(1);
  const Value s = ones(at, scale, "scale", {channels}), b = zeros(at, shift, "shift", {channels});
  return instance_norm(x, s, b, eps);
}

Value build_local_response_norm(LayerBuild& at, int64_t size, double alpha, double beta,
                                double bias, int64_t before) {
  const Value x = at.in();
  need_channels(at, x, 2);
  if (before >= size) at.fail(cat("has a window of ", size, " with ", before, " before its own"));
  return local_response_norm(x, {size, alpha, beta, bias, before});
}

Value build_unit_norm(LayerBuild& at, double p, int64_t axis, double eps) {
  const Value x = at.in();
  const int along = axis_argument(at, x, axis);
  refuse_streaming_along(at, x, along);
  return lp_normalize(x, p, along, eps);
}

Value build_dynamic_tanh(LayerBuild& at, double alpha, bool scale, bool shift) {
  const Value x = at.in();
  const int64_t width = x.extent(-1);
  const Value a = at.parameter("alpha", {}, number(alpha));
  const Value s = ones(at, scale, "scale", {width}), b = zeros(at, shift, "shift", {width});
  return dynamic_tanh(x, a, s, b);
}

// ---------------------------------------------------------------- weights of layers inside

namespace {

// The layers inside with their weights, arrays of two axes or more, changed by
// change(layer, name, weights, axis of the neurons).
template <class Change>
Value with_weights(LayerBuild& at, const Layers& layers, const Change& change) {
  return at.build(layers, at.in(),
                  [&](const LayerBuild& inner, const std::string& name, Value array) {
                    if (array.rank() < 2) return array;
                    return change(inner, name, array, array.rank() == 2 ? 1 : 0);
                  });
}

}  // namespace

Value build_weight_norm(LayerBuild& at, Layers layers, double gain) {
  return with_weights(
      at, layers, [&](const LayerBuild& inner, const std::string& name, Value w, int axis) {
        const int64_t neurons = w.extent(axis);
        const Value g = inner.graph().parameter(name + "_gain", {neurons}, number(gain));
        return weight_norm(w, g, axis);
      });
}

Value build_spectral_norm(LayerBuild& at, Layers layers, int64_t iterations, double eps) {
  return with_weights(
      at, layers, [&](const LayerBuild& inner, const std::string& name, Value w, int axis) {
        const int64_t neurons = w.extent(axis);
        const Value vector = inner.state(name + "_vector", {neurons}, "normal(std=1)");
        const int steps = inner.training() ? static_cast<int>(iterations) : 0;
        const SpectralNorm result = spectral_norm(w, vector, axis, steps, eps);
        if (inner.training()) inner.update(vector, result.vector);
        return result.weights;
      });
}

Value build_weight_standardization(LayerBuild& at, Layers layers, double eps) {
  return with_weights(at, layers, [&](const LayerBuild&, const std::string&, Value w, int axis) {
    return weight_standardization(w, axis, eps);
  });
}

Value build_drop_connect(LayerBuild& at, Layers layers, double rate) {
  return with_weights(at, layers, [&](const LayerBuild& inner, const std::string&, Value w, int) {
    if (!inner.training() || rate == 0) return w;
    return dropout(w, at.random(w.shape(), w.type()), rate);
  });
}

Value build_regularized(LayerBuild& at, Layers layers, Maybe<Regularizer> weights,
                        Maybe<Regularizer> bias, Maybe<Regularizer> output) {
  const Value y =
      at.build(layers, at.in(), [&](const LayerBuild& inner, const std::string& name, Value array) {
        if (weights.value && array.rank() >= 2) inner.penalize((*weights.value)(array));
        if (bias.value && name == "bias") inner.penalize((*bias.value)(array));
        return array;
      });
  if (output.value) at.penalize((*output.value)(y) / static_cast<double>(at.batch()));
  return y;
}

Value build_activity_regularization(LayerBuild& at, double l1, double l2) {
  const Value x = at.in();
  const Regularizer both = l1l2(l1, l2);
  at.penalize(both(x) / static_cast<double>(at.batch()));
  return x;
}

}  // namespace soma
