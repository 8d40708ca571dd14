// The sections of a report.
#pragma once

#include <string>

#include "soma/report.h"
#include "src/inspect/judgement.h"

namespace soma {

/// Confusions, calibration and figures of each class; or predictions and residuals.
std::string results_section(const Judgement& judgement, const ModelInfo& info,
                            const std::string& rows_name);
/// The mistakes that cost most: pictures or rows, in the units of the data.
std::string mistakes_section(const Judgement& judgement, const ModelInfo& info, const Dataset& rows,
                             const std::string& rows_name);
/// Losses, metrics and the learning rate.
std::string learning_section(const Report& report);
/// Gradients and updates of each layer.
std::string layers_section(const Report& report);

}  // namespace soma
