// Regularizers: penalties on weights (or activations) that training adds to the loss.
//
//   Value loss = mean(square(y - t)) + l2(1e-4)(w);
//   Value all = loss + penalty_of(graph, l2(1e-4), "*/weights");
#pragma once

#include <functional>
#include <string_view>

#include "soma/graph.h"
#include "soma/named.h"

namespace soma {

struct RegularizerRow : Row {
  std::function<Value(Value, std::span<const std::string>)> build;
};
/// Every regularizer. A row added here can be used everywhere a regularizer is named.
Registry<RegularizerRow>& regularizers();

/// A penalty with its parameters.
class Regularizer : public Named<RegularizerRow> {
 public:
  Regularizer(std::string_view name, std::initializer_list<Argument> arguments)
      : Named(regularizers(), name, arguments) {}
  explicit Regularizer(Named named) : Named(std::move(named)) {}

  /// The penalty of an array of any shape, a scalar: a sum over its elements, not a mean. Throws
  /// TypeError for integers and ShapeError where the row wants a matrix and there is none.
  Value operator()(Value w) const;
};

/// The regularizer that "l2(rate=1e-4)" names. Throws ArgumentError with the nearest name.
Regularizer regularizer_named(std::string_view text);

template <>
struct Reader<Regularizer> {
  static Regularizer read(std::string_view text);
  static std::string write(const Regularizer& regularizer) { return regularizer.text(); }
};

/// The sum of the penalties of the graph's parameters whose names match the pattern, in which *
/// stands for any text: "*/weights", "hidden1/*". Throws ArgumentError when none does.
Value penalty_of(Graph& graph, const Regularizer& regularizer, std::string_view pattern);

#define SOMA_REGULARIZER(name, ...) Regularizer name(Argument = {}, Argument = {});
#include "soma/regularizers.def"

}  // namespace soma
