// The reference device: a plan that asks the interpreter.
#include <algorithm>
#include <cstring>

#include "src/base/text.h"
#include "src/exec/plan_impl.h"

namespace soma {

namespace {

struct ReferencePlan final : Plan::Impl {
  explicit ReferencePlan(const Graph& g) : Impl(g), graph(g) { allocate_slots(); }

  void run() noexcept override {
    std::vector<Tensor> values;
    for (const Slot& slot : inputs) {
      values.emplace_back(slot.shape, slot.type);
      std::memcpy(values.back().raw(), slot.data, slot.bytes());
    }
    const Interpretation result = interpret(graph, values);
    for (size_t i = 0; i < outputs.size(); ++i) {
      std::memcpy(outputs[i].data, result.outputs[i].raw(), outputs[i].bytes());
    }
    for (size_t i = 0; i < result.updates.size(); ++i) {
      const auto at = std::ranges::find(graph.inputs(), graph.updates()[i].state);
      const Slot& slot = inputs[static_cast<size_t>(at - graph.inputs().begin())];
      std::memcpy(slot.data, result.updates[i].raw(), slot.bytes());
    }
  }
  std::string explain() const override {
    return cat("reference interpreter, ", graph.size(), " nodes\n", print(graph));
  }
  void profile(bool) override {}
  size_t arena_bytes() const override { return slot_memory.bytes(); }
  size_t instructions() const override { return graph.size(); }

  Graph graph;
};

struct ReferenceDevice final : Device::Impl {
  int threads() const override { return 1; }
  std::unique_ptr<Plan::Impl> compile(const Graph& graph, const CompileOptions&) override {
    return std::make_unique<ReferencePlan>(graph);
  }
};

}  // namespace

Device Device::reference() { return Device(std::make_shared<ReferenceDevice>()); }

}  // namespace soma
