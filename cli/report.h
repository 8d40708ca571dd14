// report.html in the folder of a run.
#pragma once

#include <string>

#include "soma/data.h"
#include "soma/model.h"
#include "soma/plan.h"

namespace soma::cli {

/// The rows a training is judged by, as the network takes them: those of the test, else those of
/// the validation, else those it learned from.
struct Judges {
  Dataset rows;
  std::string name;  ///< "test rows"
};
/// For the training whose options are in that file.
Judges judges_of(const std::string& configuration);

/// Reads the folder and writes its report; returns the path. Throws FileError.
std::string write_report(const std::string& folder, const Network& net, const ModelInfo& info,
                         const Dataset& rows, const std::string& rows_name, const Device& device);

}  // namespace soma::cli
