// Convolutions against the interpreter and against plain loops: every role, type, instruction set
// and form of window, with the same bits for any number of threads and any order of chunks.
#include "src/backends/cpu/conv.h"

#include <cstring>

#include "tests/exec/compare.h"

namespace soma::cpu {
namespace {

/// One convolution's operands, by the shapes of x and w.
struct Case {
  Shape x, w;
  Dims stride, lo, hi, dilation;
  int64_t groups = 1;
};

/// A graph with the three roles, each fed with inputs of its own.
Graph graph_of(const Case& c, DType type) {
  Graph g;
  const Value x = g.input("x", c.x, type), w = g.input("w", c.w, type);
  ConvAttr attr{ConvRole::y, c.stride, c.lo, c.hi, c.dilation, c.groups, {}};
  const Value y = conv(x, w, attr);
  const Shape y_shape = y.shape();
  g.output("y", y);
  const Value dy = g.input("dy", y_shape, type);
  attr.role = ConvRole::dx;
  attr.size = Dims(std::span(c.x).subspan(2));
  g.output("dx", conv(dy, w, attr));
  attr.role = ConvRole::dw;
  attr.size = Dims(std::span(c.w).subspan(2));
  g.output("dw", conv(x, dy, attr));
  return g;
}

/// Random cases that fit: small, with everything odd.
Case random_case(Random& random, int spatial) {
  const auto below = [&](int64_t n) {
    return static_cast<int64_t>(random.uniform() * static_cast<float>(n));
  };
  Case c;
  c.groups = below(3) == 0 ? 1 + below(3) : 1;
  c.x = {1 + below(4), c.groups * (1 + below(5))};
  c.w = {c.groups * (1 + below(below(2) ? 5 : 40)), c.x[1] / c.groups};
  for (int i = 0; i < spatial; ++i) {
    const int64_t window = 1 + below(4), dilation = 1 + below(3);
    const int64_t reach = (window - 1) * dilation + 1;
    c.w.push_back(window);
    c.dilation.push_back(dilation);
    c.stride.push_back(1 + below(3));
    c.lo.push_back(below(4));
    c.hi.push_back(below(4));
    const int64_t least = std::max<int64_t>(1, reach - c.lo[i] - c.hi[i]);
    c.x.push_back(least + below(spatial == 3 ? 5 : 12));
  }
  return c;
}

std::string text(const Case& c) {
  return cat("x ", c.x, " w ", c.w, " stride ", c.stride, " lo ", c.lo, " hi ", c.hi, " dilation ",
             c.dilation, " groups ", c.groups);
}

TEST(Convolution, AgreesWithTheInterpreter) {
  Random random(7, 0);
  for (int i = 0; i < 240; ++i) {
    const Case c = random_case(random, 1 + i % 3);
    const DType type = i % 4 == 0 ? f64 : f32;
    const Graph g = graph_of(c, type);
    const auto inputs = random_inputs(g, 1);
    const Interpretation wanted = interpret(g, inputs);
    const RunResult found = run_plan(g, inputs, Device::cpu(1));
    for (size_t k = 0; k < 3; ++k) {
      ASSERT_NO_FATAL_FAILURE(expect_near(found.outputs[k], wanted.outputs[k],
                                          type == f64 ? 1e-12 : 2e-5,
                                          cat(g.outputs()[k].name, ": ", text(c))));
    }
  }
}

/// dw, dx and y of a 2-D case by plain loops in double.
std::vector<Tensor> by_loops(const Case& c, const std::vector<Tensor>& in, const Shape& y) {
  const Tensor &x = in[0], &w = in[1], &dy = in[2];
  const int64_t ins = c.w[1], outs = c.w[0] / c.groups;
  std::vector<std::vector<double>> sum{std::vector<double>(static_cast<size_t>(y.elements())),
                                       std::vector<double>(static_cast<size_t>(x.elements())),
                                       std::vector<double>(static_cast<size_t>(w.elements()))};
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t o = 0; o < y[1]; ++o)
      for (int64_t i = 0; i < ins; ++i)
        for (int64_t p = 0; p < y[2] * y[3]; ++p)
          for (int64_t k = 0; k < c.w[2] * c.w[3]; ++k) {
            const int64_t h = p / y[3] * c.stride[0] - c.lo[0] + k / c.w[3] * c.dilation[0];
            const int64_t v = p % y[3] * c.stride[1] - c.lo[1] + k % c.w[3] * c.dilation[1];
            if (h < 0 || v < 0 || h >= c.x[2] || v >= c.x[3]) continue;
            const int64_t xi = ((n * c.x[1] + o / outs * ins + i) * c.x[2] + h) * c.x[3] + v;
            const int64_t wi = (o * ins + i) * c.w[2] * c.w[3] + k;
            const int64_t yi = (n * y[1] + o) * y[2] * y[3] + p;
            const auto at = [](const Tensor& t, int64_t e) {
              return static_cast<double>(t.data<float>()[static_cast<size_t>(e)]);
            };
            sum[0][static_cast<size_t>(yi)] += at(x, xi) * at(w, wi);
            sum[1][static_cast<size_t>(xi)] += at(dy, yi) * at(w, wi);
            sum[2][static_cast<size_t>(wi)] += at(x, xi) * at(dy, yi);
          }
  std::vector<Tensor> result{Tensor(y), Tensor(x.shape()), Tensor(w.shape())};
  for (size_t k = 0; k < 3; ++k) {
    for (size_t e = 0; e < sum[k].size(); ++e) {
      result[k].data<float>()[e] = static_cast<float>(sum[k][e]);
    }
  }
  return result;
}

/// Large enough to be cut in every way: rows, channels, samples, outputs, inputs.
const Case large[] = {
    {{9, 3, 30, 31}, {20, 3, 5, 5}, {1, 1}, {2, 2}, {2, 2}, {1, 1}, 1},     // samples
    {{2, 16, 40, 24}, {34, 16, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},   // rows
    {{1, 70, 6, 5}, {130, 70, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},    // channels
    {{3, 40, 17, 18}, {48, 40, 3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, 1},   // a stride
    {{2, 64, 20, 20}, {96, 64, 1, 1}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, 1},   // one tap
    {{5, 24, 33, 33}, {24, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {2, 2}, 24},   // each its own group
    {{1, 2, 300, 410}, {3, 2, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},    // beyond the cache
    {{2, 12, 18, 19}, {64, 12, 4, 2}, {3, 2}, {0, 1}, {2, 0}, {1, 3}, 1}};  // all odd

TEST(Convolution, LargeOnesAreTheSameForAnyNumberOfThreads) {
  for (const Case& c : large) {
    const Graph g = graph_of(c, f32);
    const auto inputs = random_inputs(g, 2);
    const RunResult one = run_plan(g, inputs, Device::cpu(1));
    const auto wanted = by_loops(c, inputs, one.outputs[0].shape());
    for (size_t k = 0; k < 3; ++k) {
      ASSERT_NO_FATAL_FAILURE(
          expect_near(one.outputs[k], wanted[k], 1e-4, cat(g.outputs()[k].name, ": ", text(c))));
    }
    for (const int threads : {2, 3, 4, 7}) {
      EXPECT_TRUE(run_plan(g, inputs, Device::cpu(threads)).outputs == one.outputs)
          << "the bits differ with " << threads << " threads: " << text(c);
    }
  }
}

/// Runs one node's instructions with its chunks backwards, each by itself.
Tensor run_node(const Node& node, const std::vector<const Tensor*>& in, const Isa& isa) {
  const auto plan = plan_conv(node, in[0]->shape(), in[1]->shape());
  Tensor result(node.shape, node.type), workspace({plan->workspace_bytes}, u8);
  Tensor scratch({plan->scratch_bytes + 64}, u8), a = *in[0], b = *in[1];
  std::byte* memory[] = {a.raw(), b.raw(), result.raw(), workspace.raw()};
  for (const Instruction& i : plan->instructions({{0, 0}, {1, 0}, 2, 3}, isa)) {
    for (int64_t chunk = i.chunks; chunk-- > 0;) {
      std::memset(scratch.raw(), 0xff, scratch.bytes());  // NaN: nothing may be taken from before
      i.kernel(i.args.get(), memory, chunk, chunk + 1, scratch.raw());
    }
  }
  return result;
}

TEST(Convolution, EveryInstructionSetAndOrderOfChunks) {
  Random random(3, 0);
  for (int i = 0; i < 24; ++i) {
    const Case c = i < 4 ? large[i] : random_case(random, 1 + i % 3);
    const Graph g = graph_of(c, i % 2 ? f64 : f32);
    const auto inputs = random_inputs(g, 3);
    const RunResult wanted = run_plan(g, inputs, Device::cpu(1));
    const std::vector<const Tensor*> operands[] = {
        {&inputs[0], &inputs[1]}, {&inputs[2], &inputs[1]}, {&inputs[0], &inputs[2]}};
    for (size_t k = 0; k < 3; ++k) {
      for (const auto name : isa_names()) {
        const Tensor found = run_node(g[g.outputs()[k].id], operands[k], isa_named(name));
        ASSERT_NO_FATAL_FAILURE(expect_near(found, wanted.outputs[k], i % 2 ? 1e-12 : 1e-4,
                                            cat(name, " ", g.outputs()[k].name, ": ", text(c))));
        if (&isa_named(name) == &isa()) {
          EXPECT_TRUE(found == wanted.outputs[k]) << name << " " << text(c);
        }
      }
    }
  }
}

TEST(Convolution, NothingToAddGivesZeros) {
  for (const Case& c : {Case{{2, 0, 5}, {3, 0, 2}, {1}, {0}, {0}, {1}, 1},
                        Case{{2, 3, 1}, {3, 3, 4}, {1}, {0}, {0}, {1}, 1},
                        Case{{0, 3, 6}, {3, 3, 4}, {1}, {0}, {0}, {1}, 1},
                        Case{{2, 3, 0}, {3, 3, 2}, {1}, {1}, {1}, {1}, 1},
                        Case{{2, 3, 0, 4}, {3, 3, 2, 2}, {1, 1}, {1, 0}, {1, 0}, {1, 1}, 1},
                        Case{{2, 3, 4, 0}, {3, 3, 2, 2}, {1, 2}, {0, 1}, {0, 1}, {1, 1}, 1}}) {
    const Graph g = graph_of(c, f32);
    const auto inputs = random_inputs(g, 1);
    EXPECT_TRUE(run_plan(g, inputs, Device::cpu(2)).outputs == interpret(g, inputs).outputs)
        << text(c);
  }
}

}  // namespace
}  // namespace soma::cpu
