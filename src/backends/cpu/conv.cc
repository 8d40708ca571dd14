// Convolutions that gather: y, and dx. See conv.h.
#include "src/backends/cpu/conv.h"

#include <bit>

#include "src/backends/cpu/conv_source.h"
#include "src/backends/cpu/gemm.h"
#include "src/base/text.h"

namespace soma::cpu {

namespace {

constexpr int64_t cache_bytes = 768 * 1024;  // a chunk's copy and product stay in the second level

int64_t ceil_div(int64_t a, int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }
int64_t aligned(int64_t elements) { return (elements + 15) / 16 * 16; }

/// One product of a gathering convolution: the places base + step·i of the result along each axis.
struct Part {
  Dims base;
  std::vector<Dims> taps;     ///< Displacements in the source.
  std::vector<int64_t> from;  ///< Where each tap's weights lie in a window.
  std::vector<int64_t> rows;  ///< Distances of the right operand's rows: channels × taps.
  int64_t weights = 0;        ///< Where this part's begin, of one group.
};

/// y from x and w, or dx from y and w: "from" and "to" are the channels of a group there.
struct Gather final : ConvPlan {
  DType type;
  bool backward;
  int64_t samples, groups, from_channels, to_channels, window, flops;
  Dims grid;          ///< Places along each axis, which every part has.
  Dims step, result;  ///< Of the result: distance of places, extents.
  std::vector<Part> parts;
  Padded source;
  bool reads_source = false;   ///< One tap, no zeros: the right operand is the source itself.
  bool writes_result = false;  ///< The product is the result itself.
  int64_t row_block = 1, channel_block = 1;
  int64_t copy_elements = 0, wide = 0;  ///< Elements of the copy and of a row of the product.

  Gather(const ConvShape& shape, DType t);
  std::vector<Instruction> instructions(const Places& places, const Isa& isa) const override;

  int64_t row_chunks() const { return ceil_div(grid[0], row_block); }
  int64_t channel_chunks() const { return ceil_div(to_channels, channel_block); }
  int64_t chunks() const { return samples * groups * row_chunks() * channel_chunks(); }
  /// The places of a chunk of so many rows.
  Dims places(int64_t rows) const {
    Dims p = grid;
    p[0] = rows;
    return p;
  }

