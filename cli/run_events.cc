// From JSON lines to events.
#include "cli/run_events.h"

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "src/base/text.h"

namespace soma::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

EventFile fresh_file(const std::string& folder) {
  std::error_code ignored;
  for (const auto& old : fs::directory_iterator(folder, ignored)) {
    if (old.path().filename().string().starts_with("events.out.tfevents.")) {
      fs::remove(old.path(), ignored);
    }
  }
  return EventFile(folder);
}

}  // namespace

RunEvents::RunEvents(const std::string& folder) : file_(fresh_file(folder)) {}

void RunEvents::add(const Json& line, double seconds_ago) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const double time = std::chrono::duration<double>(now).count() - seconds_ago;
  const std::string kind = line.value("event", "");
  if (kind != "step" && kind != "epoch" && kind != "layers") return;
  const auto at = line.value(kind == "epoch" ? "epoch" : "steps_done", int64_t{0});
  if (kind == "layers") {
    for (const auto& [layer, sizes] : line.at("layers").items()) {
      for (const auto& [name, value] : sizes.items()) {
        if (value.is_number()) file_.add(cat(name, "/", layer), at, value.get<double>(), time);
      }
    }
    return;
  }
  for (const auto& [name, value] : line.items()) {
    const bool counts = name == "epoch" || name == "epochs" || name == "step" ||
                        name == "steps_done" || name == "seconds";
    if (value.is_number() && !counts) {
      file_.add(cat(kind, "/", name), at, value.get<double>(), time);
    }
  }
}

}  // namespace soma::cli
