// The whole state of a training as a container of arrays, and back; the epoch that was best.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "soma/error.h"
#include "src/base/sha256.h"
#include "src/base/text.h"
#include "src/train/trainer.h"

namespace soma {
namespace train {
namespace {

constexpr int64_t sampled_rows = 1024;  // of a data set, to know it by

/// Which data set this is: from the shapes and evenly spaced rows of its arrays.
std::string fingerprint(const Dataset& dataset) {
  Sha256 digest;
  const auto add = [&](const Tensor& tensor) {
    const std::string head = cat(tensor.type(), tensor.shape(), "\n");
    digest.update(std::as_bytes(std::span(head.data(), head.size())));
    const auto row_bytes = tensor.bytes() / static_cast<size_t>(dataset.size());
    const int64_t count = std::min(sampled_rows, dataset.size());
    for (int64_t i = 0; i < count; ++i) {
      const auto row = static_cast<size_t>(i * dataset.size() / count);
      digest.update({tensor.raw() + row * row_bytes, row_bytes});
    }
  };
  add(dataset.inputs);
  add(dataset.targets);
  for (const auto* more : {&dataset.more_inputs, &dataset.more_targets}) {
    for (const NamedTensor& array : *more) add(array.values);
  }
  return digest.hex();
}

/// Numbers as an array, and the list of them.
template <class T>
Tensor list_of(std::initializer_list<T> values) {
  return Tensor::of(Shape{static_cast<int64_t>(values.size())}, std::vector<T>(values));
}

/// The arrays of a state, taken out one by one: what is missing or left over is an error.
class Parts {
 public:
  Parts(std::map<std::string, Tensor>& tensors, const std::string& path)
      : tensors_(tensors), path_(path) {}
  Tensor& take(const std::string& name, const Shape& shape, DType type) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) {
      throw ArgumentError(cat("the checkpoint \"", path_, "\" has no array \"", name,
                              "\", which this network and optimizer need"));
    }
    const Tensor& tensor = found->second;
    const bool fits = type == tensor.type() && shape == tensor.shape();
    if (!fits) {
      throw ArgumentError(cat("the checkpoint \"", path_, "\" holds \"", name, "\" as ",
                              tensor.type(), tensor.shape(), "; this training needs ", type,
                              shape));
    }
    taken_.insert(name);
    return found->second;
  }
  /// A list of any length.
  Tensor& take(const std::string& name, DType type) {
    const auto found = tensors_.find(name);
    return take(name, found == tensors_.end() ? Shape{0} : found->second.shape(), type);
  }
  void refuse_others() const {
    for (const auto& [name, tensor] : tensors_) {
      if (taken_.count(name) > 0) continue;
      throw ArgumentError(cat("the checkpoint \"", path_, "\" holds the array \"", name,
                              "\", which this network and optimizer do not have"));
    }
  }

 private:
  std::map<std::string, Tensor>& tensors_;
  const std::string& path_;
  std::set<std::string> taken_;
};

}  // namespace

bool higher_is_better(std::string_view metric) {
  const auto table = metric_table();
  const auto row = std::ranges::find(table, metric, &MetricInfo::name);
  return row != table.end() && row->higher_is_better;
}

// ---------------------------------------------------------------- the best epoch

double Training::cost(const EpochRecord& record) const {
  const std::string metric = metric_of_best();
  const double value = record[metric];
  if (std::isnan(value)) return HUGE_VAL;
  return higher_is_better(metric) ? -value : value;
}

void Training::keep_if_best() {
  if (options_.best.empty()) return;
  const EpochRecord& record = history_.epochs.back();
  if (best_epoch_ > 0 && !(cost(record) < best_cost_)) return;
  best_epoch_ = record.epoch;
  best_cost_ = cost(record);
  best_ = std::as_const(net_).tensors();
}

void Training::use_best() {
  if (best_epoch_ == 0) return;
  history_.best_epoch = best_epoch_;
  for (const auto& [name, tensor] : best_) {  // in place: plans are bound to the memory
    std::memcpy(net_.tensors().at(name).raw(), tensor.raw(), tensor.bytes());
  }
}

std::set<int64_t> Training::best_steps() const {
  std::vector<std::pair<double, int64_t>> costs;
  for (const EpochRecord& record : history_.epochs) {
    costs.emplace_back(cost(record), record.epoch * steps_);
  }
  std::ranges::sort(costs);
  std::set<int64_t> best;
  for (const auto& [cost, steps] : costs) {
    if (static_cast<int>(best.size()) < options_.checkpoints.best) best.insert(steps);
  }
  return best;
}

// ---------------------------------------------------------------- checkpoints

