// From ONNX's op types to what Soma has for them: one row for each op type, which builds the node
// at hand from Soma's own functions.
#pragma once

#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "soma/graph.h"
#include "tests/onnx/case.h"

namespace soma::onnx {

/// Thrown by a row for a node that Soma has nothing for; the text says what is missing.
struct NotExpressible : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A value on its way through the model. What is known while the graph is built (data, weights,
/// shapes) may also be read as numbers; it becomes an input of the graph when it is used.
struct Operand {
  std::string name;
  Value value = {};
  const Tensor* known = nullptr;
  bool constant = false;  ///< The same for any data.
  bool half = false;      ///< Held as f32, but a 16-bit float in the model.
};

using Operands = std::map<std::string, Operand>;

/// A graph and what its inputs hold.
struct Program {
  Graph graph = {};
  Tensors feed = {};
};

/// One node and where it stands: what a row builds from.
class Site {
 public:
  Site(const Node& node, int64_t opset, Program& program, std::vector<Operand*> operands,
       const Operands& scope)
      : node_(node),
        opset_(opset),
        program_(program),
        operands_(std::move(operands)),
        scope_(scope) {}

  Graph& graph() const { return program_.graph; }
  int64_t opset() const { return opset_; }
  size_t inputs() const { return operands_.size(); }
  size_t outputs() const { return node_.outputs.size(); }

  bool has(size_t i) const { return i < operands_.size() && operands_[i] != nullptr; }
  Value in(size_t i) const;
  /// An input whose numbers must be known while the graph is built.
  const Tensor& known(size_t i) const;
  std::vector<int64_t> integers(size_t i) const;
  bool half(size_t i) const { return operands_[i]->half; }
  /// Any value computed so far, by its name in the model.
  Value named(const std::string& name) const { return scope_.at(name).value; }
  /// Input i as a parameter that an optimizer trains.
  Value parameter(size_t i) const;
  /// An array that is known, as an input of the graph: Soma's constants are single numbers.
  Value array(const std::string& name, const Tensor& tensor) const;
  /// What a state made by the row starts from.
  void feed(const std::string& name, Tensor tensor) const {
    program_.feed[name] = std::move(tensor);
  }

  bool set(std::string_view attribute) const { return node_.attributes.count(attribute) != 0; }
  int64_t integer(std::string_view attribute, int64_t absent) const;
  bool flag(std::string_view attribute) const { return integer(attribute, 0) != 0; }
  double number(std::string_view attribute, double absent) const;
  std::string text(std::string_view attribute, std::string_view absent) const;
  std::vector<int64_t> list(std::string_view attribute) const;  ///< Empty when not set.
  std::vector<double> numbers(std::string_view attribute) const;
  std::vector<std::string> texts(std::string_view attribute) const;
  const Attribute& attribute(std::string_view name) const;
  /// The attribute "axis" as an index into `rank` axes.
  int axis(int64_t absent, int rank) const;

 private:
  const Node& node_;
  int64_t opset_;
  Program& program_;
  std::vector<Operand*> operands_;
  const Operands& scope_;
};

struct Entry {
  std::string with;  ///< The Soma functions, for docs/reference/onnx.md.
  std::function<std::vector<Value>(const Site&)> build;
  std::string missing;  ///< Why there is nothing to build with.
};

class Table {
 public:
  /// `build` gives the node's only output or all of them.
  template <class F>
  void add(std::string op, std::string with, F build) {
    Entry entry{std::move(with), {}, {}};
    if constexpr (std::is_same_v<std::invoke_result_t<F, const Site&>, Value>) {
      entry.build = [build](const Site& at) { return std::vector{build(at)}; };
    } else {
      entry.build = build;
    }
    entries_[std::move(op)] = std::move(entry);
  }
  /// Op types that Soma has nothing for, and why.
  void lack(std::initializer_list<const char*> ops, const std::string& why) {
    for (const char* op : ops) entries_[op] = {{}, {}, why};
  }
  const Entry* find(const std::string& op) const {
    const auto entry = entries_.find(op);
    return entry == entries_.end() ? nullptr : &entry->second;
  }

 private:
  std::map<std::string, Entry> entries_;
};

// The families, each in a file of its own.
void add_maps(Table& table);
void add_reductions(Table& table);
void add_moves(Table& table);
void add_products(Table& table);
void add_losses(Table& table);
void add_optimizers(Table& table);
void add_normalizations(Table& table);
void add_recurrences(Table& table);
void add_windows(Table& table);
void add_absent(Table& table);

struct Outcome {
  enum class Kind { agrees, differs, not_expressible } kind = Kind::agrees;
  std::string why;
  bool cpu_only = false;  ///< Too much work for the interpreter.
};
/// Builds the case from the table's rows, runs it on the interpreter and on the CPU, and compares.
Outcome try_case(const Case& test, const Table& table);

/// Copies of `dims` as the types the builder takes.
inline Dims dims_of(const std::vector<int64_t>& dims) {
  return Dims(std::span<const int64_t>(dims));
}

}  // namespace soma::onnx
