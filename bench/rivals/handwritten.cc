// One sample through networks whose sizes the compiler knows: plain loops that it turns into vector
// code, with -ffast-math.
#include <cmath>

#include "rivals.h"

namespace {
using namespace rivals;

template <int in, int out>
struct Dense {
  std::vector<float> w = random_floats(size_t{in} * out, 0.1f), b = random_floats(out, 0.1f);
  template <bool relu = true>
  void run(const float* __restrict x, float* __restrict y) const {
    alignas(64) float sums[out];
    std::copy(b.begin(), b.end(), sums);
    for (int i = 0; i < in; ++i) {
      for (int j = 0; j < out; ++j) sums[j] += x[i] * w[i * out + j];
    }
    for (int j = 0; j < out; ++j) y[j] = relu ? std::max(sums[j], 0.f) : sums[j];
  }
};

/// On square images of `size`, with `pad` zeros around, relu behind.
template <int in, int out, int size, int window, int pad>
struct Conv {
  static constexpr int padded = size + 2 * pad, places = padded - window + 1;
  std::vector<float> w = random_floats(in * out * window * window, 0.1f),
                     b = random_floats(out, 0.1f);
  std::vector<float> image = std::vector<float>(in * padded * padded);
  void run(const float* x, float* y) {
    for (int c = 0; c < in; ++c) {
      for (int r = 0; r < size; ++r) {
        std::copy_n(&x[(c * size + r) * size], size, &image[(c * padded + r + pad) * padded + pad]);
      }
    }
    for (int o = 0; o < out; ++o) {
      for (int r = 0; r < places; ++r) {
        float sums[places];
        std::fill_n(sums, places, b[o]);
        const float* weights = &w[o * in * window * window];
        for (int c = 0; c < in; ++c) {
          for (int i = 0; i < window; ++i) {
            for (int j = 0; j < window; ++j) {
              const float weight = weights[(c * window + i) * window + j];
              const float* from = &image[(c * padded + r + i) * padded + j];
              for (int k = 0; k < places; ++k) sums[k] += weight * from[k];
            }
          }
        }
        for (int k = 0; k < places; ++k) y[(o * places + r) * places + k] = std::max(sums[k], 0.f);
      }
    }
  }
};

template <int channels, int size>
void pool(const float* x, float* y) {
  for (int r = 0; r < channels * size / 2; ++r) {
    for (int k = 0; k < size / 2; ++k) {
      const float* from = &x[2 * r * size + 2 * k];
      y[r * size / 2 + k] = std::max({from[0], from[1], from[size], from[size + 1]});
    }
  }
}

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

struct Lstm {
  static constexpr int units = 20, gates = 4 * units;
  std::vector<float> w = random_floats(gates, 0.1f), u = random_floats(units * gates, 0.1f),
                     b = random_floats(gates, 0.1f);
  float h[units] = {}, c[units] = {};
  void step(float x) {
    alignas(64) float z[gates];
    for (int j = 0; j < gates; ++j) z[j] = b[j] + w[j] * x;
    for (int i = 0; i < units; ++i) {
      for (int j = 0; j < gates; ++j) z[j] += h[i] * u[i * gates + j];
    }
    for (int i = 0; i < units; ++i) {
      c[i] = sigmoid(z[units + i]) * c[i] + sigmoid(z[i]) * std::tanh(z[2 * units + i]);
      h[i] = sigmoid(z[3 * units + i]) * std::tanh(c[i]);
    }
  }
};

}  // namespace

int main(int count, char** values) {
  const Arguments arguments(count, values);
  const std::string& w = arguments.workload;
  const auto samples = random_floats(64 * 784, 0.5f);
  size_t turn = 0;
  float out[10];
  const auto measure = [&](int size, auto&& network) {
    measure_calls(arguments.seconds, [&] {
      network(&samples[(turn++ % 64) * size]);
      asm volatile("" ::"r"(out) : "memory");
    });
  };
  if (w == "predict-mlp") {
    Dense<784, 128> first;
    Dense<128, 10> second;
    measure(784, [&](const float* x) {
      float h[128];
      first.run(x, h);
      second.run<false>(h, out);
    });
  } else if (w == "predict-small") {
    Dense<16, 32> first;
    Dense<32, 32> second;
    Dense<32, 1> third;
    measure(16, [&](const float* x) {
      float h[32], g[32];
      first.run(x, h);
      second.run(h, g);
      third.run<false>(g, out);
    });
  } else if (w == "predict-lstm") {
    Lstm lstm;
    Dense<20, 1> last;
    measure(1, [&](const float* x) {
      lstm.step(*x);
      last.run<false>(lstm.h, out);
    });
  } else if (w == "predict-lenet") {
    Conv<1, 6, 28, 5, 2> conv1;
    Conv<6, 16, 14, 5, 0> conv2;
    Dense<400, 120> first;
    Dense<120, 84> second;
    Dense<84, 10> third;
    measure(784, [&](const float* x) {
      static float a[6 * 784], p[6 * 196], b[1600], q[400], h[120], g[84];
      conv1.run(x, a);
      pool<6, 28>(a, p);
      conv2.run(p, b);
      pool<16, 10>(b, q);
      first.run(q, h);
      second.run(h, g);
      third.run<false>(g, out);
    });
  } else {
    arguments.unknown();
  }
}
