#include "tests/onnx/table.h"

#include <cmath>
#include <deque>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/ir/cost.h"

namespace soma::onnx {

// ---- what a row may ask

Value Site::in(size_t i) const {
  if (!has(i)) throw NotExpressible(cat("input ", i, " is left out"));
  Operand& operand = *operands_[i];
  if (!operand.value) {
    operand.value = graph().input(operand.name, operand.known->shape(), operand.known->type());
    program_.feed[operand.name] = *operand.known;
  }
  return operand.value;
}

const Tensor& Site::known(size_t i) const {
  if (!has(i) || !operands_[i]->known) {
    throw NotExpressible(
        cat("input ", i, " is computed, but shapes are fixed when a graph is ", "built"));
  }
  return *operands_[i]->known;
}

std::vector<int64_t> Site::integers(size_t i) const {
  const Tensor& tensor = known(i);
  std::vector<int64_t> result;
  for (int64_t k = 0; k < tensor.elements(); ++k) {
    result.push_back(static_cast<int64_t>(tensor.at(k)));
  }
  return result;
}

Value Site::parameter(size_t i) const {
  const Tensor& start = known(i);
  const std::string& name = operands_[i]->name;
  program_.feed[name] = start;
  return graph().parameter(name, start.shape(), "0", start.type());
}

Value Site::array(const std::string& name, const Tensor& tensor) const {
  const std::string full = cat(node_.op, "/", program_.feed.size(), "/", name);
  program_.feed[full] = tensor;
  return graph().input(full, tensor.shape(), tensor.type());
}

int64_t Site::integer(std::string_view name, int64_t absent) const {
  return set(name) ? attribute(name).integer : absent;
}
double Site::number(std::string_view name, double absent) const {
  return set(name) ? attribute(name).number : absent;
}
std::string Site::text(std::string_view name, std::string_view absent) const {
  return set(name) ? attribute(name).text : std::string(absent);
}
std::vector<int64_t> Site::list(std::string_view name) const {
  return set(name) ? attribute(name).integers : std::vector<int64_t>{};
}
std::vector<double> Site::numbers(std::string_view name) const {
  return set(name) ? attribute(name).numbers : std::vector<double>{};
}
std::vector<std::string> Site::texts(std::string_view name) const {
  return set(name) ? attribute(name).texts : std::vector<std::string>{};
}
const Attribute& Site::attribute(std::string_view name) const {
  const auto found = node_.attributes.find(name);
  if (found == node_.attributes.end()) {
    throw ArgumentError(cat("the node ", node_.op, " has no attribute \"", name, "\""));
  }
  return found->second;
}
int Site::axis(int64_t absent, int rank) const {
  const int64_t axis = integer("axis", absent);
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

// ---- building and running

namespace {

using Kind = Outcome::Kind;

/// Operations beyond which the interpreter would take seconds.
constexpr int64_t most_interpreted = 20'000'000;

// Every output of the program, in order.
std::vector<Tensor> interpreted(const Program& program) {
  std::vector<Tensor> inputs;
  for (const Id id : program.graph.inputs()) {
    inputs.push_back(program.feed.at(program.graph[id].as<InputAttr>().name));
  }
  return interpret(program.graph, inputs).outputs;
}

std::vector<Tensor> run_on_cpu(const Program& program) {
  Tensors feed = program.feed;
  Plan plan = compile(program.graph, Device::cpu(1));
  for (const Id id : program.graph.inputs()) {
    const std::string& name = program.graph[id].as<InputAttr>().name;
    plan.bind(name, feed.at(name));
  }
  plan.run();
  std::vector<Tensor> result;
  for (const auto& output : program.graph.outputs()) {
    result.push_back(plan.output(output.name).copy());
  }
  return result;
}

// Builds the nodes of a model in order. What follows from constants alone (shapes computed by
// nodes) is evaluated on the way.
class Model {
 public:
  Model(const Case& test, const Table& table, Program& program)
      : test_(test), table_(table), program_(program) {
    for (const auto& [name, tensor] : test.initializers) define({name, {}, &tensor, true});
    for (const auto& [name, tensor] : test.given) {
      define({name, {}, &tensor, false, test.halves.count(name) != 0});
    }
    for (const Node& node : test.nodes) add(node);
  }

  void name_outputs() {
    for (const std::string& name : test_.outputs) {
      const auto found = operands_.find(name);
      if (found == operands_.end()) throw NotExpressible(cat("output ", name, " is not computed"));
      Operand& operand = found->second;
      if (!operand.value) throw NotExpressible("every result follows from constants alone");
      program_.graph.output(name, operand.value);
    }
  }

 private:
  void define(Operand operand) { operands_[operand.name] = std::move(operand); }

  void add(const Node& node) {
    const Entry* entry = table_.find(node.op);
    if (!entry) throw ArgumentError(cat("the table has no row for the op type ", node.op));
    if (!entry->build) throw NotExpressible(entry->missing);
    std::vector<Operand*> operands;
    bool constant = test_.nodes.size() > 1;
    for (const std::string& name : node.inputs) {
      const auto found = operands_.find(name);
      operands.push_back(found == operands_.end() ? nullptr : &found->second);
      // A shape is a constant whatever it is the shape of.
      constant = constant && (!operands.back() || operands.back()->constant || node.op == "Shape");
    }
    constant ? fold(node, *entry, operands) : build(node, *entry, operands);
  }

  void build(const Node& node, const Entry& entry, const std::vector<Operand*>& operands) {
    const auto values = entry.build(Site(node, test_.opset, program_, operands, operands_));
    for (size_t i = 0; i < node.outputs.size() && i < values.size(); ++i) {
      if (!node.outputs[i].empty()) define({node.outputs[i], values[i]});
    }
  }

  void fold(const Node& node, const Entry& entry, const std::vector<Operand*>& operands) {
    Program apart;
    std::deque<Operand> copies;
    std::vector<Operand*> inputs;
    for (const Operand* operand : operands) {
      inputs.push_back(nullptr);
      if (!operand) continue;
      copies.push_back(*operand);
      if (copies.back().known) {
        copies.back().value = {};
      } else {  // Shape of a computed value: only the shape counts.
        shapes_.emplace_back(operand->value.shape(), operand->value.type());
        copies.back() = {operand->name, {}, &shapes_.back(), true};
      }
      inputs.back() = &copies.back();
    }
    const auto values = entry.build(Site(node, test_.opset, apart, inputs, operands_));
    for (size_t i = 0; i < values.size(); ++i) apart.graph.output(std::to_string(i), values[i]);
    std::vector<Tensor> results = interpreted(apart);
    for (size_t i = 0; i < node.outputs.size() && i < results.size(); ++i) {
      folded_.push_back(std::move(results[i]));
      define({node.outputs[i], {}, &folded_.back(), true});
    }
  }

  const Case& test_;
  const Table& table_;
  Program& program_;
  Operands operands_;
  std::deque<Tensor> folded_, shapes_;
};

std::string difference(const Tensor& found, const Tensor& wanted, double tolerance) {
  if (found.shape() != wanted.shape()) {
    return cat("the shape is ", found.shape(), ", should be ", wanted.shape());
  }
  if (found.type() != wanted.type()) {
    return cat("the type is ", found.type(), ", should be ", wanted.type());
  }
  for (int64_t i = 0; i < wanted.elements(); ++i) {
    const double a = found.at(i), b = wanted.at(i);
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    const double most = is_float(wanted.type()) ? tolerance * std::abs(b) + 1e-6 : 0;
    if (!(std::abs(a - b) <= most)) return cat("element ", i, " is ", a, ", should be ", b);
  }
  return {};
}

std::string difference(const std::vector<Tensor>& found, const Case& test, std::string_view where) {
  for (size_t i = 0; i < found.size(); ++i) {
    const std::string why = difference(found[i], test.wanted.at(test.outputs[i]), test.tolerance);
    if (!why.empty()) return cat(where, ", output ", test.outputs[i], ": ", why);
  }
  return {};
}

}  // namespace

Outcome try_case(const Case& test, const Table& table) {
  if (!test.unreadable.empty()) return {Kind::not_expressible, test.unreadable};
  Program program;
  try {
    Model(test, table, program).name_outputs();
  } catch (const NotExpressible& reason) {
    return {Kind::not_expressible, reason.what()};
  } catch (const Error& error) {
    return {Kind::differs, error.what()};
  }
  for (const std::string& output : test.outputs) {
    if (!test.wanted.count(output)) return {Kind::differs, cat("no data for output ", output)};
  }
  Outcome outcome;
  outcome.cpu_only = flops(program.graph) > most_interpreted;
  if (!outcome.cpu_only) outcome.why = difference(interpreted(program), test, "interpreter");
  if (outcome.why.empty()) outcome.why = difference(run_on_cpu(program), test, "CPU");
  if (!outcome.why.empty()) outcome.kind = Kind::differs;
  return outcome;
}

}  // namespace soma::onnx
