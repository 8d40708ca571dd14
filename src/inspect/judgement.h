// What a network answers to rows, beside what would have been right.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "soma/model.h"
#include "soma/train.h"

namespace soma {

struct Judgement {
  Evaluation scores;

  // ---- where the targets are classes, or yes and no
  std::vector<std::string> classes;
  struct Answer {
    int64_t row = 0, part = 0;  ///< Where a row has several labels, one for each step: which.
    int32_t label = 0, found = 0;
    double sure = 0;   ///< The probability of what was found,
    double right = 0;  ///< and of the label.
  };
  std::vector<Answer> answers;
  bool probabilities = false;  ///< Else `sure` and `right` are outputs of another kind.

  // ---- where they are numbers: [rows, width]
  int64_t width = 0;
  std::vector<double> wanted, found;

  /// How often each answer (column) was given to each label (row).
  std::vector<double> confusions() const;
  double mistakes() const;
};

/// Rows are as the network takes them.
Judgement judge(const Network& net, const ModelInfo& info, const Dataset& rows,
                const Device& device);

}  // namespace soma
