// The optimizers and parts that look at whole arrays, at the loss, or act after the step.
#include <optional>

#include "tests/optim/loop_cases.h"
#include "tests/optim/matrix.h"

namespace soma::test {

namespace {

using Cases = std::map<std::string, std::vector<LoopCase>>;

template <class F>
void all_numbers(Loop& loop, F f) {
  for (size_t i = 0; i < 2; ++i) {
    for (size_t j = 0; j < loop.p[i].size(); ++j) f(i, j, loop.p[i][j], loop.g[i][j]);
  }
}
// Column j of the weights [2, 3]: the links into neuron j.
double column_norm(const Vec& w, size_t j) { return std::hypot(w[j], w[3 + j]); }

// Adam's direction in the place of the gradients.
void to_adam(Loop& loop, int t, double eps = 1e-8) {
  Arrays &m = loop.kept("m"), &v = loop.kept("v");
  all_numbers(loop, [&](size_t i, size_t j, double&, double& g) {
    m[i][j] = 0.9 * m[i][j] + 0.1 * g;
    v[i][j] = 0.999 * v[i][j] + 0.001 * g * g;
    g = m[i][j] / (1 - std::pow(0.9, t)) / (std::sqrt(v[i][j] / (1 - std::pow(0.999, t))) + eps);
  });
}
void descend(Loop& loop, double rate) {
  all_numbers(loop, [&](size_t, size_t, double& p, double g) { p -= rate * g; });
}

// ---------------------------------------------------------------- a scale for each array

void lars_rule(Loop& loop) {
  Arrays& v = loop.kept("v");
  for (size_t i = 0; i < 2; ++i) {
    const double local = 0.01 * norm(loop.p[i]) / (norm(loop.g[i]) + 0.1 * norm(loop.p[i]));
    for (size_t j = 0; j < loop.p[i].size(); ++j) {
      v[i][j] = 0.9 * v[i][j] + local * (loop.g[i][j] + 0.1 * loop.p[i][j]);
      loop.p[i][j] -= v[i][j];
    }
  }
}

void to_trust(Loop& loop) {
  for (size_t i = 0; i < 2; ++i) {
    const double ratio = norm(loop.p[i]) / norm(loop.g[i]);
    for (double& g : loop.g[i]) g *= ratio;
  }
}

void lamb_rule(Loop& loop) {
  to_adam(loop, loop.t, 1e-6);
  all_numbers(loop, [](size_t, size_t, double p, double& g) { g += 0.1 * p; });
  to_trust(loop);
  descend(loop, 0.1);
}

void novograd_rule(Loop& loop) {
  Arrays& m = loop.kept("m");
  for (size_t i = 0; i < 2; ++i) {
    double& v = loop.number("v" + std::to_string(i));
    const double squares = norm(loop.g[i]) * norm(loop.g[i]);
    v = loop.t == 1 ? squares : 0.98 * v + 0.02 * squares;
    for (size_t j = 0; j < loop.p[i].size(); ++j) {
      m[i][j] = 0.95 * m[i][j] + loop.g[i][j] / (std::sqrt(v) + 1e-8) + 0.1 * loop.p[i][j];
      loop.p[i][j] -= 0.1 * m[i][j];
    }
  }
}

void fromage_rule(Loop& loop) {
  for (size_t i = 0; i < 2; ++i) {
    const double ratio = norm(loop.p[i]) / norm(loop.g[i]);
    for (size_t j = 0; j < loop.p[i].size(); ++j) {
      loop.p[i][j] = (loop.p[i][j] - 0.1 * loop.g[i][j] * ratio) / std::sqrt(1 + 0.1 * 0.1);
    }
  }
}

// v: the running squares; rows and columns of the weights are kept apart.
void adafactor_rule(Loop& loop) {
  const double fresh = std::pow(loop.t, -0.8), eps1 = 1.1920929e-07;
  Arrays& kept = loop.kept("v");  // [0]: rows (2) then columns (3)
  Arrays v = loop.g;
  const Vec& g = loop.g[0];
  for (size_t r = 0; r < 2; ++r) {
    const double now =
        (g[3 * r] * g[3 * r] + g[3 * r + 1] * g[3 * r + 1] + g[3 * r + 2] * g[3 * r + 2]) / 3;
    kept[0][r] += fresh * (now - kept[0][r]);
  }
  for (size_t c = 0; c < 3; ++c) {
    kept[0][2 + c] += fresh * ((g[c] * g[c] + g[3 + c] * g[3 + c]) / 2 - kept[0][2 + c]);
  }
  for (size_t k = 0; k < 6; ++k) {
    v[0][k] = kept[0][k / 3] * kept[0][2 + k % 3] / std::max((kept[0][0] + kept[0][1]) / 2, eps1);
  }
  for (size_t k = 0; k < 3; ++k) {
    kept[1][k] += fresh * (loop.g[1][k] * loop.g[1][k] - kept[1][k]);
    v[1][k] = kept[1][k];
  }
  for (size_t i = 0; i < 2; ++i) {
    Vec d = loop.g[i];
    for (size_t j = 0; j < d.size(); ++j) d[j] /= std::sqrt(std::max(v[i][j], eps1 * eps1));
    const double size = std::max(1e-3, rms(loop.p[i])) * std::min(0.1, 1 / std::sqrt(loop.t));
    const double large = std::max(1.0, rms(d) / 0.8);
    for (size_t j = 0; j < d.size(); ++j) {
      loop.p[i][j] -= size / large * d[j] + 0.1 * 0.2 * loop.p[i][j];
    }
  }
}

void sm3_rule(Loop& loop) {
  Arrays &bound = loop.kept("bound"), &m = loop.kept("m");  // bound[0]: rows, then columns
  Arrays v = loop.g;
  all_numbers(loop, [&](size_t i, size_t j, double&, double g) {
    const double cover = i == 0 ? std::min(bound[0][j / 3], bound[0][2 + j % 3]) : bound[1][j];
    v[i][j] = cover + g * g;
  });
  bound[1] = v[1];
  for (size_t r = 0; r < 2; ++r)
    bound[0][r] = std::max({v[0][3 * r], v[0][3 * r + 1], v[0][3 * r + 2]});
  for (size_t c = 0; c < 3; ++c) bound[0][2 + c] = std::max(v[0][c], v[0][3 + c]);
  all_numbers(loop, [&](size_t i, size_t j, double& p, double g) {
    m[i][j] = 0.9 * m[i][j] + 0.1 * g / (std::sqrt(v[i][j]) + 1e-8);
    p -= 0.1 * m[i][j];
  });
}

void muon_rule(Loop& loop) {
  Arrays& m = loop.kept("momentum");
  Matrix x(2, 3);
  for (size_t k = 0; k < 6; ++k) {
    m[0][k] = 0.95 * m[0][k] + 0.05 * loop.g[0][k];
    x.x[k] = 0.05 * loop.g[0][k] + 0.95 * m[0][k];
  }
  const double size = norm(x.x);
  for (double& value : x.x) value /= size;
  for (int round = 0; round < 5; ++round) {
    const Matrix a = x * x.turned();
    const Matrix b = plus(plus(Matrix(2, 2), a, -4.7750), a * a, 2.0315);
    x = plus(plus(Matrix(2, 3), x, 3.4445), b * x, 1);
  }
  loop.g[0].assign(6, 0);
  to_adam(loop, loop.t);
  for (size_t k = 0; k < 6; ++k) {
    loop.p[0][k] -= 0.02 * (std::sqrt(1.5) * x.x[k] + 0.1 * loop.p[0][k]);
  }
  for (size_t k = 0; k < 3; ++k) loop.p[1][k] -= 0.03 * loop.g[1][k];
}

Rule shampoo_rule() {
  return [left = unit_matrix(2, 1e-2), right = unit_matrix(3, 1e-2)](Loop& loop) mutable {
    const Matrix g(2, 3, loop.g[0]);
    left = plus(left, g * g.turned(), 1);
    right = plus(right, g.turned() * g, 1);
    const auto root = [](double value) { return std::pow(value, -0.25); };
    const Matrix d = function_of(left, root) * g * function_of(right, root);
    for (size_t k = 0; k < 6; ++k) loop.p[0][k] -= 0.1 * d.x[k];
    Arrays& sum = loop.kept("sum", 1e-2);
    for (size_t k = 0; k < 3; ++k) {
      sum[1][k] += loop.g[1][k] * loop.g[1][k];
      loop.p[1][k] -= 0.1 * loop.g[1][k] / std::sqrt(sum[1][k]);
    }
  };
}

void add_layerwise(Cases& all) {
  all["lars"] = {{"lars(1 trust=0.01 weight_decay=0.1)", lars_rule}};
  all["lamb"] = {{"lamb(0.1 weight_decay=0.1)", lamb_rule}};
  all["scale_by_trust_ratio"] = {{"scale_by_trust_ratio + sgd(0.1)", descent_after(to_trust)}};
  all["novograd"] = {{"novograd(0.1 weight_decay=0.1)", novograd_rule}};
  all["fromage"] = {{"fromage(0.1)", fromage_rule}};
  all["adafactor"] = {{"adafactor(0.1 most=0.8 weight_decay=0.2)", adafactor_rule}};
  all["sm3"] = {{"sm3", sm3_rule}};
  all["muon"] = {{"muon(0.02 adam_lr=0.03)", muon_rule}};
  all["shampoo"] = {{"shampoo(0.1 0.01)", shampoo_rule()}};
}

// ---------------------------------------------------------------- methods of all numbers together

double product(const Arrays& a, const Arrays& b) {
  double total = 0;
  for (size_t i = 0; i < 2; ++i) {
    for (size_t j = 0; j < a[i].size(); ++j) total += a[i][j] * b[i][j];
  }
  return total;
}
Arrays difference(Arrays a, const Arrays& b) {
  for (size_t i = 0; i < 2; ++i) {
    for (size_t j = 0; j < a[i].size(); ++j) a[i][j] -= b[i][j];
  }
  return a;
}

void distance_rule(Loop& loop, bool weighted) {
  const Arrays& start = loop.copied("start");
  double& far = loop.number("far", 0.01 * (1 + norm(start)));
  double& sum = loop.number("sum");
  far = std::max(far, norm(difference(loop.p, start)));
  const double squares = norm(loop.g) * norm(loop.g);
  sum += weighted ? far * far * squares : squares;
  descend(loop, (weighted ? far * far : far) / std::sqrt(sum + 1e-8));
}

void prodigy_rule(Loop& loop) {
  const double b3 = std::sqrt(0.999);
  const Arrays& start = loop.copied("start");
  double &d = loop.number("d", 0.01), &r = loop.number("r");
  Arrays &m = loop.kept("m"), &v = loop.kept("v"), &s = loop.kept("s");
  r = b3 * r + (1 - b3) * d * d * product(loop.g, difference(start, loop.p));
  double length = 0;
  const double now = d;
  all_numbers(loop, [&](size_t i, size_t j, double& p, double g) {
    s[i][j] = b3 * s[i][j] + (1 - b3) * now * now * g;
    length += std::abs(s[i][j]);
    m[i][j] = 0.9 * m[i][j] + 0.1 * now * g;
    v[i][j] = 0.999 * v[i][j] + 0.001 * now * now * g * g;
    p -= now * (m[i][j] / (std::sqrt(v[i][j]) + now * 1e-8) + 0.1 * p);
  });
  d = std::max(d, r / length);
}

// The inverse of the Hessian as a matrix, updated pair by pair as BFGS does, from the oldest.
Rule lbfgs_rule(size_t history) {
  using Flat = std::vector<double>;
  return [history, pairs = std::vector<std::pair<Flat, Flat>>(), last_p = Flat(),
          last_g = Flat()](Loop& loop) mutable {
    const auto flat = [](const Arrays& a) {
      Flat all = a[0];
      all.insert(all.end(), a[1].begin(), a[1].end());
      return all;
    };
    const Flat p = flat(loop.p), g = flat(loop.g);
    const auto dot = [](const Flat& a, const Flat& b) {
      double total = 0;
      for (size_t k = 0; k < 9; ++k) total += a[k] * b[k];
      return total;
    };
    double rate = 0.5;
    if (loop.t == 1) {
      double sum = 0;
      for (const double x : g) sum += std::abs(x);
      rate *= std::min(1.0, 1 / sum);
    } else {
      Flat s(9), y(9);
      for (size_t k = 0; k < 9; ++k) s[k] = p[k] - last_p[k], y[k] = g[k] - last_g[k];
      if (dot(s, y) > 1e-10) pairs.emplace_back(s, y);
      if (pairs.size() > history) pairs.erase(pairs.begin());
    }
    Matrix h = unit_matrix(9);
    if (!pairs.empty()) {
      const auto& [s, y] = pairs.back();
      h = unit_matrix(9, dot(s, y) / dot(y, y));
    }
    for (const auto& pair : pairs) {
      const Matrix s(9, 1, pair.first), y(9, 1, pair.second);
      const double rho = 1 / dot(pair.first, pair.second);
      const Matrix left = plus(unit_matrix(9), s * y.turned(), -rho);
      h = plus(left * h * left.turned(), s * s.turned(), rho);
    }
    const Matrix d = h * Matrix(9, 1, g);
    last_p = p;
    last_g = g;
    for (size_t k = 0; k < 9; ++k) (k < 6 ? loop.p[0][k] : loop.p[1][k - 6]) -= rate * d.x[k];
  };
}

void sharpness_rule(Loop& loop, bool adaptive) {
  Arrays weighted = loop.g, there = loop.p;
  for (size_t i = 0; i < 2; ++i) {
    for (size_t j = 0; j < there[i].size(); ++j) {
      if (adaptive) weighted[i][j] *= std::abs(loop.p[i][j]);
    }
  }
  const double size = norm(weighted) + 1e-12;
  for (size_t i = 0; i < 2; ++i) {
    for (size_t j = 0; j < there[i].size(); ++j) {
      there[i][j] += 0.3 * weighted[i][j] * (adaptive ? std::abs(loop.p[i][j]) : 1) / size;
    }
  }
  loop.g = problem_slope(there);
}

void add_global(Cases& all) {
  all["dog"] = {{"dog(start=0.01)", [](Loop& loop) { distance_rule(loop, false); }}};
  all["dowg"] = {{"dowg(start=0.01)", [](Loop& loop) { distance_rule(loop, true); }}};
  all["prodigy"] = {{"prodigy(start=0.01 weight_decay=0.1)", prodigy_rule}};
  all["lbfgs"] = {{"lbfgs(0.5)", lbfgs_rule(10)}, {"lbfgs(0.5 history=3)", lbfgs_rule(3)}};
  all["polyak_sgd"] = {{"polyak_sgd(0.2 -5)", [](Loop& loop) {
                          const double squares = norm(loop.g) * norm(loop.g);
                          descend(loop, std::min(0.2, (loop.loss + 5) / squares));
                        }}};
  for (const bool adaptive : {false, true}) {
    all["sharpness_aware"].push_back(
        {adaptive ? "sharpness_aware(0.3 true) + sgd(0.1)" : "sharpness_aware(0.3) + sgd(0.1)",
         descent_after([adaptive](Loop& loop) { sharpness_rule(loop, adaptive); })});
  }
}

// ---------------------------------------------------------------- parts

void add_gradient_parts(Cases& all) {
  const auto scaled = [](Loop& loop, double factor) {
    all_numbers(loop, [&](size_t, size_t, double, double& g) { g *= factor; });
  };
  all["clip_global_norm"] = {{"clip_global_norm(0.5) + sgd(0.1)", descent_after([=](Loop& loop) {
                                scaled(loop, std::min(1.0, 0.5 / (norm(loop.g) + 1e-6)));
                              })}};
  all["normalize_gradient"] = {{"normalize_gradient + sgd(0.1)", descent_after([=](Loop& loop) {
                                  scaled(loop, 1 / (norm(loop.g) + 1e-12));
                                })}};
  all["clip_block_rms"] = {{"clip_block_rms(0.5) + sgd(0.1)", descent_after([](Loop& loop) {
                              for (Vec& g : loop.g) {
                                const double by = std::max(1.0, rms(g) / 0.5);
                                for (double& x : g) x /= by;
                              }
                            })}};
  all["clip_adaptive"] = {{"clip_adaptive(0.5) + sgd(0.1)", descent_after([](Loop& loop) {
                             for (size_t j = 0; j < 3; ++j) {
                               const double most = 0.5 * column_norm(loop.p[0], j);
                               const double by = std::min(1.0, most / column_norm(loop.g[0], j));
                               loop.g[0][j] *= by;
                               loop.g[0][3 + j] *= by;
                             }
                             const double by =
                                 std::min(1.0, 0.5 * norm(loop.p[1]) / norm(loop.g[1]));
                             for (double& g : loop.g[1]) g *= by;
                           })}};
  all["centralize_gradient"] = {{"centralize_gradient + sgd(0.1)", descent_after([](Loop& loop) {
                                   for (size_t j = 0; j < 3; ++j) {
                                     const double mean = (loop.g[0][j] + loop.g[0][3 + j]) / 2;
                                     loop.g[0][j] -= mean;
                                     loop.g[0][3 + j] -= mean;
                                   }
                                 })}};
  all["orthogonal_penalty"] = {{"orthogonal_penalty(0.1) + sgd(0.1)", descent_after([](Loop& loop) {
                                  // The slope by central differences of the penalty itself.
                                  const auto penalty = [](const Vec& values) {
                                    const Matrix w(2, 3, values);
                                    const Matrix gap = plus(w * w.turned(), unit_matrix(2), -1);
                                    return 0.1 * norm(gap.x) * norm(gap.x);
                                  };
                                  for (size_t k = 0; k < 6; ++k) {
                                    Vec up = loop.p[0], down = up;
                                    up[k] += 1e-4;
                                    down[k] -= 1e-4;
                                    loop.g[0][k] += (penalty(up) - penalty(down)) / 2e-4;
                                  }
                                })}};
  all["gradient_noise"] = {};  // GradientNoise
}

// Which steps are taken.
void add_gates(Cases& all) {
  all["accumulate"] = {{"accumulate(3) + adam(0.1)", [](Loop& loop) {
                          if (loop.t % 3) return;  // the gradient stays the same in between
                          to_adam(loop, loop.t / 3);
                          descend(loop, 0.1);
                        }}};
  const Rule adam = [](Loop& loop) {
    to_adam(loop, loop.t);
    descend(loop, 0.1);
  };
  all["skip_not_finite"] = {{"skip_not_finite + adam(0.1)", adam}};
  all["skip_large"] = {{"skip_large(1000) + adam(0.1)", adam},
                       {"skip_large(0.001) + adam(0.1)", [](Loop&) {}}};
  all["reduce_on_plateau"] = {
      {"sgd(0.1) + reduce_on_plateau(0.5 patience=1 threshold=0.2 cooldown=1 window=2 least=0.1)",
       [](Loop& loop) {
         double &scale = loop.number("scale", 1), &best = loop.number("best", 1e30);
         double &bad = loop.number("bad"), &cool = loop.number("cool"), &last = loop.number("last");
         descend(loop, 0.1 * scale);
         if (loop.t % 2) {
           last = loop.loss;
           return;
         }
         const double mean = (last + loop.loss) / 2;
         bad = mean < best - 0.2 * std::abs(best) ? 0 : bad + 1;
         if (bad == 0) best = mean;
         if (cool > 0) cool -= 1, bad = 0;
         if (bad > 1) scale = std::max(scale * 0.5, 0.1), cool = 1, bad = 0;
       }}};
}

void project_rule(Loop& loop, double least, double most, double rate) {
  descend(loop, 0.1);
  for (size_t j = 0; j < 3; ++j) {
    const double size = column_norm(loop.p[0], j);
    const double wanted = rate * clamp(size, least, most) + (1 - rate) * size;
    loop.p[0][j] *= wanted / size;
    loop.p[0][3 + j] *= wanted / size;
  }
}

void add_after(Cases& all) {
  all["lookahead"] = {{"sgd(0.1) + lookahead(3 0.25)", [](Loop& loop) {
                         Arrays& slow = loop.copied("slow");
                         descend(loop, 0.1);
                         if (loop.t % 3) return;
                         all_numbers(loop, [&](size_t i, size_t j, double& p, double) {
                           slow[i][j] += 0.25 * (p - slow[i][j]);
                           p = slow[i][j];
                         });
                       }}};
  const Rule plain = [](Loop& loop) { descend(loop, 0.1); };
  all["ema_weights"] = {{"sgd(0.1) + ema_weights(0.9)", plain}};
  all["average_weights"] = {{"average_weights(3 2) + sgd(0.1)", plain}};
  all["keep_max_norm"] = {
      {"keep_max_norm(0.9) + sgd(0.1)", [](Loop& loop) { project_rule(loop, 0, 0.9, 1); }}};
  all["keep_unit_norm"] = {
      {"sgd(0.1) + keep_unit_norm", [](Loop& loop) { project_rule(loop, 1, 1, 1); }}};
  all["keep_between_norms"] = {{"keep_between_norms(0.8 0.9 0.5) + sgd(0.1)",
                                [](Loop& loop) { project_rule(loop, 0.8, 0.9, 0.5); }}};
  all["keep_non_negative"] = {
      {"keep_non_negative + sgd(0.1)", [](Loop& loop) {
         descend(loop, 0.1);
         all_numbers(loop, [](size_t, size_t, double& p, double) { p = std::max(p, 0.0); });
       }}};
}

}  // namespace

void add_array_cases(Cases& all) {
  add_layerwise(all);
  add_global(all);
  add_gradient_parts(all);
  add_gates(all);
  add_after(all);
}

}  // namespace soma::test
