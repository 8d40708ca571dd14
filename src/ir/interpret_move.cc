// The meaning of the ops that only move elements, and of their adjoints that add them back.
#include <algorithm>

#include "src/ir/interpret.h"

namespace soma {

namespace {

/// out[index] = in(0)[source(index)] wherever source gives an offset that is not negative.
template <class F>
void move_elements(const Frame& f, F&& source) {
  const size_t bytes = size_of(f.out().type());
  std::byte* to = f.out().raw();
  for_each_index(f.out().shape(), [&](const Dims& index) {
    const int64_t from = source(index);
    if (from >= 0) std::copy_n(f.in(0).raw() + static_cast<size_t>(from) * bytes, bytes, to);
    to += bytes;
  });
}

/// Where element `index` of the windows lies in the array they were cut from.
template <class A>
Dims unfolded_from(const A& a, const Dims& index) {
  Dims inner(std::span<const int64_t>(index.begin(), index.end() - 1));
  const int axis = static_cast<int>(a.axis);
  inner[axis] = index[axis] * a.step + index.back() * a.dilation;
  return inner;
}

}  // namespace

namespace meaning {

void broadcast(const Frame& f) {
  const Dims& dims = f.node.as<BroadcastAttr>().dims;
  const Dims strides = f.in(0).shape().strides();
  move_elements(f, [&](const Dims& index) {
    int64_t at = 0;
    for (int i = 0; i < dims.size(); ++i) at += index[static_cast<int>(dims[i])] * strides[i];
    return at;
  });
}

void reshape(const Frame& f) { f.out() = f.in(0).reshaped(f.out().shape()); }

void transpose(const Frame& f) {
  const Dims& perm = f.node.as<TransposeAttr>().perm;
  const Dims strides = f.in(0).shape().strides();
  move_elements(f, [&](const Dims& index) {
    int64_t at = 0;
    for (int i = 0; i < perm.size(); ++i) at += index[i] * strides[static_cast<int>(perm[i])];
    return at;
  });
}

void slice(const Frame& f) {
  const auto& a = f.node.as<SliceAttr>();
  const Dims strides = f.in(0).shape().strides();
  move_elements(f, [&](Dims index) {
    for (int i = 0; i < index.size(); ++i) index[i] = a.lo[i] + index[i] * a.step[i];
    return offset(index, strides);
  });
}

void pad(const Frame& f) {
  const auto& a = f.node.as<PadAttr>();
  const Shape& shape = f.in(0).shape();
  const Dims strides = shape.strides();
  const Tensor value = converted(Tensor::scalar(a.value, f64), f.out().type());
  for (int64_t i = 0; i < f.out().elements(); ++i) {
    std::copy_n(value.raw(), value.bytes(), f.out().raw() + static_cast<size_t>(i) * value.bytes());
  }
  move_elements(f, [&](Dims index) {
    for (int i = 0; i < index.size(); ++i) {
      const int64_t from_first = index[i] - a.lo[i], pitch = a.interior[i] + 1;
      if (from_first < 0 || from_first % pitch || from_first / pitch >= shape[i]) {
        return int64_t{-1};
      }
      index[i] = from_first / pitch;
    }
    return offset(index, strides);
  });
}

void concat(const Frame& f) {
  const int axis = static_cast<int>(f.node.as<ConcatAttr>().axis);
  const size_t bytes = size_of(f.out().type());
  const Dims strides = f.out().shape().strides();
  int64_t shift = 0;
  for (size_t part = 0; part < f.node.in.size(); ++part) {
    const Tensor& x = f.in(part);
    const std::byte* from = x.raw();
    for_each_index(x.shape(), [&](Dims index) {
      index[axis] += shift;
      std::copy_n(from, bytes, f.out().raw() + static_cast<size_t>(offset(index, strides)) * bytes);
      from += bytes;
    });
    shift += x.shape()[axis];
  }
}

void unfold(const Frame& f) {
  const auto& a = f.node.as<UnfoldAttr>();
  const Dims strides = f.in(0).shape().strides();
  move_elements(f, [&](const Dims& index) { return offset(unfolded_from(a, index), strides); });
}

void fold(const Frame& f) {
  const auto& a = f.node.as<FoldAttr>();
  const Dims strides = f.out().shape().strides();
  visit_float(f.out().type(), [&]<class T>(T) {
    Sums<T> sums(f.out());
    auto x = f.in(0).data<T>().begin();
    for_each_index(f.in(0).shape(), [&](const Dims& index) {
      sums[offset(unfolded_from(a, index), strides)] += static_cast<Wide<T>>(*x++);
    });
    sums.store(f.out());
  });
}

void gather(const Frame& f) {
  const Shape& shape = f.in(0).shape();
  const int64_t rows = shape[0];
  const size_t row_bytes = static_cast<size_t>(shape.strides()[0]) * size_of(f.out().type());
  const Tensor index = converted(f.in(1), i64);
  std::byte* to = f.out().raw();
  for (const int64_t row : index.data<int64_t>()) {
    if (row >= 0 && row < rows) {
      std::copy_n(f.in(0).raw() + static_cast<size_t>(row) * row_bytes, row_bytes, to);
    }
    to += row_bytes;
  }
}

void scatter_add(const Frame& f) {
  const int64_t rows = f.out().shape()[0], row_size = f.out().shape().strides()[0];
  const Tensor index = converted(f.in(0), i64);
  visit_number(f.out().type(), [&]<class T>(T) {
    Sums<T> sums(f.out());
    auto x = f.in(1).data<T>().begin();
    for (const int64_t row : index.data<int64_t>()) {
      for (int64_t i = 0; i < row_size; ++i, ++x) {
        if (row >= 0 && row < rows) sums[row * row_size + i] += static_cast<Wide<T>>(*x);
      }
    }
    sums.store(f.out());
  });
}

}  // namespace meaning

}  // namespace soma
