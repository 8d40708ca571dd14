// Streams: a network of recurrent layers that takes a sequence as it comes, some steps at a time.
//
//   Stream stream(net);                       // one sequence, one step per call
//   for (;;) {
//     const View y = stream.step(next_sample());
//     play(y.as<float>());
//   }
//
// What recurrent layers (and caches) carry from step to step is the stream's state, an object: it
// can be read, set, reset, forked, saved. The results are those of Network::predict() on the whole
// sequence, bit for bit.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "soma/network.h"
#include "soma/plan.h"

namespace soma {

/// A network in the middle of a sequence (of `batch` sequences side by side). It keeps its own copy
/// of the weights, shared with its forks: training the network later does not change it. Used by
/// one thread at a time.
class Stream {
 public:
  /// For `steps` time steps per call. Throws ShapeError, naming the layer, for a network with a
  /// layer that needs the whole sequence at once (bidirectional, reverse, dense without per_step),
  /// and ArgumentError for one of several inputs.
  explicit Stream(const Network& network, int64_t batch = 1, const Device& device = Device::cpu(1),
                  int64_t steps = 1);

  /// Takes the next steps, [batch, steps, …features] in row-major order, and returns the last
  /// layer's values, valid until the next call: [batch, steps, …] or, behind a layer that returns
  /// the last output, [batch, …]. Allocates nothing and takes no lock. Throws ShapeError, having
  /// done nothing, for another count of numbers.
  View step(std::span<const float> x);
  View step(const Tensor& x) { return step(x.data<float>()); }
  /// After step(): the values of another result of the network, by its layer.
  View output(std::string_view layer) const;

  /// [batch, steps, …features].
  const Shape& input_shape() const { return input_shape_; }

  /// What is carried, by name ("lstm1/h": [batch, units]).
  const Tensors& state() const { return state_; }
  /// Goes on from there. Throws ArgumentError or ShapeError, having done nothing, unless the names
  /// and shapes are those of state().
  void set_state(const Tensors& state);
  /// Back to the start of a sequence; or of one of those in the batch.
  void reset();
  void reset(int64_t sequence);
  /// A second stream that goes on from here by itself. It compiles: not for time-critical places.
  Stream fork() const;

  /// Writes the state as a safetensors file, or goes on from one. Throws FileError.
  void save(const std::string& path) const;
  void load(const std::string& path);

 private:
  struct Origin;
  Stream(std::shared_ptr<const Origin> origin, const Device& device);

  std::shared_ptr<const Origin> origin_;
  Device device_;
  Plan plan_;
  Shape input_shape_;
  std::span<float> input_;
  View output_;
  Tensors state_;
};

}  // namespace soma
