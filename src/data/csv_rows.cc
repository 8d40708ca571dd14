// The second reading of a CSV file: its rows as a schema has them.
#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <utility>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/data/cells.h"
#include "src/data/csv.h"
#include "src/data/csv_lines.h"
#include "src/data/parts.h"

namespace soma::data {

constexpr float nothing = std::numeric_limits<float>::quiet_NaN();

class CsvRows::Impl {
 public:
  Impl(std::unique_ptr<ByteSource> source, std::string name, const Schema& schema)
      : name_(std::move(name)),
        schema_(schema),
        missing_(schema.missing),
        lines_(std::move(source), schema.delimiter, name_, CsvLines::IfAbsent::choose) {
    for (const Column& column : schema_.columns) {
      if (column.use != ColumnUse::dropped) readers_.push_back({&column, 0, {}, {}, 0, ""});
    }
    for (Reader& reader : readers_) {
      const auto& categories = reader.column->categories;
      for (size_t i = 0; i < categories.size(); ++i) reader.places.emplace(categories[i], i);
    }
    inputs_ = schema_.inputs().size();
    ready_ = lines_.next(cells_);
    width_ = cells_.size();
    if (ready_) find_columns();
  }

  bool next(std::span<float> inputs) {
    if (inputs.size() != inputs_) {
      throw ArgumentError(
          cat("a row has ", inputs_, " inputs, but there is room for ", inputs.size()));
    }
    if (!ready_ && !lines_.next(cells_)) return false;
    ready_ = false;
    if (cells_.size() != width_) {
      throw FileError(cat("\"", name_, "\" line ", lines_.line(), " has ", cells_.size(),
                          " cells, but the first line has ", width_, "; every line needs as many"));
    }
    target_ = nothing;
    weight_ = 1;
    size_t at = 0;
    for (Reader& reader : readers_) {
      const float value = reader.at == absent ? nothing : read(reader);
      switch (reader.column->use) {
        case ColumnUse::input: inputs[at++] = value; break;
        case ColumnUse::target: target_ = value; break;
        case ColumnUse::weight: weight_ = std::isnan(value) ? 1 : value; break;
        case ColumnUse::dropped: break;
      }
    }
    return true;
  }

  float target() const { return target_; }
  float weight() const { return weight_; }
  bool has_target() const { return has_target_; }
  std::vector<std::string> notes() const {
    std::vector<std::string> all;
    for (const Reader& reader : readers_) {
      if (reader.unknown == 0) continue;
      all.push_back(cat("\"", name_, "\", ", title(*reader.column, schema_.header), ": ",
                        reader.unknown, reader.unknown == 1 ? " value is" : " values are",
                        " of no category that the model knows, such as ", reader.example));
    }
    return all;
  }

 private:
  static constexpr size_t absent = SIZE_MAX;
  struct Reader {
    const Column* column;
    size_t at;  // which cell
    std::unordered_map<std::string_view, size_t> places;
    std::string buffer;
    int64_t unknown = 0;
    std::string example;
  };

  /// Finds each column by the name in the first line, or, without such a line, by its place: in the
  /// file of the schema, or among the inputs alone.
  void find_columns() {
    std::vector<std::string> found;
    for (const CsvCell& cell : cells_) found.emplace_back(cell.text);
    const bool names = schema_.header && std::ranges::any_of(readers_, [&](const Reader& reader) {
                         return std::ranges::find(found, reader.column->name) != found.end();
                       });
    size_t place = 0;
    for (Reader& reader : readers_) {
      const Column& column = *reader.column;
      if (names) {
        const auto cell = std::ranges::find(found, column.name);
        reader.at = cell == found.end() ? absent : static_cast<size_t>(cell - found.begin());
      } else if (cells_.size() == schema_.columns.size()) {
        reader.at = static_cast<size_t>(&column - schema_.columns.data());
      } else {
        reader.at = column.use == ColumnUse::input ? place++ : absent;
      }
      if (column.use == ColumnUse::target) has_target_ = reader.at != absent;
      if (reader.at == absent && column.use == ColumnUse::input) {
        throw FileError(cat("\"", name_, "\" has no column \"", column.name, "\"",
                            did_you_mean(column.name, found), "; the model needs it"));
      }
    }
    if (!names && place > 0 && place != cells_.size()) {
      throw FileError(cat("\"", name_, "\" line ", lines_.line(), " has ", cells_.size(),
                          " cells and none of the columns' names; a row has ", inputs_, ": ",
                          join(input_names(), ", ")));
    }
    if (names) ready_ = false;
  }
  std::vector<std::string> input_names() const {
    std::vector<std::string> all;
    for (const Column* column : schema_.inputs()) all.push_back(column->name);
    return all;
  }

