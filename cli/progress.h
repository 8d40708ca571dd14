// What a person or a program sees of a training: a bar that moves on a terminal, plain lines in a
// pipe, JSON lines with --json.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/console.h"
#include "soma/train.h"

namespace soma::cli {

class Progress {
 public:
  explicit Progress(Console& console) : console_(console) {}
  void show(const Event& event);

 private:
  void show_step(const Event& event);
  void show_epoch(const Event& event);
  void show_held();

  Console& console_;
  std::vector<double> losses_;  // of steps, for the sparkline
  std::string held_;            // the line of the last epoch, where it was not shown
  std::chrono::steady_clock::time_point shown_{}, line_{};  // of the last status, the last line
};

/// The line of an epoch in --json and in metrics.jsonl.
nlohmann::ordered_json epoch_json(const Event& event);
/// Adds "test_loss", "test_accuracy", …: `prefix` before each name.
void add_scores(nlohmann::ordered_json& object, const std::string& prefix,
                const Evaluation& evaluation);
/// "loss 0.4213  accuracy 0.8512"
std::string scores_text(double loss, std::span<const Score> scores);
/// "1:05", "2:10:00"; "0.8 s" below ten seconds.
std::string duration_text(double seconds);
/// Four decimals, or three and an exponent.
std::string short_number(double value);
/// "128k samples/s"
std::string rate_text(double samples_per_second);

}  // namespace soma::cli
