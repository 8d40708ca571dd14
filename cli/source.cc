// Finding and reading the data that a command names.
#include "cli/source.h"

#include <filesystem>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool is_csv(std::string path) {
  if (ends_with(path, ".gz")) path.resize(path.size() - 3);
  return ends_with(path, ".csv") || ends_with(path, ".tsv") || ends_with(path, ".txt");
}

TrainTest idx_pair(const SourceOptions& options) {
  if (options.labels.empty()) {
    throw UsageError(cat("\"", options.data, "\" is read as an IDX file of inputs: give the IDX ",
                         "file of its labels with --labels FILE (a table needs the ending .csv)"));
  }
  Dataset dataset = data::in_memory(data::load_idx(options.data), data::load_idx(options.labels));
  dataset.name = std::filesystem::path(options.data).filename().string();
  dataset.origin = options.data;
  if (dataset.inputs.type() == u8) dataset.input_scale = 1.0 / 255;
  return {std::move(dataset), {}};
}

[[noreturn]] void unknown_name(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& row : data::registry()) names.emplace_back(row.name);
  throw UsageError(cat("there is no data set \"", name, "\"", did_you_mean(name, names),
                       "; give the path of a CSV or IDX file or one of ", join(names, ", ")));
}

}  // namespace

void SourceOptions::add_to(Options& options, Need need) {
  options.positional(
      "data", data,
      "A named data set (soma data lists them), a CSV file, an IDX file of inputs, a folder of "
      "class folders with images or texts, or a text (.txt) to go on with",
      need);
  options.text("--data-folder", folder, "FOLDER", "Where the files of a named data set are");
  options.text("--target", target, "COLUMN",
               "Column of a CSV file to predict, by name or number from 0 (default: the last)");
  options.text("--labels", labels, "FILE", "IDX file with the labels of an IDX file of inputs");
  media.add_to(options);
  series.add_to(options);
  options.integer("--limit", limit, 0, no_limit, "Use only the first N rows (0: all)");
}

TrainTest open_source(const SourceOptions& options, const Model* model) {
  const auto read = [&]() -> TrainTest {
    for (const auto& row : data::registry()) {
      if (row.name == options.data) return row.load(options.folder);
    }
    const bool is_path = std::filesystem::exists(options.data) ||
                         options.data.find_first_of("/.") != std::string::npos;
    if (!is_path) unknown_name(options.data);
    if (options.series.series || (model && is_series(model->info))) {
      return {open_series(options.data, options.target, options.series, model), {}};
    }
    if (auto media = open_media(options.data, options.target, options.media, model)) {
      return std::move(*media);
    }
    if (!is_csv(options.data)) return idx_pair(options);
    data::CsvOptions csv;
    csv.target = options.target;
    if (model) csv.class_names = model->info.class_names;
    return {data::load_csv(options.data, csv), {}};
  };
  TrainTest both = read();
  for (Dataset* part : {&both.train, &both.test}) {
    if (options.limit > 0 && options.limit < part->size()) *part = part->subset(0, options.limit);
  }
  return both;
}

}  // namespace soma::cli
