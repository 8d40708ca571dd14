// Plans: a graph compiled for a device into flat instructions over one arena.
//
// Compiling allocates; running does not: run() takes no lock, throws nothing and allocates nothing,
// and gives the same bits for any number of threads. A plan is used by one thread at a time;
// different plans may run at the same time on different teams.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "soma/graph.h"
#include "soma/plan_report.h"

namespace soma {

/// Arrays by name, with stable addresses: the parameters and states that plans share.
using Tensors = std::map<std::string, Tensor, std::less<>>;

/// Where a plan runs. Copies share one team of threads.
class Device {
 public:
  /// The CPU with a team of `threads` (the caller is one of them); 0 takes every core. With bf16
  /// every plan of this device rounds what matrix products multiply, backward as well as forward;
  /// weights and their updates stay f32. That is faster where the processor has instructions for it
  /// (AMX, AVX512_BF16) and products have more than a few rows; elsewhere it computes the same and
  /// takes longer. Denormal operands may count as zero.
  static Device cpu(int threads = 0, Precision precision = Precision::fp32);
  /// The interpreter that defines the meaning of every op: slow, allocates, for tests and study.
  static Device reference(Precision precision = Precision::fp32);

  int threads() const;
  struct Impl;
  explicit Device(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  const std::shared_ptr<Impl>& impl() const { return impl_; }

 private:
  std::shared_ptr<Impl> impl_;
};

/// Read-only view of a result. A plan's results stay in the same place until its end: a view taken
/// once shows the numbers of every later run().
struct View {
  const std::byte* data = nullptr;
  Shape shape;
  DType type = f32;
  template <class T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(data), static_cast<size_t>(shape.elements())};
  }
  /// The first element as a double: for scalars.
  double scalar() const;
  Tensor copy() const;
};

class Plan {
 public:
  struct Impl;
  explicit Plan(std::unique_ptr<Impl> impl);
  Plan(Plan&&) noexcept;
  Plan& operator=(Plan&&) noexcept;
  ~Plan();

  /// Uses this memory for an input, a parameter or a state from now on; it must outlive its use.
  /// Parameters and states are updated in place. Throws ShapeError, TypeError, GraphError.
  void bind(std::string_view input, Tensor& tensor);
  void bind(std::string_view input, Tensor&& tensor) = delete;  // it would be gone by the next run
  /// The same for memory that is only read: data, and parameters that the plan does not update.
  void bind(std::string_view input, const void* data);
  /// Binds every parameter and state of the plan to the tensor of its name; throws GraphError when
  /// one is missing.
  void bind(Tensors& tensors);
  /// The plan's own memory of an unbound input (zero at first), to be filled before run().
  template <class T>
  std::span<T> input(std::string_view name) {
    return typed<T>(input_view(name));
  }
  /// A result by its output name.
  View output(std::string_view name) const;

  void run() noexcept;

  /// Every instruction with FLOPs, bytes, what was fused into it and why it stands apart, the
  /// memory map of the arena and the passes; once profile() was on, with times and the share of the
  /// machine's limits, which takes some milliseconds to measure.
  PlanReport report() const;
  /// The same as text.
  std::string explain() const;
  /// Measures each instruction from now on (a clock read per instruction). Reports give the least
  /// time that each has taken: what else the machine did meanwhile does not count.
  void profile(bool on);
  /// Bytes of the plan's own memory and number of instructions.
  size_t arena_bytes() const;
  size_t instructions() const;

 private:
  View input_view(std::string_view name) const;
  template <class T>
  std::span<T> typed(const View& view);
  std::unique_ptr<Impl> impl_;
};

/// Options of compile(), for study and tests.
struct CompileOptions {
  /// Passes to leave out, by name ("fuse", "simplify", …).
  std::vector<std::string> without;
  /// Called with the name and the graph after each graph pass.
  std::function<void(std::string_view, const Graph&)> watch;
};

Plan compile(const Graph& graph, const Device& device = Device::cpu(),
             const CompileOptions& options = {});

namespace detail {
[[noreturn]] void wrong_type(std::string_view name, DType found, DType wanted);
}
template <class T>
std::span<T> Plan::typed(const View& view) {
  if (view.type != dtype_of<T>::value)
    detail::wrong_type("an input", view.type, dtype_of<T>::value);
  return {reinterpret_cast<T*>(const_cast<std::byte*>(view.data)),
          static_cast<size_t>(view.shape.elements())};
}

}  // namespace soma
