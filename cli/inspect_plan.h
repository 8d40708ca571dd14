// The plan of a model, compiled and timed for soma inspect --plan.
#pragma once

#include <string>

#include "soma/model.h"
#include "soma/plan.h"

namespace soma::cli {

struct PlanOptions {
  int64_t batch = 1;
  std::string training;  ///< An optimizer as text, for a step of training; "" for predictions.
  int64_t threads = 0;
};
/// Made-up numbers go in. Training uses the loss that the model was trained with; the model's
/// arrays are overwritten.
PlanReport measured_plan(Model& model, const PlanOptions& options);

}  // namespace soma::cli