  [[noreturn]] void fail(const Reader& reader, const std::string& reason) const {
    throw FileError(cat("\"", name_, "\" line ", lines_.line(), ", ",
                        title(*reader.column, schema_.header), ": ", reason));
  }

  float read(Reader& reader) {
    const std::string_view text = cells_[reader.at].text;
    if (missing_.has(text)) return nothing;
    switch (reader.column->kind) {
      case ColumnKind::number: return read_as_number(reader, text);
      case ColumnKind::date: return read_as_date(reader, text);
      default: return read_as_category(reader, text);
    }
  }

  float read_as_number(const Reader& reader, std::string_view text) const {
    double value = 0;
    switch (read_number(text, schema_.decimal, value)) {
      case Reading::number: break;
      case Reading::text: fail(reader, cat("\"", excerpt(text), "\" is not a number"));
      case Reading::infinite: fail(reader, cat(text, " is not finite; replace it by a number"));
      case Reading::too_large: fail(reader, cat(text, " is too large for a 32-bit float"));
    }
    if (reader.column->use == ColumnUse::weight && value < 0) {
      fail(reader, cat(text, " is no weight; a row counts 0 times or more"));
    }
    return static_cast<float>(value);
  }

  float read_as_date(const Reader& reader, std::string_view text) const {
    const auto day = read_date(text, reader.column->date);
    if (!day) fail(reader, cat("\"", excerpt(text), "\" is no date like ", reader.column->date));
    return static_cast<float>(*day);
  }

  float read_as_category(Reader& reader, std::string_view text) {
    auto place = reader.places.find(text);
    double value = 0;
    if (place == reader.places.end() &&
        read_number(text, schema_.decimal, value) == Reading::number) {
      reader.buffer = number(value);  // "1.0" is the class 1
      place = reader.places.find(reader.buffer);
    }
    if (place != reader.places.end()) return static_cast<float>(place->second);
    const auto& categories = reader.column->categories;
    if (reader.column->use == ColumnUse::target) {
      fail(reader, cat("unknown class \"", excerpt(text), "\"", did_you_mean(text, categories),
                       "; the classes are ", excerpt(join(categories, ", "), 200)));
    }
    if (reader.unknown++ == 0)
      reader.example = cat("\"", excerpt(text), "\" in line ", lines_.line());
    return static_cast<float>(categories.size());
  }

