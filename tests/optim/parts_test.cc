// What chains do together: groups of parameters, accumulation, averages, two players, mistakes.
#include "soma/plan.h"
#include "tests/expect_error.h"
#include "tests/optim/loop.h"

namespace soma::test {

namespace {

const std::string weights = "layer/weights", bias = "layer/bias";

Tensors states_after(const std::string& text, int steps) {
  Tensors states;
  graph_path(optimizer_named(text), steps, &states);
  return states;
}

// A line fitted to rows of x and y, by the mean of the squares: the data is an input.
struct Line {
  explicit Line(int64_t rows) {
    const Value x = graph.input("x", {rows, 2}, f64), y = graph.input("y", {rows, 1}, f64);
    w = graph.parameter("w", {2, 1}, "values([0.3 -0.2])", f64);
    loss = mean(square(dot(x, w) - y));
  }
  Graph graph;
  Value w, loss;
};
Tensor rows_of(int64_t first, int64_t count, int64_t width, double phase) {
  Tensor result({count, width}, f64);
  for (int64_t i = 0; i < result.elements(); ++i) {
    result.set(i, std::sin(phase + 1.7 * static_cast<double>(first * width + i)));
  }
  return result;
}
std::vector<double> fitted(const std::string& optimizer, int64_t rows, int steps) {
  Line line(rows);
  const Value params[] = {line.w};
  apply(optimizer_named(optimizer), line.loss, params);
  Runner runner(line.graph);
  for (int step = 0; step < steps; ++step) {
    runner.tensors["x"] = rows_of(step * rows, rows, 2, 0.1);
    runner.tensors["y"] = rows_of(step * rows, rows, 1, 0.9);
    runner.run();
  }
  return numbers(runner.tensors.at("w"));
}

}  // namespace

TEST(Patterns, StarsQuestionsAlternativesAndNot) {
  EXPECT_TRUE(matches("hidden/weights", "*weights"));
  EXPECT_TRUE(matches("hidden/weights", "hid*/w*s"));
  EXPECT_FALSE(matches("hidden/weights", "hidden"));
  EXPECT_TRUE(matches("b1", "b?"));
  EXPECT_FALSE(matches("b", "b?"));
  EXPECT_TRUE(matches("b", "a|b"));
  EXPECT_TRUE(matches("c", "!a|b"));
  EXPECT_FALSE(matches("b", "!a|b"));
  EXPECT_TRUE(matches("", "*"));
}

TEST(Groups, EachParameterHasItsOwnOptimizer) {
  const auto slow = graph_path(sgd(0.01), 5), fast = graph_path(sgd(0.1), 1);
  const auto both = graph_path(sgd(0.01).only("*weights") + sgd(0.1).only("*bias"), 1);
  for (size_t k = 0; k < 9; ++k) EXPECT_EQ(both[0][k], (k < 6 ? slow : fast)[0][k]) << k;
  // A rate of its own behind adam; freezing by a rate of 0.
  const auto adam_path = graph_path(adam(0.1), 1),
             scaled = graph_path(adam(0.1) + scale_rate(0.5).only("!*weights"), 1);
  const auto start = graph_path(sgd(0), 1)[0];
  for (size_t k = 0; k < 9; ++k) {
    EXPECT_NEAR(scaled[0][k] - start[k], (k < 6 ? 1 : 0.5) * (adam_path[0][k] - start[k]), 1e-15);
  }
  // No decay of biases; each state belongs to its part.
  const auto decayed = graph_path(weight_decay(0.5).only("*weights") + sgd(0.1), 1);
  EXPECT_EQ(decayed[0][7], fast[0][7]);
  EXPECT_NEAR(decayed[0][0], fast[0][0] - 0.05 * start[0], 1e-15);
  const Tensors states = states_after("adam for *weights + sgd for *bias", 1);
  EXPECT_TRUE(states.count("optimizer/layer/weights/m"));
  EXPECT_FALSE(states.count("optimizer/layer/bias/m"));
  // What acts after the step, and what looks twice, is restricted too.
  const auto kept = graph_path(optimizer_named("sgd(0.1) + keep_non_negative for *bias"), 1);
  EXPECT_EQ(kept[0][7], 0);
  EXPECT_EQ(kept[0][1], fast[0][1]);
  const auto sharp = graph_path(optimizer_named("sharpness_aware(0.3) for *bias + sgd(0.1)"), 1);
  EXPECT_EQ(sharp[0][0], fast[0][0]);
  EXPECT_NE(sharp[0][7], fast[0][7]);
}

TEST(Groups, MistakesGiveSentences) {
  EXPECT_ERROR(ArgumentError, graph_path(sgd(0.1).only("*weights"), 1), "layer/bias", "pattern");
  EXPECT_ERROR(ArgumentError, graph_path(sgd(0.1) + weight_decay(1).only("hiden*"), 1), "hiden*",
               "layer/weights");
  EXPECT_ERROR(ArgumentError, sgd(0.1).only("a b"), "a b");
  EXPECT_ERROR(ArgumentError, optimizer_named("sgd for"), "cannot read");
  EXPECT_ERROR(ArgumentError, states_after("accumulate(2) for *bias + sgd", 1), "accumulate",
               "restricted");
  EXPECT_ERROR(ArgumentError, states_after("accumulate(2) + sharpness_aware + sgd", 1),
               "before accumulate");
  EXPECT_ERROR(ArgumentError, optimizer_named("accumulate(1.5) + sgd"), "n", "1.5");
  EXPECT_ERROR(ArgumentError, optimizer_named("sgd + keep_between_norms(2 1)"), "smaller");
  Graph graph;
  const Value p = graph.parameter("p", {2});
  const Value params[] = {p}, slopes[] = {graph.constant(1, {2}, f32)};
  EXPECT_ERROR(ArgumentError, apply_gradients(polyak_sgd(), params, slopes), "polyak_sgd",
               "apply()");
}

TEST(Accumulation, ManyBatchesAreOneLargeBatch) {
  for (const std::string optimizer :
       {"adam(0.1)", "clip_global_norm(0.1) + momentum(0.1)", "lbfgs", "sgd(0.1) + lookahead(2)",
        "adam(cosine(0.1 4))", "polyak_sgd"}) {
    expect_near(fitted("accumulate(4) + " + optimizer, 3, 12), fitted(optimizer, 12, 3), 1e-12,
                optimizer);
    EXPECT_EQ(fitted("accumulate(1) + " + optimizer, 3, 5), fitted(optimizer, 3, 5));
  }
  const Tensors states = states_after("accumulate(4) + adam + ema_weights", 7);
  EXPECT_EQ(states.at("optimizer/step").at(0), 1);
  EXPECT_EQ(states.at("optimizer/batches").at(0), 3);
}

TEST(Gates, AStepThatIsNotFiniteChangesNothing) {
  Graph graph;
  const Value p = graph.parameter("p", {2}, "1"), g = graph.input("g", {2});
  const Value params[] = {p}, slopes[] = {g};
  apply_gradients(skip_not_finite() + adam(0.1) + ema_weights(0.5), params, slopes);
  Runner runner(graph);
  const auto step = [&](double a, double b) {
    runner.tensors["g"] = Tensor::of({2}, std::vector<double>{a, b}).cast(f32);
    runner.run();
    return runner.tensors;
  };
  const Tensors before = step(1, 2);
  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    Tensors after = step(1, bad);
    after["g"] = before.at("g");
    EXPECT_TRUE(after == before) << bad;
  }
  EXPECT_EQ(step(1, 2).at("optimizer/step").at(0), 2);
}

