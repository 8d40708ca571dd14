// Recurrent arrays in the layouts of PyTorch, Keras and ONNX: against each framework's documented
// equations in its own layout, against vectors of the ONNX standard, and there and back.
#include <gmock/gmock.h>

#include <cmath>
#include <functional>

#include "soma/error.h"
#include "tests/nn/recurrent_cells.h"

namespace soma::test {

namespace {

double sig(double x) { return 1 / (1 + std::exp(-x)); }

// Final output of each sample of x [batch, time, features] with arrays from elsewhere.
Tensor last_output(const Cell& cell, const Tensor& x, const Tensors& arrays,
                   const RecurrentOptions& options = {}) {
  std::vector<Tensor> points{x};
  for (const CellArray& array : cell.weights) points.push_back(arrays.at(array.name));
  CellProgram program(points);
  const auto run = recurrent(cell, program.in[0], std::span(program.in).subspan(1), options);
  program.graph.output("h", run.states[0]);
  return program.results()[0];
}

Tensor counted(const Shape& shape) {
  Tensor result(shape);
  for (int64_t i = 0; i < result.elements(); ++i) result.set(i, static_cast<double>(i + 1));
  return result;
}
Tensor filled(const Shape& shape, double value) {
  Tensor result(shape);
  for (int64_t i = 0; i < result.elements(); ++i) result.set(i, value);
  return result;
}

// The expected results of the ONNX standard's own tests of the operators (ONNX 1.12, backend tests
// simple_rnn_defaults, lstm_defaults, lstm_with_peepholes, gru_defaults): all weights 0.1.
TEST(RecurrentLayouts, OnnxVectors) {
  const auto weights = [](int64_t gates, int64_t units, int64_t features) {
    return Tensors{{"W", filled({gates * units, features}, 0.1)},
                   {"R", filled({gates * units, units}, 0.1)},
                   {"B", filled({2 * gates * units}, 0)}};
  };
  const auto check = [](const Cell& cell, const Tensors& arrays, const Tensor& x, int64_t units,
                        const std::vector<double>& wanted) {
    const Tensor found = last_output(cell, x, arrays_from(Framework::onnx, cell, arrays));
    for (int64_t i = 0; i < found.elements(); ++i) {
      EXPECT_NEAR(found.at(i), wanted[static_cast<size_t>(i / units)], 1e-6) << cell.name;
    }
  };
  const Tensor x = counted({3, 1, 2});
  check(rnn_cell(2, 4), weights(1, 4, 2), x, 4, {0.29131263, 0.6043678, 0.800499});
  check(lstm_cell(2, 3), weights(4, 3, 2), x, 3, {0.0952412, 0.25606447, 0.40323776});
  check(gru_cell(2, 5, {.reset = Reset::before}), weights(3, 5, 2), x, 5,
        {0.12397026, 0.20053662, 0.19991654});
  Tensors peepholes = weights(4, 3, 4);
  peepholes["P"] = filled({9}, 0.1);
  check(lstm_cell(4, 3, {.peephole = true}), peepholes, counted({2, 1, 4}), 3,
        {0.3750691, 0.6801309});
}

// Backend test gru_seq_length: distinct weights and biases, two steps, reset before.
TEST(RecurrentLayouts, OnnxGruVectors) {
  const Tensors arrays{
      {"W",
       Tensor::of(
           {15, 3},
           {1.76405239f,  0.400157213f,  0.97873801f,   2.24089313f,   1.867558f,     -0.977277875f,
            0.950088441f, -0.151357204f, -0.103218853f, 0.410598516f,  0.144043565f,  1.45427346f,
            0.761037707f, 0.121675014f,  0.443863243f,  0.333674341f,  1.49407911f,   -0.205158263f,
            0.313067704f, -0.854095757f, -2.55298972f,  0.653618574f,  0.864436209f,  -0.742165029f,
            2.26975465f,  -1.45436573f,  0.0457585156f, -0.187183857f, 1.53277922f,   1.4693588f,
            0.15494743f,  0.378162533f,  -0.887785733f, -1.98079646f,  -0.347912163f, 0.156348974f,
            1.23029065f,  1.20237982f,   -0.387326807f, -0.302302748f, -1.04855299f,  -1.42001796f,
            -1.70627022f, 1.95077538f,   -0.509652197f})},
      {"R", Tensor::of({15, 5},
                       {-0.438074291f, -1.25279534f,  0.777490377f,  -1.6138978f,   -0.212740287f,
                        -0.895466566f, 0.386902511f,  -0.51080513f,  -1.18063223f,  -0.028182229f,
                        0.428331882f,  0.0665172189f, 0.302471906f,  -0.634322107f, -0.362741172f,
                        -0.672460437f, -0.359553158f, -0.813146293f, -1.7262826f,   0.177426144f,
                        -0.401780933f, -1.63019836f,  0.462782264f,  -0.907298386f, 0.0519453958f,
                        0.729090571f,  0.128982916f,  1.13940072f,   -1.23482585f,  0.402341634f,
                        -0.684810102f, -0.870797157f, -0.578849673f, -0.311552525f, 0.0561653413f,
                        -1.16514981f,  0.900826514f,  0.46566245f,   -1.53624368f,  1.48825216f,
                        1.89588916f,   1.1787796f,    -0.179924831f, -1.07075262f,  1.0544517f,
                        -0.403176934f, 1.22244501f,   0.208274975f,  0.976639032f,  0.356366396f,
                        0.706573188f,  0.0105000203f, 1.78587055f,   0.126912087f,  0.401989371f,
                        1.8831507f,    -1.34775901f,  -1.27048504f,  0.96939671f,   -1.17312336f,
                        1.94362116f,   -0.413618982f, -0.747454822f, 1.92294204f,   1.48051476f,
                        1.86755896f,   0.906044662f,  -0.861225665f, 1.91006494f,   -0.268003374f,
                        0.802456379f,  0.947251976f,  -0.155010089f, 0.614079356f,  0.9222067f})},
      {"B",
       Tensor::of({30},
                  {0.376425534f,  -1.09940076f,  0.298238188f,  1.32638586f,   -0.694567859f,
                   -0.14963454f,  -0.435153544f, 1.84926379f,   0.672294736f,  0.407461822f,
                   -0.769916058f, 0.539249182f,  -0.674332678f, 0.0318305567f, -0.635846078f,
                   0.676433265f,  0.576590836f,  -0.208298758f, 0.396006703f,  -1.09306157f,
                   -1.49125755f,  0.439391702f,  0.166673496f,  0.635031462f,  2.38314486f,
                   0.944479465f,  -0.912822247f, 1.11701632f,   -1.31590736f,  -0.461584598f})}};
  const Tensor wanted =
      Tensor::of({3, 5}, {-0.00130678061f, -0.0735266358f, 0.393016756f, -0.00113057345f,
                          -0.148788989f, -1.13389646e-07f, -6.69003566e-06f, 0.0750085562f,
                          -2.73153091e-06f, -0.0089931516f, -9.19529036e-12f, -5.57028423e-10f,
                          0.00996355526f, -6.59210997e-09f, -0.000194893437f});
  // ONNX has time first: step t of sample b is at [t, b].
  Tensor x({3, 2, 3});
  for (int64_t i = 0; i < 18; ++i) {
    x.set(i % 9 / 3 * 6 + i / 9 * 3 + i % 3, static_cast<double>(i + 1));
  }
  const Cell cell = gru_cell(3, 5, {.reset = Reset::before});
  expect_close(last_output(cell, x, arrays_from(Framework::onnx, cell, arrays)), wanted, 1e-6, "");
}

// ---- one step from zero and then another, written in each framework's own terms

constexpr int64_t F = 3, U = 2;

// Row `row` of a matrix [rows, columns] times x.
double row_times(const Tensor& w, int64_t row, const Vec& x) {
  double sum = 0;
  const auto width = static_cast<int64_t>(x.size());
  for (int64_t i = 0; i < width; ++i) sum += w.at(row * width + i) * x[static_cast<size_t>(i)];
  return sum;
}
// Column `column` of a matrix.
double column_times(const Tensor& w, int64_t column, const Vec& x) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    sum += w.at(static_cast<int64_t>(i) * w.shape()[1] + column) * x[i];
  }
  return sum;
}

