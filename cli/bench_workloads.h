// What `soma bench` measures: the registry of workloads, and the figures a measurement gives.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "soma/plan.h"

namespace soma::cli {

/// On what a workload is measured, and for how long.
struct Effort {
  Device device;
  double seconds;
};

/// Times are seconds of one step: a training step, a product, a prediction or a start.
struct Figures {
  double median = 0, least = 0, mean = 0;
  double processor = 0;  ///< Of all threads together, on the mean.
  int64_t steps = 0;     ///< How many were measured.
  int64_t samples = 0;   ///< That one step takes; 0 where there are none.
  /// Floating-point operations of the matrix products and convolutions of one step, as compiled: a
  /// multiply-add counts as two.
  int64_t operations = 0;
  size_t arena_bytes = 0;       ///< The plan's memory for activations, gradients and scratch.
  size_t peak_bytes = 0;        ///< Of the process meanwhile; 0 where the system does not tell.
  std::optional<double> p9999;  ///< All but one step of 10,000 are faster.
  /// Of the first training step, and of the twentieth: of the last one when there were fewer.
  std::optional<double> first_loss, loss;
  std::function<std::string()> plan;  ///< Runs the step some more and lists its instructions.
};

struct Workload {
  std::string name;  ///< "mlp-128": its kind, and what tells it from others of the kind
  std::string what;  ///< "784-128-10, SGD, batch 128"
  std::function<Figures(const Effort&)> run;
};
const std::vector<Workload>& workloads();

Figures measure(const Workload& workload, const Effort& effort);

}  // namespace soma::cli
