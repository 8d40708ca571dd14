// Convolutions that sum over samples: dw. See conv.h.
//
// For each tap, dw[c, o] is the product of the padded copy of x, whose row c begins at the tap's
// distance, with the transpose of dy: [places, outputs], zero at the places between rows. Few
// channels are copied once more, so that channels and taps together make the rows of one product.
// Where a group has one input, the rows of dy are multiplied by those of the copy where they lie
// (correlate_kernels.h).
#include <type_traits>

#include "src/backends/cpu/conv.h"
#include "src/backends/cpu/conv_source.h"
#include "src/backends/cpu/gemm.h"
#include "src/base/text.h"

namespace soma::cpu {

namespace {

constexpr int64_t cache_bytes = 1024 * 1024;  // what a chunk works on
constexpr int64_t most_partial_bytes = 64ll * 1024 * 1024;
constexpr int64_t few_channels = 6;  // fewer rows of a product would leave the multipliers idle
constexpr int64_t least_block = 16;  // inputs of a chunk that are not shared any further
constexpr int64_t near_bytes = 32 * 1024;  // what a tile of direct sums reads

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t aligned(int64_t elements) { return ceil_div(elements, 16) * 16; }

struct Weights final : ConvPlan {
  DType type;
  int64_t samples, groups, ins, outs, window, flops;
  Dims grid;  ///< Places of dy.
  std::vector<Dims> taps;
  Padded source;
  std::vector<int64_t> tap_distance;
  std::vector<int64_t> row_distance;    ///< Of the rows of places of a block, in the copy.
  std::vector<int64_t> right_distance;  ///< Of inputs × taps.
  bool reads_source = false;            ///< No zeros, and one tap or direct: x itself.
  int64_t parts = 1;                    ///< Partial sums, over equal shares of the samples.
  int64_t in_block = 1, out_block = 1, row_block = 1;
  int64_t panel = 32;        ///< Outputs of a panel of the transposed dy.
  int64_t places_held = 0;   ///< Elements of a row of places in a chunk's copies.
  int64_t sample_block = 1;  ///< Samples that a chunk takes at a time.
  int64_t copy_elements = 0, column_elements = 0, turned_elements = 0, sum_elements = 0;

  Weights(const ConvShape& shape, DType t);
  std::vector<Instruction> instructions(const Places& places, const Isa& isa) const override;

  int64_t in_chunks() const { return ceil_div(ins, in_block); }
  int64_t out_chunks() const { return ceil_div(outs, out_block); }
  /// With one input, sums run along the rows of x and dy, and are [outputs][inputs][taps] as in
  /// dw; else they are products with the transposed dy, and [taps][inputs][outputs].
  bool direct() const { return ins == 1; }
  bool in_columns() const { return !direct() && in_block < few_channels && window > 1; }
  int64_t out_width() const { return direct() ? out_block : ceil_div(out_block, panel) * panel; }
  int64_t partial() const { return in_block * window * out_width(); }
  int64_t chunks() const { return groups * in_chunks() * out_chunks() * parts; }
  Dims places(int64_t rows) const {
    Dims p = grid;
    p[0] = rows;
    return p;
  }

