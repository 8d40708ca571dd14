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
#include "src/data/csv_blocks.h"
#include "src/data/parts.h"

namespace soma::data {

constexpr float nothing = std::numeric_limits<float>::quiet_NaN();

namespace {

/// Turns the cells of lines into the numbers of rows.
class RowReader {
 public:
  /// What a line holds besides the inputs, and what was seen in the lines so far.
  struct Line {
    float target = nothing, weight = 1;
    struct Unknown {
      int64_t count = 0, line = 0;
      std::string text;  // the first
    };
    std::vector<Unknown> unknown = {};  // by reader: categories the schema does not have

    void add(const std::vector<Unknown>& following) {
      unknown.resize(following.size());
      for (size_t i = 0; i < unknown.size(); ++i) {
        const int64_t count = unknown[i].count;
        if (count == 0) unknown[i] = following[i];
        unknown[i].count = count + following[i].count;
      }
    }
  };

  RowReader(const std::string& name, const Schema& schema)
      : name_(name), schema_(schema), missing_(schema.missing) {
    for (const Column& column : schema_.columns) {
      if (column.use != ColumnUse::dropped) readers_.push_back({&column, 0, {}});
    }
    for (Reader& reader : readers_) {
      const auto& categories = reader.column->categories;
      for (size_t i = 0; i < categories.size(); ++i) reader.places.emplace(categories[i], i);
    }
    inputs_ = schema_.inputs().size();
  }
  RowReader(const RowReader&) = delete;
  RowReader& operator=(const RowReader&) = delete;

  size_t inputs() const { return inputs_; }
  bool has_target() const { return has_target_; }

