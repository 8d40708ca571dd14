#include "bench/latency_twins.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace twins {
namespace {

template <int ins, int outs, bool relu>
inline void dense(const float* __restrict w, const float* __restrict b, const float* __restrict x,
                  float* __restrict y) {
  alignas(64) float sum[outs];
  std::memcpy(sum, b, sizeof sum);
  for (int i = 0; i < ins; ++i) {
    for (int o = 0; o < outs; ++o) sum[o] += x[i] * w[i * outs + o];
  }
  for (int o = 0; o < outs; ++o) y[o] = relu ? std::max(sum[o], 0.0f) : sum[o];
}

/// A convolution with relu over rows of the image, padded by `pad` on each side.
template <int ins, int size, int outs, int window, int pad>
inline void conv(const float* __restrict w, const float* __restrict b, const float* __restrict x,
                 float* __restrict y) {
  constexpr int padded = size + 2 * pad, out = padded - window + 1;
  alignas(64) static float rows[ins * padded * padded];  // zeros around stay zeros
  for (int c = 0; c < ins; ++c) {
    for (int i = 0; i < size; ++i) {
      std::memcpy(rows + (c * padded + i + pad) * padded + pad, x + (c * size + i) * size,
                  size * sizeof(float));
    }
  }
  for (int o = 0; o < outs; ++o) {
    for (int i = 0; i < out; ++i) {
      float sum[out];
      for (int j = 0; j < out; ++j) sum[j] = b[o];
      for (int c = 0; c < ins; ++c) {
        for (int u = 0; u < window; ++u) {
          for (int v = 0; v < window; ++v) {
            const float weight = w[((o * ins + c) * window + u) * window + v];
            const float* from = rows + (c * padded + i + u) * padded + v;
            for (int j = 0; j < out; ++j) sum[j] += weight * from[j];
          }
        }
      }
      for (int j = 0; j < out; ++j) y[(o * out + i) * out + j] = std::max(sum[j], 0.0f);
    }
  }
}

template <int channels, int size>
inline void pool(const float* __restrict x, float* __restrict y) {
  for (int c = 0; c < channels; ++c) {
    for (int i = 0; i < size / 2; ++i) {
      for (int j = 0; j < size / 2; ++j) {
        const float* q = x + (c * size + 2 * i) * size + 2 * j;
        y[(c * (size / 2) + i) * (size / 2) + j] =
            std::max(std::max(q[0], q[1]), std::max(q[size], q[size + 1]));
      }
    }
  }
}

inline float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

void mlp784(const float* const* w, const float* x, float* y) {
  float h[128];
  dense<784, 128, true>(w[0], w[1], x, h);
  dense<128, 10, false>(w[2], w[3], h, y);
}

void mlp16(const float* const* w, const float* x, float* y) {
  float h[32], g[32];
  dense<16, 32, true>(w[0], w[1], x, h);
  dense<32, 32, true>(w[2], w[3], h, g);
  dense<32, 1, false>(w[4], w[5], g, y);
}

void lstm20(const float* const* w, float* state, const float* x, float* y) {
  float* h = state;
  float* c = state + 20;
  alignas(64) float z[80];
  for (int o = 0; o < 80; ++o) z[o] = w[2][o] + w[0][o] * x[0];
  for (int i = 0; i < 20; ++i) {
    for (int o = 0; o < 80; ++o) z[o] += h[i] * w[1][i * 80 + o];
  }
  for (int o = 0; o < 20; ++o) {
    c[o] = sigmoid(z[20 + o]) * c[o] + sigmoid(z[o]) * std::tanh(z[40 + o]);
    h[o] = sigmoid(z[60 + o]) * std::tanh(c[o]);
  }
  y[0] = w[4][0];
  for (int o = 0; o < 20; ++o) y[0] += w[3][o] * h[o];
}

void lenet(const float* const* w, const float* x, float* y) {
  static float a[6 * 784], p[6 * 196], c[1600], q[400], f[120], g[84];
  conv<1, 28, 6, 5, 2>(w[0], w[1], x, a);
  pool<6, 28>(a, p);
  conv<6, 14, 16, 5, 0>(w[2], w[3], p, c);
  pool<16, 10>(c, q);
  dense<400, 120, true>(w[4], w[5], q, f);
  dense<120, 84, true>(w[6], w[7], f, g);
  dense<84, 10, false>(w[8], w[9], g, y);
}

}  // namespace twins
