// Sums, extremes and what follows from them.
#include "tests/onnx/pieces.h"
#include "tests/onnx/table.h"

namespace soma::onnx {

namespace {

// The axes are an attribute, in newer versions an input; without any all are meant.
Dims reduced_axes(const Site& at) {
  std::vector<int64_t> axes = at.list("axes");
  if (at.has(1)) axes = at.integers(1);
  const int rank = at.in(0).rank();
  if (axes.empty() && !at.flag("noop_with_empty_axes")) {
    for (int i = 0; i < rank; ++i) axes.push_back(i);
  }
  return dims_of(axes);
}

template <class F>
auto reduction(F f) {
  return [f](const Site& at) {
    const Dims axes = reduced_axes(at);
    const Keep keep = at.integer("keepdims", 1) != 0 ? Keep::yes : Keep::no;
    return axes.empty() ? at.in(0) : f(at.in(0), axes, keep);
  };
}

Value product(Value x, const Dims& axes, Keep keep) {
  for (int64_t axis : axes) {
    const int i = static_cast<int>(axis < 0 ? axis + x.rank() : axis);
    Value result;
    for (const Value part : split(x, static_cast<int>(x.extent(i)), i)) {
      result = result ? result * part : part;
    }
    x = result;  // the axis stays with extent 1
  }
  return sum(x, axes, keep);
}

Value log_sum_exp(Value x, const Dims& axes, Keep keep) {
  const Value most = max_over(x, axes, Keep::yes);
  const Value shifted = log(sum(exp(x - most), axes, keep));
  return shifted + (keep == Keep::yes ? most : sum(most, axes));
}

// The first of equals, or the last: the first of the reversed.
Value index_of_largest(const Site& at, Value x) {
  const int axis = at.axis(0, x.rank());
  const bool last = at.flag("select_last_index");
  Value index = cast(argmax(last ? flipped(x, axis) : x, axis), i64);
  if (last) index = static_cast<double>(x.extent(axis) - 1) - index;
  return at.integer("keepdims", 1) != 0 ? expand_dims(index, axis) : index;
}

// By a product with a triangle of ones.
Value running_sum(const Site& at) {
  const Value x = at.in(0);
  const int64_t given = at.integers(1).at(0);
  const int axis = static_cast<int>(given < 0 ? given + x.rank() : given);
  const int64_t n = x.extent(axis);
  Value from = iota(at.graph(), {n, n}, 0, i64), to = iota(at.graph(), {n, n}, 1, i64);
  if (at.flag("reverse")) std::swap(from, to);
  const Value counts = at.flag("exclusive") ? from < to : from <= to;
  const Value y = matmul(move_axis(x, axis, x.rank() - 1), cast(counts, x.type()));
  return move_axis(y, x.rank() - 1, axis);
}

}  // namespace

void add_reductions(Table& table) {
  using K = Keep;
  table.add("ReduceSum", "sum", reduction([](Value x, Dims a, K k) { return sum(x, a, k); }));
  table.add("ReduceMean", "mean", reduction([](Value x, Dims a, K k) { return mean(x, a, k); }));
  table.add("ReduceMax", "max_over",
            reduction([](Value x, Dims a, K k) { return max_over(x, a, k); }));
  table.add("ReduceMin", "max_over",
            reduction([](Value x, Dims a, K k) { return -max_over(-x, a, k); }));
  table.add("ReduceProd", "split, mul", reduction(product));
  table.add("ReduceL1", "abs, sum",
            reduction([](Value x, Dims a, K k) { return sum(abs(x), a, k); }));
  table.add("ReduceL2", "square, sum, sqrt",
            reduction([](Value x, Dims a, K k) { return sqrt(sum(square(x), a, k)); }));
  table.add("ReduceSumSquare", "square, sum",
            reduction([](Value x, Dims a, K k) { return sum(square(x), a, k); }));
  table.add("ReduceLogSum", "sum, log",
            reduction([](Value x, Dims a, K k) { return log(sum(x, a, k)); }));
  table.add("ReduceLogSumExp", "max_over, exp, sum, log", reduction(log_sum_exp));
  table.add("ArgMax", "argmax", [](const Site& at) { return index_of_largest(at, at.in(0)); });
  table.add("ArgMin", "argmax", [](const Site& at) { return index_of_largest(at, -at.in(0)); });
  table.add("CumSum", "matmul", running_sum);
  table.lack({"TopK", "Unique", "NonMaxSuppression"}, "no sorting");
}

}  // namespace soma::onnx
