// Initializers: what parameters and states hold before training.
#include <algorithm>
#include <cmath>
#include <numeric>

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

// Drawn again where it lies further than `cut` deviations out.
void fill_truncated(Tensor& out, const InitSource& source, double std, double mean, double cut) {
  fill_with(out, [&] {
    double x = source.normal();
    while (std::abs(x) > cut) x = source.normal();
    return mean + std * x;
  });
}

double fan_of(const InitSource& source, FanMode mode) {
  switch (mode) {
    case FanMode::fan_in: return source.fan_in;
    case FanMode::fan_out: return source.fan_out;
    case FanMode::fan_avg: return (source.fan_in + source.fan_out) / 2;
    case FanMode::fan_geo_avg: break;
  }
  return std::sqrt(source.fan_in * source.fan_out);
}

void fill_scaled(Tensor& out, const InitSource& source, double variance, Distribution shape) {
  // The deviation of a normal number of deviation 1 that is cut at two.
  constexpr double cut_deviation = 0.87962566103423978;
  const double std = std::sqrt(variance);
  switch (shape) {
    case Distribution::truncated_normal:
      return fill_truncated(out, source, std / cut_deviation, 0, 2);
    case Distribution::normal: return fill_normal(out, source, std);
    case Distribution::uniform: return fill_uniform(out, source, std::sqrt(3.0) * std);
  }
}

// An array seen as the links of neurons: link `from` into neuron `to`.
struct Links {
  explicit Links(const Tensor& array) {
    const Shape& shape = array.shape();
    dense = shape.rank() == 2;
    if (shape.rank() == 0 || array.elements() == 0) return;
    neurons = dense ? shape[1] : shape[0];
    inputs = array.elements() / neurons;
  }
  int64_t at(int64_t from, int64_t to) const {
    return dense ? from * neurons + to : to * inputs + from;
  }
  bool dense = false;
  int64_t neurons = 0, inputs = 0;
};

void need_rank(const Tensor& out, bool fits, const char* wanted) {
  if (!fits) throw ArgumentError(cat("it starts ", wanted, ", found the shape ", out.shape()));
}

void fill_identity(Tensor& out, double gain) {
  need_rank(out, out.shape().rank() == 2, "matrices");
  const int64_t columns = out.shape()[1];
  for (int64_t i = 0; i < out.elements(); ++i) out.set(i, i / columns == i % columns ? gain : 0);
}

// Elements of the window of a convolution, and the one in its middle (floor(extent / 2)).
struct Window {
  explicit Window(const Shape& shape) {
    for (int axis = 2; axis < shape.rank(); ++axis) {
      middle = middle * shape[axis] + shape[axis] / 2;
      elements *= shape[axis];
    }
  }
  int64_t elements = 1, middle = 0;
};

void fill_dirac(Tensor& out, int64_t parts) {
  const Shape& shape = out.shape();
  need_rank(out, shape.rank() > 2, "convolutions [out, in, window...]");
  if (shape[0] % parts) {
    throw ArgumentError(cat(shape[0], " channels do not divide into ", parts, " groups"));
  }
  const Window window(shape);
  const int64_t each = shape[0] / parts;
  fill_with(out, [] { return 0.0; });
  for (int64_t to = 0; to < shape[0]; ++to) {
    const int64_t from = to % each;
    if (from < shape[1]) out.set((to * shape[1] + from) * window.elements + window.middle, 1);
  }
}

void fill_delta(Tensor& out, const InitSource& source, double gain) {
  const Shape& shape = out.shape();
  need_rank(out, shape.rank() > 2, "convolutions [out, in, window...]");
  const Window window(shape);
  Tensor matrix({shape[0], shape[1]}, f64);
  fill_orthogonal(matrix, source, gain);
  fill_with(out, [] { return 0.0; });
  for (int64_t i = 0; i < matrix.elements(); ++i) {
    out.set(i * window.elements + window.middle, matrix.at(i));
  }
}

