// soma activations: the table of activation functions, and their curves.
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/source.h"
#include "soma/chart.h"
#include "soma/gradient.h"
#include "soma/nn.h"
#include "src/base/file.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int points = 241;
constexpr double reach = 6;  // the curves go from -6 to 6

/// "alpha=0.01 in [0,inf)"
std::string parameters_text(const Row& row) {
  std::vector<std::string> all;
  for (const Parameter& parameter : row.parameters) {
    all.push_back(cat(parameter.name, parameter.initial.empty() ? "" : "=", parameter.initial,
                      parameter.range.empty() ? "" : " in ", parameter.range));
  }
  return join(all, ", ");
}

Json as_json(const ActivationRow& row) {
  Json parameters = Json::array();
  for (const Parameter& parameter : row.parameters) {
    parameters.push_back(
        {{"name", parameter.name}, {"default", parameter.initial}, {"range", parameter.range}});
  }
  return {{"name", row.name},     {"formula", row.formula},   {"derivative", row.derivative},
          {"vector", row.vector}, {"parameters", parameters}, {"source", row.source},
          {"note", row.note}};
}

/// f and f' over [-reach, reach], as the engine computes them.
Chart chart_of(const Activation& function) {
  Graph graph;
  const Value x = graph.input("x", {points, 1});
  const Value y = function(x);
  const std::vector<Value> slope = gradients(sum(y), std::vector<Value>{x});
  graph.output("y", y);
  graph.output("slope", slope[0]);
  std::vector<Tensor> inputs;
  for (const Id id : graph.inputs()) {
    const auto& attr = graph[id].as<InputAttr>();
    const bool trained = attr.kind == InputKind::parameter;  // a learned setting, at its start
    inputs.push_back(trained ? initial_value(attr, 0) : Tensor(attr.shape, attr.type));
  }
  Chart chart{function.text(), function.row().formula, {}, -4, 6};
  Curve value{"f", {}, {}}, derivative{"f'", {}, {}, true};
  for (int i = 0; i < points; ++i) {
    value.x.push_back(-reach + 2 * reach * i / (points - 1));
    inputs[0].set(i, value.x.back());
  }
  derivative.x = value.x;
  const std::vector<Tensor> results = interpret(graph, inputs).outputs;
  for (int i = 0; i < points; ++i) {
    value.y.push_back(results[0].at(i));
    derivative.y.push_back(results[1].at(i));
  }
  chart.curves = {std::move(value), std::move(derivative)};
  return chart;
}

class Activations : public Command {
 public:
  std::string_view name() const override { return "activations"; }
  std::string_view summary() const override {
    return "List the activation functions, or plot them with their derivatives";
  }
  std::string_view examples() const override {
    return "  soma activations\n"
           "  soma activations --only gelu --json\n"
           "  soma activations --plot all.svg\n"
           "  soma activations --only \"leaky_relu(0.2)\" --plot leaky.svg\n";
  }
  void options(Options& o) override {
    o.text("--only", only_, "NAME", "One function, with arguments if it takes some");
    o.text("--plot", plot_, "FILE", "Write an .svg file with f and f'");
  }

  int run(Console& console) override {
    std::vector<Activation> chosen;
    if (!only_.empty()) {
      chosen.push_back(usage("--only", [&] { return activation_named(only_); }));
    } else {
      for (const ActivationRow& row : soma::activations()) {
        chosen.push_back(activation_named(example_text(row)));
      }
    }
    if (!plot_.empty()) {
      plot(console, chosen);
    } else if (console.json()) {
      Json all = Json::array();
      for (const Activation& function : chosen) all.push_back(as_json(function.row()));
      console.event({{"event", "activations"}, {"activations", all}});
    } else if (!only_.empty()) {
      describe(console, chosen[0].row());
    } else {
      list(console, chosen);
    }
    return exit_ok;
  }

 private:
  static void describe(Console& console, const ActivationRow& row) {
    console.line(console.bold(row.name));
    std::vector<std::vector<std::string>> rows = {{"formula", row.formula},
                                                  {"derivative", row.derivative},
                                                  {"parameters", parameters_text(row)},
                                                  {"source", row.source},
                                                  {"note", row.note}};
    std::erase_if(rows, [](const auto& cells) { return cells[1].empty(); });
    for (const auto& cells : rows) console.line(cat(cells[0], ": ", cells[1]));
  }

  static void list(Console& console, const std::vector<Activation>& chosen) {
    std::vector<std::vector<std::string>> rows = {{"name", "f(x)", "parameters"}};
    for (const Activation& function : chosen) {
      const ActivationRow& row = function.row();
      rows.push_back({row.name, row.formula, parameters_text(row)});
    }
    console.line(table(rows));
    console.note(cat("\n", chosen.size(),
                     " functions; soma activations --only NAME shows derivative and source"));
  }

  void plot(Console& console, const std::vector<Activation>& chosen) const {
    if (plot_.size() < 5 || plot_.substr(plot_.size() - 4) != ".svg") {
      throw UsageError(cat("--plot writes a file that ends in .svg; found \"", plot_, "\""));
    }
    std::vector<Chart> charts;
    for (const Activation& function : chosen) {
      if (!function.row().vector) charts.push_back(chart_of(function));
    }
    if (charts.empty()) {
      throw UsageError(cat(only_, " acts on whole vectors and has no curve to plot"));
    }
    write_file_atomic(plot_, draw_charts(charts, 6));
    if (console.json()) {
      console.event({{"event", "plot"}, {"file", plot_}, {"functions", charts.size()}});
    } else {
      console.note(cat("wrote ", plot_, ": f and f' (dashed) of ", charts.size(),
                       charts.size() == 1 ? " function" : " functions"));
    }
  }

  std::string only_, plot_;
};

}  // namespace

std::unique_ptr<Command> make_activations() { return std::make_unique<Activations>(); }

}  // namespace soma::cli
