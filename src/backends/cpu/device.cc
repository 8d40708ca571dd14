// Device::cpu(): graph passes, lowering, and the plan that runs the result on a team.
#include <algorithm>
#include <thread>
#include <utility>

#include "soma/error.h"
#include "src/backends/cpu/lower.h"
#include "src/base/text.h"
#include "src/exec/plan_impl.h"
#include "src/passes/passes.h"

namespace soma {

namespace {

struct CpuDevice;

struct CpuPlan final : Plan::Impl {
  CpuPlan(const Graph& graph, Program p, std::shared_ptr<Team> t)
      : Impl(graph), program(std::move(p)), team(std::move(t)) {
    allocate_slots();
    arena = Tensor(Shape{static_cast<int64_t>(program.arena_bytes)}, u8);
    scratch_stride = (scratch_bytes(program) + 4095) / 4096 * 4096;
    scratch = Tensor(Shape{static_cast<int64_t>(scratch_stride) * team->size()}, u8);
    place(program, arena.raw(), memory);
  }

  void run() noexcept override {
    if (std::exchange(moved, false)) {
      size_t slot = 0;
      for (const auto* slots : {&inputs, &outputs}) {
        for (const Slot& s : *slots) memory[slot++] = s.data;
      }
    }
    Runner{*team, scratch.raw(), scratch_stride, profiling}.run(program, memory.data());
  }
  std::string explain() const override {
    return cat("CPU (", cpu::isa().name, "), ", team->size(),
               team->size() == 1 ? " thread" : " threads", ", ", instructions(),
               " instructions, arena of ", arena_bytes(), " bytes\n", listing(program, 0));
  }
  void profile(bool on) override { profiling = on; }
  size_t arena_bytes() const override { return arena.bytes(); }
  size_t instructions() const override { return program.instruction_count(); }

  Program program;
  std::shared_ptr<Team> team;
  Tensor arena, scratch;
  size_t scratch_stride = 0;
  std::vector<std::byte*> memory;
  bool profiling = false;
};

struct CpuDevice final : Device::Impl {
  explicit CpuDevice(int threads) : team(std::make_shared<Team>(threads)) {}
  int threads() const override { return team->size(); }

  std::unique_ptr<Plan::Impl> compile(const Graph& source, const CompileOptions& options) override {
    const auto off = [&](std::string_view name) {
      return std::ranges::find(options.without, name) != options.without.end();
    };
    verify(source);
    Graph graph = source;
    for (const auto& pass : passes::pipeline()) {
      if (off(pass.name) && !pass.required) continue;
      graph = pass.run(graph);
      verify(graph);
      if (options.watch) options.watch(pass.name, graph);
    }
    return std::make_unique<CpuPlan>(source, cpu::lower(graph, cpu::isa(), !off("fuse")), team);
  }

  std::shared_ptr<Team> team;
};

}  // namespace

Device Device::cpu(int threads) {
  if (threads < 0 || threads > 1024) {
    throw ArgumentError(cat("a device cannot have ", threads,
                            " threads; give a number from 1 to 1024, or 0 for every core"));
  }
  if (threads == 0) threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return Device(std::make_shared<CpuDevice>(threads));
}

}  // namespace soma
