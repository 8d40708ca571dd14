// Optimizers and schedules against plain loops written here from the papers; masks, chains, text.
#include <cmath>

#include "soma/optim.h"
#include "tests/expect_error.h"
#include "tests/nn/evaluate.h"

namespace soma::test {

namespace {

// Gradient of the test function (p0 - 1)^2 + 0.5 sin(3 p1) + p0 p1.
std::vector<double> slope(const std::vector<double>& p) {
  return {2 * (p[0] - 1) + p[1], 1.5 * std::cos(3 * p[1]) + p[0]};
}

const std::vector<double> origin{0.3, -0.8};

struct Training {
  std::vector<std::vector<double>> points;  // the parameters after each step
  Tensors tensors;
};

// Steps of the optimizer on that function, through the interpreter, in double precision.
Training run(const Optimizer& optimizer, int steps, const std::vector<double>& mask = {}) {
  Graph graph;
  const Value p = graph.parameter("p", {2}, "0", f64);
  const Value a = slice_axis(p, 0, 0, 1), b = slice_axis(p, 0, 1, 2);
  const Value loss = sum(square(a - 1.0) + 0.5 * sin(3.0 * b) + a * b);
  const Value params[] = {p};
  ApplyOptions options;
  if (!mask.empty()) {
    const Value parts[] = {graph.constant(mask[0], {1}, f64), graph.constant(mask[1], {1}, f64)};
    options.masks = {concat({parts[0], parts[1]}, 0)};
  }
  apply(optimizer, loss, params, options);
  Training result;
  result.tensors = initialize(graph, 1);
  for (int64_t i = 0; i < 2; ++i) result.tensors["p"].set(i, origin[static_cast<size_t>(i)]);
  for (int step_ = 0; step_ < steps; ++step_) {
    std::vector<Tensor> inputs;
    for (const Id id : graph.inputs()) {
      inputs.push_back(result.tensors.at(graph[id].as<InputAttr>().name));
    }
    const auto updates = interpret(graph, inputs).updates;
    for (size_t i = 0; i < updates.size(); ++i) {
      result.tensors[graph[graph.updates()[i].state].as<InputAttr>().name] = updates[i];
    }
    result.points.push_back(numbers(result.tensors["p"]));
  }
  return result;
}

// A plain loop: `rule(g, p, t, memory)` is the change of one number at step t = 1, 2, …
struct Memory {
  double a = 0, b = 0;
};
template <class Rule>
std::vector<std::vector<double>> plain(int steps, Rule rule) {
  std::vector<double> p = origin;
  std::vector<Memory> memory(2);
  std::vector<std::vector<double>> points;
  for (int t = 1; t <= steps; ++t) {
    const auto g = slope(p);
    for (size_t i = 0; i < 2; ++i) p[i] -= rule(g[i], p[i], t, memory[i]);
    points.push_back(p);
  }
  return points;
}

template <class Rule>
void expect_path(const Optimizer& optimizer, Rule rule) {
  const auto found = run(optimizer, 12).points, wanted = plain(12, rule);
  for (size_t i = 0; i < wanted.size(); ++i) {
    expect_near(found[i], wanted[i], 1e-12, optimizer.text() + " step " + std::to_string(i + 1));
  }
}

double adam_rule(double g, int t, Memory& s, double b1 = 0.9, double b2 = 0.999,
                 double eps = 1e-8) {
  s.a = b1 * s.a + (1 - b1) * g;
  s.b = b2 * s.b + (1 - b2) * g * g;
  return s.a / (1 - std::pow(b1, t)) / (std::sqrt(s.b / (1 - std::pow(b2, t))) + eps);
}

}  // namespace

TEST(Optimizers, Sgd) {
  expect_path(sgd(0.1), [](double g, double, int, Memory&) { return 0.1 * g; });
  expect_path(sgd(0.1, 0.2), [](double g, double p, int, Memory&) { return 0.1 * (g + 0.2 * p); });
}

TEST(Optimizers, MomentumAndNesterov) {
  expect_path(momentum(0.05), [](double g, double, int, Memory& s) {
    s.a = 0.9 * s.a + g;
    return 0.05 * s.a;
  });
  expect_path(nesterov(0.05, 0.8), [](double g, double, int, Memory& s) {
    s.a = 0.8 * s.a + g;
    return 0.05 * (g + 0.8 * s.a);
  });
}

TEST(Optimizers, Adagrad) {
  expect_path(adagrad(0.1), [](double g, double, int, Memory& s) {
    s.a += g * g;
    return 0.1 * g / (std::sqrt(s.a) + 1e-10);
  });
  expect_path(adagrad(0.1, 1e-7, 0.1), [](double g, double, int t, Memory& s) {
    if (t == 1) s.a = 0.1;
    s.a += g * g;
    return 0.1 * g / (std::sqrt(s.a) + 1e-7);
  });
}

TEST(Optimizers, Rmsprop) {
  expect_path(rmsprop(), [](double g, double, int, Memory& s) {
    s.a = 0.99 * s.a + 0.01 * g * g;
    return 0.01 * g / (std::sqrt(s.a) + 1e-8);
  });
  expect_path(optimizer_named("rmsprop(mu=0.5)"), [](double g, double, int, Memory& s) {
    s.a = 0.99 * s.a + 0.01 * g * g;
    s.b = 0.5 * s.b + g / (std::sqrt(s.a) + 1e-8);
    return 0.01 * s.b;
  });
}

TEST(Optimizers, Adam) {
  expect_path(adam(), [](double g, double, int t, Memory& s) { return 1e-3 * adam_rule(g, t, s); });
  expect_path(adam(0.1, 0.5, 0.9, 1e-3), [](double g, double, int t, Memory& s) {
    return 0.1 * adam_rule(g, t, s, 0.5, 0.9, 1e-3);
  });
  expect_path(adamw(0.1), [](double g, double p, int t, Memory& s) {
    return 0.1 * (adam_rule(g, t, s) + 0.01 * p);
  });
  // The first step of adam is lr in the direction of the sign, whatever the size of the gradient.
  const auto first = run(adam(0.1), 1).points[0];
  EXPECT_NEAR(std::abs(first[0] - origin[0]), 0.1, 1e-6);
}

TEST(Optimizers, Clipping) {
  expect_path(clip_value(0.5) + sgd(0.1), [](double g, double, int, Memory&) {
    return 0.1 * std::min(std::max(g, -0.5), 0.5);
  });
  const auto g = slope(origin);
  const double norm = std::hypot(g[0], g[1]);
  const auto clipped = run(clip_global_norm(0.5) + sgd(1), 1).points[0];
  expect_near({origin[0] - clipped[0], origin[1] - clipped[1]},
              {g[0] * 0.5 / (norm + 1e-6), g[1] * 0.5 / (norm + 1e-6)}, 1e-12);
  EXPECT_EQ(run(clip_global_norm(1e6) + sgd(0.1), 3).points, run(sgd(0.1), 3).points);
}

TEST(Optimizers, PartsMakeTheNamedOnes) {
  EXPECT_EQ(run(scale_by_adam() + weight_decay(0.01) + sgd(0.001), 5).points,
            run(adamw(), 5).points);
  EXPECT_EQ(run(weight_decay(0.2) + sgd(0.1), 5).points, run(sgd(0.1, 0.2), 5).points);
}

TEST(Optimizers, FrozenElementsKeepTheirBits) {
  for (const OptimizerRow& row : optimizers()) {
    if (!row.complete) continue;
    const Optimizer decaying = weight_decay(0.5) + Optimizer(row.name, {0.1});
    for (const auto& point : run(decaying, 4, {0, 1}).points) {
      EXPECT_EQ(point[0], origin[0]) << row.name;
      EXPECT_NE(point[1], origin[1]) << row.name;
    }
  }
  // A frozen gradient counts for nothing in the norm.
  const auto alone = run(clip_global_norm(0.1) + sgd(1), 1, {0, 1}).points[0];
  EXPECT_NEAR(std::abs(alone[1] - origin[1]), 0.1, 1e-6);
}

TEST(Optimizers, StatesHaveTheNamesOfTheirParameters) {
  const Tensors tensors = run(adam(), 2).tensors;
  EXPECT_EQ(tensors.at("optimizer/step").at(0), 2);
  EXPECT_EQ(tensors.at("optimizer/step").type(), i64);
  EXPECT_TRUE(tensors.count("optimizer/p/m"));
  EXPECT_TRUE(tensors.count("optimizer/p/v"));
  EXPECT_EQ(tensors.size(), 4u);
}

TEST(Optimizers, SinglePrecisionBiasCorrectionIsExact) {
  Graph graph;
  const Value p = graph.parameter("p", {1});
  const Value params[] = {p}, slopes[] = {graph.constant(2, {1}, f32)};
  apply_gradients(adam(1), params, slopes);
  const Tensors start = initialize(graph, 1);
  std::vector<Tensor> inputs;
  for (const Id id : graph.inputs()) inputs.push_back(start.at(graph[id].as<InputAttr>().name));
  EXPECT_NEAR(interpret(graph, inputs).updates[2].at(0), -1, 5e-7);
}

TEST(Optimizers, TextReadsBackAndBadTextsGiveSentences) {
  for (const OptimizerRow& row : optimizers()) {
    if (!row.complete) continue;
    EXPECT_EQ(optimizer_named(row.name).text(), row.name);
  }
  for (const char* text : {"adam(lr=0.01 beta1=0.8)", "clip_global_norm(max=1) + adamw",
                           "sgd(lr=cosine(lr=0.1 steps=100))",
                           "momentum(lr=warmup(steps=5 then=cosine(lr=1 steps=9)))",
                           "scale_by_momentum(nesterov=true) + sgd"}) {
    EXPECT_EQ(optimizer_named(text).text(), text);
  }
  EXPECT_EQ(optimizer_named("adam(1e-2, beta1=0.8)").text(), "adam(lr=0.01 beta1=0.8)");
  EXPECT_EQ(adam(cosine(1e-3, 1000)).text(), "adam(lr=cosine(lr=0.001 steps=1000))");
  EXPECT_ERROR(ArgumentError, optimizer_named("adm"), "adm", "adam");
  EXPECT_ERROR(ArgumentError, optimizer_named("adam(beta1=1)"), "beta1", "[0,1)");
  EXPECT_ERROR(ArgumentError, optimizer_named("adam(lr=cosin(1 2))"), "lr", "cosine");
  EXPECT_ERROR(ArgumentError, optimizer_named("clip_value(1)"), "how far to step", "adam");
  EXPECT_ERROR(ArgumentError, optimizer_named("adam + "), "cannot read");
  EXPECT_ERROR(ArgumentError, adam(1e-3, "x"), "beta1", "a number");
  std::string deep = "1";
  for (int i = 0; i < 3000; ++i) deep = "warmup(1 " + deep + ")";
  EXPECT_ERROR(ArgumentError, schedule_named(deep), "nested too deeply");
  Graph graph;
  const Value p = graph.parameter("p", {2}), x = graph.input("x", {2});
  const Value params[] = {p}, data[] = {x};
  EXPECT_ERROR(ArgumentError, apply(adam(), sum(p), {}), "nothing to train");
  EXPECT_ERROR(ArgumentError, apply(adam(), sum(p), params, {{x, x}}), "masks");
  EXPECT_ERROR(ArgumentError, apply(adam(), sum(x), data), "parameters");
}

TEST(Optimizers, ParametersOfTheGraphInOrder) {
  Graph graph;
  const Value a = graph.parameter("a", {2});
  graph.input("x", {2});
  const Value b = graph.parameter("b", {3});
  EXPECT_EQ(parameters_of(graph), (std::vector<Value>{a, b}));
}

TEST(Schedules, FollowTheirFormulas) {
  const auto at = [](const Schedule& schedule, double step_) {
    Graph graph;
    const Value t = graph.input("t", {}, f64);
    return evaluate(graph, schedule(t), {{"t", Tensor::scalar(step_, f64)}}).at(0);
  };
  for (const double t : {0.0, 1.0, 9.0, 10.0, 55.0, 100.0, 500.0}) {
    const double part = std::min(t / 100, 1.0);
    EXPECT_DOUBLE_EQ(at(0.25, t), 0.25);
    EXPECT_NEAR(at(step_decay(0.5, 10), t), 0.5 * std::pow(0.1, std::floor(t / 10)), 1e-15);
    EXPECT_NEAR(at(exponential_decay(0.5, 0.97), t), 0.5 * std::pow(0.97, t), 1e-14);
    EXPECT_NEAR(at(cosine(0.5, 100, 0.1), t), 0.1 + 0.2 * (1 + std::cos(M_PI * part)), 1e-14);
    EXPECT_NEAR(at(linear_decay(0.5, 100), t), 0.5 * (1 - part), 1e-14);
    const double later = std::max(t - 10, 0.0) / 100;
    EXPECT_NEAR(at(warmup(10, cosine(0.5, 100)), t),
                t < 10 ? 0.5 * (t + 1) / 10 : 0.25 * (1 + std::cos(M_PI * std::min(later, 1.0))),
                1e-14);
  }
  for (const ScheduleRow& row : schedules()) EXPECT_FALSE(row.formula.empty());
  EXPECT_EQ(schedule_named("0.5").text(), "0.5");
  EXPECT_EQ(schedule_named("cosine(0.5 100)").text(), "cosine(lr=0.5 steps=100)");
  EXPECT_ERROR(ArgumentError, schedule_named("cosine(0.5)"), "steps");
}

TEST(Schedules, DriveTheOptimizer) {
  expect_path(sgd(step_decay(0.1, 2, 0.5)), [](double g, double, int t, Memory&) {
    return 0.1 * std::pow(0.5, (t - 1) / 2) * g;
  });
}

}  // namespace soma::test
