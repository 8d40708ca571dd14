#include "cli/media.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "cli/console.h"
#include "cli/series.h"
#include "soma/error.h"
#include "soma/images.h"
#include "soma/text.h"
#include "src/base/file.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

namespace fs = std::filesystem;

constexpr int64_t default_context = 128;

std::string name_of(const std::string& path) {
  const fs::path normal = fs::path(path).lexically_normal();
  return (normal.has_filename() ? normal : normal.parent_path()).filename().string();
}

/// Whether a file within two folders, or three where parts are divided, is an image.
bool holds_images(const std::string& folder) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it.depth() >= 2) it.disable_recursion_pending();
    if (data::is_image_name(it->path().string())) return true;
  }
  return false;
}

std::pair<int64_t, int64_t> extents_of(const std::string& size) {
  if (size.empty()) return {0, 0};
  std::vector<int64_t> sides;
  for (const std::string_view part : split(size, 'x')) {
    int64_t side = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), side);
    const bool good =
        error == std::errc{} && end == part.data() + part.size() && side >= 1 && side <= 65536;
    sides.push_back(good ? side : 0);
  }
  if (sides.size() > 2 || std::ranges::find(sides, 0) != sides.end()) {
    throw UsageError(
        cat("--size takes the side of the images, \"64\", or height and width, "
            "\"48x64\"; found \"",
            size, "\""));
  }
  return {sides.front(), sides.back()};
}

/// What an image model says about the images that it takes.
data::ImageOptions image_options(const Model& model) {
  const Shape& sample = model.network.sample_shape();
  const int rank = sample.rank();
  if (rank != 2 && !(rank == 3 && (sample[0] == 1 || sample[0] == 3))) {
    throw ShapeError(cat("the network takes samples of shape ", sample,
                         ", which are no images of 1 or 3 channels"));
  }
  data::ImageOptions options;
  options.height = sample[rank - 2];
  options.width = sample[rank - 1];
  options.channels = rank == 3 ? sample[0] : 1;
  options.class_names = model.info.class_names;
  const auto note = model.info.notes.find("images");
  options.stretch = note != model.info.notes.end() && note->second == "stretch";
  return options;
}

/// Rows of [height, width] as the model has them: perhaps [1, height, width].
Tensor shaped_for(Tensor rows, const Model& model) {
  Shape shape{rows.shape()[0]};
  for (const int64_t extent : model.network.sample_shape()) shape.push_back(extent);
  return rows.reshaped(shape);
}

TrainTest image_folder(const std::string& path, const MediaOptions& media, const Model* model) {
  data::ImageOptions options;
  if (model) {
    options = image_options(*model);
  } else {
    std::tie(options.height, options.width) = extents_of(media.size);
    options.channels = media.channels;
    options.stretch = media.stretch;
  }
  if (media.skip_bad) {
    options.skip = [](const std::string& sentence) {
      report_error(cat("left out: ", sentence), false);
    };
  }
  TrainTest both = data::load_image_folder(path, options);
  if (model) {
    for (Dataset* part : {&both.train, &both.test}) {
      if (part->size() > 0) part->inputs = shaped_for(std::move(part->inputs), *model);
    }
  }
  return both;
}

Tokenizer tokenizer_of(const std::map<std::string, std::string>& notes) {
  const auto note = notes.find("tokenizer");
  if (note == notes.end()) {
    throw ArgumentError("the model was not trained on texts: it has no tokenizer");
  }
  return Tokenizer::parse(note->second);
}

Tokenizer learn(const MediaOptions& media, const char* standard, std::string_view text) {
  const std::string kind = media.tokenizer.empty() ? standard : media.tokenizer;
  try {
    return Tokenizer::learn(kind, text);
  } catch (const ArgumentError& error) {
    throw UsageError(cat("--tokenizer: ", error.what()));
  }
}

int64_t context_of(const Model& model) {
  const Shape& sample = model.network.sample_shape();
  if (sample.rank() != 1) {
    throw ShapeError(cat("the network takes samples of shape ", sample, ", which are no texts"));
  }
  return sample[0];
}

