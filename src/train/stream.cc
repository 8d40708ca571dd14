// Stream: the streaming program of a network, compiled, with the memory of what it carries.
#include "soma/stream.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "soma/error.h"
#include "soma/io.h"
#include "src/base/text.h"

namespace soma {

/// What a stream shares with its forks: nothing of it changes.
struct Stream::Origin {
  Graph graph;
  Tensors weights;
  Tensors start;  ///< Of the state.
  std::string input, last;

  Origin(const Network& network, int64_t batch, int64_t steps);
};

Stream::Origin::Origin(const Network& network, int64_t batch, int64_t steps) {
  if (batch < 1 || steps < 1) {
    throw ArgumentError(cat("a stream takes at least one sequence and one step per call, found ",
                            batch, " and ", steps));
  }
  graph = network.streaming_graph(batch, steps);
  input = network.inputs()[0].name;
  last = network.outputs().back();
  for (const Id id : graph.inputs()) {
    const auto& attr = graph[id].as<InputAttr>();
    if (attr.kind == InputKind::data) continue;
    const bool carried = std::ranges::any_of(
        graph.updates(), [&](const Graph::Update& update) { return update.state == id; });
    const auto known = network.tensors().find(attr.name);
    const bool kept = known != network.tensors().end();
    (carried ? start : weights)[attr.name] = kept ? known->second : initial_value(attr, 0);
  }
}

Stream::Stream(const Network& network, int64_t batch, const Device& device, int64_t steps)
    : Stream(std::make_shared<const Origin>(network, batch, steps), device) {}

Stream::Stream(std::shared_ptr<const Origin> origin, const Device& device)
    : origin_(std::move(origin)),
      device_(device),
      plan_(compile(origin_->graph, device)),
      input_(plan_.input<float>(origin_->input)),
      output_(plan_.output("output")),
      state_(origin_->start) {
  Graph& graph = const_cast<Graph&>(origin_->graph);
  input_shape_ = graph.find_input(origin_->input).shape();
  // Only read by the plan: nothing else in it is updated.
  for (const auto& [name, tensor] : origin_->weights) {
    plan_.bind(name, static_cast<const void*>(tensor.raw()));
  }
  for (auto& [name, tensor] : state_) plan_.bind(name, tensor);
}

View Stream::step(std::span<const float> x) {
  if (x.size() != input_.size()) {
    throw ShapeError(cat("a call of step() takes ", input_.size(), " numbers, ", input_shape_,
                         ", found ", x.size()));
  }
  std::memcpy(input_.data(), x.data(), x.size_bytes());
  plan_.run();
  return output_;
}

View Stream::output(std::string_view layer) const {
  return plan_.output(layer == origin_->last ? "output" : cat("output/", layer));
}

void Stream::set_state(const Tensors& state) {
  for (const auto& [name, tensor] : state_) {
    const auto given = state.find(name);
    if (given == state.end()) {
      throw ArgumentError(cat("the state of this stream has \"", name, "\", which is missing"));
    }
    if (given->second.shape() != tensor.shape() || given->second.type() != tensor.type()) {
      throw ShapeError(cat("the state \"", name, "\" of this stream is ", tensor.type(),
                           tensor.shape(), ", found ", given->second.type(),
                           given->second.shape()));
    }
  }
  for (const auto& [name, tensor] : state) {
    if (!state_.count(name)) throw ArgumentError(cat("this stream has no state \"", name, "\""));
  }
  for (auto& [name, tensor] : state_) {
    std::memcpy(tensor.raw(), state.find(name)->second.raw(), tensor.bytes());
  }
}

void Stream::reset() { set_state(origin_->start); }

void Stream::reset(int64_t sequence) {
  const int64_t batch = input_shape_[0];
  if (sequence < 0 || sequence >= batch) {
    throw ArgumentError(
        cat("this stream has the sequences 0 to ", batch - 1, ", found ", sequence));
  }
  for (auto& [name, tensor] : state_) {
    if (tensor.shape().empty() || tensor.shape()[0] != batch) continue;  // shared by all
    const size_t bytes = tensor.bytes() / static_cast<size_t>(batch);
    const size_t from = static_cast<size_t>(sequence) * bytes;
    std::memcpy(tensor.raw() + from, origin_->start.find(name)->second.raw() + from, bytes);
  }
}

Stream Stream::fork() const {
  Stream other(origin_, device_);
  other.set_state(state_);
  return other;
}

void Stream::save(const std::string& path) const {
  write_safetensors(path, {{state_.begin(), state_.end()}, {{"format", "soma stream state"}}});
}

void Stream::load(const std::string& path) {
  Container container = read_safetensors(path);
  Tensors state;
  for (auto& [name, tensor] : container.tensors) state.emplace(name, std::move(tensor));
  try {
    set_state(state);
  } catch (const Error& error) {
    throw FileError(cat(path, ": ", error.what()));
  }
}

}  // namespace soma
