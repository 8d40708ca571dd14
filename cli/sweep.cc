// soma sweep: trains with one set of options after another, and keeps each run.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/command.h"
#include "cli/compare.h"
#include "cli/config.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/ranges.h"
#include "cli/run_record.h"
#include "cli/sweep_page.h"
#include "soma/error.h"
#include "src/base/file.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* configuration_name = "sweep.toml";

/// Of successive halving: a third goes on, three times as long.
constexpr int64_t fewer = 3;

class Sweep : public Command {
 public:
  std::string_view name() const override { return "sweep"; }
  std::string_view summary() const override {
    return "Train with many settings and show which are best";
  }
  std::string_view examples() const override {
    return "  soma sweep iris --vary \"lr=1e-3|1e-2|1e-1; net=8 tanh, 3|16 relu, 3\" --epochs 30 "
           "\\\n"
           "      --out sweep\n"
           "  soma sweep iris --method random --trials 20 --vary \"lr=1e-4..1 log; batch=8..64\" "
           "\\\n"
           "      --out sweep\n"
           "  soma sweep fashion-mnist --method halving --trials 27 --vary \"lr=1e-4..1e-1 log\" "
           "\\\n"
           "      --epochs 9 --out sweep\n"
           "  soma sweep --resume sweep                    after an interruption\n"
           "All options of soma train are there: they hold for every trial. --config names a TOML\n"
           "file of any of these options. Trials are compared by --metric on the validation "
           "rows.\n";
  }
  void options(Options& o) override {
    base_->options(o);
    o.text(
        "--vary", vary_, "RANGES",
        "What to try: settings with their values, \"batch=16|32|64\", or a range, \"lr=1e-4..1e-1 "
        "log\"; separated by semicolons");
    o.text("--method", method_, "NAME",
           "grid: every combination; random: --trials draws; halving: as many draws, of which a "
           "third goes on three times as long, up to --epochs");
    o.integer("--trials", trials_, 1, 100'000, "Draws of the methods random and halving");
    o.integer("--points", points_, 1, 1000, "Values of a range in a grid");
    o.text("--metric", metric_, "NAME", "What is compared: loss or a metric");
  }
  std::string configuration() const override {
    const std::string resumed = base_setting("resume");
    if (resumed.empty()) return base_setting("config");
    const std::string path = (fs::path(resumed) / configuration_name).string();
    if (fs::exists(path)) return path;
    throw FileError(cat("there is no sweep to go on with in \"", resumed, "\": it has no ",
                        configuration_name, "; soma sweep … --out FOLDER leaves one"));
  }

  int run(Console& console) override {
    const std::vector<SweepTrial> trials = prepare(console);
    catch_interrupt();
    const bool whole = method_ == "halving" ? halve(console, trials) : once(console, trials);
    return finish(console, trials, whole);
  }

 private:
  std::string base_setting(std::string_view name) const {
    for (const auto& [key, value] : settings_of(*base_)) {
      if (key == name) return value;
    }
    return "";
  }

  /// Checks the options, makes the folder and says what to try.
  std::vector<SweepTrial> prepare(Console& console) {
    const std::string resumed = base_setting("resume");
    out_ = resumed.empty() ? base_setting("out") : resumed;
    if (out_.empty())
      throw UsageError("a sweep needs --out FOLDER: each trial leaves its run there");
    for (const char* flag : {"find-lr", "plot"}) {
      if (base_setting(flag) != "" && base_setting(flag) != "false") {
        throw UsageError(cat("--", flag, " is for soma train alone"));
      }
    }
    const std::vector<Vary> varied = parse_ranges(vary_);
    const auto probe = make_train();
    for (const Vary& one : varied) {  // refuses unknown names and values before the first trial
      if (one.name == "out" || one.name == "data") {
        throw UsageError(cat("--vary cannot change ", one.name));
      }
      set_option(*probe, one.name, one.at(0));
    }
    epochs_ = to_integer("--epochs", base_setting("epochs"), 0, no_limit);
    if (method_ == "halving" && epochs_ == 0) {
      throw UsageError("--method halving needs --epochs: how long the last trial trains");
    }
    std::vector<Settings> all;
    if (method_ == "grid") {
      all = grid_of(varied, points_);
    } else if (method_ == "random" || method_ == "halving") {
      const auto seed = to_integer("--seed", base_setting("seed"), 0, no_limit);
      all = draws_of(varied, trials_, static_cast<uint64_t>(seed));
    } else {
      throw UsageError(cat("--method is grid, random or halving; found \"", method_, "\""));
    }
    const std::string held = base_setting("validation");
    if (held.empty() || held == "0") {
      set_option(*base_, "validation", "0.2");
      console.note("a fifth of the training rows is kept to compare by: --validation 0.2");
    }
    if (resumed.empty()) {
      const std::string path = (fs::path(out_) / configuration_name).string();
      if (fs::exists(path) && base_setting("overwrite") != "true") {
        throw FileError(cat("the folder \"", out_, "\" holds a sweep; go on with it: soma sweep ",
                            "--resume ", out_, "; or choose another folder, or begin anew with ",
                            "--overwrite"));
      }
      make_folder(out_);
      remove_old_trials();
      write_file_atomic(path, cat("# The options of this sweep: soma sweep --resume goes on with ",
                                  "them.\n", config_text(*this)));
    }
    std::vector<SweepTrial> trials;
    const size_t digits = std::to_string(all.size()).size();
    for (size_t i = 0; i < all.size(); ++i) {
      std::string number = std::to_string(i + 1);
      number.insert(0, digits - number.size(), '0');
      trials.push_back({(fs::path(out_) / cat("trial-", number)).string(), std::move(all[i])});
    }
    if (!console.json()) {
      console.note(cat(trials.size(), trials.size() == 1 ? " trial" : " trials", ", compared by ",
                       metric_, " of the validation rows"));
    }
    return trials;
  }

  void remove_old_trials() const {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(out_, ignored)) {
      const bool ours = entry.path().filename().string().starts_with("trial-") &&
                        fs::exists(entry.path() / "run.toml");
      if (ours) fs::remove_all(entry.path(), ignored);
    }
  }

