// Rows of a batch that know nothing of each other: the body of a scan made for fewer of them, so
// that each thread can take some through all steps.
#pragma once

#include <optional>
#include <vector>

#include "soma/graph.h"

namespace soma::passes {

struct RowBody {
  Graph body;
  struct Input {
    size_t from;  ///< Which input of the whole body.
    bool cut;     ///< Some of its rows, not all of it.
  };
  std::vector<Input> inputs;  ///< Of each input of `body`.
};

/// The body for `rows` rows instead of all, which are the extent of the first axis of every carry
/// and result; nothing unless row i of each is a function of row i of carries and sequences (and of
/// what has no rows: weights, the number of the step).
std::optional<RowBody> body_of_rows(const ScanAttr& scan, int64_t rows);

/// How many rows the batch has, if blocks of them have enough to do and the weights, which each
/// block reads at each step, fit in a core's cache; else none.
int64_t rows_worth_cutting(const ScanAttr& scan);

}  // namespace soma::passes
