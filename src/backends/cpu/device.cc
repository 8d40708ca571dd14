// Device::cpu(): graph passes, lowering, and the plan that runs the result on a team.
#include <algorithm>
#include <chrono>
#include <mutex>
#include <thread>
#include <utility>

#include "soma/error.h"
#include "src/backends/cpu/lower.h"
#include "src/backends/cpu/peak.h"
#include "src/base/text.h"
#include "src/exec/plan_impl.h"
#include "src/passes/passes.h"

namespace soma {

namespace {

struct CpuDevice;

struct CpuPlan final : Plan::Impl {
  CpuPlan(const Graph& graph, Program p, std::vector<PlanReport::Pass> made_by,
          std::shared_ptr<Team> t, Precision of_products)
      : Impl(graph),
        program(std::move(p)),
        passes(std::move(made_by)),
        team(std::move(t)),
        precision(of_products) {
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
  PlanReport report() const override {
    PlanReport report;
    report.device = cat("CPU (", cpu::isa(precision).name, "), ", team->size(),
                        team->size() == 1 ? " thread" : " threads",
                        precision == Precision::bf16 ? ", products in bf16" : "");
    report.passes = passes;
    describe(program, report);
    if (report.seconds() > 0) {
      report.peak_flops = 1e9 * cpu::measure_peak(*team, cpu::isa());
      report.peak_bytes = cpu::measure_read(*team, cpu::isa(), arena.bytes() + slot_memory.bytes());
    }
    return report;
  }
  void profile(bool on) override { profiling = on; }
  size_t arena_bytes() const override { return arena.bytes(); }
  size_t instructions() const override { return program.instruction_count(); }

  Program program;
  std::vector<PlanReport::Pass> passes;
  std::shared_ptr<Team> team;
  Precision precision;
  Tensor arena, scratch;
  size_t scratch_stride = 0;
  std::vector<std::byte*> memory;
  bool profiling = false;
};

struct CpuDevice final : Device::Impl {
  CpuDevice(int threads, Precision of_products) : size(threads), precision(of_products) {}
  int threads() const override { return size; }

  std::unique_ptr<Plan::Impl> compile(const Graph& source, const CompileOptions& options) override {
    const auto off = [&](std::string_view name) {
      return std::ranges::find(options.without, name) != options.without.end();
    };
    verify(source);
    Graph graph = source;
    std::vector<PlanReport::Pass> done;
    const auto timed = [&](std::string_view name, size_t before, auto&& run) {
      const auto start = std::chrono::steady_clock::now();
      auto result = run();
      const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
      done.push_back({std::string(name), time.count(), before, 0});
      return result;
    };
    for (const auto& pass : passes::pipeline()) {
      if (off(pass.name) && !pass.required) continue;
      graph = timed(pass.name, graph.size(), [&] { return pass.run(graph); });
      done.back().after = graph.size();
      verify(graph);
      if (options.watch) options.watch(pass.name, graph);
    }
    Program program = timed("lower", graph.size(), [&] {
      return cpu::lower(graph, cpu::isa(precision),
                        {.fusion = !off("fuse"), .precision = precision});
    });
    done.back().after = program.instruction_count();
    auto own = program.shares_work() ? shared_team() : std::make_shared<Team>(1);
    return std::make_unique<CpuPlan>(source, std::move(program), std::move(done), std::move(own),
                                     precision);
  }

  /// Threads are started for the first plan that has work for them: small plans, and the devices
  /// that are defaults of options, need none.
  std::shared_ptr<Team> shared_team() {
    std::call_once(started, [this] { team = std::make_shared<Team>(size); });
    return team;
  }

  int size;
  Precision precision;
  std::once_flag started;
  std::shared_ptr<Team> team;
};

}  // namespace

Device Device::cpu(int threads, Precision precision) {
  if (threads < 0 || threads > 1024) {
    throw ArgumentError(cat("a device cannot have ", threads,
                            " threads; give a number from 1 to 1024, or 0 for every core"));
  }
  if (threads == 0) threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return Device(std::make_shared<CpuDevice>(threads, precision));
}

}  // namespace soma
