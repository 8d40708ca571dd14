// The recipe as JSON, and predictions in words.
#include "cli/recipe.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "soma/error.h"
#include "soma/io.h"
#include "soma/nn.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* metadata_key = "recipe";

std::vector<float> floats(const Json& list) {
  auto values = list.get<std::vector<float>>();
  for (const float value : values) {
    if (!std::isfinite(value)) throw std::domain_error("a number is not finite");
  }
  return values;
}

}  // namespace

Recipe Recipe::measure(const Dataset& train) {
  Recipe recipe;
  recipe.data = train.name;
  recipe.class_names = train.class_names;
  recipe.feature_names = train.feature_names;
  const bool table = is_float(train.inputs.type()) && train.input_shape().rank() == 1;
  if (table) {
    recipe.standardization = data::measure_standardization(train);
  } else {
    recipe.scale = train.input_scale;
    recipe.shift = train.input_shift;
  }
  return recipe;
}

void Recipe::apply(Dataset& raw) const {
  if (standardization) {
    data::standardize(raw, *standardization);
  } else {
    raw.input_scale = scale;
    raw.input_shift = shift;
  }
}

std::string Recipe::text() const {
  Json object{
      {"data", data}, {"loss", loss}, {"classes", class_names}, {"features", feature_names}};
  object["scale"] = scale;
  object["shift"] = shift;
  if (standardization) {
    object["mean"] = standardization->mean;
    object["deviation"] = standardization->deviation;
  }
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Recipe Recipe::parse(std::string_view text, const std::string& path) {
  try {
    const Json object = Json::parse(text);
    Recipe recipe;
    recipe.data = object.at("data").get<std::string>();
    recipe.loss = object.at("loss").get<std::string>();
    recipe.class_names = object.at("classes").get<std::vector<std::string>>();
    recipe.feature_names = object.at("features").get<std::vector<std::string>>();
    recipe.scale = object.at("scale").get<double>();
    recipe.shift = object.at("shift").get<double>();
    if (object.contains("mean")) {
      recipe.standardization = {floats(object.at("mean")), floats(object.at("deviation"))};
    }
    return recipe;
  } catch (const std::exception& error) {
    throw FileError(cat("the file \"", path, "\" does not say how its inputs are prepared (",
                        error.what(), "); train the model again with soma train"));
  }
}

Prediction interpret_outputs(std::span<const float> outputs, const Recipe& recipe) {
  const Loss loss = loss_named(recipe.loss);
  Prediction result;
  result.values.assign(outputs.begin(), outputs.end());
  auto& values = result.values;
  const bool softmax = loss.name() == "cross_entropy";
  const bool sigmoid = loss.name() == "binary_cross_entropy";
  if (softmax) {
    const double most = *std::max_element(values.begin(), values.end());
    double sum = 0;
    for (double& value : values) sum += value = std::exp(value - most);
    for (double& value : values) value /= sum;
  } else if (sigmoid) {
    for (double& value : values) value = 1 / (1 + std::exp(-value));
  }
  result.are_chances = softmax || sigmoid;
  if (softmax || !recipe.class_names.empty()) {
    const bool alone = values.size() == 1;
    if (alone)
      result.label = values[0] > (sigmoid ? 0.5 : 0.0);
    else
      result.label = std::max_element(values.begin(), values.end()) - values.begin();
  }
  return result;
}

}  // namespace soma::cli
