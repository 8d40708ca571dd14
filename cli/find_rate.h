// soma train --find-lr: losses over rising learning rates, as a plot.
#pragma once

#include <string>

#include "cli/console.h"
#include "soma/train.h"

namespace soma::cli {

/// Shows what find_learning_rate() tries and suggests; draws it into `plot` unless that is "".
int show_rates(Console& console, const Network& net, const Dataset& train,
               const FitOptions& options, const std::string& plot);

}  // namespace soma::cli