 private:
  Dims plan_forward(const ConvShape& shape);
  Dims plan_backward(const ConvShape& shape);
  void cut(const Dims& reach);
  void lay_out(const Dims& reach);
};

/// Plans the places and taps of y; the reach of the window.
Dims Gather::plan_forward(const ConvShape& shape) {
  const Dims size(std::span(shape.w).subspan(2));
  const int n = size.size();
  grid = result;
  step = Dims::filled(n, 1);
  source.lo = shape.attr.lo;
  source.stride = shape.attr.stride;
  source.source = Dims(std::span(shape.x).subspan(2));
  Part part;
  part.base = Dims::filled(n, 0);
  Dims reach = Dims::filled(n, 0);
  for_each_tap(size, [&](const Dims& tap) {
    for (int i = 0; i < n; ++i) reach[i] = tap[i] * shape.attr.dilation[i];
    part.from.push_back(static_cast<int64_t>(part.taps.size()));
    part.taps.push_back(reach);
  });
  parts.push_back(std::move(part));
  return reach;
}

/// Place x of dx takes tap k from place m of y where x + lo = stride·m + dilation·k. Written as
/// x + lo = stride·j + a, each a below the stride is a part: m = j - (dilation·k - a) / stride.
Dims Gather::plan_backward(const ConvShape& shape) {
  const Dims size(std::span(shape.w).subspan(2));
  const int n = size.size();
  const Dims &stride = shape.attr.stride, &dilation = shape.attr.dilation, &lo = shape.attr.lo;
  grid = source.lo = Dims::filled(n, 0);
  step = stride;
  source.stride = Dims::filled(n, 1);
  source.source = Dims(std::span(shape.y).subspan(2));
  Dims reach = grid, first = grid;
  for (int i = 0; i < n; ++i) {
    reach[i] = (size[i] - 1) * dilation[i] / stride[i];
    first[i] = lo[i] / stride[i];
    grid[i] = (result[i] - 1 + lo[i]) / stride[i] - first[i] + 1;
    source.lo[i] = reach[i] - first[i];
  }
  int64_t weights = 0;
  for_each_tap(stride, [&](const Dims& phase) {
    Part part;
    part.base = phase;
    for (int i = 0; i < n; ++i) part.base[i] += first[i] * stride[i] - lo[i];
    int64_t number = 0;
    for_each_tap(size, [&](const Dims& tap) {
      Dims at = reach;
      bool reaches = true;
      for (int i = 0; i < n; ++i) {
        at[i] -= tap[i] * dilation[i] / stride[i];
        reaches = reaches && tap[i] * dilation[i] % stride[i] == phase[i];
      }
      if (reaches) part.from.push_back(number), part.taps.push_back(at);
      ++number;
    });
    part.weights = weights;
    weights += from_channels * to_channels * static_cast<int64_t>(part.taps.size());
    parts.push_back(std::move(part));
  });
  return reach;
}

Gather::Gather(const ConvShape& shape, DType t)
    : type(t),
      backward(shape.attr.role == ConvRole::dx),
      samples(shape.samples()),
      groups(shape.attr.groups),
      from_channels(backward ? shape.outs() : shape.ins()),
      to_channels(backward ? shape.ins() : shape.outs()),
      window(plane_of(shape.w)),
      flops(shape.flops()),
      result(std::span(backward ? shape.x : shape.y).subspan(2)) {
  const Dims reach = backward ? plan_backward(shape) : plan_forward(shape);
  row_block = grid[0];
  lay_out(reach);
  reads_source = parts.size() == 1 && parts[0].taps.size() == 1 && source.is_source();
  writes_result = parts.size() == 1 && grid == result;
  for (int i = 0; i < grid.size(); ++i) {
    writes_result = writes_result && step[i] == 1 && parts[0].base[i] == 0 &&
                    (i == 0 || source.extent[i] / source.stride[i] == grid[i]);
  }
  cut(reach);
  lay_out(reach);
  const auto bytes = static_cast<int64_t>(size_of(type));
  for (Part& part : parts) {
    for (int64_t c = 0; c < from_channels; ++c) {
      for (const Dims& tap : part.taps) {
        part.rows.push_back(c * source.channel + source.distance(tap));
      }
    }
  }
  const int64_t panel = gemm_depth_block(from_channels, type) * 128;
  scratch_bytes = bytes * (copy_elements + (writes_result ? 0 : channel_block * wide) +
                           (reads_source ? panel : 0));
  if (backward) workspace_bytes = bytes * groups * from_channels * to_channels * window;
}

void Gather::lay_out(const Dims& reach) {
  source = Padded(source.source, source.lo, source.stride, places(row_block), reach);
  copy_elements = reads_source ? 0 : aligned(source.elements(from_channels));
  wide = aligned(source.span(places(row_block)));
}

/// Cuts rows and channels so that a chunk stays in cache and that there are enough chunks.
void Gather::cut(const Dims& reach) {
  const auto bytes = static_cast<int64_t>(size_of(type));
  channel_block = to_channels;
  const auto memory = [&] {
    lay_out(reach);
    return bytes * (copy_elements + (writes_result ? 0 : channel_block * wide));
  };
  while (row_block > 1 && memory() > cache_bytes) row_block = (row_block + 1) / 2;
  const int64_t wanted = conv_chunks_wanted(flops);
  while (chunks() < wanted) {
    if (row_block >= 8) {
      row_block = (row_block + 1) / 2;
    } else if (channel_block >= 28) {
      channel_block = (channel_block / 2 + 1) / 2 * 2;
    } else if (row_block > 1) {
      row_block = (row_block + 1) / 2;
    } else {
      break;
    }
  }
}

struct GatherArgs {
  Gather plan;
  ConvPlan::Places places;
  const Isa* isa;
};

/// Writes a part's places where they belong in a plane of the result.
template <class T>
void place_axis(const Gather& g, const Isa& isa, const Part& part, int axis, int64_t first,
                int64_t count, const T* from, T* to, int64_t to_plane) {
  struct Piece {
    int64_t from, to, step, count;
  };
  const auto piece = [&](int d, int64_t from_place, int64_t places) {
    const int64_t step = g.step[d], base = part.base[d] + from_place * step;
    const int64_t begin = std::max<int64_t>(0, ceil_div(-base, step));
    const int64_t end = std::min(places, ceil_div(g.result[d] - base, step));
    return Piece{begin * g.source.pitch[d], base + begin * step, step,
                 std::max<int64_t>(0, end - begin)};
  };
  const auto copy = isa.copy2d[width_index(sizeof(T))];
  const int last = g.result.size() - 1;
  const int64_t inner = to_plane / g.result[axis], pitch = g.source.pitch[axis];
  const Piece here = piece(axis, first, count);
  from += here.from, to += here.to * inner;
  if (axis == last) {
    copy(to, {0, here.step}, from, {0, 1}, 1, here.count);
  } else if (axis + 1 == last) {
    const Piece row = piece(last, 0, g.grid[last]);
    copy(to + row.to, {here.step * inner, row.step}, from + row.from, {pitch, 1}, here.count,
         row.count);
  } else {
    for (int64_t i = 0; i < here.count; ++i) {
      place_axis(g, isa, part, axis + 1, 0, g.grid[axis + 1], from + i * pitch,
                 to + i * here.step * inner, inner);
    }
  }
}

template <class T>
void gather_chunk(const GatherArgs& args, Memory memory, int64_t chunk, std::byte* scratch) {
  const Gather& g = args.plan;
  const int64_t row = chunk % g.row_chunks() * g.row_block;
  const int64_t channel = chunk / g.row_chunks() % g.channel_chunks() * g.channel_block;
  const int64_t image = chunk / (g.row_chunks() * g.channel_chunks());  // sample and group
  const int64_t rows = std::min(g.row_block, g.grid[0] - row);
  const int64_t channels = std::min(g.channel_block, g.to_channels - channel);
  const auto at = [&](const Array& array) {
    return reinterpret_cast<const T*>(memory[array.buffer] + array.offset);
  };
  const T* from = at(args.places.a) + image * g.from_channels * g.source.source_plane;
  const int64_t plane = g.result.elements();
  T* to = reinterpret_cast<T*>(memory[args.places.out]) + (image * g.to_channels + channel) * plane;
  T* copy = reinterpret_cast<T*>(scratch);
  T* product = copy + g.copy_elements;
  GemmBlock block{};
  block.cols = g.source.span(g.places(rows));
  block.c = g.writes_result ? to + row * g.source.pitch[0] : product;
  block.ldc = g.writes_result ? plane : g.wide;
  block.scratch = product + (g.writes_result ? 0 : g.channel_block * g.wide);
  block.rows = channels;
  const auto* bias = reinterpret_cast<const T*>(args.places.finish.bias_in(memory));
  if (bias != nullptr) block.bias = bias + image % g.groups * g.to_channels + channel;
  block.bias_of_rows = true;
  block.relu = args.places.finish.relu;
  if (g.reads_source) {
    block.b = from + row * g.source.pitch[0];
    block.ldb = g.source.source_plane;
    block.pack_b = block.ldb * static_cast<int64_t>(sizeof(T)) >= 4096;
  } else {
    copy_padded(g.source, *args.isa, g.from_channels, row * g.source.stride[0] - g.source.lo[0],
                from, copy);
    block.b = copy;
  }
  for (const Part& part : g.parts) {
    block.k = g.from_channels * static_cast<int64_t>(part.taps.size());
    block.kc = gemm_depth_block(block.k, g.type);
    if (!g.reads_source) block.b_rows = part.rows.data();
    block.lda = block.k;
    const int64_t group = image % g.groups * g.to_channels * g.from_channels * g.window;
    const T* weights =
        g.backward ? reinterpret_cast<const T*>(memory[args.places.workspace]) : at(args.places.b);
    block.a = weights + group + part.weights + channel * block.k;
    args.isa->gemm[sizeof(T) == 4 ? 0 : 1](block);
    if (g.writes_result || plane == 0) continue;
    for (int64_t c = 0; c < channels; ++c) {
      place_axis(g, *args.isa, part, 0, row, rows, product + c * g.wide, to + c * plane, plane);
    }
  }
}

void gather(const void* args, Memory memory, int64_t begin, int64_t end,
            std::byte* scratch) noexcept {
  const auto& a = *static_cast<const GatherArgs*>(args);
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    if (a.plan.type == f32) {
      gather_chunk<float>(a, memory, chunk, scratch);
    } else {
      gather_chunk<double>(a, memory, chunk, scratch);
    }
  }
}

/// Brings the weights of dx into order: for each part, [to channels][from channels][taps]. A chunk
/// is one channel of dx.
template <class T>
void order_weights(const GatherArgs& args, Memory memory, int64_t channel) {
  const Gather& g = args.plan;
  const int64_t group = channel / g.to_channels, c = channel % g.to_channels;
  const int64_t size = g.from_channels * g.to_channels * g.window;
  const Array& b = args.places.b;
  const T* from = reinterpret_cast<const T*>(memory[b.buffer] + b.offset) + group * size;
  for (const Part& part : g.parts) {
    const auto taps = static_cast<int64_t>(part.taps.size());
    T* to = reinterpret_cast<T*>(memory[args.places.workspace]) + group * size + part.weights +
            c * g.from_channels * taps;
    for (int64_t o = 0; o < g.from_channels; ++o) {
      const T* row = from + (o * g.to_channels + c) * g.window;
      for (const int64_t tap : part.from) *to++ = row[tap];
    }
  }
}
void order(const void* args, Memory memory, int64_t begin, int64_t end, std::byte*) noexcept {
  const auto& a = *static_cast<const GatherArgs*>(args);
  for (int64_t channel = begin; channel < end; ++channel) {
    if (a.plan.type == f32) {
      order_weights<float>(a, memory, channel);
    } else {
      order_weights<double>(a, memory, channel);
    }
  }
}

std::vector<Instruction> Gather::instructions(const Places& where, const Isa& isa) const {
  const auto args = std::make_shared<GatherArgs>(GatherArgs{*this, where, &isa});
  std::vector<Instruction> list;
  if (backward) {
    Instruction first;
    first.kernel = order;
    first.args = args;
    first.chunks = groups * to_channels;
    first.text = "conv dx: weights in order";
    list.push_back(std::move(first));
  }
  Instruction main;
  main.kernel = gather;
  main.args = args;
  main.chunks = chunks();
  main.flops = flops;
  main.text = cat("conv ", backward ? "dx" : "y", " of ", samples, " x ", groups * to_channels,
                  " planes ", result, ", window of ", window, " over ", from_channels);
  list.push_back(std::move(main));
  return list;
}

}  // namespace

int64_t conv_chunks_wanted(int64_t flops) {
  // 10 µs on one core; a power of two, so that threads get equal shares of most batches
  return std::min<int64_t>(
      static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(flops / 1'000'000) | 1)), 16);
}

std::shared_ptr<const ConvPlan> plan_conv(const Node& node, const Shape& a, const Shape& b) {
  const ConvShape shape(node.as<ConvAttr>(), a, b, node.shape);
  if (shape.attr.role == ConvRole::dw) return plan_conv_weights(node, a, b);
  return std::make_shared<Gather>(shape, node.type);
}

}  // namespace soma::cpu
