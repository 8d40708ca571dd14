// soma train: learns from a data set, reports on the way, and writes a model.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/model_data.h"
#include "cli/progress.h"
#include "cli/source.h"
#include "cli/tables.h"
#include "soma/error.h"
#include "soma/preprocess.h"
#include "soma/train.h"
#include "src/base/file.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t max_net_text = uint64_t{1} << 20;

/// The folder of the results. Made early, so that a bad path is refused before the work; removed
/// again when it was new and nothing came of it.
class OutputFolder {
 public:
  explicit OutputFolder(std::string path) : path_(std::move(path)) {
    if (path_.empty()) return;
    new_ = !std::filesystem::exists(path_);
    make_folder(path_);
    if (access(path_.c_str(), W_OK) != 0) {
      throw FileError(cat("cannot write into the folder \"", path_, "\": permission denied"));
    }
  }
  ~OutputFolder() {
    std::error_code ignored;
    if (new_) std::filesystem::remove(path_, ignored);  // refuses a folder with files in it
  }
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  bool wanted() const { return !path_.empty(); }
  std::string file(std::string_view name) const {
    return (std::filesystem::path(path_) / name).string();
  }

 private:
  std::string path_;
  bool new_ = false;
};

std::string argument_of(const Named<OptimizerRow>& part, std::string_view name) {
  const auto& parameters = part.row().parameters;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].name == name) return part.arguments()[i];
  }
  throw UsageError(cat("the optimizer ", part.name(), " has no argument ", name));
}

/// The text of the same thing with one argument replaced.
std::string with_argument(const Named<OptimizerRow>& part, std::string_view name,
                          const std::string& value) {
  std::vector<std::string> arguments;
  const auto& parameters = part.row().parameters;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const bool replaced = parameters[i].name == name;
    arguments.push_back(cat(parameters[i].name, "=", replaced ? value : part.arguments()[i]));
  }
  return cat(part.name(), "(", join(arguments, " "), ")");
}

/// A schedule from text, given the learning rate and the number of steps where it lacks them.
Schedule complete_schedule(const std::string& text, const std::string& rate, int64_t steps) {
  detail::CallText call = detail::parse_call("schedule", text);
  size_t positional = 0;
  for (const auto& item : call.items) positional += item.key.empty();
  const auto& parameters = schedules().find(call.name).parameters;
  std::vector<std::string> items;
  for (const auto& item : call.items) {
    items.push_back(item.key.empty() ? item.value : cat(item.key, "=", item.value));
  }
  for (size_t i = positional; i < parameters.size(); ++i) {
    const std::string& name = parameters[i].name;
    const bool given = std::any_of(call.items.begin(), call.items.end(),
                                   [&](const auto& item) { return item.key == name; });
    if (given) continue;
    if (name == "lr" || name == "then" || name == "value") items.push_back(cat(name, "=", rate));
    if (name == "steps" && call.name != "warmup") items.push_back(cat("steps=", steps));
  }
  return schedule_named(cat(call.name, "(", join(items, " "), ")"));
}

class Train : public Command {
 public:
  std::string_view name() const override { return "train"; }
  std::string_view summary() const override { return "Train a network on a data set"; }
  std::string_view examples() const override {
    return "  soma train fashion-mnist --net \"128 relu, 10\" --epochs 5 --batch 128 \\\n"
           "      --optimizer adam --lr 1e-3 --seed 1 --threads 2 --out run/\n"
           "  soma train fashion-mnist --net \"conv2d 16 3 relu, max_pool 2, 10\"\n"
           "  soma train fashion-mnist --net \"lstm 64, 10\" --epochs 2\n"
           "  soma train fashion-mnist --net @net.txt\n"
           "  soma train photos/ --augment \"flip + crop(4)\" --out run/\n"
           "  soma train book.txt --tokenizer \"bpe(size=1000)\" --epochs 3 --out run/\n"
           "  soma train messages.tsv --text message --target kind --out run/\n"
           "  soma train series.csv --series --target load --window 48 --horizon 12 --season 24\n"
           "  soma train iris --net \"8 tanh, 3\" --epochs 60 --out run/\n"
           "  soma train houses.csv --target price --validation 0.1 --out run/\n"
           "  soma train images.idx --labels labels.idx --optimizer \"sgd(momentum=0.9)\"\n";
  }
  void options(Options& o) override;
  int run(Console& console) override;

