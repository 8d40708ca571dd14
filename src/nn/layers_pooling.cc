// Layers that pool, pad, resample and reorder [channels, spatial…].
#include <algorithm>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/layer_kinds.h"
#include "src/nn/layer_spatial.h"
#include "src/nn/window.h"

namespace soma {

// ---- arguments

PoolStride Reader<PoolStride>::read(std::string_view text) {
  if (text == "size") return {};
  try {
    return {Reader<Extents>::read(text)};
  } catch (const ArgumentError& error) {
    throw ArgumentError(cat("the word size, ", error.what()));
  }
}

Scales Reader<Scales>::read(std::string_view text) {
  Scales scales;
  for (const std::string_view part : split(text, 'x')) {
    try {
      scales.list.push_back(Reader<double>::read(trim(part)));
    } catch (const ArgumentError&) {
      throw ArgumentError("a number, or one for each axis like 1.5x2");
    }
  }
  return scales;
}

// ---- what all share

Value spatial_input(LayerBuild& at, int axes) {
  if (at.streaming()) at.fail("looks at several steps of a sequence at once and cannot stream");
  const std::vector<Value>& sources = at.sources();
  Value x = sources[0];
  if (sources.size() > 1) {
    const auto rest = [](const Shape& s) {
      return s.rank() < 3 ? Shape{} : Shape(std::span(s.begin() + 2, s.end()));
    };
    for (const Value source : sources) {
      if (source.rank() == x.rank() && x.rank() > 2 && rest(source.shape()) == rest(x.shape())) {
        continue;
      }
      at.fail(cat("its sources have different shapes, ", x.shape(), " and ", source.shape(),
                  " (with the batch in front); only channels of equal extents can be joined"));
    }
    x = concat(sources, 1);
  }
  const Shape shape = x.shape();
  const int spatial = shape.rank() - 2;
  if (axes == 0 && (spatial < 1 || spatial > 3)) {
    at.fail(cat("takes samples [channels, spatial…] with one to three spatial axes, found a batch ",
                "of shape ", shape));
  }
  if (axes > 0 && spatial != axes && spatial != axes - 1) {
    at.fail(cat("takes samples with ", axes, axes == 1 ? " spatial axis" : " spatial axes",
                " and their channels in front, or without channels; found a batch of shape ",
                shape));
  }
  if (axes > 0 && spatial == axes - 1) x = expand_dims(x, 1);
  return at.taps().in = x;
}

Value activate_channels(LayerBuild& at, Value x, const Activations& functions) {
  if (!functions.per_neuron()) {
    ActivationContext context = at.context();
    context.axis = 1;
    return functions.list[0](x, context);
  }
  if (x.extent(1) != static_cast<int64_t>(functions.list.size())) {
    at.fail(cat("has ", functions.list.size(), " activation functions for ", x.extent(1),
                " filters; give one for all or one for each filter"));
  }
  Dims last, first;
  for (int i = 0; i < x.rank(); ++i) {
    last.push_back(i == 0 ? 0 : i + 1 < x.rank() ? i + 1 : 1);
    first.push_back(i == 0 ? 0 : i == 1 ? x.rank() - 1 : i - 1);
  }
  return transpose(at.activate(transpose(x, last), functions), first);
}

// ---- pooling

namespace {

PoolOptions pool_options(const Extents& size, const PoolStride& stride, const Padding& padding,
                         const Extents& dilation, bool ceil_mode) {
  return {dims_of(size), dims_of(stride.numbers), padding, dims_of(dilation), ceil_mode, false};
}

Value without_places(Value x, bool keep) {
  return keep ? x : reshape(x, {x.extent(0), x.extent(1)});
}

}  // namespace

Value build_max_pool(LayerBuild& at, Extents size, PoolStride stride, Padding padding,
                     Extents dilation, bool ceil_mode) {
  const Value x = spatial_input(at);
  return fitted(
      at, [&] { return max_pool(x, pool_options(size, stride, padding, dilation, ceil_mode)); });
}

Value build_avg_pool(LayerBuild& at, Extents size, PoolStride stride, Padding padding,
                     Extents dilation, bool ceil_mode, bool count_padding) {
  const Value x = spatial_input(at);
  PoolOptions options = pool_options(size, stride, padding, dilation, ceil_mode);
  options.count_padding = count_padding;
  return fitted(at, [&] { return avg_pool(x, options); });
}

Value build_lp_pool(LayerBuild& at, Extents size, double p, PoolStride stride, Padding padding,
                    Extents dilation, bool ceil_mode) {
  const Value x = spatial_input(at);
  return fitted(
      at, [&] { return lp_pool(x, p, pool_options(size, stride, padding, dilation, ceil_mode)); });
}

Value build_global_max_pool(LayerBuild& at, bool keep) {
  return without_places(global_max_pool(spatial_input(at)), keep);
}
Value build_global_avg_pool(LayerBuild& at, bool keep) {
  return without_places(global_avg_pool(spatial_input(at)), keep);
}
Value build_global_lp_pool(LayerBuild& at, double p, bool keep) {
  return without_places(global_lp_pool(spatial_input(at), p), keep);
}

Value build_adaptive_max_pool(LayerBuild& at, Extents size) {
  const Value x = spatial_input(at);
  return fitted(at, [&] { return adaptive_max_pool(x, dims_of(size)); });
}
Value build_adaptive_avg_pool(LayerBuild& at, Extents size) {
  const Value x = spatial_input(at);
  return fitted(at, [&] { return adaptive_avg_pool(x, dims_of(size)); });
}

// ---- edges

namespace {

/// The numbers before and after each spatial axis.
std::pair<Dims, Dims> sides_of(const LayerBuild& at, Value x, const Padding& sides) {
  if (sides.kind != Padding::Kind::sides) {
    at.fail("needs the numbers of elements for its sides, for example 1, 1x2 or 1x2/0x2");
  }
  const int axes = x.rank() - 2;
  Dims lo, hi;
  for (int i = 0; i < axes; ++i) {
    lo.push_back(entry("sides", "before", sides.lo, i, axes, 0, 0));
    hi.push_back(entry("sides", "after", sides.hi, i, axes, 0, 0));
  }
  return {lo, hi};
}

}  // namespace

Value build_pad(LayerBuild& at, Padding sides, PadMode mode, double value) {
  const Value x = spatial_input(at);
  return fitted(at, [&] {
    const auto numbers = sides_of(at, x, sides);
    return pad_edges(x, numbers.first, numbers.second, mode, value);
  });
}

Value build_crop(LayerBuild& at, Padding sides) {
  const Value x = spatial_input(at);
  return fitted(at, [&] {
    const auto numbers = sides_of(at, x, sides);
    const Value rest = crop(x, numbers.first, numbers.second);
    if (rest.shape().elements() == 0) {
      at.fail(cat("leaves nothing of ", x.shape(), "; crop fewer elements"));
    }
    return rest;
  });
}

// ---- resampling

Value build_upsample(LayerBuild& at, Scales scale, Interpolation mode, bool align_corners) {
  const Value x = spatial_input(at);
  return fitted(at, [&] { return upsample(x, scale.list, mode, align_corners); });
}

Value build_resize(LayerBuild& at, Extents size, Interpolation mode, bool align_corners) {
  const Value x = spatial_input(at);
  ResizeOptions options;
  options.mode = mode;
  if (align_corners) options.coordinates = Coordinates::align_corners;
  return fitted(at, [&] { return resize(x, size.over(x.rank() - 2), options); });
}

Value build_pixel_shuffle(LayerBuild& at, int64_t factor, ShuffleOrder order) {
  const Value x = spatial_input(at);
  return fitted(at, [&] { return depth_to_space(x, factor, order); });
}
Value build_pixel_unshuffle(LayerBuild& at, int64_t factor, ShuffleOrder order) {
  const Value x = spatial_input(at);
  return fitted(at, [&] { return space_to_depth(x, factor, order); });
}
Value build_channel_shuffle(LayerBuild& at, int64_t groups) {
  const Value x = spatial_input(at);
  return fitted(at, [&] { return channel_shuffle(x, groups); });
}

// ---- order of axes

}  // namespace soma
