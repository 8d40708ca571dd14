// The training loop.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/train/trainer.h"

namespace soma {
namespace train {
namespace {

/// Steps between two looks at all parameters, and the most that a divergence makes us repeat.
constexpr int64_t check_interval = 100;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void check_options(const FitOptions& options) {
  if (options.epochs < 1) {
    throw ArgumentError(cat("training needs at least one epoch; found ", options.epochs));
  }
  if (options.batch < 1) {
    throw ArgumentError(cat("a batch needs at least one row; found ", options.batch));
  }
}

}  // namespace

Trainer::Trainer(Network& net, const Dataset& data, const FitOptions& options)
    : net_(net),
      data_(data),
      options_(options),
      objective_(objective_of(net, data, options)),
      batch_(std::min(options.batch, data.size())),
      steps_((data.size() + batch_ - 1) / batch_),
      masks_(net.masks()),
      order_(static_cast<size_t>(data.size())),
      metrics_(metric_names(options.metrics, objective_.target), objective_.target.type == i32,
               objective_.target.width),
      scores_(metrics_.scores()) {
  if (!options.augment.empty()) augmenter_.emplace(options.augment, data, options.seed);
  if (net_.fresh()) net_.initialize(options.seed);
  full_.emplace(make_program(batch_));
  if (const int64_t left = data.size() % batch_; left > 0) rest_.emplace(make_program(left));
  if (options.validation) {
    validator_.emplace(net, *options.validation, options.loss,
                       EvaluateOptions{.device = options.device,
                                       .batch = std::max<int64_t>(batch_, 256),
                                       .metrics = options.metrics});
  }
  std::vector<Tensor*> live;
  for (Tensors* tensors : {&net_.tensors(), &carried_}) {
    for (auto& [name, tensor] : *tensors) live.push_back(&tensor);
  }
  snapshot_.emplace(std::move(live));
  event_.epochs = options.epochs;
  event_.steps = steps_;
  event_.metrics = scores_;
}

Program Trainer::make_program(int64_t rows) {
  LossGraph built(net_, data_, objective_, rows, BuildMode::training);
  add_step(built.graph, built.loss, options_.optimizer, masks_);
  Program program(built.graph, net_, objective_, data_, options_.device);
  for (const Id id : built.graph.inputs()) {
    const auto& input = built.graph[id].as<InputAttr>();
    if (input.kind != InputKind::data) program.plan().bind(input.name, array_of(input));
  }
  for (auto& [name, mask] : masks_) program.plan().bind(mask_name(name), mask);
  return program;
}

Tensor& Trainer::array_of(const InputAttr& input) {
  if (const auto own = net_.tensors().find(input.name); own != net_.tensors().end()) {
    return own->second;
  }
  const auto known = carried_.find(input.name);
  if (known != carried_.end()) return known->second;
  const Tensors* before = options_.optimizer_states;
  const bool goes_on = before && before->count(input.name) > 0;
  return carried_
      .emplace(input.name, goes_on ? before->at(input.name) : initial_value(input, options_.seed))
      .first->second;
}

History Trainer::run() {
  start_ = Clock::now();
  tell(Event::Kind::begin);
  for (int epoch = 1; epoch <= options_.epochs && !history_.stopped; ++epoch) run_epoch(epoch);
  history_.seconds = seconds_since(start_);
  tell(Event::Kind::end);
  history_.optimizer_states = std::move(carried_);
  return std::move(history_);
}

void Trainer::run_epoch(int epoch) {
  order_rows(epoch);
  metrics_.reset();
  loss_sum_ = 0;
  rows_seen_ = 0;
  steps_before_ = (epoch - 1) * steps_;
  event_.epoch = epoch;
  event_.validation = nullptr;
  epoch_start_ = Clock::now();
  check(epoch, 0);
  for (int64_t step = 0; step < steps_ && !history_.stopped; ++step) {
    const double loss = do_step(step);
    if (!std::isfinite(loss)) diverged(epoch, step);
    const auto rows = static_cast<int64_t>(rows_of(step).size());
    Program& program = rows == batch_ ? *full_ : *rest_;
    metrics_.add(program.answers(objective_.target.threshold));
    loss_sum_ += loss * static_cast<double>(rows);
    rows_seen_ += rows;
    ++history_.steps;
    event_.step = step + 1;
    event_.step_loss = loss;
    event_.learning_rate = program.plan().output("learning_rate").scalar();
    if ((step + 1) % check_interval == 0) check(epoch, step + 1);
    tell(Event::Kind::step);
  }
  check(epoch, event_.step);
  finish_epoch(epoch, epoch_start_);
}

void Trainer::order_rows(int epoch) {
  if (options_.shuffle) {
    order_ = data::permutation(data_.size(), options_.seed, static_cast<uint64_t>(epoch));
  } else {
    std::iota(order_.begin(), order_.end(), int64_t{0});
  }
}

std::span<const int64_t> Trainer::rows_of(int64_t step) const {
  const int64_t first = step * batch_;
  const int64_t count = std::min(batch_, data_.size() - first);
  return std::span(order_).subspan(static_cast<size_t>(first), static_cast<size_t>(count));
}

double Trainer::do_step(int64_t step) {
  const auto rows = rows_of(step);
  Program& program = static_cast<int64_t>(rows.size()) == batch_ ? *full_ : *rest_;
  program.gather(data_, rows);
  if (augmenter_) program.augment(*augmenter_, rows, event_.epoch);
  program.set_key(options_.seed, steps_before_ + step);
  program.run();
  return program.loss();
}

void Trainer::finish_epoch(int epoch, Clock::time_point start) {
  EpochRecord record;
  record.epoch = epoch;
  record.loss = event_.loss;
  record.metrics = scores_;
  record.learning_rate = event_.learning_rate;
  if (validator_) record.validation = validator_->run();
  record.seconds = seconds_since(start);
  history_.epochs.push_back(std::move(record));
  const auto& validation = history_.epochs.back().validation;
  event_.validation = validation ? &*validation : nullptr;
  tell(Event::Kind::epoch);
}

void Trainer::tell(Event::Kind kind) {
  event_.kind = kind;
  event_.seconds = seconds_since(start_);
  if (kind == Event::Kind::step) {
    metrics_.read(scores_);
    event_.loss = loss_sum_ / static_cast<double>(rows_seen_);
    event_.samples_per_second = static_cast<double>(rows_seen_) / seconds_since(epoch_start_);
    const auto done = static_cast<double>(history_.steps);
    const double all = static_cast<double>(steps_) * options_.epochs;
    event_.seconds_left = event_.seconds / done * (all - done);
  }
  for (const Callback& callback : options_.callbacks) {
    if (!callback(event_) && kind != Event::Kind::end) history_.stopped = true;
  }
}

void Trainer::check(int epoch, int64_t steps_done) {
  if (!first_bad_tensor().empty()) diverged(epoch, steps_done - 1);
  snapshot_->take();
  snapshot_step_ = steps_done;
}

}  // namespace train

History fit(Network& net, const Dataset& data, const FitOptions& options) {
  train::check_options(options);
  return train::Trainer(net, data, options).run();
}

Loss default_loss(const Dataset& dataset) {
  return dataset.is_classification() ? cross_entropy() : mean_squared_error();
}

Callback early_stopping(int patience, double least_gain) {
  if (patience < 1) {
    throw ArgumentError(cat("early stopping waits for at least one epoch; found ", patience));
  }
  return [=, best = HUGE_VAL, waited = 0](const Event& event) mutable {
    if (event.kind == Event::Kind::begin) best = HUGE_VAL, waited = 0;
    if (event.kind != Event::Kind::epoch) return true;
    const double loss = event.validation ? event.validation->loss : event.loss;
    waited = loss < best - least_gain ? 0 : waited + 1;
    best = std::min(best, loss);
    return waited < patience;
  };
}

}  // namespace soma
