// Initializers: what parameters and states hold before training.
#include <cmath>

#include "soma/error.h"
#include "soma/nn.h"
#include "src/base/philox.h"
#include "src/base/text.h"

namespace soma {

namespace {

void fill_with(Tensor& out, const std::function<double()>& draw) {
  for (int64_t i = 0; i < out.elements(); ++i) out.set(i, draw());
}
void fill_from(Tensor& out, const std::vector<double>& list) {
  if (out.elements() != static_cast<int64_t>(list.size())) {
    throw ArgumentError(cat("the list has ", list.size(), " numbers for an array of shape ",
                            out.shape(), ", which has ", out.elements()));
  }
  for (int64_t i = 0; i < out.elements(); ++i) out.set(i, list[static_cast<size_t>(i)]);
}
// Uniform over [-limit, limit), and normal with mean 0.
void fill_uniform(Tensor& out, const InitSource& source, double limit) {
  fill_with(out, [&] { return limit * (2 * source.uniform() - 1); });
}
void fill_normal(Tensor& out, const InitSource& source, double std) {
  fill_with(out, [&] { return std * source.normal(); });
}

// Rows of a random matrix, made orthogonal to the ones before and of length 1 (modified Gram and
// Schmidt, twice over, which keeps them orthogonal to rounding).
std::vector<std::vector<double>> orthonormal_rows(int64_t rows, int64_t columns,
                                                  const InitSource& source) {
  std::vector<std::vector<double>> basis;
  while (static_cast<int64_t>(basis.size()) < rows) {
    std::vector<double> row(static_cast<size_t>(columns));
    for (double& x : row) x = source.normal();
    for (int pass = 0; pass < 2; ++pass) {
      for (const auto& other : basis) {
        double overlap = 0;
        for (size_t i = 0; i < row.size(); ++i) overlap += row[i] * other[i];
        for (size_t i = 0; i < row.size(); ++i) row[i] -= overlap * other[i];
      }
    }
    double length = 0;
    for (const double x : row) length += x * x;
    if (length < 1e-12) continue;  // nearly dependent: draw again
    for (double& x : row) x /= std::sqrt(length);
    basis.push_back(std::move(row));
  }
  return basis;
}

void fill_block(Tensor& out, double value, double index, double blocks) {
  if (index >= blocks || out.shape().rank() == 0 ||
      out.shape().back() % static_cast<int64_t>(blocks) != 0) {
    throw ArgumentError(cat("an array ", out.shape(), " has no block ", index, " of ", blocks,
                            " along its last axis"));
  }
  const int64_t row = out.shape().back(), size = row / static_cast<int64_t>(blocks);
  for (int64_t i = 0; i < out.elements(); ++i) {
    out.set(i, i % row / size == static_cast<int64_t>(index) ? value : 0);
  }
}

void fill_orthogonal(Tensor& out, const InitSource& source, double gain) {
  const int64_t rows = out.shape().rank() == 0 ? 1 : out.shape()[0];
  const int64_t columns = rows == 0 ? 0 : out.elements() / rows;
  if (columns == 0) return;
  const bool wide = rows <= columns;
  const auto basis = orthonormal_rows(std::min(rows, columns), std::max(rows, columns), source);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      const auto r = static_cast<size_t>(wide ? i : j), c = static_cast<size_t>(wide ? j : i);
      out.set(i * columns + j, gain * basis[r][c]);
    }
  }
}

Registry<InitializerRow> built_in_initializers() {
  Registry<InitializerRow> registry("initializer");
#define SOMA_INITIALIZER(name, formula, source_, note, specification, arguments, ...)     \
  {                                                                                       \
    const auto fill = +[] arguments -> void { __VA_ARGS__; };                             \
    using Rows = detail::Bind<void, Tensor&, const InitSource&>;                          \
    registry.add({{#name, formula, source_, note, Rows::parameters(fill, specification)}, \
                  Rows::call(fill)});                                                     \
  }
#include "soma/initializers.def"
  return registry;
}

// FNV-1a: the same number for a name on every platform.
uint64_t hash_of(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  return hash;
}

// A plain number stands for constant(number).
Named<InitializerRow> parse_initializer(std::string_view text) {
  try {
    return {initializers(), "constant", {Argument(Reader<double>::read(trim(text)))}};
  } catch (const ArgumentError&) {
    return {initializers(), text};
  }
}

}  // namespace

Registry<InitializerRow>& initializers() {
  static Registry<InitializerRow> registry = built_in_initializers();
  return registry;
}

std::pair<double, double> fans(const Shape& shape) {
  if (shape.rank() == 0) return {1, 1};
  const auto first = static_cast<double>(shape[0]);
  if (shape.rank() == 1) return {first, first};
  const auto second = static_cast<double>(shape[1]);
  if (shape.rank() == 2) return {first, second};
  double window = 1;
  for (int i = 2; i < shape.rank(); ++i) window *= static_cast<double>(shape[i]);
  return {second * window, first * window};
}

void check_initializer(std::string_view text) { (void)parse_initializer(text); }

Tensor initial_value(const InputAttr& input, uint64_t seed) {
  constexpr uint32_t stream = 0x696e6974;  // "init": apart from what training draws
  try {
    Tensor result(input.shape, input.type);
    const Named<InitializerRow> initializer = parse_initializer(input.init);
    Random random(seed ^ hash_of(input.name), stream);
    const auto [fan_in, fan_out] = fans(input.shape);
    const InitSource source{fan_in, fan_out, [&random] { return random.uniform_double(); },
                            [&random] { return random.normal(); }};
    initializer.row().fill(result, source, initializer.arguments());
    return result;
  } catch (const ArgumentError& e) {
    throw ArgumentError(cat("the start of \"", input.name, "\": ", e.what()));
  }
}

Tensors initialize(const Graph& graph, uint64_t seed) {
  Tensors tensors;
  for (const Id id : graph.inputs()) {
    const auto& input = graph[id].as<InputAttr>();
    if (input.kind != InputKind::data) tensors[input.name] = initial_value(input, seed);
  }
  return tensors;
}

}  // namespace soma
