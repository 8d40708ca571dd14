// The first reading of a CSV file: what every column is.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <unordered_map>
#include <utility>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/data/cells.h"
#include "src/data/csv.h"
#include "src/data/csv_blocks.h"

namespace soma {

std::string_view name_of(ColumnKind kind) {
  static constexpr std::string_view names[] = {"number", "category", "yes_no", "date", "text"};
  return names[static_cast<size_t>(kind)];
}
std::string_view name_of(ColumnUse use) {
  static constexpr std::string_view names[] = {"input", "target", "weight", "dropped"};
  return names[static_cast<size_t>(use)];
}

std::vector<const Column*> Schema::inputs() const {
  std::vector<const Column*> found;
  for (const Column& column : columns) {
    if (column.use == ColumnUse::input) found.push_back(&column);
  }
  return found;
}
const Column* Schema::find(ColumnUse use) const {
  const auto found = std::ranges::find(columns, use, &Column::use);
  return found == columns.end() ? nullptr : &*found;
}

namespace data {

std::string title(const Column& column, bool header) {
  return header ? cat("column \"", column.name, "\"") : column.name;
}

namespace {

/// Categories that are kept, and texts that are counted to find them.
constexpr size_t most_categories = 1000, most_texts = 100'000;
/// More texts than this, and more than half as many as there are values, are no categories.
constexpr size_t few_texts = 20;

struct Fault {
  int64_t line = 0;
  std::string text;
  Reading reading = Reading::number;
};

/// What the cells of one column have been so far.
struct Counts {
  int64_t cells = 0, missing = 0, numbers = 0;
  double least = HUGE_VAL, most = -HUGE_VAL, sum = 0;
  bool counts_rows = true;  // each value is the one before and 1
  bool whole = true;
  bool hashed = true;  // it is still equal to another column
  uint64_t hash = 0, power = 1;
  unsigned dates = (1u << std::size(date_formats)) - 1;  // the formats that fit all
  double first_date = HUGE_VAL, last_date = -HUGE_VAL, date_sum = 0;
  Fault no_number, no_float, no_date;  // the first ones
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::unordered_map<std::string, int64_t, Hash, std::equal_to<>> texts;
  bool too_many = false;  // to count them
  bool wants_texts = false, has_texts = false;

  int64_t present() const { return cells - missing; }

  /// Those of rows that follow, for add(): what is settled is not looked at again.
  Counts next() const {
    Counts following;
    following.counts_rows = counts_rows;
    following.whole = whole;
    following.hashed = hashed;
    following.dates = dates;
    following.too_many = too_many;
    following.wants_texts = wants_texts;
    following.has_texts = has_texts;
    return following;
  }

  void add(std::string_view text, bool is_missing, char decimal, int64_t line) {
    if (hashed) {
      hash = hash * factor + std::hash<std::string_view>()(text);
      power *= factor;
    }
    const int64_t row = cells++;
    if (is_missing) {
      ++missing;
      counts_rows = false;
      return;
    }
    double value = 0;
    const Reading reading = read_number(text, decimal, value);
    if (reading == Reading::number) {
      ++numbers;
      least = std::min(least, value);
      most = std::max(most, value);
      sum += value;
      whole = whole && value == std::floor(value) && std::abs(value) <= 1e6;
      counts_rows = counts_rows && value == least + static_cast<double>(row);
      dates = 0;
    } else {
      has_texts = true;
      counts_rows = false;
      Fault& fault = reading == Reading::text ? no_number : no_float;
      if (fault.line == 0) fault = {line, std::string(text.substr(0, 80)), reading};
      if (reading == Reading::text && dates != 0) {
        add_date(text);
        if (dates == 0) no_date = {line, std::string(text.substr(0, 80)), reading};
      }
    }
    if (!too_many) count(text, 1);
  }

  /// The rows of `other` follow.
  void add(const Counts& other) {
    counts_rows = counts_rows && other.counts_rows &&
                  (cells == 0 || other.least == least + static_cast<double>(cells));
    cells += other.cells;
    missing += other.missing;
    numbers += other.numbers;
    least = std::min(least, other.least);
    most = std::max(most, other.most);
    sum += other.sum;
    whole = whole && other.whole;
    hash = hash * other.power + other.hash;
    power *= other.power;
    dates &= other.dates;
    first_date = std::min(first_date, other.first_date);
    last_date = std::max(last_date, other.last_date);
    date_sum += other.date_sum;
    if (no_number.line == 0) no_number = other.no_number;
    if (no_float.line == 0) no_float = other.no_float;
    if (no_date.line == 0) no_date = other.no_date;
    has_texts = has_texts || other.has_texts;
    if (other.too_many) forget_texts();
    for (const auto& [text, times] : other.texts) {
      if (!too_many) count(text, times);
    }
  }

