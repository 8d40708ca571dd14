// Element-wise functions and activations.
#include <cmath>
#include <limits>

#include "soma/dropout.h"
#include "soma/nn.h"
#include "tests/onnx/pieces.h"
#include "tests/onnx/table.h"

namespace soma::onnx {

namespace {

template <Value (*f)(Value)>
Value unary(const Site& at) {
  return f(at.in(0));
}

// ---- operands

// Before version 7 the second operand's axes were placed by the attribute "axis".
Value second_operand(const Site& at) {
  const Value a = at.in(0), b = at.in(1);
  if (at.opset() >= 7 || !at.set("axis")) return b;
  const int first = at.axis(0, a.rank());
  return b.rank() + first < a.rank() ? trailing_ones(b, a.rank() - first) : b;
}

template <Value (*f)(Value, Value)>
Value binary(const Site& at) {
  return f(at.in(0), second_operand(at));
}
template <Value (*f)(Value, Value)>
Value fold(const Site& at) {
  Value result = at.in(0);
  for (size_t i = 1; i < at.inputs(); ++i) result = f(result, at.in(i));
  return result;
}

Value plus(Value a, Value b) { return a + b; }
Value minus(Value a, Value b) { return a - b; }
Value times(Value a, Value b) { return a * b; }
Value over(Value a, Value b) { return a / b; }
Value larger(Value a, Value b) { return max(a, b); }
Value smaller(Value a, Value b) { return min(a, b); }
Value less(Value a, Value b) { return lt(a, b); }
Value less_equal(Value a, Value b) { return le(a, b); }
Value greater(Value a, Value b) { return gt(a, b); }
Value greater_equal(Value a, Value b) { return ge(a, b); }
Value equal(Value a, Value b) { return eq(a, b); }
Value differ(Value a, Value b) { return ne(a, b); }

// The result has the type of the base.
Value power(const Site& at) {
  const Value a = at.in(0), b = at.in(1);
  if (is_float(b.type()) && !is_float(a.type())) return cast(pow(cast(a, b.type()), b), a.type());
  return pow(a, cast(b, a.type()));
}

// fmod: the sign of the dividend; else that of the divisor.
Value modulo(const Site& at) {
  const Value a = at.in(0), b = at.in(1);
  const Value quotient = is_float(a.type()) ? truncated(a / b) : a / b;
  const Value rest = a - quotient * b;
  if (at.flag("fmod")) return rest;
  const Value wrong = logical_and(ne(rest, 0.0), ne(lt(rest, 0.0), lt(b, 0.0)));
  return select(wrong, rest + b, rest);
}

Value clip(const Site& at) {
  Value x = at.in(0);
  if (at.opset() < 11) {
    return min(max(x, at.number("min", std::numeric_limits<float>::lowest())),
               at.number("max", std::numeric_limits<float>::max()));
  }
  if (at.has(1)) x = max(x, at.in(1));
  if (at.has(2)) x = min(x, at.in(2));
  return x;
}

// ---- functions that Soma's builder composes

Value tangent(Value x) { return sin(x) / cos(x); }
Value hyperbolic_cosine(Value x) { return 0.5 * (exp(x) + exp(-x)); }
Value inverse_cosh(Value x) { return log(x + sqrt(square(x) - 1.0)); }
Value inverse_tanh(Value x) { return 0.5 * (log1p(x) - log1p(-x)); }
Value is_nan(Value x) { return ne(x, x); }
Value is_infinite(const Site& at) {
  const Value x = at.in(0);
  const double infinity = std::numeric_limits<double>::infinity();
  const Value up = eq(x, infinity), down = eq(x, -infinity);
  if (at.integer("detect_negative", 1) == 0) return up;
  return at.integer("detect_positive", 1) == 0 ? down : logical_or(up, down);
}

// ---- activations with parameters

// The row of the registry with parameters that are values: the slope of a prelu is an input.
Value parametric_relu(const Site& at) {
  const Value x = at.in(0);
  Value slope = at.in(1);
  if (at.opset() < 7 && slope.rank() == 1 && slope.extent(0) > 1) {
    slope = trailing_ones(slope, x.rank() - 1);  // one for each channel
  }
  const Value values[] = {x, slope};
  return activations().find("prelu").build({x, std::span(values).subspan(1), {}, {}});
}

// Up to version 12 softmax and its like saw a matrix: the axes before `axis`, and the rest.
Value along_axis(const Site& at, const Activation& f) {
  const Value x = at.in(0);
  const Shape shape = x.shape();
  if (at.opset() >= 13) {
    ActivationContext context;
    context.axis = at.axis(-1, shape.rank());
    return f(x, context);
  }
  return reshape(f(as_matrix(x, at.axis(1, shape.rank()))), shape);
}

Value dropped(const Site& at) {
  const bool training = at.has(2) && at.known(2).at(0) != 0;
  const double ratio = at.has(1) ? at.known(1).at(0) : 0.5;
  if (!training) return at.in(0);
  if (ratio != 0) throw NotExpressible("the random bits of another generator");
  return dropout(at.in(0), at.graph().constant(0.5), ratio);
}
std::vector<Value> dropped_with_mask(const Site& at) {
  const Value y = dropped(at);
  const Shape shape = y.shape();
  return {y, broadcast_to(at.graph().constant(1, boolean), shape)};
}

Value floor_of(Value x) {
  const Value whole = truncated(x);
  return select(whole > x, whole - 1.0, whole);
}
Value ceiling_of(Value x) { return -floor_of(-x); }
// Halves go to the even neighbour.
Value rounded(Value x) {
  const Value up = floor_of(x + 0.5), odd = up - 2.0 * floor_of(up * 0.5);
  return select(logical_and(eq(up - x, 0.5), ne(odd, 0.0)), up - 1.0, up);
}

void add_unary(Table& table) {
  table.add("Abs", "abs", unary<abs>);
  table.add("Exp", "exp", unary<exp>);
  table.add("Log", "log", unary<log>);
  table.add("Neg", "neg", unary<neg>);
  table.add("Sqrt", "sqrt", unary<sqrt>);
  table.add("Reciprocal", "reciprocal", unary<reciprocal>);
  table.add("Sin", "sin", unary<sin>);
  table.add("Cos", "cos", unary<cos>);
  table.add("Tan", "sin / cos", unary<tangent>);
  table.add("Sinh", "sinh", unary<sinh>);
  table.add("Cosh", "exp", unary<hyperbolic_cosine>);
  table.add("Asinh", "asinh", unary<asinh>);
  table.add("Acosh", "log, sqrt", unary<inverse_cosh>);
  table.add("Atanh", "log1p", unary<inverse_tanh>);
  table.add("Erf", "erf", unary<erf>);
  table.add("Sign", "sign", unary<sign>);
  table.add("Floor", "cast", unary<floor_of>);
  table.add("Ceil", "cast", unary<ceiling_of>);
  table.add("Round", "cast", unary<rounded>);
  table.add("IsNaN", "ne", unary<is_nan>);
  table.add("IsInf", "eq", is_infinite);
  table.add("Not", "logical_not", unary<logical_not>);
  table.add("Identity", "identity", [](const Site& at) { return at.in(0); });
  table.lack({"Acos", "Asin", "Atan"}, "no primitive for inverse trigonometric functions");
}

void add_binary(Table& table) {
  table.add("Add", "add", binary<plus>);
  table.add("Sub", "sub", binary<minus>);
  table.add("Mul", "mul", binary<times>);
  table.add("Div", "div", binary<over>);
  table.add("Pow", "pow", power);
  table.add("Mod", "div, mul, sub", modulo);
  table.add("Max", "max", fold<larger>);
  table.add("Min", "min", fold<smaller>);
  table.add("Sum", "add", fold<plus>);
  table.add("Mean", "add, div",
            [](const Site& at) { return fold<plus>(at) / static_cast<double>(at.inputs()); });
  table.add("And", "logical_and", binary<logical_and>);
  table.add("Or", "logical_or", binary<logical_or>);
  table.add("Xor", "ne", binary<differ>);
  table.add("Less", "lt", binary<less>);
  table.add("LessOrEqual", "le", binary<less_equal>);
  table.add("Greater", "gt", binary<greater>);
  table.add("GreaterOrEqual", "ge", binary<greater_equal>);
  table.add("Equal", "eq", binary<equal>);
  table.add("Where", "select", [](const Site& at) { return select(at.in(0), at.in(1), at.in(2)); });
  table.add("Clip", "max, min", clip);
  table.lack({"BitShift"}, "no operations on bits");
}

void add_activations(Table& table) {
  table.add("Relu", "relu", unary<relu>);
  table.add("Tanh", "tanh", unary<tanh>);
  table.add("Sigmoid", "sigmoid", unary<sigmoid>);
  table.add("Softplus", "softplus", unary<softplus>);
  table.add("Softsign", "softsign", unary<softsign>);
  table.add("HardSwish", "hardswish", unary<hardswish>);
  table.add("LeakyRelu", "leaky_relu",
            [](const Site& at) { return leaky_relu(at.number("alpha", 0.01))(at.in(0)); });
  table.add("PRelu", "prelu", parametric_relu);
  table.add("Elu", "elu", [](const Site& at) { return elu(at.number("alpha", 1))(at.in(0)); });
  table.add("Celu", "celu", [](const Site& at) { return celu(at.number("alpha", 1))(at.in(0)); });
  table.add("Selu", "selu", [](const Site& at) {
    return selu(at.number("alpha", 1.6732631921768188),
                at.number("gamma", 1.0507010221481323))(at.in(0));
  });
  table.add("HardSigmoid", "onnx_hard_sigmoid", [](const Site& at) {
    return onnx_hard_sigmoid(at.number("alpha", 0.2), at.number("beta", 0.5))(at.in(0));
  });
  table.add("ThresholdedRelu", "thresholded_relu",
            [](const Site& at) { return thresholded_relu(at.number("alpha", 1))(at.in(0)); });
  table.add("Shrink", "shrink", [](const Site& at) {
    return shrink(at.number("lambd", 0.5), at.number("bias", 0))(at.in(0));
  });
  table.add("Softmax", "softmax", [](const Site& at) { return along_axis(at, softmax); });
  table.add("LogSoftmax", "log_softmax",
            [](const Site& at) { return along_axis(at, log_softmax); });
  table.add("Hardmax", "hardmax", [](const Site& at) { return along_axis(at, hardmax); });
  table.add("Dropout", "dropout", dropped_with_mask);
}

}  // namespace

void add_maps(Table& table) {
  add_unary(table);
  add_binary(table);
  add_activations(table);
}

}  // namespace soma::onnx