 private:
  double validation_fraction() const;
  void complete(const Parts& parts);
  Loss make_loss(const Dataset& train) const;
  Network make_network(const Dataset& train, const Loss& loss) const;
  void compare(Console& console, const Parts& parts, const FitOptions& options) const;
  Optimizer make_optimizer(int64_t steps) const;
  void introduce(Console& console, const Network& net, const Parts& parts,
                 const ModelInfo& info) const;
  int finish(Console& console, const Network& net, const ModelInfo& info, const History& history,
             const Progress& progress, const Parts& parts, const OutputFolder& folder) const;

  SourceOptions source_;
  std::string augment_;
  std::string net_, loss_, optimizer_ = "adam", schedule_, init_, out_;
  // 0, and -1 for the patience: recipe_for() has them.
  int64_t epochs_ = 0, batch_ = 0, patience_ = -1, seed_ = 0, threads_ = 0;
  double rate_ = std::nan(""), validation_ = std::nan(""), test_ = 0.2;
  bool balanced_ = false;
};

void Train::options(Options& o) {
  source_.add_to(o);
  o.text("--net", net_, "LAYERS",
         "The layers, one per comma: \"128 relu, 10\", or @FILE, one per line; the words classes, "
         "vocabulary and context stand for those of the data (default: by the data)");
  o.text("--augment", augment_, "CHANGES",
         "Changes of training images, anew in each epoch, for example \"flip + crop(4)\"");
  o.integer(
      "--epochs", epochs_, 1, 1'000'000'000,
      "Times to go through the data (default: 5; for tables until the validation loss stays)");
  o.integer("--batch", batch_, 1, 1'000'000'000,
            "Rows of one step (default: 32; for tables a hundredth of the rows, 16 to 1024)");
  o.text("--loss", loss_, "LOSS",
         "What to make small (default: cross_entropy for classes, mean_squared_error for numbers)");
  o.text("--optimizer", optimizer_, "NAME", "How to step, for example \"sgd(momentum=0.9)\"");
  o.real("--lr", rate_, 0, 1e6, "Learning rate (default: the optimizer's)");
  o.text("--schedule", schedule_, "NAME", "How the learning rate changes, for example cosine");
  o.text("--init", init_, "NAME", "How all weights start (default: by activation)");
  o.real("--validation", validation_, 0, 0.9,
         "Fraction of the training rows kept for validation after each epoch (default: 0; for "
         "tables without --epochs 0.15)");
  o.real("--test", test_, 0, 0.9,
         "Fraction kept for the final test where the data set has no test rows of its own");
  o.integer("--patience", patience_, 0, 1'000'000'000,
            "Stop when the loss has not become smaller for N epochs (0: never), and keep the best "
            "weights");
  o.flag("--balanced", balanced_, "Give every class the same part in the loss");
  o.integer("--seed", seed_, 0, no_limit, "Of the weights, the order of rows and the splits");
  o.integer("--threads", threads_, 0, 1024, "Threads to compute with (0: every core)");
  o.text("--out", out_, "FOLDER", "Where model.soma and history.jsonl are written");
}

