// The lines of metrics.jsonl as numbers for TensorBoard.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "soma/event_file.h"

namespace soma::cli {

class RunEvents {
 public:
  /// A new event file in the folder of a run, in place of those that are there.
  explicit RunEvents(const std::string& folder);
  /// Lines of other kinds than step, epoch and layers are passed over. `seconds_ago`: when it
  /// happened.
  void add(const nlohmann::ordered_json& line, double seconds_ago = 0);

 private:
  EventFile file_;
};

}  // namespace soma::cli
