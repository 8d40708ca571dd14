// Training: mini-batches, epochs, metrics, and what is reported on the way.
//
//   auto [train, test] = data::fashion_mnist();
//   Network net{input({28, 28}), dense(128, relu), dense(10)};
//   History history = fit(net, train, {.loss = cross_entropy(), .optimizer = adam(1e-3),
//                                      .epochs = 5, .batch = 128, .validation = &test, .seed = 1});
//
// Results depend on the network, the data, the options and the seed, bit for bit, and never on the
// number of threads. Nothing is printed: callbacks receive events.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "soma/augment.h"
#include "soma/data.h"
#include "soma/network.h"
#include "soma/nn.h"
#include "soma/optim.h"
#include "soma/plan.h"

namespace soma {

// ---------------------------------------------------------------- metrics

/// One row of the table of metrics. A metric is a number about a whole data set, whatever the sizes
/// of the batches it was gathered from. Labels that are negative count for nothing. Where
/// scikit-learn has the metric, the definition is the same, and a share of nothing is 0. "Yes" is
/// the single output, or the second of two classes. For losses on logits, probabilities are those
/// of softmax or sigmoid of the outputs. NaN where a metric needs rows of two classes and there are
/// none (auc_roc, auc_pr).
struct MetricInfo {
  std::string_view name;     ///< "accuracy"
  std::string_view meaning;  ///< One sentence, with the formula.
  bool higher_is_better;
};
std::span<const MetricInfo> metric_table();

/// How often each answer (column) was given to each label (row): i64 [classes, classes]. Negative
/// labels count for nothing. Throws ShapeError or ArgumentError.
Tensor confusion_matrix(std::span<const int32_t> labels, std::span<const int32_t> answers,
                        int64_t classes);
/// The least number of symbols to insert, remove or replace that makes b of a (Levenshtein 1966).
int64_t edit_distance(std::span<const int32_t> a, std::span<const int32_t> b);
/// The edit distance in characters (code points of UTF-8), or in words between blanks, divided by
/// the length of what was wanted; 1 when something was found and nothing wanted.
double character_error_rate(std::string_view found, std::string_view wanted);
double word_error_rate(std::string_view found, std::string_view wanted);
/// What a network trained with the loss ctc reads, by the best class of each step: repetitions
/// first, then blanks are left out. `scores` [time, classes] are logits or probabilities of one
/// sample. Throws ShapeError.
std::vector<int32_t> ctc_best_path(const Tensor& scores, int32_t blank = 0);

/// A number with a name: the value of a metric.
struct Score {
  std::string name;
  double value = 0;
  friend bool operator==(const Score&, const Score&) = default;
};

/// What a network achieves on a data set.
struct Evaluation {
  double loss = 0;  ///< Mean over the rows.
  std::vector<Score> metrics;
  int64_t rows = 0;
  /// The value of that metric; throws ArgumentError, naming the nearest, when it was not asked for.
  double operator[](std::string_view metric) const;
  friend bool operator==(const Evaluation&, const Evaluation&) = default;
};

struct EvaluateOptions {
  Device device = Device::cpu();
  int64_t batch = 256;
  /// Names of metrics; empty takes those that suit the data and the loss: accuracy for classes,
  /// mae and r2 for numbers.
  std::vector<std::string> metrics = {};
  /// Which result is compared with what; as in OutputLoss.
  std::string output = "", target = "";
};
/// Runs the network over a data set. Throws what fit() throws before the first batch.
Evaluation evaluate(const Network& net, const Dataset& dataset, const Loss& loss,
                    const EvaluateOptions& options = {});

// ---------------------------------------------------------------- events

/// What one epoch brought.
struct EpochRecord {
  int epoch = 0;                    ///< From 1.
  double loss = 0;                  ///< Mean over the training rows, as seen while training.
  std::vector<Score> metrics = {};  ///< Over the training rows, as seen while training.
  std::optional<Evaluation> validation = {};
  double learning_rate = 0;  ///< Of the last step.
  double seconds = 0;        ///< Of this epoch, with validation.
  /// The value of "loss" or of a metric: of the validation data, if any, else while training.
  /// Throws ArgumentError, naming the nearest, when it was not computed.
  double operator[](std::string_view metric) const;
  friend bool operator==(const EpochRecord&, const EpochRecord&) = default;
};

/// What callbacks are told. `begin` comes once before the first batch, `step` after each batch,
/// `epoch` after each epoch and its validation, `checkpoint` after one was written, `end` once.
struct Event {
  enum class Kind : uint8_t { begin, step, epoch, end, checkpoint };
  Kind kind = Kind::begin;
  int epoch = 0;         ///< The epoch that runs or ended, from 1; 0 at begin.
  int epochs = 0;        ///< As planned.
  int64_t step = 0;      ///< Batches done in this epoch.
  int64_t steps = 0;     ///< Batches of an epoch.
  double loss = 0;       ///< Mean over the rows of this epoch so far, as seen while training.
  double step_loss = 0;  ///< Of the last batch.
  std::span<const Score> metrics = {};        ///< Over this epoch so far; updated at epoch ends.
  const Evaluation* validation = nullptr;     ///< At the end of epochs, when there is such data.
  double learning_rate = 0;                   ///< Of the last step; 0 at begin.
  double samples_per_second = 0;              ///< In this epoch so far, without validation.
  double seconds = 0;                         ///< Of training so far.
  double seconds_left = 0;                    ///< Estimated, for all epochs that remain.
  std::span<const EpochRecord> history = {};  ///< The epochs that ended.
  std::string_view checkpoint = {};           ///< The file last written or resumed from.
};
/// Answers whether to go on: false ends the training after this batch.
using Callback = std::function<bool(const Event&)>;

/// Stops when "loss" or a metric (of the validation data, if any) has not become better by at least
/// `least_gain` for `patience` epochs. A training that is resumed goes on counting.
Callback early_stopping(int patience, double least_gain = 0, std::string metric = "loss");

// ---------------------------------------------------------------- fit

struct History {
  std::vector<EpochRecord> epochs;
  bool stopped = false;  ///< A callback ended the training.
  int best_epoch = 0;    ///< Whose weights the network has, where FitOptions::best asks for it.
  double seconds = 0;
  int64_t steps = 0;
  /// What the optimizer kept: moments, the counter, averages of the weights.
  Tensors optimizer_states;
};

/// A loss besides the main one, of a network with several results.
struct OutputLoss {
  std::string output;  ///< The layer whose values are compared; "" is the last.
  Loss loss;
  double weight = 1;        ///< In the sum of all losses.
  std::string target = "";  ///< Of Dataset::more_targets; "" takes the targets.
};

/// When and where training writes down its whole state, to go on from after whatever ended it.
struct CheckpointOptions {
  /// Holds step-00000100.checkpoint, …: safetensors files, each written completely or not at all
  /// and known good by its checksum. "": none is written.
  std::string folder = "";
  int64_t every_steps = 0;    ///< 0: not by steps.
  double every_seconds = 30;  ///< 0: not by time. The last state is always written.
  int last = 2;               ///< So many of the newest are kept,
  int best = 0;               ///< and those of so many best epochs, by FitOptions::best.
};

struct FitOptions {
  Loss loss = mean_squared_error();
  Optimizer optimizer = adam();
  int epochs = 1;
  int64_t steps = 0;   ///< At most so many batches in all; 0: as many as the epochs have.
  int64_t batch = 32;  ///< Rows of a step; the last one of an epoch takes what remains.
  const Dataset* validation = nullptr;  ///< Evaluated after each epoch.
  uint64_t seed = 0;    ///< Of the order of the rows, of a fresh network's weights and of dropout.
  bool shuffle = true;  ///< A new order each epoch.
  /// Of the training rows, anew in each epoch; one that does not fit them is refused.
  Augmentation augment = {};
  /// Batches of changed rows prepared on a thread of their own while a step runs (soma/loader.h);
  /// 0: none. The result is the same. Rows that nothing changes are copied between steps, which
  /// takes no longer than to hand them over.
  int prefetch = 1;
  Device device = Device::cpu();
  std::vector<std::string> metrics = {};  ///< As in EvaluateOptions.
  std::vector<Callback> callbacks = {};
  /// What is made small is loss_weight times the loss, plus the weighted losses of other results,
  /// plus what layers add (regularizers). Divided by loss_weight it is reported.
  double loss_weight = 1;
  std::vector<OutputLoss> more_losses = {};
  /// History::optimizer_states of a training before, with the same optimizer: this one goes on from
  /// its moments, averages and schedule. Without them it begins with fresh ones.
  const Tensors* optimizer_states = nullptr;
  /// "loss" or the metric that says which epoch was best (of the validation data, if any): at the
  /// end the network gets the weights of that epoch. "" leaves it the last.
  std::string best = "";
  CheckpointOptions checkpoints = {};
};

/// Trains the network in place. A fresh network starts from weights of `seed`; another one goes on
/// from those it has. Frozen layers and neurons stay as they are, bit for bit.
///
/// Before the first batch throws ShapeError, TypeError or ArgumentError when the data does not fit
/// the network, the loss does not fit the targets, or the loss does not fit the last activation
/// function. Throws DivergenceError when the loss or a parameter becomes NaN or infinite; it names
/// the epoch, the step, the rows of the batch, the first value at fault and the last checkpoint,
/// and the network is left as it was at the last check (at most 100 steps before). Throws FileError
/// when a checkpoint cannot be written; those before it stay.
History fit(Network& net, const Dataset& train, const FitOptions& options);

/// The training of fit() in the caller's hands: step by step, epoch by epoch, and from file to
/// file.
///
///   Trainer trainer(net, train, {.epochs = 100, .checkpoints = {.folder = "run"}});
///   trainer.resume();  // goes on where the program was cut off, if it was
///   History history = trainer.run();
///
/// A training that is cut off anywhere and resumed ends with the same bits as one that is not. The
/// network and the data sets must outlive the trainer.
class Trainer {
 public:
  /// Throws what fit() throws before the first batch.
  Trainer(Network& net, const Dataset& train, FitOptions options);
  Trainer(Trainer&&) noexcept;
  Trainer& operator=(Trainer&&) noexcept;
  ~Trainer();