/// Texts with classes.
TrainTest labelled_texts(const data::LabelledTexts& labelled, const MediaOptions& media,
                         const Model* model) {
  const Tokenizer tokenizer =
      model ? tokenizer_of(model->info.notes)
            : learn(media, "words(most=20000 least=2 lower=true)", join(labelled.texts, "\n"));
  return {data::text_classes(tokenizer, labelled, model ? context_of(*model) : media.context), {}};
}

/// A text to be continued; its last twentieth is for the test.
TrainTest running_text(const std::string& path, const MediaOptions& media, const Model* model) {
  const std::string text = read_text(path);
  if (text.empty()) throw FileError(cat("the text \"", path, "\" is empty"));
  const Tokenizer tokenizer =
      model ? tokenizer_of(model->info.notes) : learn(media, "characters", text);
  const int64_t context = model           ? context_of(*model)
                          : media.context ? media.context
                                          : default_context;
  std::vector<int32_t> tokens = tokenizer.encode(text);
  tokens.insert(tokens.begin(), Vocabulary::nothing);  // how a text begins
  Dataset all = data::next_tokens(tokens, context);
  all.notes["tokenizer"] = tokenizer.text();
  if (model || all.size() < 20) return {std::move(all), {}};
  const int64_t train = all.size() - all.size() / 20;
  return {all.subset(0, train), all.subset(train, all.size())};
}

std::string image_net(const Dataset& train) {
  const Shape shape = train.input_shape();
  const int64_t side = std::min(shape[shape.rank() - 2], shape[shape.rank() - 1]);
  std::string net;
  int64_t filters = 32;
  for (int64_t left = side; left >= 8 && filters <= 128; left /= 2, filters *= 2) {
    net += cat("conv2d ", filters, " 3 relu padding=same, max_pool 2, ");
  }
  return cat(net, "dropout 0.25, 128 relu, dropout 0.5, classes");
}

}  // namespace

void MediaOptions::add_to(Options& options) {
  options.text("--size", size, "PIXELS",
               "Side of the images of a folder, or height x width (default: by the images)");
  options.integer("--channels", channels, 0, 3,
                  "Of the images of a folder: 1 for grey, 3 for colour (0: by the images)");
  options.flag("--stretch", stretch, "Change the proportions of images instead of cutting them");
  options.flag("--skip-bad", skip_bad, "Leave out images that cannot be read");
  options.text("--text", text, "COLUMN",
               "Column of a CSV file that holds texts, to be told apart by --target");
  options.text("--tokenizer", tokenizer, "NAME",
               "bytes, characters, words or bpe(size=1000) (default: characters of a text to go on "
               "with, words of texts with classes)");
  options.integer("--context", context, 0, 1'000'000,
                  "Tokens of one row of text (0: 128 of a text to go on with, else by the texts)");
}

bool is_media(const std::string& path, const std::string& target, const MediaOptions& media) {
  std::error_code ignored;
  return fs::is_directory(path, ignored) || !media.text.empty() ||
         (path.ends_with(".txt") && target.empty());
}

std::optional<TrainTest> open_media(const std::string& path, const std::string& target,
                                    const MediaOptions& media, const Model* model) {
  if (model && media.text.empty() && model->info.notes.count("text column") &&
      fs::is_regular_file(path)) {
    MediaOptions known = media;
    known.text = model->info.notes.at("text column");
    return open_media(path, target.empty() ? model->info.notes.at("class column") : target, known,
                      model);
  }
  if (!is_media(path, target, media)) return std::nullopt;
  std::error_code ignored;
  TrainTest both;
  if (fs::is_directory(path, ignored)) {
    const std::vector<std::string> classes =
        model ? model->info.class_names : std::vector<std::string>{};
    both = holds_images(path) ? image_folder(path, media, model)
                              : labelled_texts(data::load_text_folder(path, classes), media, model);
  } else if (!media.text.empty()) {
    if (target.empty()) throw UsageError("--text needs --target COLUMN, the column of the classes");
    const std::vector<std::string> classes =
        model ? model->info.class_names : std::vector<std::string>{};
    both = labelled_texts(data::load_text_table(path, media.text, target, classes), media, model);
    both.train.notes["text column"] = media.text;
    both.train.notes["class column"] = target;
  } else {
    both = running_text(path, media, model);
  }
  for (Dataset* part : {&both.train, &both.test}) {
    part->name = name_of(path);
    part->origin = path;
  }
  return both;
}

