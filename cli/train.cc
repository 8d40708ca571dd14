// soma train: learns from a data set, reports on the way, and writes a model.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/config.h"
#include "cli/device.h"
#include "cli/find_rate.h"
#include "cli/interrupt.h"
#include "cli/model_data.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/run_folder.h"
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
constexpr int64_t most_epochs = 1'000'000'000;

std::string argument_of(const Named<OptimizerRow>& part, std::string_view name) {
  const auto& parameters = part.row().parameters;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].name == name) return part.arguments()[i];
  }
  throw UsageError(cat("the optimizer ", part.name(), " has no argument ", name));
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

/// The rows that say how good the network is, and what they are.
std::pair<const Dataset*, const char*> judges(const Parts& parts) {
  if (parts.test) return {&*parts.test, "test rows"};
  if (parts.validation) return {&*parts.validation, "validation rows"};
  return {&parts.train, "training rows"};
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
           "  soma train fashion-mnist --net \"512 relu, 512 relu, 10\" --precision bf16\n"
           "  soma train images.idx --labels labels.idx --optimizer \"sgd(momentum=0.9)\"\n"
           "  soma train iris --find-lr\n"
           "  soma train --resume run/                     after an interruption\n";
  }
  void options(Options& o) override;
  std::string configuration() const override;
  int run(Console& console) override;
  /// The rows as the network takes them.
  Parts open_rows(ModelInfo& info);

 private:
  /// Writes report.html and returns its path.
  std::string report(Console& console, const Network& net, const ModelInfo& info,
                     const Parts& parts) const;
  CheckpointOptions checkpoint_options(const RunFolder& folder) const;
  /// Every option as it is now known, for run.toml.
  std::string resolved();
  void resume(Console& console, Trainer& trainer, RunFolder& folder);
  double validation_fraction() const;
  void complete(const Parts& parts);
  Loss make_loss(const Dataset& train) const;
  Network make_network(const Dataset& train, const Loss& loss);
  void compare(Console& console, const Parts& parts, const FitOptions& options) const;
  Optimizer make_optimizer(int64_t steps_of_epoch, int64_t epochs) const;
  Schedule rate_of(const Optimizer& optimizer, int64_t steps) const;
  void introduce(Console& console, const Network& net, const Parts& parts, const ModelInfo& info,
                 int epochs) const;
  int finish(Console& console, const Network& net, const ModelInfo& info, const History& history,
             const Parts& parts, RunFolder& folder) const;

  SourceOptions source_;
  DeviceOptions device_;
  std::string augment_;
  std::string net_, loss_, optimizer_ = "adam", schedule_, init_, best_, out_;
  std::string checkpoint_every_ = "30s", resume_, config_, plot_;
  // 0, and -1 for the patience: recipe_for() has them.
  int64_t epochs_ = 0, batch_ = 0, patience_ = -1;
  int64_t prefetch_ = 1, steps_ = 0, accumulate_ = 1, plateau_ = 0;
  int64_t seed_ = 0, keep_last_ = 2, keep_best_ = 0;
  double rate_ = std::nan(""), validation_ = std::nan(""), test_ = 0.2;
  bool balanced_ = false, overwrite_ = false, find_rate_ = false;
};

