// soma compare: what differs between trainings, and what came of it.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/compare.h"
#include "cli/progress.h"
#include "src/base/file.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

using Json = nlohmann::ordered_json;

/// Where a run is and how it was stopped says nothing about what it learned.
bool matters(std::string_view setting) {
  constexpr std::string_view others[] = {"out",       "overwrite", "resume",  "config",
                                         "find-lr",   "plot",      "threads", "checkpoint-every",
                                         "keep-last", "keep-best"};
  return std::ranges::find(others, setting) == std::end(others);
}

std::string state_of(const RunRecord& run) { return run.end.empty() ? "cut off" : run.end; }

class Compare : public Command {
 public:
  std::string_view name() const override { return "compare"; }
  std::string_view summary() const override {
    return "Show what differs between trainings, and their results";
  }
  std::string_view examples() const override {
    return "  soma compare run1 run2\n"
           "  soma compare runs/* --plot curves.svg\n"
           "  soma compare run1 run2 --json\n";
  }
  void options(Options& o) override {
    o.positional("run", first_, "A folder that soma train --out made");
    o.positionals("runs", more_, "More of them");
    o.text("--plot", plot_, "FILE.svg",
           "Where to draw the curves of all runs, one above the other");
  }

  int run(Console& console) override {
    if (!plot_.empty() && !plot_.ends_with(".svg")) {
      throw UsageError(cat("--plot draws an .svg file; found \"", plot_, "\""));
    }
    std::vector<RunRecord> runs{read_run(first_)};
    for (const std::string& folder : more_) runs.push_back(read_run(folder));
    const std::vector<std::string> names = differing_settings(runs);
    if (console.json()) {
      console.event(as_json(runs, names));
    } else {
      console.line(table(rows_of(runs, names)));
    }
    if (!plot_.empty()) {
      write_file_atomic(plot_, draw_charts(curves_of(runs), 2));
      if (!console.json()) console.line(cat("wrote ", plot_));
    }
    return exit_ok;
  }

 private:
  static std::vector<std::vector<std::string>> rows_of(const std::vector<RunRecord>& runs,
                                                       const std::vector<std::string>& names) {
    std::vector<std::string> results;  // of any run, in the order in which they come
    for (const RunRecord& run : runs) {
      for (const Score& score : results_of(run)) {
        if (std::ranges::find(results, score.name) == results.end()) results.push_back(score.name);
      }
    }
    std::vector<std::vector<std::string>> rows{{"run"}};
    rows[0].insert(rows[0].end(), names.begin(), names.end());
    for (const std::string& result : results) rows[0].push_back(result);
    rows[0].emplace_back("time");
    rows[0].emplace_back("state");
    for (const RunRecord& run : runs) {
      std::vector<std::string>& row = rows.emplace_back(std::vector<std::string>{run.name});
      for (const std::string& name : names) {
        const std::string value = run.setting(name);
        row.push_back(value.empty() ? "-" : excerpt(value, 40));
      }
      const std::vector<Score> scores = results_of(run);
      for (const std::string& result : results) {
        const auto found = std::ranges::find(scores, result, &Score::name);
        row.push_back(found == scores.end() ? "-" : short_number(found->value));
      }
      row.push_back(duration_text(run.seconds));
      row.push_back(state_of(run));
    }
    return rows;
  }

  static Json as_json(const std::vector<RunRecord>& runs, const std::vector<std::string>& names) {
    Json all = Json::array();
    for (const RunRecord& run : runs) {
      Json settings = Json::object(), results = Json::object();
      for (const std::string& name : names) settings[name] = run.setting(name);
      for (const Score& score : results_of(run)) results[score.name] = score.value;
      all.push_back({{"run", run.folder},
                     {"state", state_of(run)},
                     {"epochs", run.epochs.size()},
                     {"seconds", run.seconds},
                     {"settings", settings},
                     {"results", results}});
    }
    return {{"event", "compare"}, {"runs", all}};
  }

  std::string first_, plot_;
  std::vector<std::string> more_;
};

}  // namespace

std::vector<std::string> differing_settings(std::span<const RunRecord> runs) {
  std::vector<std::string> names;
  for (const auto& setting : runs.front().settings) {
    const bool differs = std::ranges::any_of(runs, [&](const RunRecord& run) {
      return run.setting(setting.first) != shown(setting.second);
    });
    if (matters(setting.first) && differs) names.push_back(setting.first);
  }
  return names;
}

std::vector<Score> results_of(const RunRecord& run) {
  std::vector<Score> results = run.results;
  if (run.epochs.empty()) return results;
  const bool validated = run.epochs.front().validation.has_value();
  const std::string where = validated ? "validation_" : "training_";
  results.push_back({where + "loss", run.best("loss")});
  for (const Score& score : run.epochs.front().metrics) {
    results.push_back({where + score.name, run.best(score.name)});
  }
  return results;
}

std::vector<Chart> curves_of(std::span<const RunRecord> runs) {
  std::vector<std::string> measures = {"loss"};
  for (const RunRecord& run : runs) {
    if (run.epochs.empty()) continue;
    for (const Score& score : run.epochs.front().metrics) {
      if (std::ranges::find(measures, score.name) == measures.end()) measures.push_back(score.name);
    }
  }
  std::vector<Chart> charts;
  for (const std::string& measure : measures) {
    Chart chart{measure, "", {}};
    for (const RunRecord& run : runs) {
      Curve curve{run.name, {}, {}};
      for (const EpochRecord& record : run.epochs) {
        const bool has =
            measure == "loss" ||
            std::ranges::find(record.metrics, measure, &Score::name) != record.metrics.end();
        curve.x.push_back(record.epoch);
        curve.y.push_back(has ? record[measure] : std::nan(""));
      }
      chart.curves.push_back(std::move(curve));
    }
    chart.x_label = "epoch";
    chart.y_label = "of the validation rows, if any";
    chart.legend = true;
    chart.width = 440;
    chart.height = 280;
    charts.push_back(std::move(chart));
  }
  return charts;
}

std::unique_ptr<Command> make_compare() { return std::make_unique<Compare>(); }

}  // namespace soma::cli
