#include "src/data/parts.h"

#include <algorithm>
#include <cmath>

#include "soma/data.h"
#include "soma/error.h"
#include "src/base/text.h"

namespace soma::data {

Parts::Parts(std::span<const int64_t> counts, std::span<const double> fractions, uint64_t seed)
    : sizes_(fractions.size()) {
  double sum = 0;
  for (const double fraction : fractions) {
    if (!(fraction >= 0)) throw ArgumentError(cat("a part cannot be ", fraction, " of the rows"));
    sum += fraction;
  }
  if (!(std::abs(sum - 1) < 1e-6)) {
    throw ArgumentError(cat("the parts add up to ", sum, " of the rows; give fractions of 1"));
  }
  // What is left over by rounding in one group is owed by the next, so that the parts of many small
  // groups have the right size, too.
  std::vector<double> owed(fractions.size());
  for (const int64_t count : counts) {
    Group group;
    if (fractions.size() > 1) group.order = permutation(count, seed, groups_.size());
    int64_t begin = 0;
    double upto = 0;
    for (size_t i = 0; i < fractions.size(); ++i) {
      group.begins.push_back(begin);
      upto += fractions[i] * static_cast<double>(count) + owed[i];
      const bool last = i + 1 == fractions.size();
      const int64_t end = last ? count : std::clamp<int64_t>(std::llround(upto), begin, count);
      owed[i] += fractions[i] * static_cast<double>(count) - static_cast<double>(end - begin);
      sizes_[i] += end - begin;
      begin = end;
    }
    groups_.push_back(std::move(group));
  }
}

size_t Parts::next(size_t index) {
  Group& group = groups_.at(index);
  const size_t row = group.seen++;
  if (group.order.empty()) return 0;
  const auto after = std::ranges::upper_bound(group.begins, group.order.at(row));
  return static_cast<size_t>(after - group.begins.begin()) - 1;
}

std::vector<Dataset> stratified_split(const Dataset& dataset, std::span<const double> fractions,
                                      uint64_t seed) {
  const bool classes = dataset.is_classification() && dataset.targets.shape().rank() == 1;
  std::vector<int64_t> counts(classes ? static_cast<size_t>(dataset.classes()) : 1);
  const auto group_of = [&](int64_t row) {
    return classes ? static_cast<size_t>(std::max(0.0, dataset.targets.at(row))) : 0;
  };
  for (int64_t row = 0; row < dataset.size(); ++row) ++counts[group_of(row)];
  Parts parts(counts, fractions, seed);
  std::vector<std::vector<int64_t>> rows(fractions.size());
  for (int64_t row = 0; row < dataset.size(); ++row) rows[parts.next(group_of(row))].push_back(row);
  std::vector<Dataset> result;
  for (const auto& list : rows) result.push_back(dataset.rows(list));
  return result;
}

}  // namespace soma::data
