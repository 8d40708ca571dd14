// What stands behind a Plan: the slots that users bind and read, and a way to run. Each device
// derives its own.
#pragma once

#include <string>
#include <vector>

#include "soma/plan.h"

namespace soma {

/// One input or output of a program.
struct Slot {
  std::string name;
  InputKind kind = InputKind::data;
  Shape shape;
  DType type = f32;
  bool updated = false;       ///< The program rewrites it.
  std::byte* data = nullptr;  ///< Where it is now: the plan's own memory or the user's.
  size_t bytes() const { return static_cast<size_t>(shape.elements()) * size_of(type); }
};

struct Plan::Impl {
  explicit Impl(const Graph& graph);
  virtual ~Impl() = default;
  virtual void run() noexcept = 0;
  virtual PlanReport report() const = 0;
  virtual void profile(bool on) = 0;
  virtual size_t arena_bytes() const = 0;
  virtual size_t instructions() const = 0;

  /// Gives every input and every output memory of the plan's own.
  void allocate_slots();

  std::vector<Slot> inputs;   ///< In the order of Graph::inputs().
  std::vector<Slot> outputs;  ///< In the order of Graph::outputs().
  Tensor slot_memory;
};

struct Device::Impl {
  virtual ~Impl() = default;
  virtual int threads() const = 0;
  virtual std::unique_ptr<Plan::Impl> compile(const Graph& graph,
                                              const CompileOptions& options) = 0;
};

}  // namespace soma
