// What a trained model needs besides its network: how raw rows become inputs and what the outputs
// mean. Stored in the metadata of the model file, so that predict takes the rows people have.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "soma/data.h"
#include "soma/network.h"

namespace soma::cli {

struct Recipe {
  std::string data;  ///< Name of the data set it was trained on.
  std::string loss;  ///< As text.
  std::vector<std::string> class_names, feature_names;
  double scale = 1, shift = 0;                           ///< Input = raw · scale + shift …
  std::optional<data::Standardization> standardization;  ///< … then (input - mean) / deviation.

  /// From training rows: tables of numbers are standardized, all else keeps its scale.
  static Recipe measure(const Dataset& train);
  /// Brings raw rows into the form the network was trained with. Throws ShapeError when they have
  /// another number of features.
  void apply(Dataset& raw) const;

  std::string text() const;
  /// Throws FileError naming the file when the text is not what text() writes.
  static Recipe parse(std::string_view text, const std::string& path);
};

/// A model file as the commands use it.
struct Model {
  Network net;
  Recipe recipe;
};
void save_model(const Network& net, const Recipe& recipe, const std::string& path);
Model load_model(const std::string& path);

/// The outputs of one row as people read them.
struct Prediction {
  std::optional<int64_t> label;  ///< The most likely class, where there are classes.
  std::vector<double> values;    ///< Chances where `are_chances`, else the outputs.
  bool are_chances = false;
};
Prediction interpret_outputs(std::span<const float> outputs, const Recipe& recipe);

}  // namespace soma::cli
