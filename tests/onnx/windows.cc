// Convolution, pooling, padding and resampling.
#include "soma/convolution.h"

#include <cmath>

#include "tests/onnx/pieces.h"
#include "tests/onnx/table.h"

namespace soma::onnx {

namespace {

// The attributes that all moving windows share, for the spatial axes of x.
Dims per_axis(const Site& at, std::string_view name) {
  return at.set(name) ? dims_of(at.list(name)) : Dims{1};
}
std::pair<Dims, Dims> halves(const std::vector<int64_t>& pads) {
  const auto middle = pads.begin() + static_cast<int64_t>(pads.size() / 2);
  return {dims_of({pads.begin(), middle}), dims_of({middle, pads.end()})};
}
Padding padding_of(const Site& at) {
  const std::string automatic = at.text("auto_pad", "NOTSET");
  if (automatic == "SAME_UPPER") return Padding::same();
  if (automatic == "SAME_LOWER") return Padding::same_lower();
  if (automatic == "VALID" || !at.set("pads")) return Padding::valid();
  const auto [lo, hi] = halves(at.list("pads"));
  return Padding(lo, hi);
}

// y [batch, channels, …] plus one number for each channel.
Value with_bias(const Site& at, Value y) {
  return at.has(2) ? y + trailing_ones(at.in(2), y.rank() - 1) : y;
}

Value convolved(const Site& at) {
  ConvOptions options;
  options.stride = per_axis(at, "strides");
  options.padding = padding_of(at);
  options.dilation = per_axis(at, "dilations");
  options.groups = at.integer("group", 1);
  return with_bias(at, convolution(at.in(0), at.in(1), options));
}

Value transposed_convolved(const Site& at) {
  TransposedConvOptions options;
  options.stride = per_axis(at, "strides");
  options.padding = padding_of(at);
  options.dilation = per_axis(at, "dilations");
  options.groups = at.integer("group", 1);
  if (at.set("output_shape")) {
    options.size = dims_of(at.list("output_shape"));
  } else if (at.set("output_padding")) {
    options.output_padding = dims_of(at.list("output_padding"));
  }
  return with_bias(at, transposed_convolution(at.in(0), at.in(1), options));
}

// ---- pooling

PoolOptions pooling(const Site& at) {
  PoolOptions options;
  options.size = dims_of(at.list("kernel_shape"));
  options.stride = per_axis(at, "strides");
  options.padding = padding_of(at);
  options.dilation = per_axis(at, "dilations");
  options.ceil_mode = at.flag("ceil_mode");
  options.count_padding = at.flag("count_include_pad");
  return options;
}

// Places of the planes of an array [batch, channels, …] counted over the whole array.
Value first_of_plane(Graph& graph, const Shape& shape, int64_t plane) {
  const Value batch = iota(graph, shape, 0, i64), channel = iota(graph, shape, 1, i64);
  return (batch * static_cast<double>(shape[1]) + channel) * static_cast<double>(plane);
}

// ONNX counts the places over the whole array, and down the columns when asked.
std::vector<Value> largest_of_windows(const Site& at) {
  const PoolOptions options = pooling(at);
  const Value x = at.in(0), y = max_pool(x, options);
  if (at.outputs() < 2) return {y};
  const Shape shape = x.shape(), places = y.shape();
  Value place = max_pool_places(x, options);
  if (at.flag("storage_order")) {
    const auto height = static_cast<double>(shape[2]), width = static_cast<double>(shape[3]);
    const Value row = place / width;
    place = (place - row * width) * height + row;
  }
  const int64_t plane = shape.elements() / (shape[0] * shape[1]);
  return {y, place + first_of_plane(at.graph(), places, plane)};
}

// The places are those of the array that was pooled; a larger one is filled up behind.
Value unpooled(const Site& at) {
  const Value x = at.in(0);
  const Shape shape = x.shape();
  const std::vector<int64_t> size = at.list("kernel_shape"), stride = at.list("strides");
  Dims extents, more{0, 0};
  for (int i = 0; i < shape.rank() - 2; ++i) {
    const auto k = static_cast<size_t>(i);
    extents.push_back((shape[i + 2] - 1) * (stride.empty() ? 1 : stride[k]) + size[k]);
    more.push_back(at.has(2) ? at.integers(2)[k + 2] - extents[i] : 0);
  }
  const Value places = at.in(1) - first_of_plane(at.graph(), shape, extents.elements());
  return pad(max_unpool(x, places, extents), Dims::filled(more.size(), 0), more);
}

// ---- padding and resampling

Value padded(const Site& at) {
  const auto [lo, hi] = halves(at.has(1) ? at.integers(1) : at.list("pads"));
  static const std::map<std::string, PadMode> modes{
      {"constant", PadMode::constant}, {"reflect", PadMode::reflect}, {"edge", PadMode::replicate}};
  const double value = at.has(2) ? at.known(2).at(0) : at.number("value", 0);
  return pad_edges(at.in(0), lo, hi, modes.at(at.text("mode", "constant")), value);
}

Interpolation interpolation(const std::string& mode) {
  static const std::map<std::string, Interpolation> modes{{"nearest", Interpolation::nearest},
                                                          {"linear", Interpolation::linear},
                                                          {"cubic", Interpolation::cubic}};
  return modes.at(mode);
}
Coordinates coordinates(const std::string& mode) {
  static const std::map<std::string, Coordinates> modes{
      {"half_pixel", Coordinates::half_pixel},
      {"align_corners", Coordinates::align_corners},
      {"asymmetric", Coordinates::asymmetric}};
  const auto found = modes.find(mode);
  if (found == modes.end()) throw NotExpressible("the coordinates " + mode);
  return found->second;
}
Rounding rounding(const std::string& mode) {
  static const std::map<std::string, Rounding> modes{{"floor", Rounding::floor},
                                                     {"ceil", Rounding::ceil},
                                                     {"round_prefer_floor", Rounding::half_down},
                                                     {"round_prefer_ceil", Rounding::half_up}};
  return modes.at(mode);
}

// All axes are resampled, batch and channels to the extents they have.
Value resized(const Site& at) {
  if (at.flag("exclude_outside")) throw NotExpressible("leaving out neighbours beyond the edge");
  const Value x = at.in(0);
  ResizeOptions options;
  options.mode = interpolation(at.text("mode", "nearest"));
  options.coordinates = coordinates(at.text("coordinate_transformation_mode", "half_pixel"));
  options.rounding = rounding(at.text("nearest_mode", "round_prefer_floor"));
  options.cubic = at.number("cubic_coeff_a", -0.75);
  if (at.has(3)) return resize(x, dims_of(at.integers(3)), options);
  const Tensor& scales = at.known(at.opset() < 11 ? 1 : 2);
  Dims size;
  for (int i = 0; i < x.rank(); ++i) {
    options.scale.push_back(scales.at(i));
    size.push_back(
        static_cast<int64_t>(std::floor(static_cast<double>(x.extent(i)) * scales.at(i))));
  }
  return resize(x, size, options);
}

Value upsampled(const Site& at) {
  const Tensor& scales = at.known(1);
  std::vector<double> spatial;
  for (int64_t i = 2; i < scales.elements(); ++i) spatial.push_back(scales.at(i));
  return upsample(at.in(0), spatial, interpolation(at.text("mode", "nearest")));
}

ShuffleOrder shuffle_order(const Site& at) {
  return at.text("mode", "DCR") == "CRD" ? ShuffleOrder::crd : ShuffleOrder::dcr;
}

}  // namespace

void add_windows(Table& table) {
  table.add("Conv", "convolution", convolved);
  table.add("ConvTranspose", "transposed_convolution", transposed_convolved);
  table.add("MaxPool", "max_pool, max_pool_places", largest_of_windows);
  table.add("MaxUnpool", "max_unpool", unpooled);
  table.add("AveragePool", "avg_pool",
            [](const Site& at) { return avg_pool(at.in(0), pooling(at)); });
  table.add("GlobalMaxPool", "global_max_pool",
            [](const Site& at) { return global_max_pool(at.in(0)); });
  table.add("GlobalAveragePool", "global_avg_pool",
            [](const Site& at) { return global_avg_pool(at.in(0)); });
  table.add("Pad", "pad_edges", padded);
  table.add("Resize", "resize", resized);
  table.add("Upsample", "upsample", upsampled);
  table.add("DepthToSpace", "depth_to_space", [](const Site& at) {
    return depth_to_space(at.in(0), at.integer("blocksize", 0), shuffle_order(at));
  });
  table.add("SpaceToDepth", "space_to_depth", [](const Site& at) {
    return space_to_depth(at.in(0), at.integer("blocksize", 0), ShuffleOrder::dcr);
  });
  table.lack({"GridSample", "RoiAlign"}, "no sampling at computed places");
}

}  // namespace soma::onnx
