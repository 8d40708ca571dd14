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
  if (options.steps < 0) {
    throw ArgumentError(cat("training takes at least one step; found ", options.steps));
  }
  const CheckpointOptions& c = options.checkpoints;
  if (c.every_steps < 0 || !(c.every_seconds >= 0) || c.last < 1 || c.best < 0) {
    throw ArgumentError(
        cat("checkpoints are written every so many steps or seconds, 0 for neither, and the last ",
            "one is kept; found ", c.every_steps, " steps, ", c.every_seconds,
            " seconds, the last ", c.last, " and the best ", c.best));
  }
}

}  // namespace

Training::Training(Network& net, const Dataset& data, FitOptions options)
    : net_(net),
      data_(data),
      options_(std::move(options)),
      objective_(objective_of(net, data, options_)),
      batch_(std::min(options_.batch, data.size())),
      steps_((data.size() + batch_ - 1) / batch_),
      masks_(net.masks()),
      order_(static_cast<size_t>(data.size())),
      metrics_(metric_names(options_.metrics, objective_.target), objective_.target.type == i32,
               objective_.target.width),
      scores_(metrics_.scores()) {
  if (!options_.augment.empty()) {
    loader_.emplace(data, LoaderOptions{.batch = batch_,
                                        .shuffle = options_.shuffle,
                                        .seed = options_.seed,
                                        .augment = options_.augment,
                                        .prefetch = options_.prefetch,
                                        .bytes = true});
  }
  if (net_.fresh()) net_.initialize(options_.seed);
  full_.emplace(make_program(batch_));
  if (const int64_t left = data.size() % batch_; left > 0) rest_.emplace(make_program(left));
  if (options_.validation) {
    validator_.emplace(net, *options_.validation, options_.loss,
                       EvaluateOptions{.device = options_.device,
                                       .batch = std::max<int64_t>(batch_, 256),
                                       .metrics = options_.metrics});
    validation_scores_ = validator_->scores();
  }
  const EpochRecord example = record_of(std::vector<double>(columns().size()));
  example[metric_of_best()];  // refuses what it does not have
  std::vector<Tensor*> live;
  for (Tensors* tensors : {&net_.tensors(), &carried_}) {
    for (auto& [name, tensor] : *tensors) live.push_back(&tensor);
  }
  snapshot_.emplace(std::move(live));
  if (!options_.checkpoints.folder.empty()) folder_.emplace(options_.checkpoints.folder);
  event_.epochs = options_.epochs;
  event_.steps = steps_;
  event_.metrics = scores_;
}