 private:
  static constexpr uint64_t factor = 0x9E3779B97F4A7C15u;

  void add_date(std::string_view text) {
    bool first = true;
    for (size_t i = 0; i < std::size(date_formats); ++i) {
      if (!(dates & 1u << i)) continue;
      const auto day = read_date(text, date_formats[i]);
      if (!day) {
        dates &= ~(1u << i);
      } else if (first) {
        first = false;
        first_date = std::min(first_date, *day);
        last_date = std::max(last_date, *day);
        date_sum += *day;
      }
    }
  }
  void count(std::string_view text, int64_t times) {
    const auto known = texts.find(text);
    if (known != texts.end()) {
      known->second += times;
      return;
    }
    texts.emplace(text, times);
    const bool only_numbers = !has_texts && !wants_texts;
    if (texts.size() > (only_numbers ? most_categories : most_texts)) forget_texts();
  }
  void forget_texts() {
    too_many = true;
    texts.clear();
  }
};

class Scan {
 public:
  Scan(std::unique_ptr<ByteSource> source, const std::string& path, const CsvOptions& options)
      : path_(path),
        options_(options),
        missing_(options.missing),
        lines_(std::move(source), options.delimiter, path) {
    schema_.decimal = options.decimal;
    schema_.missing = options.missing;
  }

  Schema run() {
    if (!lines_.next(cells_)) {
      throw FileError(cat("\"", path_, "\" is empty; a table needs at least one line of values"));
    }
    schema_.delimiter = lines_.delimiter();
    read_header();
    choose_columns();
    if (!schema_.header) read_row(cells_, lines_.line(), all_);
    if (options_.limit > 0) {
      while (all_.rows < options_.limit && lines_.next(cells_)) {
        read_row(cells_, lines_.line(), all_);
      }
    } else {
      read_rows();
    }
    if (all_.rows + all_.without_target == 0) {
      throw FileError(cat("\"", path_, "\" holds a header (line 1) and no line of values"));
    }
    schema_.rows = all_.rows;
    schema_.without_target = all_.without_target;
    if (schema_.rows == 0) {
      throw FileError(cat("\"", path_, "\": ", title(*target_), " is missing in every line"));
    }
    for (size_t i = 0; i < all_.columns.size(); ++i) decide(i);
    drop_copies();
    if (schema_.inputs().empty()) refuse_no_input();
    return std::move(schema_);
  }

 private:
  std::string title(const Column& column) const { return data::title(column, schema_.header); }
  [[noreturn]] void fail(const Column& column, int64_t line, const std::string& reason) const {
    throw FileError(cat("\"", path_, "\" line ", line, ", ", title(column), ": ", reason));
  }

  void read_header() {
    const auto numeric = [&](const CsvCell& cell) {
      double ignored;
      return read_number(cell.text, options_.decimal, ignored) == Reading::number;
    };
    schema_.header = options_.header == CsvHeader::present ||
                     (options_.header == CsvHeader::automatic &&
                      std::none_of(cells_.begin(), cells_.end(), numeric));
    std::vector<std::string> names;
    for (size_t i = 0; i < cells_.size(); ++i) {
      const bool named = schema_.header && !cells_[i].text.empty();
      Column column;
      column.name = named ? std::string(cells_[i].text) : cat("column ", i);
      if (std::ranges::find(names, column.name) != names.end()) {
        throw FileError(cat("\"", path_, "\" line ", lines_.line(), ": two columns are called \"",
                            column.name, "\"; rename one"));
      }
      names.push_back(column.name);
      schema_.columns.push_back(std::move(column));
    }
    all_.columns.resize(names.size());
    forced_.resize(names.size());
    names_ = std::move(names);
  }

  /// The column of that name, or of that number.
  size_t column(const std::string& wanted) const {
    const auto found = std::ranges::find(names_, wanted);
    if (found != names_.end()) return static_cast<size_t>(found - names_.begin());
    size_t index = 0;
    const char* end = wanted.data() + wanted.size();
    if (std::from_chars(wanted.data(), end, index).ptr == end && index < names_.size()) {
      return index;
    }
    throw ArgumentError(cat("\"", path_, "\" has no column \"", wanted, "\"",
                            did_you_mean(wanted, names_), "; it has ", names_.size(), ": ",
                            join(names_, ", "),
                            schema_.header ? "" : " (no header line was found)"));
  }

