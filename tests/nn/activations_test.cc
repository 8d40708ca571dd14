// Every activation function of the registry: values and derivatives against the catalogue's table,
// gradients to second order, large inputs, text, and a function added to the registry.
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "soma/gradcheck.h"
#include "src/nn/pieces.h"
#include "tests/expect_error.h"
#include "tests/nn/evaluate.h"

namespace soma::test {

namespace {

nlohmann::json table() {
  std::ifstream file(SOMA_SOURCE_DIR "/tests/data/activations.json");
  return nlohmann::json::parse(file);
}

// Irregular points, so that no kink and no tie is hit.
Tensor points(const Shape& shape, double scale, int seed = 0) {
  Tensor result(shape, f64);
  for (int64_t i = 0; i < result.elements(); ++i) {
    result.set(i, scale * std::sin(1.7 * static_cast<double>(i + 1) + 2.3 * seed + 0.1234));
  }
  return result;
}

Value fixed_key(Graph& graph) {
  return concat({graph.constant(7, {1}, i64), graph.constant(3, {1}, i64)}, 0);
}

}  // namespace

TEST(Activations, AgreeWithTheTable) {
  for (const auto& entry : table()) {
    const Activation f = activation_named(entry["activation"].get<std::string>());
    const auto found = curve(f, entry["x"]);
    for (size_t i = 0; i < found.y.size(); ++i) {
      const double y = entry["y"][i];
      EXPECT_NEAR(found.y[i], y, 1e-12 + 1e-9 * std::abs(y)) << f.text() << " at " << entry["x"][i];
      if (entry["dy"][i].is_null()) continue;  // a kink
      const double slope = entry["dy"][i];
      EXPECT_NEAR(found.slope[i], slope, 1e-12 + 1e-9 * std::abs(slope))
          << f.text() << "' at " << entry["x"][i];
    }
  }
}

TEST(Activations, TheTableHasEveryElementwiseRow) {
  std::set<std::string> in_table{"flexible_relu"};
  for (const auto& entry : table()) {
    in_table.insert(activation_named(entry["activation"].get<std::string>()).name());
  }
  size_t rows = 0;
  for (const ActivationRow& row : activations()) {
    if (row.vector || row.function == nullptr) continue;
    ++rows;
    EXPECT_TRUE(in_table.count(row.name)) << row.name;
  }
  EXPECT_EQ(rows, 67u);
}

TEST(Activations, DerivativesAtKinksAreThoseOfTheRow) {
  EXPECT_EQ(curve(relu, {0}).slope[0], 0);
  EXPECT_EQ(curve(leaky_relu, {0}).slope[0], 0.01);
  EXPECT_EQ(curve(elu, {0}).slope[0], 1);
  EXPECT_EQ(curve(hard_tanh, {-1, 1}).slope, (std::vector<double>{0, 0}));
  EXPECT_EQ(curve(softplus, {0}).slope[0], 0.5);
  EXPECT_EQ(curve(squareplus, {0}).slope[0], 0.5);
  EXPECT_EQ(curve(softsign, {0}).slope[0], 1);
  EXPECT_EQ(curve(asinh, {0}).slope[0], 1);
}

TEST(Activations, GradientsToSecondOrder) {
  for (const ActivationRow& row : activations()) {
    const Activation f = with_defaults(row);
    for (int seed = 0; seed < 3; ++seed) {
      const Tensor x[] = {points({2, 6}, seed == 0 ? 0.7 : 2.9, seed)};
      const auto result = gradcheck([&](Graph&, auto in) { return f(in[0]); }, x);
      EXPECT_TRUE(result.passed) << f.text() << " " << result.message;
    }
  }
}

TEST(Activations, LearnedParametersHaveGradients) {
  for (const ActivationRow& row : activations()) {
    for (const Parameter& p : row.parameters) {
      if (p.canonical != detail::canonical<Setting>) continue;
      std::string text = row.name + "(";
      for (const Parameter& other : row.parameters) {
        if (other.name == p.name) text += p.name + "=learned:0.4 ";
        if (other.name != p.name && other.initial.empty()) text += other.name + "=0 ";
      }
      const Activation f = activation_named(text + ")");
      Graph graph;
      const Value x = graph.input("x", {3, 4}, f64), y = f(x);
      const Value parameter = graph.find_input(row.name + "_" + p.name);
      EXPECT_EQ(parameter.shape(), (row.vector ? Shape{} : Shape{4})) << f.text();
      EXPECT_EQ(activation_named(f.text()), f);
      const Value wrt[] = {parameter};
      const Shape shape = parameter.shape();  // a copy: the graph grows
      EXPECT_EQ(gradients(sum(y), wrt)[0].shape(), shape);
    }
  }
}

TEST(Activations, LargeInputsGiveNoNanAndNoNeedlessInfinity) {
  const std::set<std::string> overflow{"exponential", "sinh", "poisson1"};  // as they should
  const std::vector<double> far{-1e4, -1000, -100, -30, -20, 0, 5, 20, 30, 100, 1000, 1e4};
  for (const ActivationRow& row : activations()) {
    for (const DType type : {f32, f64}) {
      const Activation f = with_defaults(row);
      const auto result = curve(f, far, type);
      for (const auto& list : {result.y, result.slope}) {
        for (size_t i = 0; i < list.size(); ++i) {
          EXPECT_FALSE(std::isnan(list[i])) << row.name << " element " << i << " in " << type;
          if (!overflow.count(row.name)) {
            EXPECT_TRUE(std::isfinite(list[i])) << row.name << " element " << i << " in " << type;
          }
        }
      }
    }
  }
}

TEST(Activations, StableWhereNaiveFormulasLoseEverything) {
  EXPECT_NEAR(curve(softplus, {-40}).y[0] / std::exp(-40), 1, 1e-12);
  EXPECT_NEAR(curve(log_sigmoid, {-1e4}).y[0], -1e4, 1e-9);
  EXPECT_NEAR(curve(asinh, {-1e4}).y[0], std::asinh(-1e4), 1e-12);
  EXPECT_NEAR(curve(squareplus, {-1e4}).y[0] / 1e-4, 1, 1e-6);
  EXPECT_NEAR(curve(mish, {-30}).y[0] / (-30 * std::exp(-30)), 1, 1e-10);
}

TEST(Activations, TextReadsBack) {
  for (const ActivationRow& row : activations()) {
    const Activation f = with_defaults(row);
    EXPECT_EQ(activation_named(f.text()), f) << f.text();
  }
  EXPECT_EQ(leaky_relu(0.2).text(), "leaky_relu(a=0.2)");
  EXPECT_EQ(leaky_relu(0.01).text(), "leaky_relu");
  EXPECT_EQ(activation_named(" leaky_relu( 0.20 ) "), leaky_relu(0.2));
  EXPECT_EQ(activation_named("hard_tanh(lo=-2, hi=2)"), hard_tanh(-2, 2));
  EXPECT_EQ(activation_named("hard_tanh(hi = 2  lo = -2)"), hard_tanh(-2, 2));
  EXPECT_EQ(activation_named("prelu(a=learned:0.10)").text(), "prelu(a=learned:0.1)");
  EXPECT_EQ(Activation(relu), activation_named("relu"));
  EXPECT_FALSE(Activation(relu) == Activation(relu6));
}

TEST(Activations, EveryFunctionStandsForItsRow) {
  for (const ActivationRow& row : activations()) {
    if (!row.function || row.name == "threshold") continue;  // added by a program; no defaults
    EXPECT_EQ(Activation(row.function).name(), row.name);
    EXPECT_FALSE(row.formula.empty());
    EXPECT_FALSE(row.derivative.empty());
  }
}

TEST(Activations, BadTextsGiveSentences) {
  EXPECT_ERROR(ArgumentError, activation_named("leaky_rulu"), "leaky_rulu", "did you mean",
               "leaky_relu");
  EXPECT_ERROR(ArgumentError, activation_named("leaky_relu(b=1)"), "no parameter \"b\"", "a=0.01");
  EXPECT_ERROR(ArgumentError, activation_named("leaky_relu(a=x)"), "a number", "\"x\"");
  EXPECT_ERROR(ArgumentError, activation_named("leaky_relu(a=1 a=2)"), "twice");
  EXPECT_ERROR(ArgumentError, activation_named("leaky_relu(1 2)"), "too many", "a=0.01");
  EXPECT_ERROR(ArgumentError, activation_named("relu(1)"), "too many", "takes no parameters");
  EXPECT_ERROR(ArgumentError, activation_named("threshold(theta=1)"), "value");
  EXPECT_ERROR(ArgumentError, activation_named("leaky_relu(a=1"), "cannot read");
  EXPECT_ERROR(ArgumentError, activation_named(""), "cannot read");
  EXPECT_ERROR(ArgumentError, activation_named("a)b("), "cannot read");
  EXPECT_ERROR(ArgumentError, activation_named("maxout(k=0)"), "[1,inf)");
  EXPECT_ERROR(ArgumentError, activation_named("maxout(k=learned)"), "a number");
  EXPECT_ERROR(ArgumentError, activation_named("leaky_relu(a=nan)"), "a number");
  Graph graph;
  EXPECT_ERROR(ArgumentError,
               activation_named("threshold(theta=learned value=0)")(graph.input("x", {2})), "theta",
               "learned:0.1");
  EXPECT_ERROR(TypeError, relu(graph.input("labels", {2}, i32)), "relu", "i32");
  EXPECT_ERROR(ShapeError, glu(graph.input("odd", {2, 3})), "3 is odd");
  EXPECT_ERROR(ShapeError, softmax(graph.input("one", {})), "softmax");
  EXPECT_ERROR(ArgumentError, (void)Activation{threshold}, "needs a value for theta");
  EXPECT_ERROR(ArgumentError, (void)Activation{neg}, "not a registered activation");
}

TEST(Activations, WidthsFollowFromTheFunction) {
  EXPECT_EQ(Activation(relu).outputs(6), 6);
  EXPECT_EQ(Activation(softmax).outputs(6), 6);
  EXPECT_EQ(Activation(glu).outputs(6), 3);
  EXPECT_EQ(Activation(crelu).outputs(6), 12);
  EXPECT_EQ(maxout(3).outputs(6), 2);
  EXPECT_THROW((void)maxout(4).outputs(6), ShapeError);
}

TEST(Activations, LearnedParametersArePerNeuronOrPerChannelOrShared) {
  Graph graph;
  const Value image = graph.input("image", {2, 3, 5, 5});
  ActivationContext channels;
  channels.axis = 1;
  {
    Graph::Scope scope(graph, "first");
    const Value y = leaky_relu("learned")(image, channels);
    EXPECT_EQ(y.shape(), image.shape());
  }
  EXPECT_EQ(graph.find_input("first/leaky_relu_a").shape(), Shape{3});
  EXPECT_EQ(graph.find_input("first/leaky_relu_a").node().as<InputAttr>().init, "0.01");
  prelu(image);
  EXPECT_EQ(graph.find_input("prelu_a").shape(), Shape{});
  EXPECT_EQ(graph.find_input("prelu_a").node().as<InputAttr>().init, "0.25");
}

TEST(Activations, VectorsActAlongTheGivenAxis) {
  Graph graph;
  const Value x = graph.input("x", {2, 3}, f64);
  ActivationContext rows;
  rows.axis = 0;
  const Value columns = Activation(softmax)(x, rows);
  const Tensors data{{"x", points({2, 3}, 2)}};
  expect_near(numbers(evaluate(graph, sum(columns, {0}), data)), {1, 1, 1}, 1e-15);
}

TEST(Activations, ProjectionsOntoTheSimplex) {
  // Martins & Astudillo, section 2: the projection of (t, 0) is hard outside [-1, 1].
  expect_near(curve(sparsemax, {0.5, 0}).y, {0.75, 0.25}, 1e-15);
  expect_near(curve(sparsemax, {3, 0, -1}).y, {1, 0, 0}, 1e-15);
  expect_near(curve(sparsemax, {1, 1, 1, 1}).y, {0.25, 0.25, 0.25, 0.25}, 1e-15);
  expect_near(curve(entmax15, {2, 2, 0}).y, {0.5, 0.5, 0}, 0.1);
  expect_near(curve(entmax15, {5, 0, 0}).y, {1, 0, 0}, 1e-15);
  for (int seed = 0; seed < 20; ++seed) {
    Graph graph;
    const Value x = graph.input("x", {3, 7}, f64);
    const Tensors data{{"x", points({3, 7}, 0.3 + 0.2 * seed, seed)}};
    for (const Activation& f : {Activation(sparsemax), Activation(entmax15), Activation(softmax)}) {
      const Tensor y = evaluate(graph, f(x), data);
      for (int row = 0; row < 3; ++row) {
        double total = 0, threshold_ = 0;
        int support = 0;
        for (int i = 0; i < 7; ++i) total += y.at(row * 7 + i);
        EXPECT_NEAR(total, 1, 1e-12) << f.text();
        // Stationarity: where y > 0, x - y (or x / 2 - sqrt y) is the same number everywhere.
        for (int i = 0; i < 7 && f.name() != "softmax"; ++i) {
          const double yi = y.at(row * 7 + i), xi = data.at("x").at(row * 7 + i);
          if (yi <= 0) continue;
          const double tau = f.name() == "sparsemax" ? xi - yi : xi / 2 - std::sqrt(yi);
          if (support++) {
            EXPECT_NEAR(tau, threshold_, 1e-9) << f.text();
          }
          threshold_ = tau;
        }
      }
    }
  }
}

TEST(Activations, RandomOnesDrawInTrainingOnly) {
  Graph graph;
  const Value x = graph.input("x", {1000}, f64);
  ActivationContext training;
  training.training = true;
  EXPECT_ERROR(ArgumentError, (void)activation_named("rrelu")(x, training), "key");
  training.key = fixed_key(graph);
  Tensor minus({1000}, f64);
  for (int64_t i = 0; i < 1000; ++i) minus.set(i, -1);
  const Tensors data{{"x", minus}};
  double low = 1, high = 0, total = 0;
  for (const double y : numbers(evaluate(graph, Activation(rrelu)(x, training), data))) {
    low = std::min(low, -y), high = std::max(high, -y), total -= y;
  }
  EXPECT_GE(low, 0.125);
  EXPECT_LT(high, 1.0 / 3);
  EXPECT_LT(low, 0.13);
  EXPECT_GT(high, 0.33);
  EXPECT_NEAR(total / 1000, (0.125 + 1.0 / 3) / 2, 0.006);
  expect_near(numbers(evaluate(graph, sum(Activation(gumbel_softmax)(x, training)), data)), {1},
              1e-12);
  training.stream = 1;
  EXPECT_FALSE(Activation(rrelu)(x, training) == Activation(rrelu)(x, {true, training.key, 0, -1}));
}

TEST(Activations, GumbelNoiseChoosesLikeTheProbabilities) {
  Graph graph;
  const Value x = graph.input("x", {4000, 2}, f64);
  const ActivationContext training{true, fixed_key(graph), 0, -1};
  const Value choice = argmax(gumbel_softmax(0.1)(x, training), -1);
  Tensor logits({4000, 2}, f64);
  for (int64_t i = 0; i < 4000; ++i) logits.set(2 * i + 1, std::log(3.0));
  const Tensor picked = evaluate(graph, mean(cast(choice, f64)), {{"x", logits}});
  EXPECT_NEAR(picked.at(0), 0.75, 0.02);
}

// A row in this file is all it takes: text, defaults, tables, gradients, learned parameters.
TEST(Activations, AddingOneIsOneLine) {
  const size_t before = activations().size();
  activations().add(activation_row(
      {"test_bent", "x + a (sqrt(x^2 + 1) - 1)", "none", "", {}}, "a=0.5",
      "1 + a x / sqrt(x^2 + 1)",
      +[](Value x, Value a) -> Value { return x + a * (sqrt(square(x) + 1.0) - 1.0); }));
  EXPECT_EQ(activations().size(), before + 1);
  const Activation bent = activation_named("test_bent(a=2)");
  EXPECT_EQ(bent.text(), "test_bent(a=2)");
  EXPECT_NEAR(curve(bent, {3}).slope[0], 1 + 2 * 3 / std::sqrt(10.0), 1e-12);
  EXPECT_ERROR(ArgumentError, activation_named("test_bend"), "test_bent");
  Graph graph;
  activation_named("test_bent(a=learned)")(graph.input("x", {2, 3}));
  EXPECT_EQ(graph.find_input("test_bent_a").shape(), Shape{3});
}

}  // namespace soma::test
