// Damages a good file at random, many times: a reader must read it or refuse it with a FileError,
// and nothing else (run under the sanitizers, this is a small fuzzer).
#pragma once

#include <string>

#include "soma/error.h"
#include "src/base/philox.h"
#include "tests/temporary_folder.h"

namespace soma {

/// How many of the damaged files `read(path)` refused.
template <class Read>
int refused_after_damage(const std::string& good, int rounds, const Read& read) {
  const TemporaryFolder folder;
  Random random(1);
  int refused = 0;
  for (int round = 0; round < rounds; ++round) {
    std::string bad = good;
    for (uint64_t i = random.below(4); i < 4; ++i) {
      bad[random.below(bad.size())] = static_cast<char>(random.below(256));
    }
    if (round % 3 == 0) bad.resize(random.below(bad.size()));
    try {
      read(folder.write("bad", bad));
    } catch (const FileError&) {
      ++refused;
    }
  }
  return refused;
}

}  // namespace soma
