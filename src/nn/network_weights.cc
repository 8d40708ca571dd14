// Network: its arrays, their start values, links added later, and frozen neurons.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "soma/error.h"
#include "soma/network.h"
#include "src/base/text.h"
#include "src/ir/message.h"
#include "src/nn/structure.h"

namespace soma {

namespace {

/// "hidden1:3" → {"hidden1", 3}; "hidden1" → {"hidden1", none}.
std::pair<std::string_view, std::optional<int64_t>> parse_end(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == text.npos) return {text, std::nullopt};
  return {text.substr(0, colon), read_neuron(text.substr(colon + 1))};
}

/// Says so before the system kills a program that asked for more memory than there is.
void check_memory(int64_t bytes, Where where) {
  const int64_t memory = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  if (memory > 0 && bytes > memory) {
    throw ArgumentError(cat("the network's parameters need ", bytes >> 20,
                            " MiB, but this machine has ", memory >> 20,
                            " MiB of memory; use fewer neurons", suffix(where)));
  }
}

/// The rows of `old` [k, n] in front, and zeros behind.
Tensor with_new_rows(const Tensor& old, const Shape& shape) {
  Tensor result(shape, old.type());
  std::memcpy(result.raw(), old.raw(), std::min(old.bytes(), result.bytes()));
  return result;
}

/// "h/prelu_a" or "h/neurons2-5/prelu_a": a trained parameter of the activation function of all
/// neurons of layer h, or of some.
struct ActivationName {
  std::string layer, parameter;
  int64_t first = 0, last = INT64_MAX;
};
ActivationName parse_activation_name(const std::string& name) {
  const size_t begin = name.find('/'), end = name.rfind('/');
  ActivationName result{name.substr(0, begin), name.substr(end + 1)};
  if (begin == end) return result;
  const std::string range = name.substr(begin + 1, end - begin - 1);  // "neurons2-5"
  const size_t digits = range.find_first_of("0123456789"), dash = range.find('-');
  if (digits == range.npos || dash == range.npos) return result;
  result.first = read_neuron(range.substr(digits, dash - digits));
  result.last = read_neuron(range.substr(dash + 1));
  return result;
}

/// When neurons of a layer are grouped anew, the parameters that their activation functions have
/// learned move along: each value comes from the old array that held its neuron.
void take_learned(const std::string& name, Tensor& fresh, const Tensors& old) {
  const ActivationName to = parse_activation_name(name);
  for (const auto& [old_name, values] : old) {
    const ActivationName from = parse_activation_name(old_name);
    if (from.layer != to.layer || from.parameter != to.parameter) continue;
    for (int64_t i = 0; i < fresh.elements(); ++i) {
      const int64_t neuron = to.first + i;
      if (neuron < from.first || neuron > from.last) continue;
      const int64_t at = values.elements() == 1 ? 0 : neuron - from.first;
      if (at < values.elements()) fresh.set(i, values.at(at));
    }
  }
}

}  // namespace

// ---- arrays

Tensors& Network::tensors() {
  fresh_ = false;
  return tensors_;
}

void Network::allocate() {
  check_memory(info_.parameter_bytes, where_);
  tensors_ = soma::initialize(inference_graph(1), 0);
}

void Network::initialize(uint64_t seed) {
  for (auto& [name, tensor] : soma::initialize(inference_graph(1), seed)) {
    Tensor& mine = tensors_.at(name);
    std::memcpy(mine.raw(), tensor.raw(), mine.bytes());
  }
  fresh_ = false;
}

/// Takes the changed layers, keeps what arrays still fit, and gives new ones their start values.
void Network::restructure(std::vector<Layer> layers) {
  Network changed = *this;
  changed.layers_ = std::move(layers);
  changed.describe();
  Tensors arrays = soma::initialize(changed.inference_graph(1), 0);
  for (auto& [name, tensor] : arrays) {
    const auto old = tensors_.find(name);
    if (old == tensors_.end()) {
      take_learned(name, tensor, tensors_);
    } else {
      const bool same = old->second.shape() == tensor.shape();
      tensor = same ? old->second : with_new_rows(old->second, tensor.shape());
    }
  }
  layers_ = std::move(changed.layers_);
  info_ = std::move(changed.info_);
  tensors_ = std::move(arrays);
  count_pruned();
  plans_ = {};
  ++version_;
}

