// When training blows up: which value was the first that is not finite? Training is deterministic,
// so the last good state and the rows since then bring back the moment before the fault, and the
// steps themselves need no watching.
#include <cmath>
#include <cstring>

#include "soma/error.h"
#include "soma/gradient.h"
#include "src/base/text.h"
#include "src/train/trainer.h"

namespace soma::train {
namespace {

template <class T>
bool all_finite(std::span<const T> values) {
  // x - x is 0 for finite x and NaN otherwise; the sum needs no branch in the loop.
  T sum = 0;
  for (const T x : values) sum += x - x;
  return sum == 0;
}

bool all_finite(const std::byte* data, int64_t count, DType type) {
  const auto n = static_cast<size_t>(count);
  if (type == f32) return all_finite(std::span(reinterpret_cast<const float*>(data), n));
  if (type == f64) return all_finite(std::span(reinterpret_cast<const double*>(data), n));
  return true;
}

}  // namespace

Snapshot::Snapshot(std::vector<Tensor*> live) : live_(std::move(live)) {
  for (const Tensor* tensor : live_) copies_.push_back(*tensor);
}
void Snapshot::take() {
  for (size_t i = 0; i < live_.size(); ++i) {
    std::memcpy(copies_[i].raw(), live_[i]->raw(), live_[i]->bytes());
  }
}
void Snapshot::restore() const {
  for (size_t i = 0; i < live_.size(); ++i) {
    std::memcpy(live_[i]->raw(), copies_[i].raw(), live_[i]->bytes());
  }
}

std::string Trainer::first_bad_tensor() const {
  for (const Tensors* tensors : {&std::as_const(net_).tensors(), &carried_}) {
    for (const auto& [name, tensor] : *tensors) {
      if (!all_finite(tensor.raw(), tensor.elements(), tensor.type())) return name;
    }
  }
  return "";
}

std::string Trainer::diagnose(int64_t step) {
  const auto rows = rows_of(step);
  LossGraph built(net_, data_, objective_, static_cast<int64_t>(rows.size()), BuildMode::training);
  std::vector<std::string> names;  // in words, in the order of computing
  const auto watch = [&](Value value, const std::string& words) {
    if (!value || !is_float(value.type())) return;
    built.graph.output(cat("watch", names.size()), value);
    names.push_back(words);
  };
  for (const LayerTaps& tap : built.taps) {
    watch(tap.in, cat("what arrives at the layer \"", tap.name, "\""));
    watch(tap.activation_value, cat("the activation value (w·x) of the layer \"", tap.name, "\""));
    watch(tap.sum, cat("the sum with the bias of the layer \"", tap.name, "\""));
    watch(tap.out, cat("the output of the layer \"", tap.name, "\""));
  }
  watch(built.loss, "the loss");
  std::vector<Value> parameters;
  for (const Id id : built.graph.inputs()) {
    if (built.graph[id].as<InputAttr>().kind == InputKind::parameter) {
      parameters.push_back(built.graph.value(id));
    }
  }
  const std::vector<Value> slopes = gradients(built.loss, parameters);
  for (size_t i = slopes.size(); i-- > 0;) {
    watch(slopes[i], cat("the gradient of \"", parameters[i].node().as<InputAttr>().name, "\""));
  }
  Program program(built.graph, net_, objective_, data_, options_.device);
  for (const Id id : built.graph.inputs()) {
    const auto& input = built.graph[id].as<InputAttr>();
    if (input.kind != InputKind::data) program.plan().bind(input.name, array_of(input));
  }
  program.gather(data_, rows);
  program.set_key(options_.seed, steps_before_ + step);
  program.run();
  for (size_t i = 0; i < names.size(); ++i) {
    const View view = program.plan().output(cat("watch", i));
    if (!all_finite(view.data, view.shape.elements(), view.type)) {
      return cat("the first value that is infinite or NaN is ", names[i]);
    }
  }
  return cat("the update made \"", first_bad_after(step), "\" infinite or NaN");
}

std::string Trainer::first_bad_after(int64_t step) {
  do_step(step);
  return first_bad_tensor();
}

void Trainer::diverged(int epoch, int64_t last_step) {
  if (last_step < snapshot_step_) {
    throw DivergenceError(cat("the tensor \"", first_bad_tensor(),
                              "\" holds NaN or infinity before training; initialize the network"));
  }
  snapshot_->restore();
  int64_t step = snapshot_step_;
  while (step < last_step && std::isfinite(do_step(step)) && first_bad_tensor().empty()) ++step;
  snapshot_->restore();
  for (int64_t i = snapshot_step_; i < step; ++i) do_step(i);
  const std::string fault = diagnose(step);
  snapshot_->restore();
  throw DivergenceError(cat("training diverged in epoch ", epoch, " at step ", step + 1, " of ",
                            steps_, ": ", fault,
                            "; lower the learning rate, clip the gradients or scale the inputs"));
}

}  // namespace soma::train