  /// Finds each column by the name in the first line, or, without such a line, by its place: in the
  /// file of the schema, or among the inputs alone. Answers whether the line holds names.
  bool find_columns(const std::vector<CsvCell>& cells, int64_t line) {
    width_ = cells.size();
    std::vector<std::string> found;
    for (const CsvCell& cell : cells) found.emplace_back(cell.text);
    const bool names = schema_.header && std::ranges::any_of(readers_, [&](const Reader& reader) {
                         return std::ranges::find(found, reader.column->name) != found.end();
                       });
    size_t place = 0;
    for (Reader& reader : readers_) {
      const Column& column = *reader.column;
      if (names) {
        const auto cell = std::ranges::find(found, column.name);
        reader.at = cell == found.end() ? absent : static_cast<size_t>(cell - found.begin());
      } else if (cells.size() == schema_.columns.size()) {
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
    if (!names && place > 0 && place != cells.size()) {
      throw FileError(cat("\"", name_, "\" line ", line, " has ", counted(cells.size(), "cell"),
                          " and none of the columns' names; a row has ", inputs_, ": ",
                          join(input_names(), ", ")));
    }
    return names;
  }

  /// Usable by several threads at once.
  void read(const std::vector<CsvCell>& cells, int64_t line, std::span<float> inputs,
            Line& into) const {
    if (cells.size() != width_) {
      throw FileError(cat("\"", name_, "\" line ", line, " has ", counted(cells.size(), "cell"),
                          ", but the first line has ", width_, "; every line needs as many"));
    }
    into.target = nothing;
    into.weight = 1;
    into.unknown.resize(readers_.size());
    size_t at = 0;
    for (size_t i = 0; i < readers_.size(); ++i) {
      const Reader& reader = readers_[i];
      const float value = reader.at == absent
                              ? nothing
                              : read(reader, cells[reader.at].text, line, into.unknown[i]);
      switch (reader.column->use) {
        case ColumnUse::input: inputs[at++] = value; break;
        case ColumnUse::target: into.target = value; break;
        case ColumnUse::weight: into.weight = std::isnan(value) ? 1 : value; break;
        case ColumnUse::dropped: break;
      }
    }
  }

  std::vector<std::string> notes(const Line& seen) const {
    std::vector<std::string> all;
    for (size_t i = 0; i < seen.unknown.size(); ++i) {
      const auto& [count, line, text] = seen.unknown[i];
      if (count == 0) continue;
      all.push_back(cat("\"", name_, "\", ", title(*readers_[i].column, schema_.header), ": ",
                        count, count == 1 ? " value is" : " values are",
                        " of no category that the model knows, such as \"", text, "\" in line ",
                        line));
    }
    return all;
  }

 private:
  static constexpr size_t absent = SIZE_MAX;
  struct Reader {
    const Column* column;
    size_t at;  // which cell
    std::unordered_map<std::string_view, size_t> places;
  };

  std::vector<std::string> input_names() const {
    std::vector<std::string> all;
    for (const Column* column : schema_.inputs()) all.push_back(column->name);
    return all;
  }

  [[noreturn]] void fail(const Reader& reader, int64_t line, const std::string& reason) const {
    throw FileError(cat("\"", name_, "\" line ", line, ", ", title(*reader.column, schema_.header),
                        ": ", reason));
  }

  float read(const Reader& reader, std::string_view text, int64_t line,
             Line::Unknown& unknown) const {
    if (missing_.has(text)) return nothing;
    switch (reader.column->kind) {
      case ColumnKind::number: return read_as_number(reader, text, line);
      case ColumnKind::date: return read_as_date(reader, text, line);
      default: return read_as_category(reader, text, line, unknown);
    }
  }

  float read_as_number(const Reader& reader, std::string_view text, int64_t line) const {
    double value = 0;
    switch (read_number(text, schema_.decimal, value)) {
      case Reading::number: break;
      case Reading::text: fail(reader, line, cat("\"", excerpt(text), "\" is not a number"));
      case Reading::infinite:
        fail(reader, line, cat(text, " is not finite; replace it by a number"));
      case Reading::too_large: fail(reader, line, cat(text, " is too large for a 32-bit float"));
    }
    if (reader.column->use == ColumnUse::weight && value < 0) {
      fail(reader, line, cat(text, " is no weight; a row counts 0 times or more"));
    }
    return static_cast<float>(value);
  }

  float read_as_date(const Reader& reader, std::string_view text, int64_t line) const {
    const auto day = read_date(text, reader.column->date);
    if (!day)
      fail(reader, line, cat("\"", excerpt(text), "\" is no date like ", reader.column->date));
    return static_cast<float>(*day);
  }

  float read_as_category(const Reader& reader, std::string_view text, int64_t line,
                         Line::Unknown& unknown) const {
    auto place = reader.places.find(text);
    double value = 0;
    if (place == reader.places.end() &&
        read_number(text, schema_.decimal, value) == Reading::number) {
      place = reader.places.find(number(value));  // "1.0" is the class 1
    }
    if (place != reader.places.end()) return static_cast<float>(place->second);
    const auto& categories = reader.column->categories;
    if (reader.column->use == ColumnUse::target) {
      fail(reader, line,
           cat("unknown class \"", excerpt(text), "\"", did_you_mean(text, categories),
               "; the classes are ", excerpt(join(categories, ", "), 200)));
    }
    if (unknown.count++ == 0) unknown.line = line, unknown.text = excerpt(text);
    return static_cast<float>(categories.size());
  }

  std::string name_;
  Schema schema_;
  MissingWords missing_;
  std::vector<Reader> readers_;
  size_t inputs_ = 0, width_ = 0;
  bool has_target_ = false;
};

/// A CSV text, the first line of which says where its columns are.
struct Source {
  Source(std::unique_ptr<ByteSource> bytes, const std::string& file, const Schema& schema)
      : name(file),
        reader(name, schema),
        lines(std::move(bytes), schema.delimiter, name, CsvLines::IfAbsent::choose) {
    if (lines.next(cells)) first_is_row = !reader.find_columns(cells, lines.line());
  }
  std::string name;
  RowReader reader;
  CsvLines lines;
  std::vector<CsvCell> cells;
  bool first_is_row = false;  // cells hold a row that nobody took yet
};

}  // namespace

class CsvRows::Impl : Source {
 public:
  using Source::Source;

  bool next(std::span<float> inputs) {
    if (inputs.size() != reader.inputs()) {
      throw ArgumentError(
          cat("a row has ", reader.inputs(), " inputs, but there is room for ", inputs.size()));
    }
    if (!first_is_row && !lines.next(cells)) return false;
    first_is_row = false;
    reader.read(cells, lines.line(), inputs, line_);
    return true;
  }
  float target() const { return line_.target; }
  float weight() const { return line_.weight; }
  bool has_target() const { return reader.has_target(); }
  std::vector<std::string> notes() const { return reader.notes(line_); }

 private:
  RowReader::Line line_;
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

/// Rows as they were read, one after the other.
struct Rows {
  std::vector<float> inputs, targets, weights;
  RowReader::Line line = {};