// ---- links

void refuse_inner_link(std::string_view layer, Where where) {
  throw GraphError(cat("layer \"", layer, "\": neurons of one layer are not linked to each other: ",
                       "they work side by side on the same inputs; put the second neuron into a ",
                       "later layer", suffix(where)));
}

void Network::connect(std::string_view from, std::string_view to, Where where) {
  const auto [source, source_neuron] = parse_end(from);
  const auto [target, target_neuron] = parse_end(to);
  const size_t end = layer_index(target);
  const LayerInfo& row = info_.layers[end];
  if (source == target) refuse_inner_link(target, where);
  if (source != "input" && layer_index(source) > end) {
    throw GraphError(cat("layer \"", target, "\": cannot be linked to the later layer \"", source,
                         "\": links of a feed-forward network run from earlier to later layers",
                         suffix(where)));
  }
  if (source_neuron || target_neuron) {
    throw GraphError(cat("\"", from, "\" to \"", to, "\": whole layers are linked; connect(\"",
                         source, "\", \"", target, "\"), then set the weights of the links that ",
                         "are not wanted to 0 and freeze their neuron", suffix(where)));
  }
  if (std::ranges::find(row.sources, source) != row.sources.end()) {
    throw GraphError(
        cat("layer \"", target, "\": is linked to \"", source, "\" already", suffix(where)));
  }
  if (!row.has_neurons) {
    throw GraphError(cat("layer \"", target, "\": has no neurons, so no links can end there; ",
                         "describe its sources with from()", suffix(where)));
  }
  std::vector<std::string> sources = row.sources;
  sources.emplace_back(source);
  std::vector<Layer> layers = layers_;
  layers[end] = layers[end].from(std::move(sources));
  restructure(std::move(layers));
}

// ---- freezing

void Network::set_frozen(std::string_view layer, std::optional<int64_t> neuron, bool frozen) {
  const size_t at = layer_index(layer);
  const int64_t neurons = info_.layers[at].neurons;
  if (neuron && (*neuron < 0 || *neuron >= neurons)) {
    throw ArgumentError(cat("layer \"", layer, "\": there is no neuron ", *neuron,
                            "; its neurons are 0 to ", neurons - 1, suffix(layers_[at].where())));
  }
  Frozen result{!neuron && frozen, {}};
  for (int64_t i = 0; neuron && i < neurons; ++i) {
    const bool now = i == *neuron ? frozen : layers_[at].frozen().contains(i);
    if (now) result.neurons.push_back(i);
  }
  layers_[at] = layers_[at].with_frozen(std::move(result));
  info_.layers[at].text = layers_[at].text();
  check_frozen(layers_[at], info_.layers[at]);
}

void Network::freeze(std::string_view layer) { set_frozen(layer, {}, true); }
void Network::freeze(std::string_view layer, int64_t neuron) { set_frozen(layer, neuron, true); }
void Network::unfreeze(std::string_view layer) { set_frozen(layer, {}, false); }
void Network::unfreeze(std::string_view layer, int64_t neuron) { set_frozen(layer, neuron, false); }

namespace {

/// Which neuron each element of an array of a layer belongs to; none when they share it.
std::vector<int64_t> owners(const LayerInfo& row, const std::string& name, const Shape& shape) {
  std::vector<int64_t> result;
  if (!row.separate || shape.empty()) return result;
  const bool links = !row.link_list.empty() && name == cat(row.name, "/weights");
  if (!links && shape.back() != row.neurons) return result;
  for (int64_t k = 0; k < shape.elements(); ++k) {
    result.push_back(links ? row.link_list[static_cast<size_t>(k)].to : k % row.neurons);
  }
  return result;
}

/// Whether an array holds the weights of links.
bool are_weights(const LayerInfo& row, const std::string& name, const Tensor& tensor) {
  if (!is_float(tensor.type())) return false;
  return tensor.shape().rank() > 1 || (!row.link_list.empty() && name == cat(row.name, "/weights"));
}

}  // namespace

