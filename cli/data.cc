// soma data: which data sets have a name, and what is in one.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/source.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

using Json = nlohmann::ordered_json;

/// Smallest, mean and largest number of one feature or of all.
struct Range {
  double least = HUGE_VAL, most = -HUGE_VAL, sum = 0, count = 0;
  void add(double value) {
    least = std::min(least, value);
    most = std::max(most, value);
    sum += value;
    count += 1;
  }
  double mean() const { return count > 0 ? sum / count : 0; }
  Json json() const { return {{"min", least}, {"mean", mean()}, {"max", most}}; }
  std::vector<std::string> cells() const {
    return {number_text(least), number_text(mean()), number_text(most)};
  }
  static std::string number_text(double value) { return fixed(value, 4); }
};

std::string rows_text(int64_t rows) { return cat(rows, rows == 1 ? " row" : " rows"); }

class Data : public Command {
 public:
  std::string_view name() const override { return "data"; }
  std::string_view summary() const override {
    return "List the data sets that have a name, or describe one";
  }
  std::string_view examples() const override {
    return "  soma data\n"
           "  soma data fashion-mnist\n"
           "  soma data houses.csv --target price\n"
           "  soma data iris --json\n";
  }
  void options(Options& options) override { source_.add_to(options, Need::optional); }

  int run(Console& console) override {
    if (source_.data.empty()) {
      list(console);
    } else if (source_.is_table()) {
      data::CsvOptions csv = source_.csv();
      csv.drop_text = true;
      describe_table(console, source_.data, data::read_schema(source_.data, csv));
    } else {
      const TrainTest both = open_source(source_);
      const Schema& schema = both.train.schema;
      if (schema.rows > 0) {
        describe_table(console, both.train.name, schema);
      } else {
        describe(console, both);
      }
    }
    return exit_ok;
  }

 private:
  void list(Console& console) const {
    std::vector<std::vector<std::string>> rows = {{"name", "rows", "one row", "what it is"}};
    Json all = Json::array();
    for (const auto& row : data::registry()) {
      rows.push_back({std::string(row.name), std::string(row.rows), std::string(row.shape),
                      std::string(row.description)});
      all.push_back({{"name", row.name},
                     {"rows", row.rows},
                     {"shape", row.shape},
                     {"description", row.description},
                     {"source", row.source},
                     {"licence", row.licence}});
    }
    if (console.json()) return console.event({{"event", "data"}, {"data_sets", all}});
    console.line(table(rows));
    console.note("\nAlso: any CSV file, and pairs of IDX files. soma data NAME describes one.");
  }

  void head(Console& console, const std::string& name) const {
    console.line(console.bold(name));
    for (const auto& row : data::registry()) {
      if (row.name != source_.data) continue;
      console.line(cat(row.description, "\nsource: ", row.source, "\nlicence: ", row.licence));
    }
  }

  // ---- tables

  static std::string value_text(const Column& column, double value) {
    if (column.kind != ColumnKind::date) return Range::number_text(value);
    const std::chrono::year_month_day day{
        std::chrono::sys_days(std::chrono::days(static_cast<int64_t>(std::floor(value))))};
    const auto two = [](unsigned n) { return cat(n < 10 ? "0" : "", n); };
    return cat(static_cast<int>(day.year()), "-", two(static_cast<unsigned>(day.month())), "-",
               two(static_cast<unsigned>(day.day())));
  }
  static std::string kind_text(const Column& column) {
    if (column.kind == ColumnKind::date) return cat("date ", column.date);
    if (column.categories.empty()) return std::string(name_of(column.kind));
    std::vector<std::string> some;
    for (size_t i = 0; i < std::min<size_t>(column.categories.size(), 4); ++i) {
      some.push_back(cat(excerpt(column.categories[i], 20), " ", column.counts[i]));
    }
    const size_t count = column.categories.size();
    return cat(count, " categories: ", join(some, ", "), count > some.size() ? ", …" : "");
  }

  void describe_table(Console& console, const std::string& name, const Schema& schema) const {
    if (console.json()) return console.event(as_json(name, schema));
    head(console, name);
    console.line(cat(rows_text(schema.rows), schema.without_target > 0
                                                 ? cat(", and ", schema.without_target,
                                                       " without a target, which are left out")
                                                 : ""));
    std::vector<std::vector<std::string>> rows = {
        {"column", "use", "what it is", "missing", "min", "mean", "max"}};
    for (const Column& column : schema.columns) {
      const bool numbers = column.least < column.most;
      const auto cell = [&](double value) { return numbers ? value_text(column, value) : ""; };
      const bool known = column.use != ColumnUse::dropped || column.note != "as asked";
      const bool text = column.kind == ColumnKind::text;
      rows.push_back({column.name, std::string(name_of(column.use)),
                      cat(known && !text ? kind_text(column) : "",
                          column.note.empty() || text ? "" : "; ", column.note),
                      std::to_string(column.missing), cell(column.least), cell(column.mean),
                      cell(column.most)});
    }
    console.line("\n" + table(rows));
    console.note("--column NAME=KIND, --drop NAME, --target NAME and --task change what is found.");
  }
  Json as_json(const std::string& name, const Schema& schema) const {
    Json object{{"event", "data"}, {"name", name}, {"rows", schema.rows}};
    object["rows_without_target"] = schema.without_target;
    for (const Column& column : schema.columns) {
      Json row{{"name", column.name},
               {"kind", name_of(column.kind)},
               {"use", name_of(column.use)},
               {"missing", column.missing}};
      if (column.least < column.most) {
        row["min"] = column.least;
        row["mean"] = column.mean;
        row["max"] = column.most;
      }
      for (size_t i = 0; i < column.categories.size(); ++i) {
        row["categories"].push_back({{"name", column.categories[i]}, {"rows", column.counts[i]}});
      }
      if (!column.note.empty()) row["note"] = column.note;
      object["columns"].push_back(row);
      if (column.use == ColumnUse::target && row.contains("categories")) {
        object["classes"] = row["categories"];
      }
    }
    return object;
  }