struct Both {
  Vec in, back;  // per gate and unit, in the framework's order
};
using Step = std::function<void(const Both&, Vec& h, Vec& c)>;
using Sums = std::function<Both(const Vec& x, const Vec& h)>;

// Runs such a step along x [1, time, F] and compares the last output.
void expect_same(const Cell& cell, Framework framework, const Tensors& arrays, const Sums& sums,
                 const Step& step, const std::function<Vec(const Vec&)>& project = {}) {
  const Tensor x = ad::spread({1, 3, F}, -1, 1);
  Vec h(static_cast<size_t>(cell.states[0].shape[0])), c(U), out(U);
  for (int64_t t = 0; t < 3; ++t) {
    const Vec now{x.at(t * F), x.at(t * F + 1), x.at(t * F + 2)};
    const Both both = sums(now, h);
    Vec& target = project ? out : h;
    step(both, target, c);
    if (project) h = project(out);
  }
  const Tensor found = last_output(cell, x, arrays_from(framework, cell, arrays));
  for (size_t i = 0; i < h.size(); ++i) {
    EXPECT_NEAR(found.at(static_cast<int64_t>(i)), h[i], 1e-6) << cell.name << " unit " << i;
  }
  const Tensors again = arrays_to(framework, cell, arrays_from(framework, cell, arrays));
  EXPECT_EQ(again.size(), arrays.size());
  const Tensors twice = arrays_from(framework, cell, again);
  for (const auto& [name, tensor] : arrays_from(framework, cell, arrays)) {
    EXPECT_EQ(twice.at(name), tensor) << cell.name << " " << name;
  }
}