  void read(const RowReader& reader, const std::vector<CsvCell>& cells, int64_t at) {
    inputs.resize(inputs.size() + reader.inputs());
    reader.read(cells, at, std::span(inputs).last(reader.inputs()), line);
    targets.push_back(line.target);
    weights.push_back(line.weight);
  }
  void clear() {
    inputs.clear(), targets.clear(), weights.clear();
    line = {};
  }
};

/// Gives `take` some rows after the others, in order, until it answers false.
template <class Take>
void each_rows(Source& source, int threads, Take&& take) {
  if (source.first_is_row) {
    Rows first;
    first.read(source.reader, source.cells, source.lines.line());
    if (!take(first)) return;
  }
  const auto read = [&](CsvLines& part, Rows& rows) {
    rows.clear();
    std::vector<CsvCell> cells;
    while (part.next(cells)) rows.read(source.reader, cells, part.line());
  };
  read_blocks<Rows>(source.lines, threads, read, take);
}

std::vector<Dataset> read_parts(Source source, const Schema& schema,
                                std::span<const double> fractions, uint64_t seed, uint64_t memory,
                                int threads) {
  const Column* target = schema.find(ColumnUse::target);
  std::vector<int64_t> counts = target ? target->counts : std::vector<int64_t>();
  if (counts.empty()) counts = {schema.rows};
  Parts parts(counts, fractions, seed);
  const size_t width = source.reader.inputs();
  const uint64_t bytes = static_cast<uint64_t>(schema.rows) * width * sizeof(float);
  std::vector<Dataset> result;
  for (const int64_t size : parts.sizes()) {
    result.push_back(empty_table(schema, source.name, size, target != nullptr, bytes > memory));
  }
  struct Place {  // where the next row of a part goes
    float *inputs, *numbers = nullptr, *weights = nullptr;
    int32_t* labels = nullptr;
  };
  std::vector<Place> places;
  for (Dataset& dataset : result) {
    Place place{dataset.inputs.data<float>().data()};
    if (dataset.is_classification()) {
      place.labels = dataset.targets.data<int32_t>().data();
    } else if (target) {
      place.numbers = dataset.targets.data<float>().data();
    }
    if (schema.find(ColumnUse::weight)) place.weights = dataset.weights.data<float>().data();
    places.push_back(place);
  }
  int64_t read = 0;
  each_rows(source, threads, [&](const Rows& rows) {
    for (size_t i = 0; i < rows.targets.size() && read < schema.rows; ++i) {
      const float value = rows.targets[i];
      if (target && std::isnan(value)) continue;
      Place& place = places[parts.next(counts.size() > 1 ? static_cast<size_t>(value) : 0)];
      place.inputs = std::copy_n(&rows.inputs[i * width], width, place.inputs);
      if (place.labels) *place.labels++ = static_cast<int32_t>(value);
      if (place.numbers) *place.numbers++ = value;
      if (place.weights) *place.weights++ = rows.weights[i];
      ++read;
    }
    return read < schema.rows;
  });
  if (read < schema.rows) {
    throw FileError(cat("\"", source.name, "\" has changed: it had ", schema.rows,
                        " rows when its columns were looked at, now ", read));
  }
  return result;
}

}  // namespace

std::vector<Dataset> load_csv(const std::string& path, const Schema& schema,
                              std::span<const double> fractions, uint64_t seed, uint64_t memory,
                              int threads) {
  return read_parts({open_maybe_gzip(path), path, schema}, schema, fractions, seed, memory,
                    threads);
}

Dataset load_csv(const std::string& path, const Schema& schema, std::vector<std::string>* notes,
                 int threads) {
  Source source(open_maybe_gzip(path), path, schema);
  const size_t width = source.reader.inputs();
  const bool has_target = source.reader.has_target();
  Rows all;
  each_rows(source, threads, [&](const Rows& rows) {
    all.line.add(rows.line.unknown);
    for (size_t i = 0; i < rows.targets.size(); ++i) {
      if (has_target && std::isnan(rows.targets[i])) continue;
      const auto first = rows.inputs.begin() + static_cast<int64_t>(i * width);
      all.inputs.insert(all.inputs.end(), first, first + static_cast<int64_t>(width));
      all.targets.push_back(rows.targets[i]);
      all.weights.push_back(rows.weights[i]);
    }
    return true;
  });
  const auto count = static_cast<int64_t>(all.weights.size());
  Dataset dataset = empty_table(schema, path, count, has_target, false);
  std::ranges::copy(all.inputs, dataset.inputs.data<float>().begin());
  for (int64_t i = 0; i < count && has_target; ++i) {
    put_target(dataset, i, all.targets[static_cast<size_t>(i)]);
  }
  if (dataset.weights.elements() > 0)
    std::ranges::copy(all.weights, dataset.weights.data<float>().begin());
  if (notes) *notes = source.reader.notes(all.line);
  return dataset;
}

Dataset load_csv(const std::string& path, const CsvOptions& options) {
  const double all[] = {1};
  return std::move(
      load_csv(path, read_schema(path, options), all, 0, UINT64_MAX, options.threads)[0]);
}

Dataset parse_csv(std::string_view text, const std::string& name, const CsvOptions& options) {
  const Schema schema = scan_schema(bytes_of(text), name, options);
  const double all[] = {1};
  return std::move(
      read_parts({bytes_of(text), name, schema}, schema, all, 0, UINT64_MAX, options.threads)[0]);
}

}  // namespace soma::data
