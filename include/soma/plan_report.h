// What a plan consists of, and what became of the graph on the way to it.
//
//   Plan plan = compile(graph);
//   plan.profile(true);
//   for (int i = 0; i < 20; ++i) plan.run();
//   std::cout << plan.explain();           the report as text, the memory map included
//   PlanReport report = plan.report();     the same as data; soma/inspect.h draws it
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace soma {

struct PlanReport {
  /// Lists the fields of a row once: JSON follows from it.
#define SOMA_ROW(...)                     \
  template <class Self, class F>          \
  static void fields(Self& self, F&& f) { \
    __VA_ARGS__                           \
  }

  /// Ops of one layer that became part of an instruction.
  struct Part {
    std::string layer;  ///< "" outside of layers.
    std::vector<std::string_view> ops;
    SOMA_ROW(f("layer", self.layer); f("ops", self.ops);)
  };

  struct Instruction {
    std::string text;         ///< "dot [128, 10] over 128".
    std::string layer;        ///< The layer it is named after.
    std::vector<Part> parts;  ///< All it computes, fused into one walk over the elements.
    /// Why it does not go on with an instruction before it; "" where that was no question.
    std::string apart;
    int depth = 0;         ///< 1 in the body of a loop, whose own line comes before, and so on.
    int64_t times = 1;     ///< How often it runs in one run of the plan.
    int64_t chunks = 1;    ///< Pieces that threads may share.
    bool barrier = false;  ///< Shared by the threads, which then wait for each other.
    /// Of one execution; a multiply-add counts as two. Those of a loop are those of all its steps.
    int64_t flops = 0;
    int64_t bytes = 0;   ///< Of the arrays read and written, each once.
    double seconds = 0;  ///< The least that one execution took; 0 until measured.
    SOMA_ROW(f("text", self.text); f("layer", self.layer); f("parts", self.parts);
             f("apart", self.apart); f("depth", self.depth); f("times", self.times);
             f("chunks", self.chunks); f("barrier", self.barrier); f("flops", self.flops);
             f("bytes", self.bytes); f("seconds", self.seconds);)
  };

  /// An array, or several that take each other's place, in the arena.
  struct Buffer {
    std::string holds;
    size_t offset = 0, bytes = 0;
    size_t first = 0, last = 0;  ///< The instructions that use it, as numbered above.
    SOMA_ROW(f("holds", self.holds); f("offset", self.offset); f("bytes", self.bytes);
             f("first", self.first); f("last", self.last);)
  };

  /// A step of compiling: a pass over the graph, or the making of instructions.
  struct Pass {
    std::string name;
    double seconds = 0;
    size_t before = 0, after = 0;  ///< Nodes of the graph; instructions of the plan at the end.
    SOMA_ROW(f("name", self.name); f("seconds", self.seconds); f("before", self.before);
             f("after", self.after);)
  };

  std::string device;  ///< "CPU (v4), 2 threads".
  std::vector<Instruction> instructions;
  std::vector<Buffer> arena;
  size_t arena_bytes = 0;
  std::vector<Pass> passes;
  /// What the machine can do at most, a second: multiply-adds of the device's threads, and reading
  /// an array as large as all the memory of the plan. 0 until times are measured.
  double peak_flops = 0, peak_bytes = 0;
  SOMA_ROW(f("device", self.device); f("peak_flops", self.peak_flops);
           f("peak_bytes", self.peak_bytes); f("arena_bytes", self.arena_bytes);
           f("instructions", self.instructions); f("arena", self.arena); f("passes", self.passes);)
#undef SOMA_ROW

  /// Of one run: sums over all instructions.
  int64_t flops() const;
  int64_t bytes() const;
  int64_t barriers() const;
  double seconds() const;
  /// The least time that the limits allow one execution to take; 0 when they are not known.
  double seconds_at_limit(const Instruction& instruction) const;
};

/// The report as text: one line an instruction with what was fused into it and why it stands apart,
/// the memory map and the passes.
std::string to_text(const PlanReport& report);

}  // namespace soma
