// Products of operands rounded to bf16: the CPU against the interpreter, alone, in loops and with
// what follows them at once. Only sums differ, so the tolerance is that of f32, unless rounding
// what another product made may go the other way.
#include "soma/gradient.h"
#include "tests/exec/compare.h"

namespace soma {
namespace {

constexpr auto bf16 = Precision::bf16;

void expect_bf16_agrees(const Graph& graph, double tolerance) {
  expect_cpu_agrees(graph, random_inputs(graph, 1), tolerance, bf16);
  const auto inputs = random_inputs(graph, 2);
  const RunResult one = run_plan(graph, inputs, Device::cpu(1, bf16));
  for (const int threads : {4, 7}) {
    const RunResult many = run_plan(graph, inputs, Device::cpu(threads, bf16));
    EXPECT_TRUE(many.outputs == one.outputs && many.updates == one.updates) << threads;
  }
}

Value relu_of(Value x) { return select(x > 0.0, x, 0.0); }

TEST(Bf16, ProductsInAllForms) {
  for (const int64_t depth : {1, 20, 31, 33, 97, 1100}) {
    for (const bool ta : {false, true}) {
      for (const bool tb : {false, true}) {
        Graph g;
        const Value a = g.input("a", ta ? Shape{2, depth, 33} : Shape{2, 33, depth});
        const Value b = g.input("b", tb ? Shape{2, 17, depth} : Shape{2, depth, 17});
        const Value y = dot(a, b, ta, tb);
        g.output("y", y);
        g.output("tanh", tanh(y + g.input("bias", {17})));
        g.output("columns", sum(y * 0.1, {0, 1}));
        expect_bf16_agrees(g, 2e-4);
      }
    }
  }
}

TEST(Bf16, WhatFollowsAProduct) {
  for (const int64_t rows : {1, 7, 33, 130}) {
    for (const int64_t columns : {1, 10, 47, 130}) {
      Graph g;
      const Value x = g.input("x", {rows, 77}), w = g.input("w", {77, columns});
      const Value other = g.input("other", {rows, columns});
      const Value bias = g.parameter("bias", {columns}), into = g.parameter("into", {77, columns});
      g.output("bias", dot(x, w * 1.5) + bias);
      g.output("relu", relu_of(dot(x, w * 2.5) + bias));
      g.output("relu alone", relu_of(dot(x * 2.0, w)));
      g.output("onto", dot(x * 4.0, w) + other);
      const Value e = exp(dot(x, w) * 0.1);
      g.output("softmax", e / sum(e, {-1}, Keep::yes));
      g.update(into, into - dot(x, other, true) * 0.25);
      g.update(bias, bias + sum(dot(x * 0.5, w) + bias, {0}));
      expect_bf16_agrees(g, 4e-4);
    }
  }
}

TEST(Bf16, OperandsAreRoundedAndNothingElse) {
  const auto y_of = [](DType type, double operand, double added, const Device& device) {
    Graph g;
    const Value x = g.input("x", {1, 1}, type), w = g.input("w", {1, 1}, type);
    g.output("y", dot(x, w) + added);
    std::vector<Tensor> inputs{Tensor(Shape{1, 1}, type), Tensor(Shape{1, 1}, type)};
    inputs[0].set(0, operand);
    inputs[1].set(0, 1);
    return run_plan(g, inputs, device).outputs[0].at(0);
  };
  for (const Device& device : {Device::cpu(1, bf16), Device::reference(bf16)}) {
    EXPECT_EQ(y_of(f32, 1 + 0x1p-9, 0x1p-20, device), 1 + 0x1p-20);
    EXPECT_EQ(y_of(f64, 1 + 0x1p-9, 0x1p-20, device), 1 + 0x1p-9 + 0x1p-20);
  }
  EXPECT_EQ(y_of(f32, 1 + 0x1p-9, 0x1p-20, Device::cpu(1)), 1 + 0x1p-9 + 0x1p-20);
}

TEST(Bf16, LoopsAndTheirGradients) {
  for (const int64_t batch : {4, 37, 64}) {
    const int64_t steps = 5, width = 3, hidden = 24;
    Graph g, body;
    const Value w = g.parameter("w", {width, hidden}), u = g.parameter("u", {hidden, hidden});
    const Value x = g.input("x", {steps, batch, width});
    const Value bw = body.input("w", w.shape()), bu = body.input("u", u.shape());
    const Value h = body.input("h", {batch, hidden});
    const Value next = tanh(dot(body.input("x", {batch, width}), bw) + dot(h, bu) * 0.3);
    body.output("h", next);
    body.output("y", next);
    const Value y = scan(g, std::move(body), std::vector<Value>{w, u},
                         std::vector<Value>{g.constant(0, {batch, hidden}, f32)},
                         std::vector<Value>{x}, steps)[1];
    g.output("y", y);
    for (const Value d : gradients(mean(square(y)), std::vector<Value>{w, u, x})) {
      g.output(cat("d", d.id()), d);
    }
    // What the last step made is rounded for the next: to one side or the other, 2^-8 apart.
    expect_bf16_agrees(g, 4e-3);
  }
}

}  // namespace
}  // namespace soma