  // ---- images, points and series

  void describe(Console& console, const TrainTest& both) const {
    const Dataset& train = both.train;
    if (console.json()) return console.event(as_json(both));
    head(console, train.name);
    if (!train.origin.empty()) console.line(cat("found in ", train.origin));
    console.line(cat(rows_text(train.size()),
                     both.test.size() > 0
                         ? cat(" to train with, ", rows_text(both.test.size()), " to test with")
                         : "",
                     "; one row is ", train.input_shape(), " of ", train.inputs.type()));
    if (train.input_scale != 1) {
      console.line(cat("elements are multiplied by ", number(train.input_scale), " when read"));
    }
    console.line("\n" + table(feature_rows(train)));
    console.line("\n" + table(target_rows(train)));
  }

  static std::vector<Range> ranges(const Dataset& dataset, const Tensor& tensor, bool per_column) {
    const int64_t columns = per_column ? tensor.elements() / dataset.size() : 1;
    std::vector<Range> all(static_cast<size_t>(columns));
    for (int64_t i = 0; i < tensor.elements(); ++i) {
      all[static_cast<size_t>(i % columns)].add(tensor.at(i));
    }
    return all;
  }
  /// A table has a row per feature; images have one for all pixels.
  static bool is_table(const Dataset& dataset) {
    return dataset.input_shape().rank() == 1 && dataset.features() <= 100;
  }
  static std::string feature_name(const Dataset& dataset, size_t i) {
    const auto columns = dataset.schema.inputs();
    return i < columns.size() ? columns[i]->name : cat("feature ", i);
  }

  static std::vector<std::vector<std::string>> feature_rows(const Dataset& dataset) {
    std::vector<std::vector<std::string>> rows = {{"feature", "min", "mean", "max"}};
    const bool per_column = is_table(dataset);
    const auto all = ranges(dataset, dataset.inputs, per_column);
    for (size_t i = 0; i < all.size(); ++i) {
      std::vector<std::string> row = {per_column ? feature_name(dataset, i) : "all elements"};
      for (auto& cell : all[i].cells()) row.push_back(std::move(cell));
      rows.push_back(std::move(row));
    }
    return rows;
  }

  static std::vector<int64_t> class_counts(const Dataset& dataset) {
    std::vector<int64_t> counts(static_cast<size_t>(dataset.classes()));
    for (const int32_t label : dataset.targets.data<int32_t>())
      ++counts[static_cast<size_t>(label)];
    return counts;
  }
  static std::string class_name(const Dataset& dataset, size_t label) {
    return label < dataset.class_names.size() ? dataset.class_names[label] : std::to_string(label);
  }

  static std::vector<std::vector<std::string>> target_rows(const Dataset& dataset) {
    std::vector<std::vector<std::string>> rows;
    if (dataset.is_classification()) {
      rows.push_back({"class", "rows"});
      const auto counts = class_counts(dataset);
      for (size_t i = 0; i < counts.size(); ++i) {
        rows.push_back({cat(i, " ", class_name(dataset, i)), std::to_string(counts[i])});
      }
    } else {
      rows.push_back({"target", "min", "mean", "max"});
      for (const Range& range : ranges(dataset, dataset.targets, true)) {
        rows.push_back({cat("column ", rows.size() - 1)});
        for (auto& cell : range.cells()) rows.back().push_back(std::move(cell));
      }
    }
    return rows;
  }

  Json as_json(const TrainTest& both) const {
    const Dataset& train = both.train;
    const Shape row = train.input_shape();
    Json object{{"event", "data"},
                {"name", train.name},
                {"rows", train.size()},
                {"test_rows", both.test.size()},
                {"row_shape", std::vector<int64_t>(row.begin(), row.end())},
                {"type", std::string(name_of(train.inputs.type()))},
                {"scale", train.input_scale}};
    const bool per_column = is_table(train);
    const auto features = ranges(train, train.inputs, per_column);
    for (size_t i = 0; i < features.size(); ++i) {
      Json feature = features[i].json();
      feature["name"] = per_column ? feature_name(train, i) : "all elements";
      object["features"].push_back(feature);
    }
    if (train.is_classification()) {
      const auto counts = class_counts(train);
      for (size_t i = 0; i < counts.size(); ++i) {
        object["classes"].push_back({{"name", class_name(train, i)}, {"rows", counts[i]}});
      }
    } else {
      for (const Range& range : ranges(train, train.targets, true))
        object["targets"].push_back(range.json());
    }
    return object;
  }

  SourceOptions source_;
};

}  // namespace

std::unique_ptr<Command> make_data() { return std::make_unique<Data>(); }

}  // namespace soma::cli
