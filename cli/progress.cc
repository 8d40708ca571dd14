// Lines, bars and JSON from the events of a training.
#include "cli/progress.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "src/base/text.h"

namespace soma::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string bar(double share, int width) {
  std::string text;
  const auto eighths = static_cast<int>(std::lround(share * width * 8));
  for (int i = 0; i < width; ++i) {
    static const char* const blocks[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
    text += blocks[std::clamp(eighths - i * 8, 0, 8)];
  }
  return text;
}

Json step_json(const Event& event) {
  Json object{{"event", "step"},    {"epoch", event.epoch}, {"epochs", event.epochs},
              {"step", event.step}, {"steps", event.steps}, {"loss", event.loss}};
  for (const Score& score : event.metrics) object[score.name] = score.value;
  object["learning_rate"] = event.learning_rate;
  object["samples_per_second"] = std::round(event.samples_per_second);
  object["seconds_left"] = event.seconds_left;
  return object;
}

/// Losses as bars of eight heights, from the first to the last.
std::string sparkline(std::span<const double> losses, size_t width) {
  static const char* const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const size_t columns = std::min(width, losses.size());
  std::vector<double> means(columns);
  for (size_t i = 0; i < columns; ++i) {
    const size_t begin = i * losses.size() / columns, end = (i + 1) * losses.size() / columns;
    for (size_t k = begin; k < end; ++k) means[i] += losses[k];
    means[i] /= static_cast<double>(end - begin);
  }
  std::string text;
  if (means.empty()) return text;
  const auto [least, most] = std::ranges::minmax(means);
  for (const double mean : means) {
    const double share = most > least ? (mean - least) / (most - least) : 0;
    text += bars[std::clamp(static_cast<int>(share * 8), 0, 7)];
  }
  return text;
}

}  // namespace

Json epoch_json(const Event& event) {
  Json object{
      {"event", "epoch"}, {"epoch", event.epoch}, {"epochs", event.epochs}, {"loss", event.loss}};
  for (const Score& score : event.metrics) object[score.name] = score.value;
  if (event.validation) add_scores(object, "validation_", *event.validation);
  object["learning_rate"] = event.learning_rate;
  object["samples_per_second"] = std::round(event.samples_per_second);
  object["seconds"] = event.history.back().seconds;
  return object;
}

std::string rate_text(double samples_per_second) {
  if (samples_per_second >= 1e6) return cat(fixed(samples_per_second / 1e6, 2), "M samples/s");
  if (samples_per_second >= 1e4) return cat(fixed(samples_per_second / 1e3, 0), "k samples/s");
  return cat(fixed(samples_per_second, 0), " samples/s");
}

std::string short_number(double value) {
  const bool plain = value == 0 || (std::abs(value) >= 1e-3 && std::abs(value) < 1e6);
  return plain ? fixed(value, 4) : scientific(value, 3);
}

std::string duration_text(double seconds) {
  if (seconds < 10) return cat(fixed(seconds, 1), " s");
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  const auto two = [](int64_t n) { return cat(n < 10 ? "0" : "", n); };
  if (whole < 3600) return cat(whole / 60, ":", two(whole % 60));
  return cat(whole / 3600, ":", two(whole / 60 % 60), ":", two(whole % 60));
}

std::string scores_text(double loss, std::span<const Score> scores) {
  std::string text = cat("loss ", short_number(loss));
  for (const Score& score : scores) text += cat("  ", score.name, " ", short_number(score.value));
  return text;
}

void add_scores(Json& object, const std::string& prefix, const Evaluation& evaluation) {
  for (const Score& score : evaluation.metrics) object[prefix + score.name] = score.value;
  object[prefix + "loss"] = evaluation.loss;
}

void Progress::show(const Event& event) {
  if (event.kind == Event::Kind::step) show_step(event);
  if (event.kind == Event::Kind::epoch) show_epoch(event);
  if (event.kind == Event::Kind::end) {
    console_.clear_status();
    show_held();
  }
}

void Progress::show_held() {
  if (!held_.empty()) console_.line(held_);
  held_.clear();
}

void Progress::show_step(const Event& event) {
  if (console_.quiet()) return;
  constexpr size_t most_losses = 4096;
  if (losses_.size() == most_losses) {  // then every second one tells as much
    for (size_t i = 0; i < most_losses / 2; ++i) losses_[i] = losses_[2 * i];
    losses_.resize(most_losses / 2);
  }
  losses_.push_back(event.step_loss);
  const auto now = std::chrono::steady_clock::now();
  const bool plain = !console_.json() && !console_.terminal();
  const std::chrono::milliseconds pause(console_.json() ? 500 : plain ? 10'000 : 50);
  if (plain && losses_.size() == 1) shown_ = now;
  if (now - shown_ < pause) return;
  shown_ = now;
  if (console_.json()) return console_.event(step_json(event));
  const double share = static_cast<double>(event.step) / static_cast<double>(event.steps);
  const std::string begin = cat("epoch ", event.epoch, "/", event.epochs, " ");
  const std::string end =
      cat(" ", static_cast<int>(share * 100), "%  ", scores_text(event.loss, event.metrics), "  ",
          rate_text(event.samples_per_second), "  ETA ", duration_text(event.seconds_left));
  if (plain) return console_.line(cat(begin, end));
  const int room = console_.width() - static_cast<int>(begin.size() + end.size()) - 4;
  const int bars = std::clamp(room * 2 / 3, 4, 30), line = std::clamp(room - bars, 0, 24);
  console_.status(cat(begin, console_.dim("▕"), bar(share, bars), console_.dim("▏"), end, " ",
                      console_.dim(sparkline(losses_, static_cast<size_t>(line)))));
}

void Progress::show_epoch(const Event& event) {
  if (console_.quiet()) return;
  if (console_.json()) return console_.event(epoch_json(event));
  held_ =
      cat("epoch ", event.epoch, "/", event.epochs, "  ", scores_text(event.loss, event.metrics));
  if (event.validation) {
    held_ += cat("  validation ", scores_text(event.validation->loss, event.validation->metrics));
  }
  held_ += "  " + console_.dim(
                      cat(rate_text(event.samples_per_second), "  ", duration_text(event.seconds)));
  constexpr int always = 10;  // of thousands of short epochs nobody reads every line
  constexpr std::chrono::milliseconds pause(500);
  const auto now = std::chrono::steady_clock::now();
  if (event.epoch > always && now - line_ < pause) return;
  shown_ = line_ = now;
  show_held();
}

}  // namespace soma::cli
