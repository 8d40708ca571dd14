// Layers whose links are chosen one by one.
#include <algorithm>
#include <cmath>

#include "soma/error.h"
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

}  // namespace soma
