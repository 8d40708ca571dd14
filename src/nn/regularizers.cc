// The regularizers: their rows, and penalties over the parameters of a graph.
#include "soma/regularizers.h"

#include "soma/error.h"
#include "soma/normalization.h"
#include "src/base/text.h"
#include "src/nn/normal.h"

namespace soma {

using namespace detail;

namespace {

Value matrix_of(Value w) {
  if (w.rank() < 2) {
    throw ShapeError(cat("this regularizer compares the rows of a matrix, but it was given ",
                         w.shape(), "; use it for arrays of two axes or more"));
  }
  return reshape(w, {w.extent(0), w.shape().elements() / std::max<int64_t>(w.extent(0), 1)});
}

Value gram_of(Value w) {
  const Value matrix = matrix_of(w);
  const bool wide = matrix.extent(0) <= matrix.extent(1);
  return dot(matrix, matrix, !wide, wide);
}

Value identity_like(Value square_matrix) {
  const Shape shape = square_matrix.shape();
  Graph& graph = square_matrix.graph();
  return cast(eq(iota(graph, shape, 0, i32), iota(graph, shape, 1, i32)), square_matrix.type());
}

Value mean_cosine(Value w, bool columns) {
  Value rows = matrix_of(w);
  if (columns) rows = transpose(rows);
  const auto n = static_cast<double>(rows.extent(0));
  if (n < 2) return w.graph().constant(0, w.type());
  const Value unit = lp_normalize(rows, 2, 1);
  const Value cosines = dot(unit, unit, false, true);
  return sum(abs(cosines * (1.0 - identity_like(cosines)))) * (1 / (n * (n - 1)));
}

Registry<RegularizerRow> built_in_regularizers() {
  Registry<RegularizerRow> registry("regularizer");
#define SOMA_REGULARIZER(name, formula, source, note, specification, arguments, ...)      \
  {                                                                                       \
    const auto value = +[] arguments -> Value { return __VA_ARGS__; };                    \
    using Rows = detail::Bind<Value, Value>;                                              \
    registry.add({{#name, formula, source, note, Rows::parameters(value, specification)}, \
                  Rows::call(value)});                                                    \
  }
#include "soma/regularizers.def"
  return registry;
}

// '*' stands for any text.
bool matches(std::string_view name, std::string_view pattern) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return name == pattern;
  if (name.substr(0, star) != pattern.substr(0, star)) return false;
  for (size_t skip = star; skip <= name.size(); ++skip) {
    if (matches(name.substr(skip), pattern.substr(star + 1))) return true;
  }
  return false;
}

}  // namespace

Registry<RegularizerRow>& regularizers() {
  static Registry<RegularizerRow> registry = built_in_regularizers();
  return registry;
}

#define SOMA_REGULARIZER(name, ...) \
  Regularizer name(Argument a, Argument b) { return Regularizer(#name, {a, b}); }
#include "soma/regularizers.def"

Regularizer regularizer_named(std::string_view text) {
  return Regularizer(Named<RegularizerRow>(regularizers(), text));
}

Regularizer Reader<Regularizer>::read(std::string_view text) {
  try {
    return regularizer_named(text);
  } catch (const ArgumentError& error) {
    throw ArgumentError(cat("a regularizer (", error.what(), ")"));
  }
}

Value Regularizer::operator()(Value w) const {
  check_floats(name(), w);
  return row().build(w, arguments());
}

Value penalty_of(Graph& graph, const Regularizer& regularizer, std::string_view pattern) {
  Value total;
  const std::vector<Id> inputs(graph.inputs().begin(), graph.inputs().end());
  for (const Id id : inputs) {
    const auto& input = graph[id].as<InputAttr>();
    if (input.kind != InputKind::parameter || !matches(input.name, pattern)) continue;
    const Value penalty = regularizer(graph.value(id));
    total = total ? total + penalty : penalty;
  }
  if (!total) {
    throw ArgumentError(cat("no parameter of the graph has a name like \"", pattern,
                            "\"; print() shows the names"));
  }
  return total;
}

}  // namespace soma
