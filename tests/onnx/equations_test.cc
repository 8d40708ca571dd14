// RNN, LSTM and GRU against ONNX's equations, written out as loops. ONNX's own cases hardly tell
// gates apart, since most of their weights are one number; here they are random and every variant
// runs: directions, layouts, lengths, biases, starts, peepholes, coupled gates, other activations.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "src/base/philox.h"
#include "src/base/text.h"
#include "tests/onnx/table.h"

namespace soma::onnx {
namespace {

constexpr int64_t steps = 4, batch = 3, features = 2, hidden = 2;

using Row = std::vector<double>;
using Function = std::function<double(double)>;

double logistic(double x) { return 1 / (1 + std::exp(-x)); }
double hyperbolic(double x) { return std::tanh(x); }

struct Variant {
  std::string op, direction = "forward";
  bool layout = false, bias = true, lengths = false, start = false, peepholes = false;
  bool input_forget = false, linear_before_reset = false, other_activations = false;

  int64_t directions() const { return direction == "bidirectional" ? 2 : 1; }
  int64_t gates() const { return op == "RNN" ? 1 : op == "GRU" ? 3 : 4; }
  std::string text() const {
    return cat(op, " ", direction, layout ? " layout=1" : "", bias ? "" : " without bias",
               lengths ? " lengths" : "", start ? " start" : "", peepholes ? " peepholes" : "",
               input_forget ? " input_forget" : "",
               linear_before_reset ? " linear_before_reset" : "",
               other_activations ? " other activations" : "");
  }
};

// ---- the node and its inputs

Tensor numbers(Shape shape, uint32_t stream) {
  Random random(7, stream);
  Tensor result(shape, f32);
  for (int64_t i = 0; i < result.elements(); ++i) result.set(i, 2 * random.uniform() - 1);
  return result;
}

// Axes 0 and 1 of a 3-D array change places.
Tensor swapped(const Tensor& x) {
  const int64_t a = x.shape()[0], b = x.shape()[1], c = x.shape()[2];
  Tensor result({b, a, c}, x.type());
  for (int64_t i = 0; i < a * b * c; ++i) {
    result.set((i / c % b * a + i / c / b) * c + i % c, x.at(i));
  }
  return result;
}

Attribute with_text(std::string text) {
  Attribute attribute;
  attribute.text = std::move(text);
  return attribute;
}
Attribute with_integer(int64_t integer) {
  Attribute attribute;
  attribute.integer = integer;
  return attribute;
}

// With "other activations" every function of a direction is another one, with its scaling values.
std::vector<std::string> names(const Variant& v) {
  if (v.op == "RNN") return {"LeakyRelu"};
  return v.op == "GRU" ? std::vector<std::string>{"HardSigmoid", "Softsign"}
                       : std::vector<std::string>{"HardSigmoid", "Affine", "Relu"};
}
std::vector<Function> functions(const Variant& v) {
  if (!v.other_activations) {
    if (v.op == "RNN") return {hyperbolic};
    return {logistic, hyperbolic, hyperbolic};
  }
  const Function hard = [](double x) { return std::clamp(0.3 * x + 0.4, 0.0, 1.0); };
  if (v.op == "RNN") return {[](double x) { return x >= 0 ? x : 0.3 * x; }};
  if (v.op == "GRU") return {hard, [](double x) { return x / (1 + std::abs(x)); }};
  return {hard, [](double x) { return 0.5 * x - 0.1; }, [](double x) { return std::max(x, 0.0); }};
}

Case case_of(const Variant& v) {
  Case test;
  test.name = v.text();
  test.opset = 14;
  const int64_t d = v.directions(), g = v.gates();
  Node node{v.op, {"X", "W", "R", "", "", ""}, {"Y", "Y_h"}, {}};
  test.given["X"] = numbers({steps, batch, features}, 1);
  test.given["W"] = numbers({d, g * hidden, features}, 2);
  test.given["R"] = numbers({d, g * hidden, hidden}, 3);
  const auto give = [&](size_t i, const std::string& name, Tensor tensor) {
    node.inputs.resize(std::max(node.inputs.size(), i + 1));
    node.inputs[i] = name;
    test.given[name] = std::move(tensor);
  };
  if (v.bias) give(3, "B", numbers({d, 2 * g * hidden}, 4));
  if (v.lengths) give(4, "lens", Tensor::of<int32_t>({batch}, {2, steps, 1}));
  if (v.start) give(5, "initial_h", numbers({d, batch, hidden}, 5));
  if (v.start && v.op == "LSTM") give(6, "initial_c", numbers({d, batch, hidden}, 6));
  if (v.peepholes) give(7, "P", numbers({d, 3 * hidden}, 8));
  if (v.op == "LSTM") node.outputs.push_back("Y_c");
  node.attributes["direction"] = with_text(v.direction);
  node.attributes["layout"] = with_integer(v.layout);
  node.attributes["input_forget"] = with_integer(v.input_forget);
  node.attributes["linear_before_reset"] = with_integer(v.linear_before_reset);
  if (v.other_activations) {
    for (int64_t i = 0; i < d; ++i) {
      for (const std::string& f : names(v)) node.attributes["activations"].texts.push_back(f);
      auto& alpha = node.attributes["activation_alpha"].numbers;
      alpha.push_back(0.3);
      if (v.op != "RNN") node.attributes["activation_beta"].numbers.push_back(0.4);
      if (v.op == "LSTM") alpha.push_back(0.5);
      if (v.op == "LSTM") node.attributes["activation_beta"].numbers.push_back(-0.1);
    }
  }
  test.outputs = node.outputs;
  test.nodes.push_back(node);
  return test;
}

// ---- ONNX's equations

// One direction's view of the arrays.
struct Arrays {
  const Case& test;
  int64_t d, gates;
  double at(const char* name, int64_t row, int64_t rows, int64_t column, int64_t columns) const {
    const auto found = test.given.find(name);
    return found == test.given.end() ? 0 : found->second.at((d * rows + row) * columns + column);
  }
  // Row `gate`·hidden + j of W·x, R·h and the two biases.
  double input(int64_t gate, int64_t j, const Row& x) const {
    const int64_t row = gate * hidden + j;
    double sum = at("B", 0, 1, row, 2 * gates * hidden);
    for (int64_t k = 0; k < features; ++k) {
      sum += at("W", row, gates * hidden, k, features) * x[static_cast<size_t>(k)];
    }
    return sum;
  }
  double product(int64_t gate, int64_t j, const Row& h) const {
    const int64_t row = gate * hidden + j;
    double sum = 0;
    for (int64_t k = 0; k < hidden; ++k) {
      sum += at("R", row, gates * hidden, k, hidden) * h[static_cast<size_t>(k)];
    }
    return sum;
  }
  double recurrent_bias(int64_t gate, int64_t j) const {
    return at("B", 0, 1, (gates + gate) * hidden + j, 2 * gates * hidden);
  }
  double state(int64_t gate, int64_t j, const Row& h) const {
    return product(gate, j, h) + recurrent_bias(gate, j);
  }
  double peephole(int64_t gate, int64_t j) const {
    return at("P", 0, 1, gate * hidden + j, 3 * hidden);
  }
};

struct State {
  Row h, c;
};

State rnn_step(const Variant& v, const Arrays& a, const Row& x, const State& s) {
  State next = s;
  for (int64_t j = 0; j < hidden; ++j) {
    next.h[static_cast<size_t>(j)] = functions(v)[0](a.input(0, j, x) + a.state(0, j, s.h));
  }
  return next;
}

// Gates i, o, f, c; peepholes i, o, f.
State lstm_step(const Variant& v, const Arrays& a, const Row& x, const State& s) {
  const auto f = functions(v);
  State next = s;
  for (int64_t j = 0; j < hidden; ++j) {
    const auto n = static_cast<size_t>(j);
    const auto gate = [&](int64_t g) { return a.input(g, j, x) + a.state(g, j, s.h); };
    const double it = f[0](gate(0) + a.peephole(0, j) * s.c[n]);
    const double ft = v.input_forget ? 1 - it : f[0](gate(2) + a.peephole(2, j) * s.c[n]);
    next.c[n] = ft * s.c[n] + it * f[1](gate(3));
    next.h[n] = f[0](gate(1) + a.peephole(1, j) * next.c[n]) * f[2](next.c[n]);
  }
  return next;
}

// Gates z, r, h.
State gru_step(const Variant& v, const Arrays& a, const Row& x, const State& s) {
  const auto f = functions(v);
  Row z, r, reset;
  for (int64_t j = 0; j < hidden; ++j) {
    z.push_back(f[0](a.input(0, j, x) + a.state(0, j, s.h)));
    r.push_back(f[0](a.input(1, j, x) + a.state(1, j, s.h)));
    reset.push_back(r.back() * s.h[static_cast<size_t>(j)]);
  }
  State next = s;
  for (int64_t j = 0; j < hidden; ++j) {
    const auto n = static_cast<size_t>(j);
    const double back = v.linear_before_reset ? r[n] * a.state(2, j, s.h)
                                              : a.product(2, j, reset) + a.recurrent_bias(2, j);
    next.h[n] = (1 - z[n]) * f[1](a.input(2, j, x) + back) + z[n] * s.h[n];
  }
  return next;
}

Row row_of(const Case& test, const std::string& name, int64_t at, int64_t size) {
  Row row(static_cast<size_t>(size), 0);
  const auto found = test.given.find(name);
  for (int64_t k = 0; found != test.given.end() && k < size; ++k) {
    row[static_cast<size_t>(k)] = found->second.at(at * size + k);
  }
  return row;
}

// Runs the loops in layout 0: Y [steps, directions, batch, hidden], Y_h and Y_c [directions, …].
void solve(const Variant& v, Case& test) {
  const int64_t directions = v.directions();
  Tensor y({steps, directions, batch, hidden}, f32), last({directions, batch, hidden}, f32);
  Tensor cell = last;
  for (int64_t d = 0; d < directions; ++d) {
    const Arrays a{test, d, v.gates()};
    const bool backwards = d == 1 || v.direction == "reverse";
    for (int64_t b = 0; b < batch; ++b) {
      const int64_t n = v.lengths ? static_cast<int64_t>(test.given.at("lens").at(b)) : steps;
      State s{row_of(test, "initial_h", d * batch + b, hidden),
              row_of(test, "initial_c", d * batch + b, hidden)};
      for (int64_t i = 0; i < n; ++i) {
        const int64_t t = backwards ? n - 1 - i : i;
        const Row x = row_of(test, "X", t * batch + b, features);
        s = v.op == "RNN"   ? rnn_step(v, a, x, s)
            : v.op == "GRU" ? gru_step(v, a, x, s)
                            : lstm_step(v, a, x, s);
        for (int64_t j = 0; j < hidden; ++j) {
          y.set(((t * directions + d) * batch + b) * hidden + j, s.h[static_cast<size_t>(j)]);
        }
      }
      for (int64_t j = 0; j < hidden; ++j) {
        last.set((d * batch + b) * hidden + j, s.h[static_cast<size_t>(j)]);
        cell.set((d * batch + b) * hidden + j, s.c[static_cast<size_t>(j)]);
      }
    }
  }
  test.wanted = {{"Y", y}, {"Y_h", last}};
  if (v.op == "LSTM") test.wanted["Y_c"] = cell;
}

// As layout 1 has it: the batch in front everywhere.
void put_batch_first(Case& test) {
  for (Tensors* tensors : {&test.given, &test.wanted}) {
    for (auto& [name, tensor] : *tensors) {
      if (name == "X" || name == "initial_h" || name == "initial_c" || name == "Y_h" ||
          name == "Y_c") {
        tensor = swapped(tensor);
      } else if (name == "Y") {
        const Shape s = tensor.shape();  // [steps, directions, batch, hidden]
        const Tensor moved = swapped(tensor.reshaped({s[0] * s[1], s[2], s[3]}));
        tensor = moved.reshaped({s[2], s[0], s[1], s[3]});
      }
    }
  }
}

TEST(Onnx, RecurrentEquations) {
  Table table;
  add_recurrences(table);
  std::vector<Variant> variants;
  for (const char* op : {"RNN", "LSTM", "GRU"}) {
    for (const char* direction : {"forward", "reverse", "bidirectional"}) {
      Variant plain{op, direction};
      variants.push_back(plain);
      plain.lengths = plain.start = true;
      variants.push_back(plain);
      plain.layout = true;
      variants.push_back(plain);
      plain.bias = false;
      plain.other_activations = true;
      variants.push_back(plain);
    }
  }
  for (const bool peepholes : {false, true}) {
    for (const bool coupled : {false, true}) {
      Variant v{"LSTM", "bidirectional"};
      v.start = true;
      v.peepholes = peepholes;
      v.input_forget = coupled;
      variants.push_back(v);
    }
  }
  for (const bool bias : {false, true}) {
    Variant v{"GRU", "bidirectional"};
    v.linear_before_reset = true;
    v.bias = bias;
    variants.push_back(v);
  }
  for (const Variant& v : variants) {
    Case test = case_of(v);
    solve(v, test);
    if (v.layout) put_batch_first(test);
    const Outcome outcome = try_case(test, table);
    if (outcome.kind != Outcome::Kind::agrees) ADD_FAILURE() << test.name << ": " << outcome.why;
  }
}

}  // namespace
}  // namespace soma::onnx
