// Scans as loops over a body program. Where the rows of a batch know nothing of each other, and
// the weights fit in a core's cache, the batch is cut into blocks of rows, so that threads meet
// only at the end of the sequence; each works in memory that stays in its cache.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "src/backends/cpu/lower.h"
#include "src/exec/program.h"
#include "src/passes/rows.h"

namespace soma::cpu {

/// The loop over all rows of the batch, or over some.
struct ScanPart {
  ScanAttr scan;
  std::vector<passes::RowBody::Input> inputs;  ///< Of each input of the loop's body.
  int64_t all_rows = 0, first_row = 0;         ///< Of the batch, where it is cut.
  int64_t block_rows = 0;
  std::shared_ptr<Loop> loop;  ///< Its own memory is laid out.
};

/// Lowers the body, with these options but for the sharing. Parts run one after the other; the last
/// is of the rows that fill no block.
std::vector<ScanPart> scan_parts(const ScanAttr& scan, const Isa& isa, LowerOptions options);

/// Tells the loop where its operands are, and the results that somebody reads.
Instruction scan_instruction(const ScanPart& part, const std::vector<Loop::Part>& operands,
                             const std::vector<std::optional<size_t>>& taken);

}  // namespace soma::cpu