  void choose_columns() {
    auto& columns = schema_.columns;
    for (const std::string& name : options_.drop) {
      Column& dropped = columns[column(name)];
      dropped.use = ColumnUse::dropped;
      dropped.note = "as asked";
    }
    const auto take = [&](size_t i, ColumnUse use) {
      if (columns[i].use != ColumnUse::input) {
        const bool drop = columns[i].use == ColumnUse::dropped;
        throw ArgumentError(cat("\"", path_, "\": ", title(columns[i]), " is both the ",
                                name_of(use), " and ", drop ? "dropped" : "the weight",
                                "; name another ", name_of(use)));
      }
      columns[i].use = use;
      return &columns[i];
    };
    if (!options_.weight.empty()) take(column(options_.weight), ColumnUse::weight);
    if (options_.target_kind != CsvTarget::none) {
      target_ = take(options_.target.empty() ? names_.size() - 1 : column(options_.target),
                     ColumnUse::target);
    }
    for (const auto& [name, kind] : options_.kinds) {
      const size_t i = column(name);
      forced_[i] = kind;
      all_.columns[i].wants_texts = kind == "category";
    }
    if (target_ && options_.target_kind == CsvTarget::classes) {
      all_.columns[static_cast<size_t>(target_ - columns.data())].wants_texts = true;
    }
    if (columns.size() == 1 && target_) refuse_no_input();
  }

  /// What rows were found to hold.
  struct Rows {
    int64_t rows = 0, without_target = 0;
    std::vector<Counts> columns;
  };

  void read_row(const std::vector<CsvCell>& cells, int64_t line, Rows& into) const {
    if (cells.size() != names_.size()) {
      throw FileError(cat("\"", path_, "\" line ", line, " has ", counted(cells.size(), "cell"),
                          ", but line 1 has ", names_.size(), "; every line needs as many"));
    }
    if (target_ &&
        missing_.has(cells[static_cast<size_t>(target_ - schema_.columns.data())].text)) {
      ++into.without_target;
      return;
    }
    for (size_t i = 0; i < cells.size(); ++i) {
      if (schema_.columns[i].use == ColumnUse::dropped) continue;
      const std::string_view text = cells[i].text;
      into.columns[i].add(text, missing_.has(text), options_.decimal, line);
    }
    ++into.rows;
  }

  void read_rows() {
    const auto read = [&](CsvLines& part, Rows& rows) {
      rows = {};
      for (const Counts& counts : all_.columns) rows.columns.push_back(counts.next());
      std::vector<CsvCell> cells;
      while (part.next(cells)) read_row(cells, part.line(), rows);
    };
    const auto take = [&](Rows& rows) {
      all_.rows += rows.rows;
      all_.without_target += rows.without_target;
      for (size_t i = 0; i < rows.columns.size(); ++i) all_.columns[i].add(rows.columns[i]);
      rows = {};  // texts take many times the memory of the block
      for (Counts& counts : all_.columns) {
        counts.hashed =
            counts.hashed && std::ranges::count(all_.columns, counts.hash, &Counts::hash) > 1;
      }
      return true;
    };
    read_blocks<Rows>(lines_, options_.threads, read, take);
  }

  void decide(size_t i) {
    Column& column = schema_.columns[i];
    Counts& counts = all_.columns[i];
    column.missing = counts.missing;
    if (column.use == ColumnUse::dropped) return;
    const bool classes = &column == target_ && options_.target_kind == CsvTarget::classes;
    if (&column == target_ && options_.target_kind == CsvTarget::numbers) {
      as_number(column, counts);
    } else if (!forced_[i].empty()) {
      as_asked(column, counts, forced_[i]);
    } else if (column.use == ColumnUse::weight) {
      as_number(column, counts);
    } else if (counts.present() == 0) {
      drop(column, "always missing");
    } else if (classes) {
      as_category(column, counts);
    } else if (2 * (counts.numbers + (counts.no_float.line > 0)) >= counts.present()) {
      as_number(column, counts);
      if (&column == target_) integers_as_classes(column, counts);
    } else if (counts.dates != 0) {
      as_date(column, counts);
    } else if (counts.too_many ||
               (counts.texts.size() > few_texts &&
                2 * static_cast<int64_t>(counts.texts.size()) > counts.present())) {
      refuse_text(column, counts);
    } else {
      as_category(column, counts);
    }
    if (column.use != ColumnUse::input || !forced_[i].empty()) return;
    if (counts.missing == 0 && !counts.too_many && counts.texts.size() == 1) {
      drop(column, cat("always ", excerpt(counts.texts.begin()->first, 20)));
    } else if (counts.counts_rows && counts.cells >= 10 && counts.least >= 0 && counts.least <= 1) {
      drop(column, "numbers the rows");
    }
  }