int Train::run(Console& console) {
  Parts parts = open_parts(source_, validation_fraction(), test_, static_cast<uint64_t>(seed_));
  ModelInfo info = describe_rows(parts.train);
  prepare_rows(parts.train, info);
  if (parts.validation) prepare_rows(*parts.validation, info);
  if (parts.test) prepare_rows(*parts.test, info);
  complete(parts);

  FitOptions options;
  options.loss = make_loss(parts.train);
  info.loss = options.loss.text();
  options.augment = usage("--augment", [&] { return augmentation_named(augment_); });
  const auto mixes = [](const auto& part) { return part.row().mixes; };
  Network net = make_network(parts.train, options.loss);
  options.loss_weight = loss_weight(net, parts.train, options.loss);
  const bool labels = parts.train.is_classification() && parts.train.target_shape().empty();
  if (labels && std::ranges::any_of(options.augment.parts(), mixes)) {
    parts.train = data::one_hot(std::move(parts.train));
  }
  options.epochs = static_cast<int>(epochs_);
  options.batch = batch_;
  options.optimizer = make_optimizer((parts.train.size() + batch_ - 1) / batch_ * epochs_);
  options.validation = parts.validation ? &*parts.validation : nullptr;
  options.seed = static_cast<uint64_t>(seed_);
  options.device = Device::cpu(static_cast<int>(threads_));
  Progress progress(console);
  catch_interrupt();
  options.callbacks = {[&](const Event& event) {
    progress.show(event);
    return !interrupted();
  }};
  BestWeights best(net);
  if (patience_ > 0) {
    options.callbacks.push_back(early_stopping(static_cast<int>(patience_)));
    options.callbacks.push_back(best.callback());
  }

  const OutputFolder folder(out_);
  introduce(console, net, parts, info);
  const History history = fit(net, parts.train, options);
  const int best_epoch = best.restore();
  if (best_epoch > 0) console.note(cat("kept the weights of epoch ", best_epoch, ", the best"));
  const int code = finish(console, net, info, history, progress, parts, folder);
  if (code == exit_ok && is_table(parts.train)) compare(console, parts, options);
  return code;
}

/// NaN leaves it to the kind of data.
double Train::validation_fraction() const {
  const bool stops_early = epochs_ == 0 || patience_ > 0;
  return std::isnan(validation_) && !stops_early ? 0 : validation_;
}

/// What the command line left open.
void Train::complete(const Parts& parts) {
  const Recipe recipe = recipe_for(parts.train, parts.validation.has_value());
  if (patience_ < 0) patience_ = epochs_ == 0 ? recipe.patience : 0;
  if (epochs_ == 0) epochs_ = recipe.epochs;
  if (batch_ == 0) batch_ = recipe.batch;
  if (net_.empty()) net_ = recipe.net;
}

Loss Train::make_loss(const Dataset& train) const {
  if (balanced_ && (!loss_.empty() || !train.is_classification())) {
    throw UsageError(
        "--balanced weighs the classes of cross_entropy: it needs a target of classes, "
        "and no --loss");
  }
  if (!loss_.empty()) return usage("--loss", [&] { return loss_named(loss_); });
  if (!balanced_) return default_loss(train);
  return Loss("cross_entropy", {0.0, balanced_class_weights(train)});  // 0: no smoothing
}

/// How good simple answers are on the same rows.
void Train::compare(Console& console, const Parts& parts, const FitOptions& options) const {
  for (const Baseline& baseline : baselines(parts, options)) {
    if (console.json()) {
      Json object{{"event", "baseline"}, {"name", baseline.name}};
      add_scores(object, "test_", baseline.result);
      console.event(object);
    } else {
      console.note(cat("for comparison, ", baseline.name, ": ",
                       scores_text(baseline.result.loss, baseline.result.metrics)));
    }
  }
}

Network Train::make_network(const Dataset& train, const Loss& loss) const {
  return usage("--net", [&] {
    const Where nowhere;  // a user of the shell has no use for this line
    const std::string text = net_.starts_with('@') ? read_text(net_.substr(1), max_net_text) : net_;
    std::vector<Layer> layers = parse_layers(fill_in(text, train), nowhere);
    if (layers.empty() || layers.front().kind() != "input") {
      layers.insert(layers.begin(), input(train.input_shape(), nowhere));
    }
    if (const auto scaling = channel_scaling(train)) layers.insert(layers.begin() + 1, *scaling);
    if (const auto scaling = series_scaling(train)) {
      layers.insert(layers.begin() + 1, scaling->first);
      layers.push_back(scaling->second);
    }
    for (Layer& layer : layers) {
      if (!init_.empty() && layer.has_argument("weights")) layer = layer.with("weights", init_);
    }
    return Network(with_ends(std::move(layers), train, loss));
  });
}

