// The state of one training: programs, optimizer arrays, the order of the rows and the last state
// that is known to be good.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "soma/train.h"
#include "src/train/program.h"
#include "src/train/step.h"

namespace soma::train {

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

class Trainer {
 public:
  Trainer(Network& net, const Dataset& data, const FitOptions& options);
  History run();

 private:
  using Clock = std::chrono::steady_clock;

  /// Compiles the step for that many rows and makes the arrays the optimizer carries.
  Program make_program(int64_t rows);
  /// The array behind a parameter or state: the network's, or one that the optimizer carries.
  Tensor& array_of(const InputAttr& input);
  void run_epoch(int epoch);
  void order_rows(int epoch);
  std::span<const int64_t> rows_of(int64_t step) const;
  /// Gathers and runs one step; returns its loss.
  double do_step(int64_t step);
  void finish_epoch(int epoch, Clock::time_point start);
  void tell(Event::Kind kind);

  /// Remembers the present state when it is finite; throws DivergenceError otherwise.
  void check(int epoch, int64_t steps_done);
  /// The first array that holds NaN or infinity; "" when there is none.
  std::string first_bad_tensor() const;
  /// Goes back to the last good state and repeats the steps since then, up to the one at fault.
  [[noreturn]] void diverged(int epoch, int64_t last_step);
  /// The first value in the forward and backward pass of a step that is not finite, in words.
  std::string diagnose(int64_t step);
  std::string first_bad_after(int64_t step);

  Network& net_;
  const Dataset& data_;
  const FitOptions& options_;
  Objective objective_;
  std::optional<Augmenter> augmenter_;
  int64_t batch_, steps_;
  Tensors masks_;
  Tensors carried_;  // what the optimizer remembers from step to step
  std::optional<Program> full_, rest_;
  std::optional<Evaluator> validator_;
  std::optional<Snapshot> snapshot_;
  int64_t snapshot_step_ = 0;
  int64_t steps_before_ = 0;  // in the epochs before this one
  std::vector<int64_t> order_;
  Metrics metrics_;
  std::vector<Score> scores_;
  Event event_;
  double loss_sum_ = 0;
  int64_t rows_seen_ = 0;
  Clock::time_point start_, epoch_start_;
  History history_;
};

}  // namespace soma::train
