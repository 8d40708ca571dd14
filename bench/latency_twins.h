// The networks of the latency benchmark as an engineer would write them by hand: plain loops of
// fixed sizes. Compiled with -O3 -march=native -ffast-math, which the rest is not.
#pragma once

namespace twins {

/// 784-128-10 and 16-32-32-1 with relu; weights [inputs, units], as in the network.
void mlp784(const float* const* w, const float* x, float* y);
void mlp16(const float* const* w, const float* x, float* y);
/// One step of an LSTM of 20 units over one number, then a neuron; the state is h, then c.
void lstm20(const float* const* w, float* state, const float* x, float* y);
/// LeNet-5 on 28 x 28; kernels [channels out, channels in, 5, 5].
void lenet(const float* const* w, const float* x, float* y);

}  // namespace twins