bool Training::checkpoint_due() const {
  if (!folder_) return false;
  const CheckpointOptions& o = options_.checkpoints;
  const auto waited = std::chrono::duration<double>(Clock::now() - checkpoint_time_).count();
  return (o.every_steps > 0 && history_.steps % o.every_steps == 0) ||
         (o.every_seconds > 0 && waited >= o.every_seconds) ||
         (o.best > 0 && step_ == 0 && best_steps().count(history_.steps) > 0);
}

void Training::write_checkpoint() {
  check();
  const std::string path = folder_->path_of(history_.steps);
  train::write_checkpoint(path, state());
  checkpoint_ = path;
  checkpoint_steps_ = history_.steps;
  checkpoint_time_ = Clock::now();
  folder_->clean(history_.steps, options_.checkpoints.last, best_steps());
  tell(Event::Kind::checkpoint);
}

void Training::refuse_other_checkpoints() const {
  if (!folder_ || !checkpoint_.empty() || folder_->steps().empty()) return;
  throw ArgumentError(cat("the folder \"", options_.checkpoints.folder,
                          "\" holds checkpoints of an earlier training; go on from them with ",
                          "resume(), remove them or choose another folder"));
}

const std::map<std::string, std::string>& Training::settings() {
  if (!settings_.empty()) return settings_;
  return settings_ = {{"network", net_.text()},
                      {"data", fingerprint(data_)},
                      {"rows", cat(data_.size())},
                      {"batch", cat(batch_)},
                      {"seed", cat(options_.seed)},
                      {"shuffle", options_.shuffle ? "true" : "false"},
                      {"columns", join(columns(), " ")},
                      {"best", options_.best},
                      {"augmentation", options_.augment.text()}};
}

std::map<std::string, Tensor*> Training::arrays() {
  std::map<std::string, Tensor*> all;
  for (auto& [name, tensor] : net_.tensors()) all.emplace(cat("network/", name), &tensor);
  for (auto& [name, tensor] : carried_) all.emplace(name, &tensor);  // "optimizer/…"
  return all;
}

std::vector<std::string> Training::columns() const {
  std::vector<std::string> names{"epoch", "loss", "learning_rate", "seconds"};
  for (const Score& score : scores_) names.push_back(score.name);
  if (!validator_) return names;
  names.emplace_back("validation_loss");
  names.emplace_back("validation_rows");
  for (const Score& score : validation_scores_) names.push_back(cat("validation_", score.name));
  return names;
}

std::vector<double> Training::row_of(const EpochRecord& record) const {
  std::vector<double> row{static_cast<double>(record.epoch), record.loss, record.learning_rate,
                          record.seconds};
  for (const Score& score : record.metrics) row.push_back(score.value);
  if (!record.validation) return row;
  row.push_back(record.validation->loss);
  row.push_back(static_cast<double>(record.validation->rows));
  for (const Score& score : record.validation->metrics) row.push_back(score.value);
  return row;
}

EpochRecord Training::record_of(std::span<const double> row) const {
  size_t at = 0;
  const auto next = [&] { return row[at++]; };
  EpochRecord record{.epoch = static_cast<int>(next()), .loss = next(), .metrics = scores_};
  record.learning_rate = next();
  record.seconds = next();
  for (Score& score : record.metrics) score.value = next();
  if (!validator_) return record;
  record.validation = Evaluation{.loss = next(), .metrics = validation_scores_};
  record.validation->rows = static_cast<int64_t>(next());
  for (Score& score : record.validation->metrics) score.value = next();
  return record;
}

Container Training::state() {
  Container state;
  for (const auto& [name, tensor] : arrays()) state.tensors.emplace(name, *tensor);
  for (const auto& [name, tensor] : best_) state.tensors.emplace(cat("best/", name), tensor);
  const double epoch_seconds = in_epoch_ ? seconds_of_epoch() : epoch_seconds_before_;
  state.tensors["cursor"] =
      list_of<int64_t>({epoch_, step_, history_.steps, rows_seen_, best_epoch_});
  state.tensors["sums"] =
      list_of<double>({loss_sum_, learning_rate_, best_cost_, seconds(), epoch_seconds});
  Archive archive;
  metrics_.fields(archive);
  const auto& bytes = archive.bytes();
  state.tensors["metrics"] = Tensor::of(Shape{static_cast<int64_t>(bytes.size())}, bytes);
  std::vector<double> history;
  for (const EpochRecord& record : history_.epochs) {
    if (record.epoch >= epoch_) continue;  // the last one, when it was cut off
    const std::vector<double> row = row_of(record);
    history.insert(history.end(), row.begin(), row.end());
  }
  const auto width = static_cast<int64_t>(columns().size());
  state.tensors["history"] =
      Tensor::of(Shape{static_cast<int64_t>(history.size()) / width, width}, history);
  state.metadata = settings();
  state.metadata["loss"] = options_.loss.text();
  state.metadata["optimizer"] = options_.optimizer.text();
  return state;
}

