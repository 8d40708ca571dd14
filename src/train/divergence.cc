// When training blows up: which value was the first that is not finite? Training is deterministic,
// so the last good state and the rows since then bring back the moment before the fault, and the
// steps themselves need no watching.
#include <algorithm>
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

/// The row of the batch that holds the first such value, where the first axis is that of the rows;
/// -1 elsewhere.
int64_t bad_row(const View& view, int64_t rows) {
  if (view.shape.rank() == 0 || view.shape[0] != rows) return -1;
  const int64_t width = view.shape.elements() / rows;
  const auto row_bytes = static_cast<size_t>(width) * size_of(view.type);
  for (int64_t row = 0; row < rows; ++row) {
    if (!all_finite(view.data + static_cast<size_t>(row) * row_bytes, width, view.type)) return row;
  }
  return -1;
}

/// "3, 17, 4 and 125 more".
std::string list_of_rows(std::span<const int64_t> rows) {
  constexpr size_t most = 16;
  const std::string text = join(rows.first(std::min(rows.size(), most)), ", ");
  return rows.size() > most ? cat(text, " and ", rows.size() - most, " more") : text;
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

std::string Training::first_bad_tensor() const {
  for (const Tensors* tensors : {&std::as_const(net_).tensors(), &carried_}) {
    for (const auto& [name, tensor] : *tensors) {
      if (!all_finite(tensor.raw(), tensor.elements(), tensor.type())) return name;
    }
  }
  return "";
}

std::string Training::diagnose(int64_t step) {
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
  program.gather(data_, rows, prepared(step));
  program.set_key(options_.seed, (epoch_ - 1) * steps_ + step);
  program.run();
  for (size_t i = 0; i < names.size(); ++i) {
    const View view = program.plan().output(cat("watch", i));
    if (!all_finite(view.data, view.shape.elements(), view.type)) {
      const int64_t row = bad_row(view, static_cast<int64_t>(rows.size()));
      return cat("the first value that is infinite or NaN is ", names[i],
                 row >= 0 ? cat(", for row ", rows[static_cast<size_t>(row)]) : "");
    }
  }
  return cat("the update made \"", first_bad_after(step), "\" infinite or NaN");
}

std::string Training::first_bad_after(int64_t step) {
  do_step(step);
  return first_bad_tensor();
}

void Training::diverged(int64_t last_step) {
  const std::string resumable =
      checkpoint_.empty() ? "" : cat("; the last good checkpoint is \"", checkpoint_, "\"");
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
  const auto rows = rows_of(step);
  DivergenceError error(cat("training diverged in epoch ", epoch_, " at step ", step + 1, " of ",
                            steps_, ": ", fault, "; the batch holds the rows ", list_of_rows(rows),
                            "; lower the learning rate, clip the gradients or scale the inputs",
                            resumable));
  error.epoch = epoch_;
  error.step = step + 1;
  error.rows.assign(rows.begin(), rows.end());
  error.checkpoint = checkpoint_;
  throw error;
}

}  // namespace soma::train