 private:
  int64_t lay_out(const Dims& reach);
  void cut();
};

Weights::Weights(const ConvShape& shape, DType t)
    : type(t),
      samples(shape.samples()),
      groups(shape.attr.groups),
      ins(shape.ins()),
      outs(shape.outs()),
      window(plane_of(shape.w)),
      flops(shape.flops()),
      grid(std::span(shape.y).subspan(2)) {
  source.lo = shape.attr.lo;
  source.stride = shape.attr.stride;
  source.source = Dims(std::span(shape.x).subspan(2));
  Dims reach = grid;
  for_each_tap(Dims(std::span(shape.w).subspan(2)), [&](const Dims& tap) {
    for (int i = 0; i < grid.size(); ++i) reach[i] = tap[i] * shape.attr.dilation[i];
    taps.push_back(reach);
  });
  if (outs <= 16) panel = 16;
  cut();
  row_block = grid[0];
  lay_out(reach);
  reads_source = (window == 1 || direct()) && source.is_source();
  const int64_t most = direct() ? near_bytes : cache_bytes;
  while (lay_out(reach) > most && row_block > 1) row_block = (row_block + 1) / 2;
  if (direct() && row_block == grid[0]) {
    sample_block = std::clamp<int64_t>(most / lay_out(reach), 1, ceil_div(samples, parts));
  }
  for (const Dims& tap : taps) tap_distance.push_back(source.distance(tap));
  const int64_t channel = reads_source ? source.source_plane : source.channel;
  for (int64_t c = 0; direct() && c < ins; ++c) {
    for (const int64_t tap : tap_distance) right_distance.push_back(c * channel + tap);
  }
  Dims rows = places(row_block);
  rows[rows.size() - 1] = 1;
  for_each_tap(rows, [&](const Dims& at) {
    int64_t distance = 0;
    for (int i = 0; i < at.size(); ++i) distance += at[i] * source.pitch[i];
    row_distance.push_back(distance);
  });
  const auto bytes = static_cast<int64_t>(size_of(type));
  lay_out(reach);
  sum_elements = direct() ? partial() * 64 / bytes : out_width();
  scratch_bytes =
      bytes * (sample_block * copy_elements + column_elements + turned_elements + sum_elements);
  workspace_bytes = bytes * chunks() * partial();
}

/// Lays out the scratch memory of a chunk for some rows of a sample; what should stay near, in
/// bytes.
int64_t Weights::lay_out(const Dims& reach) {
  source = Padded(source.source, source.lo, source.stride, places(row_block), reach);
  places_held = aligned(source.span(places(row_block)));
  copy_elements = reads_source ? 0 : aligned(source.elements(in_block));
  column_elements = in_columns() ? in_block * window * places_held : 0;
  turned_elements = direct() ? 0 : places_held * out_width();
  const int64_t tile = correlated_planes * places(row_block).elements() + source.channel;
  return static_cast<int64_t>(size_of(type)) *
         (direct() ? tile : copy_elements + column_elements + turned_elements + out_width());
}

/// Shares of the samples first; then outputs, which cost copying x again; then inputs, which cost
/// transposing dy again.
void Weights::cut() {
  const auto bytes = static_cast<int64_t>(size_of(type));
  const int64_t wanted = conv_chunks_wanted(flops);
  const int64_t each = bytes * groups * ins * window * ceil_div(outs, panel) * panel;
  in_block = ins;
  out_block = outs;
  parts = std::min(
      {samples, ceil_div(wanted, groups), std::max<int64_t>(1, most_partial_bytes / each)});
  while (chunks() < wanted && out_block > panel) {
    out_block = ceil_div(ceil_div(out_block, 2), panel) * panel;
  }
  while (chunks() < wanted && in_block > least_block) in_block = ceil_div(in_block, 2);
}

struct WeightsArgs {
  Weights plan;
  ConvPlan::Places places;
  const Isa* isa;
};

/// The numbers of a chunk.
struct Chunk {
  int64_t part, out, in, group;
  Chunk(const Weights& w, int64_t chunk) {
    part = chunk % w.parts, chunk /= w.parts;
    out = chunk % w.out_chunks() * w.out_block, chunk /= w.out_chunks();
    in = chunk % w.in_chunks() * w.in_block;
    group = chunk / w.in_chunks();
  }
};

/// Turns rows of places along the last axis: `to` is [places][panel].
template <class T>
void turn_axis(const Weights& w, const Isa& isa, int axis, int64_t count, const T* from,
               int64_t from_plane, int64_t outputs, T* to) {
  if (axis + 1 == w.grid.size()) {
    isa.copy2d[width_index(sizeof(T))](to, {w.panel, 1}, from, {1, w.grid.elements()}, count,
                                       outputs);
    return;
  }
  const int64_t inner = from_plane / w.grid[axis];
  for (int64_t i = 0; i < count; ++i) {
    turn_axis(w, isa, axis + 1, w.grid[axis + 1], from + i * inner, inner, outputs,
              to + i * w.source.pitch[axis] * w.panel);
  }
}

/// Some rows of samples: adds to a chunk's partial sums.
template <class T>
struct Worker {
  const Weights& w;
  const Isa& isa;
  T* copy;
  T* columns;
  T* turned;
  T* kept;
  T* sums;

  /// What row `row` of the places reads of a sample.
  const T* left_of(const T* x, int64_t ins, int64_t row, int64_t sample) {
    if (w.reads_source) return x + row * w.source.pitch[0];
    T* const to = copy + sample * w.copy_elements;
    copy_padded(w.source, isa, ins, row * w.source.stride[0] - w.source.lo[0], x, to);
    return to;
  }

