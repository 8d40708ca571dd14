// Neuron: one column of its layer's weights, one bias, one activation function.
#include <algorithm>
#include <cmath>

#include "soma/error.h"
#include "soma/network.h"
#include "src/base/text.h"
#include "src/ir/message.h"

namespace soma {

Neuron Network::neuron(std::string_view layer, int64_t index) {
  const size_t at = layer_index(layer);
  const LayerInfo& row = info_.layers[at];
  if (!row.has_neurons) {
    throw ArgumentError(cat("layer \"", layer, "\": a layer of kind \"", row.kind,
                            "\" has no neurons", suffix(layers_[at].where())));
  }
  if (!row.separate) {
    throw ArgumentError(cat("layer \"", layer,
                            "\": its neurons share weights or have none of their ",
                            "own; read its arrays from tensors() and its values from probe()",
                            suffix(layers_[at].where())));
  }
  if (index < 0 || index >= row.neurons) {
    throw ArgumentError(cat("layer \"", layer, "\": there is no neuron ", index,
                            "; its neurons are 0 to ", row.neurons - 1,
                            suffix(layers_[at].where())));
  }
  return {*this, at, index};
}

const LayerInfo& Neuron::row() const { return network_->info_.layers[layer_]; }
const std::string& Neuron::layer() const { return row().name; }

const Tensor& Neuron::array(std::string_view name) const {
  const auto found = network_->tensors_.find(cat(layer(), "/", name));
  if (found == network_->tensors_.end()) {
    throw ArgumentError(cat("layer \"", layer(), "\": its neurons have no ", name));
  }
  return found->second;
}

float& Neuron::entry(std::string_view name, int64_t place) {
  network_->fresh_ = false;
  auto& tensor = const_cast<Tensor&>(array(name));
  return tensor.data<float>()[static_cast<size_t>(place)];
}

std::vector<int64_t> Neuron::places() const {
  std::vector<int64_t> places;
  const auto& links = row().link_list;
  for (size_t i = 0; i < links.size(); ++i) {
    if (links[i].to == index_) places.push_back(static_cast<int64_t>(i));
  }
  if (!links.empty()) return places;
  const int64_t all = array("weights").elements();
  for (int64_t i = index_; i < all; i += row().neurons) places.push_back(i);
  return places;
}

void Neuron::check(float value) const {
  if (std::isfinite(value)) return;
  throw ArgumentError(cat("layer \"", layer(), "\": neuron ", index_,
                          " cannot be given the number ", value,
                          "; weights and biases are finite"));
}

int64_t Neuron::place_of(int64_t link) const {
  const std::vector<int64_t> all = places();
  if (link >= 0 && link < std::ssize(all)) return all[static_cast<size_t>(link)];
  throw ArgumentError(
      cat("layer \"", layer(), "\": neuron ", index_, " has no link ", link,
          all.empty() ? "; it has none" : cat("; its links are 0 to ", all.size() - 1)));
}

// ---- weights and bias

std::vector<float> Neuron::weights() const {
  const auto all = array("weights").data<float>();
  std::vector<float> mine;
  for (const int64_t place : places()) mine.push_back(all[static_cast<size_t>(place)]);
  return mine;
}

void Neuron::set_weights(std::span<const float> weights) {
  const std::vector<int64_t> all = places();
  if (weights.size() != all.size()) {
    throw ShapeError(cat("layer \"", layer(), "\": neuron ", index_, " has ", all.size(),
                         " links, found ", weights.size(), " weights"));
  }
  for (const float weight : weights) check(weight);
  for (size_t i = 0; i < all.size(); ++i) entry("weights", all[i]) = weights[i];
}

float Neuron::weight(int64_t link) const {
  return static_cast<float>(array("weights").at(place_of(link)));
}

void Neuron::set_weight(int64_t link, float weight) {
  const int64_t place = place_of(link);
  check(weight);
  entry("weights", place) = weight;
}

std::vector<std::string> Neuron::links() const {
  std::vector<std::string> inputs, ends;
  for (const std::string& source : row().sources) {
    const int64_t count = network_->shape_of(source).elements();
    for (int64_t i = 0; i < count; ++i) inputs.push_back(cat(source, ":", i));
  }
  if (row().link_list.empty()) return inputs;
  for (const Link& link : row().link_list) {
    if (link.to != index_) continue;
    ends.push_back(link.from_neuron
                       ? cat(layer(), ":", link.from, link.delayed ? " (one step before)" : "")
                       : inputs[static_cast<size_t>(link.from)]);
  }
  return ends;
}

bool Neuron::has_bias() const { return network_->tensors_.count(cat(layer(), "/bias")) != 0; }
float Neuron::bias() const { return static_cast<float>(array("bias").at(index_)); }
void Neuron::set_bias(float bias) {
  check(bias);
  entry("bias", index_) = bias;
}

// ---- activation

Activation Neuron::activation() const {
  const auto functions =
      Reader<Activations>::read(network_->layers_[layer_].argument("activation"));
  return functions.list[functions.per_neuron() ? static_cast<size_t>(index_) : 0];
}

void Neuron::set_activation(const Activation& activation) {
  std::vector<Layer> layers = network_->layers_;
  auto functions = Reader<Activations>::read(layers[layer_].argument("activation"));
  functions.list.resize(static_cast<size_t>(row().neurons), functions.list[0]);
  functions.list[static_cast<size_t>(index_)] = activation;
  const bool all_same =
      std::ranges::all_of(functions.list, [&](const Activation& f) { return f == activation; });
  if (all_same) functions.list.resize(1, activation);
  layers[layer_] = layers[layer_].with("activation", functions.text());
  network_->restructure(std::move(layers));
}

// ---- freezing

void Neuron::freeze() { network_->freeze(layer(), index_); }
void Neuron::unfreeze() { network_->unfreeze(layer(), index_); }
bool Neuron::frozen() const { return network_->layers_[layer_].frozen().contains(index_); }

}  // namespace soma
