// The activation functions: the registry's rows, and how an activation is applied to a value.
#include <cmath>
#include <limits>

#include "soma/error.h"
#include "soma/nn.h"
#include "src/base/text.h"
#include "src/nn/pieces.h"

namespace soma {

// ---------------------------------------------------------------- the registry

static Registry<ActivationRow> built_in_activations() {
  Registry<ActivationRow> registry("activation");
  const auto add = [&registry](ActivationRow row, bool vector, Value (*function)(Value)) {
    row.vector = vector;
    row.function = function;
    registry.add(std::move(row));
  };
#define SOMA_ROW(vector, name, formula, derivative, source, note, parameters, arguments, ...) \
  add(activation_row(                                                                         \
          {#name, formula, source, note, {}}, parameters, derivative,                         \
          +[] arguments -> Value { return __VA_ARGS__; }),                                    \
      vector, &name);
#define SOMA_ACTIVATION(...) SOMA_ROW(false, __VA_ARGS__)
#define SOMA_VECTOR_ACTIVATION(...) SOMA_ROW(true, __VA_ARGS__)
#include "soma/activations.def"
#undef SOMA_ROW
  return registry;
}

Registry<ActivationRow>& activations() {
  static Registry<ActivationRow> registry = built_in_activations();
  return registry;
}

// The functions over values, but for those that the builder has.
#define SOMA_ACTIVATION(name, ...) \
  Value name(Value x) { return Activation(#name, {})(x); }
#define SOMA_ACTIVATION_OP(name, ...)
#include "soma/activations.def"

#define SOMA_ACTIVATION(name, ...)                                              \
  Activation name(Argument a, Argument b, Argument c, Argument d, Argument e) { \
    return Activation(#name, {a, b, c, d, e});                                  \
  }
#include "soma/activations.def"

// ---------------------------------------------------------------- settings

Setting Reader<Setting>::read(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view word = text.substr(0, colon);
  try {
    if (word != "learned" && word != "shared")
      return {Setting::Kind::fixed, Reader<double>::read(text)};
    const auto kind = word == "learned" ? Setting::Kind::learned : Setting::Kind::shared;
    if (colon == std::string_view::npos) return {kind, std::numeric_limits<double>::quiet_NaN()};
    return {kind, Reader<double>::read(text.substr(colon + 1))};
  } catch (const ArgumentError&) {
    throw ArgumentError("a number, \"learned\", \"shared\" or a start like \"learned:0.2\"");
  }
}

std::string Reader<Setting>::write(Setting setting) {
  if (setting.kind == Setting::Kind::fixed) return number(setting.value);
  const std::string word = setting.kind == Setting::Kind::learned ? "learned" : "shared";
  return std::isnan(setting.value) ? word : cat(word, ":", number(setting.value));
}

// ---------------------------------------------------------------- applying

static const ActivationRow& row_of(Value (*function)(Value)) {
  for (const ActivationRow& row : activations()) {
    if (row.function == function) return row;
  }
  throw ArgumentError(
      "this function over values is not a registered activation; add a row for it to "
      "activations()");
}

Activation::Activation(Value (*function)(Value))
    : Named(activations(), row_of(function).name, {}) {}

Activation activation_named(std::string_view text) {
  return Activation(Named<ActivationRow>(activations(), text));
}

// The start of a trained parameter: its own, or the number in the row's default.
static double start_of(const Setting& setting, const Activation& f, const Parameter& parameter) {
  if (!std::isnan(setting.value)) return setting.value;
  if (!parameter.initial.empty()) return Reader<Setting>::read(parameter.initial).value;
  throw ArgumentError(cat("the activation \"", f.name(), "\" has no default for ", parameter.name,
                          "; give the learned parameter a start, as in ", parameter.name,
                          "=learned:0.1"));
}

static Value value_of(const Setting& setting, const Activation& f, const Parameter& parameter,
                      Value x, int axis) {
  if (setting.kind == Setting::Kind::fixed) return x.graph().constant(setting.value, x.type());
  // A vector activation changes the width along its axis: one number serves it all.
  const bool each = setting.kind == Setting::Kind::learned && x.rank() > 0 && !f.row().vector;
  const Shape shape = each ? Shape{x.extent(axis)} : Shape{};
  const Value trained = x.graph().parameter(cat(f.name(), "_", parameter.name), shape,
                                            number(start_of(setting, f, parameter)), x.type());
  if (!each) return trained;
  Shape aligned = Shape::filled(axis < 0 ? -axis : x.rank() - axis, 1);
  aligned[0] = x.extent(axis);
  return reshape(trained, aligned);
}

Value Activation::operator()(Value x, const ActivationContext& context) const {
  if (!is_float(x.type())) {
    throw TypeError(cat("the activation \"", name(), "\" needs floating-point numbers, found ",
                        x.type(), x.shape(), "; cast them first"));
  }
  const int rank = x.rank(), axis = context.axis < 0 ? context.axis + rank : context.axis;
  if (rank > 0 && (axis < 0 || axis >= rank)) {
    throw ShapeError(cat("the activation \"", name(), "\" is to act along axis ", context.axis,
                         ", which ", x.shape(), " does not have"));
  }
  if (row().vector && rank == 0) {
    throw ShapeError(cat("the activation \"", name(), "\" acts along an axis, but it was given a ",
                         "single number"));
  }
  if (row().vector && axis != rank - 1) {  // act along the last axis, and put it back
    Dims perm;
    for (int i = 0; i < rank; ++i) perm.push_back(i);
    std::swap(perm[axis], perm[rank - 1]);
    ActivationContext inner = context;
    inner.axis = -1;
    return transpose((*this)(transpose(x, perm), inner), perm);
  }
  std::vector<Value> values;
  std::vector<double> numbers;
  for (size_t i = 0; i < arguments().size(); ++i) {
    const Setting setting = Reader<Setting>::read(arguments()[i]);
    values.push_back(value_of(setting, *this, row().parameters[i], x, axis));
    numbers.push_back(setting.value);
  }
  return row().build({x, values, numbers, context});
}

int64_t Activation::outputs(int64_t inputs) const {
  if (!row().vector) return inputs;
  Graph graph;
  return (*this)(graph.input("x", {1, inputs})).extent(-1);
}

}  // namespace soma
