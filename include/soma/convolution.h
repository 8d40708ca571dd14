// Convolution, pooling, padding and resampling: functions over values.
//
//   Value y = convolution(x, w, {.stride = {2}, .padding = Padding::same()});
//   Value z = max_pool(relu(y), {.size = {2}});
//
// Arrays have the channels first, x [batch, channels, spatial…] (as PyTorch and ONNX; Keras has
// them last), with one, two or three spatial axes: the rank of x decides, so one function serves
// all. A list such as `stride` has one entry for each spatial axis, or one for all of them. Every
// function throws ShapeError with a sentence when shapes do not fit, and has gradients of any
// order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "soma/graph.h"
#include "soma/named.h"

namespace soma {

// ---------------------------------------------------------------- padding of moving windows

/// What stands around the spatial axes while a window moves over them.
///   valid       nothing: only windows inside the array count
///   same        as much as gives ceil(extent / stride) places; an odd element goes behind (ONNX
///               SAME_UPPER, TensorFlow, Keras; PyTorch has "same" only without strides)
///   same_lower  the odd element goes in front (ONNX SAME_LOWER)
///   causal      all in front, so that no place sees a later element; for one spatial axis
///   sides       explicit numbers of elements before (lo) and after (hi)
/// As text: "valid", "same", "same_lower", "causal", "1" (on every side), "1x2" (on both sides of
/// each axis) or "1x2/0x2" (before / after).
struct Padding {
  enum class Kind : uint8_t { valid, same, same_lower, causal, sides };
  Kind kind = Kind::valid;
  Dims lo, hi;  ///< Only for `sides`.

  Padding() = default;
  /// That many elements on every side.
  Padding(int64_t each) : kind(Kind::sides), lo{each}, hi{each} {}
  Padding(Dims before, Dims after) : kind(Kind::sides), lo(before), hi(after) {}
  static Padding valid() { return {}; }
  static Padding same() { return Padding(Kind::same); }
  static Padding same_lower() { return Padding(Kind::same_lower); }
  static Padding causal() { return Padding(Kind::causal); }

