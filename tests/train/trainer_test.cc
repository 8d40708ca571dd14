// Trainers: training cut off anywhere and resumed from its checkpoints ends with the bits of one
// that was not; damaged, foreign and missing checkpoints are found; the best weights stay.
#include <gtest/gtest.h>

#include <sys/resource.h>
#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "soma/io.h"
#include "soma/layers.h"
#include "soma/model.h"
#include "soma/normalization.h"
#include "soma/train.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace soma {
namespace {

namespace fs = std::filesystem;

/// 103 rows: with batches of 16 an epoch has seven steps and the last one is short.
const Dataset& rows() {
  static const Dataset all = data::iris().subset(0, 103);
  return all;
}
const Dataset& others() {
  static const Dataset all = data::iris();
  return all;
}

/// Everything that could be forgotten: running statistics, random numbers, moments, averages,
/// accumulated gradients, a schedule, a scale that falls on a plateau.
Network rich_net() { return Network(parse_layers("input 4, 9 relu, batch_norm, dropout 0.3, 3")); }
FitOptions rich_options() {
  FitOptions options;
  options.loss = cross_entropy();
  options.optimizer = optimizer_named(
      "accumulate(2) + adam(lr=cosine(0.02 20)) + reduce_on_plateau(0.5 1 window=3) + "
      "ema_weights(0.9)");
  options.epochs = 5;
  options.batch = 16;
  options.validation = &others();
  options.seed = 3;
  options.device = Device::cpu(1);
  options.metrics = {"accuracy", "auc_roc", "log_loss", "calibration_error", "f1"};
  options.best = "log_loss";
  return options;
}

/// What the clock has no part in.
void expect_same(const History& a, const History& b) {
  EXPECT_EQ(a.steps, b.steps);
  ASSERT_EQ(a.epochs.size(), b.epochs.size());
  for (size_t i = 0; i < a.epochs.size(); ++i) {
    const EpochRecord &x = a.epochs[i], &y = b.epochs[i];
    EXPECT_EQ(x.epoch, y.epoch);
    EXPECT_EQ(x.loss, y.loss);
    EXPECT_EQ(x.metrics, y.metrics);
    EXPECT_EQ(x.validation, y.validation);
    EXPECT_EQ(x.learning_rate, y.learning_rate);
  }
  EXPECT_EQ(weights_sha256(a.optimizer_states), weights_sha256(b.optimizer_states));
}

TEST(Resume, AfterAnyStepGivesTheSameBits) {
  TemporaryFolder folder;
  const std::string path = folder / "state";
  Network whole = rich_net();
  const History wanted = fit(whole, rows(), rich_options());
  ASSERT_EQ(wanted.steps, 35);
  for (int64_t cut = 0; cut <= wanted.steps; ++cut) {
    Network first = rich_net();
    Trainer before(first, rows(), rich_options());
    while (before.steps() < cut) before.step();
    before.save(path);

    Network second = rich_net();
    Trainer after(second, rows(), rich_options());
    after.load(path);
    EXPECT_EQ(after.steps(), cut);
    expect_same(after.run(), wanted);
    EXPECT_EQ(weights_sha256(second), weights_sha256(whole)) << "cut after step " << cut;
  }
}

TEST(Resume, EveryMetricGoesOnCounting) {
  TemporaryFolder folder;
  std::vector<std::string> of_classes, of_numbers;
  for (const MetricInfo& metric : metric_table()) {
    const auto fits = [&](const Dataset& data) {
      Network net{input({data.features()}), dense(data.is_classification() ? 3 : 1)};
      try {
        evaluate(net, data, default_loss(data), {.metrics = {std::string(metric.name)}});
      } catch (const ArgumentError&) {
        return false;
      }
      return true;
    };
    if (fits(rows())) of_classes.emplace_back(metric.name);
    if (fits(data::xor_gate())) of_numbers.emplace_back(metric.name);
  }
  EXPECT_GT(of_classes.size(), 20u);
  EXPECT_GT(of_numbers.size(), 30u);
  const Dataset gate = data::xor_gate().rows(std::vector<int64_t>{0, 1, 2, 3, 3, 2, 0, 1, 1});
  for (const bool classes : {true, false}) {
    const Dataset& data = classes ? rows() : gate;
    const auto make = [&] { return Network{input({data.features()}), dense(classes ? 3 : 1)}; };
    const FitOptions options{.loss = default_loss(data),
                             .batch = data.size() / 4,
                             .device = Device::cpu(1),
                             .metrics = classes ? of_classes : of_numbers};
    Network whole = make(), first = make(), second = make();
    const History wanted = fit(whole, data, options);
    Trainer before(first, data, options), after(second, data, options);
    before.step();
    before.step();
    before.save(folder / "state");
    after.load(folder / "state");
    const History found = after.run();
    for (size_t i = 0; i < wanted.epochs[0].metrics.size(); ++i) {
      const Score &a = found.epochs[0].metrics[i], &b = wanted.epochs[0].metrics[i];
      EXPECT_TRUE(a.value == b.value || (std::isnan(a.value) && std::isnan(b.value))) << b.name;
    }
  }
}

TEST(Resume, WithAugmentedImagesGivesTheSameBits) {
  TemporaryFolder folder;
  Dataset labels = rows();
  labels.inputs = Tensor(Shape{rows().size(), 1, 6, 5});
  for (int64_t i = 0; i < labels.inputs.elements(); ++i) {
    labels.inputs.set(i, static_cast<double>(i * i % 101) / 101);
  }
  const Dataset shares = data::one_hot(labels);
  const auto make = [] {
    return Network(parse_layers("input 1x6x5, conv2d 2 3 relu, flatten, 3"));
  };
  FitOptions options = rich_options();
  options.metrics = {};  // those of shares and those of labels are others
  options.validation = &labels;
  options.best = "accuracy";
  options.augment = augment::flip() + augment::crop(1) + augment::mixup();
  Network whole = make();
  const History wanted = fit(whole, shares, options);
  for (const int64_t cut : {0, 3, 7, 18, 35}) {
    Network first = make(), second = make();
    Trainer before(first, shares, options), after(second, shares, options);
    while (before.steps() < cut) before.step();
    before.save(folder / "state");
    after.load(folder / "state");
    expect_same(after.run(), wanted);
    EXPECT_EQ(weights_sha256(second), weights_sha256(whole)) << "cut after step " << cut;
  }
  options.augment = augment::flip();
  EXPECT_ERROR(ArgumentError, Trainer(whole, shares, options).load(folder / "state"),
               "augmentation", "mixup");
}

TEST(Resume, ThroughTheFolderInSeveralSessions) {
  TemporaryFolder folder;
  Network whole = rich_net();
  const History wanted = fit(whole, rows(), rich_options());
  FitOptions options = rich_options();
  options.checkpoints = {.folder = folder / "run", .every_steps = 3, .every_seconds = 0};
  for (int64_t steps = 4; steps <= 32; steps += 4) {  // each session is cut off after a step
    Network net = rich_net();
    Trainer trainer(net, rows(), options);
    EXPECT_EQ(trainer.resume().path.empty(), steps == 4);
    while (!trainer.done() && trainer.steps() < steps) trainer.step();
  }
  Network net = rich_net();
  Trainer trainer(net, rows(), options);
  EXPECT_EQ(trainer.resume().path, folder / "run/step-00000030.checkpoint");
  expect_same(trainer.run(), wanted);
  EXPECT_EQ(weights_sha256(net), weights_sha256(whole));
}

TEST(Resume, GoesOnWithMoreEpochs) {
  TemporaryFolder folder;
  FitOptions options = rich_options();
  options.checkpoints.folder = folder / "run";
  Network whole = rich_net(), net = rich_net(), more = rich_net();
  const History wanted = fit(whole, rows(), rich_options());
  options.epochs = 2;
  fit(net, rows(), options);
  options.epochs = 5;
  Trainer trainer(more, rows(), options);
  trainer.resume();
  expect_same(trainer.run(), wanted);
  EXPECT_EQ(weights_sha256(more), weights_sha256(whole));
}

TEST(Resume, EarlyStoppingGoesOnCounting) {
  TemporaryFolder folder;
  const auto stopping = [] {
    FitOptions options = rich_options();
    options.epochs = 1000;
    options.callbacks = {early_stopping(4, 0.001, "accuracy")};
    return options;
  };
  Network whole = rich_net();
  const History wanted = fit(whole, rows(), stopping());
  EXPECT_TRUE(wanted.stopped);
  ASSERT_GT(wanted.epochs.size(), 4u);
  Network first = rich_net(), second = rich_net();
  Trainer before(first, rows(), stopping());
  while (before.steps() < wanted.steps - 10) before.step();
  before.save(folder / "state");
  Trainer after(second, rows(), stopping());
  after.load(folder / "state");
  expect_same(after.run(), wanted);
}

TEST(Trainer, IsFitStepByStep) {
  Network whole = rich_net(), net = rich_net();
  const History wanted = fit(whole, rows(), rich_options());
  Trainer trainer(net, rows(), rich_options());
  EXPECT_GT(trainer.step(), 0);
  const EpochRecord record = trainer.epoch();
  EXPECT_EQ(record, trainer.history().epochs[0]);
  EXPECT_EQ(trainer.steps(), 7);
  EXPECT_EQ(trainer.evaluate(), trainer.history().epochs[0].validation);
  trainer.epoch();
  EXPECT_FALSE(trainer.done());
  expect_same(trainer.run(), wanted);
  EXPECT_TRUE(trainer.done());
  EXPECT_ERROR(ArgumentError, trainer.step(), "done", "35 steps");
  EXPECT_EQ(weights_sha256(net), weights_sha256(whole));
  FitOptions options = rich_options();
  options.validation = nullptr;
  EXPECT_ERROR(ArgumentError, Trainer(net, rows(), options).evaluate(), "validation");
}

TEST(Trainer, StopsAfterSoManySteps) {
  FitOptions options = rich_options();
  options.steps = 10;
  Network net = rich_net();
  const History history = fit(net, rows(), options);
  EXPECT_EQ(history.steps, 10);
  EXPECT_EQ(history.epochs.size(), 2u);
  EXPECT_FALSE(history.stopped);
}

TEST(Trainer, LeavesTheBestWeights) {
  FitOptions options = rich_options();
  options.optimizer = sgd(3);  // jumps about
  options.epochs = 12;
  std::vector<std::string> digests;
  Network net = rich_net();
  options.callbacks = {[&](const Event& event) {
    if (event.kind == Event::Kind::epoch) digests.push_back(weights_sha256(net));
    return true;
  }};
  const History history = fit(net, rows(), options);
  const auto best = std::ranges::min_element(
      history.epochs, {}, [](const EpochRecord& record) { return record["log_loss"]; });
  const auto index = static_cast<size_t>(best - history.epochs.begin());
  ASSERT_LT(index + 1, digests.size()) << "the last epoch was the best: choose another seed";
  EXPECT_EQ(weights_sha256(net), digests[index]);
  options.best = "acuracy";
  EXPECT_ERROR(ArgumentError, fit(net, rows(), options), "acuracy", "accuracy");
}

std::vector<std::string> files_of(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& file : fs::directory_iterator(folder)) names.push_back(file.path().filename());
  std::ranges::sort(names);
  return names;
}

