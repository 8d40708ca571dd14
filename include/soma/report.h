// The report of a training: one page that needs nothing else, for screens and for paper.
//
//   Report report{.title = "iris", .epochs = history.epochs, .layers = {…}};
//   report_html(report, net, info, test);
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "soma/data.h"
#include "soma/layer_watch.h"
#include "soma/model.h"
#include "soma/network.h"
#include "soma/train.h"

namespace soma {

/// What was noted of one step.
struct StepRecord {
  int64_t step = 0;  ///< Steps done, this one included.
  int epoch = 0;
  double loss = 0;  ///< Of its batch.
  double learning_rate = 0;
  double seconds = 0;  ///< Of training so far.
};

/// What a report tells. Everything may be empty: a figure without numbers is left out.
struct Report {
  std::string title;
  std::string introduction = "";  ///< A sentence or two below the title.
  std::vector<StepRecord> steps = {};
  std::vector<EpochRecord> epochs = {};
  std::vector<LayerSizes> layers = {};
  double seconds = 0;  ///< Of the training.
  /// What the rows are that the network is judged by: "test rows".
  std::string rows_name = "test rows";
  std::string command = "";  ///< That trains the same again.
  /// Names and values: options, and whatever else is needed to reproduce the training.
  std::vector<std::pair<std::string, std::string>> settings = {};
};

/// The page: results on `rows` (in the form the network takes them; `info` says how to show them as
/// they were) with confusions or residuals, calibration, figures of each class and the worst
/// mistakes; losses, metrics and learning rate; gradients and updates of each layer; the network;
/// times, settings and command. Figures are SVG, each with its numbers as a table; nothing is
/// fetched and no script runs. Without rows it has no results. Throws what evaluate() throws.
std::string report_html(const Report& report, const Network& net, const ModelInfo& info,
                        const Dataset& rows, const Device& device = Device::cpu());

}  // namespace soma
