// What a loss wants to compare the outputs with, and whether a data set can give it: every
// objection is found here, before the first batch.
#pragma once

#include <string_view>

#include "soma/data.h"
#include "soma/network.h"
#include "soma/nn.h"

namespace soma::train {

/// The targets as the program takes them.
struct Target {
  Shape shape;             ///< Of one row.
  DType type = f32;        ///< i32 for labels, else f32.
  bool one_hot = false;    ///< Labels that the loss compares as 0 and 1 for each class.
  int64_t width = 1;       ///< The last extent of the network's output.
  bool decides = false;    ///< The targets are classes, or yes and no: accuracy means something.
  bool compares = true;    ///< Each output, or row of classes, has its target: metrics make sense.
  bool numbers = false;    ///< The outputs are numbers like the targets: so do mae and r2.
  double threshold = 0.5;  ///< See Answers.
};

/// Throws ShapeError, TypeError or ArgumentError when data, network and loss do not go together.
/// `output` is a layer, "" the last one; `target` one of the further targets, "" the targets.
Target check_fit(const Network& net, const Dataset& dataset, const Loss& loss,
                 std::string_view output = "", std::string_view target = "");

/// The loss of outputs [rows, …] against targets of that kind, with weights [rows] if there are
/// any.
Value loss_of(const Loss& loss, const Target& target, Value output, Value wanted,
              Value weights = {});

}  // namespace soma::train
