// How learning reaches each layer: the size of its weights, of their gradients and of what a step
// changes of them.
//
//   LayerWatch watch(net, train, options);
//   options.callbacks.push_back(std::ref(watch));
//   fit(net, train, options);
//   for (const LayerSizes& sizes : watch.sizes()) …
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "soma/train.h"

namespace soma {

/// Root mean squares over the parameters of a layer at one step.
struct LayerSizes {
  int64_t step = 0;  ///< Steps done, this one included.
  std::string layer;
  double weights = 0;   ///< Before the step.
  double gradient = 0;  ///< Of the loss of a batch that is the same at all steps.
  double update = 0;    ///< What the step changed.
  friend bool operator==(const LayerSizes&, const LayerSizes&) = default;
};

/// A callback that measures at the first step and then at about `times` steps of a training, with a
/// program of its own: the training computes the same bits with and without.
class LayerWatch {
 public:
  /// For a training with these options. The network and the data set must outlive the watch. Throws
  /// what fit() throws before the first batch.
  LayerWatch(const Network& net, const Dataset& train, const FitOptions& options,
             int64_t times = 100);
  LayerWatch(LayerWatch&&) noexcept;
  LayerWatch& operator=(LayerWatch&&) noexcept;
  ~LayerWatch();

  bool operator()(const Event& event);
  /// All that was measured, in order: the layers of a step follow each other.
  std::span<const LayerSizes> sizes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace soma
