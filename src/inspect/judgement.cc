// Predictions and their readings.
#include "src/inspect/judgement.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "soma/text.h"
#include "src/base/text.h"
#include "src/train/targets.h"

namespace soma {
namespace {

/// Rows that are predicted together, and the numbers that this may make at most.
constexpr int64_t most_at_once = 1024, most_numbers = 1 << 22;

/// How a reader knows the classes; those of a text that goes on are its tokens.
std::vector<std::string> names_of(const ModelInfo& info, const Dataset& rows, size_t count) {
  std::vector<std::string> names = info.class_names.empty() ? rows.class_names : info.class_names;
  const auto saved = info.notes.find("tokenizer");
  if (names.empty() && saved != info.notes.end() && rows.target_shape().rank() > 0) {
    const Tokenizer tokenizer = Tokenizer::parse(saved->second);
    for (int64_t i = 0; i < tokenizer.size(); ++i) {
      std::string piece = "“";
      for (const char c : tokenizer.vocabulary().piece(i)) {
        piece += c == '\n' ? "⏎" : std::string(1, c);
      }
      names.push_back(piece + "”");
    }
  }
  for (size_t i = names.size(); i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

/// Scores of classes, read as the loss reads them: [classes]. One output becomes no and yes.
std::vector<double> chances(std::span<const float> outputs, const Loss& loss,
                            const train::Target& target) {
  std::vector<double> values(outputs.begin(), outputs.end());
  if (values.size() == 1) {
    const double yes = target.threshold == 0 ? 1 / (1 + std::exp(-values[0])) : values[0];
    return {1 - yes, yes};
  }
  const bool logits = !loss_objection(loss, activation_named("softmax")).empty();
  if (!logits) return values;
  const double most = *std::ranges::max_element(values);
  double sum = 0;
  for (double& value : values) sum += value = std::exp(value - most);
  for (double& value : values) value /= sum;
  return values;
}

class Judge {
 public:
  Judge(const Network& net, const Loss& loss, const Dataset& rows)
      : net_(net), loss_(loss), rows_(rows), target_(train::check_fit(net, rows, loss)) {
    const bool yes_or_no = target_.width == 1 && target_.shape.elements() == 1;
    labels_ = target_.decides && (rows.is_classification() || yes_or_no);
    numbers_ = target_.numbers && !rows.is_classification();
    if (!labels_ && !numbers_) return;
    result.width = numbers_ ? target_.width : 0;
    result.probabilities = labels_;
  }

  void run(const Device& device) {
    if (!labels_ && !numbers_) return;
    const int64_t rows_at_once =
        std::clamp<int64_t>(most_numbers / std::max<int64_t>(1, net_.output_shape().elements()), 1,
                            std::min(most_at_once, rows_.size()));
    std::vector<int64_t> order(static_cast<size_t>(rows_at_once));
    for (int64_t first = 0; first < rows_.size(); first += rows_at_once) {
      const int64_t count = std::min(rows_at_once, rows_.size() - first);
      const auto picked = std::span(order).first(static_cast<size_t>(count));
      std::iota(picked.begin(), picked.end(), first);
      Shape shape{count};
      for (const int64_t extent : net_.sample_shape()) shape.push_back(extent);
      Tensor inputs(shape);
      rows_.gather_inputs(picked, inputs.data<float>());
      Tensors all{{net_.inputs()[0].name, std::move(inputs)}};
      for (const NetworkInput& input : net_.inputs().subspan(1)) {
        Dataset further;
        further.inputs = rows_.more_input(input.name);
        all.emplace(input.name, further.rows(picked).inputs);
      }
      const Tensors results = net_.predict(all, device);
      take(first, count, results.at(net_.outputs().back()).data<float>());
    }
  }

  Judgement result;

 private:
  void take(int64_t first, int64_t count, std::span<const float> outputs) {
    if (numbers_) {
      const int64_t each = static_cast<int64_t>(outputs.size()) / count;
      for (int64_t i = 0; i < count * each; ++i) {
        result.found.push_back(outputs[static_cast<size_t>(i)]);
        result.wanted.push_back(rows_.targets.at(first * each + i));
      }
      return;
    }
    const int64_t parts = rows_.targets.elements() / rows_.size();  // labels of a row
    const auto width = static_cast<size_t>(target_.width);
    for (int64_t i = 0; i < count * parts; ++i) {
      const auto label = static_cast<int32_t>(std::lround(rows_.targets.at(first * parts + i)));
      if (label < 0) continue;
      const auto values =
          chances(outputs.subspan(static_cast<size_t>(i) * width, width), loss_, target_);
      const auto best = std::ranges::max_element(values) - values.begin();
      result.answers.push_back({first + i / parts, i % parts, label, static_cast<int32_t>(best),
                                values[static_cast<size_t>(best)],
                                values[static_cast<size_t>(label)]});
      for (const double value : values) result.probabilities &= value >= 0 && value <= 1.0001;
    }
  }

  const Network& net_;
  const Loss& loss_;
  const Dataset& rows_;
  train::Target target_;
  bool labels_ = false, numbers_ = false;
};

}  // namespace

std::vector<double> Judgement::confusions() const {
  const size_t count = classes.size();
  std::vector<double> counts(count * count);
  for (const Answer& answer : answers) {
    ++counts[static_cast<size_t>(answer.label) * count + static_cast<size_t>(answer.found)];
  }
  return counts;
}

double Judgement::mistakes() const {
  return static_cast<double>(
      std::ranges::count_if(answers, [](const Answer& a) { return a.label != a.found; }));
}

Judgement judge(const Network& net, const ModelInfo& info, const Dataset& rows,
                const Device& device) {
  const Loss loss = info.loss.empty() ? default_loss(rows) : loss_named(info.loss);
  Judge all(net, loss, rows);
  all.run(device);
  Judgement result = std::move(all.result);
  result.scores = evaluate(net, rows, loss, {.device = device});
  if (result.answers.empty()) return result;
  int32_t most = 1;
  for (const auto& answer : result.answers) most = std::max({most, answer.label, answer.found});
  result.classes = names_of(info, rows, static_cast<size_t>(most) + 1);
  return result;
}

}  // namespace soma