// The first of the links in a random order are cleared (Fisher & Yates).
void fill_sparse(Tensor& out, const InitSource& source, double sparsity, double std) {
  fill_normal(out, source, std);
  const Links links(out);
  const auto cleared =
      static_cast<int64_t>(std::ceil(sparsity * static_cast<double>(links.inputs)));
  std::vector<int64_t> order(static_cast<size_t>(links.inputs));
  for (int64_t to = 0; to < links.neurons; ++to) {
    std::iota(order.begin(), order.end(), int64_t{0});
    for (int64_t k = 0; k < cleared; ++k) {
      const auto left = static_cast<double>(links.inputs - k);
      const int64_t other =
          k + std::min(links.inputs - k - 1, static_cast<int64_t>(source.uniform() * left));
      std::swap(order[static_cast<size_t>(k)], order[static_cast<size_t>(other)]);
      out.set(links.at(order[static_cast<size_t>(k)], to), 0);
    }
  }
}

void fill_nguyen_widrow(Tensor& out, const InitSource& source) {
  fill_uniform(out, source, 1);
  const Links links(out);
  const double norm = 0.7 * std::pow(static_cast<double>(links.neurons),
                                     1 / std::max(static_cast<double>(links.inputs), 1.0));
  for (int64_t to = 0; to < links.neurons; ++to) {
    double squares = 0;
    for (int64_t i = 0; i < links.inputs; ++i)
      squares += out.at(links.at(i, to)) * out.at(links.at(i, to));
    if (squares == 0) continue;
    for (int64_t i = 0; i < links.inputs; ++i) {
      out.set(links.at(i, to), out.at(links.at(i, to)) * norm / std::sqrt(squares));
    }
  }
}

void fill_bilinear(Tensor& out) {
  const Shape& shape = out.shape();
  need_rank(out, shape.rank() > 2, "convolutions [out, in, window...]");
  const Window window(shape);
  for (int64_t i = 0; i < out.elements(); ++i) {
    double weight = 1;
    int64_t rest = i % window.elements;
    for (int axis = shape.rank(); axis-- > 2;) {
      const double half = std::ceil(static_cast<double>(shape[axis]) / 2);
      const double middle = shape[axis] % 2 ? half - 1 : half - 0.5;
      weight *= 1 - std::abs(static_cast<double>(rest % shape[axis]) - middle) / half;
      rest /= shape[axis];
    }
    out.set(i, weight);
  }
}

void fill_list(Tensor& out, const std::vector<double>& list) {
  if (static_cast<int64_t>(list.size()) != out.elements()) {
    throw ArgumentError(cat("the list has ", list.size(), " numbers, but the array ", out.shape(),
                            " has ", out.elements()));
  }
  for (int64_t i = 0; i < out.elements(); ++i) out.set(i, list[static_cast<size_t>(i)]);
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

// The place of a word in the list; throws ArgumentError naming them all.
template <class Enum>
Enum word(std::string_view text, std::initializer_list<std::string_view> words) {
  const auto found = std::find(words.begin(), words.end(), text);
  if (found == words.end()) throw ArgumentError(cat("one of ", join(words, ", ")));
  return static_cast<Enum>(found - words.begin());
}

}  // namespace

FanMode Reader<FanMode>::read(std::string_view text) {
  return word<FanMode>(text, {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"});
}
Distribution Reader<Distribution>::read(std::string_view text) {
  return word<Distribution>(text, {"truncated_normal", "normal", "uniform"});
}

double gain_of(std::string_view activation, double a) {
  if (activation == "linear" || activation == "identity" || activation == "sigmoid") return 1;
  if (activation == "tanh") return 5.0 / 3;
  if (activation == "relu") return std::sqrt(2.0);
  if (activation == "leaky_relu") return std::sqrt(2 / (1 + a * a));
  if (activation == "selu") return 0.75;
  throw ArgumentError(cat("no gain is known for \"", activation,
                          "\"; there are linear, sigmoid, tanh, relu, leaky_relu, selu"));
}

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
