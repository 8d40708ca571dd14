// Convolutions through the matrix-product kernels, for any number of spatial axes, stride, padding,
// dilation and groups.
//
// y and dx gather: a chunk is some rows of some channels of one sample and group; it copies what it
// reads with zeros around (conv_source.h) and multiplies the weights by the copy's rows. dx with a
// stride is one such product for each place modulo the stride, over the taps that reach it; its
// weights are brought into order by an instruction of their own. dw sums over samples: a chunk has
// some samples and computes partial sums, which a last instruction adds in order.
//
// Chunks are cut by shape alone. Every sum runs over channels and taps in order (y, dx), or over
// samples and places in order (dw), in blocks that depend on shape alone.
#pragma once

#include <memory>

#include "src/backends/cpu/finish.h"
#include "src/backends/cpu/isa.h"

namespace soma::cpu {

struct ConvPlan {
  int64_t workspace_bytes = 0;  ///< Memory that its instructions share.
  int64_t scratch_bytes = 0;    ///< For each worker.

  virtual ~ConvPlan() = default;
  struct Places {
    Array a, b;
    size_t out, workspace;
    FinishAt finish = {};  ///< Of y; a bias has a number for each channel.
  };
  /// The instructions, in order, with their texts' endings.
  virtual std::vector<Instruction> instructions(const Places& places, const Isa& isa) const = 0;
};

/// `node` is the convolution of operands of shapes a and b.
std::shared_ptr<const ConvPlan> plan_conv(const Node& node, const Shape& a, const Shape& b);

/// The role dw; see conv_weights.cc.
std::shared_ptr<const ConvPlan> plan_conv_weights(const Node& node, const Shape& a, const Shape& b);

/// The least number of chunks worth cutting work of so many operations into.
int64_t conv_chunks_wanted(int64_t flops);

}  // namespace soma::cpu
