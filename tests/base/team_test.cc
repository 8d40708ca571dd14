// The thread team: every chunk is run once a round, rounds follow each other, results are visible.
#include "src/base/team.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <vector>

#include "soma/error.h"

namespace soma {
namespace {

TEST(Team, RefusesNoThreads) {
  EXPECT_THROW(Team(0), ArgumentError);
  EXPECT_THROW(Team(-3), ArgumentError);
}

TEST(Team, WorkersThatComeInTimeShareTheWork) {
  for (int threads = 1; threads <= 5; ++threads) {
    Team team(threads);
    EXPECT_EQ(team.size(), threads);
    std::atomic<int> arrived{0};
    std::vector<int> worker_of(static_cast<size_t>(threads), -1);
    parallel(team, threads, [&](int64_t begin, int64_t end, int worker) {
      ++arrived;  // nobody goes on before all are there, so each has one chunk
      while (arrived.load() < threads) std::this_thread::yield();
      for (int64_t i = begin; i < end; ++i) worker_of[static_cast<size_t>(i)] = worker;
    });
    std::sort(worker_of.begin(), worker_of.end());
    for (int i = 0; i < threads; ++i) EXPECT_EQ(worker_of[static_cast<size_t>(i)], i);
  }
}

TEST(Team, NobodyWaitsForWhatIsNotBegun) {
  Team team(2);
  std::vector<std::atomic<int>> done(64);
  std::atomic<bool> stuck{false};
  parallel(team, 64, [&](int64_t begin, int64_t end, int worker) {
    if (worker == 1) {  // holds its first piece until all others are done
      stuck = true;
      for (int64_t others = 0; others + (end - begin) < 64;) {
        others = std::count_if(done.begin(), done.end(), [](const auto& d) { return d != 0; });
      }
    } else {
      while (!stuck) std::this_thread::yield();
    }
    for (int64_t i = begin; i < end; ++i) ++done[static_cast<size_t>(i)];
  });
  for (const auto& d : done) EXPECT_EQ(d, 1);
}

TEST(Team, WritesAreVisibleRoundAfterRound) {
  Team team(3);
  std::vector<int64_t> cells(64, 0);
  for (int round = 0; round < 5000; ++round) {
    // Each round moves every cell to a neighbour that another worker wrote the round before.
    std::vector<int64_t> next(cells.size());
    parallel(team, 64, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) next[i] = cells[(i + 17) % 64] + 1;
    });
    cells = next;
  }
  EXPECT_EQ(cells, std::vector<int64_t>(64, 5000));
}

TEST(Team, WakesAfterSleep) {
  Team team(2);
  int64_t sum = 0;
  for (int i = 0; i < 5; ++i) {
    std::vector<int64_t> parts(2, 0);
    parallel(team, 2, [&](int64_t begin, int64_t, int) { parts[begin] = begin + 1; });
    sum += parts[0] + parts[1];
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(sum, 15);
}

TEST(Team, WaitsForSlowWorkers) {
  Team team(2);
  std::vector<int> done(2, 0);
  parallel(team, 2, [&](int64_t begin, int64_t, int worker) {
    if (worker == 1) std::this_thread::sleep_for(std::chrono::milliseconds(3));
    done[begin] = 1;
  });
  EXPECT_EQ(done, std::vector<int>(2, 1));
}

TEST(Team, StartsAndStopsOften) {
  int64_t total = 0;
  for (int i = 0; i < 200; ++i) {
    Team team(1 + i % 4);
    std::vector<int64_t> parts(8, 0);
    if (i % 3 != 0)
      parallel(team, 8, [&](int64_t begin, int64_t end, int) {
        for (int64_t c = begin; c < end; ++c) parts[c] = 1;
      });
    for (int64_t part : parts) total += part;
  }
  EXPECT_EQ(total, 133 * 8);
}

TEST(Team, RangesCoverEveryChunkOnce) {
  for (int threads = 1; threads <= 4; ++threads) {
    Team team(threads);
    for (int64_t chunks : {0, 1, 2, 3, 7, 64, 1001}) {
      std::vector<int> seen(static_cast<size_t>(chunks), 0);
      parallel(team, chunks, [&](int64_t begin, int64_t end, int) {
        for (int64_t c = begin; c < end; ++c) ++seen[c];
      });
      EXPECT_EQ(seen, std::vector<int>(static_cast<size_t>(chunks), 1));
    }
  }
  for (int workers = 1; workers <= 9; ++workers)
    for (int64_t chunks = 0; chunks < 40; ++chunks) {
      EXPECT_EQ(chunk_begin(chunks, 0, workers), 0);
      EXPECT_EQ(chunk_begin(chunks, workers, workers), chunks);
      for (int w = 0; w < workers; ++w) {
        const int64_t size = chunk_begin(chunks, w + 1, workers) - chunk_begin(chunks, w, workers);
        EXPECT_GE(size, chunks / workers);
        EXPECT_LE(size, chunks / workers + 1);
      }
    }
}

}  // namespace
}  // namespace soma
