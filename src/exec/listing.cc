// The listing behind Plan::explain(): one line an instruction.
#include <cstdio>

#include "src/exec/program.h"

namespace soma {

namespace {

void list(const Program& program, double peak_flops, size_t depth, std::string& out) {
  int number = 0;
  for (const Instruction& i : program.instructions) {
    char figures[160];
    std::snprintf(figures, sizeof figures, "%4d  %10.3f MFLOP %10.1f KiB %5lld chunks", number++,
                  static_cast<double>(i.flops) * 1e-6, static_cast<double>(i.bytes) / 1024,
                  static_cast<long long>(i.chunks));
    out.append(2 * depth, ' ').append(figures);
    if (i.runs > 0) {
      const double each = i.seconds / static_cast<double>(i.runs);
      const double rate = static_cast<double>(i.flops) / each;
      std::snprintf(figures, sizeof figures, " %9.2f us %7.1f GFLOP/s", each * 1e6, rate * 1e-9);
      out += figures;
      if (peak_flops > 0) {
        std::snprintf(figures, sizeof figures, " %3.0f %% of peak", 100 * rate / peak_flops);
        out += figures;
      }
    }
    out += "  ";
    if (!i.scope.empty()) out += i.scope + ": ";
    out += i.text + "\n";
    if (i.loop) list(i.loop->body, peak_flops, depth + 2, out);
  }
}

}  // namespace

std::string listing(const Program& program, double peak_flops) {
  std::string out;
  list(program, peak_flops, 0, out);
  return out;
}

}  // namespace soma
