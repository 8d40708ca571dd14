// Between data sets and models: how raw rows become inputs, and what the outputs of a model mean.
// Both are stored in the model file, so that predict takes the rows people have.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "soma/data.h"
#include "soma/model.h"

namespace soma::cli {

/// What a model must know of its training rows: names, columns and scaling. Elements of images and
/// series are brought to mean 0 and deviation 1; the columns of tables are left to the first layer.
ModelInfo describe_rows(const Dataset& train);

/// Gives raw rows the scale that a model was trained with.
void prepare_rows(Dataset& raw, const ModelInfo& info);

/// The outputs for one row as people read them.
struct Prediction {
  std::optional<int64_t> label;  ///< The most likely class, where there are classes.
  std::vector<double> values;    ///< Probabilities where `probabilities`, else the outputs.
  bool probabilities = false;
};
Prediction read_outputs(std::span<const float> outputs, const ModelInfo& info);

}  // namespace soma::cli