void Training::restore(Container state, const std::string& path) {
  for (const auto& [name, wanted] : settings()) {
    const std::string& found = state.metadata[name];
    if (found == wanted) continue;
    const bool hidden = name == "data";  // two digests tell nobody anything
    throw ArgumentError(cat("the checkpoint \"", path, "\" is of another training: its ", name,
                            hidden ? " differs from that of this one"
                                   : cat(" is \"", found, "\", here it is \"", wanted, "\"")));
  }
  Parts parts(state.tensors, path);
  const auto cursor = parts.take("cursor", Shape{5}, i64).data<int64_t>();
  const auto sums = parts.take("sums", Shape{5}, f64).data<double>();
  const Tensor& history = parts.take("history", f64);
  const auto width = static_cast<int64_t>(columns().size());
  if (history.shape() != Shape{cursor[0] - 1, width} || cursor[1] < 0 || cursor[1] >= steps_) {
    throw FileError(cat("the checkpoint \"", path, "\" is at step ", cursor[1], " of epoch ",
                        cursor[0], ", which does not fit its history ", history.shape(),
                        " and the ", steps_, " steps of an epoch"));
  }
  Metrics metrics(metric_names(options_.metrics, objective_.target), objective_.target.type == i32,
                  objective_.target.width);
  Archive archive(parts.take("metrics", u8).data<uint8_t>());
  metrics.fields(archive);
  const std::map<std::string, Tensor*> all = arrays();
  for (const auto& [name, tensor] : all) parts.take(name, tensor->shape(), tensor->type());
  Tensors best;
  for (const auto& [name, tensor] : std::as_const(net_).tensors()) {
    if (cursor[4] == 0) break;
    best.emplace(name, parts.take(cat("best/", name), tensor.shape(), tensor.type()));
  }
  parts.refuse_others();

  // Everything fits. The arrays stay where they are: plans are bound to them.
  for (const auto& [name, tensor] : all) {
    std::memcpy(tensor->raw(), state.tensors.at(name).raw(), tensor->bytes());
  }
  best_ = std::move(best);
  best_epoch_ = static_cast<int>(cursor[4]);
  for (const auto& [name, mask] : net_.masks()) {
    std::memcpy(masks_.at(name).raw(), mask.raw(), mask.bytes());
  }
  metrics_ = std::move(metrics);
  epoch_ = static_cast<int>(cursor[0]);
  step_ = cursor[1];
  rows_seen_ = cursor[3];
  loss_sum_ = sums[0];
  learning_rate_ = sums[1];
  best_cost_ = sums[2];
  seconds_before_ = sums[3];
  epoch_seconds_before_ = sums[4];
  history_ = {};
  history_.steps = checkpoint_steps_ = cursor[2];
  for (int64_t i = 0; i < history.shape()[0]; ++i) {
    const auto row = std::as_const(history).data<double>().subspan(static_cast<size_t>(i * width),
                                                                   static_cast<size_t>(width));
    history_.epochs.push_back(record_of(row));
  }
  begun_ = finished_ = in_epoch_ = false;
  checkpoint_ = path;
}

Trainer::Resumed Training::resume() {
  Trainer::Resumed result;
  if (!folder_) throw ArgumentError("there is no folder of checkpoints to resume from; name it");
  const std::vector<int64_t> all = folder_->steps();
  for (size_t i = all.size(); i-- > 0 && result.path.empty();) {
    const std::string path = folder_->path_of(all[i]);
    std::optional<Container> state;
    try {
      state = read_checkpoint(path);
    } catch (const FileError& error) {
      result.damaged.emplace_back(error.what());
      continue;
    }
    restore(std::move(*state), path);
    result.path = path;
  }
  return result;
}

}  // namespace train

double EpochRecord::operator[](std::string_view metric) const {
  if (metric == "loss") return validation ? validation->loss : loss;
  const std::vector<Score>& scores = validation ? validation->metrics : metrics;
  std::vector<std::string> names{"loss"};
  for (const Score& score : scores) {
    if (score.name == metric) return score.value;
    names.push_back(score.name);
  }
  throw ArgumentError(cat("an epoch has no \"", metric, "\"", did_you_mean(metric, names),
                          "; it has ", join(names, ", "),
                          ": ask for others with the option metrics"));
}

}  // namespace soma
