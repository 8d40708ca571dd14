// What plain C++ reaches over a BLAS: matrix products, and training steps of the MLPs written for
// this one purpose. Element-wise work is fused by hand, and shared by threads where it is long.
#include <cblas.h>

#include <cmath>

#include "rivals.h"

namespace {
using namespace rivals;

void product(bool ta, bool tb, int m, int n, int k, const float* a, const float* b, float* c) {
  cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, m, n,
              k, 1, a, ta ? m : k, b, tb ? k : n, 0, c, n);
}

/// Weights [in, out], then biases [out], as one array; so are gradients and Adam's moments.
struct Layer {
  int in, out;
  std::vector<float> w, gradient, m, v, y, dy;
  Layer(int inputs, int outputs, int batch)
      : in(inputs),
        out(outputs),
        w(random_floats(size_t(in + 1) * out, 1 / std::sqrt(float(in)))),
        gradient(w.size()),
        m(w.size()),
        v(w.size()),
        y(size_t(batch) * out),
        dy(y.size()) {}
  int links() const { return in * out; }
};

class Mlp {
 public:
  Mlp(std::vector<int> widths, int batch, bool adam)
      : batch_(batch), adam_(adam), order_(batch), x_(size_t(batch) * widths[0]), labels_(batch) {
    for (size_t i = 0; i + 1 < widths.size(); ++i) {
      layers_.emplace_back(widths[i], widths[i + 1], batch);
    }
  }
  void step() {
    const int* chosen = order_.next();
    for (int i = 0; i < batch_; ++i) {
      std::memcpy(&x_[size_t(i) * 784], &images_.pixels[size_t(chosen[i]) * 784], 784 * 4);
      labels_[i] = int(images_.labels[chosen[i]]);
    }
    ++steps_;
    forward();
    cross_entropy();
    backward();
    for (Layer& layer : layers_) adam_ ? update_adam(layer) : update_sgd(layer);
  }
  double loss() const { return loss_; }

 private:
  const float* input_of(size_t i) const { return i ? layers_[i - 1].y.data() : x_.data(); }

  void forward() {
    for (size_t i = 0; i < layers_.size(); ++i) {
      Layer& l = layers_[i];
      product(false, false, batch_, l.out, l.in, input_of(i), l.w.data(), l.y.data());
      const float* bias = &l.w[l.links()];
      const float least = i + 1 < layers_.size() ? 0 : -INFINITY;
#pragma omp parallel for if (l.y.size() > 32768)
      for (int r = 0; r < batch_; ++r) {
        float* y = &l.y[size_t(r) * l.out];
        for (int j = 0; j < l.out; ++j) y[j] = std::max(y[j] + bias[j], least);
      }
    }
  }
  void cross_entropy() {
    Layer& l = layers_.back();
    loss_ = 0;
    for (int r = 0; r < batch_; ++r) {
      const float* y = &l.y[size_t(r) * l.out];
      float* dy = &l.dy[size_t(r) * l.out];
      const float most = *std::max_element(y, y + l.out);
      float sum = 0;
      for (int j = 0; j < l.out; ++j) sum += dy[j] = std::exp(y[j] - most);
      loss_ -= (y[labels_[r]] - most - std::log(sum)) / float(batch_);
      for (int j = 0; j < l.out; ++j)
        dy[j] = (dy[j] / sum - float(j == labels_[r])) / float(batch_);
    }
  }
  void backward() {
    for (size_t i = layers_.size(); i-- > 0;) {
      Layer& l = layers_[i];
      product(true, false, l.in, l.out, batch_, input_of(i), l.dy.data(), l.gradient.data());
      float* bias = &l.gradient[l.links()];
      std::fill(bias, bias + l.out, 0.f);
      for (int r = 0; r < batch_; ++r) {
        for (int j = 0; j < l.out; ++j) bias[j] += l.dy[size_t(r) * l.out + j];
      }
      if (i == 0) break;
      Layer& before = layers_[i - 1];
      product(false, true, batch_, l.in, l.out, l.dy.data(), l.w.data(), before.dy.data());
#pragma omp parallel for simd if (before.dy.size() > 32768)
      for (size_t j = 0; j < before.dy.size(); ++j) before.dy[j] *= float(before.y[j] > 0);
    }
  }
  static void update_sgd(Layer& l) {
    float* w = l.w.data();
    const float* g = l.gradient.data();
#pragma omp parallel for simd if (l.w.size() > 65536)
    for (size_t i = 0; i < l.w.size(); ++i) w[i] -= 0.1f * g[i];
  }
  void update_adam(Layer& l) const {
    const float rate = 1e-3f / (1 - std::pow(0.9f, float(steps_)));
    const float scale = 1 / std::sqrt(1 - std::pow(0.999f, float(steps_)));
    float *w = l.w.data(), *m = l.m.data(), *v = l.v.data();
    const float* g = l.gradient.data();
#pragma omp parallel for simd if (l.w.size() > 16384)
    for (size_t i = 0; i < l.w.size(); ++i) {
      m[i] = 0.9f * m[i] + 0.1f * g[i];
      v[i] = 0.999f * v[i] + 0.001f * g[i] * g[i];
      w[i] -= rate * m[i] / (std::sqrt(v[i]) * scale + 1e-8f);
    }
  }

  int batch_;
  bool adam_;
  Images images_;
  Order order_;
  std::vector<float> x_;
  std::vector<int> labels_;
  std::vector<Layer> layers_;
  long steps_ = 0;
  double loss_ = 0;
};

void train(const Arguments& arguments, Mlp mlp) {
  measure_training(
      arguments.seconds, [&] { mlp.step(); }, [&] { return mlp.loss(); });
}

}  // namespace

int main(int count, char** values) {
  const Arguments arguments(count, values);
  const std::string& w = arguments.workload;
  if (w == "mlp-wide") {
    train(arguments, Mlp({784, 512, 512, 10}, 128, true));
  } else if (w.rfind("mlp-", 0) == 0) {
    train(arguments, Mlp({784, 128, 10}, std::atoi(&w[4]), false));
  } else {
    const Product p(arguments);
    const auto a = random_floats(size_t(p.m) * p.k, 0.5f),
               b = random_floats(size_t(p.k) * p.n, 0.5f);
    std::vector<float> c(size_t(p.m) * p.n);
    measure_calls(arguments.seconds, [&] {
      product(p.transpose_a, p.transpose_b, p.m, p.n, p.k, a.data(), b.data(), c.data());
    });
  }
}
