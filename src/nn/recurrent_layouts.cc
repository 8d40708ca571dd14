// Arrays of recurrent cells in the names and layouts of other frameworks.
#include <algorithm>
#include <optional>
#include <string>

#include "soma/error.h"
#include "soma/recurrent.h"
#include "src/base/text.h"

namespace soma {

namespace {

/// The order of the gates, one letter each, here and there.
struct Order {
  std::string_view cell, soma, pytorch, keras, onnx;
};
constexpr Order orders[] = {
    {"rnn", "h", "h", "h", "h"},
    {"lstm", "ifgo", "ifgo", "ifgo", "iofg"},
    {"gru", "rzn", "rzn", "zrn", "zrn"},
};
constexpr Order peepholes{"lstm", "ifo", "", "", "iof"};

std::string_view order_of(const Order& order, Framework framework) {
  if (framework == Framework::pytorch) return order.pytorch;
  return framework == Framework::keras ? order.keras : order.onnx;
}

/// A matrix with the blocks of its last axis put from one order into another.
Tensor reordered(const Tensor& x, std::string_view from, std::string_view to) {
  const int64_t gates = static_cast<int64_t>(from.size()), row = x.shape().back();
  const int64_t units = row / gates;
  Tensor result(x.shape(), x.type());
  for (int64_t i = 0; i < x.elements(); ++i) {
    const int64_t column = i % row;
    const auto gate = static_cast<int64_t>(from.find(to[static_cast<size_t>(column / units)]));
    result.set(i, x.at(i - column + gate * units + column % units));
  }
  return result;
}

Tensor transposed(const Tensor& x) {
  const int64_t rows = x.shape()[0], columns = x.shape()[1];
  Tensor result({columns, rows}, x.type());
  for (int64_t i = 0; i < rows * columns; ++i)
    result.set(i % columns * rows + i / columns, x.at(i));
  return result;
}

/// Elements [lo, hi) as a vector.
Tensor part(const Tensor& x, int64_t lo, int64_t hi) {
  Tensor result({hi - lo}, x.type());
  for (int64_t i = lo; i < hi; ++i) result.set(i - lo, x.at(i));
  return result;
}
Tensor plus(Tensor a, const Tensor& b) {
  for (int64_t i = 0; i < a.elements(); ++i) a.set(i, a.at(i) + b.at(i));
  return a;
}
Tensor behind(const Tensor& a, const Tensor& b, Shape shape) {
  Tensor result(shape, a.type());
  for (int64_t i = 0; i < a.elements(); ++i) result.set(i, a.at(i));
  for (int64_t i = 0; i < b.elements(); ++i) result.set(a.elements() + i, b.at(i));
  return result;
}

/// One cell and one framework: what both directions need to know.
struct Translation {
  Framework framework;
  const Cell& cell;
  std::string_view here, there;  ///< Orders of the gates.