  /// Trains up to that many epochs (0: as soma train would): from the beginning, from where the
  /// trial was cut off, or not at all where it is there already. False when it was interrupted.
  bool train(const SweepTrial& trial, int64_t epochs) const {
    const auto command = make_train();
    const bool begun = fs::exists(fs::path(trial.folder) / "run.toml");
    if (begun) {
      const RunRecord run = read_run(trial.folder);
      const bool enough = epochs == 0 || static_cast<int64_t>(run.epochs.size()) >= epochs ||
                          run.end == "diverged" || run.setting("epochs") == std::to_string(epochs);
      if (enough && !run.end.empty()) return true;
      read_config(*command, (fs::path(trial.folder) / "run.toml").string());
      set_option(*command, "resume", trial.folder);
    } else {
      const Settings defaults = settings_of(*command);
      const Settings wanted = settings_of(*base_);
      for (size_t i = 0; i < wanted.size(); ++i) {
        const auto& [name, value] = wanted[i];
        const bool own = name == "config" || name == "resume" || name == "overwrite";
        if (!own && value != defaults[i].second) set_option(*command, name, value);
      }
      for (const auto& [name, value] : trial.settings) set_option(*command, name, value);
      set_option(*command, "out", trial.folder);
    }
    if (epochs > 0) set_option(*command, "epochs", std::to_string(epochs));
    Console nothing = Console::silent();
    try {
      return command->run(nothing) != exit_interrupted;
    } catch (const DivergenceError&) {
      return true;  // metrics.jsonl says so
    } catch (const Error& error) {
      throw FileError(cat(trial.text(), ": ", error.what()));
    }
  }

  double score(const SweepTrial& trial, int64_t epochs) const {
    if (!fs::exists(fs::path(trial.folder) / "run.toml")) return std::nan("");
    return read_run(trial.folder).best(metric_, epochs);
  }
  /// Whether that score is better; one that is not a number is worse than any.
  bool better(double a, double b) const {
    if (std::isnan(a) || std::isnan(b)) return !std::isnan(a);
    return higher_is_better(metric_) ? a > b : a < b;
  }

  void tell(Console& console, const SweepTrial& trial, size_t done, size_t count, int64_t epochs,
            double found) const {
    if (console.json()) {
      Json settings = Json::object();
      for (const auto& [name, value] : trial.settings) settings[name] = value;
      return console.event({{"event", "trial"},
                            {"run", trial.folder},
                            {"settings", settings},
                            {"epochs", epochs},
                            {metric_, found}});
    }
    console.note(
        cat(done, "/", count, "  ", trial.text(), "  ", metric_, " ", short_number(found)));
  }

