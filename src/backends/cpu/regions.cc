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

StepParts parts_of(const Graph& graph, const passes::Step& step, const DotPlan* dot,
                   const FusedStep* made) {
  StepParts parts;
  for (const auto& [state, value] : graph.updates()) {
    if (std::ranges::count(step.writes, value)) return {};  // states are overwritten in place
  }
  std::set<Id> whole, seen;
  if (dot) {
    const bool cut_evenly = dot->gemm.col_chunks() == 1 && dot->gemm.m % dot->gemm.row_step == 0;
    if (dot->batch == 1 && !cut_evenly) return {};
    parts.most = dot->batch == 1 ? dot->gemm.row_chunks() : dot->batch;
    if (step.turned) {
      const bool same = graph[*step.turned].as<TransposeAttr>().perm[0] == 0;
      parts.most = same ? std::gcd(parts.most, graph[*step.turned].shape[0]) : 0;
    }
    const bool rows = dot->batch > 1 || !graph[*step.anchor].as<DotAttr>().transpose_a;
    for (const auto& [operand, by_part] : {std::pair{0, rows}, std::pair{1, dot->batch > 1}}) {
      const passes::View& view = step.operands[static_cast<size_t>(operand)];
      by_part ? parts.views.push_back(view) : void(whole.insert(view.base));
    }
  }
  if (made) {
    if (step.elements % made->program.chunk != 0) return {};
    parts.most = std::gcd(parts.most, made->program.chunks());
    parts.views.insert(parts.views.end(), made->views.begin(), made->views.end());
    parts.ends = made->partial;
  }
  for (const auto& view : parts.views) seen.insert(view.base);
  for (const Id id : step.reads) {
    if (!seen.contains(id)) whole.insert(id);
  }
  for (const Id id : whole) {
    const Node& node = graph[id];
    parts.whole.push_back({id, static_cast<size_t>(node.shape.elements()) * size_of(node.type)});
  }
  for (const Id id : step.writes) {
    if (!std::ranges::count(parts.ends, id)) parts.writes.push_back(id);
  }
  return parts;
}

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
