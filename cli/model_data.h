// Between data sets and models: how raw rows become inputs, and what the outputs of a model mean.
// Both are stored in the model file, so that predict takes the rows people have.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "soma/data.h"
#include "soma/model.h"

namespace soma::cli {

/// What a model must know of its training rows: names and scaling. Tables of numbers are
/// standardized, all else keeps the scale of its data set.
ModelInfo describe_rows(const Dataset& train);

/// Brings raw rows into the form that a model was trained with. Throws ShapeError when they have
/// another number of features.
void prepare_rows(Dataset& raw, const ModelInfo& info);

/// The outputs for one row as people read them.
struct Prediction {
  std::optional<int64_t> label;  ///< The most likely class, where there are classes.
  std::vector<double> values;    ///< Probabilities where `probabilities`, else the outputs.
  bool probabilities = false;
};
Prediction read_outputs(std::span<const float> outputs, const ModelInfo& info);

}  // namespace soma::cli
