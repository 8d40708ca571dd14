// soma evaluate: how well a model does on a data set.
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/device.h"
#include "cli/model_data.h"
#include "cli/progress.h"
#include "cli/source.h"
#include "soma/train.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

class Evaluate : public Command {
 public:
  std::string_view name() const override { return "evaluate"; }
  std::string_view summary() const override { return "Measure a model on a data set"; }
  std::string_view examples() const override {
    return "  soma evaluate run/model.soma fashion-mnist\n"
           "  soma evaluate run/model.soma houses.csv --target price --json\n"
           "  soma evaluate run/model.soma iris --metrics \"accuracy, top3_accuracy\"\n";
  }
  void options(Options& o) override {
    o.positional("model", model_, "The model file that soma train wrote");
    source_.add_to(o);
    o.text("--metrics", metrics_, "NAMES",
           "Metrics, separated by commas (default: those that suit)");
    o.integer("--batch", batch_, 1, 1'000'000'000, "Rows of one step");
    device_.add_to(o);
  }

  int run(Console& console) override {
    const Model model = load_model(model_);
    std::vector<std::string> notes;
    TrainTest both = open_source(source_, &model, &notes);
    for (const std::string& note : notes) console.note(note);
    Dataset dataset = both.test.size() > 0 ? std::move(both.test) : std::move(both.train);
    prepare_rows(dataset, model.info);
    EvaluateOptions options;
    options.device = device_.device();
    options.batch = batch_;
    for (const auto part : split(metrics_, ',')) {
      if (!trim(part).empty()) options.metrics.emplace_back(trim(part));
    }
    const Evaluation result =
        evaluate(model.network, dataset, loss_named(model.info.loss), options);
    if (console.json()) {
      nlohmann::ordered_json object{
          {"event", "evaluation"}, {"data", dataset.name}, {"rows", result.rows}};
      add_scores(object, "", result);
      console.event(object);
    } else {
      console.line(cat(result.rows, " rows of ", dataset.name, ": ",
                       scores_text(result.loss, result.metrics)));
      if (is_series(dataset)) {
        console.line(compare_forecasts(model.network, dataset, options.device).text());
      }
    }
    return exit_ok;
  }

 private:
  SourceOptions source_;
  std::string model_, metrics_;
  DeviceOptions device_;
  int64_t batch_ = 256;
};

}  // namespace

std::unique_ptr<Command> make_evaluate() { return std::make_unique<Evaluate>(); }

}  // namespace soma::cli
