// Network::predict: compiled plans for the shapes that were asked for, kept for the next call.
#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "soma/error.h"
#include "soma/network.h"
#include "src/base/text.h"

namespace soma {

namespace {

/// Rows that go through one plan at once; more rows go in several runs.
constexpr int64_t max_batch = 256;
constexpr size_t max_plans = 8;

/// The plans of one network, by device and number of rows. A plan keeps its device alive, so that
/// the address of a device stands for it.
struct PlanCache {
  struct Entry {
    Device device;
    Plan plan;
  };
  std::map<std::pair<const void*, int64_t>, Entry> plans;
  std::optional<Device> own_device;
};

PlanCache& cache_of(std::shared_ptr<void>& slot) {
  if (!slot) slot = std::make_shared<PlanCache>();
  return *static_cast<PlanCache*>(slot.get());
}

/// [n, …sample] of an input; throws unless the samples fit.
int64_t rows_of(const Tensor& tensor, const NetworkInput& input) {
  const Shape& shape = tensor.shape();
  const bool fits = shape.rank() == input.shape.rank() + 1 &&
                    std::equal(input.shape.begin(), input.shape.end(), shape.begin() + 1);
  if (!fits) {
    throw ShapeError(cat("the network takes samples of shape ", input.shape,
                         ", one per row; found inputs of shape ", shape));
  }
  return shape[0];
}

/// Copies `count` rows of `bytes` bytes, from row `from_row` on to row `to_row` on.
void copy_rows(const std::byte* from, int64_t from_row, std::byte* to, int64_t to_row,
               int64_t count, size_t bytes) {
  std::memcpy(to + static_cast<size_t>(to_row) * bytes,
              from + static_cast<size_t>(from_row) * bytes, static_cast<size_t>(count) * bytes);
}

}  // namespace

void Network::bind(Plan& plan, std::string_view prefix) {
  for (auto& [name, tensor] : tensors()) {
    plan.bind(prefix.empty() ? name : cat(prefix, "/", name), tensor);
  }
}

const Device& Network::own_device() const {
  std::optional<Device>& device = cache_of(plans_.cache).own_device;
  if (!device) device = Device::cpu();
  return *device;
}

Tensor Network::predict(const Tensor& inputs) const { return predict(inputs, own_device()); }
Tensors Network::predict(const Tensors& inputs) const { return predict(inputs, own_device()); }

Tensor Network::predict(const Tensor& inputs, const Device& device) const {
  if (inputs_.size() != 1) {
    throw ArgumentError(cat("the network has ", inputs_.size(),
                            " inputs; give predict() a tensor for each, by name"));
  }
  return std::move(predict(std::vector{&inputs}, device).back());
}

Tensors Network::predict(const Tensors& inputs, const Device& device) const {
  std::vector<const Tensor*> given;
  for (const NetworkInput& input : inputs_) {
    const auto at = inputs.find(input.name);
    if (at == inputs.end()) {
      throw ArgumentError(cat("predict() needs a tensor for the input \"", input.name, "\""));
    }
    given.push_back(&at->second);
  }
  std::vector<Tensor> results = predict(given, device);
  Tensors named;
  for (size_t i = 0; i < outputs_.size(); ++i) named[outputs_[i]] = std::move(results[i]);
  return named;
}

std::vector<Tensor> Network::predict(const std::vector<const Tensor*>& inputs,
                                     const Device& device) const {
  int64_t rows = -1;
  std::vector<Tensor> casts;
  casts.reserve(inputs.size());
  std::vector<const Tensor*> numbers;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const int64_t found = rows_of(*inputs[i], inputs_[i]);
    if (rows >= 0 && found != rows) {
      throw ShapeError(cat("the input \"", inputs_[i].name, "\" has ", found, " rows, the others ",
                           rows, "; every sample needs all inputs"));
    }
    rows = found;
    const bool fits = inputs[i]->type() == f32;
    numbers.push_back(fits ? inputs[i] : &casts.emplace_back(inputs[i]->cast(f32)));
  }
  std::vector<Tensor> results;
  for (const std::string& name : outputs_) {
    Shape shape{rows};
    for (const int64_t extent : shape_of(name)) shape.push_back(extent);
    results.emplace_back(shape);
  }

  PlanCache& cache = cache_of(plans_.cache);
  for (int64_t row = 0; row < rows;) {
    const int64_t batch = std::min(max_batch, rows - row);
    const auto key = std::pair<const void*, int64_t>(device.impl().get(), batch);
    auto entry = cache.plans.find(key);
    if (entry == cache.plans.end()) {
      if (cache.plans.size() >= max_plans) cache.plans.clear();
      Plan plan = compile(inference_graph(batch), device);
      entry = cache.plans.emplace(key, PlanCache::Entry{device, std::move(plan)}).first;
    }
    Plan& plan = entry->second.plan;
    // Bound anew each time: a tensor may have been replaced. An inference plan only reads them.
    plan.bind(const_cast<Tensors&>(tensors_));
    for (size_t i = 0; i < inputs.size(); ++i) {
      const size_t bytes = static_cast<size_t>(inputs_[i].shape.elements()) * sizeof(float);
      const auto to = std::as_writable_bytes(plan.input<float>(inputs_[i].name));
      copy_rows(numbers[i]->raw(), row, to.data(), 0, batch, bytes);
    }
    plan.run();
    for (size_t i = 0; i < outputs_.size(); ++i) {
      const std::string& name = outputs_[i];
      const size_t bytes = static_cast<size_t>(shape_of(name).elements()) * sizeof(float);
      const View view = plan.output(name == outputs_.back() ? "output" : cat("output/", name));
      copy_rows(view.data, 0, results[i].raw(), row, batch, bytes);
    }
    row += batch;
  }
  return results;
}

}  // namespace soma
