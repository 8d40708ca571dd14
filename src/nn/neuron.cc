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
  if (!row.columns) {
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

float& Neuron::entry(std::string_view name, int64_t row) {
  network_->fresh_ = false;
  auto& tensor = const_cast<Tensor&>(array(name));
  return tensor.data<float>()[static_cast<size_t>(row * this->row().neurons + index_)];
}

void Neuron::check(float value) const {
  if (std::isfinite(value)) return;
  throw ArgumentError(cat("layer \"", layer(), "\": neuron ", index_,
                          " cannot be given the number ", value,
                          "; weights and biases are finite"));
}

void Neuron::check_link(int64_t link) const {
  const int64_t links = array("weights").shape()[0];
  if (link >= 0 && link < links) return;
  throw ArgumentError(cat("layer \"", layer(), "\": neuron ", index_, " has no link ", link,
                          "; its links are 0 to ", links - 1));
}

// ---- weights and bias

std::vector<float> Neuron::weights() const {
  const auto all = array("weights").data<float>();
  std::vector<float> mine;
  for (size_t i = static_cast<size_t>(index_); i < all.size();
       i += static_cast<size_t>(row().neurons)) {
    mine.push_back(all[i]);
  }
  return mine;
}

void Neuron::set_weights(std::span<const float> weights) {
  const int64_t links = array("weights").shape()[0];
  if (static_cast<int64_t>(weights.size()) != links) {
    throw ShapeError(cat("layer \"", layer(), "\": neuron ", index_, " has ", links,
                         " links, found ", weights.size(), " weights"));
  }
  for (const float weight : weights) check(weight);
  for (int64_t i = 0; i < links; ++i) entry("weights", i) = weights[static_cast<size_t>(i)];
}

float Neuron::weight(int64_t link) const {
  check_link(link);
  return static_cast<float>(array("weights").at(link * row().neurons + index_));
}

void Neuron::set_weight(int64_t link, float weight) {
  check_link(link);
  check(weight);
  entry("weights", link) = weight;
}

std::vector<std::string> Neuron::links() const {
  std::vector<std::string> ends;
  for (const std::string& source : row().sources) {
    const int64_t count = network_->shape_of(source).elements();
    for (int64_t i = 0; i < count; ++i) ends.push_back(cat(source, ":", i));
  }
  return ends;
}

bool Neuron::has_bias() const { return network_->tensors_.count(cat(layer(), "/bias")) != 0; }
float Neuron::bias() const { return static_cast<float>(array("bias").at(index_)); }
void Neuron::set_bias(float bias) {
  check(bias);
  entry("bias", 0) = bias;
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
