// Reading run folders.
#include "cli/run_record.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "cli/config.h"
#include "cli/run_folder.h"
#include "soma/error.h"
#include "src/base/file.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view of_validation = "validation_";

double number_in(const Json& line, std::string_view key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number() ? found->get<double>() : std::nan("");
}
int64_t whole_in(const Json& line, std::string_view key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

StepRecord step_of(const Json& line) {
  return {whole_in(line, "steps_done"), static_cast<int>(whole_in(line, "epoch")),
          number_in(line, "loss"), number_in(line, "learning_rate"), number_in(line, "seconds")};
}

EpochRecord epoch_of(const Json& line) {
  static const std::set<std::string, std::less<>> known = {
      "event", "epoch", "epochs", "loss", "learning_rate", "samples_per_second", "seconds"};
  EpochRecord record;
  record.epoch = static_cast<int>(whole_in(line, "epoch"));
  record.loss = number_in(line, "loss");
  record.learning_rate = number_in(line, "learning_rate");
  record.seconds = number_in(line, "seconds");
  for (const auto& [key, value] : line.items()) {
    if (known.contains(key)) continue;
    const double score = value.is_number() ? value.get<double>() : std::nan("");
    if (!key.starts_with(of_validation)) {
      record.metrics.push_back({key, score});
      continue;
    }
    if (!record.validation) record.validation.emplace();
    const std::string name = key.substr(of_validation.size());
    if (name == "loss") {
      record.validation->loss = score;
    } else {
      record.validation->metrics.push_back({name, score});
    }
  }
  return record;
}

void add_layers(std::vector<LayerSizes>& layers, const Json& line) {
  const auto found = line.find("layers");
  if (found == line.end() || !found->is_object()) return;
  for (const auto& [name, sizes] : found->items()) {
    if (!sizes.is_object()) continue;
    layers.push_back({whole_in(line, "steps_done"), name, number_in(sizes, "weights"),
                      number_in(sizes, "gradient"), number_in(sizes, "update")});
  }
}

void add_end(RunRecord& run, const Json& line) {
  run.end = line.at("event").get<std::string>();
  run.seconds = number_in(line, "seconds");
  for (const auto& [key, value] : line.items()) {
    if (key.starts_with("test_") && value.is_number()) {
      run.results.push_back({key, value.get<double>()});
    }
  }
}

}  // namespace

RunRecord read_run(const std::string& folder) {
  RunRecord run;
  run.folder = folder;
  const fs::path path(folder);
  run.name = (path.has_filename() ? path : path.parent_path()).filename().string();
  const auto train = make_train();
  read_config(*train, configuration_of_run(folder));
  run.settings = settings_of(*train);
  std::istringstream text(
      fs::exists(path / "metrics.jsonl") ? read_text((path / "metrics.jsonl").string()) : "");
  for (std::string raw; std::getline(text, raw);) {
    const Json line = Json::parse(raw, nullptr, false);  // one that a crash cut short is left out
    if (!line.is_object() || !line.contains("event") || !line["event"].is_string()) continue;
    const auto kind = line["event"].get<std::string>();
    if (kind == "step") run.steps.push_back(step_of(line));
    if (kind == "epoch") run.epochs.push_back(epoch_of(line));
    if (kind == "layers") add_layers(run.layers, line);
    if (kind == "done" || kind == "diverged") add_end(run, line);
  }
  return run;
}

std::string RunRecord::setting(std::string_view wanted) const {
  for (const auto& [key, value] : settings) {
    if (key == wanted) return shown(value);
  }
  return "";
}

bool higher_is_better(const std::string& metric) {
  for (const MetricInfo& row : metric_table()) {
    if (row.name == metric) return row.higher_is_better;
  }
  return false;
}

double RunRecord::best(const std::string& metric, int64_t within) const {
  const bool higher = higher_is_better(metric);
  double best = std::nan("");
  for (const EpochRecord& record : epochs) {
    if (record.epoch > within) break;
    const double value = record[metric];
    const bool better = std::isfinite(value) && (std::isnan(best) || (value > best) == higher);
    if (better) best = value;
  }
  return best;
}

}  // namespace soma::cli
