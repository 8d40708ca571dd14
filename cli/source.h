// The data argument of train, evaluate and data: a name of the registry, a CSV file, a pair of IDX
// files, a folder of images or texts, or a text.
#pragma once

#include <optional>
#include <string>
#include <vector>

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
  // How a CSV file is read.
  std::string task = "automatic", header = "automatic", delimiter, decimal = ".", weight;
  std::vector<std::string> columns, drop, missing;
  double memory = 4;  ///< GiB of rows; more are kept in a file.

  void add_to(Options& options, Need need = Need::required);
  /// Whether it is a CSV file of rows that are examples each by itself.
  bool is_table() const;
  /// Throws UsageError.
  data::CsvOptions csv() const;
};

/// Throws UsageError for a name that nothing has, and soma::Error for files that cannot be read.
/// With a model that was trained before, rows and labels are as it takes them; `notes` receives
/// what is to be said about the rows.
TrainTest open_source(const SourceOptions& options, const Model* model = nullptr,
                      std::vector<std::string>* notes = nullptr);

/// What the rows are used for.
struct Parts {
  Dataset train;
  std::optional<Dataset> validation, test;
};
/// The data set in parts: `test` of the rows unless the source has a test set, and `validation` of
/// the rest (NaN becomes 0.15 for tables of 50 rows or more, else none), with every class in each
/// as often as in all; of series they are the last rows. Throws what open_source() throws.
Parts open_parts(const SourceOptions& options, double& validation, double test, uint64_t seed);

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
