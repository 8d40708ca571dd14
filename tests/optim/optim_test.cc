// Optimizers and schedules against plain loops written here from the papers; masks, chains, text.
#include <cmath>

#include "soma/optim.h"
#include "tests/expect_error.h"
#include "tests/optim/loop_cases.h"

namespace soma::test {

namespace {

double smallest_loss() {
  static const double least = [] {
    Arrays p = problem_start;
    for (int step = 0; step < 4000; ++step) {
      const Arrays g = problem_slope(p);
      for (size_t i = 0; i < 2; ++i) {
        for (size_t j = 0; j < p[i].size(); ++j) p[i][j] -= 0.1 * g[i][j];
      }
    }
    return problem_loss(p);
  }();
  return least;
}

// How much of the way down is left after some steps on the CPU in single precision: 1 is the start.
double left_over(const Optimizer& optimizer, int steps) {
  Graph graph;
  const Value p = graph.parameter("layer/weights", {3, 3});
  const Value k = reshape(iota(graph, {9}, 0), {3, 3});
  const Value params[] = {p};
  const Value loss =
      sum((0.5 + 0.15 * k) * square(p - sin(k)) + 0.3 * sin(2.0 * p)) + 0.1 * square(sum(p));
  apply(optimizer, loss, params);
  graph.output("loss", loss);
  Tensors tensors = initialize(graph, 1);
  int64_t i = 0;
  for (const Vec& array : problem_start) {
    for (const double x : array) tensors.at("layer/weights").set(i++, x);
  }
  Plan plan = compile(graph, Device::cpu(1));
  plan.bind(tensors);
  for (int step = 0; step < steps; ++step) plan.run();
  Arrays found = problem_start;
  i = 0;
  for (Vec& array : found) {
    for (double& x : array) x = tensors.at("layer/weights").at(i++);
  }
  const Tensors averages = averages_of(tensors);
  if (optimizer.text().starts_with("schedule_free")) {
    i = 0;
    for (Vec& array : found) {
      for (double& x : array) x = averages.at("layer/weights").at(i++);
    }
  }
  return (problem_loss(found) - smallest_loss()) / (problem_loss(problem_start) - smallest_loss());
}

// Rates that suit the problem, where the default does not.
const std::map<std::string, std::string> suited{
    {"adabound", "adabound(0.05 last=0.1)"},
    {"adadelta", "adadelta(linear_decay(1 200) eps=0.0001)"},
    {"adafactor", "adafactor(1)"},
    {"asgd", "asgd(0.1)"},
    {"dog", "dog(start=0.01)"},
    {"ftrl", "ftrl(1)"},
    {"lars", "lars(1 trust=0.01)"},
    {"lbfgs", "lbfgs"},
    {"madgrad", "madgrad(0.1)"},
    {"muon", "muon(linear_decay(0.1 200) weight_decay=0)"},
    {"polyak_sgd", "polyak_sgd(0.2 -100)"},
    {"prodigy", "prodigy(cosine(1 200) start=0.01)"},
    {"dowg", "dowg(start=0.1)"},
    {"schedule_free_sgd", "schedule_free_sgd(0.2)"},
    {"shampoo", "shampoo(0.5)"},
    {"sm3", "sm3(0.5)"},
    {"adagrad", "adagrad(0.5)"},
    {"rprop", "rprop(0.1)"},
    {"novograd", "novograd(linear_decay(0.02 200))"}};

}  // namespace

TEST(Optimizers, EachRowDoesWhatItsPlainLoopDoes) {
  for (const OptimizerRow& row : optimizers()) {
    EXPECT_FALSE(row.formula.empty()) << row.name;
    EXPECT_FALSE(row.complete && row.source.empty()) << row.name;
    const auto found = loop_cases().find(row.name);
    ASSERT_NE(found, loop_cases().end()) << "write the plain loop of " << row.name;
    for (const LoopCase& each : found->second) {
      ASSERT_NE(each.text.find(row.name), std::string::npos) << each.text;
      const auto path = graph_path(optimizer_named(each.text), 12),
                 wanted = loop_path(each.rule, 12);
      // Nearly the same small differences of large numbers twice, or slopes by differences.
      const bool rough =
          row.name == "lbfgs" || row.name == "shampoo" || row.name == "orthogonal_penalty";
      for (size_t i = 0; i < wanted.size(); ++i) {
        expect_near(path[i], wanted[i], rough ? 1e-8 : 1e-12,
                    each.text + " step " + std::to_string(i + 1));
      }
    }
  }
}

TEST(Optimizers, EachFindsTheMinimum) {
  for (const OptimizerRow& row : optimizers()) {
    if (!row.complete) continue;
    const auto known = suited.find(row.name);
    const std::string text =
        known != suited.end() ? known->second : row.name + "(linear_decay(0.1 200))";
    EXPECT_LT(left_over(optimizer_named(text), 200), 0.02) << text;
  }
}

TEST(Optimizers, PartsMakeTheNamedOnes) {
  EXPECT_EQ(graph_path(scale_by_adam() + weight_decay(0.01) + sgd(0.001), 5),
            graph_path(adamw(), 5));
  EXPECT_EQ(graph_path(weight_decay(0.2) + sgd(0.1), 5), graph_path(sgd(0.1, 0.2), 5));
  EXPECT_EQ(graph_path(clip_global_norm(1e6) + sgd(0.1), 3), graph_path(sgd(0.1), 3));
}

TEST(Optimizers, FrozenElementsKeepTheirBits) {
  const auto points = [](const Optimizer& optimizer) {
    Problem problem;
    const Value params[] = {problem.w, problem.b};
    const Value mask = lt(iota(problem.graph, {2, 3}, 1, f64), 1.0);  // the first neuron
    apply(optimizer, problem.loss, params, {.masks = {mask, {}}});
    Runner runner(problem.graph);
    for (int step = 0; step < 4; ++step) runner.run();
    return runner.tensors;
  };
  for (const OptimizerRow& row : optimizers()) {
    Optimizer decaying =
        weight_decay(0.5) + Optimizer({Optimizer::Part({optimizers(), example_text(row)})});
    if (!row.complete) decaying = decaying + sgd(0.1);
    const Tensors tensors = points(decaying);
    const Vec w = numbers(tensors.at("layer/weights"));
    for (const size_t frozen : {1, 2, 4, 5})
      EXPECT_EQ(w[frozen], problem_start[0][frozen]) << row.name;
    EXPECT_EQ(w[0] != problem_start[0][0], row.name != "skip_large") << row.name;
    const Tensors averages = averages_of(tensors);
    if (averages.empty()) continue;
    for (const size_t frozen : {1, 2, 4, 5}) {
      EXPECT_EQ(numbers(averages.at("layer/weights"))[frozen], w[frozen]) << row.name;
    }
  }
}

TEST(Optimizers, StatesHaveTheNamesOfTheirParameters) {
  Tensors tensors;
  graph_path(adam(), 2, &tensors);
  EXPECT_EQ(tensors.at("optimizer/step").at(0), 2);
  EXPECT_EQ(tensors.at("optimizer/step").type(), i64);
  EXPECT_TRUE(tensors.count("optimizer/layer/weights/m"));
  EXPECT_TRUE(tensors.count("optimizer/layer/bias/v"));
  EXPECT_EQ(tensors.size(), 7u);
  graph_path(scale_by_momentum() + momentum(), 1, &tensors);  // the second has a name of its own
  EXPECT_TRUE(tensors.count("optimizer/layer/bias/momentum"));
  EXPECT_TRUE(tensors.count("optimizer/layer/bias/momentum_2"));
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
  for (const char* text :
       {"adam(lr=0.01 beta1=0.8)", "clip_global_norm(max=1) + adamw",
        "sgd(lr=cosine(lr=0.1 steps=100))",
        "momentum(lr=warmup(steps=5 then=cosine(lr=1 steps=9)))",
        "scale_by_momentum(nesterov=true) + sgd", "weight_decay(rate=0.01) for *weights|b? + sgd",
        "adam for !output/* + sgd(lr=0.1) for output/*", "adam + ema_weights",
        "accumulate(n=4) + lamb"}) {
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

}  // namespace soma::test
