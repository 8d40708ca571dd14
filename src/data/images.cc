// Images of all sizes as rows of one shape.
#include "soma/images.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <mutex>
#include <thread>

#include "soma/error.h"
#include "src/base/file.h"
#include "src/base/team.h"
#include "src/base/text.h"
#include "src/data/class_folders.h"
#include "src/data/image_file.h"

namespace soma::data {

namespace {

constexpr int64_t largest_inferred = 64;

// ---- size

/// The part of the old places that one new place is made of.
struct Taps {
  int64_t first = 0;
  std::vector<float> weights;
};

/// From the places [begin, begin + length) of `all` to `count` new ones.
std::vector<Taps> taps_of(int64_t begin, int64_t length, int64_t count) {
  std::vector<Taps> result;
  const double scale = static_cast<double>(length) / static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) {
    Taps taps;
    if (scale >= 1) {  // the mean of what [i, i + 1) covers
      const double from = static_cast<double>(i) * scale, to = from + scale;
      const auto first = static_cast<int64_t>(from);
      const auto last = std::min(static_cast<int64_t>(std::ceil(to)), length);
      for (int64_t at = first; at < last; ++at) {
        const double covered =
            std::min(to, static_cast<double>(at + 1)) - std::max(from, static_cast<double>(at));
        taps.weights.push_back(static_cast<float>(covered / scale));
      }
      taps.first = begin + first;
    } else {  // between the centres of two
      const double centre = std::clamp((static_cast<double>(i) + 0.5) * scale - 0.5, 0.0,
                                       static_cast<double>(length - 1));
      const auto first = std::min(static_cast<int64_t>(centre), std::max<int64_t>(length - 2, 0));
      const auto share = static_cast<float>(centre - static_cast<double>(first));
      taps.first = begin + first;
      taps.weights = length == 1 ? std::vector{1.0f} : std::vector{1 - share, share};
    }
    result.push_back(std::move(taps));
  }
  return result;
}

struct Window {
  int64_t top = 0, left = 0, height, width;
};

/// The part of the image that is shown: all of it, or its middle in the new proportions.
Window window_of(int64_t height, int64_t width, int64_t to_height, int64_t to_width, bool stretch) {
  Window window{.height = height, .width = width};
  if (stretch) return window;
  const auto part = [](int64_t side, int64_t a, int64_t b) {  // side * a / b, rounded
    const double exact =
        static_cast<double>(side) * static_cast<double>(a) / static_cast<double>(b);
    return std::max<int64_t>(std::llround(exact), 1);
  };
  window.width = std::min(width, part(height, to_width, to_height));
  window.height = std::min(height, part(width, to_height, to_width));
  window.top = (height - window.height) / 2;
  window.left = (width - window.width) / 2;
  return window;
}

/// `from` [height, width, channels] into `to` [channels, new height, new width].
void fit(const Tensor& from, std::span<uint8_t> to, int64_t to_height, int64_t to_width,
         bool stretch) {
  const int64_t height = from.shape()[0], width = from.shape()[1], channels = from.shape()[2];
  const auto pixels = from.data<uint8_t>();
  const Window window = window_of(height, width, to_height, to_width, stretch);
  const auto across = taps_of(window.left, window.width, to_width);
  const auto down = taps_of(window.top, window.height, to_height);
  // Along rows first, those rows only that are needed.
  std::vector<float> narrow(static_cast<size_t>(window.height * to_width * channels));
  float* out = narrow.data();
  for (int64_t y = window.top; y < window.top + window.height; ++y) {
    for (const Taps& taps : across) {
      const uint8_t* in = &pixels[static_cast<size_t>((y * width + taps.first) * channels)];
      for (int64_t c = 0; c < channels; ++c) {
        float sum = 0;
        const uint8_t* at = in + c;
        for (const float weight : taps.weights) sum += weight * *at, at += channels;
        *out++ = sum;
      }
    }
  }
  for (int64_t y = 0; y < to_height; ++y) {
    const Taps& taps = down[static_cast<size_t>(y)];
    for (int64_t x = 0; x < to_width; ++x) {
      for (int64_t c = 0; c < channels; ++c) {
        float sum = 0;
        int64_t at = ((taps.first - window.top) * to_width + x) * channels + c;
        for (const float weight : taps.weights) {
          sum += weight * narrow[static_cast<size_t>(at)];
          at += to_width * channels;
        }
        to[static_cast<size_t>((c * to_height + y) * to_width + x)] =
            static_cast<uint8_t>(std::clamp(sum + 0.5f, 0.0f, 255.0f));
      }
    }
  }
}

/// [height, width, channels] to [channels, height, width] or back.
Tensor with_channels_first(const Tensor& image) {
  const int64_t height = image.shape()[0], width = image.shape()[1], channels = image.shape()[2];
  Tensor result({channels, height, width}, u8);
  fit(image, result.data<uint8_t>(), height, width, true);
  return result;
}
Tensor with_channels_last(const Tensor& image) {
  const int64_t channels = image.shape()[0], places = image.shape()[1] * image.shape()[2];
  Tensor result({image.shape()[1], image.shape()[2], channels}, u8);
  const auto from = image.data<uint8_t>();
  const auto to = result.data<uint8_t>();
  for (int64_t i = 0; i < image.elements(); ++i) {
    to[static_cast<size_t>(i % places * channels + i / places)] = from[static_cast<size_t>(i)];
  }
  return result;
}

void check_extents(int64_t height, int64_t width, int64_t channels) {
  if (height < 0 || width < 0 || height > 65536 || width > 65536) {
    throw ArgumentError(cat("images cannot be fitted to ", height, " x ", width,
                            " pixels; give extents from 1 to 65536"));
  }
  if (channels != 0 && channels != 1 && channels != 3) {
    throw ArgumentError(cat("images have 1 channel (grey) or 3 (colour), not ", channels));
  }
}

// ---- many files

/// Calls f(i) for each of `count` files, on several threads; what it throws comes back by file.
std::vector<std::string> each_file(size_t count, int threads,
                                   const std::function<void(size_t)>& f) {
  std::vector<std::string> failures(count);
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  Team team(threads > 0 ? threads : cores);
  parallel(team, static_cast<int64_t>(count), [&](int64_t begin, int64_t end, int) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      try {
        f(i);
      } catch (const std::bad_alloc&) {
        failures[i] = "there is not enough memory to read this image";
      } catch (const std::exception& error) {
        failures[i] = error.what();
      }
    }
  });
  return failures;
}