  void drop(Column& column, std::string note) const {
    if (&column == target_) {
      throw FileError(cat("\"", path_, "\": ", title(column), " is the target, but ", note,
                          "; name another target"));
    }
    column.use = ColumnUse::dropped;
    column.note = std::move(note);
  }

  /// "category", "date", "date(d/m/y)" and so on.
  void as_asked(Column& column, Counts& counts, const std::string& kind) {
    if (kind == "number") return as_number(column, counts);
    if (kind == "category" || kind == "yes_no") return as_category(column, counts);
    if (kind == "date") return as_date(column, counts);
    for (size_t i = 0; i < std::size(date_formats); ++i) {
      if (kind != cat("date(", date_formats[i], ")")) continue;
      counts.dates &= 1u << i;
      return as_date(column, counts);
    }
    throw ArgumentError(cat("\"", kind, "\" is no kind of ", title(column),
                            "; the kinds are number, category, yes_no, date and, for one format, ",
                            "date(", join(date_formats, "), date("), ")"));
  }

  void as_number(Column& column, const Counts& counts) const {
    column.kind = ColumnKind::number;
    if (counts.no_float.line > 0) {
      const auto& [line, text, reading] = counts.no_float;
      fail(column, line,
           reading == Reading::infinite ? cat(text, " is not finite; replace it by a number")
                                        : cat(text, " is too large for a 32-bit float"));
    }
    if (counts.no_number.line > 0) {
      const auto& [line, text, reading] = counts.no_number;
      fail(column, line,
           cat("\"", text, "\" is not a number, but ", counts.numbers, " of ", counts.present(),
               " values are", advice(column, line, text)));
    }
    if (counts.numbers == 0) return;
    column.least = counts.least;
    column.most = counts.most;
    column.mean = counts.sum / static_cast<double>(counts.numbers);
  }

  std::string advice(const Column& column, int64_t line, std::string text) const {
    std::replace(text.begin(), text.end(), ',', '.');
    double ignored;
    if (read_number(text, '.', ignored) == Reading::number) {
      return "; if commas stand before decimals, say so (--decimal ,)";
    }
    if (!schema_.header && line == 1) return "; say so if the first line is a header";
    if (&column == target_) return "; ask for classes if the column holds names";
    return "; correct it, make it a word for missing values, or call the column a category";
  }

  void as_date(Column& column, const Counts& counts) const {
    if (counts.dates == 0 || counts.numbers > 0) {
      const Fault& fault = counts.no_date.line > 0 ? counts.no_date : counts.no_number;
      fail(column, fault.line > 0 ? fault.line : 1,
           cat("the values are no dates of one format (",
               fault.line > 0 ? cat("\"", fault.text, "\"") : "they are numbers",
               "); the formats are ", join(date_formats, ", ")));
    }
    column.kind = ColumnKind::date;
    size_t format = 0;
    while (!(counts.dates & 1u << format)) ++format;
    column.date = date_formats[format];
    if (counts.dates != 1u << format && column.note.empty()) {
      column.note = cat("read as ", column.date, "; days and months could be the other way round");
    }
    column.least = counts.first_date;
    column.most = counts.last_date;
    column.mean = counts.date_sum / static_cast<double>(counts.present());
  }

  void as_category(Column& column, const Counts& counts) const {
    if (counts.too_many) return refuse_text(column, counts);
    column.kind = ColumnKind::category;
    std::vector<std::string> texts;
    for (const auto& [text, count] : counts.texts) texts.push_back(text);
    sort_texts(texts);
    const auto* words = texts.size() == 2 ? yes_no_words(texts) : nullptr;
    if (words) {
      column.kind = ColumnKind::yes_no;
      std::ranges::sort(texts, {}, [&](const std::string& text) {
        return (text[0] | 0x20) != (*words)[0][0];  // no, then yes
      });
    }
    if (texts.size() > most_categories && &column != target_) keep_frequent(column, counts, texts);
    for (const std::string& text : texts) {
      column.categories.push_back(text);
      column.counts.push_back(counts.texts.find(text)->second);
    }
  }

