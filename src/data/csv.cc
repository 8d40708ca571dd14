// Tables of numbers from CSV text: which column is what, and what every cell means.
#include "src/data/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/data/csv_lines.h"
#include "src/data/gzip.h"

namespace soma::data {

namespace {

enum class Reading { number, text, missing, too_large };

/// Reads the whole cell as a number. from_chars knows no leading plus.
Reading read_number(std::string_view text, double& value) {
  const std::string_view missing[] = {"", "?", "NA", "N/A", "na", "null", "NULL", "NaN", "nan"};
  if (std::find(std::begin(missing), std::end(missing), text) != std::end(missing)) {
    return Reading::missing;
  }
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || code == std::errc::invalid_argument) return Reading::text;
  if (code == std::errc::result_out_of_range) {
    if (std::abs(std::strtod(std::string(text).c_str(), nullptr)) > 1) return Reading::too_large;
    value = 0;  // too small to tell from zero
  }
  return Reading::number;
}

bool is_number(std::string_view text) {
  double ignored;
  return read_number(text, ignored) == Reading::number;
}

bool is_text(std::string_view text) {
  double ignored;
  return read_number(text, ignored) == Reading::text;
}

class CsvLoader {
 public:
  CsvLoader(std::string_view text, const std::string& path, const CsvOptions& options)
      : path_(path), options_(options), lines_(text, options.delimiter, path) {}

  Dataset load() {
    if (!lines_.next(cells_)) {
      throw FileError(cat("\"", path_, "\" is empty; a table needs at least one line of numbers"));
    }
    bool more = true;
    read_header();
    choose_columns();
    if (has_header_) more = lines_.next(cells_);
    if (!more) {
      throw FileError(cat("\"", path_, "\" holds a header (line 1) and no line of numbers"));
    }
    for (; more; more = lines_.next(cells_)) read_row();
    return finish();
  }

 private:
  /// "the file, line and column" every complaint about a cell begins with.
  [[noreturn]] void fail(size_t column, const std::string& reason) const {
    throw FileError(cat("\"", path_, "\" line ", lines_.line(), ", ", title(column), ": ", reason));
  }
  std::string title(size_t column) const {
    return has_header_ ? cat("column \"", names_[column], "\"") : cat("column ", column);
  }

  void read_header() {
    const auto numeric = [](const CsvCell& cell) { return is_number(cell.text); };
    has_header_ = options_.header == CsvHeader::present ||
                  (options_.header == CsvHeader::automatic &&
                   std::none_of(cells_.begin(), cells_.end(), numeric));
    for (size_t i = 0; i < cells_.size(); ++i) {
      std::string name = has_header_ ? std::string(cells_[i].text) : cat("column ", i);
      if (has_header_ && std::find(names_.begin(), names_.end(), name) != names_.end()) {
        throw FileError(cat("\"", path_, "\" line ", lines_.line(), ": two columns are called \"",
                            name, "\"; rename one"));
      }
      names_.push_back(std::move(name));
    }
  }

  /// The column of that name, or of that number.
  size_t column(const std::string& wanted) const {
    const auto found = std::find(names_.begin(), names_.end(), wanted);
    if (found != names_.end()) return static_cast<size_t>(found - names_.begin());
    size_t index = 0;
    const char* end = wanted.data() + wanted.size();
    if (std::from_chars(wanted.data(), end, index).ptr == end && index < names_.size()) {
      return index;
    }
    throw ArgumentError(cat("\"", path_, "\" has no column \"", wanted, "\"",
                            did_you_mean(wanted, names_), "; it has ", names_.size(), ": ",
                            join(names_, ", "), has_header_ ? "" : " (no header line was found)"));
  }

  void choose_columns() {
    role_.assign(names_.size(), Role::input);
    for (const std::string& name : options_.drop) role_[column(name)] = Role::dropped;
    if (options_.target_kind != CsvTarget::none) {
      target_ = options_.target.empty() ? names_.size() - 1 : column(options_.target);
      if (role_[target_] == Role::dropped) {
        throw ArgumentError(cat("\"", path_, "\": ", title(target_),
                                " is both the target and dropped; name another target"));
      }
      role_[target_] = Role::target;
    }
    for (size_t i = 0; i < names_.size(); ++i) {
      if (role_[i] == Role::input) inputs_.push_back(i);
    }
    if (inputs_.empty()) {
      throw FileError(cat("\"", path_, "\" leaves no column as input: it has ", names_.size(),
                          " (split at \"",
                          lines_.delimiter() == '\t' ? "tab" : std::string(1, lines_.delimiter()),
                          "\"); give the delimiter if that is wrong"));
    }
  }

  void read_row() {
    if (cells_.size() != names_.size()) {
      throw FileError(cat("\"", path_, "\" line ", lines_.line(), " has ", cells_.size(),
                          " cells, but line 1 has ", names_.size(), "; every line needs as many"));
    }
    for (const size_t i : inputs_) values_.push_back(number_at(i));
    if (options_.target_kind != CsvTarget::none) read_target();
    ++rows_;
  }

  float number_at(size_t i) const {
    const std::string_view text = cells_[i].text;
    double value = 0;
    switch (read_number(text, value)) {
      case Reading::missing:
        fail(i, cat("the value is missing (\"", text, "\"); fill it in or remove the line"));
      case Reading::text: fail(i, cat("\"", text, "\" is not a number", advice(i, text)));
      case Reading::too_large: fail(i, cat(text, " is too large for a number"));
      case Reading::number: break;
    }
    const auto result = static_cast<float>(value);
    if (!std::isfinite(value)) fail(i, cat(text, " is not finite; replace it by a number"));
    if (!std::isfinite(result)) fail(i, cat(text, " is too large for a 32-bit float"));
    return result;
  }

