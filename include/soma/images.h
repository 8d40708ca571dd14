// Images: PNG and JPEG files, alone or in one folder for each class, as data sets.
//
//   auto [train, test] = data::load_image_folder("photos");      // photos/cat/*.png, photos/dog/*
//   Network net = Network::parse("input 3x64x64, conv2d 16 3 relu, max_pool 2, 2");
//   fit(net, train, {.loss = cross_entropy(), .epochs = 5});
//
// Files are known by their first bytes and treated as hostile. Without libpng and libjpeg
// (SOMA_IMAGES=OFF) the readers throw a FileError that says so.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "soma/data.h"
#include "soma/tensor.h"

namespace soma::data {

/// 89 million pixels in colour.
inline constexpr uint64_t max_image_bytes = uint64_t{1} << 28;

/// How images of all sizes become rows of one shape.
struct ImageOptions {
  /// The rows' extents. 0: those of the images, where all have one size of at most 64 pixels a
  /// side; else a square as high as the shorter side of the middle image, at most 64. One of them
  /// alone makes a square.
  int64_t height = 0, width = 0;
  /// 1 for grey values, 3 for red, green and blue; 0: 3 when one of the images has colour.
  int64_t channels = 0;
  /// Squeezes or stretches each image to the extents; else it is scaled to cover them and what
  /// overhangs is cut off on both sides.
  bool stretch = false;
  /// When given, labels follow it and other classes are refused.
  std::vector<std::string> class_names = {};
  /// When given, is told what is wrong with a file that cannot be read, and the file is left out;
  /// else such a file is refused.
  std::function<void(const std::string& sentence)> skip = {};
  int threads = 0;                       ///< That read; 0: every core. The result is the same.
  uint64_t max_bytes = max_image_bytes;  ///< Of one file, and of its pixels.
};

/// One image: u8 [channels, height, width]. Transparent pixels are shown on white, 16 bits become
/// 8, and `channels` (0: those of the file) makes grey of colour or colour of grey. The orientation
/// that cameras note beside the pixels is not applied. Throws FileError for a file that is missing,
/// neither PNG nor JPEG, cut off, damaged or larger than `max_bytes`.
Tensor load_image(const std::string& path, int64_t channels = 0,
                  uint64_t max_bytes = max_image_bytes);

/// The image u8 [channels, …] at another size, as ImageOptions says: each new pixel is the mean of
/// the area it covers, or between the old ones (bilinear) where it covers less than one.
Tensor fit_image(const Tensor& image, int64_t height, int64_t width, bool stretch = false);

/// Those files as rows: u8 [n, height, width] of grey values, else [n, 3, height, width]. Class
/// names and `skip` do not matter. Throws FileError for the first that cannot be read.
Tensor load_images(const std::vector<std::string>& paths, const ImageOptions& options = {});

/// A folder of one folder for each class, named like it. Where it has the folders train and test
/// (or val, valid, validation) with such folders inside, each is a part. Hidden files and those
/// that are no images by their ending are passed over. Rows are in the order of classes and file
/// names; notes say how images were fitted. Throws FileError for a folder without images or with
/// fewer than two classes.
TrainTest load_image_folder(const std::string& folder, const ImageOptions& options = {});

/// Whether the file's name ends like that of an image: .png, .jpg, .jpeg, or .gif, .bmp, .webp,
/// .tif, .tiff and .heic, which are refused with advice when they are read.
bool is_image_name(const std::string& path);

}  // namespace soma::data
