// Activation functions, losses and initializers: registries of rows (soma/named.h) over the
// builder.
//
//   Value y = relu(x);                       an activation is a function over values
//   Activation f = leaky_relu(0.2);          with arguments it is an object; f(x), f.text()
//   Activation g = activation_named("prelu"); or comes from text
//   Value loss = cross_entropy()(logits, labels);
//   Tensors start = initialize(graph, seed);
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "soma/graph.h"
#include "soma/named.h"
#include "soma/plan.h"

namespace soma {

// ---------------------------------------------------------------- activations

/// A parameter of an activation: a number, or trained. Text: "0.2"; "learned" or "learned:0.2", one
/// for each neuron or channel (one in all for vector activations); "shared" or "shared:0.2", one
/// for the whole layer. The number after the colon is the start; without it the default of the row.
struct Setting {
  enum class Kind : uint8_t { fixed, learned, shared };
  Kind kind = Kind::fixed;
  double value = 0;  ///< NaN: trained, and starts at the default.
};
template <>
struct Reader<Setting> {
  static Setting read(std::string_view text);
  static std::string write(Setting setting);
};

/// Where an activation is used.
struct ActivationContext {
  bool training = false;
  Value key;           ///< i64[2] {seed, step}; rrelu and gumbel_softmax need it in training.
  int64_t stream = 0;  ///< Which random numbers: one stream for each place.
  /// The axis of neurons or channels: learned parameters are one for each of its elements, and
  /// vector activations act along it.
  int axis = -1;
};

/// What the builder function of a row is given.
struct ActivationCall {
  Value x;
  std::span<const Value> values;    ///< The parameters as values.
  std::span<const double> numbers;  ///< The parameters that are fixed, as numbers.
  const ActivationContext& context;
};

struct ActivationRow : Row {
  std::string derivative;
  bool vector = false;                 ///< Acts along an axis and not element by element.
  Value (*function)(Value) = nullptr;  ///< The function of that name in this header.
  std::function<Value(const ActivationCall&)> build;
};

/// Every activation. A row added here can be used everywhere an activation is named.
Registry<ActivationRow>& activations();

/// An activation function with its parameters.
class Activation : public Named<ActivationRow> {
 public:
  /// From a function of this header: `dense(128, relu)`.
  Activation(Value (*function)(Value));
  /// Throws ArgumentError for unknown names and for wrong arguments.
  Activation(std::string_view name, std::initializer_list<Argument> arguments)
      : Named(activations(), name, arguments) {}
  explicit Activation(Named named) : Named(std::move(named)) {}

