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

/// Of --json and of history.jsonl.
Json epoch_json(const Event& event, double seconds) {
  Json object{
      {"event", "epoch"}, {"epoch", event.epoch}, {"epochs", event.epochs}, {"loss", event.loss}};
  for (const Score& score : event.metrics) object[score.name] = score.value;
  if (event.validation) add_scores(object, "validation_", *event.validation);
  object["learning_rate"] = event.learning_rate;
  object["samples_per_second"] = std::round(event.samples_per_second);
  object["seconds"] = seconds;
  return object;
}

}  // namespace

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
  if (event.kind == Event::Kind::end) console_.clear_status();
}

void Progress::show_step(const Event& event) {
  if (!console_.terminal() && !console_.json()) return;
  const auto now = std::chrono::steady_clock::now();
  const std::chrono::milliseconds pause(console_.json() ? 500 : 50);
  if (now - shown_ < pause || console_.quiet()) return;
  shown_ = now;
  if (console_.json()) return console_.event(step_json(event));
  const double share = static_cast<double>(event.step) / static_cast<double>(event.steps);
  const std::string numbers = cat("epoch ", event.epoch, "/", event.epochs, " ", console_.dim("▕"));
  const std::string after =
      cat(console_.dim("▏"), " ", static_cast<int>(share * 100), "%  ",
          scores_text(event.loss, event.metrics), "  ", rate_text(event.samples_per_second),
          "  ETA ", duration_text(event.seconds_left));
  const int room = console_.width() - 20 - static_cast<int>(after.size());
  console_.status(cat(numbers, bar(share, std::clamp(room, 4, 30)), after));
}

void Progress::show_epoch(const Event& event) {
  const Json object = epoch_json(event, event.seconds - epoch_start_);
  epoch_start_ = event.seconds;
  history_ += object.dump() + '\n';
  if (console_.quiet()) return;
  if (console_.json()) return console_.event(object);
  std::string text =
      cat("epoch ", event.epoch, "/", event.epochs, "  ", scores_text(event.loss, event.metrics));
  if (event.validation) {
    text += cat("  validation ", scores_text(event.validation->loss, event.validation->metrics));
  }
  console_.line(cat(
      text, "  ",
      console_.dim(cat(rate_text(event.samples_per_second), "  ", duration_text(event.seconds)))));
}

}  // namespace soma::cli