TEST(Averages, OfWeights) {
  const auto path = graph_path(sgd(0.1), 8);
  const auto average = [&](const std::string& text, int steps = 8) {
    const Tensors all = averages_of(states_after(text, steps));
    EXPECT_EQ(all.size(), 2u);
    return all.at(weights).at(1);
  };
  double ema = path[0][1], warm = path[0][1], equal = 0;
  for (int t = 2; t <= 8; ++t) {
    const double decay = std::min(0.9, (1.0 + t) / (10 + t)),
                 now = path[static_cast<size_t>(t - 1)][1];
    ema = 0.9 * ema + 0.1 * now;
    warm = decay * warm + (1 - decay) * now;
  }
  for (const int t : {3, 5, 7}) equal += path[static_cast<size_t>(t - 1)][1] / 3;
  EXPECT_NEAR(average("sgd(0.1) + ema_weights(0.9)"), ema, 1e-14);
  EXPECT_NEAR(average("ema_weights(0.9 true) + sgd(0.1)"), warm, 1e-14);
  EXPECT_NEAR(average("sgd(0.1) + average_weights(3 2)"), equal, 1e-14);
  EXPECT_NEAR(average("sgd(0.1) + average_weights(3 2)", 2), path[1][1], 1e-14);
  // The average of asgd begins with step begin + 2, as PyTorch counts.
  const auto moved = graph_path(optimizer_named("asgd(0.1 begin=4)"), 8);
  double mean = 0;
  for (size_t t = 6; t <= 8; ++t) mean += moved[t - 1][1] / 3;
  EXPECT_NEAR(average("asgd(0.1 begin=4)"), mean, 1e-14);
  // What schedule-free descent gives is the mean of its z.
  const auto y = graph_path(optimizer_named("schedule_free_sgd(0.1 0)"), 8);
  EXPECT_NEAR(
      average("schedule_free_sgd(0.1 0)"),
      [&] {
        double total = 0;
        for (const Vec& point : y) total += point[1] / 8;  // mu = 0: y is z
        return total;
      }(),
      1e-14);
}

