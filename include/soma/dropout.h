// Dropout and its relatives: noise that training adds and inference leaves out, so that no neuron
// relies on a single other.
//
// All take uniform random numbers, u = rng(key, shape, stream), and are pure: the same numbers give
// the same mask. Nothing is stored for the backward pass, which makes the numbers again. `u` may
// have fewer elements than x: it broadcasts (numpy's rule), and what shares a number is dropped
// together. `rate` is the share that is dropped, in [0, 1], as in PyTorch and Keras (ONNX: ratio);
// what is kept is scaled so that the mean stays and inference needs no factor. All throw ShapeError
// when u does not broadcast to x, and ArgumentError for a rate outside [0, 1].
#pragma once

#include "soma/graph.h"

namespace soma {

/// y = x / (1 - rate) where u >= rate, else 0. (Srivastava+ 2014; ONNX Dropout.) Of weights, this
/// is DropConnect (Wan+ 2013). With u [batch, 1, …] it drops whole samples of a residual branch:
/// stochastic depth (Huang+ 2016, arXiv:1603.09382; torchvision's "row" mode).
Value dropout(Value x, Value u, double rate);

/// As dropout for whole channels; u is [batch, channels] and `axis` the axis of channels: 1, or the
/// last for [batch, time, features]. (Tompson+ 2015, arXiv:1411.4280; PyTorch's Dropout1d, 2d, 3d,
/// Keras's SpatialDropout.)
Value channel_dropout(Value x, Value u, double rate, int axis = 1);
/// u [batch] by x: each sample is dropped whole or kept.
Value stochastic_depth(Value x, Value u, double rate);

/// Keeps mean 0 and variance 1 of what selu gives: dropped numbers become the value selu has at
/// -infinity, -λα = -1.7581, and y = a · that + b. (Klambauer+ 2017, arXiv:1706.02515.) With u
/// [batch, channels, 1, …], feature-alpha dropout.
Value alpha_dropout(Value x, Value u, double rate);

/// Normal random numbers of mean 0 and variance 1 from two independent uniform arrays (Box & Muller
/// 1958).
Value standard_normal(Value u1, Value u2);
/// y = x · (1 + z sqrt(rate / (1 - rate))) for normal z: the mean and variance that dropout has.
/// (Srivastava+ 2014, section 10; Keras's GaussianDropout.) rate < 1.
Value gaussian_dropout(Value x, Value z, double rate);
/// y = x + z std for normal z.
Value gaussian_noise(Value x, Value z, double std);

}  // namespace soma