TEST(Checkpoints, OfTheLastAndTheBestEpochsStay) {
  TemporaryFolder folder;
  FitOptions options = rich_options();
  options.optimizer = sgd(3);
  options.epochs = 12;
  options.best = "accuracy";
  options.checkpoints = {
      .folder = folder / "run", .every_steps = 1, .every_seconds = 0, .last = 3, .best = 2};
  int told = 0;
  options.callbacks = {[&](const Event& event) {
    if (event.kind != Event::Kind::checkpoint) return true;
    ++told;
    EXPECT_TRUE(fs::exists(event.checkpoint)) << event.checkpoint;
    return true;
  }};
  Network net = rich_net();
  const History history = fit(net, rows(), options);
  EXPECT_EQ(told, history.steps);
  std::vector<std::pair<double, int>> best;
  for (const EpochRecord& record : history.epochs) {
    best.emplace_back(-record["accuracy"], record.epoch);
  }
  std::ranges::sort(best);
  std::set<std::string> wanted;
  const auto name = [](int64_t steps) {
    return "step-000000" + std::string(steps < 10 ? "0" : "") + std::to_string(steps) +
           ".checkpoint";
  };
  for (int i = 0; i < 2; ++i) wanted.insert(name(best[static_cast<size_t>(i)].second * 7));
  for (int64_t step = history.steps - 2; step <= history.steps; ++step) wanted.insert(name(step));
  EXPECT_EQ(files_of(folder / "run"), std::vector<std::string>(wanted.begin(), wanted.end()));
}

