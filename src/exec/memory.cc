#include "src/exec/memory.h"

#include <algorithm>
#include <numeric>

namespace soma {

MemoryPlan plan_memory(const std::vector<Lifetime>& pieces) {
  constexpr size_t alignment = 64;
  const auto size = [&](size_t i) {
    return (pieces[i].bytes + alignment - 1) / alignment * alignment;
  };
  std::vector<size_t> order(pieces.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return size(a) > size(b); });

  MemoryPlan plan;
  plan.offsets.resize(pieces.size());
  std::vector<size_t> placed;  // by offset
  for (const size_t i : order) {
    size_t offset = 0;
    for (const size_t other : placed) {
      const bool meets =
          pieces[other].first <= pieces[i].last && pieces[i].first <= pieces[other].last;
      if (!meets) continue;
      if (plan.offsets[other] >= offset + size(i)) break;
      offset = std::max(offset, plan.offsets[other] + size(other));
    }
    plan.offsets[i] = offset;
    plan.bytes = std::max(plan.bytes, offset + size(i));
    placed.insert(
        std::ranges::upper_bound(placed, offset, {}, [&](size_t k) { return plan.offsets[k]; }), i);
  }
  return plan;
}

}  // namespace soma