Optimizer Train::make_optimizer(int64_t steps) const {
  const Optimizer named = usage("--optimizer", [&] { return optimizer_named(optimizer_); });
  if (std::isnan(rate_) && schedule_.empty()) return named;
  size_t at = 0;  // the last that takes a rate
  std::vector<std::string> parts;
  for (const Optimizer::Part& part : named.parts()) {
    if (part.row().complete) at = parts.size();
    parts.push_back(part.text());
  }
  const Optimizer::Part& last = named.parts()[at];
  std::string rate = std::isnan(rate_) ? argument_of(last, "lr") : number(rate_);
  if (!schedule_.empty()) {
    rate = usage("--schedule", [&] { return complete_schedule(schedule_, rate, steps).text(); });
  }
  const Optimizer changed = optimizer_named(with_argument(last, "lr", rate));
  parts[at] = changed.only(last.only).text();
  return usage("--lr", [&] { return optimizer_named(join(parts, " + ")); });
}

void Train::introduce(Console& console, const Network& net, const Parts& parts,
                      const ModelInfo& info) const {
  const NetworkInfo& size = net.info();
  if (console.json()) {
    if (console.quiet()) return;
    return console.event({{"event", "begin"},
                          {"data", info.dataset},
                          {"rows", parts.train.size()},
                          {"validation_rows", parts.validation ? parts.validation->size() : 0},
                          {"test_rows", parts.test ? parts.test->size() : 0},
                          {"net", net.text()},
                          {"layers", size.layer_count},
                          {"neurons", size.neurons},
                          {"parameters", size.parameters},
                          {"loss", info.loss},
                          {"epochs", epochs_},
                          {"batch", batch_}});
  }
  const Schema& schema = parts.train.schema;
  if (!schema.columns.empty()) console.note(columns_text(schema));
  console.note(cat(info.dataset, ": ", parts.train.size(), " rows to train with",
                   parts.validation ? cat(", ", parts.validation->size(), " to validate") : "",
                   parts.test ? cat(", ", parts.test->size(), " to test") : "",
                   row_words(parts.train)));
  console.note(cat("network: ", size.layer_count, size.layer_count == 1 ? " layer, " : " layers, ",
                   size.neurons, " neurons, ", size.parameters, " parameters; loss ", info.loss));
}

int Train::finish(Console& console, const Network& net, const ModelInfo& info,
                  const History& history, const Progress& progress, const Parts& parts,
                  const OutputFolder& folder) const {
  const bool cut = interrupted();
  Json done{{"event", "done"}, {"epochs", history.epochs.size()}};
  std::optional<Evaluation> test;
  std::optional<Forecasts> forecasts;
  if (parts.test && !cut) {
    test = evaluate(net, *parts.test, loss_named(info.loss),
                    {.device = Device::cpu(static_cast<int>(threads_))});
    add_scores(done, "test_", *test);
    if (is_series(*parts.test)) {
      forecasts = compare_forecasts(net, *parts.test, Device::cpu(static_cast<int>(threads_)));
      done["naive_mae"] = forecasts->naive;
    }
  }
  done["seconds"] = history.seconds;
  done["weights_sha256"] = weights_sha256(net);
  if (folder.wanted()) {
    save(net, folder.file("model.soma"), info);
    write_file_atomic(folder.file("history.jsonl"), progress.history());
    done["model"] = folder.file("model.soma");
  }
  if (cut) done["interrupted"] = true;
  if (console.json()) {
    console.event(done);
  } else {
    if (cut) {
      console.line(cat("interrupted after ", history.steps, " steps",
                       folder.wanted() ? "; what was learned is saved" : ""));
    }
    if (test) console.line(cat("test  ", scores_text(test->loss, test->metrics)));
    if (forecasts) console.line(forecasts->text());
    console.note(cat("trained for ", duration_text(history.seconds), ", weights ",
                     done["weights_sha256"].get<std::string>().substr(0, 16)));
    if (folder.wanted()) console.line(cat("saved ", folder.file("model.soma")));
  }
  return cut ? exit_interrupted : exit_ok;
}

}  // namespace

std::unique_ptr<Command> make_train() { return std::make_unique<Train>(); }

}  // namespace soma::cli
