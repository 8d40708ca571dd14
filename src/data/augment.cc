// Changing rows at random, by counter.
#include "soma/augment.h"

#include <algorithm>
#include <cmath>

#include "soma/error.h"
#include "src/base/philox.h"
#include "src/base/text.h"

namespace soma {

namespace {

/// The high half of the streams of random numbers, the low half being the row.
constexpr uint64_t augment_stream = 103;

// ---- the changes

double between(AugmentedRow& row, double low, double high) {
  return low + (high - low) * row.uniform();
}
/// One of 0 … count - 1.
int64_t below(AugmentedRow& row, int64_t count) {
  return static_cast<int64_t>(row.uniform() * static_cast<double>(count));
}

/// Each pixel becomes `pick(channel, y, x)` of the old image.
template <class Pick>
void redraw(AugmentedRow& row, Pick&& pick) {
  const std::vector<float> old(row.values.begin(), row.values.end());
  float* out = row.values.data();
  for (int64_t c = 0; c < row.channels; ++c) {
    const float* plane = old.data() + c * row.height * row.width;
    for (int64_t y = 0; y < row.height; ++y) {
      for (int64_t x = 0; x < row.width; ++x) *out++ = pick(plane, y, x);
    }
  }
}

/// Between the four nearest pixels; those outside are like the nearest inside.
float at(const AugmentedRow& row, const float* plane, double y, double x) {
  y = std::clamp(y, 0.0, static_cast<double>(row.height - 1));
  x = std::clamp(x, 0.0, static_cast<double>(row.width - 1));
  const auto top = static_cast<int64_t>(y), left = static_cast<int64_t>(x);
  const int64_t bottom = std::min(top + 1, row.height - 1),
                right = std::min(left + 1, row.width - 1);
  const auto v = static_cast<float>(y - static_cast<double>(top));
  const auto u = static_cast<float>(x - static_cast<double>(left));
  const auto along = [&](int64_t line) {
    const float* pixels = plane + line * row.width;
    return pixels[left] * (1 - u) + pixels[right] * u;
  };
  return along(top) * (1 - v) + along(bottom) * v;
}

void do_flip(AugmentedRow& row, double chance) {
  if (row.uniform() >= chance) return;
  for (int64_t line = 0; line < row.channels * row.height; ++line) {
    std::ranges::reverse(
        row.values.subspan(static_cast<size_t>(line * row.width), static_cast<size_t>(row.width)));
  }
}

void do_crop(AugmentedRow& row, int64_t pad) {
  const int64_t down = below(row, 2 * pad + 1) - pad, right = below(row, 2 * pad + 1) - pad;
  redraw(row, [&](const float* plane, int64_t y, int64_t x) {
    y += down, x += right;
    const bool inside = y >= 0 && y < row.height && x >= 0 && x < row.width;
    return inside ? plane[y * row.width + x] : 0.0f;
  });
}

void do_shift(AugmentedRow& row, double by) {
  const double down = between(row, -by, by) * static_cast<double>(row.height);
  const double right = between(row, -by, by) * static_cast<double>(row.width);
  redraw(row, [&](const float* plane, int64_t y, int64_t x) {
    return at(row, plane, static_cast<double>(y) + down, static_cast<double>(x) + right);
  });
}

void do_rotate(AugmentedRow& row, double degrees) {
  const double turns = between(row, -degrees, degrees) / 360, size = std::abs(turns);
  const double cosine = detail::portable_cos_turns(size);
  const double sine = std::copysign(detail::portable_cos_turns(std::abs(0.25 - size)), turns);
  const double middle_y = static_cast<double>(row.height - 1) / 2;
  const double middle_x = static_cast<double>(row.width - 1) / 2;
  redraw(row, [&](const float* plane, int64_t y, int64_t x) {
    const double dy = static_cast<double>(y) - middle_y, dx = static_cast<double>(x) - middle_x;
    return at(row, plane, middle_y + cosine * dy - sine * dx, middle_x + sine * dy + cosine * dx);
  });
}

void do_cutout(AugmentedRow& row, int64_t size) {
  const int64_t top = below(row, row.height) - size / 2, left = below(row, row.width) - size / 2;
  const int64_t places = row.height * row.width;
  for (int64_t c = 0; c < row.channels; ++c) {
    const auto plane =
        row.values.subspan(static_cast<size_t>(c * places), static_cast<size_t>(places));
    double sum = 0;
    for (const float value : plane) sum += value;
    const auto mean = static_cast<float>(sum / static_cast<double>(places));
    for (int64_t y = std::max<int64_t>(top, 0); y < std::min(top + size, row.height); ++y) {
      for (int64_t x = std::max<int64_t>(left, 0); x < std::min(left + size, row.width); ++x) {
        plane[static_cast<size_t>(y * row.width + x)] = mean;
      }
    }
  }
}

/// e^x for x <= 0, the same bits on every platform.
double portable_exp(double x) {
  if (x < -700) return 0;
  const double small = x / 1024;
  double result = 1 + small * (1 + small / 2 * (1 + small / 3 * (1 + small / 4)));
  for (int i = 0; i < 10; ++i) result *= result;
  return result;
}

/// From Beta(alpha, alpha) (Jöhnk 1964), in logarithms: for small alpha both numbers are tiny.
double beta(AugmentedRow& row, double alpha) {
  for (;;) {
    const double a = detail::portable_log(1 - row.uniform()) / alpha;
    const double b = detail::portable_log(1 - row.uniform()) / alpha;
    const double most = std::max(a, b);
    const double x = portable_exp(a - most), y = portable_exp(b - most);
    if (portable_exp(most) * (x + y) <= 1) return x / (x + y);
  }
}

void do_mixup(AugmentedRow& row, double alpha) {
  const auto share = static_cast<float>(beta(row, alpha));
  std::vector<float> values(row.values.size()), targets(row.targets.size());
  row.other(values, targets);
  const auto mix = [share](std::span<float> own, std::span<const float> other) {
    for (size_t i = 0; i < own.size(); ++i) own[i] = share * own[i] + (1 - share) * other[i];
  };
  mix(row.values, values);
  mix(row.targets, targets);
}

Registry<AugmentationRow> built_in_augmentations() {
  Registry<AugmentationRow> registry("augmentation");
  const auto add = [&](std::string name, std::string formula, std::string source, auto change,
                       std::string_view parameters, bool images = true, bool mixes = false) {
    using Change = detail::Bind<void, AugmentedRow&>;
    registry.add({{std::move(name), std::move(formula), std::move(source), "",
                   Change::parameters(change, parameters)},
                  images,
                  mixes,
                  Change::call(change)});
  };
  add("flip", "left and right change places, with that chance", "", do_flip, "chance=0.5 in [0,1]");
  add("crop", "zeros on all sides, then a window of the old size", "He+ 2015 (arXiv:1512.03385)",
      do_crop, "pad=4 in [0,4096]");
  add("shift", "moved by at most that share of the extent", "", do_shift, "by=0.1 in [0,1]");
  add("rotate", "turned by at most that many degrees", "", do_rotate, "degrees=15 in [0,180]");
  add("cutout", "a square of the image's mean", "DeVries & Taylor 2017 (arXiv:1708.04552)",
      do_cutout, "size=8 in [1,65536]");
  add("mixup", "share of the row + (1 - share) of another, targets alike",
      "Zhang+ 2017 (arXiv:1710.09412)", do_mixup, "alpha=0.2 in (0,1]", false, true);
  return registry;
}

}  // namespace

Registry<AugmentationRow>& augmentations() {
  static Registry<AugmentationRow> registry = built_in_augmentations();
  return registry;
}

std::string Augmentation::text() const {
  std::vector<std::string> texts;
  for (const Part& part : parts_) texts.push_back(part.text());
  return join(texts, " + ");
}

Augmentation augmentation_named(std::string_view text) {
  std::vector<Augmentation::Part> parts;
  if (trim(text).empty()) return {};
  for (const std::string_view part : detail::split_outside(text, '+')) {
    parts.emplace_back(augmentations(), trim(part));
  }
  return Augmentation(std::move(parts));
}

namespace augment {
Augmentation flip(double chance) { return {"flip", {chance}}; }
Augmentation crop(int64_t pad) { return {"crop", {static_cast<int>(pad)}}; }
Augmentation shift(double by) { return {"shift", {by}}; }
Augmentation rotate(double degrees) { return {"rotate", {degrees}}; }
Augmentation cutout(int64_t size) { return {"cutout", {static_cast<int>(size)}}; }
Augmentation mixup(double alpha) { return {"mixup", {alpha}}; }
}  // namespace augment

Augmenter::Augmenter(Augmentation augmentation, const Dataset& dataset, uint64_t seed)
    : augmentation_(std::move(augmentation)), dataset_(dataset), seed_(seed) {
  const Shape shape = dataset.input_shape();
  const int rank = shape.rank();
  const bool image = rank == 2 || rank == 3;
  for (const auto& part : augmentation_.parts()) {
    if (part.row().images && !image) {
      throw ArgumentError(cat(
          "the augmentation ", part.name(), " changes images, [height, width] or ",
          "[channels, height, width]; a row of the data set \"", dataset.name, "\" is ", shape));
    }
    if (part.row().mixes && dataset.is_classification()) {
      throw ArgumentError(cat("the augmentation ", part.name(), " mixes targets, which cannot be ",
                              "done with the labels of the data set \"", dataset.name,
                              "\"; make them shares of classes: data::one_hot()"));
    }
  }
  if (dataset.inputs.type() == i32) {
    throw TypeError(cat("the data set \"", dataset.name,
                        "\" holds whole numbers (i32), which stand ",
                        "for something: augmentation would change their meaning"));
  }
  height_ = image ? shape[rank - 2] : 1;
  width_ = image ? shape[rank - 1] : dataset.features();
  channels_ = rank == 3 ? shape[0] : 1;
}

void Augmenter::make(int64_t row, int64_t epoch, size_t parts, std::span<float> values,
                     std::span<float> targets) const {
  if (dataset_.inputs.type() == u8) {
    const auto bytes = dataset_.inputs.data<uint8_t>().subspan(
        static_cast<size_t>(row) * values.size(), values.size());
    std::ranges::copy(bytes, values.begin());
  } else {
    dataset_.gather_inputs({&row, 1}, values);
  }
  if (!targets.empty()) dataset_.gather_targets({&row, 1}, targets);
  Random random(seed_, augment_stream << 32 | static_cast<uint64_t>(row),
                static_cast<uint32_t>(epoch));
  AugmentedRow changed{values, channels_, height_, width_, targets, {}, {}};
  changed.uniform = [&] { return random.uniform_double(); };
  for (size_t i = 0; i < parts; ++i) {
    changed.other = [&](std::span<float> other_values, std::span<float> other_targets) {
      const auto other = static_cast<int64_t>(random.below(static_cast<uint64_t>(dataset_.size())));
      make(other, epoch, i, other_values, other_targets);
    };
    const auto& part = augmentation_.parts()[i];
    part.row().apply(changed, part.arguments());
  }
}

void Augmenter::gather(std::span<const int64_t> rows, int64_t epoch, std::span<float> inputs,
                       std::span<float> targets) const {
  const auto width = static_cast<size_t>(dataset_.features());
  const auto wanted = static_cast<size_t>(targets.empty() ? 0 : dataset_.target_shape().elements());
  const bool bytes = dataset_.inputs.type() == u8;
  const auto scale = static_cast<float>(dataset_.input_scale);
  const auto shift = static_cast<float>(dataset_.input_shift);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto values = inputs.subspan(i * width, width);
    make(rows[i], epoch, augmentation_.parts().size(), values, targets.subspan(i * wanted, wanted));
    if (!bytes) continue;
    for (float& value : values) value = value * scale + shift;
  }
}

