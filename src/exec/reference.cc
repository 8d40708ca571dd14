// The reference device: a plan that asks the interpreter.
#include <algorithm>
#include <cstring>

#include "src/base/text.h"
#include "src/exec/plan_impl.h"
#include "src/ir/cost.h"

namespace soma {

namespace {

struct ReferencePlan final : Plan::Impl {
  ReferencePlan(const Graph& g, Precision of_products) : Impl(g), graph(g), precision(of_products) {
    allocate_slots();
  }

  void run() noexcept override {
    std::vector<Tensor> values;
    for (const Slot& slot : inputs) {
      values.emplace_back(slot.shape, slot.type);
      std::memcpy(values.back().raw(), slot.data, slot.bytes());
    }
    const Interpretation result = interpret(graph, values, false, precision);
    for (size_t i = 0; i < outputs.size(); ++i) {
      std::memcpy(outputs[i].data, result.outputs[i].raw(), outputs[i].bytes());
    }
    for (size_t i = 0; i < result.updates.size(); ++i) {
      const auto at = std::ranges::find(graph.inputs(), graph.updates()[i].state);
      const Slot& slot = inputs[static_cast<size_t>(at - graph.inputs().begin())];
      std::memcpy(slot.data, result.updates[i].raw(), slot.bytes());
    }
  }
  PlanReport report() const override {
    PlanReport report;
    report.device = "reference interpreter";
    for (const Node& node : graph.nodes()) {
      PlanReport::Instruction row;
      row.text = cat(info(node.op).name, " ", node.type, node.shape);
      row.layer = graph.scope_of(node).name;
      row.flops = flops(graph, node);
      report.instructions.push_back(std::move(row));
    }
    return report;
  }
  void profile(bool) override {}
  size_t arena_bytes() const override { return slot_memory.bytes(); }
  size_t instructions() const override { return graph.size(); }

  Graph graph;
  Precision precision;
};

struct ReferenceDevice final : Device::Impl {
  explicit ReferenceDevice(Precision of_products) : precision(of_products) {}
  int threads() const override { return 1; }
  std::unique_ptr<Plan::Impl> compile(const Graph& graph, const CompileOptions&) override {
    return std::make_unique<ReferencePlan>(graph, precision);
  }
  Precision precision;
};

}  // namespace

Device Device::reference(Precision precision) {
  return Device(std::make_shared<ReferenceDevice>(precision));
}

}  // namespace soma
