// Every recurrent cell against a loop written by hand, its gradients to second order, and the CPU
// against the interpreter.
#include <cmath>
#include <functional>
#include <map>

#include "soma/gradcheck.h"
#include "soma/gradient.h"
#include "tests/exec/compare.h"
#include "tests/nn/recurrent_cells.h"

namespace soma::test {

namespace {

constexpr int64_t B = 2, T = 4;

// ---- the loops: one sample, plain numbers

using Arrays = std::map<std::string, Tensor>;
using States = std::vector<Vec>;
using Loop = std::function<States(const Arrays&, const Vec& x, const States&)>;

double sig(double x) { return 1 / (1 + std::exp(-x)); }

// Unit j of block `gate` (of `gates`) of x·w, for a matrix that has the array's whole width.
double link(const Vec& x, const Tensor& w, int64_t gate, int64_t gates, size_t j) {
  const int64_t width = w.shape()[1], units = width / gates;
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    sum += x[i] * w.at(static_cast<int64_t>(i) * width + gate * units + static_cast<int64_t>(j));
  }
  return sum;
}
double at(const Arrays& a, const std::string& name, size_t i) {
  const auto found = a.find(name);
  return found == a.end() ? 0.0 : found->second.at(static_cast<int64_t>(i));
}
// Gate sums without and with what comes back.
double in_sum(const Arrays& a, const Vec& x, int64_t gate, int64_t gates, size_t j, size_t n) {
  return link(x, a.at("weights"), gate, gates, j) +
         at(a, "bias", static_cast<size_t>(gate) * n + j);
}
double sum_of(const Arrays& a, const Vec& x, const Vec& h, int64_t gate, int64_t gates, size_t j,
              size_t n) {
  return in_sum(a, x, gate, gates, j, n) + link(h, a.at("recurrent"), gate, gates, j);
}

Loop rnn_loop(std::vector<double (*)(double)> f, double leak = 1) {
  return [=](const Arrays& a, const Vec& x, const States& s) -> States {
    Vec h(s[0].size());
    for (size_t j = 0; j < h.size(); ++j) {
      const double fresh = f[j % f.size()](sum_of(a, x, s[0], 0, 1, j, h.size()));
      h[j] = (1 - leak) * s[0][j] + leak * fresh;
    }
    return {h};
  };
}

States jordan_loop(const Arrays& a, const Vec& x, const States& s) {
  Vec hidden(2), y(3);
  for (size_t j = 0; j < 2; ++j) hidden[j] = std::tanh(sum_of(a, x, s[0], 0, 1, j, 2));
  for (size_t j = 0; j < 3; ++j) {
    y[j] = link(hidden, a.at("output"), 0, 1, j) + at(a, "output_bias", j);
  }
  return {y};
}

struct LstmFunctions {
  double (*gate)(double) = sig;
  double (*activation)(double) = std::tanh;
  double (*hidden)(double) = std::tanh;
};
Loop lstm_loop(const LstmFunctions& f = {}, bool coupled = false) {
  return [=](const Arrays& a, const Vec& x, const States& s) -> States {
    const Vec &h = s[0], &c = s[1];
    const size_t n = c.size();
    const int64_t gates = coupled ? 3 : 4;
    Vec cell(n), out(n);
    for (size_t j = 0; j < n; ++j) {
      const auto z = [&](int64_t gate) { return sum_of(a, x, h, gate, gates, j, n); };
      const double i = f.gate(z(0) + at(a, "peephole", j) * c[j]);
      const double forget = coupled ? 1 - i : f.gate(z(1) + at(a, "peephole", n + j) * c[j]);
      cell[j] = forget * c[j] + i * f.activation(z(gates - 2));
      const size_t last = static_cast<size_t>(gates - 2) * n + j;
      out[j] = f.gate(z(gates - 1) + at(a, "peephole", last) * cell[j]) * f.hidden(cell[j]);
    }
    if (!a.count("projection")) return {out, cell};
    Vec projected(h.size());
    for (size_t j = 0; j < h.size(); ++j) projected[j] = link(out, a.at("projection"), 0, 1, j);
    return {projected, cell};
  };
}

Loop gru_loop(bool after) {
  return [=](const Arrays& a, const Vec& x, const States& s) -> States {
    const Vec& h = s[0];
    const size_t n = h.size();
    Vec r(n), z(n), reset(n), next(n);
    for (size_t j = 0; j < n; ++j) {
      r[j] = sig(sum_of(a, x, h, 0, 3, j, n));
      z[j] = sig(sum_of(a, x, h, 1, 3, j, n));
      reset[j] = r[j] * h[j];
    }
    for (size_t j = 0; j < n; ++j) {
      const Tensor& u = a.at("recurrent");
      const double back = after ? r[j] * (link(h, u, 2, 3, j) + at(a, "recurrent_bias", j))
                                : link(reset, u, 2, 3, j);
      next[j] = (1 - z[j]) * std::tanh(in_sum(a, x, 2, 3, j, n) + back) + z[j] * h[j];
    }
    return {next};
  };
}

States mgu_loop(const Arrays& a, const Vec& x, const States& s) {
  const Vec& h = s[0];
  const size_t n = h.size();
  Vec f(n), kept(n), next(n);
  for (size_t j = 0; j < n; ++j) {
    f[j] = sig(sum_of(a, x, h, 0, 2, j, n));
    kept[j] = f[j] * h[j];
  }
  for (size_t j = 0; j < n; ++j) {
    next[j] = (1 - f[j]) * h[j] + f[j] * std::tanh(sum_of(a, x, kept, 1, 2, j, n));
  }
  return {next};
}

States indrnn_loop(const Arrays& a, const Vec& x, const States& s) {
  Vec h = s[0];
  for (size_t j = 0; j < h.size(); ++j) {
    h[j] = std::tanh(in_sum(a, x, 0, 1, j, h.size()) + at(a, "recurrent", j) * h[j]);
  }
  return {h};
}

States mingru_loop(const Arrays& a, const Vec& x, const States& s) {
  Vec h = s[0];
  for (size_t j = 0; j < h.size(); ++j) {
    const double z = sig(in_sum(a, x, 0, 2, j, h.size()));
    h[j] = (1 - z) * h[j] + z * in_sum(a, x, 1, 2, j, h.size());
  }
  return {h};
}

States minlstm_loop(const Arrays& a, const Vec& x, const States& s) {
  Vec h = s[0];
  for (size_t j = 0; j < h.size(); ++j) {
    const double f = sig(in_sum(a, x, 0, 3, j, h.size()));
    const double i = sig(in_sum(a, x, 1, 3, j, h.size()));
    h[j] = f / (f + i) * h[j] + i / (f + i) * in_sum(a, x, 2, 3, j, h.size());
  }
  return {h};
}

States sru_loop(const Arrays& a, const Vec& x, const States& s) {
  const Vec& c = s[1];
  const size_t n = c.size();
  const int64_t gates = x.size() == n ? 3 : 4;
  Vec h(n), next(n);
  for (size_t j = 0; j < n; ++j) {
    const auto z = [&](int64_t gate) { return link(x, a.at("weights"), gate, gates, j); };
    const double f = sig(z(1) + at(a, "recurrent", j) * c[j] + at(a, "bias", j));
    const double r = sig(z(2) + at(a, "recurrent", n + j) * c[j] + at(a, "bias", n + j));
    next[j] = f * c[j] + (1 - f) * z(0);
    h[j] = r * next[j] + (1 - r) * (gates == 4 ? z(3) : x[j]);
  }
  return {h, next};
}

States qrnn_loop(const Arrays& a, const Vec& x, const States& s) {
  const size_t n = s[1].size();
  Vec h(n), c(n);
  for (size_t j = 0; j < n; ++j) {
    const auto z = [&](int64_t gate) {
      const double now = in_sum(a, x, gate, 3, j, n);
      return a.count("previous") ? now + link(s[2], a.at("previous"), gate, 3, j) : now;
    };
    const double f = sig(z(1));
    c[j] = f * s[1][j] + (1 - f) * std::tanh(z(0));
    h[j] = sig(z(2)) * c[j];
  }
  return a.count("previous") ? States{h, c, x} : States{h, c};
}

States ltc_loop(const Arrays& a, const Vec& x, const States& s) {
  Vec h = s[0];
  const double delta = 0.7 / 2;
  for (int unfold = 0; unfold < 2; ++unfold) {
    const Vec old = h;
    for (size_t j = 0; j < h.size(); ++j) {
      const double f = sig(sum_of(a, x, old, 0, 1, j, h.size()));
      const double tau = std::exp(at(a, "log_tau", j));
      h[j] = (old[j] + delta * f * at(a, "reversal", j)) / (1 + delta * (1 / tau + f));
    }
  }
  return {h};
}

States cfc_loop(const Arrays& a, const Vec& x, const States& s) {
  const size_t n = s[0].size();
  Vec h(n);
  for (size_t j = 0; j < n; ++j) {
    const auto z = [&](int64_t gate) { return sum_of(a, x, s[0], gate, 4, j, n); };
    const double t = sig(0.7 * z(2) + z(3));
    h[j] = (1 - t) * std::tanh(z(0)) + t * std::tanh(z(1));
  }
  return {h};
}

double soft_sign(double x) { return x / (1 + std::abs(x)); }

Loop loop_for(const std::string& name) {
  static const std::map<std::string, Loop> loops{
      {"rnn", rnn_loop({std::tanh})},
      {"rnn_each", rnn_loop({std::tanh, sig})},
      {"rnn_leaky", rnn_loop({std::tanh}, 0.3)},
      {"jordan", jordan_loop},
      {"lstm", lstm_loop()},
      {"lstm_peephole", lstm_loop()},
      {"lstm_projection", lstm_loop()},
      {"lstm_coupled", lstm_loop({}, true)},
      {"lstm_plain", lstm_loop({std::tanh, soft_sign, std::sin})},
      {"gru_after", gru_loop(true)},
      {"gru_after_plain", gru_loop(true)},
      {"gru_before", gru_loop(false)},
      {"mgu", mgu_loop},
      {"indrnn", indrnn_loop},
      {"mingru", mingru_loop},
      {"minlstm", minlstm_loop},
      {"sru", sru_loop},
      {"sru_square", sru_loop},
      {"qrnn", qrnn_loop},
      {"qrnn_narrow", qrnn_loop},
      {"ltc", ltc_loop},
      {"cfc", cfc_loop},
  };
  return loops.at(name);
}

Vec row(const Tensor& t, int64_t index, int64_t width) {
  Vec result;
  for (int64_t i = 0; i < width; ++i) result.push_back(t.at(index * width + i));
  return result;
}

class Cells : public testing::TestWithParam<NamedCell> {};

TEST_P(Cells, AgreeWithALoopByHand) {
  const auto& [name, cell] = GetParam();
  const auto points = points_of(cell, {B, T, 3});
  const auto found = results_of(cell, points);
  Arrays arrays;
  for (size_t i = 0; i < cell.weights.size(); ++i) arrays[cell.weights[i].name] = points[1 + i];
  const Loop loop = loop_for(name);
  const int64_t width = cell.states[0].shape[0];
  for (int64_t b = 0; b < B; ++b) {
    States states;
    for (size_t i = 0; i < cell.states.size(); ++i) {
      const Tensor& start = points[1 + cell.weights.size() + i];
      states.push_back(row(start, b, start.shape()[1]));
    }
    for (int64_t t = 0; t < T; ++t) {
      states = loop(arrays, row(points[0], b * T + t, 3), states);
      for (int64_t i = 0; i < width; ++i) {
        ASSERT_NEAR(found[0].at((b * T + t) * width + i), states[0][static_cast<size_t>(i)], 1e-12)
            << "sample " << b << ", step " << t << ", unit " << i;
      }
    }
    for (size_t k = 0; k < states.size(); ++k) {
      for (size_t i = 0; i < states[k].size(); ++i) {
        const auto n = static_cast<int64_t>(states[k].size());
        ASSERT_NEAR(found[1 + k].at(b * n + static_cast<int64_t>(i)), states[k][i], 1e-12)
            << "state " << k;
      }
    }
  }
}

TEST_P(Cells, GradientsToSecondOrder) {
  const Cell& cell = GetParam().cell;
  GradCheckOptions options;
  options.directions = 1;
  const auto build = [&](Graph&, std::span<const Value> in) {
    const Recurrence run = run_cell(cell, in);
    Value total = sum(ad::curved(run.outputs));
    for (const Value state : run.states) total = total + sum(ad::curved(state));
    return total;
  };
  const auto result = gradcheck(build, points_of(cell, {1, 3, 3}), options);
  EXPECT_TRUE(result) << result.message;
}

TEST_P(Cells, CpuAgreesWithTheInterpreter) {
  const Cell& cell = GetParam().cell;
  CellProgram program(points_of(cell, {3, 5, 3}));
  const Recurrence run = run_cell(cell, program.in);
  program.outputs(run);
  const auto slopes = gradients(sum(square(run.outputs)), program.in);
  for (size_t i = 0; i < slopes.size(); ++i) {
    program.graph.output("slope" + std::to_string(i), slopes[i]);
  }
  expect_cpu_agrees(program.graph, program.values, 2e-5);
}

INSTANTIATE_TEST_SUITE_P(Recurrent, Cells, testing::ValuesIn(all_cells()),
                         [](const auto& each) { return each.param.name; });

// The products of the inputs with the weights leave the loop: one product over all steps.
TEST(Recurrent, InputProductsLeaveTheLoop) {
  for (const auto& [name, cell] : all_cells()) {
    CellProgram program(points_of(cell, {2, 4, 3}));
    program.graph.output("y", run_cell(cell, program.in).outputs);
    int64_t outside = 0;
    CompileOptions options;
    options.watch = [&](std::string_view pass, const Graph& graph) {
      if (pass != "hoist_scan") return;
      for (const Node& node : graph.nodes()) outside += node.op == Op::dot;
    };
    (void)compile(program.graph, Device::cpu(1), options);
    EXPECT_GE(outside, 1) << name;
  }
}

TEST(Recurrent, ConvolutionalLstmIsAnLstmOfPatches) {
  const Cell cell = conv_lstm_cell({2, 4}, 3, {3});
  auto points = points_of(cell, {1, 3, 2, 4});
  const auto found = results_of(cell, points);
  // By hand: [filters, positions] of each state.
  Tensor h = points[4], c = points[5];
  const auto tap = [](const Tensor& w, int64_t o, const Tensor& x, int64_t from, int64_t channels,
                      int64_t p) {
    double total = 0;
    for (int64_t i = 0; i < channels; ++i) {
      for (int64_t k = -1; k <= 1; ++k) {
        if (p + k < 0 || p + k >= 4) continue;
        total += w.at((o * channels + i) * 3 + k + 1) * x.at(from + i * 4 + p + k);
      }
    }
    return total;
  };
  for (int64_t t = 0; t < 3; ++t) {
    Tensor next_h = h, next_c = c;
    for (int64_t o = 0; o < 3; ++o) {
      for (int64_t p = 0; p < 4; ++p) {
        const auto z = [&](int64_t gate) {
          const int64_t row = gate * 3 + o;
          return tap(points[1], row, points[0], t * 8, 2, p) + tap(points[2], row, h, 0, 3, p) +
                 points[3].at(row);
        };
        const double cell_now = sig(z(1)) * c.at(o * 4 + p) + sig(z(0)) * std::tanh(z(2));
        const double out = sig(z(3)) * std::tanh(cell_now);
        next_c.set(o * 4 + p, cell_now);
        next_h.set(o * 4 + p, out);
        ASSERT_NEAR(found[0].at(t * 12 + o * 4 + p), out, 1e-6);
      }
    }
    h = next_h;
    c = next_c;
  }
  GradCheckOptions options;
  options.directions = 1;
  const auto small = points_of(conv_lstm_cell({1, 3}, 1, {3}), {1, 2, 1, 3});
  const auto result = gradcheck(
      [](Graph&, std::span<const Value> in) {
        return run_cell(conv_lstm_cell({1, 3}, 1, {3}), in).outputs;
      },
      small, options);
  EXPECT_TRUE(result) << result.message;
}

TEST(Recurrent, ActivationsMayLearnTheirParameters) {
  const Cell cell = lstm_cell(3, 2, {.activation = prelu, .hidden = prelu});
  const auto result =
      gradcheck([&](Graph&, std::span<const Value> in) { return run_cell(cell, in).outputs; },
                points_of(cell, {1, 3, 3}), {.order = 1, .directions = 1});
  EXPECT_TRUE(result) << result.message;
  EXPECT_EQ(result.inputs.size(), 6u + 2u);  // the two learned slopes are checked as well
}

TEST(Recurrent, ArraysStartAsSaid) {
  Graph graph;
  (void)parameters(graph, lstm_cell(3, 2));
  const Tensors start = initialize(graph, 1);
  EXPECT_EQ(start.at("bias"), Tensor::of({8}, {0, 0, 1, 1, 0, 0, 0, 0}));
  const Tensor& u = start.at("recurrent");
  double length = 0, overlap = 0;
  for (int64_t i = 0; i < 8; ++i) {
    length += u.at(i) * u.at(i);
    overlap += u.at(i) * u.at(8 + i);
  }
  EXPECT_NEAR(length, 1, 1e-6);
  EXPECT_NEAR(overlap, 0, 1e-6);
}

}  // namespace
}  // namespace soma::test
