// The state of one training: programs, optimizer arrays, the order of the rows and the last state
// that is known to be good.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "soma/io.h"
#include "soma/train.h"
#include "src/train/checkpoint.h"
#include "src/train/program.h"
#include "src/train/step.h"

namespace soma::train {

bool higher_is_better(std::string_view metric);

/// The parameters and optimizer arrays at one moment, to go back to.
class Snapshot {
 public:
  explicit Snapshot(std::vector<Tensor*> live);
  void take();
  void restore() const;

 private:
  std::vector<Tensor*> live_;
  std::vector<Tensor> copies_;
};

class Training {
 public:
  Training(Network& net, const Dataset& data, FitOptions options);
  Training(const Training&) = delete;
  Training& operator=(const Training&) = delete;

  History run();
  const EpochRecord& epoch();
  double step();
  bool done() const;
  const History& history() const { return history_; }
  Evaluation evaluate();

  Container state();
  void restore(Container state, const std::string& path);
  Trainer::Resumed resume();

 private:
  using Clock = std::chrono::steady_clock;

  /// Compiles the step for that many rows and makes the arrays the optimizer carries.
  Program make_program(int64_t rows);
  /// The array behind a parameter or state: the network's, or one that the optimizer carries.
  Tensor& array_of(const InputAttr& input);
  void begin();
  /// Checkpoints of a training that this one does not go on from must not mix with its own.
  void refuse_other_checkpoints() const;
  void begin_epoch();
  void order_rows(int epoch);
  std::span<const int64_t> rows_of(int64_t step) const;
  Program& program_of(int64_t step);
  /// The changed rows of a step; null when nothing changes them.
  const Batch* prepared(int64_t step);
  /// Gathers and runs one step; returns its loss.
  double do_step(int64_t step);
  /// Validation and the record of the epoch, whole or cut off.
  void record_epoch();
  /// Behind the last step of an epoch: the record, and on to the next.
  void end_epoch();
  /// Behind the last step of all.
  void finish();
  void tell(Event::Kind kind);
  double seconds() const;
  double seconds_of_epoch() const;

  // ---- checkpoints and the best epoch (state.cc)
  std::string metric_of_best() const { return options_.best.empty() ? "loss" : options_.best; }
  /// How bad that epoch was.
  double cost(const EpochRecord& record) const;
  void keep_if_best();
  void use_best();
  /// The epochs whose checkpoints stay, by their last steps.
  std::set<int64_t> best_steps() const;
  bool checkpoint_due() const;
  void write_checkpoint();
  /// What must be the same for a state to fit: by name, in words.
  const std::map<std::string, std::string>& settings();
  /// The arrays of the network and the optimizer, by their names in a state.
  std::map<std::string, Tensor*> arrays();
  /// The numbers of one epoch: the columns of the history.
  std::vector<std::string> columns() const;
  std::vector<double> row_of(const EpochRecord& record) const;
  EpochRecord record_of(std::span<const double> row) const;

  // ---- divergence (divergence.cc)
  /// Remembers the present state when it is finite; throws DivergenceError otherwise.
  void check();
  /// The first array that holds NaN or infinity; "" when there is none.
  std::string first_bad_tensor() const;
  /// Goes back to the last good state and repeats the steps since then, up to the one at fault.
  [[noreturn]] void diverged(int64_t last_step);
  /// The first value in the forward and backward pass of a step that is not finite, in words.
  std::string diagnose(int64_t step);
  std::string first_bad_after(int64_t step);

  Network& net_;
  const Dataset& data_;
  FitOptions options_;
  Objective objective_;
  std::optional<Loader> loader_;  // of changed rows
  int64_t batch_, steps_;
  Tensors masks_;
  Tensors carried_;  // what the optimizer remembers from step to step
  std::optional<Program> full_, rest_;
  std::optional<Evaluator> validator_;
  std::optional<CheckpointFolder> folder_;
  std::optional<Snapshot> snapshot_;
  int64_t snapshot_step_ = 0;

  // The place in the data: the epoch that runs, from 1, and its batches that were taken.
  int epoch_ = 1;
  int64_t step_ = 0;
  std::vector<int64_t> order_;
  bool in_epoch_ = false;  // order_ is that of epoch_
  // Sums over the epoch so far.
  Metrics metrics_;
  std::vector<Score> scores_;
  std::vector<Score>
      validation_scores_;  // names: those for its targets, which may be of another kind
  double loss_sum_ = 0;
  int64_t rows_seen_ = 0;
  double learning_rate_ = 0;  // of the last step

  int best_epoch_ = 0;
  double best_cost_ = 0;
  Tensors best_;  // the network's arrays after that epoch
  Event event_;
  History history_;
  bool begun_ = false, finished_ = false;
  std::map<std::string, std::string> settings_;
  std::string checkpoint_;  // last written or resumed from
  int64_t checkpoint_steps_ = -1;
  // Clocks of this session, and what sessions before it took.
  Clock::time_point start_, epoch_start_, checkpoint_time_;
  double seconds_before_ = 0, epoch_seconds_before_ = 0;
  int64_t steps_before_ = 0, rows_before_ = 0;
};

}  // namespace soma::train

struct soma::Trainer::Impl : soma::train::Training {
  using Training::Training;
};