/// Takes out the paths with failures, or throws the first of these.
void leave_out(ClassFiles& files, const std::vector<std::string>& failures,
               const std::function<void(const std::string&)>& skip) {
  size_t kept = 0;
  for (size_t i = 0; i < failures.size(); ++i) {
    if (failures[i].empty()) {
      std::swap(files.paths[kept], files.paths[i]);  // a string moved onto itself is lost
      files.labels[kept++] = files.labels[i];
    } else if (skip) {
      skip(failures[i]);
    } else {
      throw FileError(failures[i]);
    }
  }
  files.paths.resize(kept);
  files.labels.resize(kept);
}

/// Fills in the extents and channels that are not given.
void infer(ImageOptions& options, std::span<const ImageSize> sizes) {
  const auto same = [&](const ImageSize& size) {
    return size.height == sizes[0].height && size.width == sizes[0].width;
  };
  const auto colour = [](const ImageSize& size) { return size.channels == 3; };
  if (options.channels == 0) options.channels = std::ranges::any_of(sizes, colour) ? 3 : 1;
  int64_t height = sizes[0].height, width = sizes[0].width;
  if (!std::ranges::all_of(sizes, same) || std::max(height, width) > largest_inferred) {
    std::vector<int64_t> sides;
    for (const ImageSize& size : sizes) sides.push_back(std::min(size.height, size.width));
    const auto middle = sides.begin() + static_cast<std::ptrdiff_t>(sides.size() / 2);
    std::ranges::nth_element(sides, middle);
    height = width = std::min(*middle, largest_inferred);
  }
  if (options.height == 0 && options.width == 0) {
    options.height = height;
    options.width = width;
  }
  if (options.height == 0) options.height = options.width;
  if (options.width == 0) options.width = options.height;
}