/// A folder with two checkpoints of seven steps each.
class Damage : public testing::Test {
 protected:
  Damage() {
    options_ = rich_options();
    options_.epochs = 2;
    options_.checkpoints = {.folder = folder_ / "run", .every_steps = 7, .every_seconds = 0};
    Network net = rich_net();
    fit(net, rows(), options_);
    wanted_ = weights_sha256(net);
  }
  std::string path(int steps) const {
    return folder_ / ("run/step-000000" + std::string(steps < 10 ? "0" : "") +
                      std::to_string(steps) + ".checkpoint");
  }
  void overwrite(const std::string& path, std::streamoff at, const std::string& bytes) const {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file << bytes;
  }
  TemporaryFolder folder_;
  FitOptions options_;
  std::string wanted_;
};

TEST_F(Damage, AnywhereIsFoundAndTheOneBeforeTaken) {
  const auto size = static_cast<std::streamoff>(fs::file_size(path(14)));
  std::ifstream file(path(14), std::ios::binary);
  const std::string good{std::istreambuf_iterator<char>(file), {}};
  int found = 0;
  for (std::streamoff at = 0; at < size; at += 41) {
    std::string bad = good;
    bad[static_cast<size_t>(at)] = static_cast<char>(bad[static_cast<size_t>(at)] ^ 0x10);
    overwrite(path(14), 0, bad);
    Network net = rich_net();
    Trainer trainer(net, rows(), options_);
    const Trainer::Resumed resumed = trainer.resume();
    if (good[static_cast<size_t>(at)] == ' ') continue;  // between the parts of the header
    ++found;
    ASSERT_EQ(resumed.path, path(7)) << "byte " << at;
    ASSERT_EQ(resumed.damaged.size(), 1u);
    EXPECT_NE(resumed.damaged[0].find("step-00000014"), std::string::npos);
    if (found % 20 != 1) continue;
    trainer.run();  // writes the damaged file anew
    EXPECT_EQ(weights_sha256(net), wanted_);
  }
  EXPECT_GT(found, 100);
}