  /// y = f(x). Trained parameters are made in the graph of x, named in the open scope by function
  /// and parameter: "hidden/prelu_a". Throws ShapeError, TypeError or ArgumentError.
  Value operator()(Value x, const ActivationContext& context = {}) const;
  /// How many numbers come out for `inputs` numbers in: glu halves, crelu doubles, maxout divides.
  /// Throws ShapeError when the function does not take that many.
  int64_t outputs(int64_t inputs) const;
};

/// The activation that "leaky_relu(a=0.2)" or "leaky_relu(0.2)" names. Throws ArgumentError with
/// the nearest name.
Activation activation_named(std::string_view text);

// Every row of the registry as a function over values, f(x), and, with arguments, as an Activation.
#define SOMA_ACTIVATION(name, ...) \
  Value name(Value x);             \
  Activation name(Argument, Argument = {}, Argument = {}, Argument = {}, Argument = {});
#include "soma/activations.def"

/// 1 where the index is (i32 […] → [..., classes]); an index outside gives zeros.
Value one_hot(Value index, int64_t classes, DType type = f32);

namespace detail {
template <class T>
T take(const ActivationCall& call, [[maybe_unused]] size_t i) {
  if constexpr (std::is_same_v<T, Value>) {
    return call.values[i];
  } else if constexpr (std::is_same_v<T, double>) {
    return call.numbers[i];
  } else {
    return call.context;
  }
}
template <class T>
using ActivationArgument = std::conditional_t<std::is_same_v<T, Value>, Setting, T>;
}  // namespace detail

/// A row from its texts and its function: Value(Value x, parameters…), each parameter a Value, or a
/// double when it cannot be trained; a last `const ActivationContext&` is optional.
template <class... P>
ActivationRow activation_row(Row texts, std::string_view parameters, std::string derivative,
                             Value (*build)(Value, P...)) {
  ActivationRow row{std::move(texts), std::move(derivative), false, nullptr, {}};
  constexpr size_t all = sizeof...(P);
  constexpr size_t count = all - (std::is_same_v<P, const ActivationContext&> + ... + 0);
  using Types = std::tuple<detail::ActivationArgument<P>...>;
  [&]<size_t... I>(std::index_sequence<I...>) {
    const std::array<std::string (*)(std::string_view), count> types{
        detail::canonical<std::tuple_element_t<I, Types>>...};
    row.parameters = detail::parse_parameters(parameters, types);
  }
  (std::make_index_sequence<count>{});
  row.build = [build](const ActivationCall& call) {
    return [&]<size_t... I>(std::index_sequence<I...>) {
      return build(call.x, detail::take<P>(call, I)...);
    }
    (std::make_index_sequence<all>{});
  };
  return row;
}

// ---------------------------------------------------------------- losses

/// The loss of each element before averaging, [batch, …], and what its mean is divided by: the sum
/// of `weight`, or the number of elements when that is empty.
struct LossTerms {
  Value loss;
  Value weight = {};
};

/// What the outputs of a network are to the targets of its loss.
enum class LossAnswer : uint8_t {
  numbers,  ///< Compared with numbers, one by one.
  yes_no,   ///< Each says yes or no; some rows of the registry take labels of classes besides.
  classes,  ///< The last axis has one for each class.
  other     ///< Something else: vectors, pairs, logarithms, alignments.
};

struct LossRow : Row {
  LossAnswer answer = LossAnswer::numbers;
  /// Last activations it is wrong after, because it applies its own; "… | log_softmax" names the
  /// one it wants instead.
  std::string refuses;
  std::function<LossTerms(Value, Value, std::span<const std::string>)> build;
};
Registry<LossRow>& losses();

/// How far a prediction is from its target.
class Loss : public Named<LossRow> {
 public:
  Loss(std::string_view name, std::initializer_list<Argument> arguments)
      : Named(losses(), name, arguments) {}
  explicit Loss(Named named) : Named(std::move(named)) {}

