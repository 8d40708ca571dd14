// The pages of docs/reference that list what networks and training are made of: one row for each
// row of a registry.
#include <gtest/gtest.h>

#include "soma/data.h"
#include "soma/layers.h"
#include "soma/nn.h"
#include "soma/optim.h"
#include "soma/regularizers.h"
#include "soma/text.h"
#include "soma/train.h"
#include "src/base/text.h"
#include "tests/page.h"

namespace soma {
namespace {

std::string parameters_of_row(const Row& row) {
  std::vector<std::string> all;
  for (const Parameter& p : row.parameters) {
    all.push_back(cat("`", p.name, p.initial.empty() ? "" : "=", p.initial, "`",
                      p.range.empty() ? "" : " in ", p.range));
  }
  return join(all, ", ");
}

template <class R>
std::string table_of(const Registry<R>& registry) {
  std::string text = "| name | formula | parameters | source | note |\n|---|---|---|---|---|\n";
  for (const R& row : registry) {
    text += cat("| `", row.name, "` | ", cell(row.formula), " | ", parameters_of_row(row), " | ",
                cell(row.source), " | ", cell(row.note), " |\n");
  }
  return text;
}

std::string activations_page() {
  std::string text =
      "# Activation functions\n\n"
      "Made from `include/soma/activations.def`. Each name is a C++ function and reads from text: "
      "`leaky_relu(0.2)`.\nA parameter may be `learned` (one for each neuron) or `shared` (one for "
      "the layer). Where the derivative\nspeaks of s, t or y, it is the sigmoid, the tanh or the "
      "result; g is the gradient that arrives.\n";
  for (const bool vector : {false, true}) {
    text += cat("\n## ", vector ? "Of all numbers along an axis" : "Of one number",
                "\n\n| name | f(x) | derivative | parameters | source | note "
                "|\n|---|---|---|---|---|---|\n");
    for (const ActivationRow& row : activations()) {
      if (row.vector != vector) continue;
      text += cat("| `", row.name, "` | ", cell(row.formula), " | ", cell(row.derivative), " | ",
                  parameters_of_row(row), " | ", cell(row.source), " | ", cell(row.note), " |\n");
    }
  }
  return text;
}

std::string metrics_table() {
  std::string text = "| name | meaning | better |\n|---|---|---|\n";
  for (const MetricInfo& row : metric_table()) {
    text += cat("| `", row.name, "` | ", cell(row.meaning), " | ",
                row.higher_is_better ? "higher" : "lower", " |\n");
  }
  return text;
}

std::string training_page() {
  return cat(
      "# Losses, optimizers, schedules, initializers, regularizers, metrics\n\n"
      "Made from the registries in `include/soma/*.def`. Each name is a C++ function and reads "
      "from "
      "text:\n`huber(delta=2)`, `clip_global_norm(1) + adam(lr=0.001)`.\n",
      "\n## Losses\n\np is the prediction, t the target.\n\n", table_of(losses()),
      "\n## Optimizers and their parts\n\ng is the gradient, p the parameter, t the step from "
      "1.\n\n",
      table_of(optimizers()), "\n## Schedules\n\nt is the step, 0 for the first.\n\n",
      table_of(schedules()), "\n## Initializers\n\n", table_of(initializers()),
      "\n## Regularizers\n\nw are the weights.\n\n", table_of(regularizers()),
      "\n## Augmentations\n\nChanges of training images, in `soma/augment.h`.\n\n",
      table_of(augmentations()),
      "\n## Tokenizers\n\nWhat the vocabulary of a text is, in `soma/text.h`.\n\n",
      table_of(tokenizers()), "\n## Metrics\n\n", metrics_table());
}

TEST(Reference, Activations) { expect_page("activations.md", activations_page()); }
TEST(Reference, Training) { expect_page("training.md", training_page()); }
TEST(Reference, Layers) {
  expect_page(
      "layers.md",
      cat("# Layers\n\nMade from the registry `include/soma/layers.def`. As text: "
          "`dense(units=128 activation=relu)`, or short, `128 relu`;\nin C++ "
          "`conv2d(32, 3, relu).with(\"padding\", \"same\")`. Samples are [features], images "
          "[channels, height, width],\nsequences [time, features].\n\n",
          layer_documentation()));
}

}  // namespace
}  // namespace soma
