// The folder of a run.
#include "cli/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/progress.h"
#include "soma/error.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char *configuration_name = "run.toml", *metrics_name = "metrics.jsonl",
                     *report_name = "report.html";
constexpr int64_t most_step_lines = 1000;

/// The lines of metrics.jsonl; one that a crash cut short is left out.
std::vector<std::pair<std::string, Json>> read_lines(const std::string& path) {
  std::vector<std::pair<std::string, Json>> lines;
  if (!fs::exists(path)) return lines;
  std::istringstream text(read_text(path));
  for (std::string line; std::getline(text, line);) {
    Json object = Json::parse(line, nullptr, false);
    if (object.is_object()) lines.emplace_back(line, std::move(object));
  }
  return lines;
}

std::string kind_of(const Json& line) {
  const auto found = line.find("event");
  return found != line.end() && found->is_string() ? found->get<std::string>() : "";
}
int64_t number_in(const Json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number_integer() ? found->get<int64_t>() : -1;
}

/// The layers at one step.
Json layers_json(std::span<const LayerSizes> sizes) {
  Json layers;
  for (const LayerSizes& row : sizes) {
    layers[row.layer] = {
        {"weights", row.weights}, {"gradient", row.gradient}, {"update", row.update}};
  }
  return {{"event", "layers"}, {"steps_done", sizes.front().step}, {"layers", layers}};
}

}  // namespace

RunFolder::RunFolder(std::string path) : path_(std::move(path)) {
  if (path_.empty()) return;
  new_ = !fs::exists(path_);
  make_folder(path_);
  if (access(path_.c_str(), W_OK) != 0) {
    throw FileError(cat("cannot write into the folder \"", path_, "\": permission denied"));
  }
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ >= 0 && ::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(descriptor_);
    throw FileError(cat("another training writes into the folder \"", path_,
                        "\" at this moment; wait for its end or choose another folder"));
  }
  remove_temporaries(path_);
}

RunFolder::~RunFolder() {
  std::error_code ignored;
  if (new_) fs::remove(file("checkpoints"), ignored);  // refuses a folder with files in it
  if (new_) fs::remove(path_, ignored);
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::string RunFolder::file(std::string_view name) const {
  return (fs::path(path_) / name).string();
}

void RunFolder::refuse_unfinished() const {
  if (!wanted() || !fs::exists(file(configuration_name))) return;
  const auto lines = read_lines(file(metrics_name));
  const std::string last = lines.empty() ? "" : kind_of(lines.back().second);
  if (last == "done" || last == "diverged") return;
  throw FileError(cat(
      "the folder \"", path_, "\" holds a training that was cut off; go on with it: ",
      "soma train --resume ", path_, "; or choose another folder, or begin anew with --overwrite"));
}

void RunFolder::start(const std::string& configuration) {
  if (!wanted()) return;
  std::error_code ignored;  // what is in the way will be named when it is written
  for (const auto& old : fs::directory_iterator(file("checkpoints"), ignored)) {
    if (old.path().extension() == ".checkpoint") fs::remove(old.path(), ignored);
  }
  fs::remove(file(metrics_name), ignored);
  fs::remove(file(report_name), ignored);
  write_file_atomic(file(configuration_name), configuration);
  log_.emplace(file(metrics_name));
  events_.emplace(path_);
}

void RunFolder::go_on(int64_t steps, int epochs, const std::string& configuration) {
  write_file_atomic(file(configuration_name), configuration);
  std::string kept;
  std::vector<std::pair<Json, double>> past;  // with the seconds of training
  double seconds = 0;
  for (const auto& [line, object] : read_lines(file(metrics_name))) {
    const std::string kind = kind_of(object);
    const bool of_step = kind == "step" || kind == "layers";
    const bool before = (of_step && number_in(object, "steps_done") <= steps) ||
                        (kind == "epoch" && number_in(object, "epoch") <= epochs);
    if (!before) continue;
    kept += line + '\n';
    if (kind == "step") seconds = object.value("seconds", seconds);
    past.emplace_back(object, seconds);
  }
  write_file_atomic(file(metrics_name), kept);
  log_.emplace(file(metrics_name));
  events_.emplace(path_);
  for (const auto& [object, at] : past) events_->add(object, seconds - at);
}

void RunFolder::watch(const Network& net, const Dataset& train, const FitOptions& options) {
  if (wanted()) watch_.emplace(net, train, options);
}

void RunFolder::hear(const Event& event) {
  if (!log_) return;
  if (watch_) {
    (*watch_)(event);
    const auto fresh = watch_->sizes().subspan(watched_);
    watched_ += fresh.size();
    if (!fresh.empty()) append(layers_json(fresh));
  }
  if (event.kind == Event::Kind::epoch) append(epoch_json(event));
  if (event.kind == Event::Kind::checkpoint) log_->flush();
  if (event.kind != Event::Kind::step) return;
  const int64_t all = event.steps * event.epochs,
                done = event.steps * (event.epoch - 1) + event.step;
  if (done % std::max<int64_t>(1, all / most_step_lines) != 0) return;
  append({{"event", "step"},
          {"epoch", event.epoch},
          {"step", event.step},
          {"steps_done", done},
          {"loss", event.step_loss},
          {"learning_rate", event.learning_rate},
          {"seconds", event.seconds}});
}

void RunFolder::close(const Json& result) {
  if (!log_) return;
  append(result);
  log_->flush();
}

void RunFolder::append(const Json& object) {
  events_->add(object);
  log_->append(object.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n');
}

std::string configuration_of_run(const std::string& folder) {
  const std::string path = (fs::path(folder) / configuration_name).string();
  if (fs::exists(path)) return path;
  throw FileError(cat("there is no training to go on with in \"", folder, "\": it has no ",
                      configuration_name, "; soma train … --out FOLDER leaves one"));
}

}  // namespace soma::cli