TEST(GradientNoise, HasTheVarianceOfItsStep) {
  Graph graph;
  const Value p = graph.parameter("p", {20000}, "0", f64),
              q = graph.parameter("q", {20000}, "0", f64);
  const Value params[] = {p, q}, slopes[] = {0.0 * p, 0.0 * q};
  apply_gradients(gradient_noise(0.5, 0.55) + sgd(1), params, slopes);
  Runner runner(graph);
  Vec last(20000, 0);
  for (int t = 1; t <= 3; ++t) {
    runner.run();
    const Vec now = numbers(runner.tensors.at("p")), other = numbers(runner.tensors.at("q"));
    double mean = 0, squares = 0, common = 0;
    for (size_t i = 0; i < now.size(); ++i) {
      mean += (now[i] - last[i]) / 20000;
      squares += (now[i] - last[i]) * (now[i] - last[i]) / 20000;
      common += (now[i] - last[i]) * last[i] / 20000 + now[i] * other[i] / 20000;
    }
    EXPECT_NEAR(mean, 0, 0.02);
    EXPECT_NEAR(squares, 0.5 / std::pow(t, 0.55), 0.02) << t;
    EXPECT_NEAR(common, 0, 0.05);  // of other steps and of other parameters
    last = now;
  }
}

// Two players of the game (x - 1) (y - 2) with a pull of 0.1 x^2 - 0.1 y^2: x makes it small, y
// large.
TEST(TwoOptimizers, PlayersShareOneProgram) {
  Graph graph;
  const Value x = graph.parameter("one/x", {}), y = graph.parameter("two/y", {});
  const Value game = (x - 1.0) * (y - 2.0) + 0.1 * square(x - 1.0) - 0.1 * square(y - 2.0);
  apply(optimistic_sgd(0.1), game, parameters_of(graph, "one/*"), {.name = "first"});
  EXPECT_ERROR(ArgumentError,
               apply(adam(), -game, parameters_of(graph, "two/*"), {.name = "first"}), "\"first\"",
               "its own");
  apply(optimistic_sgd(0.1), -game, parameters_of(graph, "two/*"), {.name = "second"});
  Tensors tensors = initialize(graph, 1);
  Plan plan = compile(graph, Device::cpu(1));
  plan.bind(tensors);
  for (int step = 0; step < 400; ++step) plan.run();
  EXPECT_NEAR(tensors.at("one/x").at(0), 1, 1e-3);
  EXPECT_NEAR(tensors.at("two/y").at(0), 2, 1e-3);
  EXPECT_EQ(tensors.at("first/step").at(0), 400);
  EXPECT_TRUE(tensors.count("second/two/y/last"));
}

TEST(Limits, SharpnessSeesTheSameRandomNumbers) {
  // The second look must repeat the drop-out of the first: with the slope 2 noise p it is a factor.
  Graph graph;
  const Value p = graph.parameter("p", {50}, "1", f64);
  const Value key = graph.state("key", {2}, "3", i64);
  const Value noise = rng(key, {50}, 5, f64);
  const Value params[] = {p};
  apply(sharpness_aware(0.1) + sgd(1), sum(noise * square(p)), params);
  Runner runner(graph);
  const Vec u = numbers(evaluate(graph, noise, {}));
  runner.run();
  double size = 0;
  for (const double x : u) size += 4 * x * x;
  for (size_t i = 0; i < 50; ++i) {
    const double there = 1 + 0.1 * 2 * u[i] / std::sqrt(size);
    EXPECT_NEAR(runner.tensors.at("p").at(static_cast<int64_t>(i)), 1 - 2 * u[i] * there, 1e-12);
  }
}

}  // namespace soma::test
