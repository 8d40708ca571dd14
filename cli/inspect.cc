// soma inspect: the layers of a model, one neuron, its plan, or drawings.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/inspect_plan.h"
#include "cli/model_data.h"
#include "soma/error.h"
#include "soma/inspect.h"
#include "src/base/file.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

using Json = nlohmann::ordered_json;

/// "hidden1:7" as a layer and an index.
std::pair<std::string, int64_t> parse_neuron(std::string_view text) {
  const size_t colon = text.rfind(':');
  int64_t index = -1;
  if (colon != text.npos) {
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, index);
    if (error != std::errc{} || stop != end) index = -1;
  }
  if (index < 0) {
    throw UsageError(cat(
        "--neuron takes a layer and a number from 0, for example hidden1:7; found \"", text, "\""));
  }
  return {std::string(text.substr(0, colon)), index};
}

class Inspect : public Command {
 public:
  std::string_view name() const override { return "inspect"; }
  std::string_view summary() const override {
    return "Show a model's layers, a neuron, its graph or its plan";
  }
  std::string_view examples() const override {
    return "  soma inspect run/model.soma\n"
           "  soma inspect run/model.soma --neuron hidden1:7\n"
           "  soma inspect run/model.soma --graph net.svg\n"
           "  soma inspect run/model.soma --program ops.dot\n"
           "  soma inspect run/model.soma --plan --batch 128 --training \"adam(1e-3)\"\n";
  }
  void options(Options& o) override {
    o.positional("model", model_, "The model file that soma train wrote");
    o.text("--neuron", neuron_, "LAYER:N", "Show one neuron: its links, weights and bias");
    o.text("--graph", graph_, "FILE", "Draw the layers into an .svg or .dot file");
    o.text("--program", program_, "FILE", "Draw the computational graph into an .svg or .dot file");
    o.flag("--plan", plan_, "Show the compiled instructions, their times and memory");
    o.integer("--batch", plan_options_.batch, 1, 1 << 20, "With --plan: samples of a run");
    o.text("--training", plan_options_.training, "OPTIMIZER",
           "With --plan: a step of training in place of a prediction");
    o.integer("--threads", plan_options_.threads, 0, 1024, "With --plan (0: every core)");
    o.text("--memory", memory_, "FILE", "With --plan: draw the memory map into an .svg file");
  }

  int run(Console& console) override {
    Model model = load_model(model_);
    if (!plan_ && !(plan_options_.training.empty() && memory_.empty())) {
      throw UsageError("--training and --memory belong to --plan");
    }
    if (plan_) {
      show_plan(console, model);
    } else if (!neuron_.empty()) {
      const auto [layer, index] = parse_neuron(neuron_);
      show_neuron(console, model.network.neuron(layer, index));
    } else {
      show_layers(console, model);
    }
    if (!graph_.empty())
      write(console, graph_, draw_network(model.network, {.format = format_of("--graph", graph_)}));
    if (!program_.empty()) {
      const Graph program = model.network.inference_graph(1);
      write(console, program_, draw_graph(program, format_of("--program", program_)));
    }
    return exit_ok;
  }

 private:
  static DrawFormat format_of(const std::string& flag, const std::string& path) {
    const auto ends = [&](std::string_view end) {
      return path.size() > end.size() &&
             path.compare(path.size() - end.size(), end.size(), end) == 0;
    };
    if (ends(".svg")) return DrawFormat::svg;
    if (ends(".dot")) return DrawFormat::dot;
    throw UsageError(cat(flag, " writes files that end in .svg or .dot; found \"", path, "\""));
  }

  static void write(Console& console, const std::string& path, const std::string& drawing) {
    write_file_atomic(path, drawing);
    console.note(cat("wrote ", path));
  }

  static void show_layers(Console& console, const Model& model) {
    if (!console.json()) {
      console.line(soma::summary(model.network));
      console.note(cat("trained on ", model.info.dataset, " with the loss ", model.info.loss));
      return;
    }
    Json object{{"event", "network"},
                {"text", model.network.text()},
                {"data", model.info.dataset},
                {"loss", model.info.loss},
                {"classes", model.info.class_names}};
    object.update(Json::parse(soma::summary(model.network, SummaryFormat::json)));
    console.event(object);
  }

  void show_plan(Console& console, Model& model) const {
    if (!memory_.empty() && format_of("--memory", memory_) != DrawFormat::svg) {
      throw UsageError("--memory writes files that end in .svg");
    }
    const PlanReport report = measured_plan(model, plan_options_);
    if (console.json()) {
      Json object{{"event", "plan"}, {"batch", plan_options_.batch}};
      object["training"] = plan_options_.training;
      object.update(Json::parse(to_json(report)));
      console.event(object);
    } else {
      console.line(trim(to_text(report)));
    }
    if (!memory_.empty()) write(console, memory_, draw_memory(report));
  }

  static void show_neuron(Console& console, const Neuron& neuron) {
    const std::vector<float> weights = neuron.weights();
    const std::vector<std::string> links = neuron.links();
    if (console.json()) {
      Json object{{"event", "neuron"},
                  {"layer", neuron.layer()},
                  {"index", neuron.index()},
                  {"activation", neuron.activation().text()},
                  {"frozen", neuron.frozen()}};
      object["bias"] = neuron.has_bias() ? Json(neuron.bias()) : Json(nullptr);
      object["links"] = links;
      object["weights"] = weights;
      return console.event(object);
    }
    console.line(console.bold(cat("neuron ", neuron.index(), " of layer ", neuron.layer())));
    console.line(cat("activation function  ", neuron.activation().text(),
                     neuron.frozen() ? "  (frozen)" : ""));
    if (neuron.has_bias()) console.line(cat("bias                 ", number(neuron.bias())));
    console.line(cat("links                ", weights.size()));
    std::vector<size_t> order(weights.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return std::abs(weights[a]) > std::abs(weights[b]);
    });
    order.resize(std::min(order.size(), strongest));
    std::vector<std::vector<std::string>> rows = {{"link from", "weight"}};
    for (const size_t i : order) rows.push_back({links[i], fixed(weights[i], 6)});
    console.line(cat("\n", order.size() < weights.size() ? "the strongest:\n" : "", table(rows)));
    if (order.size() < weights.size()) console.note("--json lists all of them");
  }

  static constexpr size_t strongest = 12;
  std::string model_, neuron_, graph_, program_, memory_;
  bool plan_ = false;
  PlanOptions plan_options_;
};

}  // namespace

std::unique_ptr<Command> make_inspect() { return std::make_unique<Inspect>(); }

}  // namespace soma::cli
