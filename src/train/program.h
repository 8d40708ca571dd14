// A network, a loss and perhaps an optimizer compiled for one number of rows, with the memory its
// batches are gathered into.
#pragma once

#include <optional>
#include <span>

#include "soma/data.h"
#include "soma/loader.h"
#include "soma/network.h"
#include "soma/plan.h"
#include "soma/train.h"
#include "src/train/metrics.h"
#include "src/train/targets.h"

namespace soma::train {

/// What a program computes beside the results: the loss, and the sum that training makes small.
struct Objective {
  Loss loss = mean_squared_error();
  double weight = 1;
  Target target;
  std::string output, wanted;  ///< As in OutputLoss.
  struct More {
    OutputLoss spec;
    Target target;
  };
  std::vector<More> more;
};
/// Throws what check_fit() throws.
Objective objective_of(const Network& net, const Dataset& dataset, const FitOptions& options);

/// A graph with the data "input" and "target" (and further ones) and the results "output" and
/// "loss". Images stay bytes up to here: the program makes numbers of them, in its own threads. In
/// training there is the data "key" for random numbers.
struct LossGraph {
  LossGraph(const Network& net, const Dataset& dataset, const Objective& objective, int64_t rows,
            BuildMode mode);
  Graph graph;
  Value loss;
  std::vector<LayerTaps> taps;
};

/// One compiled program and its batch. Gathering and running allocate nothing.
class Program {
 public:
  Program(const Graph& graph, const Network& net, const Objective& objective,
          const Dataset& dataset, const Device& device);
  Plan& plan() { return plan_; }
  /// Binds the graph's parameters and states for reading only.
  void bind(const Graph& graph, const Tensors& tensors);
  /// Fills the batch with those rows of a data set, of which a loader may have prepared the main
  /// inputs and targets.
  void gather(const Dataset& dataset, std::span<const int64_t> rows,
              const Batch* prepared = nullptr);
  /// What random numbers of the next run depend on.
  void set_key(uint64_t seed, int64_t step);
  void run() noexcept { plan_.run(); }
  double loss() const { return plan_.output("loss").scalar(); }
  Answers answers(double threshold) const;

 private:
  /// Memory of the plan that is filled from an array of the data set.
  struct Feed {
    const Tensor* from;
    std::byte* to;
    size_t row_bytes;
  };
  Plan plan_;
  bool fed_target_;  // the target is one of the feeds
  std::span<float> inputs_, numbers_;
  std::span<uint8_t> bytes_;
  std::span<int32_t> labels_;
  std::span<int64_t> key_;
  std::vector<Feed> feeds_;
};

/// Evaluates a network on a data set again and again, with programs compiled once.
class Evaluator {
 public:
  Evaluator(const Network& net, const Dataset& dataset, const Loss& loss,
            const EvaluateOptions& options);
  Evaluation run();
  std::vector<Score> scores() const { return metrics_.scores(); }  ///< The names; values later.

 private:
  const Dataset& dataset_;
  Objective objective_;
  int64_t batch_;
  Metrics metrics_;
  std::optional<Program> full_, rest_;
};

/// The metrics asked for, or those that suit.
std::vector<std::string> metric_names(const std::vector<std::string>& asked, const Target& target);

}  // namespace soma::train