  Translation(Framework f, const Cell& c) : framework(f), cell(c) {
    const auto* order = std::find_if(std::begin(orders), std::end(orders),
                                     [&](const Order& o) { return o.cell == c.name; });
    if (order == std::end(orders) || (array("weights").shape[1] / units()) != gates(*order)) {
      throw ArgumentError(cat("a cell of kind ", c.name, " with these options has no layout in ",
                              "other frameworks; rnn, lstm without coupled gates and gru have"));
    }
    here = order->soma;
    there = order_of(*order, f);
    const std::string_view lacks = has("peephole") && f != Framework::onnx        ? "peepholes"
                                   : has("projection") && f != Framework::pytorch ? "a projection"
                                                                                  : "";
    if (!lacks.empty()) throw ArgumentError(cat("that framework has no lstm with ", lacks));
  }
  static int64_t gates(const Order& order) { return static_cast<int64_t>(order.soma.size()); }
  /// The last state of rnn, gru and lstm is as wide as the cell has units.
  int64_t units() const { return cell.states.back().shape[0]; }
  const CellArray& array(std::string_view name) const {
    return *std::find_if(cell.weights.begin(), cell.weights.end(),
                         [&](const CellArray& a) { return a.name == name; });
  }
  bool has(std::string_view name) const {
    return std::any_of(cell.weights.begin(), cell.weights.end(),
                       [&](const CellArray& a) { return a.name == name; });
  }
  /// Does the framework keep [gates·units, inputs]?
  bool rows() const { return framework != Framework::keras; }
  Tensor from_matrix(const Tensor& x) const {
    return reordered(rows() ? transposed(x) : x, there, here);
  }
  Tensor to_matrix(const Tensor& x) const {
    const Tensor ordered = reordered(x, here, there);
    return rows() ? transposed(ordered) : ordered;
  }
  std::string_view name(std::string_view pytorch, std::string_view keras,
                        std::string_view onnx) const {
    if (framework == Framework::pytorch) return pytorch;
    return framework == Framework::keras ? keras : onnx;
  }
};

const Tensor& find(const Tensors& arrays, std::string_view name, const Shape& shape) {
  const auto found = arrays.find(name);
  if (found == arrays.end()) {
    throw ArgumentError(cat("the array \"", name, "\" is missing; a cell of these options has it"));
  }
  if (found->second.shape() != shape) {
    throw ShapeError(cat("the array \"", name, "\" is ", shape, ", found ", found->second.shape()));
  }
  return found->second;
}

/// The biases of a framework, in the order of this library: of the input and of the state (empty
/// where it has one for both).
struct Biases {
  Tensor in;
  std::optional<Tensor> back;
};
Biases read_biases(const Translation& t, const Tensors& arrays) {
  const int64_t all = static_cast<int64_t>(t.here.size()) * t.units();
  const auto order = [&](const Tensor& x) { return reordered(x, t.there, t.here); };
  if (t.framework == Framework::pytorch) {
    return {order(find(arrays, "bias_ih", {all})), order(find(arrays, "bias_hh", {all}))};
  }
  if (t.framework == Framework::keras && !t.has("recurrent_bias")) {
    return {order(find(arrays, "bias", {all})), {}};
  }
  const bool keras = t.framework == Framework::keras;
  const Tensor both = find(arrays, keras ? "bias" : "B", keras ? Shape{2, all} : Shape{2 * all});
  return {order(part(both, 0, all)), order(part(both, all, 2 * all))};
}

void write_biases(const Translation& t, const Biases& biases, Tensors& arrays) {
  const int64_t all = biases.in.elements();
  const auto order = [&](const Tensor& x) { return reordered(x, t.here, t.there); };
  const Tensor in = order(biases.in);
  const Tensor back = biases.back ? order(*biases.back) : Tensor({all}, in.type());
  if (t.framework == Framework::pytorch) {
    arrays["bias_ih"] = in;
    arrays["bias_hh"] = back;
  } else if (t.framework == Framework::onnx) {
    arrays["B"] = behind(in, back, {2 * all});
  } else {
    arrays["bias"] = biases.back ? behind(in, back, {2, all}) : in;
  }
}

}  // namespace

Tensors arrays_from(Framework framework, const Cell& cell, const Tensors& arrays) {
  const Translation t(framework, cell);
  const auto matrix = [&](std::string_view name, const Shape& shape) {
    return t.from_matrix(find(arrays, name, t.rows() ? Shape{shape[1], shape[0]} : shape));
  };
  Tensors result;
  result["weights"] = matrix(t.name("weight_ih", "kernel", "W"), t.array("weights").shape);
  result["recurrent"] =
      matrix(t.name("weight_hh", "recurrent_kernel", "R"), t.array("recurrent").shape);
  if (t.has("projection")) {
    const Shape& shape = t.array("projection").shape;
    result["projection"] = transposed(find(arrays, "weight_hr", {shape[1], shape[0]}));
  }
  if (t.has("peephole")) {
    const Tensor& links = find(arrays, "P", t.array("peephole").shape);
    result["peephole"] = reordered(links, peepholes.onnx, peepholes.soma);
  }
  if (t.has("bias")) {
    Biases biases = read_biases(t, arrays);
    if (biases.back && t.has("recurrent_bias")) {
      // Of the candidate alone; those of the gates are added to the input's.
      const int64_t gates = 2 * t.units(), all = biases.in.elements();
      result["recurrent_bias"] = part(*biases.back, gates, all);
      for (int64_t i = gates; i < all; ++i) biases.back->set(i, 0);
    }
    result["bias"] = biases.back ? plus(biases.in, *biases.back) : biases.in;
  }
  return result;
}

Tensors arrays_to(Framework framework, const Cell& cell, const Tensors& arrays) {
  const Translation t(framework, cell);
  for (const CellArray& array : cell.weights) (void)find(arrays, array.name, array.shape);
  const auto given = [&](std::string_view name) -> const Tensor& {
    return arrays.find(name)->second;
  };
  Tensors result;
  result[std::string(t.name("weight_ih", "kernel", "W"))] = t.to_matrix(given("weights"));
  result[std::string(t.name("weight_hh", "recurrent_kernel", "R"))] =
      t.to_matrix(given("recurrent"));
  if (t.has("projection")) result["weight_hr"] = transposed(given("projection"));
  if (t.has("peephole")) {
    result["P"] = reordered(given("peephole"), peepholes.soma, peepholes.onnx);
  }
  if (t.has("bias")) {
    Biases biases{given("bias"), {}};
    if (t.has("recurrent_bias")) {
      const Tensor gates({2 * t.units()}, biases.in.type());
      biases.back = behind(gates, given("recurrent_bias"), {3 * t.units()});
    }
    write_biases(t, biases, result);
  }
  return result;
}

}  // namespace soma
