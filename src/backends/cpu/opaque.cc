#include "src/backends/cpu/opaque.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "src/base/visit.h"

namespace soma::cpu {

namespace {

/// What every kernel here is given.
struct Args {
  Node node;  // attribute, result shape and type
  std::vector<Shape> shapes;
  std::vector<Array> in;
  size_t out = 0;
  DType in_type = f32, index_type = i32;
  int64_t outer = 1, inner = 1;  // meaning depends on the op

  template <class T>
  const T* input(Memory memory, size_t i) const {
    return reinterpret_cast<const T*>(memory[in[i].buffer] + in[i].offset);
  }
  template <class T>
  T* output(Memory memory) const {
    return reinterpret_cast<T*>(memory[out]);
  }
};

int64_t product(const Shape& shape, int from, int to) {
  int64_t p = 1;
  for (int i = from; i < to; ++i) p *= shape[i];
  return p;
}

void copy_bytes(const std::byte* from, std::byte* to, int64_t bytes) {
  if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
}

// ---- gather and scatter_add: chunks of index places, and chunks of columns

template <class F>
void with_index(const Args& a, Memory memory, size_t which, F&& f) {
  if (a.index_type == i32) return f(a.input<int32_t>(memory, which));
  f(a.input<int64_t>(memory, which));
}

void gather(const void* args, Memory memory, int64_t begin, int64_t end, std::byte*) noexcept {
  const Args& a = *static_cast<const Args*>(args);
  const int64_t rows = a.shapes[0][0];
  const int64_t row_bytes = a.inner * static_cast<int64_t>(size_of(a.node.type));
  with_index(a, memory, 1, [&](const auto* index) {
    for (int64_t i = begin; i < end; ++i) {
      std::byte* to = a.output<std::byte>(memory) + i * row_bytes;
      const int64_t row = index[i];
      if (row < 0 || row >= rows) {
        std::fill_n(to, row_bytes, std::byte{0});
      } else {
        copy_bytes(a.input<std::byte>(memory, 0) + row * row_bytes, to, row_bytes);
      }
    }
  });
}

constexpr int64_t scatter_columns = 64;

void scatter_add(const void* args, Memory memory, int64_t begin, int64_t end, std::byte*) noexcept {
  const Args& a = *static_cast<const Args*>(args);
  const int64_t rows = a.node.shape[0], first = begin * scatter_columns;
  const int64_t last = std::min(a.inner, end * scatter_columns);
  visit_type(a.node.type, [&]<class T>(T) {
    if constexpr (!std::is_same_v<T, bool>) {
      T* out = a.output<T>(memory);
      for (int64_t r = 0; r < rows; ++r)
        std::fill(out + r * a.inner + first, out + r * a.inner + last, T{});
      const T* updates = a.input<T>(memory, 1);
      with_index(a, memory, 0, [&](const auto* index) {
        for (int64_t i = 0; i < a.outer; ++i) {
          const int64_t row = index[i];
          if (row < 0 || row >= rows) continue;
          for (int64_t c = first; c < last; ++c) {
            out[row * a.inner + c] =
                static_cast<T>(out[row * a.inner + c] + updates[i * a.inner + c]);
          }
        }
      });
    }
  });
}

// ---- fold: a chunk is one place of the axes before the folded one

void fold(const void* args, Memory memory, int64_t begin, int64_t end, std::byte*) noexcept {
  const Args& a = *static_cast<const Args*>(args);
  const auto& f = a.node.as<FoldAttr>();
  const int64_t windows = a.shapes[0][static_cast<int>(f.axis)];
  visit_type(a.node.type, [&]<class T>(T) {
    for (int64_t o = begin; o < end; ++o) {
      T* out = a.output<T>(memory) + o * f.extent * a.inner;
      const T* in = a.input<T>(memory, 0) + o * windows * a.inner * f.size;
      std::fill(out, out + f.extent * a.inner, T{});
      for (int64_t w = 0; w < windows; ++w) {
        for (int64_t i = 0; i < a.inner; ++i) {
          for (int64_t k = 0; k < f.size; ++k) {
            T& place = out[(w * f.step + k * f.dilation) * a.inner + i];
            place = static_cast<T>(place + in[(w * a.inner + i) * f.size + k]);
          }
        }
      }
    }
  });
}

// ---- argmax: a chunk is one place of the axes before the reduced one

void argmax(const void* args, Memory memory, int64_t begin, int64_t end, std::byte*) noexcept {
  const Args& a = *static_cast<const Args*>(args);
  const int64_t extent = a.shapes[0][static_cast<int>(a.node.as<ArgmaxAttr>().axis)];
  visit_type(a.in_type, [&]<class T>(T) {
    for (int64_t o = begin; o < end; ++o) {
      const T* in = a.input<T>(memory, 0) + o * extent * a.inner;
      for (int64_t i = 0; i < a.inner; ++i) {
        int32_t best = 0;
        for (int64_t k = 1; k < extent; ++k) {
          const T value = in[k * a.inner + i], record = in[best * a.inner + i];
          const bool nan = value != value, record_nan = record != record;
          if (!record_nan && (nan || value > record)) best = static_cast<int32_t>(k);
        }
        a.output<int32_t>(memory)[o * a.inner + i] = best;
      }
    }
  });
}

// ---- pad: a chunk is one place of the first axis of the result

template <class T>
void pad_plane(const Args& a, const T* in, T* out, int64_t place) {
  const auto& p = a.node.as<PadAttr>();
  const Shape &from = a.shapes[0], &to = a.node.shape;
  const int64_t plane = product(to, 1, to.rank());
  std::fill(out + place * plane, out + (place + 1) * plane, static_cast<T>(p.value));
  const int64_t step0 = p.interior[0] + 1, row = place - p.lo[0];
  if (row < 0 || row % step0 || row / step0 >= from[0]) return;
  const int64_t count = product(from, 1, from.rank());
  const Dims strides = to.strides();
  for (int64_t e = 0; e < count; ++e) {
    int64_t rest = e, at = place * plane;
    for (int d = from.rank() - 1; d >= 1; --d) {
      at += (p.lo[d] + rest % from[d] * (p.interior[d] + 1)) * strides[d];
      rest /= from[d];
    }
    out[at] = in[row / step0 * count + e];
  }
}
void pad_chunks(const void* args, Memory memory, int64_t begin, int64_t end, std::byte*) noexcept {
  const Args& a = *static_cast<const Args*>(args);
  visit_type(a.node.type, [&]<class T>(T) {
    if (a.node.shape.rank() == 0) {
      *a.output<T>(memory) = *a.input<T>(memory, 0);
      return;
    }
    for (int64_t i = begin; i < end; ++i) {
      pad_plane(a, a.input<T>(memory, 0), a.output<T>(memory), i);
    }
  });
}

// ---- concat: a chunk is one place of the axes before the joined one

void concat_chunks(const void* args, Memory memory, int64_t begin, int64_t end,
                   std::byte*) noexcept {
  const Args& a = *static_cast<const Args*>(args);
  const int axis = static_cast<int>(a.node.as<ConcatAttr>().axis);
  const int64_t each = a.inner * static_cast<int64_t>(size_of(a.node.type));
  const int64_t whole = a.node.shape[axis] * each;
  for (int64_t o = begin; o < end; ++o) {
    int64_t at = o * whole;
    for (size_t i = 0; i < a.in.size(); ++i) {
      const int64_t bytes = a.shapes[i][axis] * each;
      copy_bytes(a.input<std::byte>(memory, i) + o * bytes, a.output<std::byte>(memory) + at,
                 bytes);
      at += bytes;
    }
  }
}

}  // namespace

Instruction opaque_instruction(const Graph& graph, const Node& node, std::vector<Array> in,
                               size_t out) {
  auto args = std::make_shared<Args>();
  args->node = node;
  args->in = std::move(in);
  args->out = out;
  for (const Id id : node.in) args->shapes.push_back(graph[id].shape);
  args->in_type = graph[node.in[0]].type;
  const Shape &x = args->shapes[0], &y = node.shape;
  Instruction result;
  const auto split_at = [&](const Shape& shape, int64_t axis) {
    args->outer = product(shape, 0, static_cast<int>(axis));
    args->inner = product(shape, static_cast<int>(axis) + 1, shape.rank());
    result.chunks = args->outer;
  };
  switch (node.op) {
    case Op::gather:
      args->index_type = graph[node.in[1]].type;
      args->inner = product(x, 1, x.rank());
      result.chunks = args->shapes[1].elements();
      result.kernel = gather;
      break;
    case Op::scatter_add:
      args->index_type = graph[node.in[0]].type;
      args->outer = x.elements();
      args->inner = product(y, 1, y.rank());
      result.chunks = (args->inner + scatter_columns - 1) / scatter_columns;
      result.kernel = scatter_add;
      break;
    case Op::fold:
      split_at(y, node.as<FoldAttr>().axis);
      result.kernel = fold;
      break;
    case Op::argmax:
      split_at(x, node.as<ArgmaxAttr>().axis);
      result.kernel = argmax;
      break;
    case Op::pad:
      result.chunks = y.rank() ? y[0] : 1;
      result.kernel = pad_chunks;
      break;
    default:
      split_at(y, node.as<ConcatAttr>().axis);
      result.kernel = concat_chunks;
      break;
  }
  if (y.elements() == 0) result.chunks = 0;
  result.args = std::move(args);
  return result;
}

namespace {
struct CopyArgs {
  Array from;
  size_t to;
  size_t bytes;
};
struct FillArgs {
  size_t to;
  DType type;
  double value;
  int64_t count;
};
}  // namespace

Instruction copy_instruction(Array from, size_t to, size_t bytes) {
  Instruction result;
  result.args = std::make_shared<CopyArgs>(CopyArgs{from, to, bytes});
  result.kernel = [](const void* args, Memory memory, int64_t, int64_t, std::byte*) noexcept {
    const auto& a = *static_cast<const CopyArgs*>(args);
    std::memmove(memory[a.to], memory[a.from.buffer] + a.from.offset, a.bytes);
  };
  result.text = "copy";
  return result;
}

Instruction fill_instruction(size_t to, DType type, double value, int64_t count) {
  Instruction result;
  result.args = std::make_shared<FillArgs>(FillArgs{to, type, value, count});
  result.kernel = [](const void* args, Memory memory, int64_t, int64_t, std::byte*) noexcept {
    const auto& a = *static_cast<const FillArgs*>(args);
    visit_type(a.type, [&]<class T>(T) {
      T* out = reinterpret_cast<T*>(memory[a.to]);
      std::fill(out, out + a.count, static_cast<T>(a.value));
    });
  };
  result.text = "fill";
  return result;
}

}  // namespace soma::cpu