  /// By value when all are numbers, else by letters.
  void sort_texts(std::vector<std::string>& texts) const {
    const auto value = [&](const std::string& text) {
      double number = 0;
      return read_number(text, options_.decimal, number) == Reading::number ? number : NAN;
    };
    std::ranges::sort(texts);
    if (std::ranges::none_of(texts, [&](const auto& text) { return std::isnan(value(text)); })) {
      std::ranges::stable_sort(texts, {}, value);
    }
  }

  static void keep_frequent(Column& column, const Counts& counts, std::vector<std::string>& texts) {
    std::vector<std::string> all = texts;
    std::ranges::stable_sort(all, std::greater(), [&](const std::string& text) {
      return counts.texts.find(text)->second;
    });
    all.resize(most_categories);
    std::ranges::sort(all);
    column.note = cat("the ", texts.size() - all.size(), " rarest of ", texts.size(),
                      " categories count as unknown");
    texts = std::move(all);
  }

  void integers_as_classes(Column& column, const Counts& counts) const {
    if (options_.target_kind != CsvTarget::automatic || !counts.whole || counts.too_many) return;
    std::map<double, int64_t> values;
    for (const auto& [text, count] : counts.texts) {
      double value = 0;
      read_number(text, options_.decimal, value);
      values[value] += count;
    }
    const auto kinds = static_cast<int64_t>(values.size());
    if (kinds > options_.max_integer_classes || 2 * kinds > counts.present()) return;
    column.kind = ColumnKind::category;
    column.note = cat("whole numbers of ", kinds, " kinds: classes");
    for (const auto& [value, count] : values) {
      column.categories.push_back(number(value));
      column.counts.push_back(count);
    }
  }

  void refuse_text(Column& column, const Counts& counts) const {
    column.kind = ColumnKind::text;
    const std::string kinds =
        cat(counts.too_many ? cat("more than ", most_texts) : std::to_string(counts.texts.size()),
            " different values in ", counts.present(), " rows");
    if (options_.drop_text && column.use == ColumnUse::input) {
      return drop(column, cat("text, ", kinds));
    }
    const auto& [line, text, reading] = counts.no_number;
    throw FileError(cat("\"", path_, "\" line ", line, ", ", title(column), " holds text, ", kinds,
                        ", such as \"", excerpt(text),
                        "\"; leave the column out (--drop), or call ",
                        "it a category if it is one"));
  }

  /// Of columns that are equal cell by cell the first stays; what equals the target tells it.
  void drop_copies() {
    for (size_t i = 0; i < all_.columns.size(); ++i) {
      Column& column = schema_.columns[i];
      if (column.use != ColumnUse::input || !forced_[i].empty()) continue;
      for (size_t j = 0; j < all_.columns.size(); ++j) {
        const Column& other = schema_.columns[j];
        const bool stays = j < i && other.use == ColumnUse::input;
        if (j == i || all_.columns[j].hash != all_.columns[i].hash || !(stays || &other == target_))
          continue;
        drop(column, cat("equal to ", title(other)));
        break;
      }
    }
  }

  [[noreturn]] void refuse_no_input() const {
    std::vector<std::string> reasons;
    for (const Column& column : schema_.columns) {
      if (column.use == ColumnUse::dropped)
        reasons.push_back(cat(column.name, " is ", column.note));
    }
    const char c = schema_.delimiter;
    throw FileError(cat("\"", path_, "\" leaves no column as input: it has ", names_.size(),
                        " (split at \"", c == '\t' ? "tab" : std::string(1, c), "\")",
                        reasons.empty() ? "; give the delimiter if that is wrong"
                                        : cat(", but ", join(reasons, ", "))));
  }

  const std::string& path_;
  const CsvOptions& options_;
  MissingWords missing_;
  CsvLines lines_;
  std::vector<CsvCell> cells_;
  std::vector<std::string> names_;
  std::vector<std::string> forced_;
  Rows all_;
  Column* target_ = nullptr;
  Schema schema_;
};

}  // namespace

Schema scan_schema(std::unique_ptr<ByteSource> source, const std::string& name,
                   const CsvOptions& options) {
  return Scan(std::move(source), name, options).run();
}

Schema read_schema(const std::string& path, const CsvOptions& options) {
  return scan_schema(open_maybe_gzip(path), path, options);
}

}  // namespace data
}  // namespace soma
