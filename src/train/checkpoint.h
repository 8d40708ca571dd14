// Checkpoints: files that are known to be whole, and a folder that keeps the newest and the best.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "soma/io.h"

namespace soma::train {

/// Writes the container with a checksum over everything in it; completely or not at all.
void write_checkpoint(const std::string& path, Container checkpoint);
/// Throws FileError for a file that is damaged, cut off or something else.
Container read_checkpoint(const std::string& path);

/// Files by the number of steps that were taken.
class CheckpointFolder {
 public:
  /// Makes the folder, and removes what a program that was killed left half written.
  explicit CheckpointFolder(std::string path);
  std::string path_of(int64_t steps) const;
  /// Of all files, ascending.
  std::vector<int64_t> steps() const;
  /// Removes the files after `present`, which come from a future that is being repeated, and of the
  /// others all but the `last` newest and those of `best`.
  void clean(int64_t present, int last, const std::set<int64_t>& best) const;

 private:
  std::string path_;
};

}  // namespace soma::train
