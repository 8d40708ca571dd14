#include "cli/tables.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "cli/interrupt.h"
#include "cli/media.h"
#include "cli/series.h"
#include "soma/preprocess.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

constexpr int64_t linear_rows = 100'000;

bool predicts_numbers(const Dataset& train, const Loss& loss) {
  return !train.is_classification() && loss.row().answer == LossAnswer::numbers;
}

int64_t outputs_of(const Dataset& train) {
  return train.is_classification() ? train.classes() : train.target_shape().elements();
}

/// Neurons that give their sums as they are.
bool is_linear(const Layer& layer) {
  return layer.row().has_neurons &&
         (!layer.has_argument("activation") || layer.argument("activation") == "identity");
}

Network network_of(std::vector<Layer> layers, const Dataset& train, const Loss& loss) {
  layers.insert(layers.begin(), input(train.input_shape()));
  return Network(with_ends(std::move(layers), train, loss));
}

}  // namespace

bool is_table(const Dataset& dataset) {
  return !dataset.schema.columns.empty() && !is_series(dataset);
}

Recipe recipe_for(const Dataset& train, bool has_validation) {
  if (!is_table(train)) return {default_net(train), 5, 32, 0};
  // About 100 steps an epoch, and as many epochs as 20,000 steps take.
  int64_t batch = 16;
  while (batch < 1024 && train.size() > 100 * batch) batch *= 2;
  const int64_t steps = (train.size() + batch - 1) / batch;
  const int64_t epochs = std::clamp<int64_t>(20'000 / steps, 5, 300);
  const int64_t patience = has_validation ? std::max<int64_t>(epochs / 10, 3) : 0;
  return {"64 tanh, dropout 0.3, 32 tanh, classes", epochs, batch, patience};
}

std::vector<Layer> with_ends(std::vector<Layer> layers, const Dataset& train, const Loss& loss) {
  const bool one_input = layers.size() > 1 && layers[1].kind() != "input";
  if (is_table(train) && one_input && layers[1].kind() != "table") {
    for (Layer& layer : layers) {  // who takes the input takes what the table gives
      std::vector<std::string> sources = layer.sources();
      std::ranges::replace(sources, std::string("input"), std::string("table"));
      if (sources != layer.sources()) layer = layer.from(std::move(sources));
    }
    layers.insert(layers.begin() + 1, encode_inputs(train, {}).named("table"));
  }
  if (predicts_numbers(train, loss) && is_linear(layers.back())) {
    layers.push_back(decode_targets(train, {}));
  }
  return layers;
}

double loss_weight(const Network& net, const Dataset& train, const Loss& loss) {
  const bool scaled = !net.layers().empty() && net.layers().back().kind() == "rescaling";
  if (!scaled || !predicts_numbers(train, loss)) return 1;
  const double deviation = measure_targets(train).deviation;
  const bool squares = loss.name() == "mean_squared_error" || loss.name() == "expectile";
  return 1 / (squares ? deviation * deviation : deviation);
}

/// A network of no links: every row gets the same answer.
static Baseline constant_answer(const Parts& parts, const Loss& loss) {
  const Dataset& train = parts.train;
  Network net = network_of({dense(outputs_of(train))}, train, loss);
  std::string name = "always the mean";
  for (auto& [key, tensor] : net.tensors()) {
    for (int64_t i = 0; i < tensor.elements(); ++i) tensor.set(i, 0);
    if (!train.is_classification() || !key.ends_with("/bias")) continue;
    std::vector<double> counts(static_cast<size_t>(train.classes()), 0.5);
    for (const int32_t label : train.targets.data<int32_t>()) ++counts[static_cast<size_t>(label)];
    for (size_t i = 0; i < counts.size(); ++i) {
      tensor.set(static_cast<int64_t>(i), std::log(counts[i] / static_cast<double>(train.size())));
    }
    const auto most = std::ranges::max_element(counts) - counts.begin();
    const auto& names = train.class_names;
    name =
        cat("always ", static_cast<size_t>(most) < names.size() ? names[static_cast<size_t>(most)]
                                                                : std::to_string(most));
  }
  return {name, evaluate(net, *parts.test, loss)};
}

std::vector<Baseline> baselines(const Parts& parts, const FitOptions& options) {
  const Loss& loss = options.loss;
  const LossAnswer answer = loss.row().answer;
  const bool classes = parts.train.is_classification() && answer == LossAnswer::classes;
  if (!parts.test || !(classes || predicts_numbers(parts.train, loss))) return {};
  std::vector<Baseline> result{constant_answer(parts, loss)};
  const bool whole = parts.train.size() <= linear_rows;
  const Dataset few = whole ? Dataset{} : parts.train.subset(0, linear_rows);
  const Dataset& train = whole ? parts.train : few;
  Network net = network_of({dense(outputs_of(train))}, train, loss);
  const Recipe recipe = recipe_for(train, options.validation != nullptr);
  FitOptions linear = options;
  linear.optimizer = adam(0.01);
  linear.epochs = static_cast<int>(recipe.epochs);
  linear.batch = recipe.batch;
  linear.loss_weight = loss_weight(net, train, loss);
  linear.steps = 0;
  linear.best = "loss";
  linear.checkpoints = {};
  linear.callbacks = {early_stopping(10), [](const Event&) { return !interrupted(); }};
  fit(net, train, linear);
  if (interrupted()) return result;
  result.push_back({"a linear model", evaluate(net, *parts.test, loss)});
  return result;
}

std::string columns_text(const Schema& schema) {
  std::map<ColumnKind, int> kinds;
  std::vector<std::string> parts, dropped;
  for (const Column& column : schema.columns) {
    if (column.use == ColumnUse::input) ++kinds[column.kind];
    if (column.use == ColumnUse::dropped)
      dropped.push_back(cat(column.name, " (", column.note, ")"));
  }
  for (const auto& [kind, count] : kinds) parts.push_back(cat(count, " ", name_of(kind)));
  std::string text = cat("columns: ", join(parts, ", "));
  if (!dropped.empty()) text += cat("; left out: ", join(dropped, ", "));
  if (const Column* target = schema.find(ColumnUse::target)) {
    const size_t classes = target->categories.size();
    text += cat("; target: ", target->name, ", ",
                classes == 0 ? std::string("a number") : cat(classes, " classes"));
    if (!target->note.empty()) text += cat(" (", target->note, ")");
  }
  if (schema.without_target > 0) text += cat("; ", schema.without_target, " rows without a target");
  return text;
}

}  // namespace soma::cli
