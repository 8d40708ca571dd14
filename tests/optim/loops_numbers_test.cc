// The optimizers that are a rule for each number, as plain loops written from the papers.
#include "tests/optim/loop_cases.h"

namespace soma::test {

namespace {

double corrected(double mean, double beta, int t) { return mean / (1 - std::pow(beta, t)); }

// Adam's direction; m in a, v in b.
double adam_rule(double g, int t, Kept& s, double b1 = 0.9, double b2 = 0.999, double eps = 1e-8) {
  s.a = b1 * s.a + (1 - b1) * g;
  s.b = b2 * s.b + (1 - b2) * g * g;
  return corrected(s.a, b1, t) / (std::sqrt(corrected(s.b, b2, t)) + eps);
}

double nadam_rule(double g, int t, Kept& s) {
  const auto mu = [](int n) { return 0.9 * (1 - 0.5 * std::pow(0.96, n * 0.004)); };
  if (t == 1) s.c = 1;
  s.c *= mu(t);
  s.a = 0.9 * s.a + 0.1 * g;
  s.b = 0.999 * s.b + 0.001 * g * g;
  const double ahead = (1 - mu(t)) * g / (1 - s.c) + mu(t + 1) * s.a / (1 - s.c * mu(t + 1));
  return ahead / (std::sqrt(corrected(s.b, 0.999, t)) + 1e-8);
}

double radam_rule(double g, int t, Kept& s, double b2) {
  s.a = 0.9 * s.a + 0.1 * g;
  s.b = b2 * s.b + (1 - b2) * g * g;
  const double m = corrected(s.a, 0.9, t), r = 2 / (1 - b2) - 1, power = std::pow(b2, t);
  const double n = r - 2 * t * power / (1 - power);
  if (n <= 5) return m;
  const double rectified = std::sqrt((n - 4) * (n - 2) * r / ((r - 4) * (r - 2) * n));
  return m * rectified * std::sqrt(1 - power) / (std::sqrt(s.b) + 1e-8);
}

double amsgrad_rule(double g, int t, Kept& s) {
  s.a = 0.9 * s.a + 0.1 * g;
  s.b = 0.5 * s.b + 0.5 * g * g;
  s.c = std::max(s.c, s.b);
  return corrected(s.a, 0.9, t) / (std::sqrt(corrected(s.c, 0.5, t)) + 1e-8);
}

double adamax_rule(double g, int t, Kept& s) {
  s.a = 0.9 * s.a + 0.1 * g;
  s.b = std::max(0.999 * s.b, std::abs(g) + 1e-8);
  return corrected(s.a, 0.9, t) / s.b;
}

double yogi_rule(double g, int t, Kept& s) {
  if (t == 1) s.a = s.b = 1e-6;
  s.a = 0.9 * s.a + 0.1 * g;
  s.b -= 0.001 * sign(s.b - g * g) * g * g;
  return 0.01 * corrected(s.a, 0.9, t) / (std::sqrt(corrected(s.b, 0.999, t)) + 1e-3);
}

double adabound_rule(double g, int t, Kept& s, double lr, double part) {
  s.a = 0.9 * s.a + 0.1 * g;
  s.b = 0.999 * s.b + 0.001 * g * g;
  const double end = 0.1 * part;
  const double low = end * (1 - 1 / (1e-3 * t + 1)), high = end * (1 + 1 / (1e-3 * t));
  const double rate = lr * std::sqrt(1 - std::pow(0.999, t)) / (1 - std::pow(0.9, t));
  return clamp(rate / (std::sqrt(s.b) + 1e-8), low, high) * s.a;
}

double ademamix_rule(double g, int t, Kept& s, double warm) {
  double alpha = 5, b3 = 0.9999;
  if (warm > 0) {
    const double part = std::min(t / warm, 1.0), l1 = std::log(0.9), l3 = std::log(0.9999);
    alpha *= part;
    b3 = std::min(std::exp(l1 * l3 / ((1 - part) * l3 + part * l1)), b3);
  }
  s.a = 0.9 * s.a + 0.1 * g;
  s.b = 0.999 * s.b + 0.001 * g * g;
  s.c = b3 * s.c + (1 - b3) * g;
  return (corrected(s.a, 0.9, t) + alpha * s.c) / (std::sqrt(corrected(s.b, 0.999, t)) + 1e-8);
}

double adopt_rule(double g, int t, Kept& s) {
  if (t > 1) {
    const double most = std::pow(t - 1, 0.25);
    s.a = 0.9 * s.a + 0.1 * clamp(g / std::max(std::sqrt(s.b), 1e-6), -most, most);
  }
  s.b = t == 1 ? g * g : 0.5 * s.b + 0.5 * g * g;
  return s.a;
}

double adan_rule(double g, double p, int t, Kept& s, Vec& last, double decay) {
  const double turn = t == 1 ? 0 : g - last[0];
  last[0] = g;
  s.a = 0.98 * s.a + 0.02 * g;
  s.b = 0.92 * s.b + 0.08 * turn;
  s.c = 0.99 * s.c + 0.01 * std::pow(g + 0.92 * turn, 2);
  const double step = 0.01 * (corrected(s.a, 0.98, t) + 0.92 * corrected(s.b, 0.92, t)) /
                      (std::sqrt(corrected(s.c, 0.99, t)) + 1e-8);
  return p - (p - step) / (1 + 0.01 * decay);
}

double rprop_rule(double g, int t, Kept& s) {
  if (t == 1) s.a = 0.1;
  if (g * s.b > 0) s.a = std::min(s.a * 1.2, 50.0);
  if (g * s.b < 0) {
    s.a = std::max(s.a * 0.5, 1e-6);
    g = 0;
  }
  s.b = g;
  return sign(g) * s.a;
}

double ftrl_rule(double g, double p, int t, Kept& s, double l1, double l2, double start) {
  if (t == 1) s.a = start;
  const double n = s.a + g * g;
  s.b += g - (std::sqrt(n) - std::sqrt(s.a)) / 0.1 * p;
  s.a = n;
  if (std::abs(s.b) <= l1) return p;
  return p - (sign(s.b) * l1 - s.b) / ((1 + std::sqrt(n)) / 0.1 + l2);
}

double madgrad_rule(double g, double p, int t, Kept& s) {
  if (t == 1) s.c = p;
  const double weight = 0.01 * std::sqrt(t);
  s.a += weight * g;
  s.b += weight * g * g;
  const double z = s.c - s.a / (std::cbrt(s.b) + 1e-6);
  return p - (0.9 * p + 0.1 * z);
}

double schedule_free_rule(double direction, double p, int t, Kept& s, double lr) {
  if (t == 1) s.c = s.d = p;  // z and x
  s.c -= lr * direction;
  s.d += (s.c - s.d) / t;  // a constant rate weighs all steps alike
  return p - (0.1 * s.c + 0.9 * s.d);
}

using Cases = std::map<std::string, std::vector<LoopCase>>;

void add_descent(Cases& all) {
  all["sgd"] = {{"sgd(0.1)", numberwise([](double g, double, int, Kept&) { return 0.1 * g; })},
                {"sgd(0.1 0.2)",
                 numberwise([](double g, double p, int, Kept&) { return 0.1 * (g + 0.2 * p); })},
                {"sgd(step_decay(0.1 2 0.5))", numberwise([](double g, double, int t, Kept&) {
                   return 0.1 * std::pow(0.5, (t - 1) / 2) * g;
                 })}};
  const auto momentum = [](double damped) {
    return numberwise([damped](double g, double, int t, Kept& s) {
      s.a = t == 1 ? g : 0.9 * s.a + damped * g;
      return 0.05 * s.a;
    });
  };
  all["momentum"] = {{"momentum(0.05)", momentum(1)},
                     {"momentum(0.05 dampening=0.25)", momentum(0.75)}};
  all["scale_by_momentum"] = {{"scale_by_momentum + sgd(0.05)", momentum(1)},
                              {"scale_by_momentum(linear_decay(0.9 20) nesterov=true) + sgd(0.05)",
                               numberwise([](double g, double, int t, Kept& s) {
                                 const double mu = 0.9 * (1 - (t - 1) / 20.0);
                                 s.a = mu * s.a + g;
                                 return 0.05 * (g + mu * s.a);
                               })}};
  all["nesterov"] = {{"nesterov(0.05 0.8)", numberwise([](double g, double, int, Kept& s) {
                        s.a = 0.8 * s.a + g;
                        return 0.05 * (g + 0.8 * s.a);
                      })}};
  const Rule signs = numberwise([](double g, double, int, Kept&) { return 0.1 * sign(g); });
  all["sign_sgd"] = {{"sign_sgd(0.1)", signs}};
  all["sign_gradient"] = {{"sign_gradient + sgd(0.1)", signs}};
  all["signum"] = {{"signum(0.1 0.5)", numberwise([](double g, double, int, Kept& s) {
                      s.a = 0.5 * s.a + g;
                      return 0.1 * sign(s.a);
                    })}};
  const Rule optimistic = numberwise([](double g, double, int t, Kept& s) {
    const double ahead = t == 1 ? g : 2 * g - s.a;
    s.a = g;
    return 0.1 * ahead;
  });
  all["optimistic_sgd"] = {{"optimistic_sgd(0.1)", optimistic}};
  all["optimistic_gradient"] = {{"optimistic_gradient + sgd(0.1)", optimistic}};
  all["rprop"] = {{"rprop(0.1)", numberwise([](double g, double, int t, Kept& s) {
                     return rprop_rule(g, t, s);
                   })}};
  all["asgd"] = {{"asgd(0.1 0.01)", numberwise([](double g, double p, int t, Kept&) {
                    return 0.1 * std::pow(1 + 0.01 * 0.1 * (t - 1), -0.75) * (g + 0.01 * p);
                  })}};
}

void add_squares(Cases& all) {
  const auto adagrad = [](double lr, double eps, double start) {
    return numberwise([=](double g, double, int t, Kept& s) {
      s.a = (t == 1 ? start : s.a) + g * g;
      return lr * g / (std::sqrt(s.a) + eps);
    });
  };
  all["adagrad"] = {{"adagrad(0.1)", adagrad(0.1, 1e-10, 0)},
                    {"adagrad(0.1 1e-7 0.1)", adagrad(0.1, 1e-7, 0.1)}};
  all["scale_by_adagrad"] = {{"scale_by_adagrad + sgd(0.1)", adagrad(0.1, 1e-10, 0)}};
  all["adadelta"] = {{"adadelta", numberwise([](double g, double, int, Kept& s) {
                        s.a = 0.9 * s.a + 0.1 * g * g;
                        const double d = std::sqrt(s.b + 1e-6) / std::sqrt(s.a + 1e-6) * g;
                        s.b = 0.9 * s.b + 0.1 * d * d;
                        return d;
                      })}};
  const auto rms = [](double g, Kept& s) {
    s.a = 0.99 * s.a + 0.01 * g * g;
    return g / (std::sqrt(s.a) + 1e-8);
  };
  all["rmsprop"] = {
      {"rmsprop", numberwise([=](double g, double, int, Kept& s) { return 0.01 * rms(g, s); })},
      {"rmsprop(mu=0.5)", numberwise([=](double g, double, int, Kept& s) {
         s.b = 0.5 * s.b + rms(g, s);
         return 0.01 * s.b;
       })},
      {"rmsprop(rho=0.9 centered=true)", numberwise([](double g, double, int, Kept& s) {
         s.a = 0.9 * s.a + 0.1 * g * g;
         s.b = 0.9 * s.b + 0.1 * g;
         return 0.01 * g / (std::sqrt(s.a - s.b * s.b) + 1e-8);
       })}};
  all["scale_by_rms"] = {
      {"scale_by_rms + sgd(0.01)",
       numberwise([=](double g, double, int, Kept& s) { return 0.01 * rms(g, s); })}};
}

void add_adams(Cases& all) {
  const Rule adam =
      numberwise([](double g, double, int t, Kept& s) { return 0.01 * adam_rule(g, t, s); });
  all["adam"] = {{"adam(0.01)", adam},
                 {"adam(0.1 0.5 0.9 0.001)", numberwise([](double g, double, int t, Kept& s) {
                    return 0.1 * adam_rule(g, t, s, 0.5, 0.9, 1e-3);
                  })},
                 {"adam(0.01 weight_decay=0.1)", numberwise([](double g, double p, int t, Kept& s) {
                    return 0.01 * adam_rule(g + 0.1 * p, t, s);
                  })}};
  all["scale_by_adam"] = {{"scale_by_adam + sgd(0.01)", adam}};
  all["adamw"] = {{"adamw(0.1)", numberwise([](double g, double p, int t, Kept& s) {
                     return 0.1 * (adam_rule(g, t, s) + 0.01 * p);
                   })}};
  const Rule amsgrad =
      numberwise([](double g, double, int t, Kept& s) { return 0.1 * amsgrad_rule(g, t, s); });
  all["amsgrad"] = {{"amsgrad(0.1 beta2=0.5)", amsgrad}};
  all["scale_by_amsgrad"] = {{"scale_by_amsgrad(beta2=0.5) + sgd(0.1)", amsgrad}};
  const Rule adamax =
      numberwise([](double g, double, int t, Kept& s) { return 0.1 * adamax_rule(g, t, s); });
  all["adamax"] = {{"adamax(0.1)", adamax}};
  all["scale_by_adamax"] = {{"scale_by_adamax + sgd(0.1)", adamax}};
  const Rule nadam =
      numberwise([](double g, double, int t, Kept& s) { return 0.1 * nadam_rule(g, t, s); });
  all["nadam"] = {{"nadam(0.1)", nadam}};
  all["scale_by_nadam"] = {{"scale_by_nadam + sgd(0.1)", nadam}};
  const auto radam = [](double b2) {
    return numberwise(
        [b2](double g, double, int t, Kept& s) { return 0.1 * radam_rule(g, t, s, b2); });
  };
  all["radam"] = {{"radam(0.1)", radam(0.999)}, {"radam(0.1 beta2=0.9)", radam(0.9)}};
  all["scale_by_radam"] = {{"scale_by_radam + sgd(0.1)", radam(0.999)}};
  all["adabelief"] = {{"adabelief(0.01)", numberwise([](double g, double, int t, Kept& s) {
                         s.a = 0.9 * s.a + 0.1 * g;
                         s.b = 0.999 * s.b + 0.001 * (g - s.a) * (g - s.a) + 1e-16;
                         return 0.01 * corrected(s.a, 0.9, t) /
                                (std::sqrt(corrected(s.b, 0.999, t)) + 1e-16);
                       })}};
  all["yogi"] = {
      {"yogi", numberwise([](double g, double, int t, Kept& s) { return yogi_rule(g, t, s); })}};
  all["adabound"] = {
      {"adabound(0.01)", numberwise([](double g, double, int t, Kept& s) {
         return adabound_rule(g, t, s, 0.01, 1);
       })},
      {"adabound(step_decay(0.01 2 0.5))", numberwise([](double g, double, int t, Kept& s) {
         const double part = std::pow(0.5, (t - 1) / 2);
         return adabound_rule(g, t, s, 0.01 * part, part);
       })}};
  all["qhadam"] = {{"qhadam(0.1 nu2=0.9)", numberwise([](double g, double, int t, Kept& s) {
                      s.a = 0.995 * s.a + 0.005 * g;
                      s.b = 0.999 * s.b + 0.001 * g * g;
                      return 0.1 * (0.3 * g + 0.7 * corrected(s.a, 0.995, t)) /
                             (std::sqrt(0.1 * g * g + 0.9 * corrected(s.b, 0.999, t)) + 1e-8);
                    })}};
}

void add_more(Cases& all) {
  all["adopt"] = {
      {"adopt(0.1 beta2=0.5 weight_decay=0.1)", numberwise([](double g, double p, int t, Kept& s) {
         return 0.1 * (adopt_rule(g, t, s) + 0.1 * p);
       })}};
  for (const double warm : {0.0, 5.0}) {
    all["ademamix"].push_back({"ademamix(0.01 warm=" + std::string(warm > 0 ? "5" : "0") + ")",
                               numberwise([warm](double g, double, int t, Kept& s) {
                                 return 0.01 * ademamix_rule(g, t, s, warm);
                               })});
  }
  for (const double decay : {0.0, 0.1}) {
    all["adan"].push_back({decay > 0 ? "adan(0.01 weight_decay=0.1)" : "adan(0.01)",
                           numberwise([decay](double g, double p, int t, Kept& s) {
                             Vec last{s.d};
                             const double change = adan_rule(g, p, t, s, last, decay);
                             s.d = last[0];
                             return change;
                           })});
  }
  all["lion"] = {{"lion(0.01 weight_decay=0.1)", numberwise([](double g, double p, int, Kept& s) {
                    const double change = 0.01 * (sign(0.9 * s.a + 0.1 * g) + 0.1 * p);
                    s.a = 0.99 * s.a + 0.01 * g;
                    return change;
                  })}};
  all["ftrl"] = {
      {"ftrl", numberwise([](double g, double p, int t, Kept& s) {
         return ftrl_rule(g, p, t, s, 0, 0, 0);
       })},
      {"ftrl(l1=1.5 l2=0.5 start=0.1)", numberwise([](double g, double p, int t, Kept& s) {
         return ftrl_rule(g, p, t, s, 1.5, 0.5, 0.1);
       })}};
  all["madgrad"] = {{"madgrad", numberwise([](double g, double p, int t, Kept& s) {
                       return madgrad_rule(g, p, t, s);
                     })}};
  all["schedule_free_sgd"] = {{"schedule_free_sgd(0.1 weight_decay=0.1)",
                               numberwise([](double g, double p, int t, Kept& s) {
                                 return schedule_free_rule(g + 0.1 * p, p, t, s, 0.1);
                               })}};
  all["schedule_free_adamw"] = {{"schedule_free_adamw(0.1 weight_decay=0.1)",
                                 numberwise([](double g, double p, int t, Kept& s) {
                                   s.b = 0.999 * s.b + 0.001 * g * g;
                                   const double d =
                                       g / (std::sqrt(corrected(s.b, 0.999, t)) + 1e-8);
                                   return schedule_free_rule(d + 0.1 * p, p, t, s, 0.1);
                                 })}};
}

// Parts whose effect on a number depends on that number alone.
void add_parts(Cases& all) {
  const auto descent = [](auto change) {
    return numberwise([change](double g, double p, int, Kept&) { return 0.1 * change(g, p); });
  };
  all["clip_value"] = {{"clip_value(0.5) + sgd(0.1)",
                        descent([](double g, double) { return clamp(g, -0.5, 0.5); })}};
  all["weight_decay"] = {
      {"weight_decay(0.2) + sgd(0.1)", descent([](double g, double p) { return g + 0.2 * p; })},
      {"scale_by_adam + weight_decay(linear_decay(0.1 4)) + sgd(0.1)",
       numberwise([](double g, double p, int t, Kept& s) {
         return 0.1 * (adam_rule(g, t, s) + 0.1 * std::max(1 - (t - 1) / 4.0, 0.0) * p);
       })}};
  all["l2_penalty"] = {
      {"l2_penalty(0.2) + sgd(0.1)", descent([](double g, double p) { return g + 0.4 * p; })}};
  all["l1_penalty"] = {{"l1_penalty(0.2) + sgd(0.1)",
                        descent([](double g, double p) { return g + 0.2 * sign(p); })}};
  all["zero_nans"] = {{"zero_nans + sgd(0.1)", descent([](double g, double) { return g; })}};
  all["scale_rate"] = {
      {"sgd(0.1) + scale_rate(0.5)", descent([](double g, double) { return 0.5 * g; })}};
}

}  // namespace

const Cases& loop_cases() {
  static const Cases cases = [] {
    Cases all;
    add_descent(all);
    add_squares(all);
    add_adams(all);
    add_more(all);
    add_parts(all);
    add_array_cases(all);
    return all;
  }();
  return cases;
}

}  // namespace soma::test