Tensors pytorch_arrays(int64_t gates, int64_t outputs = U) {
  return {{"weight_ih", ad::spread({gates * U, F}, -1, 1, 0)},
          {"weight_hh", ad::spread({gates * U, outputs}, -1, 1, 1)},
          {"bias_ih", ad::spread({gates * U}, -1, 1, 2)},
          {"bias_hh", ad::spread({gates * U}, -1, 1, 3)}};
}
Sums pytorch_sums(const Tensors& arrays, int64_t gates) {
  return [=](const Vec& x, const Vec& h) {
    Both both;
    for (int64_t k = 0; k < gates * U; ++k) {
      both.in.push_back(row_times(arrays.at("weight_ih"), k, x) + arrays.at("bias_ih").at(k));
      both.back.push_back(row_times(arrays.at("weight_hh"), k, h) + arrays.at("bias_hh").at(k));
    }
    return both;
  };
}
// i, f, g, o: torch.nn.LSTM, keras.layers.LSTM.
void lstm_ifgo(const Both& s, Vec& h, Vec& c) {
  for (size_t j = 0; j < U; ++j) {
    const auto z = [&](size_t gate) { return s.in[gate * U + j] + s.back[gate * U + j]; };
    c[j] = sig(z(1)) * c[j] + sig(z(0)) * std::tanh(z(2));
    h[j] = sig(z(3)) * std::tanh(c[j]);
  }
}

TEST(RecurrentLayouts, PyTorch) {
  const Tensors lstm = pytorch_arrays(4), gru = pytorch_arrays(3), rnn = pytorch_arrays(1);
  expect_same(lstm_cell(F, U), Framework::pytorch, lstm, pytorch_sums(lstm, 4), lstm_ifgo);
  expect_same(gru_cell(F, U), Framework::pytorch, gru, pytorch_sums(gru, 3),
              [](const Both& s, Vec& h, Vec&) {
                for (size_t j = 0; j < U; ++j) {  // r, z, n
                  const double r = sig(s.in[j] + s.back[j]), z = sig(s.in[U + j] + s.back[U + j]);
                  const double n = std::tanh(s.in[2 * U + j] + r * s.back[2 * U + j]);
                  h[j] = (1 - z) * n + z * h[j];
                }
              });
  expect_same(rnn_cell(F, U), Framework::pytorch, rnn, pytorch_sums(rnn, 1),
              [](const Both& s, Vec& h, Vec&) {
                for (size_t j = 0; j < U; ++j) h[j] = std::tanh(s.in[j] + s.back[j]);
              });
  Tensors projected = pytorch_arrays(4, 3);
  projected["weight_hr"] = ad::spread({3, U}, -1, 1, 4);
  expect_same(lstm_cell(F, U, {.projection = 3}), Framework::pytorch, projected,
              pytorch_sums(projected, 4), lstm_ifgo, [&](const Vec& out) {
                Vec h;
                for (int64_t k = 0; k < 3; ++k) {
                  h.push_back(row_times(projected.at("weight_hr"), k, out));
                }
                return h;
              });
}

