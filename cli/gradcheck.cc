// soma gradcheck: backpropagation against finite differences, for everything in the registries.
#include "soma/gradcheck.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "soma/error.h"
#include "soma/network.h"
#include "soma/nn.h"
#include "src/ad/cases.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

using Build = std::function<Value(Graph&, std::span<const Value>)>;

struct Check {
  std::string name;
  Build build;
  std::vector<Tensor> points;
};

std::vector<Check> op_checks() {
  std::vector<Check> all;
  for (const ad::GradientCase& c : ad::gradient_cases()) all.push_back({c.name, c.build, c.points});
  return all;
}

/// Points away from the places where functions of the catalogue have a kink: small multiples of
/// 1/2 and of 1/3.
Tensor smooth_points(const Shape& shape, int seed) {
  Tensor points = ad::spread(shape, -3, 3, seed);
  for (int64_t i = 0; i < points.elements(); ++i) {
    const double sixth = points.at(i) * 6, nearest = std::round(sixth);
    if (std::abs(sixth - nearest) < 0.25) points.set(i, (nearest + 0.37) / 6);
  }
  return points;
}

std::vector<Check> activation_checks() {
  std::vector<Check> all;
  for (const ActivationRow& row : soma::activations()) {
    const Activation function(row.name, {});
    all.push_back({row.name,
                   [function](Graph& graph, std::span<const Value> x) {
                     ActivationContext context;
                     static_cast<void>(graph);
                     return ad::curved(function(x[0], context));
                   },
                   {smooth_points({3, 6}, 0)}});
  }
  return all;
}

std::vector<Check> loss_checks() {
  std::vector<Check> all;
  const Tensor labels = Tensor::of<int32_t>({4}, {0, 2, 1, 2});
  for (const LossRow& row : losses()) {
    const Loss loss(row.name, {});
    for (const bool classes : {false, true}) {
      const Tensor target = classes ? labels : ad::spread({4, 3}, 0.1, 0.9, 1);
      const Build build = [loss](Graph&, std::span<const Value> x) { return loss(x[0], stop(x[1])); };
      Check check{cat(row.name, classes ? " of labels" : ""), build, {smooth_points({4, 3}, 0), target}};
      if (accepts(check)) all.push_back(std::move(check));
    }
  }
  return all;
}

std::vector<Check> layer_checks() {
  std::vector<Check> all;
  const auto add = [&](const std::string& text) {
    const Network net = Network::parse(text, Shape{4});
    all.push_back({text, [net](Graph& graph, std::span<const Value> x) {
                     return ad::curved(net.build(graph, x[0]));
                   },
                   {smooth_points({3, 4}, 0)}});
  };
  for (const char* text : {"3", "3 tanh", "3 [tanh sigmoid sin], 2", "5 gelu, 4 from=input+hidden1, 2",
                           "4 tanh, add from=input+hidden1, 2", "3 swish, softmax"}) {
    add(text);
  }
  return all;
}

struct Group {
  std::string_view name;
  std::vector<Check> (*checks)();
};
constexpr Group groups[] = {{"ops", op_checks},
                            {"activations", activation_checks},
                            {"losses", loss_checks},
                            {"layers", layer_checks}};

}  // namespace
}  // namespace soma::cli