  std::string name_;
  Schema schema_;
  MissingWords missing_;
  CsvLines lines_;
  std::vector<CsvCell> cells_;
  std::vector<Reader> readers_;
  size_t inputs_ = 0, width_ = 0;
  bool ready_ = false;  // cells_ hold a row that next() has not given yet
  bool has_target_ = false;
  float target_ = nothing, weight_ = 1;
};

CsvRows::CsvRows(const std::string& path, const Schema& schema)
    : impl_(std::make_unique<Impl>(open_maybe_gzip(path),
                                   path == "-" ? std::string("standard input") : path, schema)) {}
CsvRows::CsvRows(std::string_view text, const std::string& name, const Schema& schema)
    : impl_(std::make_unique<Impl>(bytes_of(text), name, schema)) {}
CsvRows::~CsvRows() = default;
CsvRows::CsvRows(CsvRows&&) noexcept = default;
bool CsvRows::next(std::span<float> inputs) { return impl_->next(inputs); }
float CsvRows::target() const { return impl_->target(); }
float CsvRows::weight() const { return impl_->weight(); }
bool CsvRows::has_target() const { return impl_->has_target(); }
std::vector<std::string> CsvRows::notes() const { return impl_->notes(); }

namespace {

/// A data set of that many rows, to be filled.
Dataset empty_table(const Schema& schema, const std::string& name, int64_t rows, bool has_target,
                    bool on_disk) {
  Dataset dataset;
  dataset.name = name;
  dataset.origin = name;
  dataset.schema = schema;
  const auto inputs = static_cast<int64_t>(schema.inputs().size());
  dataset.inputs = on_disk ? Tensor::on_disk({rows, inputs}) : Tensor({rows, inputs});
  const Column* target = schema.find(ColumnUse::target);
  if (!target || !has_target) {
    dataset.targets = Tensor({rows, 0});
  } else if (target->kind == ColumnKind::category || target->kind == ColumnKind::yes_no) {
    dataset.targets = Tensor({rows}, i32);
    dataset.class_names = target->categories;
  } else {
    dataset.targets = Tensor({rows, 1});
  }
  if (schema.find(ColumnUse::weight)) dataset.weights = Tensor({rows});
  return dataset;
}

void put_target(Dataset& dataset, int64_t row, float value) {
  if (dataset.targets.elements() > 0) dataset.targets.set(row, value);
}

std::vector<Dataset> read_parts(CsvRows rows, const Schema& schema, const std::string& name,
                                std::span<const double> fractions, uint64_t seed, uint64_t memory) {
  const Column* target = schema.find(ColumnUse::target);
  std::vector<int64_t> counts = target ? target->counts : std::vector<int64_t>();
  if (counts.empty()) counts = {schema.rows};
  Parts parts(counts, fractions, seed);
  const uint64_t bytes =
      static_cast<uint64_t>(schema.rows) * schema.inputs().size() * sizeof(float);
  std::vector<Dataset> result;
  for (const int64_t size : parts.sizes()) {
    result.push_back(empty_table(schema, name, size, target != nullptr, bytes > memory));
  }
  std::vector<int64_t> filled(result.size());
  std::vector<float> row(schema.inputs().size());
  for (int64_t read = 0; read < schema.rows;) {
    if (!rows.next(row)) {
      throw FileError(cat("\"", name, "\" has changed: it had ", schema.rows,
                          " rows when its columns were looked at, now ", read));
    }
    if (target && std::isnan(rows.target())) continue;
    const size_t group = counts.size() > 1 ? static_cast<size_t>(rows.target()) : 0;
    const size_t part = parts.next(group);
    Dataset& dataset = result[part];
    const int64_t at = filled[part]++;
    std::ranges::copy(row,
                      dataset.inputs.data<float>().begin() + at * static_cast<int64_t>(row.size()));
    put_target(dataset, at, rows.target());
    if (dataset.weights.elements() > 0) dataset.weights.set(at, rows.weight());
    ++read;
  }
  return result;
}

}  // namespace

std::vector<Dataset> load_csv(const std::string& path, const Schema& schema,
                              std::span<const double> fractions, uint64_t seed, uint64_t memory) {
  return read_parts(CsvRows(path, schema), schema, path, fractions, seed, memory);
}

Dataset load_csv(const std::string& path, const Schema& schema, std::vector<std::string>* notes) {
  std::vector<float> inputs, targets, weights, row(schema.inputs().size());
  CsvRows rows(path, schema);
  const bool has_target = rows.has_target();
  while (rows.next(row)) {
    if (has_target && std::isnan(rows.target())) continue;
    inputs.insert(inputs.end(), row.begin(), row.end());
    if (has_target) targets.push_back(rows.target());
    weights.push_back(rows.weight());
  }
  const auto count = static_cast<int64_t>(weights.size());
  Dataset dataset = empty_table(schema, path, count, has_target, false);
  std::ranges::copy(inputs, dataset.inputs.data<float>().begin());
  for (int64_t i = 0; i < count && has_target; ++i) {
    put_target(dataset, i, targets[static_cast<size_t>(i)]);
  }
  if (dataset.weights.elements() > 0)
    std::ranges::copy(weights, dataset.weights.data<float>().begin());
  if (notes) *notes = rows.notes();
  return dataset;
}

Dataset load_csv(const std::string& path, const CsvOptions& options) {
  const double all[] = {1};
  return std::move(load_csv(path, read_schema(path, options), all, 0)[0]);
}

Dataset parse_csv(std::string_view text, const std::string& name, const CsvOptions& options) {
  const Schema schema = scan_schema(bytes_of(text), name, options);
  const double all[] = {1};
  return std::move(read_parts(CsvRows(text, name, schema), schema, name, all, 0, UINT64_MAX)[0]);
}

}  // namespace soma::data
