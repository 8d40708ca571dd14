// What a training leaves on the disk: model.soma, run.toml (every option), metrics.jsonl and the
// same for TensorBoard, report.html, and checkpoints/, from which it goes on after whatever ended
// it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "cli/run_events.h"
#include "soma/layer_watch.h"
#include "soma/train.h"
#include "src/base/file.h"

namespace soma::cli {

class RunFolder {
 public:
  /// Made early, so that a bad path is refused before the work, and kept from other programs until
  /// the end; removed again when it was new and nothing came of it. "" stands for no folder.
  explicit RunFolder(std::string path);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  bool wanted() const { return !path_.empty(); }
  std::string file(std::string_view name) const;

  /// For a new training: throws FileError where one was cut off and could go on.
  void refuse_unfinished() const;
  /// A new training begins with these options: what an earlier one left is removed, but for its
  /// model, which the new one replaces.
  void start(const std::string& configuration);
  /// A training goes on, perhaps with other options: what metrics.jsonl has from after that point
  /// is cut off.
  void go_on(int64_t steps, int epochs, const std::string& configuration);
  /// From now on the sizes of gradients and updates are noted as well. The network and the rows
  /// must outlive the training.
  void watch(const Network& net, const Dataset& train, const FitOptions& options);
  /// Appends what happened to metrics.jsonl.
  void hear(const Event& event);
  /// The last line of a training that is over.
  void close(const nlohmann::ordered_json& result);

 private:
  void append(const nlohmann::ordered_json& object);

  std::string path_;
  bool new_ = false;
  int descriptor_ = -1;
  std::optional<LogFile> log_;
  std::optional<RunEvents> events_;
  std::optional<LayerWatch> watch_;
  size_t watched_ = 0;  // of the sizes it has: those that were noted
};

/// The options of the training in a folder: its run.toml. Throws FileError where there is none.
std::string configuration_of_run(const std::string& folder);

}  // namespace soma::cli
