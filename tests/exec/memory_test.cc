// The memory plan: pieces that live at the same time never overlap, and memory is reused.
#include "src/exec/memory.h"

#include <gtest/gtest.h>

#include "src/base/philox.h"

namespace soma {
namespace {

TEST(Memory, LivePiecesDoNotOverlap) {
  Random random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<Lifetime> pieces(random.below(60) + 1);
    for (Lifetime& piece : pieces) {
      piece.bytes = random.below(5000);
      piece.first = random.below(40);
      piece.last = piece.first + random.below(10);
    }
    const MemoryPlan plan = plan_memory(pieces);
    for (size_t a = 0; a < pieces.size(); ++a) {
      EXPECT_EQ(plan.offsets[a] % 64, 0u);
      EXPECT_LE(plan.offsets[a] + pieces[a].bytes, plan.bytes);
      for (size_t b = 0; b < a; ++b) {
        const bool together =
            pieces[a].first <= pieces[b].last && pieces[b].first <= pieces[a].last;
        const bool apart = plan.offsets[a] + pieces[a].bytes <= plan.offsets[b] ||
                           plan.offsets[b] + pieces[b].bytes <= plan.offsets[a];
        EXPECT_TRUE(!together || apart || !pieces[a].bytes || !pieces[b].bytes);
      }
    }
  }
}

TEST(Memory, IsReusedWhenALifeEnds) {
  const MemoryPlan plan = plan_memory({{640, 0, 1}, {640, 2, 3}, {640, 4, 5}, {64, 0, 5}});
  EXPECT_EQ(plan.bytes, 704u);
}

}  // namespace
}  // namespace soma