void Augmenter::gather(std::span<const int64_t> rows, int64_t epoch, std::span<uint8_t> inputs,
                       std::span<float> targets) const {
  if (dataset_.inputs.type() != u8) {
    throw TypeError(cat("the data set \"", dataset_.name, "\" holds ", dataset_.inputs.type(),
                        ", which cannot be gathered as bytes"));
  }
  const auto width = static_cast<size_t>(dataset_.features());
  const auto wanted = static_cast<size_t>(targets.empty() ? 0 : dataset_.target_shape().elements());
  std::vector<float> values(width);
  for (size_t i = 0; i < rows.size(); ++i) {
    make(rows[i], epoch, augmentation_.parts().size(), values, targets.subspan(i * wanted, wanted));
    std::ranges::transform(
        values, inputs.begin() + static_cast<std::ptrdiff_t>(i * width),
        [](float value) { return static_cast<uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f)); });
  }
}

namespace data {

Dataset one_hot(Dataset dataset) {
  if (!dataset.is_classification() || dataset.targets.shape().rank() != 1) {
    throw TypeError(cat("the targets of the data set \"", dataset.name, "\" are ",
                        dataset.targets.type(), dataset.targets.shape(),
                        "; one_hot() takes one label for each row, i32[n]"));
  }
  const int64_t classes = dataset.classes();
  Tensor shares({dataset.size(), classes}, f32);
  std::ranges::fill(shares.data<float>(), 0.0f);
  int64_t row = 0;
  for (const int32_t label : dataset.targets.data<int32_t>()) {
    shares.set(classes * row++ + label, 1);
  }
  dataset.targets = std::move(shares);
  return dataset;
}

}  // namespace data
}  // namespace soma
