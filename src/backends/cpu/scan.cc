#include "src/backends/cpu/scan.h"

#include "src/base/text.h"

namespace soma::cpu {

namespace {

/// Rows of a block. More of them share what is read of the weights; fewer keep more threads busy.
int64_t rows_of_block(int64_t all) { return all >= 128 ? 32 : 16; }

size_t bytes_of(const Node& node) {
  return static_cast<size_t>(node.shape.elements()) * size_of(node.type);
}
const Node& input_of(const ScanAttr& scan, size_t i) {
  return (*scan.body)[scan.body->inputs()[i]];
}
const Node& output_of(const ScanAttr& scan, size_t i) {
  return (*scan.body)[scan.body->outputs()[i].id];
}

/// Bytes of a block of an array, or of all of it.
size_t block_bytes(const ScanPart& part, const Node& node, bool cut) {
  if (!cut) return bytes_of(node);
  return bytes_of(node) / static_cast<size_t>(part.all_rows) * static_cast<size_t>(part.block_rows);
}
/// From where all rows of an array lie to where those of the part do.
Loop::Part rows_of(const ScanPart& part, Loop::Part place, const Node& node, bool cut) {
  if (!cut) return place;
  place.block = block_bytes(part, node, cut);
  place.offset +=
      place.block / static_cast<size_t>(part.block_rows) * static_cast<size_t>(part.first_row);
  return place;
}

/// The slots of the body and the loop's own memory: the arena, two places for each carry to
/// alternate, and one for each other result, should nobody read it.
void lay_out(const ScanPart& part) {
  Loop& loop = *part.loop;
  const bool cut = part.all_rows > 0;
  const auto own = [&](size_t bytes) {
    const Loop::Part place{Loop::own_buffer, loop.own_bytes};
    loop.own_bytes += (bytes + 63) / 64 * 64;
    return place;
  };
  own(loop.body.arena_bytes);
  const auto consts = static_cast<size_t>(part.scan.consts);
  const auto carries = static_cast<size_t>(part.scan.carries);
  for (size_t i = 0; i < carries; ++i) {
    const size_t bytes = block_bytes(part, output_of(part.scan, i), cut);
    const Loop::Part even = own(bytes), odd = own(bytes);
    const Loop::Part last = loop.length % 2 ? even : odd;
    loop.carries.push_back({0, loop.body.inputs + i, {}, last, {even, odd}, bytes});
  }
  for (size_t slot = 0; slot < part.inputs.size(); ++slot) {
    const size_t from = part.inputs[slot].from;
    if (from < consts) {
      loop.consts.push_back({slot, {}});
    } else if (from < consts + carries) {
      loop.carries[from - consts].in = slot;
    } else {
      loop.sequences.push_back({slot, {}, bytes_of(input_of(part.scan, from))});
    }
  }
  for (size_t i = carries; i < part.scan.body->outputs().size(); ++i) {
    const Node& result = output_of(part.scan, i);
    loop.sequences.push_back({loop.body.inputs + i, own(block_bytes(part, result, cut)), 0});
  }
}

}  // namespace

std::vector<ScanPart> scan_parts(const ScanAttr& scan, const Isa& isa, LowerOptions options) {
  std::vector<ScanPart> parts;
  const auto add = [&](ScanPart part, const Graph& body, int64_t blocks) {
    part.loop = std::make_shared<Loop>();
    options.sharing = blocks > 1 ? Sharing::alone : Sharing::team;
    part.loop->body = lower(body, isa, options);
    part.loop->length = scan.length;
    part.loop->reverse = scan.reverse;
    part.loop->blocks = blocks;
    lay_out(part);
    parts.push_back(std::move(part));
  };
  const int64_t all = passes::rows_worth_cutting(scan), block_rows = rows_of_block(all);
  const auto add_rows = [&](int64_t first, int64_t rows, int64_t blocks) {
    if (rows == 0) return;
    const auto cut = passes::body_of_rows(scan, rows);
    if (cut) add({scan, cut->inputs, all, first, rows, {}}, cut->body, blocks);
  };
  if (all > 0) {
    add_rows(0, block_rows, all / block_rows);
    add_rows(all / block_rows * block_rows, all % block_rows, 1);
  }
  if (parts.empty()) {
    std::vector<passes::RowBody::Input> inputs;
    for (size_t i = 0; i < scan.body->inputs().size(); ++i) inputs.push_back({i, false});
    add({scan, std::move(inputs), 0, 0, 0, {}}, *scan.body, 1);
  }
  return parts;
}

Instruction scan_instruction(const ScanPart& part, const std::vector<Loop::Part>& operands,
                             const std::vector<std::optional<size_t>>& taken) {
  Loop& loop = *part.loop;
  const bool cut = part.all_rows > 0;
  const auto carries = static_cast<size_t>(part.scan.carries);
  const auto operand = [&](size_t slot) {
    const auto [from, is_cut] = part.inputs[slot];
    return rows_of(part, operands[from], input_of(part.scan, from), is_cut);
  };
  const auto result = [&](size_t i) {
    return rows_of(part, {*taken[i], 0}, output_of(part.scan, i), cut);
  };
  for (auto& constant : loop.consts) constant.from = operand(constant.slot);
  for (size_t i = 0; i < carries; ++i) {
    loop.carries[i].from = operand(loop.carries[i].in);
    if (taken[i]) loop.carries[i].to = result(i);
  }
  for (auto& sequence : loop.sequences) {
    if (sequence.slot < loop.body.inputs) {
      sequence.outer = operand(sequence.slot);
    } else if (const size_t i = sequence.slot - loop.body.inputs; taken[i]) {
      sequence.outer = result(i);
      sequence.stride = bytes_of(output_of(part.scan, i));
    }
  }
  Instruction instruction;
  instruction.text = cat("scan of ", loop.length, loop.reverse ? " steps, backwards" : " steps");
  if (loop.by_rows()) instruction.text += cat(", by blocks of ", part.block_rows, " rows");
  instruction.chunks = loop.blocks;
  for (const Instruction& i : loop.body.instructions) {
    instruction.flops += i.flops * loop.length * loop.blocks;
  }
  instruction.loop = part.loop;
  return instruction;
}

}  // namespace soma::cpu