  std::string advice(size_t i, std::string_view text) const {
    std::string point(text);
    std::replace(point.begin(), point.end(), ',', '.');
    if (point != text && is_number(point)) return "; write a decimal point, not a comma";
    if (role_[i] == Role::target) return "; ask for classes if the column holds names";
    if (!has_header_ && lines_.line() == 1) return "; say so if the first line is a header";
    return "; drop the column or turn it into numbers";
  }

  /// A column whose first value is no number holds class names; else every value must be a number.
  void read_target() {
    const std::string_view text = cells_[target_].text;
    if (rows_ == 0) {
      text_classes_ = options_.target_kind == CsvTarget::classes ||
                      (options_.target_kind == CsvTarget::automatic &&
                       (!options_.class_names.empty() || is_text(text)));
    }
    if (!text_classes_) {
      target_values_.push_back(number_at(target_));
      return;
    }
    if (text.empty()) fail(target_, "the class is missing; fill it in or remove the line");
    const auto [entry, is_new] = kinds_.try_emplace(std::string(text), kinds_.size());
    if (is_new && !options_.class_names.empty() && !known_class(text)) {
      fail(target_, cat("unknown class \"", text, "\"", did_you_mean(text, options_.class_names),
                        "; the classes are ", join(options_.class_names, ", ")));
    }
    first_seen_.push_back(entry->second);
  }

  bool known_class(std::string_view text) const {
    const auto& names = options_.class_names;
    return std::find(names.begin(), names.end(), text) != names.end();
  }

  Dataset finish() {
    Dataset dataset;
    dataset.name = path_;
    dataset.origin = path_;
    for (const size_t i : inputs_) dataset.feature_names.push_back(names_[i]);
    dataset.inputs = Tensor::of({rows_, static_cast<int64_t>(inputs_.size())}, values_);
    if (options_.target_kind == CsvTarget::none) {
      dataset.targets = Tensor({rows_, 0});
    } else if (text_classes_) {
      label_by_name(dataset);
    } else if (integers_are_classes()) {
      label_by_value(dataset);
    } else {
      dataset.targets = Tensor::of({rows_, 1}, target_values_);
    }
    return dataset;
  }

  bool integers_are_classes() const {
    if (options_.target_kind != CsvTarget::automatic) return false;
    std::map<float, int> kinds;
    for (const float value : target_values_) {
      if (value != std::floor(value) || std::abs(value) > 1e6f) return false;
      kinds.try_emplace(value);
      if (static_cast<int>(kinds.size()) > options_.max_integer_classes) return false;
    }
    return 2 * static_cast<int64_t>(kinds.size()) <= rows_;
  }

  void label_by_value(Dataset& dataset) const {
    std::map<float, int32_t> labels;
    for (const float value : target_values_) labels.try_emplace(value);
    for (auto& [value, label] : labels) {
      label = static_cast<int32_t>(dataset.class_names.size());
      dataset.class_names.push_back(number(value));
    }
    dataset.targets = Tensor({rows_}, i32);
    auto out = dataset.targets.data<int32_t>();
    for (size_t i = 0; i < out.size(); ++i) out[i] = labels.at(target_values_[i]);
  }

  /// Names in the order asked for; else by value when all are numbers, else by letters.
  void label_by_name(Dataset& dataset) const {
    std::vector<std::string>& names = dataset.class_names;
    names = options_.class_names;
    if (names.empty()) {
      for (const auto& [name, seen] : kinds_) names.push_back(name);
      if (std::all_of(names.begin(), names.end(), is_number)) {
        std::stable_sort(names.begin(), names.end(), [](const auto& a, const auto& b) {
          double x = 0, y = 0;
          read_number(a, x);
          read_number(b, y);
          return x < y;
        });
      }
    }
    std::map<std::string_view, int32_t> label_of;
    for (const auto& name : names) {
      label_of.try_emplace(name, static_cast<int32_t>(label_of.size()));
    }
    std::vector<int32_t> labels(kinds_.size());
    for (const auto& [name, seen] : kinds_) labels[seen] = label_of.at(name);
    dataset.targets = Tensor({rows_}, i32);
    auto out = dataset.targets.data<int32_t>();
    for (size_t i = 0; i < out.size(); ++i) out[i] = labels[first_seen_[i]];
  }

  enum class Role { input, target, dropped };

  const std::string& path_;
  const CsvOptions& options_;
  CsvLines lines_;
  std::vector<CsvCell> cells_;  // of the record being read
  bool has_header_ = false;
  std::vector<std::string> names_;
  std::vector<Role> role_;
  std::vector<size_t> inputs_;
  size_t target_ = 0;
  bool text_classes_ = false;

  int64_t rows_ = 0;
  std::vector<float> values_;
  std::vector<float> target_values_;
  std::map<std::string, size_t, std::less<>> kinds_;  // class name to the order of its first use
  std::vector<size_t> first_seen_;                    // per row, that order
};

}  // namespace

Dataset parse_csv(std::string_view text, const std::string& name, const CsvOptions& options) {
  return CsvLoader(text, name, options).load();
}

Dataset load_csv(const std::string& path, const CsvOptions& options) {
  const std::vector<std::byte> content = read_maybe_gzip(path, options.max_bytes);
  return parse_csv({reinterpret_cast<const char*>(content.data()), content.size()}, path, options);
}

}  // namespace soma::data