TEST(RecurrentLayouts, Keras) {
  const auto arrays = [](int64_t gates, bool two) {
    return Tensors{{"kernel", ad::spread({F, gates * U}, -1, 1, 0)},
                   {"recurrent_kernel", ad::spread({U, gates * U}, -1, 1, 1)},
                   {"bias", ad::spread(two ? Shape{2, gates * U} : Shape{gates * U}, -1, 1, 2)}};
  };
  const auto sums = [](const Tensors& a, int64_t gates, bool two) -> Sums {
    return [=](const Vec& x, const Vec& h) {
      Both both;
      for (int64_t k = 0; k < gates * U; ++k) {
        both.in.push_back(column_times(a.at("kernel"), k, x) + a.at("bias").at(k));
        both.back.push_back(column_times(a.at("recurrent_kernel"), k, h) +
                            (two ? a.at("bias").at(gates * U + k) : 0));
      }
      return both;
    };
  };
  const Tensors lstm = arrays(4, false), after = arrays(3, true), before = arrays(3, false);
  expect_same(lstm_cell(F, U), Framework::keras, lstm, sums(lstm, 4, false), lstm_ifgo);
  expect_same(gru_cell(F, U), Framework::keras, after, sums(after, 3, true),
              [](const Both& s, Vec& h, Vec&) {
                for (size_t j = 0; j < U; ++j) {  // z, r, h
                  const double z = sig(s.in[j] + s.back[j]), r = sig(s.in[U + j] + s.back[U + j]);
                  const double n = std::tanh(s.in[2 * U + j] + r * s.back[2 * U + j]);
                  h[j] = z * h[j] + (1 - z) * n;
                }
              });
  expect_same(gru_cell(F, U, {.reset = Reset::before}), Framework::keras, before,
              sums(before, 3, false), [&](const Both& s, Vec& h, Vec&) {
                Vec reset(U), next(U);
                for (size_t j = 0; j < U; ++j) reset[j] = sig(s.in[U + j] + s.back[U + j]) * h[j];
                for (size_t j = 0; j < U; ++j) {
                  const double z = sig(s.in[j] + s.back[j]);
                  const auto column = static_cast<int64_t>(2 * U + j);
                  const double back = column_times(before.at("recurrent_kernel"), column, reset);
                  next[j] = z * h[j] + (1 - z) * std::tanh(s.in[2 * U + j] + back);
                }
                h = next;
              });
}

// Operator LSTM: i, o, f, c, peepholes i, o, f; both biases behind each other.
TEST(RecurrentLayouts, OnnxLstm) {
  const Tensors arrays{{"W", ad::spread({4 * U, F}, -1, 1, 0)},
                       {"R", ad::spread({4 * U, U}, -1, 1, 1)},
                       {"B", ad::spread({8 * U}, -1, 1, 2)},
                       {"P", ad::spread({3 * U}, -1, 1, 3)}};
  const Sums sums = [&](const Vec& x, const Vec& h) {
    Both both;
    for (int64_t k = 0; k < 4 * U; ++k) {
      both.in.push_back(row_times(arrays.at("W"), k, x) + arrays.at("B").at(k));
      both.back.push_back(row_times(arrays.at("R"), k, h) + arrays.at("B").at(4 * U + k));
    }
    return both;
  };
  expect_same(lstm_cell(F, U, {.peephole = true}), Framework::onnx, arrays, sums,
              [&](const Both& s, Vec& h, Vec& c) {
                for (size_t j = 0; j < U; ++j) {
                  const auto z = [&](size_t gate) {
                    return s.in[gate * U + j] + s.back[gate * U + j];
                  };
                  const auto p = [&](size_t gate) {
                    return arrays.at("P").at(static_cast<int64_t>(gate * U + j));
                  };
                  const double i = sig(z(0) + p(0) * c[j]), f = sig(z(2) + p(2) * c[j]);
                  c[j] = f * c[j] + i * std::tanh(z(3));
                  h[j] = sig(z(1) + p(1) * c[j]) * std::tanh(c[j]);
                }
              });
}

TEST(RecurrentLayouts, RefuseWhatIsNotThere) {
  const auto words = [](const std::function<void()>& act) -> std::string {
    try {
      act();
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  const auto from = [&](Framework framework, const Cell& cell, const Tensors& arrays) {
    return words([&] { (void)arrays_from(framework, cell, arrays); });
  };
  EXPECT_THAT(from(Framework::keras, lstm_cell(F, U, {.peephole = true}), {}),
              testing::HasSubstr("has no lstm with peepholes"));
  EXPECT_THAT(from(Framework::onnx, lstm_cell(F, U, {.projection = 3}), {}),
              testing::HasSubstr("has no lstm with a projection"));
  EXPECT_THAT(from(Framework::onnx, lstm_cell(F, U, {.coupled = true}), {}),
              testing::HasSubstr("without coupled gates"));
  EXPECT_THAT(from(Framework::keras, mgu_cell(F, U), {}), testing::HasSubstr("kind mgu"));
  EXPECT_THAT(from(Framework::pytorch, gru_cell(F, U), {}),
              testing::HasSubstr("\"weight_ih\" is missing"));
  Tensors arrays = pytorch_arrays(3);
  arrays["bias_hh"] = Tensor({2});
  EXPECT_THAT(from(Framework::pytorch, gru_cell(F, U), arrays),
              testing::HasSubstr("\"bias_hh\" is [6], found [2]"));
}

}  // namespace
}  // namespace soma::test
