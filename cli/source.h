// The data argument of train, evaluate and data: a name of the registry, a CSV file, a pair of IDX
// files, a folder of images or texts, or a text.
#pragma once

#include <string>

#include "cli/media.h"
#include "cli/options.h"
#include "cli/series.h"
#include "soma/data.h"
#include "soma/error.h"

namespace soma::cli {

struct SourceOptions {
  std::string data;    ///< "fashion-mnist", "table.csv" or "images.idx"
  std::string folder;  ///< Where a named data set's files are; "" looks in the usual places.
  std::string target;  ///< The column a CSV file is to predict; "" is the last.
  std::string labels;  ///< The IDX file of labels that belongs to an IDX file of inputs.
  MediaOptions media;  ///< How images and texts are read.
  SeriesOptions series;
  int64_t limit = 0;  ///< Only the first rows of each part; 0 takes all.

  void add_to(Options& options, Need need = Need::required);
};

/// Throws UsageError for a name that nothing has, and soma::Error for files that cannot be read.
/// With a model that was trained before, rows and labels are as it takes them.
TrainTest open_source(const SourceOptions& options, const Model* model = nullptr);

/// Runs `parse`, turning what it throws about the text of `flag` into a UsageError.
template <class Parse>
auto usage(const std::string& flag, Parse&& parse) {
  try {
    return parse();
  } catch (const Error& error) {
    throw UsageError(flag + ": " + error.what());
  }
}

}  // namespace soma::cli