 private:
  explicit Padding(Kind which) : kind(which) {}
};
template <>
struct Reader<Padding> {
  static Padding read(std::string_view text);
  static std::string write(const Padding& padding);
};

// ---------------------------------------------------------------- convolution

struct ConvOptions {
  Dims stride = {1};
  Padding padding = {};
  Dims dilation = {1};  ///< Distance of neighbours in a window (Yu and Koltun 2016).
  /// The channels are cut into that many equal groups which see nothing of each other.
  int64_t groups = 1;
};

/// Convolution as the field says it, that is cross-correlation (the window is not turned round):
/// y[n, o, p] = Σ_{c,k} x[n, c, p·stride + k·dilation - lo] · w[o, c, k].
/// x [batch, in, …], w [out, in / groups, window…] (OIHW; Keras stores HWIO), result [batch, out,
/// …] with floor((extent + lo + hi - dilation·(window - 1) - 1) / stride) + 1 places along each
/// axis. LeCun+ 1989; ONNX Conv.
Value convolution(Value x, Value w, const ConvOptions& options = {});
/// Each channel with windows of its own: x [batch, in, …], w [in·m, 1, window…], result
/// [batch, in·m, …]; channel c gives the results c·m … c·m + m - 1. `groups` is not looked at.
Value depthwise_convolution(Value x, Value w, ConvOptions options = {});
/// A depthwise convolution and then a product of all channels at each place: `pointwise`
/// [out, in·m, 1…] (Chollet 2017).
Value separable_convolution(Value x, Value depthwise, Value pointwise, ConvOptions options = {});

struct TransposedConvOptions {
  Dims stride = {1};
  /// Taken away from the result: what the forward convolution would have been padded with. `same`
  /// gives extent·stride places (Keras, ONNX auto_pad).
  Padding padding = {};
  Dims dilation = {1};
  int64_t groups = 1;
  /// More places behind, which the shape of the forward convolution leaves open. Keras takes
  /// max(stride - window, 0) when it is not given; here, as in PyTorch and ONNX, it is 0.
  Dims output_padding = {0};
  /// The spatial extents of the result; empty: they follow from the others. With padding `same` or
  /// `same_lower` the padding follows from it (ONNX output_shape), else the output padding
  /// (PyTorch output_size).
  Dims size = {};
};
/// The transpose of convolution as a linear map, that is its gradient by x: x [batch, in, …],
/// w [in, out / groups, window…] (as PyTorch and ONNX), result [batch, out, …] with
/// (extent - 1)·stride - lo - hi + dilation·(window - 1) + 1 + output_padding places. Zeiler+ 2010;
/// ONNX ConvTranspose.
Value transposed_convolution(Value x, Value w, const TransposedConvOptions& options = {});

/// The windows themselves (im2col): x [batch, channels, …] to [batch, channels, places…, window…].
/// Padding is with zeros; `groups` is not looked at.
Value windows_of(Value x, Dims size, const ConvOptions& options = {});
/// The adjoint of windows_of: windows are added back onto spatial axes of these extents (ONNX
/// Col2Im, PyTorch Fold).
Value add_windows(Value windows, Dims extents, const ConvOptions& options = {});
/// A convolution whose weights differ from place to place: w [places, in·window, out], where
/// `places` is their number and in·window runs over channels, then the window. Result [batch, out,
/// places…]. `groups` is not looked at. LeCun 1989; Keras 2 LocallyConnected.
Value locally_connected(Value x, Value w, Dims size, const ConvOptions& options = {});
/// The number of places along each spatial axis for windows of that size.
Dims convolution_places(const Shape& x, Dims size, const ConvOptions& options = {});

// ---------------------------------------------------------------- pooling

struct PoolOptions {
  Dims size;
  /// Empty: the size, so that windows do not overlap (PyTorch, Keras; ONNX has 1).
  Dims stride = {};
  Padding padding = {};
  Dims dilation = {1};
  /// A last window may reach over the end if it starts inside (PyTorch and ONNX ceil_mode).
  bool ceil_mode = false;
  /// Averages: padding counts as zeros (PyTorch's default), or does not count (ONNX, Keras). What
  /// ceil_mode adds behind the padding never counts. Without padding there is no difference.
  bool count_padding = false;
};
/// The largest of each window, [batch, channels, places…]; padding never wins. Elements that share
/// the largest value share the gradient (PyTorch gives it to the first).
Value max_pool(Value x, const PoolOptions& options);
/// The mean of each window.
Value avg_pool(Value x, const PoolOptions& options);
/// (Σ |x|^p)^(1/p) of each window, p >= 1. ONNX LpPool; PyTorch's LPPool takes x^p without the
/// absolute value, which differs for odd p, and Keras has none. A window of zeros has gradient 0.
Value lp_pool(Value x, double p, const PoolOptions& options);
/// Over all places: [batch, channels, 1…].
Value global_max_pool(Value x);
Value global_avg_pool(Value x);
Value global_lp_pool(Value x, double p);
/// As many places as `size` says; place i covers the elements from floor(i·extent / size) to
/// ceil((i + 1)·extent / size) (PyTorch AdaptiveAvgPool). An entry 0 leaves the axis as it is.
Value adaptive_max_pool(Value x, Dims size);
Value adaptive_avg_pool(Value x, Dims size);

/// Where max_pool found its values: i64 [batch, channels, places…], the place's number in row-major
/// order within its plane of x (as PyTorch; ONNX counts over the whole array). The first of equals.
Value max_pool_places(Value x, const PoolOptions& options);
/// Puts values back at such places of zero planes of the given extents: [batch, channels,
/// extents…]. Values that meet at one place are added. PyTorch MaxUnpool; Zeiler and Fergus 2014.
Value max_unpool(Value x, Value places, Dims extents);

// ---------------------------------------------------------------- padding as an array

/// What padding is filled with, for x = a b c and two elements before:
///   constant   v v a b c   a number
///   reflect    c b a b c   mirrored at the edge element (numpy, PyTorch, ONNX reflect)
///   symmetric  b a a b c   mirrored at the edge itself (numpy symmetric)
///   replicate  a a a b c   the edge element (PyTorch; ONNX and numpy edge)
///   circular   b c a b c   from the other end (PyTorch; ONNX and numpy wrap)
enum class PadMode : uint8_t { constant, reflect, symmetric, replicate, circular };
template <>
struct Reader<PadMode> {
  static PadMode read(std::string_view text);
  static std::string write(PadMode value);
};
/// Elements before (lo) and after (hi) the last lo.size() axes; negative numbers take elements
/// away. `reflect` reaches at most extent - 1 elements, `symmetric` extent.
Value pad_edges(Value x, Dims lo, Dims hi, PadMode mode = PadMode::constant, double value = 0);
/// Without lo elements before and hi after, on each of the last lo.size() axes.
Value crop(Value x, Dims lo, Dims hi);
/// Elements along an axis in the opposite order.
Value reversed(Value x, int axis);

// ---------------------------------------------------------------- resampling

enum class Interpolation : uint8_t { nearest, linear, cubic };
template <>
struct Reader<Interpolation> {
  static Interpolation read(std::string_view text);
  static std::string write(Interpolation value);
};
/// Where in x the place i of the result looks, for extents E to O and scale s = O / E:
///   half_pixel      (i + ½) / s - ½          (PyTorch align_corners=False, TensorFlow 2, ONNX)
///   half_pixel_zero the same, but 0 when O = 1 (ONNX pytorch_half_pixel)
///   align_corners   i (E - 1) / (O - 1)      (PyTorch align_corners=True)
///   asymmetric      i / s                    (PyTorch nearest, ONNX Upsample)
enum class Coordinates : uint8_t { half_pixel, half_pixel_zero, align_corners, asymmetric };
/// For `nearest`: which neighbour is taken; the ties of the two roundings go down or up.
enum class Rounding : uint8_t { floor, ceil, half_down, half_up };
struct ResizeOptions {
  Interpolation mode = Interpolation::nearest;
  Coordinates coordinates = Coordinates::half_pixel;
  Rounding rounding = Rounding::half_down;  ///< ONNX round_prefer_floor, PyTorch nearest-exact.
  /// s for each axis; empty: exactly O / E. ONNX and PyTorch use a given scale even where
  /// floor(E·s) / E is another number.
  std::vector<double> scale = {};
  double cubic = -0.75;  ///< Keys' parameter a (PyTorch, ONNX; TensorFlow has -0.5).
  /// Neighbours outside x are left out and the others share their weight (ONNX exclude_outside);
  /// otherwise they count as the edge.
  bool leave_out_outside = false;
};
/// The last size.size() axes resampled to these extents, as products with interpolation matrices.
/// No low-pass filter comes before shrinking (PyTorch
/// antialias=False). Linear over two axes is bilinear; cubic: Keys 1981. ONNX Resize.
Value resize(Value x, Dims size, const ResizeOptions& options = {});
/// The spatial axes floor(extent·scale) long, as PyTorch's Upsample: `nearest` is asymmetric and
/// rounds down (whole scales repeat elements, as in Keras), others are half_pixel or, when asked,
/// align_corners. `scale` has one entry for each spatial axis or one for all.
Value upsample(Value x, const std::vector<double>& scale,
               Interpolation mode = Interpolation::nearest, bool align_corners = false);

/// How the channels [batch, channels·r…, …] that become places are ordered:
///   crd   channel·r^n + position in the block (PyTorch PixelShuffle and PixelUnshuffle)
///   dcr   position in the block·channels + channel (TensorFlow; ONNX's default and only
///         SpaceToDepth)
enum class ShuffleOrder : uint8_t { crd, dcr };
template <>
struct Reader<ShuffleOrder> {
  static ShuffleOrder read(std::string_view text);
  static std::string write(ShuffleOrder value);
};
/// [batch, channels·r^n, …] to [batch, channels, …·r] for n spatial axes (Shi+ 2016).
Value depth_to_space(Value x, int64_t r, ShuffleOrder order);
/// Its inverse.
Value space_to_depth(Value x, int64_t r, ShuffleOrder order);
/// The channels of `groups` equal groups dealt out in turn (ShuffleNet, Zhang+ 2018).
Value channel_shuffle(Value x, int64_t groups);

// ---------------------------------------------------------------- sampling at free places

/// What lies outside the array: zeros, the nearest edge, or its mirror image (about the centres of
/// the edge elements with align_corners, else about their outer sides).
enum class Outside : uint8_t { zeros, border, reflection };
struct GridOptions {
  /// Of two nearest the even one is taken; cubic has Keys' a = -0.75.
  Interpolation mode = Interpolation::linear;
  Outside outside = Outside::zeros;
  /// Whether -1 and 1 are the centres of the edge elements or their outer sides.
  bool align_corners = false;
};
/// x [batch, channels, …] read at the places of `grid` [batch, places…, n] for n = 2 or 3 spatial
/// axes; coordinates run from -1 to 1 and come with the last axis (width) first. Result [batch,
/// channels, places…]. Gradients reach x and, but for `nearest`, the grid. Jaderberg+
/// 2015 (arXiv:1506.02025); PyTorch grid_sample, ONNX GridSample.
Value grid_sample(Value x, Value grid, const GridOptions& options = {});
/// The grid of an affine map: theta [batch, n, n + 1] times the places (…, y, x, 1) of an array of
/// these extents, [batch, extents…, n]. PyTorch affine_grid, ONNX AffineGrid.
Value affine_grid(Value theta, Dims extents, bool align_corners = false);

}  // namespace soma