void Train::options(Options& o) {
  source_.add_to(o);
  o.text("--net", net_, "LAYERS",
         "The layers, one per comma: \"128 relu, 10\", or @FILE, one per line; the words classes, "
         "vocabulary and context stand for those of the data (default: by the data)");
  o.text("--augment", augment_, "CHANGES",
         "Changes of training images, anew in each epoch, for example \"flip + crop(4)\"");
  o.integer("--prefetch", prefetch_, 0, 1000,
            "Batches of changed images to prepare while a step runs; the result is the same");
  o.integer("--epochs", epochs_, 1, most_epochs,
            "Times to go through the data (default: as many as --steps need, else 5; for tables "
            "until the validation loss stays)");
  o.integer("--steps", steps_, 0, no_limit, "Steps at most (0: as many as the epochs have)");
  o.integer("--batch", batch_, 1, 1'000'000'000,
            "Rows of one step (default: 32; for tables a hundredth of the rows, 16 to 1024)");
  o.text("--loss", loss_, "LOSS",
         "What to make small (default: cross_entropy for classes, mean_squared_error for numbers)");
  o.text("--optimizer", optimizer_, "NAME", "How to step, for example \"sgd(momentum=0.9)\"");
  o.real("--lr", rate_, 0, 1e6, "Learning rate (default: the optimizer's)");
  o.text("--schedule", schedule_, "NAME", "How the learning rate changes, for example cosine");
  o.integer("--plateau", plateau_, 0, 1'000'000,
            "Divide the rate by 10 when the loss has not become smaller for N epochs (0: never)");
  o.integer("--accumulate", accumulate_, 1, 1'000'000,
            "Step once for N batches, by the mean of their gradients");
  o.flag("--find-lr", find_rate_,
         "Train a copy for some batches while the rate rises, show the losses and suggest a rate");
  o.text("--plot", plot_, "FILE.svg", "With --find-lr: where to draw the losses");
  o.text("--init", init_, "NAME", "How all weights start (default: by activation)");
  o.real("--validation", validation_, 0, 0.9,
         "Fraction of the training rows kept for validation after each epoch (default: 0; for "
         "tables without --epochs 0.15)");
  o.real("--test", test_, 0, 0.9,
         "Fraction kept for the final test where the data set has no test rows of its own");
  o.integer("--patience", patience_, 0, 1'000'000'000,
            "Stop after N epochs that were not better than the best before, whose weights then "
            "stay (0: never)");
  o.text("--best", best_, "METRIC",
         "What says which epoch is best, and keeps its weights: loss or a metric, of the "
         "validation rows if any (default: loss with --patience, else the last epoch stays)");
  o.flag("--balanced", balanced_, "Give every class the same part in the loss");
  o.integer("--seed", seed_, 0, no_limit, "Of the weights, the order of rows and the splits");
  device_.add_to(o);
  o.text("--out", out_, "FOLDER",
         "Where model.soma, run.toml, metrics.jsonl and checkpoints are written");
  o.flag("--overwrite", overwrite_, "Begin anew in a folder where a training was cut off");
  o.text("--checkpoint-every", checkpoint_every_, "N",
         "Steps, or a time like 30s or 5m, between two checkpoints (0: only at the end)");
  o.integer("--keep-last", keep_last_, 1, 1'000'000, "Checkpoints to keep of the newest");
  o.integer("--keep-best", keep_best_, 0, 1'000'000, "Checkpoints to keep of the best epochs");
  o.text("--resume", resume_, "FOLDER",
         "Go on with the training in that folder; other options change its settings");
  o.text("--config", config_, "FILE",
         "A TOML file with any of these options; those of the command line come above them");
}

std::string Train::configuration() const {
  if (resume_.empty()) return config_;
  if (!config_.empty()) {
    throw UsageError("--resume goes on with the settings of its folder; leave --config out");
  }
  return configuration_of_run(resume_);
}

Parts Train::open_rows(ModelInfo& info) {
  validation_ = validation_fraction();
  Parts parts = open_parts(source_, validation_, test_, static_cast<uint64_t>(seed_));
  info = describe_rows(parts.train);
  prepare_rows(parts.train, info);
  if (parts.validation) prepare_rows(*parts.validation, info);
  if (parts.test) prepare_rows(*parts.test, info);
  return parts;
}