  void add(const T* x, const T* dy, int64_t ins, int64_t outs, int64_t row, int64_t rows,
           bool first) {
    const int64_t count = w.source.span(w.places(rows));
    const T* left = left_of(x, ins, row, 0);
    int64_t left_stride = w.reads_source ? w.source.source_plane : w.source.channel;
    if (w.in_columns()) {
      for (int64_t k = 0; k < w.window; ++k) {
        for (int64_t c = 0; c < ins; ++c) {
          std::memcpy(columns + (k * ins + c) * w.places_held,
                      left + c * left_stride + w.tap_distance[static_cast<size_t>(k)],
                      static_cast<size_t>(count) * sizeof(T));
        }
      }
      left = columns, left_stride = w.places_held;
    }
    turn(dy, outs, row, rows, count);
    multiply(left, left_stride, ins, outs, count, first);
  }

  /// Without turning: all inputs, and some samples at once.
  void correlate(const T* x, const T* dy, int64_t outs, int64_t row, int64_t rows, int64_t samples,
                 bool first, bool last) {
    const int64_t plane = w.grid.elements();
    CorrelateBlock block{};
    block.lefts = outs;
    block.rights = w.ins * w.window;
    block.samples = samples;
    block.cols = w.grid.size() == 1 ? rows : w.grid.back();
    block.rows = rows * (plane / w.grid[0]) / block.cols;
    block.a = dy + row * (plane / w.grid[0]);
    block.a_plane = plane;
    block.a_sample = w.groups * w.outs * plane;
    block.b = left_of(x, w.ins, row, 0);
    const int64_t x_sample = w.groups * w.ins * w.source.source_plane;
    for (int64_t s = 1; s < samples; ++s) left_of(x + s * x_sample, w.ins, row, s);
    block.b_sample = w.reads_source ? x_sample : w.copy_elements;
    block.b_at = w.right_distance.data();
    block.b_rows = w.row_distance.data();
    block.sums = kept;
    block.out = sums;
    block.first = first;
    block.last = last;
    isa.correlate[sizeof(T) == 4 ? 0 : 1](block);
  }

  /// dy [outputs, …] → panels of [places][panel], zero between rows and beyond the outputs.
  void turn(const T* dy, int64_t outs, int64_t row, int64_t rows, int64_t count) {
    const int64_t plane = w.grid.elements();
    const bool whole = count == rows * plane / w.grid[0];
    for (int64_t o = 0; o < outs; o += w.panel) {
      const int64_t outputs = std::min(w.panel, outs - o);
      T* to = turned + o * w.places_held;
      if (!whole || outputs < w.panel) std::fill(to, to + count * w.panel, T{});
      const T* from = dy + o * plane + row * (plane / w.grid[0]);
      if (whole) {
        isa.copy2d[width_index(sizeof(T))](to, {w.panel, 1}, from, {1, plane}, count, outputs);
      } else {
        turn_axis(w, isa, 0, rows, from, plane, outputs, to);
      }
    }
  }