  bool once(Console& console, const std::vector<SweepTrial>& trials) const {
    for (size_t i = 0; i < trials.size(); ++i) {
      if (interrupted() || !train(trials[i], epochs_of(trials[i]))) return false;
      tell(console, trials[i], i + 1, trials.size(), epochs_of(trials[i]),
           score(trials[i], no_limit));
    }
    return true;
  }
  /// The epochs of a trial that is not cut short, which may be what is varied.
  int64_t epochs_of(const SweepTrial& trial) const {
    for (const auto& [name, value] : trial.settings) {
      if (name == "epochs") return to_integer("epochs", value, 1, no_limit);
    }
    return epochs_;
  }

  /// Successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943), by thirds.
  bool halve(Console& console, const std::vector<SweepTrial>& trials) const {
    std::vector<size_t> left(trials.size());
    std::iota(left.begin(), left.end(), size_t{0});
    int64_t rounds = 0;
    for (size_t n = left.size(); n > 1; n = (n + fewer - 1) / fewer) ++rounds;
    for (int64_t round = 0; round <= rounds; ++round) {
      const double share =
          std::pow(static_cast<double>(fewer), static_cast<double>(round - rounds));
      const auto epochs = std::max<int64_t>(
          1, static_cast<int64_t>(std::ceil(static_cast<double>(epochs_) * share - 1e-9)));
      if (!console.json()) {
        console.note(
            cat(left.size(), left.size() == 1 ? " trial" : " trials", " up to epoch ", epochs));
      }
      std::vector<double> scores(trials.size(), std::nan(""));
      for (size_t k = 0; k < left.size(); ++k) {
        const SweepTrial& trial = trials[left[k]];
        if (interrupted() || !train(trial, epochs)) return false;
        scores[left[k]] = score(trial, epochs);
        tell(console, trial, k + 1, left.size(), epochs, scores[left[k]]);
      }
      std::ranges::stable_sort(left,
                               [&](size_t a, size_t b) { return better(scores[a], scores[b]); });
      left.resize((left.size() + fewer - 1) / fewer);
    }
    return true;
  }

  int finish(Console& console, std::vector<SweepTrial> trials, bool whole) const {
    std::vector<RunRecord> runs;
    for (SweepTrial& trial : trials) {
      trial.score = score(trial, no_limit);
      if (fs::exists(fs::path(trial.folder) / "run.toml")) runs.push_back(read_run(trial.folder));
    }
    std::ranges::stable_sort(
        trials, [&](const auto& a, const auto& b) { return better(a.score, b.score); });
    const std::string page = (fs::path(out_) / "sweep.html").string();
    write_file_atomic(page, sweep_page(fs::path(out_).filename().string(), metric_, trials, runs));
    const SweepTrial& best = trials.front();
    if (console.json()) {
      Json settings = Json::object();
      for (const auto& [name, value] : best.settings) settings[name] = value;
      Json end{{"event", "sweep"},     {"trials", runs.size()}, {"best", best.folder},
               {"settings", settings}, {metric_, best.score},   {"page", page}};
      if (!whole) end["interrupted"] = true;
      console.event(end);
      return whole ? exit_ok : exit_interrupted;
    }
    constexpr size_t most = 10;
    const size_t shown = std::min(most, runs.size());
    if (shown > 0) console.line(table(sweep_rows(metric_, std::span(trials).first(shown))));
    if (runs.size() > shown) console.note(cat("and ", runs.size() - shown, " more in ", page));
    if (!whole) {
      console.line(cat("interrupted; go on with: soma sweep --resume ", out_));
      return exit_interrupted;
    }
    console.line(cat("best: ", best.text(), "; its model is ",
                     (fs::path(best.folder) / "model.soma").string()));
    return exit_ok;
  }

  std::unique_ptr<Command> base_ = make_train();  // holds the options that all trials share
  std::string vary_, method_ = "grid", metric_ = "loss", out_;
  int64_t trials_ = 27, points_ = 3, epochs_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_sweep() { return std::make_unique<Sweep>(); }

}  // namespace soma::cli
