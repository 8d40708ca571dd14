// The records of a CSV text read on several threads: blocks of them are taken as they come, read
// side by side and handed over in order. Blocks are cut by size alone, so results do not depend on
// the number of threads.
#pragma once

#include <exception>
#include <optional>
#include <thread>
#include <vector>

#include "src/base/team.h"
#include "src/data/csv_lines.h"

namespace soma::data {

constexpr size_t csv_block_bytes = size_t{1} << 18;
constexpr size_t csv_blocks_at_once = 8;

/// `read(CsvLines& part, Result&)` runs on some thread; `take(Result&)` on this one, block by
/// block, until it answers false. The first block comes alone: what it shows can spare the others
/// work. What `read` throws comes out behind the rows it read before.
template <class Result, class Read, class Take>
void read_blocks(CsvLines& lines, int threads, Read&& read, Take&& take) {
  struct Work {
    CsvBlock block;
    Result result;
    std::exception_ptr failure;
  };
  struct Wave {
    std::vector<Work> works = std::vector<Work>(csv_blocks_at_once);
    int64_t count = 0;
    std::exception_ptr failure;  // of what follows
  };
  const auto fetch = [&](Wave& wave, size_t wanted) {
    wave.count = 0;
    try {
      for (size_t i = 0; i < wanted && lines.take(wave.works[i].block, csv_block_bytes); ++i)
        ++wave.count;
    } catch (...) {
      wave.failure = std::current_exception();
    }
  };
  const auto read_one = [&](Work& work) {
    try {
      CsvLines part(work.block, lines);
      read(part, work.result);
    } catch (...) {
      work.failure = std::current_exception();
    }
  };
  const auto take_all = [&](Wave& wave) {
    for (int64_t i = 0; i < wave.count; ++i) {
      Work& work = wave.works[static_cast<size_t>(i)];
      if (!take(work.result)) return false;
      if (work.failure) std::rethrow_exception(work.failure);
    }
    if (wave.failure) std::rethrow_exception(wave.failure);
    return wave.count > 0;
  };

  Wave present, following;
  fetch(present, 1);
  for (int64_t i = 0; i < present.count; ++i) read_one(present.works[0]);
  if (!take_all(present)) return;
  fetch(present, csv_blocks_at_once);
  if (present.count == 0) return void(take_all(present));
  Team team(threads > 0 ? threads
                        : static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  do {
    // One thread begins by fetching what comes next.
    parallel(team, present.count + 1, [&](int64_t begin, int64_t end, int) {
      for (; begin < end; ++begin) {
        if (begin == 0) {
          fetch(following, csv_blocks_at_once);
        } else {
          read_one(present.works[static_cast<size_t>(begin - 1)]);
        }
      }
    });
    std::swap(present, following);
  } while (take_all(following));
}

}  // namespace soma::data
