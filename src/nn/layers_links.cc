// Layers whose links are chosen one by one.
#include <algorithm>
#include <cmath>

#include "soma/error.h"
#include "soma/recurrent.h"
#include "src/base/text.h"
#include "src/nn/layer_kinds.h"
#include "src/nn/links.h"

namespace soma {

namespace {

/// How the weights start: the numbers that were given, or as in a dense layer with as many links
/// per neuron on average (start_of_weights).
std::string start_of_links(LayerBuild& at, const std::vector<Link>& links, int64_t inputs,
                           int64_t neurons, const Activation& activation) {
  const auto given = [](const Link& link) { return link.weight.has_value(); };
  const auto with_weight = std::ranges::count_if(links, given);
  if (with_weight == std::ssize(links)) {
    std::vector<double> numbers;
    for (const Link& link : links) numbers.push_back(*link.weight);
    return cat("values(", Reader<std::vector<double>>::write(numbers), ")");
  }
  if (with_weight > 0) {
    at.fail(cat("gives ", with_weight, " of its ", links.size(),
                " links a weight to start from; give one to all of them or to none"));
  }
  const double count = static_cast<double>(links.size());
  const double fan_in = count / static_cast<double>(neurons),
               fan_out = count / static_cast<double>(inputs);
  const bool relu = start_of_weights({"auto"}, activation) == "he_uniform";
  const double a = std::sqrt(relu ? 6 / fan_in : 6 / (fan_in + fan_out));
  return cat("uniform(", number(-a), " ", number(a), ")");
}

/// Numbers that belong to the links and never change, as a state.
Value fixed_numbers(LayerBuild& at, const std::string& name, const std::vector<double>& numbers) {
  return at.state(name, {std::ssize(numbers)},
                  cat("values(", Reader<std::vector<double>>::write(numbers), ")"), i32);
}

}  // namespace

// Each link takes a row of the transposed batch, and adds to a row of the transposed result.
Value build_sparse(LayerBuild& at, int64_t units, Links links, Activations activation, bool bias) {
  const Value x = at.flat();
  const int64_t inputs = x.extent(1);
  const std::vector<Link> list = links.between(inputs, units);
  std::vector<double> from, to;
  for (const Link& link : list) {
    if (link.from_neuron) {
      throw GraphError(cat("links ", link.from, " to ", link.to, ": neurons of one layer are not ",
                           "linked to each other; a wired layer may have such links"));
    }
    from.push_back(static_cast<double>(link.from));
    to.push_back(static_cast<double>(link.to));
  }
  LayerTaps& taps = at.taps();
  taps.in = x;
  taps.weights = at.parameter("weights", {std::ssize(list)},
                              start_of_links(at, list, inputs, units, activation.list[0]));
  const Value carried =
      gather(transpose(x), fixed_numbers(at, "from", from)) * expand_dims(taps.weights, 1);
  taps.activation_value = transpose(scatter_add(fixed_numbers(at, "to", to), carried, units));
  taps.sum = taps.activation_value;
  if (bias) {
    taps.bias = at.parameter("bias", {units}, "0");
    taps.sum = taps.activation_value + taps.bias;
  }
  taps.links = std::ssize(list);
  taps.link_list = list;
  return at.activate(taps.sum, activation);
}

namespace {

/// What a wired layer needs to know to compute one step.
struct WiredNet {
  std::vector<Link> links;
  std::vector<size_t> first;  ///< As first_links() says.
  std::vector<int64_t> order;
  Activations functions;
  ActivationContext context;

