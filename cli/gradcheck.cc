// soma gradcheck: backpropagation against finite differences, for everything in the registries.
#include "soma/gradcheck.h"

#include <algorithm>
#include <cmath>
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
    const Activation function = activation_named(example_text(row));
    all.push_back(
        {function.text(),
         [function](Graph&, std::span<const Value> x) { return ad::curved(function(x[0])); },
         {smooth_points({3, 6}, 0)}});
  }
  return all;
}

/// Whether the function can be built at all: not every loss takes labels.
bool accepts(const Check& check) {
  Graph graph;
  std::vector<Value> inputs;
  for (const Tensor& point : check.points) {
    inputs.push_back(graph.input(cat("x", inputs.size()), point.shape(), point.type()));
  }
  try {
    check.build(graph, inputs);
  } catch (const Error&) {
    return false;
  }
  return true;
}

/// Targets between 0.1 and 0.9 that are part of the graph: losses are checked for predictions.
Value numbers_like(Value x) {
  const auto count = [&](int axis) { return iota(x.graph(), x.shape(), axis, x.type()); };
  return 0.5 + 0.4 * sin(count(0) * 3.0 + count(1));
}

std::vector<Check> loss_checks() {
  std::vector<Check> all;
  const Tensor labels = Tensor::of<int32_t>({4}, {0, 2, 1, 2});
  for (const LossRow& row : losses()) {
    if (row.formula.find("stop(") != std::string::npos) continue;  // not the gradient of its value
    const Loss loss(row.name, {});
    Tensor points = smooth_points({4, 3}, 0);  // no two of them a margin apart
    for (int64_t i = 0; i < points.elements(); ++i) points.set(i, 0.97 * points.at(i));
    const auto check = [&](const std::string& name, const Build& build,
                           const std::vector<Tensor>& at) {
      Check made{name, build, at};
      if (accepts(made)) all.push_back(std::move(made));
    };
    check(row.name,
          [loss](Graph&, std::span<const Value> x) { return loss(x[0], numbers_like(x[0])); },
          {points});
    check(cat(row.name, " of labels"),
          [loss](Graph&, std::span<const Value> x) { return loss(x[0], x[1]); }, {points, labels});
  }
  return all;
}

std::vector<Check> layer_checks() {
  std::vector<Check> all;
  const auto add = [&](const std::string& text) {
    const Network net = Network::parse(text, Shape{4});
    all.push_back({text,
                   [net](Graph& graph, std::span<const Value> x) {
                     return ad::curved(net.build(graph, x[0]));
                   },
                   {smooth_points({3, 4}, 0)}});
  };
  for (const char* text :
       {"3", "3 tanh", "3 [tanh sigmoid sin], 2", "5 gelu, 4 from=input+hidden1, 2",
        "4 tanh, add from=input+hidden1, 2", "3 silu, softmax"}) {
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

class Gradcheck : public Command {
 public:
  std::string_view name() const override { return "gradcheck"; }
  std::string_view summary() const override {
    return "Check backpropagation against finite differences";
  }
  std::string_view examples() const override {
    return "  soma gradcheck\n"
           "  soma gradcheck activations\n"
           "  soma gradcheck ops --order 1 --json\n"
           "Exit code 1 when a gradient is wrong.\n";
  }
  void options(Options& o) override {
    o.positional("group", group_, "ops, activations, losses or layers (default: all)",
                 Need::optional);
    o.integer("--order", order_, 1, 4, "2 also checks the gradients of gradients");
    o.real("--tolerance", tolerance_, 0, 1, "Largest relative error that passes");
    o.integer("--seed", seed_, 0, no_limit, "Of the random directions");
  }

  int run(Console& console) override {
    check_group();
    for (const Group& group : groups) {
      if (!group_.empty() && group.name != group_) continue;
      std::vector<std::vector<std::string>> rows = {{cat("  ", group.name), "worst error", ""}};
      for (const Check& check : group.checks()) run_one(console, group, check, rows);
      if (!console.json()) console.line(table(rows));
    }
    if (console.json()) {
      console.event({{"event", "done"}, {"checked", checked_}, {"failed", failed_}});
    } else {
      console.line(cat("\n", checked_, " checked, ", failed_, " wrong"));
    }
    return failed_ == 0 ? exit_ok : exit_failed;
  }

 private:
  void check_group() const {
    std::vector<std::string> names;
    for (const Group& group : groups) names.emplace_back(group.name);
    if (group_.empty() || std::find(names.begin(), names.end(), group_) != names.end()) return;
    throw UsageError(cat("there is no group \"", group_, "\" to check", did_you_mean(group_, names),
                         "; the groups are ", join(names, ", ")));
  }

  void run_one(Console& console, const Group& group, const Check& check,
               std::vector<std::vector<std::string>>& rows) {
    GradCheckOptions options;
    options.order = static_cast<int>(order_);
    options.tolerance = tolerance_;
    options.seed = static_cast<uint64_t>(seed_);
    console.status(cat("checking ", check.name));
    const GradCheckResult result = gradcheck(check.build, check.points, options);
    ++checked_;
    if (!result) ++failed_;
    if (console.json()) {
      console.event({{"event", "gradcheck"},
                     {"group", group.name},
                     {"name", check.name},
                     {"passed", result.passed},
                     {"worst", result.worst},
                     {"message", result.message}});
    } else if (!result || !console.quiet()) {
      rows.push_back({check.name, scientific(result.worst, 1), result ? "ok" : result.message});
    }
  }

  std::string group_;
  int64_t order_ = 2, seed_ = 1, checked_ = 0, failed_ = 0;
  double tolerance_ = GradCheckOptions{}.tolerance;
};

}  // namespace

std::unique_ptr<Command> make_gradcheck() { return std::make_unique<Gradcheck>(); }

}  // namespace soma::cli