Tensors Network::masks() const {
  Tensors masks;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Frozen& frozen = layers_[i].frozen();
    const LayerInfo& row = info_.layers[i];
    if (!frozen.any() && !layers_[i].pruned()) continue;
    for (const std::string& name : row.tensors) {
      const Tensor& tensor = tensors_.at(name);
      if (std::ranges::find(row.states, name) != row.states.end()) continue;  // no step moves it
      if (!is_float(tensor.type())) continue;
      // Arrays that neurons share are trained on while a neuron of the layer is.
      const std::vector<int64_t> owner = owners(row, name, tensor.shape());
      const bool cut = layers_[i].pruned() && are_weights(row, name, tensor);
      Tensor mask(tensor.shape());
      const auto values = mask.data<float>();
      for (size_t k = 0; k < values.size(); ++k) {
        const bool stays = owner.empty()
                               ? frozen.all || (row.neurons > 0 && row.frozen == row.neurons)
                               : frozen.contains(owner[k]);
        values[k] = stays || (cut && tensor.at(static_cast<int64_t>(k)) == 0) ? 0.0f : 1.0f;
      }
      masks.emplace(name, std::move(mask));
    }
  }
  return masks;
}

// ---- pruning

int64_t Network::prune(double fraction, std::span<const std::string> layers) {
  if (!(fraction >= 0 && fraction <= 1)) {
    throw ArgumentError(cat("prune() cuts a fraction of the links from 0 to 1; found ", fraction));
  }
  std::vector<size_t> chosen;
  for (const std::string& name : layers) chosen.push_back(layer_index(name));
  for (size_t i = 0; layers.empty() && i < layers_.size(); ++i) chosen.push_back(i);

  struct Weight {
    double size;
    Tensor* array;
    int64_t place;
  };
  std::vector<Weight> weights;
  for (const size_t i : chosen) {
    for (const std::string& name : info_.layers[i].tensors) {
      Tensor& tensor = tensors_.at(name);
      if (!are_weights(info_.layers[i], name, tensor)) continue;
      for (int64_t k = 0; k < tensor.elements(); ++k) {
        const double size = std::abs(tensor.at(k));
        if (size != 0) weights.push_back({size, &tensor, k});
      }
    }
  }
  const auto count =
      static_cast<size_t>(std::llround(fraction * static_cast<double>(weights.size())));
  std::ranges::stable_sort(weights, {}, &Weight::size);
  for (size_t k = 0; k < count; ++k) weights[k].array->set(weights[k].place, 0);
  for (const size_t i : chosen) {
    layers_[i] = layers_[i].with_pruned(true);
    info_.layers[i].text = layers_[i].text();
  }
  fresh_ = false;
  count_pruned();
  return static_cast<int64_t>(count);
}

/// Links of pruned layers are those whose weight is not 0. A weight that stands for many links (a
/// convolution's) takes all of them along.
void Network::count_pruned() {
  for (size_t i = 0; i < layers_.size(); ++i) {
    LayerInfo& row = info_.layers[i];
    if (!layers_[i].pruned()) continue;
    int64_t all = 0, left = 0, others = 0;
    for (const std::string& name : row.tensors) {
      const Tensor& tensor = tensors_.at(name);
      if (!are_weights(row, name, tensor)) {
        others += is_float(tensor.type()) ? tensor.elements() : 0;
        continue;
      }
      all += tensor.elements();
      for (int64_t k = 0; k < tensor.elements(); ++k) left += tensor.at(k) != 0;
    }
    const int64_t each = all > 0 ? std::max<int64_t>(1, row.all_links / all) : 0;
    info_.links += left * each - row.links;
    info_.parameters += left + others - row.parameters;
    row.links = left * each;
    row.parameters = left + others;
  }
}

}  // namespace soma
