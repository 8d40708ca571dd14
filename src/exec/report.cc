// Reports of plans: what describe() takes from a program, and the report as text.
#include "soma/plan_report.h"

#include <algorithm>
#include <optional>

#include "src/base/text.h"
#include "src/exec/program.h"

namespace soma {

namespace {

/// Instructions are numbered with the bodies of loops in between. `base` is where the program's
/// arena begins in that of the plan; without, it is one thread's work in memory of its own.
void describe(const Program& program, int depth, int64_t times, std::optional<size_t> base,
              PlanReport& report) {
  std::vector<size_t> begin, step;  // the number of each instruction here, and its step
  for (const Instruction& i : program.instructions) {
    const size_t number = report.instructions.size();
    begin.push_back(number);
    step.push_back(i.step);
    report.instructions.push_back(i);
    if (i.loop) {
      std::optional<size_t> inner;
      if (base && !i.loop->by_rows()) {
        inner = *base + program.arena[i.loop->own - program.inputs - program.outputs].offset;
      }
      describe(i.loop->body, depth + 1, times * i.loop->length * i.loop->blocks, inner, report);
    }
    auto& row = report.instructions[number];
    row.depth = depth;
    row.times = times;
    row.barrier = base && i.shared();
    row.seconds = i.measured;
    if (!i.loop) continue;
    row.bytes = 0;
    for (size_t k = number + 1; k < report.instructions.size(); ++k) {
      const auto& inner = report.instructions[k];
      if (inner.depth == depth + 1) {
        row.bytes += inner.bytes * i.loop->length * i.loop->blocks;
      }
    }
  }
  if (!base) return;
  begin.push_back(report.instructions.size());
  // Step s begins with the first instruction of its own or a later one.
  const auto number_at = [&](size_t s) {
    return begin[static_cast<size_t>(std::ranges::lower_bound(step, s) - step.begin())];
  };
  for (const Program::Buffer& buffer : program.arena) {
    const size_t first = number_at(buffer.life.first), end = number_at(buffer.life.last + 1);
    if (buffer.life.bytes == 0 || first >= end) continue;
    report.arena.push_back(
        {buffer.holds, *base + buffer.offset, buffer.life.bytes, first, end - 1});
  }
}

template <class F>
auto sum_of(const PlanReport& report, F&& value) {
  decltype(value(report.instructions[0])) sum = 0;
  for (const auto& i : report.instructions) {
    if (i.depth == 0) sum += value(i);
  }
  return sum;
}

// ---- text

std::string right(const std::string& text, size_t width) {
  return (text.size() < width ? std::string(width - text.size(), ' ') : "") + text;
}
std::string count(size_t number) { return grouped(static_cast<int64_t>(number)); }

/// "hidden1: add mul x3; output: exp".
std::string text_of(const std::vector<PlanReport::Part>& parts) {
  std::vector<std::string> all;
  for (const PlanReport::Part& part : parts) {
    std::vector<std::string> ops;
    for (size_t i = 0; i < part.ops.size();) {
      size_t end = i;
      while (end < part.ops.size() && part.ops[end] == part.ops[i]) ++end;
      ops.push_back(end == i + 1 ? std::string(part.ops[i]) : cat(part.ops[i], " x", end - i));
      i = end;
    }
    all.push_back(cat(part.layer, part.layer.empty() ? "" : ": ", join(ops, " ")));
  }
  return join(all, "; ");
}

void head(const PlanReport& r, std::string& out) {
  out += cat(r.device, ": ", r.instructions.size(), " instructions, ", r.barriers(), " barriers, ",
             grouped(r.flops()), " FLOPs, ", grouped(r.bytes()), " bytes moved, arena of ",
             count(r.arena_bytes), " bytes\n");
  if (r.peak_flops > 0) {
    double least = 0;
    for (const auto& i : r.instructions) {
      if (i.depth == 0) least += r.seconds_at_limit(i);
    }
    out += cat("limits: ", fixed(r.peak_flops * 1e-9, 0), " GFLOP/s, ",
               fixed(r.peak_bytes * 1e-9, 0), " GB/s; ", fixed(r.seconds() * 1e6, 1),
               " us a run, at the limits ", fixed(least * 1e6, 1), "\n");
  }
}

void list(const PlanReport& r, std::string& out) {
  const bool timed = r.peak_flops > 0;
  out +=
      cat("\n   #", timed ? "        us  limit" : "", "           FLOPs          bytes  chunks\n");
  for (size_t n = 0; n < r.instructions.size(); ++n) {
    const auto& i = r.instructions[n];
    std::string line = right(std::to_string(n), 4);
    if (timed) {
      const double least = r.seconds_at_limit(i);
      line += right(fixed(i.seconds * 1e6, 2), 10);
      line += right(i.seconds > 0 ? fixed(100 * least / i.seconds, 0) + " %" : "", 7);
    }
    line += right(grouped(i.flops), 16) + right(grouped(i.bytes), 15);
    line += right(i.barrier ? std::to_string(i.chunks) : "alone", 8);
    const std::string indent(2 + 2 * static_cast<size_t>(i.depth), ' ');
    out += cat(line, indent, i.layer, i.layer.empty() ? "" : ": ", i.text, "\n");
    const std::string below = std::string(line.size(), ' ') + indent + "  ";
    if (!i.parts.empty()) out += cat(below, "is ", text_of(i.parts), "\n");
    if (!i.apart.empty()) out += cat(below, "not part of ", i.apart, "\n");
  }
}

/// Instructions go down and addresses to the right; a letter is the buffer that fills most of that
/// piece.
void map(const PlanReport& r, std::string& out) {
  if (r.arena.empty()) return;
  constexpr size_t columns = 64;
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const auto letter = [&](size_t b) { return letters[b % letters.size()]; };
  const size_t width = (r.arena_bytes + columns - 1) / columns;
  out +=
      cat("\nThe arena, ", count(r.arena_bytes), " bytes; a column is ", count(width), " bytes\n");
  for (size_t n = 0; n < r.instructions.size(); ++n) {
    std::string row(columns, '.');
    std::vector<size_t> filled(columns, 0);
    for (size_t b = 0; b < r.arena.size(); ++b) {
      const auto& buffer = r.arena[b];
      if (n < buffer.first || n > buffer.last) continue;
      const size_t end = buffer.offset + buffer.bytes;
      for (size_t c = buffer.offset / width; c < columns && c * width < end; ++c) {
        const size_t share = std::min(end, (c + 1) * width) - std::max(buffer.offset, c * width);
        // What comes later is smaller or within a loop.
        if (share < filled[c] || (share == filled[c] && r.instructions[n].depth == 0)) continue;
        filled[c] = share;
        row[c] = letter(b);
      }
    }
    out += cat(right(std::to_string(n), 4), "  ", row, "\n");
  }
  for (size_t b = 0; b < r.arena.size(); ++b) {
    const auto& buffer = r.arena[b];
    out += cat(right(std::string(1, letter(b)), 4), right(count(buffer.bytes), 14), " bytes at ",
               count(buffer.offset), ", ", buffer.first, " to ", buffer.last, "  ", buffer.holds,
               "\n");
  }
}

void list_passes(const PlanReport& r, std::string& out) {
  if (r.passes.empty()) return;
  out += "\n        us  nodes  became  in the pass\n";
  for (const auto& pass : r.passes) {
    out += cat(right(fixed(pass.seconds * 1e6, 0), 10), right(std::to_string(pass.before), 7),
               right(std::to_string(pass.after), 8), "  ", pass.name, "\n");
  }
}

}  // namespace

void describe(const Program& program, PlanReport& report) {
  report.arena_bytes = program.arena_bytes;
  describe(program, 0, 1, 0, report);
}

int64_t PlanReport::flops() const {
  return sum_of(*this, [](const Instruction& i) { return i.flops; });
}
int64_t PlanReport::bytes() const {
  return sum_of(*this, [](const Instruction& i) { return i.bytes; });
}
double PlanReport::seconds() const {
  return sum_of(*this, [](const Instruction& i) { return i.seconds; });
}
int64_t PlanReport::barriers() const {
  int64_t count = 0;
  for (const Instruction& i : instructions) count += i.barrier ? i.times : 0;
  return count;
}
double PlanReport::seconds_at_limit(const Instruction& i) const {
  const double computing = peak_flops > 0 ? static_cast<double>(i.flops) / peak_flops : 0;
  const double moving = peak_bytes > 0 ? static_cast<double>(i.bytes) / peak_bytes : 0;
  return std::max(computing, moving);
}

std::string to_text(const PlanReport& report) {
  std::string out;
  head(report, out);
  list(report, out);
  map(report, out);
  list_passes(report, out);
  return out;
}

}  // namespace soma
