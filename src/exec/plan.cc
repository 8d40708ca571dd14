// Plan: binding by name, reading results. The work is in the device's Plan::Impl.
#include "soma/plan.h"

#include <algorithm>
#include <cstring>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/exec/plan_impl.h"

namespace soma {

namespace {

constexpr size_t alignment = 64;
size_t aligned(size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

template <class Slots>
auto& slot_named(Slots& slots, std::string_view name, std::string_view what) {
  std::vector<std::string> names;
  for (auto& slot : slots) {
    if (slot.name == name) return slot;
    names.push_back(slot.name);
  }
  std::string hint = did_you_mean(name, names);
  if (hint.empty()) hint = cat("; it has ", join(names, ", "));
  throw GraphError(cat("the plan has no ", what, " named \"", name, "\"", hint));
}

}  // namespace

void detail::wrong_type(std::string_view name, DType found, DType wanted) {
  throw TypeError(cat(name, " holds ", found, " but was used as ", wanted));
}

double View::scalar() const {
  Tensor one(Shape{}, type);
  std::memcpy(one.raw(), data, one.bytes());
  return one.at(0);
}

Tensor View::copy() const {
  Tensor result(shape, type);
  std::memcpy(result.raw(), data, result.bytes());
  return result;
}

Plan::Impl::Impl(const Graph& graph) {
  for (const Id id : graph.inputs()) {
    const auto& attr = graph[id].as<InputAttr>();
    const bool updated = std::ranges::any_of(
        graph.updates(), [id = id](const Graph::Update& update) { return update.state == id; });
    inputs.push_back({attr.name, attr.kind, attr.shape, attr.type, updated});
  }
  for (const auto& [name, id] : graph.outputs()) {
    outputs.push_back({name, InputKind::data, graph[id].shape, graph[id].type, false});
  }
}

void Plan::Impl::allocate_slots() {
  size_t bytes = 0;
  for (const auto* slots : {&inputs, &outputs}) {
    for (const Slot& slot : *slots) bytes += aligned(slot.bytes());
  }
  slot_memory = Tensor(Shape{static_cast<int64_t>(bytes)}, u8);
  std::byte* next = slot_memory.raw();
  for (auto* slots : {&inputs, &outputs}) {
    for (Slot& slot : *slots) {
      slot.data = next;
      next += aligned(slot.bytes());
    }
  }
}

Plan::Plan(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Plan::Plan(Plan&&) noexcept = default;
Plan& Plan::operator=(Plan&&) noexcept = default;
Plan::~Plan() = default;

void Plan::bind(std::string_view input, Tensor& tensor) {
  Slot& slot = slot_named(impl_->inputs, input, "input");
  if (tensor.shape() != slot.shape) {
    throw ShapeError(cat("\"", input, "\" is ", slot.type, slot.shape, " but a tensor of shape ",
                         tensor.shape(), " was bound"));
  }
  if (tensor.type() != slot.type) {
    throw TypeError(cat("\"", input, "\" is ", slot.type, " but a tensor of ", tensor.type(),
                        " was bound; cast() it first"));
  }
  slot.data = tensor.raw();
}

void Plan::bind(std::string_view input, const void* data) {
  Slot& slot = slot_named(impl_->inputs, input, "input");
  if (slot.updated) {
    throw GraphError(cat("\"", input, "\" is updated by the plan; bind it to a Tensor"));
  }
  if (data == nullptr) throw ArgumentError(cat("\"", input, "\" was bound to no memory"));
  // Data is only read; the slot's pointer is shared with inputs that are written.
  slot.data = const_cast<std::byte*>(static_cast<const std::byte*>(data));
}

void Plan::bind(Tensors& tensors) {
  for (const Slot& slot : impl_->inputs) {
    if (slot.kind == InputKind::data) continue;
    const auto it = tensors.find(slot.name);
    if (it == tensors.end()) {
      throw GraphError(cat("there is no tensor for \"", slot.name,
                           "\"; initialize() the network or load its weights first"));
    }
    bind(slot.name, it->second);
  }
}

View Plan::input_view(std::string_view name) const {
  const Slot& slot = slot_named(impl_->inputs, name, "input");
  return {slot.data, slot.shape, slot.type};
}

View Plan::output(std::string_view name) const {
  const Slot& slot = slot_named(impl_->outputs, name, "output");
  return {slot.data, slot.shape, slot.type};
}

void Plan::run() noexcept { impl_->run(); }
PlanReport Plan::report() const { return impl_->report(); }
std::string Plan::explain() const { return to_text(report()); }
void Plan::profile(bool on) { impl_->profile(on); }
size_t Plan::arena_bytes() const { return impl_->arena_bytes(); }
size_t Plan::instructions() const { return impl_->instructions(); }

int Device::threads() const { return impl_->threads(); }

Plan compile(const Graph& graph, const Device& device, const CompileOptions& options) {
  return Plan(device.impl()->compile(graph, options));
}

}  // namespace soma