Tensor rows_of(ClassFiles& files, ImageOptions& options) {
  check_extents(options.height, options.width, options.channels);
  const bool asks = options.height == 0 || options.width == 0 || options.channels == 0;
  if (asks && !files.paths.empty()) {
    std::vector<ImageSize> sizes(files.paths.size());
    leave_out(files,
              each_file(files.paths.size(), options.threads,
                        [&](size_t i) {
                          const auto content = read_file(files.paths[i], options.max_bytes);
                          sizes[i] = image_size(content, files.paths[i], options.max_bytes);
                        }),
              options.skip);
    std::erase_if(sizes, [](const ImageSize& size) { return size.height == 0; });
    if (!sizes.empty()) infer(options, sizes);
  }
  const auto shape = [&] {
    const auto rows = static_cast<int64_t>(files.paths.size());
    return options.channels == 1 ? Shape{rows, options.height, options.width}
                                 : Shape{rows, options.channels, options.height, options.width};
  };
  const int64_t each = options.channels * options.height * options.width;
  Tensor rows(shape(), u8);
  const auto row = [&](size_t i) { return rows.data<uint8_t>().subspan(i * each, each); };
  const auto failures = each_file(files.paths.size(), options.threads, [&](size_t i) {
    const auto content = read_file(files.paths[i], options.max_bytes);
    fit(decode_image(content, files.paths[i], options.channels, options.max_bytes), row(i),
        options.height, options.width, options.stretch);
  });
  leave_out(files, failures, options.skip);
  size_t kept = 0;  // the rows move up as the paths did
  for (size_t i = 0; i < failures.size(); ++i) {
    if (!failures[i].empty()) continue;
    if (i != kept) std::ranges::copy(row(i), row(kept).begin());
    ++kept;
  }
  if (kept == failures.size()) return rows;
  Tensor rest(shape(), u8);
  std::ranges::copy(rows.data<uint8_t>().first(kept * static_cast<size_t>(each)),
                    rest.data<uint8_t>().begin());
  return rest;
}

Dataset read_part(const std::string& folder, ImageOptions& options) {
  ClassFiles files = class_files(folder, options.class_names, "image", is_image_name);
  Dataset part;
  part.inputs = rows_of(files, options);
  if (files.paths.empty()) {
    throw FileError(cat("the folder \"", folder, "\" holds no image that can be read"));
  }
  part.targets = Tensor::of({static_cast<int64_t>(files.labels.size())}, files.labels);
  options.class_names = part.class_names = std::move(files.class_names);
  part.input_scale = 1.0 / 255;
  part.origin = folder;
  part.notes["images"] = options.stretch ? "stretch" : "crop";
  return part;
}

}  // namespace

bool is_image_name(const std::string& path) {
  std::string ending = std::filesystem::path(path).extension().string();
  std::ranges::transform(ending, ending.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  constexpr std::string_view endings[] = {".png",  ".jpg", ".jpeg", ".gif", ".bmp",
                                          ".webp", ".tif", ".tiff", ".heic"};
  return std::ranges::find(endings, ending) != std::end(endings);
}

Tensor load_image(const std::string& path, int64_t channels, uint64_t max_bytes) {
  check_extents(0, 0, channels);
  const auto content = read_file(path, max_bytes);
  if (channels == 0) channels = image_size(content, path, max_bytes).channels;
  return with_channels_first(decode_image(content, path, channels, max_bytes));
}

Tensor fit_image(const Tensor& image, int64_t height, int64_t width, bool stretch) {
  check_extents(height, width, 0);
  if (image.type() != u8 || image.shape().rank() != 3 || image.elements() == 0 || height == 0 ||
      width == 0) {
    throw ShapeError(
        cat("an image to fit is u8[channels, height, width] and becomes at least 1 x 1", ", found ",
            image.type(), image.shape(), " for ", height, " x ", width));
  }
  Tensor result({image.shape()[0], height, width}, u8);
  fit(with_channels_last(image), result.data<uint8_t>(), height, width, stretch);
  return result;
}

Tensor load_images(const std::vector<std::string>& paths, const ImageOptions& options) {
  ClassFiles files{{}, paths, std::vector<int32_t>(paths.size())};
  ImageOptions own = options;
  own.skip = {};
  return rows_of(files, own);
}

TrainTest load_image_folder(const std::string& folder, const ImageOptions& options) {
  ImageOptions own = options;  // the second part is read as the first one was
  TrainTest both;
  const auto parts = part_folders(folder);
  both.train = read_part(parts[0], own);
  if (parts.size() > 1) both.test = read_part(parts[1], own);
  const auto path = std::filesystem::path(folder).lexically_normal();
  both.train.name = both.test.name =
      (path.has_filename() ? path : path.parent_path()).filename().string();
  return both;
}

}  // namespace soma::data
