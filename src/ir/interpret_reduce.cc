// The meaning of the ops that add up or compare along axes: reductions and contractions.
#include <algorithm>
#include <limits>

#include "src/base/half.h"
#include "src/ir/interpret.h"

namespace soma {

namespace {

/// Strides that lead from an index of `in` to the element of `out` it is reduced into.
Dims reduced_strides(const Shape& in, const Dims& axes, const Shape& out) {
  const Dims strides = out.strides();
  Dims result;
  for (int i = 0, kept = 0; i < in.rank(); ++i) {
    result.push_back(axes.contains(i) ? 0 : strides[kept++]);
  }
  return result;
}

/// `index` without entry `axis`.
Dims without(const Dims& index, int axis) {
  Dims rest;
  for (int i = 0; i < index.size(); ++i) {
    if (i != axis) rest.push_back(index[i]);
  }
  return rest;
}

template <class T>
void largest(const Frame& f, const Dims& to) {
  using Limits = std::numeric_limits<T>;
  const auto out = f.out().data<T>();
  std::fill(out.begin(), out.end(), Limits::has_infinity ? -Limits::infinity() : Limits::lowest());
  auto x = f.in(0).data<T>().begin();
  for_each_index(f.in(0).shape(), [&](const Dims& index) {
    T& best = out[static_cast<size_t>(offset(index, to))];
    if (*x > best || *x != *x) best = *x;  // NaN wins, and nothing is larger than NaN
    ++x;
  });
}

template <class T>
void total(const Frame& f, const Dims& to) {
  Sums<T> sums(f.out());
  auto x = f.in(0).data<T>().begin();
  for_each_index(f.in(0).shape(),
                 [&](const Dims& index) { sums[offset(index, to)] += static_cast<Wide<T>>(*x++); });
  sums.store(f.out());
}

/// The three arrays of a convolution by role: two are operands, one is the result.
struct ConvArrays {
  Shape x, w, y;
  ConvArrays(const Shape& a, const Shape& b, const Shape& out, ConvRole role) {
    switch (role) {
      case ConvRole::y: x = a, w = b, y = out; break;
      case ConvRole::dx: y = a, w = b, x = out; break;
      case ConvRole::dw: x = a, y = b, w = out; break;
    }
  }
};

/// Calls visit(x, w, y) with the offsets of each triple of elements that the trilinear form
/// multiplies: y[n, o, p] += x[n, group·C/G + c, p·stride + k·dilation - lo] · w[o, c, k].
template <class F>
void for_each_triple(const ConvAttr& a, const ConvArrays& s, F&& visit) {
  const Dims x_strides = s.x.strides(), w_strides = s.w.strides(), y_strides = s.y.strides();
  const int spatial = s.x.rank() - 2;
  const int64_t group_size = s.w[0] / a.groups;  // outputs of one group
  for_each_index(s.y, [&](const Dims& at_y) {
    for (int64_t c = 0; c < s.w[1]; ++c) {
      const int64_t group = at_y[1] / group_size;
      const Shape window(std::span<const int64_t>(s.w.begin() + 2, s.w.end()));
      for_each_index(window, [&](const Dims& k) {
        Dims at_x{at_y[0], group * s.w[1] + c}, at_w{at_y[1], c};
        for (int i = 0; i < spatial; ++i) {
          const int64_t p = at_y[i + 2] * a.stride[i] + k[i] * a.dilation[i] - a.lo[i];
          if (p < 0 || p >= s.x[i + 2]) return;  // the padding is zero
          at_x.push_back(p);
          at_w.push_back(k[i]);
        }
        visit(offset(at_x, x_strides), offset(at_w, w_strides), offset(at_y, y_strides));
      });
    }
  });
}

}  // namespace

namespace meaning {

void reduce(const Frame& f) {
  const auto& a = f.node.as<ReduceAttr>();
  const Dims to = reduced_strides(f.in(0).shape(), a.axes, f.out().shape());
  visit_number(f.out().type(),
               [&]<class T>(T) { a.kind == Reduction::sum ? total<T>(f, to) : largest<T>(f, to); });
}

void argmax(const Frame& f) {
  const int axis = static_cast<int>(f.node.as<ArgmaxAttr>().axis);
  const Shape& shape = f.in(0).shape();
  const Dims strides = shape.strides();
  const int64_t step = strides[axis];
  const Dims rest = without(strides, axis);
  visit_type(f.in(0).type(), [&]<class T>(T) {
    const auto x = f.in(0).data<T>();
    auto out = f.out().data<int32_t>().begin();
    for_each_index(f.out().shape(), [&](const Dims& index) {
      const int64_t start = offset(index, rest);
      const auto element = [&](int64_t i) { return x[static_cast<size_t>(start + i * step)]; };
      int64_t best = 0;
      for (int64_t i = 1; i < shape[axis] && element(best) == element(best); ++i) {
        if (element(i) > element(best) || element(i) != element(i)) best = i;
      }
      *out++ = static_cast<int32_t>(best);
    });
  });
}

/// An operand of a product, rounded where the precision asks for it.
static Tensor factor(const Frame& f, size_t i) {
  Tensor operand = f.in(i);
  if (f.precision == Precision::bf16 && f.node.type == f32) {
    for (int64_t k = 0; k < operand.elements(); ++k) {
      operand.set(k, from_bf16(to_bf16(static_cast<float>(operand.at(k)))));
    }
  }
  return operand;
}

void dot(const Frame& f) {
  const auto& a = f.node.as<DotAttr>();
  const Shape &left = f.in(0).shape(), &out = f.out().shape();
  const int r = left.rank();
  const int64_t rows = out[r - 2], columns = out[r - 1];
  const int64_t inner = left[a.transpose_a ? r - 2 : r - 1];
  const Shape batch(std::span<const int64_t>(out.begin(), out.end() - 2));
  visit_float(f.out().type(), [&]<class T>(T) {
    const Tensor first = factor(f, 0), second = factor(f, 1);
    const T* x = first.data<T>().data();
    const T* y = second.data<T>().data();
    T* to = f.out().data<T>().data();
    for (int64_t b = 0; b < batch.elements(); ++b, x += rows * inner, y += inner * columns) {
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < columns; ++j) {
          double sum = 0;
          for (int64_t k = 0; k < inner; ++k) {
            sum += static_cast<double>(x[a.transpose_a ? k * rows + i : i * inner + k]) *
                   static_cast<double>(y[a.transpose_b ? j * inner + k : k * columns + j]);
          }
          *to++ = static_cast<T>(sum);
        }
      }
    }
  });
}

void conv(const Frame& f) {
  const auto& a = f.node.as<ConvAttr>();
  const ConvArrays shapes(f.in(0).shape(), f.in(1).shape(), f.out().shape(), a.role);
  visit_float(f.out().type(), [&]<class T>(T) {
    const T* p = f.in(0).data<T>().data();
    const T* q = f.in(1).data<T>().data();
    Sums<T> sums(f.out());
    const auto accumulate = [&](int64_t to, int64_t i, int64_t j) {
      sums[to] += static_cast<double>(p[i]) * static_cast<double>(q[j]);
    };
    for_each_triple(a, shapes, [&](int64_t x, int64_t w, int64_t y) {
      switch (a.role) {
        case ConvRole::y: return accumulate(y, x, w);
        case ConvRole::dx: return accumulate(x, y, w);
        case ConvRole::dw: return accumulate(w, x, y);
      }
    });
    sums.store(f.out());
  });
}

}  // namespace meaning

}  // namespace soma