  const Activation& function_of(int64_t neuron) const {
    return functions.list[functions.per_neuron() ? static_cast<size_t>(neuron) : 0];
  }
};

/// The values of all neurons, [batch, neurons], and their sums.
struct WiredValues {
  Value out, activation_value, sum;
};

Value column(Value x, int64_t i) { return slice_axis(x, 1, i, i + 1); }

/// One neuron after the other. `before` are the values of the step before, empty without delays.
WiredValues wired_step(const WiredNet& net, Value x, Value before, Value weights, Value bias) {
  const size_t count = net.order.size();
  std::vector<Value> out(count), activation_value(count), sum(count);
  for (const int64_t n : net.order) {
    const auto at = static_cast<size_t>(n);
    std::vector<Value> sources;
    for (size_t i = net.first[at]; i < net.first[at + 1]; ++i) {
      const Link& link = net.links[i];
      sources.push_back(!link.from_neuron ? column(x, link.from)
                        : link.delayed    ? column(before, link.from)
                                          : out[static_cast<size_t>(link.from)]);
    }
    const auto lo = static_cast<int64_t>(net.first[at]),
               hi = static_cast<int64_t>(net.first[at + 1]);
    activation_value[at] =
        sources.empty() ? x.graph().constant(0, {x.extent(0), 1}, x.type())
                        : dot(concat(sources, 1), expand_dims(slice_axis(weights, 0, lo, hi), 1));
    sum[at] = activation_value[at] + slice_axis(bias, 0, n, n + 1);
    ActivationContext context = net.context;
    context.stream += n;
    // Neurons of one function learn its parameters apart from those of others.
    const Graph::Scope scope(x.graph(), cat("neurons", n, "-", n));
    out[at] = net.function_of(n)(sum[at], context);
  }
  return {concat(out, 1), concat(activation_value, 1), concat(sum, 1)};
}

std::vector<int64_t> results_of(LayerBuild& at, const WiredNet& net,
                                const std::vector<double>& wanted) {
  const auto neurons = static_cast<int64_t>(net.order.size());
  std::vector<int64_t> results;
  for (const double number : wanted) {
    results.push_back(static_cast<int64_t>(number));
    if (number == static_cast<double>(results.back()) && number >= 0 && results.back() < neurons) {
      continue;
    }
    at.fail(
        cat("cannot give the value of neuron ", number, "; its neurons are 0 to ", neurons - 1));
  }
  for (int64_t n = 0; wanted.empty() && n < neurons; ++n) {
    const bool left = std::ranges::any_of(net.links, [&](const Link& link) {
      return link.from_neuron && link.from == n && !link.delayed;
    });
    if (!left) results.push_back(n);
  }
  return results;
}

Value columns_of(Value x, const std::vector<int64_t>& which) {
  const int axis = x.rank() - 1;
  std::vector<Value> parts;
  for (const int64_t i : which) parts.push_back(slice_axis(x, axis, i, i + 1));
  return concat(parts, axis);
}

}  // namespace

Value build_wired(LayerBuild& at, int64_t units, Links links, Activations activation,
                  std::vector<double> outputs, Returns returns) {
  if (activation.per_neuron() && std::ssize(activation.list) != units) {
    at.fail(cat("has ", units, " neurons but ", activation.list.size(), " activation functions"));
  }
  const bool steps = at.in().rank() == 3;
  const Value x = steps ? at.in() : at.flat();
  const int64_t inputs = x.extent(-1);
  WiredNet net{links.between(inputs, units), {}, {}, activation, at.context()};
  net.first = first_links(net.links, units);
  net.order = order_of_neurons(net.links, units);
  const bool delays = std::ranges::any_of(net.links, &Link::delayed);
  if (delays && !steps) {
    at.fail(cat("has links with a delay, so its samples are sequences [time, features]; found a ",
                "batch of shape ", at.in().shape()));
  }
  if (!steps && at.streaming()) at.fail("has no steps to stream; its samples are no sequences");
  LayerTaps& taps = at.taps();
  taps.in = x;
  taps.weights = at.parameter("weights", {std::ssize(net.links)},
                              start_of_links(at, net.links, inputs, units, activation.list[0]));
  taps.bias = at.parameter("bias", {units}, "0");
  taps.links = std::ssize(net.links);
  taps.link_list = net.links;
  taps.neurons = units;
  const std::vector<int64_t> results = results_of(at, net, outputs);
  if (!steps) {
    const WiredValues values = wired_step(net, x, {}, taps.weights, taps.bias);
    taps.activation_value = values.activation_value;
    taps.sum = values.sum;
    return columns_of(values.out, results);
  }
  Cell cell{
      "wired",
      {{"weights", taps.weights.shape()}, {"bias", taps.bias.shape()}},
      {{"values", {units}}},
      [net](const CellStep& step) -> std::vector<Value> {
        return {wired_step(net, step.x, step.states[0], step.weight("weights"), step.weight("bias"))
                    .out};
      }};
  RecurrentOptions options{.mask = at.mask()};
  if (at.streaming()) options.initial = {at.state("values", {at.batch(), units})};
  const Value arrays[] = {taps.weights, taps.bias};
  const Recurrence run = recurrent(cell, x, arrays, options);
  if (at.streaming()) at.update(options.initial[0], run.states[0]);
  return columns_of(returns == Returns::all ? run.outputs : run.states[0], results);
}

}  // namespace soma
