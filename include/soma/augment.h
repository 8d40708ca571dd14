// Augmentation: training rows that are changed a little, anew in each epoch, so that a network sees
// more of the world than its data set holds.
//
//   fit(net, train, {.loss = cross_entropy(), .epochs = 20,
//                    .augment = augment::flip() + augment::crop(4)});
//
// How a row is changed depends on the seed, the epoch and the row alone: never on the batch it is
// in, on threads, or on whether the training was interrupted.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "soma/data.h"
#include "soma/named.h"

namespace soma {

/// One row while it is changed.
struct AugmentedRow {
  std::span<float> values;  ///< [channels, height, width], in the units of the data set's elements
  int64_t channels = 1, height = 1, width = 1;
  std::span<float> targets;  ///< Its numbers; empty where the targets are labels.
  /// The next random number in [0, 1).
  std::function<double()> uniform;
  /// Fills both with another row, chosen at random, as the parts before this one change it.
  std::function<void(std::span<float> values, std::span<float> targets)> other;
};

/// One way of changing rows.
struct AugmentationRow : Row {
  bool images =
      true;  ///< Needs rows that are images: [height, width] or [channels, height, width].
  bool mixes = false;  ///< Changes targets: they must be numbers.
  std::function<void(AugmentedRow&, std::span<const std::string>)> apply;
};
/// flip, crop, shift, rotate, cutout and mixup.
Registry<AugmentationRow>& augmentations();

/// A chain of changes.
class Augmentation {
 public:
  using Part = Named<AugmentationRow>;
  Augmentation() = default;  ///< Changes nothing.
  Augmentation(std::string_view name, std::initializer_list<Argument> arguments)
      : parts_{Part(augmentations(), name, arguments)} {}
  explicit Augmentation(std::vector<Part> parts) : parts_(std::move(parts)) {}
  /// First this one's changes, then the other's.
  friend Augmentation operator+(Augmentation a, const Augmentation& b) {
    a.parts_.insert(a.parts_.end(), b.parts_.begin(), b.parts_.end());
    return a;
  }
  std::span<const Part> parts() const { return parts_; }
  bool empty() const { return parts_.empty(); }
  /// "flip + crop(pad=2)"; reads back by augmentation_named().
  std::string text() const;

 private:
  std::vector<Part> parts_;
};
/// Parts joined by " + "; "" is none. Throws ArgumentError for unknown names and wrong arguments.
Augmentation augmentation_named(std::string_view text);

namespace augment {
/// Left becomes right, with that chance.
Augmentation flip(double chance = 0.5);
/// With `pad` zeros on all sides, a window of the old size at a random place (He+ 2015).
Augmentation crop(int64_t pad = 4);
/// Moved along both axes by at most that share of the extent; the border's pixels are repeated.
Augmentation shift(double by = 0.1);
/// Turned about the centre by at most that many degrees either way; the border's pixels are
/// repeated.
Augmentation rotate(double degrees = 15);
/// A square of that side, its centre anywhere, is filled with the image's mean (DeVries & Taylor
/// 2017, with zeros).
Augmentation cutout(int64_t size = 8);
/// share of the row + (1 - share) of another one, targets alike; the share is drawn from
/// Beta(alpha, alpha) (Zhang+ 2017). Targets must be numbers: see data::one_hot().
Augmentation mixup(double alpha = 0.2);
}  // namespace augment

/// Gathers changed rows of one data set, which must outlive it. Usable by several threads at once.
class Augmenter {
 public:
  /// Throws ArgumentError when the rows or targets are not what a part needs.
  Augmenter(Augmentation augmentation, const Dataset& dataset, uint64_t seed);
  /// As Dataset::gather_inputs() and gather_targets(), changed as in that epoch. Elements of a data
  /// set of bytes may be gathered as bytes. Targets are left alone where the span is empty.
  void gather(std::span<const int64_t> rows, int64_t epoch, std::span<float> inputs,
              std::span<float> targets) const;
  void gather(std::span<const int64_t> rows, int64_t epoch, std::span<uint8_t> inputs,
              std::span<float> targets) const;

 private:
  void make(int64_t row, int64_t epoch, size_t parts, std::span<float> values,
            std::span<float> targets) const;

  Augmentation augmentation_;
  const Dataset& dataset_;
  uint64_t seed_;
  int64_t channels_ = 1, height_ = 1, width_ = 1;
};

namespace data {
/// The same rows with labels as f32 [n, classes]: 1 for the class, else 0. For mixup, and for
/// losses that compare shares of classes. Throws TypeError unless each row has one label.
Dataset one_hot(Dataset dataset);
}  // namespace data
}  // namespace soma
