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

}  // namespace soma
