// Loader: the rows of a data set as batches, in an order made anew for each epoch, changed by
// augmentation, and prepared on a thread of their own while the caller works with the batch before.
//
//   Loader loader(train, {.batch = 128, .seed = 1, .augment = augment::flip(), .prefetch = 2});
//   for (int64_t i = 0; i < loader.batches(); ++i) {
//     const Batch& batch = loader.next();
//     learn(batch.inputs, batch.targets);
//   }
//
// Batches depend on the data set, the options and the seed alone: how many are prepared ahead
// changes no bit. fit() and Trainer take their augmented rows from here.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "soma/augment.h"
#include "soma/data.h"
#include "soma/tensor.h"

namespace soma {

/// Some rows, ready for a network.
struct Batch {
  int64_t epoch = 1;               ///< From 1.
  int64_t index = 0;               ///< In its epoch, from 0.
  std::vector<int64_t> rows = {};  ///< Which rows of the data set these are.
  Tensor inputs{Shape{0}};   ///< f32 [rows, …], scaled; bytes where LoaderOptions asks for them.
  Tensor targets{Shape{0}};  ///< i32 [rows, …] for classes, f32 [rows, k] for numbers.
};

struct LoaderOptions {
  int64_t batch = 32;
  bool shuffle = true;     ///< A new order each epoch: data::permutation() of seed and epoch.
  bool drop_last = false;  ///< Leaves out the rows that fill no batch at the end of an epoch.
  uint64_t seed = 0;
  Augmentation augment = {};
  /// Batches that are prepared ahead. 0 prepares each when it is asked for, which is quicker where
  /// that takes less than the 20 µs or so of handing it from thread to thread.
  int prefetch = 1;
  bool bytes = false;  ///< Inputs of bytes (images) stay as they are, without scale and shift.
};

/// One epoch after the other, without end. Used by one thread at a time; the data set must outlive
/// it and stay as it is.
class Loader {
 public:
  /// Throws ArgumentError for options that do not fit, or an augmentation that does not fit the
  /// rows.
  Loader(const Dataset& dataset, LoaderOptions options);
  Loader(Loader&&) noexcept;
  Loader& operator=(Loader&&) noexcept;
  /// Waits for the batch that is being prepared.
  ~Loader();

  int64_t batches() const;  ///< Of one epoch.
  /// The next batch, which stays until the next call. Throws what its preparation threw, wherever
  /// that happened; the call after that goes on with the batch behind it.
  const Batch& next();
  /// Makes that batch the next one, in any order. Throws ArgumentError when there is none.
  void seek(int64_t epoch, int64_t index = 0);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace soma