Program Training::make_program(int64_t rows) {
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

Tensor& Training::array_of(const InputAttr& input) {
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

bool Training::done() const {
  const bool enough = options_.steps > 0 && history_.steps >= options_.steps;
  return history_.stopped || enough || epoch_ > options_.epochs;
}

History Training::run() {
  begin();
  while (!done()) step();
  finish();
  History result = history_;
  result.optimizer_states = carried_;
  return result;
}

const EpochRecord& Training::epoch() {
  const int present = epoch_;
  do {
    step();
  } while (epoch_ == present && !done());
  return history_.epochs.back();
}

void Training::begin() {
  if (begun_) return;
  begun_ = true;
  start_ = checkpoint_time_ = Clock::now();
  steps_before_ = history_.steps;
  refuse_other_checkpoints();
  tell(Event::Kind::begin);
}

void Training::begin_epoch() {
  in_epoch_ = true;
  order_rows(epoch_);
  epoch_start_ = Clock::now();
  rows_before_ = rows_seen_;
  event_.epoch = epoch_;
  event_.validation = nullptr;
  check();
}

double Training::step() {
  begin();
  if (done()) {
    throw ArgumentError(cat("the training is done after ", history_.steps,
                            " steps; ask for more epochs or steps in its options"));
  }
  if (!in_epoch_) begin_epoch();
  const double loss = do_step(step_);
  if (!std::isfinite(loss)) diverged(step_);
  const auto rows = static_cast<int64_t>(rows_of(step_).size());
  Program& program = program_of(step_);
  metrics_.add(program.answers(objective_.target.threshold));
  loss_sum_ += loss * static_cast<double>(rows);
  rows_seen_ += rows;
  learning_rate_ = program.plan().output("learning_rate").scalar();
  ++step_;
  ++history_.steps;
  event_.step = step_;
  event_.step_loss = loss;
  if (step_ % check_interval == 0) check();
  tell(Event::Kind::step);
  if (step_ == steps_) end_epoch();
  if (checkpoint_due()) write_checkpoint();
  if (done()) finish();
  return loss;
}

void Training::order_rows(int epoch) {
  if (options_.shuffle) {
    order_ = data::permutation(data_.size(), options_.seed, static_cast<uint64_t>(epoch));
  } else {
    std::iota(order_.begin(), order_.end(), int64_t{0});
  }
}

std::span<const int64_t> Training::rows_of(int64_t step) const {
  const int64_t first = step * batch_;
  const int64_t count = std::min(batch_, data_.size() - first);
  return std::span(order_).subspan(static_cast<size_t>(first), static_cast<size_t>(count));
}

Program& Training::program_of(int64_t step) {
  return static_cast<int64_t>(rows_of(step).size()) == batch_ ? *full_ : *rest_;
}

const Batch* Training::prepared(int64_t step) {
  if (!loader_) return nullptr;
  loader_->seek(epoch_, step);
  return &loader_->next();
}

double Training::do_step(int64_t step) {
  const auto rows = rows_of(step);
  Program& program = program_of(step);
  program.gather(data_, rows, prepared(step));
  program.set_key(options_.seed, (epoch_ - 1) * steps_ + step);
  program.run();
  return program.loss();
}

void Training::record_epoch() {
  check();
  metrics_.read(scores_);
  EpochRecord record;
  record.epoch = epoch_;
  record.loss = loss_sum_ / static_cast<double>(rows_seen_);
  record.metrics = scores_;
  record.learning_rate = learning_rate_;
  if (validator_) record.validation = validator_->run();
  record.seconds = seconds_of_epoch();
  history_.epochs.push_back(std::move(record));
  keep_if_best();
  const auto& validation = history_.epochs.back().validation;
  event_.validation = validation ? &*validation : nullptr;
  tell(Event::Kind::epoch);
}

void Training::end_epoch() {
  record_epoch();
  ++epoch_;
  step_ = 0;
  in_epoch_ = false;
  metrics_.reset();
  loss_sum_ = 0;
  rows_seen_ = 0;
  epoch_seconds_before_ = 0;
}

void Training::finish() {
  if (finished_) return;
  finished_ = true;
  if (folder_ && checkpoint_steps_ != history_.steps) write_checkpoint();
  if (step_ > 0 && in_epoch_) record_epoch();
  use_best();
  history_.seconds = seconds();
  tell(Event::Kind::end);
}

double Training::seconds() const { return seconds_before_ + (begun_ ? seconds_since(start_) : 0); }
double Training::seconds_of_epoch() const {
  return epoch_seconds_before_ + seconds_since(epoch_start_);
}

void Training::tell(Event::Kind kind) {
  event_.kind = kind;
  event_.seconds = seconds();
  event_.history = history_.epochs;
  event_.checkpoint = checkpoint_;
  event_.learning_rate = learning_rate_;
  if (kind == Event::Kind::step) {
    metrics_.read(scores_);
    event_.loss = loss_sum_ / static_cast<double>(rows_seen_);
    event_.samples_per_second =
        static_cast<double>(rows_seen_ - rows_before_) / seconds_since(epoch_start_);
    int64_t planned = steps_ * options_.epochs;
    if (options_.steps > 0) planned = std::min(planned, options_.steps);
    event_.seconds_left = seconds_since(start_) /
                          static_cast<double>(history_.steps - steps_before_) *
                          static_cast<double>(planned - history_.steps);
  }
  for (const Callback& callback : options_.callbacks) {
    if (!callback(event_) && kind != Event::Kind::end) history_.stopped = true;
  }
}

Evaluation Training::evaluate() {
  if (!validator_) {
    throw ArgumentError("there is no validation data to evaluate; name it in the options");
  }
  return validator_->run();
}

void Training::check() {
  if (!first_bad_tensor().empty()) diverged(step_ - 1);
  snapshot_->take();
  snapshot_step_ = step_;
}

}  // namespace train

History fit(Network& net, const Dataset& data, const FitOptions& options) {
  return Trainer(net, data, options).run();
}

Trainer::Trainer(Network& net, const Dataset& data, FitOptions options) {
  train::check_options(options);
  impl_ = std::make_unique<Impl>(net, data, std::move(options));
}
Trainer::Trainer(Trainer&&) noexcept = default;
Trainer& Trainer::operator=(Trainer&&) noexcept = default;
Trainer::~Trainer() = default;

History Trainer::run() { return impl_->run(); }
const EpochRecord& Trainer::epoch() { return impl_->epoch(); }
double Trainer::step() { return impl_->step(); }
bool Trainer::done() const { return impl_->done(); }
int64_t Trainer::steps() const { return impl_->history().steps; }
const History& Trainer::history() const { return impl_->history(); }
Evaluation Trainer::evaluate() { return impl_->evaluate(); }
void Trainer::save(const std::string& path) const { train::write_checkpoint(path, impl_->state()); }
void Trainer::load(const std::string& path) { impl_->restore(train::read_checkpoint(path), path); }
Trainer::Resumed Trainer::resume() { return impl_->resume(); }

Loss default_loss(const Dataset& dataset) {
  return dataset.is_classification() ? cross_entropy() : mean_squared_error();
}

Callback early_stopping(int patience, double least_gain, std::string metric) {
  if (patience < 1) {
    throw ArgumentError(cat("early stopping waits for at least one epoch; found ", patience));
  }
  const double sign = train::higher_is_better(metric) ? -1 : 1;
  return [=, best = HUGE_VAL, waited = 0](const Event& event) mutable {
    const auto hear = [&](double value) {
      const double cost = sign * value;
      waited = cost < best - least_gain ? 0 : waited + 1;
      best = std::min(best, cost);
    };
    if (event.kind == Event::Kind::begin) {
      best = HUGE_VAL, waited = 0;
      for (const EpochRecord& record : event.history) hear(record[metric]);
    }
    if (event.kind == Event::Kind::epoch) hear(event.history.back()[metric]);
    return waited < patience;
  };
}

}  // namespace soma
