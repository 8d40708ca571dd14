#include "src/backends/cpu/regions.h"

#include <algorithm>
#include <numeric>

namespace soma::cpu {

namespace {

constexpr int64_t fewest_parts = 8;               // enough for some threads
constexpr size_t most_whole_bytes = 1024 * 1024;  // weights stay in the second-level cache

/// Is a part of the view, in the order of its elements, the same part of the array?
bool same_part(const Graph& graph, const passes::View& view, int64_t parts) {
  const passes::View v = view.collapsed();
  if (v.shape.rank() == 0) return false;
  int64_t reach = v.offset;
  for (int i = 0; i < v.shape.rank(); ++i) {
    if (v.strides[i] < 0) return false;
    if (i > 0) reach += (v.shape[i] - 1) * v.strides[i];
  }
  return v.shape[0] % parts == 0 && reach < v.strides[0] &&
         v.strides[0] * v.shape[0] == graph[v.base].shape.elements();
}

/// A region as it grows.
class Growing {
 public:
  Growing(const Graph& graph, size_t first, const StepParts& step)
      : graph_(graph), region_{first, first, std::max<int64_t>(step.most, 1), {}} {
    take(step);
  }
  const Region& region() const { return region_; }

  bool add(const StepParts& step) {
    const int64_t parts = std::gcd(region_.parts, step.most);
    if (parts < fewest_parts) return false;
    bool shares = false;
    for (const auto& view : step.views) {
      if (ended_.contains(view.base)) return false;
      if (!written_.contains(view.base)) continue;
      if (!same_part(graph_, view, parts)) return false;
      shares = true;
    }
    size_t bytes = whole_bytes_;
    for (const auto& [id, size] : step.whole) {
      if (ended_.contains(id) || written_.contains(id)) return false;
      if (!region_.whole.contains(id)) bytes += size;
    }
    if (!shares || bytes > most_whole_bytes) return false;
    region_.parts = parts;
    ++region_.last;
    take(step);
    return true;
  }

 private:
  void take(const StepParts& step) {
    for (const auto& [id, size] : step.whole) {
      if (region_.whole.insert(id).second) whole_bytes_ += size;
    }
    for (const auto& view : step.views) {  // fewer parts may come: only what holds for any is safe
      if (!same_part(graph_, view, region_.parts)) region_.whole.insert(view.base);
    }
    written_.insert(step.writes.begin(), step.writes.end());
    ended_.insert(step.ends.begin(), step.ends.end());
  }

  const Graph& graph_;
  Region region_;
  std::set<Id> written_, ended_;
  size_t whole_bytes_ = 0;
};

}  // namespace

std::vector<Region> find_regions(const Graph& graph, const std::vector<StepParts>& steps) {
  std::vector<Region> regions;
  for (size_t s = 0; s < steps.size();) {
    Growing growing(graph, s, steps[s]);
    while (growing.region().last + 1 < steps.size() && steps[s].most >= fewest_parts &&
           growing.add(steps[growing.region().last + 1])) {
    }
    s = growing.region().last + 1;
    regions.push_back(growing.region());
  }
  return regions;
}

}  // namespace soma::cpu