  /// The mean over the batch, a scalar: the sum of the losses divided by their number, or, with
  /// class weights, by the sum of the weights of the labels that occur (as PyTorch). What the loss
  /// ignores, such as negative labels, is in neither sum; when nothing is left, the mean is 0. With
  /// `sample_weights` [batch], each sample counts as often as its weight says: both sums are
  /// weighted. Throws ShapeError or TypeError.
  Value operator()(Value prediction, Value target, Value sample_weights = {}) const;
  /// The loss of each sample, [batch]: the mean over all axes but the first, as above.
  Value per_sample(Value prediction, Value target) const;
};

/// The loss that "huber(delta=2)" names. Throws ArgumentError with the nearest name.
Loss loss_named(std::string_view text);
/// Why this loss is wrong after that last activation ("" when it is not): cross_entropy wants
/// logits and applies softmax itself.
std::string loss_objection(const Loss& loss, const Activation& last);

#define SOMA_LOSS(name, ...) Loss name(Argument = {}, Argument = {}, Argument = {}, Argument = {});
#include "soma/losses.def"

// The same over values, where a loss compares more than a prediction with a target. Vectors are
// [batch, d] and the result is [batch]. Throw ShapeError.

/// a·b / (|a| |b|) along the last axis; a norm below eps counts as eps.
Value cosine_similarity(Value a, Value b, double eps = 1e-8);
/// |a - b| along the last axis; its gradient where a = b is 0.
Value euclidean_distance(Value a, Value b);
/// Scores a and b [batch, …]; `first` [batch, …] is positive where a should be the larger: row
/// margin_ranking of the registry.
Value margin_ranking_loss(Value a, Value b, Value first, double margin = 0);
/// `together` [batch] is positive where a and b belong together: rows cosine_embedding and
/// contrastive (Hadsell+ 2006).
Value cosine_embedding_loss(Value a, Value b, Value together, double margin = 0);
Value contrastive_loss(Value a, Value b, Value together, double margin = 1);
/// max(0, |anchor - like_it| - |anchor - unlike_it| + margin): row triplet (Schroff+ 2015).
Value triplet_loss(Value anchor, Value like_it, Value unlike_it, double margin = 1,
                   bool swap = false);
/// Row i of a belongs to row i of b, and the other rows of b are wrong answers: row info_nce (van
/// den Oord+ 2018). CLIP's loss is the mean of both directions.
Value info_nce_loss(Value a, Value b, double temperature = 0.1);
/// Row ctc (Graves+ 2006): logits [batch, time, classes], labels integers [batch, n] filled up with
/// negative ones, `lengths` integers [batch], the steps of each row that are real (empty: all).
/// 0 where the labels do not fit into the steps. Throws ShapeError or ArgumentError.
Value ctc_loss(Value logits, Value labels, int64_t blank = 0, Value lengths = {});
/// sum (exp(v) + m^2 - 1 - v) / 2, the divergence KL(N(m, exp(v)), N(0, 1)) of each sample, over
/// all axes but the first. With a reconstruction loss that is summed over each sample it makes the
/// negative evidence lower bound of a variational autoencoder (Kingma & Welling 2014).
Value kl_to_unit_normal(Value mean, Value log_variance);

// ---------------------------------------------------------------- initializers

/// What an initializer draws from: the array's own stream of random numbers, and how many links
/// enter and leave each of its neurons.
struct InitSource {
  double fan_in = 1, fan_out = 1;
  std::function<double()> uniform;  ///< In [0, 1).
  std::function<double()> normal;   ///< Mean 0, variance 1.
};

struct InitializerRow : Row {
  std::function<void(Tensor&, const InitSource&, std::span<const std::string>)> fill;
};
Registry<InitializerRow>& initializers();

/// Which links a start is scaled by; fan_avg is the mean of both counts, fan_geo_avg the root of
/// their product.
enum class FanMode : uint8_t { fan_in, fan_out, fan_avg, fan_geo_avg };
template <>
struct Reader<FanMode> {
  static FanMode read(std::string_view text);
};
/// What random numbers look like; truncated_normal is cut at two deviations and widened so that its
/// variance is what was asked for.
enum class Distribution : uint8_t { truncated_normal, normal, uniform };
template <>
struct Reader<Distribution> {
  static Distribution read(std::string_view text);
};

/// By how much a layer's start should be widened for the activation behind it, as PyTorch's
/// calculate_gain: 1 for linear and sigmoid, 5/3 for tanh, sqrt(2) for relu, sqrt(2 / (1 + a²)) for
/// leaky_relu of slope a, 3/4 for selu. Throws ArgumentError for others.
double gain_of(std::string_view activation, double a = 0.01);

/// Links into and out of a neuron, from the shape of its weights: [in, out] for dense layers,
/// [out, in, window…] for convolutions, [n] for a vector.
std::pair<double, double> fans(const Shape& shape);
/// Throws ArgumentError unless the text names an initializer ("he_normal", "normal(std=0.02)") or
/// is a number.
void check_initializer(std::string_view text);
/// The start of a parameter or state. Its random numbers depend on the seed and its own name alone,
/// so that adding a layer changes no other.
Tensor initial_value(const InputAttr& input, uint64_t seed);
/// Of every parameter and state of the graph.
Tensors initialize(const Graph& graph, uint64_t seed);

}  // namespace soma