int Train::run(Console& console) {
  ModelInfo info;
  Parts parts = open_rows(info);
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
  const int64_t steps_of_epoch = (parts.train.size() + batch_ - 1) / batch_;
  const int64_t epochs = epochs_ > 0 ? epochs_ : (steps_ + steps_of_epoch - 1) / steps_of_epoch;
  options.prefetch = static_cast<int>(prefetch_);
  options.epochs = static_cast<int>(std::min(epochs, most_epochs));
  options.steps = steps_;
  options.batch = batch_;
  options.optimizer = make_optimizer(steps_of_epoch, options.epochs);
  options.validation = parts.validation ? &*parts.validation : nullptr;
  options.seed = static_cast<uint64_t>(seed_);
  options.device = device_.device();
  options.best = best_.empty() && patience_ > 0 ? "loss" : best_;
  if (find_rate_) return show_rates(console, net, parts.train, options, plot_);
  if (!resume_.empty()) out_ = resume_;
  RunFolder folder(out_);
  options.checkpoints = checkpoint_options(folder);
  if (resume_.empty() && !overwrite_) folder.refuse_unfinished();
  Progress progress(console);
  catch_interrupt();
  options.callbacks = {[&](const Event& event) {
    progress.show(event);
    folder.hear(event);
    return !interrupted();
  }};
  if (patience_ > 0) {
    options.callbacks.push_back(early_stopping(static_cast<int>(patience_), 0, options.best));
  }

  folder.watch(net, parts.train, options);
  Trainer trainer(net, parts.train, options);
  introduce(console, net, parts, info, options.epochs);
  if (resume_.empty()) {
    folder.start(resolved());
  } else {
    resume(console, trainer, folder);
  }
  const History history = [&] {
    try {
      return trainer.run();
    } catch (const DivergenceError& error) {
      folder.close({{"event", "diverged"}, {"message", error.what()}});
      throw;
    } catch (const FileError& error) {
      if (!folder.wanted()) throw;
      throw FileError(cat(error.what(), "; checkpoints from before are whole: go on with soma ",
                          "train --resume ", out_));
    }
  }();
  const int code = finish(console, net, info, history, parts, folder);
  if (code == exit_ok && is_table(parts.train)) compare(console, parts, options);
  return code;
}

CheckpointOptions Train::checkpoint_options(const RunFolder& folder) const {
  CheckpointOptions options;
  if (!folder.wanted()) return options;
  options.folder = folder.file("checkpoints");
  options.last = static_cast<int>(keep_last_);
  options.best = static_cast<int>(keep_best_);
  options.every_seconds = 0;
  const char unit = checkpoint_every_.empty() ? '0' : checkpoint_every_.back();
  const int64_t factor = unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600 : 0;
  const std::string_view digits(checkpoint_every_.data(),
                                checkpoint_every_.size() - (factor > 0 ? 1 : 0));
  if (factor == 0) {
    options.every_steps = to_integer("--checkpoint-every", digits, 0, no_limit);
  } else {
    options.every_seconds = to_real("--checkpoint-every", digits, 0, 1e9) * double(factor);
  }
  return options;
}

std::string Train::resolved() {
  overwrite_ = false;  // was for this time only
  const bool named = std::ranges::any_of(
      data::registry(), [&](const data::NamedDataset& row) { return row.name == source_.data; });
  for (std::string* path : {&source_.data, &source_.folder, &source_.labels}) {
    if (path == &source_.data && named) continue;
    if (!path->empty()) *path = std::filesystem::absolute(*path).string();
  }
  return cat("# The options of this training: soma train --resume goes on with them, and ",
             "--config takes\n# them for another one.\n", config_text(*this));
}

void Train::resume(Console& console, Trainer& trainer, RunFolder& folder) {
  const Trainer::Resumed resumed = trainer.resume();
  folder.go_on(trainer.steps(), static_cast<int>(trainer.history().epochs.size()), resolved());
  for (const std::string& sentence : resumed.damaged) {
    console.warn(cat(sentence, "; going on from the one before"));
  }
  console.note(resumed.path.empty()
                   ? "no checkpoint was written yet: training starts from the beginning"
                   : cat("going on after step ", trainer.steps(), ", from ", resumed.path));
}

/// NaN leaves it to the kind of data.
double Train::validation_fraction() const {
  const bool stops_early = (epochs_ == 0 && steps_ == 0) || patience_ > 0;
  return std::isnan(validation_) && !stops_early ? 0 : validation_;
}

