// Normalization: functions over values that bring numbers to mean 0 and variance 1, or vectors to
// length 1, and then through a trained scale and shift. The layers of these names are built of
// them.
//
// Axis 0 is the batch; images are [batch, channels, height, width]. An empty Value as scale or
// shift leaves that step out. Variances are those of the population (divided by n) unless said
// otherwise. `eps` is added to the variance, inside the root, unless said otherwise; its default is
// stated per function because libraries differ. A function that is one operator of ONNX is one
// `call` of that name, so that a backend may run it by a kernel of its own.
//
// All throw ShapeError for shapes that do not fit and TypeError for integers. Negative axes count
// from the end.
#pragma once

#include "soma/graph.h"

namespace soma {

// ---------------------------------------------------------------- each sample by itself

/// y = (x - mean) / sqrt(variance + eps) · scale + shift, over the axes from `axis` to the last.
/// `scale` and `shift` have the shape of those axes. (Ba+ 2016, arXiv:1607.06450; ONNX
/// LayerNormalization.) eps: PyTorch and ONNX 1e-5, Keras 1e-3, Flax 1e-6.
Value layer_norm(Value x, Value scale = {}, Value shift = {}, double eps = 1e-5, int axis = -1);

/// y = x / sqrt(mean(x²) + eps) · scale, over the axes from `axis` to the last. (Zhang & Sennrich
/// 2019, arXiv:1910.07467; ONNX RMSNormalization.) eps: ONNX 1e-5, Keras 1e-6, PyTorch the machine
/// epsilon of the type (1.19e-7 for f32).
Value rms_norm(Value x, Value scale = {}, double eps = 1e-5, int axis = -1);

/// As layer_norm over each group of channels and all positions: x [batch, channels, …], `groups`
/// divides the channels; scale and shift [channels]. (Wu & He 2018, arXiv:1803.08494; ONNX
/// GroupNormalization of opset 21; that of opset 18 had one scale for each group.) eps: PyTorch
/// and ONNX 1e-5, Keras 1e-3.
Value group_norm(Value x, int64_t groups, Value scale = {}, Value shift = {}, double eps = 1e-5);

/// Each channel of each sample over its positions: x [batch, channels, …], at least one position
/// axis; scale and shift [channels]. (Ulyanov+ 2016, arXiv:1607.08022; ONNX
/// InstanceNormalization.) eps: PyTorch and ONNX 1e-5.
Value instance_norm(Value x, Value scale = {}, Value shift = {}, double eps = 1e-5);

/// What local_response_norm takes beside x. The defaults are those of ONNX and PyTorch.
struct LocalResponse {
  int64_t size = 5;  ///< Channels in the window, the own included.
  /// Divided by `size`, as ONNX, PyTorch and Caffe do. Krizhevsky+ 2012 and TensorFlow do not
  /// divide: give size times their alpha.
  double alpha = 1e-4;
  double beta = 0.75;
  double bias = 1;  ///< "k" of the paper, which uses 2.
  /// Channels of the window before the own; -1: (size - 1) / 2, as ONNX. PyTorch has size / 2,
  /// which differs when size is even.
  int64_t before = -1;
};
/// y = x / (bias + alpha / size · Σ x² over a window of channels)^beta; x [batch, channels, …].
/// Channels outside count as 0. (Krizhevsky+ 2012; ONNX LRN.)
Value local_response_norm(Value x, const LocalResponse& response = {});

/// y = x / max(‖x‖_p, eps) along one axis; p ≥ 1, infinity for the largest magnitude. A vector of
/// zeros stays zeros, with gradient 0 of the length. (ONNX LpNormalization for p 1 and 2, eps 0;
/// PyTorch's normalize, eps 1e-12; Keras's UnitNormalization, p 2, with eps under the root.)
Value lp_normalize(Value x, double p = 2, int axis = -1, double eps = 1e-12);

/// y = (x - mean) / (sqrt(variance) + eps) over `axes`: eps outside the root. (ONNX
/// MeanVarianceNormalization: axes {0, 2, 3}, eps 1e-9.)
Value mean_variance_norm(Value x, Dims axes = {0, 2, 3}, double eps = 1e-9);

/// y = tanh(alpha x) · scale + shift, a stand-in for layer_norm that needs no statistics; alpha is
/// one number, scale and shift as in layer_norm. (Zhu+ 2025, arXiv:2503.10622: alpha starts at
/// 0.5.)
Value dynamic_tanh(Value x, Value alpha, Value scale = {}, Value shift = {});

// ---------------------------------------------------------------- the batch

/// Mean and variance of each channel, [channels].
struct Moments {
  Value mean;
  Value variance;     ///< Of the population: divided by `count`.
  int64_t count = 0;  ///< Numbers in each channel.
  /// Of the sample: divided by count - 1, as PyTorch's running variance. One number has variance 0.
  Value sample_variance() const;
};
/// Over all axes but `axis`.
Moments moments(Value x, int axis = 1);

/// y = (x - mean) / sqrt(variance + eps) · scale + shift by given statistics; all four arrays are
/// [channels], one for each element of `axis` (1; the last for [batch, time, features]). (Ioffe &
/// Szegedy 2015, arXiv:1502.03167; ONNX BatchNormalization.) eps: PyTorch, ONNX and Flax 1e-5,
/// Keras 1e-3.
Value batch_norm(Value x, Value mean, Value variance, Value scale = {}, Value shift = {},
                 double eps = 1e-5, int axis = 1);

struct BatchNorm {
  Value y;
  Moments batch;  ///< What the running statistics follow.
};
/// As batch_norm by the statistics of x itself: training. Gradients flow through the statistics.
BatchNorm batch_norm_training(Value x, Value scale = {}, Value shift = {}, double eps = 1e-5,
                              int axis = 1);

/// As batch_norm_training, corrected towards the running statistics [channels] that inference uses:
/// y = ((x - mean) / σ · r + d) · scale + shift, with r = σ / σ_running clipped to
/// [1 / r_max, r_max] and d = (mean - running mean) / σ_running clipped to ±d_max; no gradient
/// flows through r and d. r_max 1 and d_max 0 is batch_norm_training. (Ioffe 2017,
/// arXiv:1702.03275, which lets r_max grow from 1 to 3 and d_max from 0 to 5.)
BatchNorm batch_renorm(Value x, Value running_mean, Value running_variance, double r_max,
                       double d_max, Value scale = {}, Value shift = {}, double eps = 1e-5,
                       int axis = 1);

/// kept · running + (1 - kept) · batch, without gradient. `kept` is the momentum of Keras (0.99),
/// ONNX (0.9) and Flax (0.99), and 1 - momentum of PyTorch (0.1). The running variance of PyTorch
/// follows the sample variance, those of Keras and ONNX the population's.
Value running_average(Value running, Value batch, double kept);

// ---------------------------------------------------------------- weights
// `axis` is the axis of neurons or channels: 1 for dense weights [in, out], 0 for convolutions
// [out, in, window…]. (PyTorch's dim 0, since its dense weights are [out, in].)

/// w = gain · v / ‖v‖, the length over all axes but `axis`; gain [neurons]. (Salimans & Kingma
/// 2016, arXiv:1602.07868.) A neuron whose v is 0 gets 0.
Value weight_norm(Value v, Value gain, int axis);

struct SpectralNorm {
  Value weights;
  Value vector;  ///< The state after the iterations: the left singular vector, [neurons].
};
/// w / σ, σ being the largest singular value of w as a matrix [neurons, rest], by power iteration
/// from the state `vector` [neurons]; σ = u·w v with u and v held fixed in the gradient. PyTorch
/// and Keras do one iteration for each training step and none in inference (`iterations` 0), where
/// v follows from the state. (Miyato+ 2018, arXiv:1802.05957.)
SpectralNorm spectral_norm(Value w, Value vector, int axis, int iterations = 1, double eps = 1e-12);

/// (w - mean) / sqrt(variance + eps) over all axes but `axis`. (Qiao+ 2019, arXiv:1903.10520; its
/// published code adds 1e-5 to the deviation and not to the variance.)
Value weight_standardization(Value w, int axis, double eps = 1e-5);

}  // namespace soma
