// soma predict: what a model answers for rows from a file or from standard input.
#include <charconv>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "cli/command.h"
#include "cli/device.h"
#include "cli/media.h"
#include "cli/model_data.h"
#include "cli/series.h"
#include "soma/error.h"
#include "soma/images.h"
#include "src/base/file.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

/// Rows that are predicted together.
constexpr int64_t rows_at_once = 1024;

std::string row_words(const Network& net) {
  const Shape& shape = net.sample_shape();
  return cat(shape.elements(), shape.elements() == 1 ? " number" : " numbers",
             shape.rank() > 1 ? cat(" (", shape, ")") : "");
}

/// Numbers separated by commas, semicolons, tabs or blanks.
std::vector<float> parse_row(std::string_view line, int64_t number, const Network& net) {
  std::vector<float> row;
  const char* const separators = ",; \t\r";
  for (size_t at = line.find_first_not_of(separators); at != line.npos;
       at = line.find_first_not_of(separators, at)) {
    const size_t end = std::min(line.find_first_of(separators, at), line.size());
    const std::string_view cell = line.substr(at, end - at);
    float value = 0;
    const auto [stop, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    if (error != std::errc{} || stop != cell.data() + cell.size() || !std::isfinite(value)) {
      throw FileError(cat("line ", number, " of standard input holds \"", cell.substr(0, 40),
                          "\", which is not a finite number; a row is ", row_words(net),
                          " separated by commas or blanks"));
    }
    row.push_back(value);
    at = end;
  }
  const int64_t wanted = net.sample_shape().elements();
  if (static_cast<int64_t>(row.size()) != wanted) {
    throw FileError(cat("line ", number, " of standard input has ", row.size(),
                        row.size() == 1 ? " number" : " numbers", "; the network takes ",
                        row_words(net)));
  }
  return row;
}

class Predict : public Command {
 public:
  std::string_view name() const override { return "predict"; }
  std::string_view summary() const override {
    return "Answer for rows of a file or standard input";
  }
  std::string_view examples() const override {
    return "  soma predict run/model.soma image.idx\n"
           "  echo 5.1,3.5,1.4,0.2 | soma predict run/model.soma\n"
           "  soma predict run/model.soma rows.csv --json\n"
           "  soma predict run/model.soma cat.png dog.jpg\n"
           "  echo \"free prize, call now\" | soma predict run/model.soma\n"
           "Rows are in the units of the training data: scaling is part of the model. A table's\n"
           "columns are found by name, in any order, with or without the target.\n";
  }
  void options(Options& o) override {
    o.positional("model", model_, "The model file that soma train wrote");
    o.positional("rows", rows_,
                 "An IDX or CSV file, images, or a file of texts, one a line; without it, one row, "
                 "or a text, per line of standard input",
                 Need::optional);
    o.positionals("images", more_, "More images");
    device_options_.add_to(o);
  }

  int run(Console& console) override {
    const Model model = load_model(model_);
    device_ = device_options_.device();
    if (!more_.empty() && !data::is_image_name(rows_)) {
      throw UsageError(cat("soma predict takes one file of rows, or several images; found \"",
                           more_[0], "\" behind \"", rows_, "\""));
    }
    if (model.info.notes.count("tokenizer") > 0) {
      texts(console, model);
    } else if (is_series(model.info)) {
      Dataset dataset;
      dataset.inputs = last_window(rows_, model);
      answer_all(console, model, std::move(dataset));
    } else if (data::is_image_name(rows_)) {
      images(console, model);
    } else if (!model.info.table.columns.empty()) {
      from_table(console, model);
    } else if (rows_.empty() || rows_ == "-") {
      from_standard_input(console, model);
    } else {
      Dataset dataset;
      dataset.inputs = read_file(model);
      dataset.name = rows_;
      answer_all(console, model, std::move(dataset));
    }
    return exit_ok;
  }

 private:
  /// Answers for the lines of a text that is open, each by itself.
  void from_lines(Console& console, const Model& model, std::istream& lines) {
    for (std::string line; std::getline(lines, line);) {
      Dataset dataset;
      dataset.inputs = read_texts({line}, model);
      answer_all(console, model, std::move(dataset));
    }
  }
  void texts(Console& console, const Model& model) {
    if (model.network.shape_of(model.network.outputs().back()).rank() > 1) {
      throw ArgumentError(
          cat("the model \"", model_, "\" goes on with texts; soma generate does that"));
    }
    if (rows_.empty() || rows_ == "-") return from_lines(console, model, std::cin);
    std::istringstream lines(read_text(rows_));
    from_lines(console, model, lines);
  }
  void images(Console& console, const Model& model) {
    names_ = more_;
    names_.insert(names_.begin(), rows_);
    Dataset dataset;
    dataset.inputs = read_images(names_, model);
    answer_all(console, model, std::move(dataset));
  }

  /// The rows of the file as [n, …sample].
  Tensor read_file(const Model& model) const {
    const bool csv = rows_.find(".csv") != rows_.npos || rows_.find(".tsv") != rows_.npos;
    Tensor raw = csv ? data::load_csv(rows_, {.target_kind = data::CsvTarget::none}).inputs
                     : data::load_idx(rows_);
    const Shape& sample = model.network.sample_shape();
    const int64_t each = sample.elements();
    const bool one = raw.elements() == each;
    const bool many = raw.shape().rank() > 1 && raw.elements() == raw.shape()[0] * each;
    if (!one && !many) {
      throw ShapeError(cat("the file \"", rows_, "\" holds ", raw.shape(),
                           " numbers; the network takes rows of ", row_words(model.network)));
    }
    Shape shape{raw.elements() / each};
    for (const int64_t extent : sample) shape.push_back(extent);
    return raw.reshaped(shape);
  }

  /// Rows as they come, with columns by name; from the standard input each as soon as it is there.
  void from_table(Console& console, const Model& model) {
    const bool piped = rows_.empty() || rows_ == "-";
    const int64_t width = model.network.sample_shape().elements();
    data::CsvRows rows(piped ? "-" : rows_, model.info.table);
    std::vector<float> block;
    const auto answer_block = [&] {
      if (block.empty()) return;
      Dataset dataset;
      dataset.name = piped ? "standard input" : rows_;
      dataset.inputs = Tensor::of({static_cast<int64_t>(block.size()) / width, width}, block);
      answer_all(console, model, std::move(dataset));
      block.clear();
    };
    std::vector<float> row(static_cast<size_t>(width));
    while (rows.next(row)) {
      block.insert(block.end(), row.begin(), row.end());
      if (piped || static_cast<int64_t>(block.size()) == rows_at_once * width) answer_block();
    }
    answer_block();
    for (const std::string& note : rows.notes()) console.note(note);
    if (row_ == 0) {
      throw FileError(cat(piped ? "standard input" : cat("\"", rows_, "\""), " holds no row"));
    }
  }

  /// Line by line, so that a pipe can be answered while it is open.
  void from_standard_input(Console& console, const Model& model) {
    int64_t number = 0;
    Shape shape{1};
    for (const int64_t extent : model.network.sample_shape()) shape.push_back(extent);
    for (std::string line; std::getline(std::cin, line);) {
      ++number;
      if (trim(line).empty()) continue;
      Dataset dataset;
      dataset.name = "standard input";
      dataset.inputs = Tensor::of(shape, parse_row(line, number, model.network));
      answer_all(console, model, std::move(dataset));
    }
    if (row_ == 0) {
      throw FileError(cat("standard input holds no row; give rows of ", row_words(model.network),
                          ", one per line"));
    }
  }

  void answer_all(Console& console, const Model& model, Dataset dataset) {
    prepare_rows(dataset, model.info);
    for (int64_t first = 0; first < dataset.size(); first += rows_at_once) {
      const Dataset part = dataset.subset(first, std::min(first + rows_at_once, dataset.size()));
      Tensor inputs(part.inputs.shape(), f32);
      std::vector<int64_t> all(static_cast<size_t>(part.size()));
      std::iota(all.begin(), all.end(), int64_t{0});
      part.gather_inputs(all, inputs.data<float>());
      const Tensor outputs = model.network.predict(inputs, device_);
      const auto width = static_cast<size_t>(outputs.elements() / part.size());
      for (size_t i = 0; i < all.size(); ++i) {
        answer(console, model, outputs.data<float>().subspan(i * width, width));
      }
    }
  }

  void answer(Console& console, const Model& model, std::span<const float> outputs) {
    const Prediction prediction = read_outputs(outputs, model.info);
    const auto& names = model.info.class_names;
    const auto name_of_class = [&](size_t i) {
      return i < names.size() ? names[i] : std::to_string(i);
    };
    if (console.json()) {
      nlohmann::ordered_json object{{"event", "prediction"}, {"row", row_}};
      if (!names_.empty()) object["file"] = names_[static_cast<size_t>(row_)];
      if (prediction.label) {
        object["class"] = *prediction.label;
        object["name"] = name_of_class(static_cast<size_t>(*prediction.label));
      }
      object[prediction.probabilities ? "probabilities" : "outputs"] = prediction.values;
      console.event(object);
    } else {
      std::string text = names_.empty() ? "" : cat(names_[static_cast<size_t>(row_)], "  ");
      text += prediction.label ? name_of_class(static_cast<size_t>(*prediction.label)) : "";
      for (size_t i = 0; i < prediction.values.size(); ++i) {
        if (!text.empty() && !text.ends_with(' ')) text += "  ";
        if (prediction.label && prediction.values.size() > 1) text += cat(name_of_class(i), " ");
        text += fixed(prediction.values[i], 4);
      }
      console.line(text);
    }
    ++row_;
  }

  std::string model_, rows_;
  std::vector<std::string> more_, names_;  // names_: of the rows, where they are files
  DeviceOptions device_options_;
  int64_t row_ = 0;
  Device device_ = Device::cpu(1);
};

}  // namespace

std::unique_ptr<Command> make_predict() { return std::make_unique<Predict>(); }

}  // namespace soma::cli