Tensor read_images(const std::vector<std::string>& paths, const Model& model) {
  return shaped_for(data::load_images(paths, image_options(model)), model);
}

Tensor read_texts(const std::vector<std::string>& texts, const Model& model) {
  return data::padded_tokens(tokenizer_of(model.info.notes), texts, context_of(model));
}

std::string row_words(const Dataset& dataset) {
  if (dataset.notes.empty()) return "";
  const std::string row = cat("; one row is ", dataset.input_shape());
  if (dataset.notes.count("tokenizer") == 0) return row;
  const Tokenizer tokenizer = tokenizer_of(dataset.notes);
  return cat(row, " of ", tokenizer.size(), " tokens (", tokenizer.kind().text(), ")");
}

std::string default_net(const Dataset& train) {
  const bool text = train.notes.count("tokenizer") > 0;
  if (text && train.target_shape().rank() > 0) {
    return "embedding vocabulary 128 name=tokens, decoder 4 positions=rotary context=context, "
           "decoder 4 positions=rotary context=context, layer_norm, "
           "unembedding vocabulary share=tokens";
  }
  if (text) return "embedding vocabulary 64 pad=0 mask=true, pool_steps, dropout 0.3, classes";
  if (train.notes.count("images") > 0) return image_net(train);
  if (is_series(train)) return series_net(train);
  return "64 relu, classes";
}

std::string fill_in(std::string_view net, const Dataset& train) {
  const auto meaning = [&](std::string_view word) -> std::string {
    const bool text = train.notes.count("tokenizer") > 0;
    if (word == "vocabulary" && text) return cat(tokenizer_of(train.notes).size());
    if (word == "context" && text) return cat(train.input_shape()[0]);
    if (word != "classes") return std::string(word);
    return cat(train.is_classification() ? train.classes() : train.target_shape().elements());
  };
  std::string result;
  const auto in_word = [](char c) {
    return c == '_' || c == '-' || c == '.' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
  };
  while (!net.empty()) {
    const auto length = static_cast<size_t>(std::ranges::find_if_not(net, in_word) - net.begin());
    const bool names = length > 0 && length < net.size() && net[length] == '=';  // a parameter
    result += names ? std::string(net.substr(0, length)) : meaning(net.substr(0, length));
    net.remove_prefix(length);
    if (net.empty()) break;
    result += net[0];
    net.remove_prefix(1);
  }
  return result;
}

std::optional<Layer> channel_scaling(const Dataset& train) {
  const Shape shape = train.input_shape();
  if (train.inputs.type() != u8 || shape.rank() != 3 || shape[0] != 3) return std::nullopt;
  const auto pixels = train.inputs.data<uint8_t>();
  const auto places = static_cast<size_t>(shape[1] * shape[2]);
  std::vector<double> sums(3), squares(3);
  for (size_t i = 0; i < pixels.size(); ++i) {
    const size_t channel = i / places % 3;
    sums[channel] += pixels[i];
    squares[channel] += pixels[i] * pixels[i];
  }
  const double n = std::max(static_cast<double>(pixels.size()) / 3, 1.0);
  std::vector<double> scale, shift;
  for (size_t c = 0; c < 3; ++c) {
    const double mean = sums[c] / n;
    const double deviation = std::sqrt(std::max(squares[c] / n - mean * mean, 1.0));
    scale.push_back(static_cast<float>(1 / deviation));
    shift.push_back(static_cast<float>(-mean / deviation));
  }
  return rescaling(Argument(scale), Argument(shift));
}

}  // namespace soma::cli
