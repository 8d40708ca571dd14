// Finding and reading the data that a command names.
#include "cli/source.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "cli/tables.h"
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
  options.list("--column", columns, "NAME=KIND",
               "What a column of a CSV file is: number, category, yes_no, date or date(d/m/y)");
  options.list("--drop", drop, "COLUMN", "A column of a CSV file to leave out");
  options.text("--task", task, "TASK",
               "regression, binary or classes, where the target leaves it open");
  options.text("--weight", weight, "COLUMN", "A column that says how often each row counts");
  options.list("--missing", missing, "WORD",
               "A further word for a missing value, besides NA, N/A, NaN, null and ?");
  options.text("--delimiter", delimiter, "CHARACTER", "Between the cells of a CSV file");
  options.text("--decimal", decimal, "CHARACTER", "In front of decimals in a CSV file");
  options.text("--header", header, "WORD", "Whether a CSV file's first line has names: yes or no");
  options.real("--memory", memory, 0, 1e6, "GiB of rows of a CSV file; more are kept in a file");
}

bool SourceOptions::is_table() const {
  const auto& names = data::registry();
  const bool named = std::ranges::find(names, data, &data::NamedDataset::name) != names.end();
  return !named && !series.series && !is_media(data, target, media) && is_csv(data);
}

static char one_character(const std::string& flag, const std::string& text) {
  if (text.size() == 1) return text[0];
  if (text == "tab" || text == "\\t") return '\t';
  throw UsageError(cat(flag, " takes one character, or tab; found \"", text, "\""));
}

data::CsvOptions SourceOptions::csv() const {
  data::CsvOptions csv;
  csv.target = target;
  csv.drop = drop;
  csv.weight = weight;
  csv.limit = limit;
  csv.missing.insert(csv.missing.end(), missing.begin(), missing.end());
  if (!delimiter.empty()) csv.delimiter = one_character("--delimiter", delimiter);
  csv.decimal = one_character("--decimal", decimal);
  if (header == "yes" || header == "no") {
    csv.header = header == "yes" ? data::CsvHeader::present : data::CsvHeader::absent;
  } else if (header != "automatic") {
    throw UsageError(cat("--header takes yes or no; found \"", header, "\""));
  }
  if (task == "regression") {
    csv.target_kind = data::CsvTarget::numbers;
  } else if (task == "classes" || task == "binary") {
    csv.target_kind = data::CsvTarget::classes;
  } else if (task != "automatic") {
    throw UsageError(cat("--task takes regression, binary or classes; found \"", task, "\""));
  }
  for (const std::string& column : columns) {
    const size_t equals = column.rfind('=');
    if (equals == column.npos) {
      throw UsageError(
          cat("--column takes NAME=KIND, for example zip=category; found \"", column, "\""));
    }
    csv.kinds.emplace_back(column.substr(0, equals), column.substr(equals + 1));
  }
  return csv;
}

static Schema schema_of(const SourceOptions& options) {
  Schema schema = data::read_schema(options.data, options.csv());
  const Column* target = schema.find(ColumnUse::target);
  if (options.task == "binary" && target->categories.size() != 2) {
    throw UsageError(cat("--task binary needs a target of two classes; column \"", target->name,
                         "\" has ", target->categories.size()));
  }
  return schema;
}

/// Labels as places in `names`, those of a model, instead of in the rows' own names.
static void relabel(Dataset& rows, const std::vector<std::string>& names) {
  std::vector<int32_t> places;
  for (const std::string& name : rows.class_names) {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) {
      throw UsageError(cat("the model knows no class \"", name, "\"", did_you_mean(name, names),
                           "; its classes are ", join(names, ", ")));
    }
    places.push_back(static_cast<int32_t>(found - names.begin()));
  }
  for (int32_t& label : rows.targets.data<int32_t>()) label = places[static_cast<size_t>(label)];
  rows.class_names = names;
}

TrainTest open_source(const SourceOptions& options, const Model* model,
                      std::vector<std::string>* notes) {
  const auto read = [&]() -> TrainTest {
    for (const auto& row : data::registry()) {
      if (row.name == options.data) return row.load(options.folder);
    }
    const bool is_path = std::filesystem::exists(options.data) ||
                         options.data.find_first_of("/.") != std::string::npos;
    if (!is_path) unknown_name(options.data);
    if (options.series.series || (model && is_series(model->info))) {
      return {open_series(options.data, options.csv(), options.series, model), {}};
    }
    if (model && !model->info.table.columns.empty() && is_csv(options.data)) {
      const Schema& table = model->info.table;
      const Column* target = table.find(ColumnUse::target);
      if (target && !options.target.empty() && options.target != target->name) {
        throw UsageError(cat("the model predicts the column \"", target->name, "\", not \"",
                             options.target, "\""));
      }
      return {data::load_csv(options.data, table, notes), {}};
    }
    if (auto media = open_media(options.data, options.target, options.media, model)) {
      return std::move(*media);
    }
    if (!is_csv(options.data)) return idx_pair(options);
    Dataset rows = data::load_csv(options.data, options.csv());
    if (model && !model->info.class_names.empty() && !rows.class_names.empty()) {
      relabel(rows, model->info.class_names);
    }
    return {std::move(rows), {}};
  };
  TrainTest both = read();
  for (Dataset* part : {&both.train, &both.test}) {
    if (options.limit > 0 && options.limit < part->size()) *part = part->subset(0, options.limit);
  }
  return both;
}

Parts open_parts(const SourceOptions& options, double& validation, double test, uint64_t seed) {
  Parts parts;
  std::vector<Dataset> cut;
  const auto fractions = [&](int64_t rows, bool table) {
    if (std::isnan(validation)) validation = table && rows >= 50 ? 0.15 : 0;
    const double kept = rows >= 20 ? 1 - test : 1;
    return std::vector{kept * (1 - validation), kept * validation, 1 - kept};
  };
  if (options.is_table()) {
    const Schema schema = schema_of(options);
    const auto bytes = static_cast<uint64_t>(options.memory * double{1 << 30});
    cut = data::load_csv(options.data, schema, fractions(schema.rows, true), seed, bytes);
  } else {
    TrainTest both = open_source(options);
    if (both.test.size() > 0) {
      test = 0;
      parts.test = std::move(both.test);
    }
    const auto shares = fractions(both.train.size(), is_table(both.train));
    cut = is_series(both.train) ? cut_in_time(both.train, shares)
                                : data::stratified_split(both.train, shares, seed);
  }
  parts.train = std::move(cut[0]);
  if (cut[1].size() > 0) parts.validation = std::move(cut[1]);
  if (cut[2].size() > 0) parts.test = std::move(cut[2]);
  if (parts.train.size() == 0) {
    throw ArgumentError(cat("the data set \"", options.data, "\" leaves no rows to train with; ",
                            "keep fewer for --validation and --test"));
  }
  return parts;
}

}  // namespace soma::cli
