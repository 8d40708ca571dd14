// The static memory plan: lifetimes on the final schedule → offsets in one arena.
#pragma once

#include <cstddef>
#include <vector>

namespace soma {

/// A piece of memory that instructions first … last (inclusive) use.
struct Lifetime {
  size_t bytes = 0;
  size_t first = 0, last = 0;
};

struct MemoryPlan {
  std::vector<size_t> offsets;
  size_t bytes = 0;
};

/// Largest first, each at the lowest 64-byte aligned offset that is free for its whole life
/// (greedy by size: Pisarchyk & Lee 2020).
MemoryPlan plan_memory(const std::vector<Lifetime>& pieces);

}  // namespace soma
