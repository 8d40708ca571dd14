// The interpreter: slow, obvious, and the definition of what every op means. Backends are tested
// against it.
//
// f32 is computed in float with the standard library's functions and f64 in double; sums (reduce,
// dot, conv, fold, scatter_add) of f32 are taken in double and rounded once, so a backend may
// differ from them by rounding. Integers wrap on overflow.
#include "src/ir/interpret.h"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "soma/error.h"
#include "src/base/philox.h"
#include "src/base/text.h"
#include "src/ir/infer.h"

namespace soma {

namespace {

using Meaning = void (*)(const Frame&);
constexpr Meaning table[] = {
#define SOMA_OP(name, ...) meaning::name,
#include "soma/ops.def"
#undef SOMA_OP
};

DType effective(DType type, bool as_double) { return as_double && type == f32 ? f64 : type; }

/// Which nodes the wanted ones depend on: dead nodes are not worth their time.
std::vector<bool> needed_for(const Graph& graph, std::span<const Id> ids) {
  std::vector<bool> needed(graph.size(), false);
  for (const Id id : ids) needed[id] = true;
  for (size_t id = graph.size(); id-- > 0;) {
    if (!needed[id]) continue;
    for (const Id in : graph[static_cast<Id>(id)].in) needed[in] = true;
  }
  return needed;
}

void check_inputs(const Graph& graph, std::span<const Tensor> inputs, bool as_double) {
  if (inputs.size() != graph.inputs().size()) {
    throw ArgumentError(cat("the graph has ", graph.inputs().size(), " inputs, but ", inputs.size(),
                            " arrays were given"));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Node& node = graph[graph.inputs()[i]];
    const auto& name = node.as<InputAttr>().name;
    if (inputs[i].shape() != node.shape) {
      throw ShapeError(
          cat("input \"", name, "\" is ", node.shape, ", but was given ", inputs[i].shape()));
    }
    const DType type = inputs[i].type();
    if (type != node.type && type != effective(node.type, as_double)) {
      throw TypeError(cat("input \"", name, "\" is ", node.type, ", but was given ", type));
    }
  }
}

}  // namespace

std::vector<Tensor> evaluate(const Graph& graph, std::span<const Id> ids,
                             std::span<const Tensor> inputs, bool as_double, Precision precision,
                             int depth) {
  if (depth > max_nesting) {
    throw GraphError(cat("bodies are nested more than ", max_nesting, " deep"));
  }
  check_inputs(graph, inputs, as_double);
  const std::vector<bool> needed = needed_for(graph, ids);
  std::vector<Results> values(graph.size());
  size_t next_input = 0;
  for (Id id = 0; id < graph.size(); ++id) {
    const Node& node = graph[id];
    const Tensor* argument = node.op == Op::input ? &inputs[next_input++] : nullptr;
    if (!needed[id]) continue;
    values[id].emplace_back(node.shape, effective(node.type, as_double));
    table[static_cast<size_t>(node.op)](
        {node, values, argument, values[id], as_double, precision, depth});
  }
  std::vector<Tensor> results;
  for (const Id id : ids) results.push_back(values[id][0]);
  return results;
}

Interpretation interpret(const Graph& graph, std::span<const Tensor> inputs, bool as_double,
                         Precision precision) {
  std::vector<Id> ids;
  for (const auto& output : graph.outputs()) ids.push_back(output.id);
  for (const auto& update : graph.updates()) ids.push_back(update.value);
  std::vector<Tensor> all = evaluate(graph, ids, inputs, as_double, precision, 0);
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(graph.outputs().size());
  return {{std::make_move_iterator(all.begin()), std::make_move_iterator(middle)},
          {std::make_move_iterator(middle), std::make_move_iterator(all.end())}};
}

namespace meaning {

// ---- leaves

void input(const Frame& f) { f.out() = converted(*f.argument, f.out().type()); }

void constant(const Frame& f) {
  f.out() = converted(Tensor::scalar(f.node.as<ConstantAttr>().value, f64), f.out().type());
}

void iota(const Frame& f) {
  const int axis = static_cast<int>(f.node.as<IotaAttr>().axis);
  visit_number(f.out().type(), [&]<class T>(T) {
    auto out = f.out().data<T>().begin();
    for_each_index(f.out().shape(),
                   [&](const Dims& index) { *out++ = static_cast<T>(index[axis]); });
  });
}

void rng(const Frame& f) {
  const auto& a = f.node.as<RngAttr>();
  const auto key = f.in(0).data<int64_t>();
  const auto bits = [&](int64_t element) {
    return philox_bits(static_cast<uint64_t>(key[0]), static_cast<uint32_t>(key[1]),
                       static_cast<uint64_t>(a.stream), static_cast<uint64_t>(element));
  };
  for (int64_t i = 0; i < f.out().elements(); ++i) {
    const bool single = a.type == f32;  // the same numbers in double, if f32 was promoted
    const uint64_t wide = single ? 0 : bits(2 * i) | uint64_t{bits(2 * i + 1)} << 32;
    f.out().set(i, single ? static_cast<double>(uniform_float(bits(i)))
                          : static_cast<double>(wide >> 11) * 0x1p-53);
  }
}

// ---- control

static std::vector<Tensor> outputs_of(const Frame& f, const Graph& body,
                                      std::span<const Tensor> inputs) {
  std::vector<Id> ids;
  for (const auto& output : body.outputs()) ids.push_back(output.id);
  return evaluate(body, ids, inputs, f.as_double, f.precision, f.depth + 1);
}

static std::vector<Tensor> operands(const Frame& f) {
  std::vector<Tensor> result;
  for (size_t i = 0; i < f.node.in.size(); ++i) result.push_back(f.in(i));
  return result;
}

void call(const Frame& f) { f.results = outputs_of(f, *f.node.as<CallAttr>().body, operands(f)); }

static void copy_slice(const std::byte* from, std::byte* to, size_t bytes) {
  std::copy_n(from, bytes, to);
}

void scan(const Frame& f) {
  const auto& a = f.node.as<ScanAttr>();
  const auto first_carry = static_cast<size_t>(a.consts);
  const auto carries = static_cast<size_t>(a.carries);
  const std::vector<Tensor> given = operands(f);
  std::vector<Tensor> in;  // of the body: consts, carries, one slice of each sequence
  for (const Id id : a.body->inputs()) {
    const Node& node = (*a.body)[id];
    in.emplace_back(node.shape, effective(node.type, f.as_double));
  }
  std::copy_n(given.begin(), first_carry + carries, in.begin());
  f.results.clear();
  for (int64_t i = 0; i < result_count(f.node); ++i) {
    const Result result = result_of(f.node, i);
    f.results.emplace_back(result.shape, effective(result.type, f.as_double));
  }
  for (int64_t step = 0; step < a.length; ++step) {
    const auto t = static_cast<size_t>(a.reverse ? a.length - 1 - step : step);
    for (size_t i = first_carry + carries; i < in.size(); ++i) {
      copy_slice(given[i].raw() + t * in[i].bytes(), in[i].raw(), in[i].bytes());
    }
    std::vector<Tensor> out = outputs_of(f, *a.body, in);
    for (size_t i = carries; i < out.size(); ++i) {
      copy_slice(out[i].raw(), f.results[i].raw() + t * out[i].bytes(), out[i].bytes());
    }
    for (size_t i = 0; i < carries; ++i) in[first_carry + i] = std::move(out[i]);
  }
  for (size_t i = 0; i < carries; ++i) f.results[i] = in[first_carry + i];
}

void get(const Frame& f) {
  const auto index = static_cast<size_t>(f.node.as<GetAttr>().index);
  f.out() = f.values[f.node.in[0]][index];
}

}  // namespace meaning

}  // namespace soma