TEST_F(Damage, OfCutOffFilesIsFound) {
  for (const uintmax_t size : {uintmax_t{0}, uintmax_t{5}, fs::file_size(path(14)) - 1}) {
    fs::resize_file(path(14), size);
    Network net = rich_net();
    Trainer trainer(net, rows(), options_);
    EXPECT_EQ(trainer.resume().path, path(7));
  }
}

TEST_F(Damage, OfAllLeavesAFreshStart) {
  fs::resize_file(path(7), 5);
  fs::resize_file(path(14), 5);
  Network net = rich_net();
  Trainer trainer(net, rows(), options_);
  const Trainer::Resumed resumed = trainer.resume();
  EXPECT_EQ(resumed.path, "");
  EXPECT_EQ(resumed.damaged.size(), 2u);
}

TEST_F(Damage, ByAProgramThatWasKilledIsSweptUp) {
  const std::string left = path(14) + ".123-0.soma-tmp";
  std::ofstream(left) << "half";
  Network net = rich_net();
  EXPECT_NE(Trainer(net, rows(), options_).resume().path, "");
  EXPECT_FALSE(fs::exists(left));
}

TEST_F(Damage, OfADiskThatIsFullLeavesTheOldOnes) {
  options_.epochs = 4;
  Network net = rich_net();
  Trainer trainer(net, rows(), options_);
  trainer.resume();
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit small{100, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_ERROR(FileError, trainer.run(), "step-00000021.checkpoint", "larger than the system");
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(files_of(folder_ / "run"),
            (std::vector<std::string>{"step-00000007.checkpoint", "step-00000014.checkpoint"}));
  Network again = rich_net(), whole = rich_net();
  Trainer later(again, rows(), options_);
  EXPECT_EQ(later.resume().path, path(14));
  later.run();
  options_.checkpoints.folder = "";
  fit(whole, rows(), options_);
  EXPECT_EQ(weights_sha256(again), weights_sha256(whole));
}

TEST_F(Damage, OfAnotherTrainingIsRefused) {
  const auto refusal = [&](auto change, auto... facts) {
    Network net = rich_net();
    FitOptions options = options_;
    Dataset data = rows();
    change(net, options, data);
    Trainer trainer(net, data, options);
    const std::string before = weights_sha256(net);
    EXPECT_ERROR(ArgumentError, trainer.load(path(14)), path(14), facts...);
    EXPECT_EQ(weights_sha256(net), before);
  };
  refusal([](Network& net, auto&, auto&) { net = Network(parse_layers("input 4, 8 relu, 3")); },
          "network");
  refusal([](auto&, FitOptions& options, auto&) { options.batch = 15; }, "batch", "16", "15");
  refusal([](auto&, FitOptions& options, auto&) { options.seed = 9; }, "seed");
  refusal([](auto&, FitOptions& options, auto&) { options.shuffle = false; }, "shuffle");
  refusal([](auto&, FitOptions& options, auto&) { options.validation = nullptr; }, "columns");
  refusal([](auto&, FitOptions& options, auto&) { options.optimizer = sgd(0.1); }, "array");
  refusal([](auto&, FitOptions& options, auto&) { options.optimizer = adam() + lookahead(5, 0.5); },
          "array");
  refusal([](auto&, auto&, Dataset& data) { data.inputs.set(0, 77); }, "data");
  refusal([](auto&, auto&, Dataset& data) { data = data.subset(0, 99); }, "another training");
  Network net = rich_net();
  EXPECT_ERROR(ArgumentError, fit(net, rows(), options_), "earlier training", "resume()");
  EXPECT_ERROR(FileError, Trainer(net, rows(), options_).load(folder_ / "none"), "none");
}

TEST(Divergence, NamesTheRowsAndTheLastCheckpoint) {
  TemporaryFolder folder;
  Dataset data = rows();
  Network net{input({4}), dense(5), dense(3)};
  FitOptions options = rich_options();
  options.optimizer = sgd(0.01);
  options.validation = nullptr;
  options.checkpoints = {.folder = folder / "run", .every_steps = 2, .every_seconds = 0};
  // A row like no other, which the third batch or a later one holds.
  const auto order = data::permutation(data.size(), options.seed, 1);
  const int64_t row = order[2 * 16 + 5];
  for (int64_t k = 0; k < 4; ++k) data.inputs.set(row * 4 + k, 3e38);
  try {
    fit(net, data, options);
    FAIL() << "it did not diverge";
  } catch (const DivergenceError& error) {
    EXPECT_EQ(error.epoch, 1);
    EXPECT_EQ(error.step, 3);
    EXPECT_EQ(error.rows, std::vector<int64_t>(order.begin() + 32, order.begin() + 48));
    EXPECT_EQ(error.checkpoint, folder / "run/step-00000002.checkpoint");
    const std::string text = error.what();
    EXPECT_NE(text.find("\"hidden1\", for row " + std::to_string(row) + ";"), text.npos) << text;
    EXPECT_NE(text.find("step-00000002"), text.npos) << text;
  }
}

}  // namespace
}  // namespace soma