/// What the command line left open.
void Train::complete(const Parts& parts) {
  const Recipe recipe = recipe_for(parts.train, parts.validation.has_value());
  const bool open = epochs_ == 0 && steps_ == 0;
  if (patience_ < 0) patience_ = open ? recipe.patience : 0;
  if (open) epochs_ = recipe.epochs;
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

Network Train::make_network(const Dataset& train, const Loss& loss) {
  return usage("--net", [&] {
    const Where nowhere;  // a user of the shell has no use for this line
    if (net_.starts_with('@')) net_ = read_text(net_.substr(1), max_net_text);
    net_ = fill_in(net_, train);
    std::vector<Layer> layers = parse_layers(net_, nowhere);
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

Optimizer Train::make_optimizer(int64_t steps_of_epoch, int64_t epochs) const {
  Optimizer optimizer = usage("--optimizer", [&] { return optimizer_named(optimizer_); });
  if (!std::isnan(rate_) || !schedule_.empty()) {
    const int64_t all = epochs_ > 0 ? steps_of_epoch * epochs : steps_;
    const int64_t steps = std::max<int64_t>(1, all / accumulate_);
    optimizer =
        usage("--lr", [&] { return with_learning_rate(optimizer, rate_of(optimizer, steps)); });
  }
  const std::string parts =
      cat(accumulate_ > 1 ? cat("accumulate(", accumulate_, ") + ") : "", optimizer.text(),
          plateau_ > 0 ? cat(" + reduce_on_plateau(patience=", plateau_,
                             " window=", std::max<int64_t>(1, steps_of_epoch / accumulate_), ")")
                       : "");
  return usage("--optimizer", [&] { return optimizer_named(parts); });
}

/// The rate or schedule that was asked for; without a rate that of the optimizer.
Schedule Train::rate_of(const Optimizer& optimizer, int64_t steps) const {
  std::string rate = number(rate_);
  for (const Optimizer::Part& part : optimizer.parts()) {
    if (std::isnan(rate_) && part.row().complete) rate = argument_of(part, "lr");
  }
  if (schedule_.empty()) return usage("--lr", [&] { return schedule_named(rate); });
  return usage("--schedule", [&] { return complete_schedule(schedule_, rate, steps); });
}

void Train::introduce(Console& console, const Network& net, const Parts& parts,
                      const ModelInfo& info, int epochs) const {
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
                          {"epochs", epochs},
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
                  const History& history, const Parts& parts, RunFolder& folder) const {
  const bool cut = history.stopped && interrupted();
  Json done{{"event", "done"}, {"epochs", history.epochs.size()}};
  std::optional<Evaluation> test;
  std::optional<Forecasts> forecasts;
  if (parts.test && !cut) {
    test = evaluate(net, *parts.test, loss_named(info.loss), {.device = device_.device()});
    add_scores(done, "test_", *test);
    if (is_series(*parts.test)) {
      forecasts = compare_forecasts(net, *parts.test, device_.device());
      done["naive_mae"] = forecasts->naive;
    }
  }
  if (history.best_epoch > 0) {
    done["best_epoch"] = history.best_epoch;
    console.note(cat("kept the weights of epoch ", history.best_epoch, ", the best"));
  }
  done["seconds"] = history.seconds;
  done["weights_sha256"] = weights_sha256(net);
  std::string page;
  if (folder.wanted()) {
    save(net, folder.file("model.soma"), info);
    done["model"] = folder.file("model.soma");
    if (!cut) {
      folder.close(done);
      page = report(console, net, info, parts);
    }
    if (!page.empty()) done["report"] = page;
  }
  if (cut) done["interrupted"] = true;
  if (console.json()) {
    console.event(done);
  } else {
    if (cut) {
      console.line(cat("interrupted after ", history.steps, " steps",
                       folder.wanted() ? cat("; go on with: soma train --resume ", out_) : ""));
    }
    if (test) console.line(cat("test  ", scores_text(test->loss, test->metrics)));
    if (forecasts) console.line(forecasts->text());
    console.note(cat("trained for ", duration_text(history.seconds), ", weights ",
                     done["weights_sha256"].get<std::string>().substr(0, 16)));
    if (!page.empty()) console.note(cat("report in ", page));
    if (folder.wanted()) console.line(cat("saved ", folder.file("model.soma")));
  }
  return cut ? exit_interrupted : exit_ok;
}

/// A model without a report is still a model: what goes wrong here is told and no failure.
std::string Train::report(Console& console, const Network& net, const ModelInfo& info,
                          const Parts& parts) const {
  const auto [rows, name] = judges(parts);
  try {
    return write_report(out_, net, info, *rows, name, device_.device());
  } catch (const Error& error) {
    console.warn(cat("there is no report: ", error.what()));
    return "";
  }
}

}  // namespace

Judges judges_of(const std::string& configuration) {
  Train train;
  read_config(train, configuration);
  ModelInfo info;
  const Parts parts = train.open_rows(info);
  const auto [rows, name] = judges(parts);
  return {*rows, name};
}

std::unique_ptr<Command> make_train() { return std::make_unique<Train>(); }

}  // namespace soma::cli
