// Data sets of tokens, and texts from folders and tables.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>

#include "soma/error.h"
#include "soma/text.h"
#include "src/base/file.h"
#include "src/base/text.h"
#include "src/data/class_folders.h"
#include "src/data/csv_lines.h"
#include "src/data/gzip.h"

namespace soma::data {

namespace {

/// The number of a column that is named by it.
std::optional<size_t> as_number(const std::string& column) {
  size_t value = 0;
  const auto [end, error] = std::from_chars(column.data(), column.data() + column.size(), value);
  if (error != std::errc{} || end != column.data() + column.size()) return std::nullopt;
  return value;
}

std::string text_of(const std::string& path) {
  const auto bytes = read_maybe_gzip(path, default_max_bytes);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Columns {
  size_t text = 0, label = 0;
  bool header = false;
};

Columns find_columns(const std::string& path, const std::vector<CsvCell>& first,
                     const std::string& text, const std::string& label) {
  Columns result;
  const auto place = [&](const std::string& column) {
    if (const auto number = as_number(column)) {
      if (*number < first.size()) return *number;
      throw ArgumentError(cat("\"", path, "\" has ", counted(first.size(), "column"),
                              "; there is no column ", column, " (they count from 0)"));
    }
    result.header = true;
    std::vector<std::string> names;
    for (const CsvCell& cell : first) names.emplace_back(cell.text);
    const auto found = std::ranges::find(names, column);
    if (found == names.end()) {
      throw ArgumentError(cat("\"", path, "\" has no column \"", column, "\"",
                              did_you_mean(column, names), "; its first line holds ",
                              excerpt(join(names, ", "))));
    }
    return static_cast<size_t>(found - names.begin());
  };
  result.text = place(text);
  result.label = place(label);
  return result;
}

/// Labels for the names of classes, which are sorted unless they are given.
void label_by(const std::vector<std::string>& names, const std::vector<std::string>& class_names,
              const std::string& path, LabelledTexts& result) {
  result.class_names = class_names.empty() ? names : class_names;
  if (class_names.empty()) {
    auto& kinds = result.class_names;
    std::ranges::sort(kinds);
    kinds.erase(std::unique(kinds.begin(), kinds.end()), kinds.end());
    if (result.class_names.size() < 2) {
      throw FileError(cat("\"", path, "\" has texts of ", result.class_names.size(),
                          " class; at least two are needed to tell apart"));
    }
  }
  for (const std::string& name : names) {
    const auto found = std::ranges::find(result.class_names, name);
    if (found == result.class_names.end()) {
      throw FileError(cat("\"", path, "\" has a text of the class \"", excerpt(name),
                          "\", which the model does not know; its classes are ",
                          excerpt(join(result.class_names, ", "))));
    }
    result.labels.push_back(static_cast<int32_t>(found - result.class_names.begin()));
  }
}

}  // namespace

Dataset next_tokens(std::span<const int32_t> tokens, int64_t context, int64_t stride) {
  if (context < 1 || stride < 0) {
    throw ArgumentError(
        cat("pieces of a text need a context of at least 1 token and a stride of at ",
            "least 0, found ", context, " and ", stride));
  }
  const auto count = static_cast<int64_t>(tokens.size());
  if (stride == 0) stride = context;
  if (count <= context) {
    throw ArgumentError(cat("a text of ", count, count == 1 ? " token" : " tokens",
                            " has no piece of ", context,
                            " with one to follow; give a longer text ", "or a smaller context"));
  }
  const int64_t rows = (count - 1 - context) / stride + 1;
  Dataset dataset;
  dataset.inputs = Tensor({rows, context}, i32);
  dataset.targets = Tensor({rows, context}, i32);
  auto inputs = dataset.inputs.data<int32_t>(), targets = dataset.targets.data<int32_t>();
  for (int64_t row = 0; row < rows; ++row) {
    std::copy_n(tokens.begin() + row * stride, context, inputs.begin() + row * context);
    std::copy_n(tokens.begin() + row * stride + 1, context, targets.begin() + row * context);
  }
  return dataset;
}

LabelledTexts load_text_folder(const std::string& folder,
                               const std::vector<std::string>& class_names) {
  ClassFiles files =
      class_files(folder, class_names, "text", [](const std::string&) { return true; });
  LabelledTexts result{{}, std::move(files.labels), std::move(files.class_names)};
  for (const std::string& path : files.paths) result.texts.push_back(text_of(path));
  return result;
}

LabelledTexts load_text_table(const std::string& path, const std::string& text_column,
                              const std::string& label_column,
                              const std::vector<std::string>& class_names) {
  CsvLines lines(open_maybe_gzip(path), path.find(".tsv") != path.npos ? '\t' : '\0', path);
  std::vector<CsvCell> cells;
  if (!lines.next(cells)) throw FileError(cat("\"", path, "\" is empty; it has no texts"));
  const Columns columns = find_columns(path, cells, text_column, label_column);
  const size_t width = cells.size();
  LabelledTexts result;
  std::vector<std::string> names;
  for (bool more = !columns.header || lines.next(cells); more; more = lines.next(cells)) {
    if (cells.size() != width) {
      throw FileError(cat("\"", path, "\" has ", counted(cells.size(), "column"), " on line ",
                          lines.line(), " and ", width,
                          " on its first; texts with the delimiter inside belong in "
                          "quotes"));
    }
    if (cells[columns.label].text.empty()) {
      throw FileError(cat("\"", path, "\" has a text without a class on line ", lines.line()));
    }
    result.texts.emplace_back(cells[columns.text].text);
    names.emplace_back(cells[columns.label].text);
  }
  if (names.empty()) throw FileError(cat("\"", path, "\" has no line behind its header"));
  label_by(names, class_names, path, result);
  return result;
}

Tensor padded_tokens(const Tokenizer& tokenizer, std::span<const std::string> texts,
                     int64_t length) {
  if (length < 1) throw ArgumentError(cat("texts cannot be ", length, " tokens long"));
  Tensor result({static_cast<int64_t>(texts.size()), length}, i32);
  const auto all = result.data<int32_t>();
  std::ranges::fill(all, Vocabulary::nothing);
  for (size_t row = 0; row < texts.size(); ++row) {
    std::vector<int32_t> tokens = tokenizer.encode(texts[row]);
    if (tokens.empty()) tokens.push_back(Vocabulary::unknown);
    tokens.resize(std::min(tokens.size(), static_cast<size_t>(length)));
    std::ranges::copy(tokens, all.begin() + static_cast<std::ptrdiff_t>(row) * length);
  }
  return result;
}

Dataset text_classes(const Tokenizer& tokenizer, const LabelledTexts& labelled, int64_t length) {
  constexpr int64_t longest = 256;
  if (length == 0) {
    std::vector<int64_t> lengths;
    for (const std::string& text : labelled.texts) {
      lengths.push_back(static_cast<int64_t>(tokenizer.encode(text).size()));
    }
    const auto most = lengths.begin() + static_cast<std::ptrdiff_t>((lengths.size() - 1) * 19 / 20);
    std::ranges::nth_element(lengths, most);
    length = std::clamp<int64_t>(*most, 1, longest);
  }
  Dataset dataset;
  dataset.inputs = padded_tokens(tokenizer, labelled.texts, length);
  dataset.targets = Tensor::of({static_cast<int64_t>(labelled.labels.size())}, labelled.labels);
  dataset.class_names = labelled.class_names;
  dataset.notes["tokenizer"] = tokenizer.text();
  return dataset;
}

}  // namespace soma::data
