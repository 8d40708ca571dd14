// What the files of the interpreter share: a frame (one node being evaluated), one function per op
// and walks over indices.
#pragma once

#include <concepts>
#include <vector>

#include "soma/graph.h"
#include "src/base/visit.h"

namespace soma {

/// The arrays a node stands for: one, or all results of a call or scan.
using Results = std::vector<Tensor>;

/// One node being evaluated.
struct Frame {
  const Node& node;
  const std::vector<Results>& values;  ///< Of all earlier nodes.
  const Tensor* argument;              ///< What an input stands for.
  Results& results;                    ///< Zeros of the node's shape and type, to be filled.
  bool as_double;
  Precision precision;
  int depth;

  const Tensor& in(size_t i) const { return values[node.in[i]][0]; }
  Tensor& out() const { return results[0]; }
};

/// The meaning of each op. A row of ops.def without its function here does not link.
namespace meaning {
#define SOMA_OP(name, ...) void name(const Frame& f);
#include "soma/ops.def"
#undef SOMA_OP
}  // namespace meaning

/// The outputs (`ids`) of a graph for given inputs; bodies come back here, one level deeper.
std::vector<Tensor> evaluate(const Graph& graph, std::span<const Id> ids,
                             std::span<const Tensor> inputs, bool as_double, Precision precision,
                             int depth);

/// Converts as `cast` does: floats to integers truncate and saturate, NaN gives 0, integers wrap,
/// everything but 0 is true.
Tensor converted(const Tensor& from, DType type);

/// Calls visit(index) for every index of a shape, in row-major order.
template <class F>
void for_each_index(const Shape& shape, F&& visit) {
  Dims index = Dims::filled(shape.rank(), 0);
  const int64_t count = shape.elements();
  for (int64_t n = 0; n < count; ++n) {
    visit(std::as_const(index));
    for (int axis = shape.rank(); axis-- > 0;) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

inline int64_t offset(const Dims& index, const Dims& strides) {
  int64_t at = 0;
  for (int i = 0; i < index.size(); ++i) at += index[i] * strides[i];
  return at;
}

template <class F>
void visit_float(DType type, F&& f) {
  type == f32 ? f(float{}) : f(double{});
}
/// All types but bool.
template <class F>
void visit_number(DType type, F&& f) {
  visit_type(type, [&]<class T>(T zero) {
    if constexpr (!std::same_as<T, bool>) f(zero);
  });
}

/// Sums are taken in double (floats) or modulo 2^64 (integers) and rounded or cut once at the end.
template <class T>
using Wide = std::conditional_t<std::floating_point<T>, double, uint64_t>;

/// A zeroed array to add into, of the output's size.
template <class T>
struct Sums {
  explicit Sums(const Tensor& out) : values(static_cast<size_t>(out.elements())) {}
  Wide<T>& operator[](int64_t i) { return values[static_cast<size_t>(i)]; }
  void store(Tensor& out) const {
    for (size_t i = 0; i < values.size(); ++i) out.data<T>()[i] = static_cast<T>(values[i]);
  }
  std::vector<Wide<T>> values;
};

}  // namespace soma