  void multiply(const T* left, int64_t left_stride, int64_t ins, int64_t outs, int64_t count,
                bool first) {
    const int64_t taps = w.in_columns() ? 1 : w.window;
    const int64_t depth = gemm_depth_block(count, w.type);
    GemmBlock block{};
    block.rows = w.in_columns() ? ins * w.window : ins;
    block.cols = w.panel;
    block.lda = left_stride;
    block.ldb = w.panel;
    block.ldc = w.out_width();
    for (int64_t o = 0; o < outs; o += w.panel) {
      for (int64_t q = 0; q < count; q += depth) {
        block.k = block.kc = std::min(depth, count - q);
        block.b = turned + o * w.places_held + q * w.panel;
        block.accumulate = !first || q > 0;
        for (int64_t k = 0; k < taps; ++k) {
          const int64_t shift = w.in_columns() ? 0 : w.tap_distance[static_cast<size_t>(k)];
          block.a = left + shift + q;
          block.c = sums + k * ins * w.out_width() + o;
          isa.gemm[sizeof(T) == 4 ? 0 : 1](block);
        }
      }
    }
  }
};

template <class T>
void weights_chunk(const WeightsArgs& args, Memory memory, int64_t chunk, std::byte* scratch) {
  const Weights& w = args.plan;
  const Chunk at(w, chunk);
  const int64_t ins = std::min(w.in_block, w.ins - at.in);
  const int64_t outs = std::min(w.out_block, w.outs - at.out);
  const auto array = [&](const Array& a) {
    return reinterpret_cast<const T*>(memory[a.buffer] + a.offset);
  };
  T* copy = reinterpret_cast<T*>(scratch);
  T* columns = copy + w.sample_block * w.copy_elements;
  T* turned = columns + w.column_elements;
  Worker<T> worker{w,
                   *args.isa,
                   copy,
                   columns,
                   turned,
                   turned + w.turned_elements,
                   reinterpret_cast<T*>(memory[args.places.workspace]) + chunk * w.partial()};
  const int64_t begin = at.part * w.samples / w.parts;
  const int64_t end = (at.part + 1) * w.samples / w.parts;
  for (int64_t n = begin; n < end; n += w.sample_block) {
    const int64_t image = n * w.groups + at.group;
    const T* x = array(args.places.a) + (image * w.ins + at.in) * w.source.source_plane;
    const T* dy = array(args.places.b) + (image * w.outs + at.out) * w.grid.elements();
    for (int64_t row = 0; row < w.grid[0]; row += w.row_block) {
      const int64_t rows = std::min(w.row_block, w.grid[0] - row);
      const bool first = n == begin && row == 0;
      if (w.direct()) {
        const bool last = n + w.sample_block >= end && row + w.row_block >= w.grid[0];
        worker.correlate(x, dy, outs, row, rows, std::min(w.sample_block, end - n), first, last);
      } else {
        worker.add(x, dy, ins, outs, row, rows, first);
      }
    }
  }
}

void partial_sums(const void* args, Memory memory, int64_t begin, int64_t end,
                  std::byte* scratch) noexcept {
  const auto& a = *static_cast<const WeightsArgs*>(args);
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    if (a.plan.type == f32) {
      weights_chunk<float>(a, memory, chunk, scratch);
    } else {
      weights_chunk<double>(a, memory, chunk, scratch);
    }
  }
}

/// Adds the partial sums of one input channel and writes them where the weights lie; all of a group
/// where they lie so already.
template <class T>
void sum_channel(const WeightsArgs& args, Memory memory, int64_t channel, std::byte* scratch) {
  const Weights& w = args.plan;
  const int64_t per_group = w.direct() ? 1 : w.ins;
  const int64_t group = channel / per_group, c = channel % per_group;
  const int64_t in_chunk = c / w.in_block, in = c % w.in_block;
  const int64_t ins = std::min(w.in_block, w.ins - in_chunk * w.in_block);
  T* sum = reinterpret_cast<T*>(scratch);
  T* out = reinterpret_cast<T*>(memory[args.places.out]);
  ReduceCols* add = args.isa->reduce_cols[static_cast<int>(Reducer::sum)][static_cast<int>(w.type)];
  for (int64_t o_chunk = 0; o_chunk < w.out_chunks(); ++o_chunk) {
    const int64_t first = o_chunk * w.out_block, outs = std::min(w.out_block, w.outs - first);
    const int64_t chunk = ((group * w.in_chunks() + in_chunk) * w.out_chunks() + o_chunk) * w.parts;
    const T* from = reinterpret_cast<const T*>(memory[args.places.workspace]) + chunk * w.partial();
    if (w.direct()) {
      const int64_t each = w.ins * w.window;
      add(out + (group * w.outs + first) * each, from, w.parts, outs * each, w.partial(), false);
      continue;
    }
    for (int64_t k = 0; k < w.window; ++k) {
      add(sum, from + (k * ins + in) * w.out_width(), w.parts, outs, w.partial(), false);
      T* to = out + ((group * w.outs + first) * w.ins + c) * w.window + k;
      for (int64_t o = 0; o < outs; ++o) to[o * w.ins * w.window] = sum[o];
    }
  }
}

void total(const void* args, Memory memory, int64_t begin, int64_t end,
           std::byte* scratch) noexcept {
  const auto& a = *static_cast<const WeightsArgs*>(args);
  for (int64_t channel = begin; channel < end; ++channel) {
    if (a.plan.type == f32) {
      sum_channel<float>(a, memory, channel, scratch);
    } else {
      sum_channel<double>(a, memory, channel, scratch);
    }
  }
}

std::vector<Instruction> Weights::instructions(const Places& where, const Isa& isa) const {
  const auto args = std::make_shared<WeightsArgs>(WeightsArgs{*this, where, &isa});
  Instruction sums;
  sums.kernel = partial_sums;
  sums.args = args;
  sums.chunks = chunks();
  sums.flops = flops;
  sums.text = cat("conv dw of ", samples, " x ", groups * outs, " planes ", grid, ", window of ",
                  window, " over ", ins);
  Instruction last;
  last.kernel = total;
  last.args = args;
  last.chunks = direct() ? groups : groups * ins;
  last.text = cat("conv dw: ", parts, " partial sums");
  return {std::move(sums), std::move(last)};
}

}  // namespace

std::shared_ptr<const ConvPlan> plan_conv_weights(const Node& node, const Shape& a,
                                                  const Shape& b) {
  return std::make_shared<Weights>(ConvShape(node.as<ConvAttr>(), a, b, node.shape), node.type);
}

}  // namespace soma::cpu
