// A network, a loss and perhaps an optimizer compiled for one number of rows, with the memory its
// batches are gathered into.
#pragma once

#include <optional>
#include <span>

#include "soma/data.h"
#include "soma/network.h"
#include "soma/plan.h"
#include "src/train/metrics.h"
#include "src/train/targets.h"

namespace soma::train {

/// One compiled program and its batch. Gathering and running allocate nothing.
class Program {
 public:
  Program(const Graph& graph, const Device& device);
  Plan& plan() { return plan_; }
  /// Binds the graph's parameters and states for reading only.
  void bind(const Graph& graph, const Tensors& tensors);
  /// Fills the batch with those rows of a data set.
  void gather(const Dataset& dataset, std::span<const int64_t> rows);
  void run() noexcept { plan_.run(); }
  double loss() const { return plan_.output("loss").scalar(); }
  Answers answers(double threshold) const;

 private:
  Plan plan_;
  std::span<float> inputs_, numbers_;
  std::span<uint8_t> bytes_;
  std::span<int32_t> labels_;
};

/// A graph with the data "input" and "target" and the results "output" and "loss". Images stay
/// bytes up to here: the program makes numbers of them, in its own threads.
struct LossGraph {
  LossGraph(const Network& net, const Dataset& dataset, const Loss& loss, const Target& target,
            int64_t rows, bool training);
  Graph graph;
  Value loss;
  std::vector<LayerTaps> taps;
};

/// Evaluates a network on a data set again and again, with programs compiled once.
class Evaluator {
 public:
  Evaluator(const Network& net, const Dataset& dataset, const Loss& loss, const Device& device,
            int64_t batch, const std::vector<std::string>& metrics);
  Evaluation run();

 private:
  const Dataset& dataset_;
  Target target_;
  int64_t batch_;
  Metrics metrics_;
  std::optional<Program> full_, rest_;
};

/// The metrics asked for, or those that suit.
std::vector<std::string> metric_names(const std::vector<std::string>& asked, const Target& target);

}  // namespace soma::train
