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

}  // namespace

Tensor Network::predict(const Tensor& inputs) const {
  std::optional<Device>& device = cache_of(plans_.cache).own_device;
  if (!device) device = Device::cpu();
  return predict(inputs, *device);
}

Tensor Network::predict(const Tensor& inputs, const Device& device) const {
  const Shape& shape = inputs.shape();
  const bool fits = shape.rank() == sample_.rank() + 1 &&
                    std::equal(sample_.begin(), sample_.end(), shape.begin() + 1);
  if (!fits) {
    throw ShapeError(cat("the network takes samples of shape ", sample_,
                         ", one per row; found inputs of shape ", shape));
  }
  const Tensor numbers = inputs.type() == f32 ? inputs : inputs.cast(f32);
  const int64_t rows = shape[0];
  Shape result_shape{rows};
  for (const int64_t extent : info_.output) result_shape.push_back(extent);
  Tensor result(result_shape);

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
    const size_t in = static_cast<size_t>(sample_.elements()) * sizeof(float);
    const size_t out = static_cast<size_t>(info_.output.elements()) * sizeof(float);
    const auto from = static_cast<size_t>(row), count = static_cast<size_t>(batch);
    // Bound anew each time: a tensor may have been replaced. An inference plan only reads them.
    plan.bind(const_cast<Tensors&>(tensors_));
    std::memcpy(plan.input<float>("input").data(), numbers.raw() + from * in, count * in);
    plan.run();
    std::memcpy(result.raw() + from * out, plan.output("output").data, count * out);
    row += batch;
  }
  return result;
}

}  // namespace soma
