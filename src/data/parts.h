// Which rows belong to which part of a data set.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace soma::data {

/// Deals rows out as they come. Each group (the rows of one class) has its own random order, of
/// which every part gets its fraction. A single part takes them in order.
class Parts {
 public:
  /// `counts` are the rows of each group. Throws ArgumentError for fractions that do not add up.
  Parts(std::span<const int64_t> counts, std::span<const double> fractions, uint64_t seed);

  const std::vector<int64_t>& sizes() const { return sizes_; }
  /// The part of the next row of that group.
  size_t next(size_t group);

 private:
  struct Group {
    std::vector<int64_t> order;   // of the rows; empty for a single part
    std::vector<int64_t> begins;  // of each part in that order
    size_t seen = 0;
  };
  std::vector<Group> groups_;
  std::vector<int64_t> sizes_;
};

}  // namespace soma::data
