// Data that are no tables of numbers: folders of images and of texts, texts to continue. How such
// files become rows, the nets that suit them, and how a model reads more of them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/options.h"
#include "soma/data.h"
#include "soma/layers.h"
#include "soma/model.h"

namespace soma::cli {

struct MediaOptions {
  std::string size;       ///< "64" or "48x64": of images; "" is inferred.
  int64_t channels = 0;   ///< Of images; 0 is inferred.
  bool stretch = false;   ///< Images are fitted by changing their proportions.
  bool skip_bad = false;  ///< Images that cannot be read are left out.
  std::string text;       ///< The column of a table that holds texts to tell apart.
  std::string tokenizer;  ///< "bpe(size=1000)"
  int64_t context = 0;    ///< Tokens of a row.

  void add_to(Options& options);
};

bool is_media(const std::string& path, const std::string& target, const MediaOptions& options);
/// The data at that path when it is of such a kind. `model` is the one that will be asked about
/// them, if any: it says how. `target` is the column of a table that holds the classes.
std::optional<TrainTest> open_media(const std::string& path, const std::string& target,
                                    const MediaOptions& options, const Model* model);

/// Raw rows of image files, or of texts, for a model of images or of texts.
Tensor read_images(const std::vector<std::string>& paths, const Model& model);
Tensor read_texts(const std::vector<std::string>& texts, const Model& model);

/// Of images and texts "; one row is [3, 64, 64]", and how many tokens there are; else "".
std::string row_words(const Dataset& dataset);

/// The layers that suit a data set when none are given.
std::string default_net(const Dataset& train);
/// The text of a net with the words `vocabulary`, `context` and `classes` replaced by their
/// numbers.
std::string fill_in(std::string_view net, const Dataset& train);
/// For images in colour: the layer that brings each channel to mean 0 and deviation 1.
std::optional<Layer> channel_scaling(const Dataset& train);

}  // namespace soma::cli