  /// Everything that remains, with begin and end.
  History run();
  /// The batches that remain of this epoch, its validation and a checkpoint if one is due; returns
  /// the record. Throws ArgumentError when the training is done().
  const EpochRecord& epoch();
  /// One batch, and what comes behind the last one of an epoch, or of all; returns its loss. Throws
  /// ArgumentError when the training is done().
  double step();
  /// All epochs or steps were taken, or a callback ended it.
  bool done() const;
  int64_t steps() const;  ///< Batches taken so far.
  const History& history() const;
  /// The network as it is, on the validation data. Throws ArgumentError when there is none.
  Evaluation evaluate();

  /// Writes the state as a checkpoint, or goes on from one: weights, what the optimizer keeps, the
  /// place in the data, running sums, the epochs so far, the best weights. load() throws FileError
  /// for a damaged file and ArgumentError, naming the difference, for one of another network, other
  /// data, batches, seed or metrics, having done nothing. Epochs, schedules, the arguments of
  /// optimizers and checkpoints may be others. (At the end of a training with FitOptions::best the
  /// network holds the best weights, and so does a state that is saved then.)
  void save(const std::string& path) const;
  void load(const std::string& path);
  struct Resumed {
    std::string path;                  ///< "" when there was none to go on from.
    std::vector<std::string> damaged;  ///< What was wrong with those that were newer: sentences.
  };
  /// load() of the newest checkpoint in the folder of the options that is whole.
  Resumed resume();

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

/// The same optimizer with another learning rate: that of its last part that has one.
Optimizer with_learning_rate(const Optimizer& optimizer, const Schedule& rate);

/// What find_learning_rate() tried: the loss of each batch, smoothed, by the rate of its step.
struct RateSearch {
  std::vector<double> rates, losses;
  double suggestion = 0;  ///< Where the loss falls fastest; 0 when it never falls.
};
struct RateRange {
  double low = 1e-7, high = 10;
  int steps = 100;
};
/// Trains a copy of the network for some batches while the rate rises exponentially, and stops when
/// the loss has grown to four times the smallest (Smith 2015, arXiv:1506.01186).
RateSearch find_learning_rate(const Network& net, const Dataset& train, FitOptions options,
                              const RateRange& range = {});

/// Gives the network the averages of its weights that the optimizer kept (ema_weights,
/// average_weights, asgd, schedule_free_sgd, schedule_free_adamw), for evaluation and use:
///
///   const History history = fit(net, train, {.optimizer = adam() + ema_weights(0.99)});
///   use_averages(net, history);
///
/// Running statistics of layers stay those of training. To train on, keep a copy of the network
/// from before. Throws ArgumentError when the optimizer kept no averages, or those of another
/// network.
void use_averages(Network& net, const History& history);

/// The loss that suits a data set when none is named: cross-entropy for classes, the mean squared
/// error for numbers.
Loss default_loss(const Dataset& dataset);

/// One step of training as a program: appends the gradients of `loss` with respect to every
/// parameter of its graph and the optimizer's updates, and names the result "loss".
Graph train_step(Graph graph, Value loss, const Optimizer& optimizer);

}  // namespace soma
