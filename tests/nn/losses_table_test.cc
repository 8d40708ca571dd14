// Every row of the registry of losses, with figures worked out by independent programs: plain loops
// over the definitions, and for ctc the sum over all alignments one by one. Each case is also
// checked for its gradients, to second order, and the processor against the interpreter.
#include <map>
#include <set>

#include "soma/gradcheck.h"
#include "soma/gradient.h"
#include "soma/plan.h"
#include "tests/expect_error.h"
#include "tests/nn/evaluate.h"

namespace soma::test {
namespace {

Tensor real(const Shape& shape, const std::vector<double>& values) {
  return Tensor::of({static_cast<int64_t>(values.size())}, values).reshaped(shape);
}
Tensor whole(const Shape& shape, const std::vector<int32_t>& values) {
  return Tensor::of({static_cast<int64_t>(values.size())}, values).reshaped(shape);
}

const std::vector<double> scores{0.3, -0.6, 1.9, 0.2, 2.6, -1.4};
const std::vector<double> shares{0.2, 0.5, 0.3, 0.1, 0.3, 0.6};
std::vector<double> logs_of(std::vector<double> x) {
  for (double& value : x) value = std::log(value);
  return x;
}

// Predictions and targets. The second label of `ignored` counts for nothing.
const Tensor P = real({2, 3}, scores), P1 = real({1, 2, 3}, scores), S = real({2, 3}, shares),
             lnS = real({2, 3}, logs_of(shares)), R = real({2, 3}, {.2, .5, .5, .1, .3, .8}),
             Q = real({2, 3}, {.3, .5, .9, .2, .6, -.4}),
             T = real({2, 3}, {.9, .1, .4, .35, .6, 1.0}), C = real({2, 3}, {3, .1, .4, 1, 2.5, 0}),
             Y = real({2, 3}, {1, 0, 1, 0, 1, 1}), L = whole({2}, {2, 0}), I = whole({2}, {2, -1}),
             L1 = whole({1, 2}, {2, 0}), I1 = whole({1, 2}, {2, -1}),
             M = whole({2, 2}, {2, 0, 1, -1}),
             G = real({2, 4}, {.3, -.7, .5, -.2, 1.9, .2, 1.1, .4}),
             U = real({2, 2}, {.9, .1, .35, .6}), K = real({2, 2}, {-.7, .3, 1.9, .2}),
             V = real({2, 2, 2}, {.3, -.7, 1.9, .2, .5, .4, .6, .1}),
             W = real({2, 3, 2}, {.3, -.7, .9, .2, .5, .4, .5, .4, .6, .1, -.3, .7}),
             y = whole({2}, {1, 0}), E = real({4, 2}, {.3, -.7, 1.9, .2, .5, .4, .6, .1}),
             e = whole({4}, {1, 0, 1, 1}),
             X = real({2, 4, 3}, {.3, -.7, 1.9, .2, 2.6, -1.4, 1,  .5,  .2, -.3, .8, .6,  //
                                  .5, .4,  -.2, .1, .3,  .6,   .9, -.5, .7, .2,  .2, .1}),
             D = whole({2, 2}, {2, 1, 1, -1}), B = whole({2, 2}, {0, 0, 1, 0});

struct Case {
  const char* loss;
  const Tensor& prediction;
  const Tensor& target;
  double value;
};
// clang-format off
const Case cases[] = {
    {"mean_squared_error", P, T, 2.14708333333333},
    {"mean_absolute_error", P, T, 1.225},
    {"huber", P, T, 0.806041666666667},
    {"huber(0.5)", P, T, 0.497708333333333},
    {"smooth_l1", P, T, 0.806041666666667},
    {"smooth_l1(0.75)", P, T, 0.892777777777778},
    {"log_cosh", P, T, 0.717350897532526},
    {"charbonnier(0.1)", P, T, 1.2339285175283},
    {"lp", P, T, 1.58202053575076},
    {"lp(3)", P, T, 4.2935625},
    {"mean_absolute_percentage_error", P, T, 292.97619047619},
    {"symmetric_mean_absolute_percentage_error", P, T, 134.996706192358},
    {"mean_squared_logarithmic_error", P, T, 0.305893564959713},
    {"relative_l1", P, T, 1.1751770112458},
    {"relative_l2", P, T, 1.58509518390817},
    {"epsilon_insensitive(0.2)", P, T, 1.03333333333333},
    {"squared_epsilon_insensitive(0.2)", P, T, 1.69666666666667},
    {"quantile(0.8)", P, T, 0.63},
    {"expectile(0.8)", P, T, 1.09266666666667},
    {"poisson_nll", P, T, 3.71938377384213},
    {"poisson_nll(full=true)", P, C, 3.02469915257049},
    {"poisson_nll(log_input=false)", S, C, 2.11528905537182},
    {"gaussian_nll", G, U, 0.463377848583674},
    {"gaussian_nll(true)", G, U, 1.38231638178835},
    {"gamma_deviance", P, T, 2.39332656416097},
    {"gamma_deviance(false)", S, T, 1.52031422346158},
    {"tweedie_deviance", P, C, 2.4624281738937},
    {"tweedie_deviance(1.2 false)", S, C, 4.12831911125999},
    {"cosine_distance", P, T, 0.724943219765322},
    {"cross_entropy", P, L, 1.37672740421453},
    {"cross_entropy", P, S, 2.28172740421453},
    {"cross_entropy(0.2)", P, L, 1.48672740421453},
    {"cross_entropy(0.2 [1 2 3])", P, L, 1.03602276653162},
    {"cross_entropy", P, I, 0.249965810007269},
    {"cross_entropy(0.2)", P, I, 0.523299143340602},
    {"cross_entropy(0.2 [1 2 3])", P, I, 0.379968089340118},
    {"negative_log_likelihood", P, L, -1.05},
    {"negative_log_likelihood([1 2 3])", P, L, -1.475},
    {"probability_cross_entropy", R, L, 1.68018769357095},
    {"probability_cross_entropy(0.1)", R, L, 1.64249164192972},
    {"categorical_focal", P, L, 1.06145071145774},
    {"categorical_focal(1.5 0.25)", P, S, 0.52023625305833},
    {"categorical_focal(2 1 0.1)", P, I, 0.135529616858752},
    {"poly1", P, L, 1.94641414724089},
    {"poly1(2)", P, S, 3.6960709834719},
    {"generalized_cross_entropy", P, L, 0.705123453489724},
    {"categorical_hinge", P, L, 1.7},
    {"multi_margin", P, L, 0.566666666666667},
    {"multi_margin(0.8 2)", P, L, 1.70666666666667},
    {"sparsemax_loss", Q, L, 0.291666666666667},
    {"sparsemax_loss", P, S, 1.815},
    {"entmax15_loss", Q, L, 0.459589677261717},
    {"entmax15_loss", P, S, 1.61933712899564},
    {"kl_divergence", P, S, 1.31792803475385},
    {"kl_divergence", P, L, 1.37672740421453},
    {"kl_divergence(true)", P, lnS, 1.31792803475385},
    {"jensen_shannon", P, S, 0.203499462195687},
    {"jensen_shannon", P, L, 0.315886225405963},
    {"earth_mover", P, L, 0.458504080957329},
    {"earth_mover(1.5)", P, S, 0.394167375739398},
    {"binary_cross_entropy", P, T, 0.970238487417515},
    {"binary_cross_entropy(3 0.2)", P, Y, 1.43716727947105},
    {"probability_binary_cross_entropy", S, T, 0.851636357773036},
    {"binary_focal", P, Y, 0.0847707662204334},
    {"binary_focal(1.5 -1)", P, T, 0.429087403253968},
    {"hinge", P, Y, 0.783333333333333},
    {"hinge", P, L, 1.7},
    {"hinge(2)", P, Y, 1.46666666666667},
    {"hinge(2)", P, L, 2.4},
    {"squared_hinge", P, Y, 1.30833333333333},
    {"squared_hinge", P, L, 5.78},
    {"perceptron", P, Y, 0.266666666666667},
    {"perceptron", P, L, 1.2},
    {"soft_margin", P, Y, 0.603571820750848},
    {"multilabel_margin", P, Y, 0.45},
    {"multilabel_margin", P, M, 0.0166666666666667},
    {"multilabel_soft_margin", P, Y, 0.603571820750848},
    {"multilabel_soft_margin", P, M, 0.370238487417514},
    {"wasserstein", P, Y, -0.633333333333333},
    {"dice", P, Y, 0.246700031154825},
    {"tversky(0.3 0.6 0.5)", P, Y, 0.240667693334678},
    {"focal_tversky", P, Y, 0.31713825986606},
    {"iou", P, Y, 0.335818673782607},
    {"dice", P1, L1, 0.352199218172486},
    {"iou", P1, I1, 0.102183929040459},
    {"margin_ranking(0.5)", K, y, 1.85},
    {"hinge_embedding(2)", P, Y, 1.3},
    {"cosine_embedding(0.1)", V, y, 0.738704545548789},
    {"contrastive", V, y, 0.959386116991581},
    {"triplet", W, y, 0.712729392687193},
    {"triplet(0.5 true)", W, y, 0.567225893569619},
    {"info_nce(0.5)", V, y, 0.649704585944624},
    {"ntxent(0.5)", E, e, 1.61556708459356},
    {"circle(2 0.25)", E, e, 3.64927924038594},
    {"ctc", X, D, 1.88758524238995},
    {"ctc(per_label=true)", X, D, 1.50649493395564},
    {"ctc(2)", X, B, 3.62478993844853},
};
// clang-format on

Graph graph_of(const Case& c, DType type) {
  Graph graph;
  const bool numbers_wanted = is_float(c.target.type());
  const Value p = graph.input("p", c.prediction.shape(), type);
  const Value t = graph.input("t", c.target.shape(), numbers_wanted ? type : i32);
  const Value loss = loss_named(c.loss)(p, t);
  const Value wrt[] = {p};
  graph.output("loss", loss);
  graph.output("slope", gradients(loss, wrt)[0]);
  return graph;
}

Value constant_of(Graph& graph, const Tensor& tensor) {
  std::vector<Value> elements;
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    elements.push_back(graph.constant(tensor.at(i), {1}, tensor.type()));
  }
  return reshape(concat(elements, 0), tensor.shape());
}

std::string title(const Case& c) {
  std::ostringstream text;
  text << c.loss << " of " << c.prediction.shape() << " and " << c.target.type()
       << c.target.shape();
  return text.str();
}

// The figures of a gradient that treats a part as a constant are not those of the value.
bool has_constants(const Case& c) {
  return loss_named(c.loss).row().formula.find("stop(") != std::string::npos;
}

}  // namespace

TEST(EveryLoss, HasACase) {
  std::set<std::string> seen;
  for (const Case& c : cases) seen.insert(loss_named(c.loss).name());
  for (const LossRow& row : losses()) {
    EXPECT_TRUE(seen.count(row.name)) << row.name << " needs a row in the table of this file";
  }
}

TEST(EveryLoss, HasTheValueOfItsDefinition) {
  for (const Case& c : cases) {
    const Tensor inputs[] = {c.prediction, c.target};
    const double found = interpret(graph_of(c, f64), inputs).outputs[0].at(0);
    EXPECT_NEAR(found, c.value, 1e-12 * std::max(1.0, std::abs(c.value))) << title(c);
  }
}

TEST(EveryLoss, HasRightGradientsToSecondOrder) {
  for (const Case& c : cases) {
    if (has_constants(c)) continue;
    const Tensor points[] = {c.prediction};
    const auto build = [&](Graph& graph, std::span<const Value> in) {
      return loss_named(c.loss)(in[0], constant_of(graph, c.target));
    };
    const auto found = gradcheck(build, points, {.directions = 2});
    EXPECT_TRUE(found.passed) << title(c) << " " << found.message;
  }
}

TEST(EveryLoss, IsTheSameOnTheProcessor) {
  for (const Case& c : cases) {
    const Graph graph = graph_of(c, f32);
    Tensor p = c.prediction.cast(f32);
    Tensor t = is_float(c.target.type()) ? c.target.cast(f32) : c.target;
    Plan plan = compile(graph);
    plan.bind("p", p);
    plan.bind("t", t);
    plan.run();
    const Tensor inputs[] = {p, t};
    const Interpretation wanted = interpret(graph, inputs);
    const auto slope = plan.output("slope").as<float>();
    EXPECT_NEAR(plan.output("loss").scalar(), c.value, 1e-5 * std::max(1.0, std::abs(c.value)))
        << title(c);
    for (size_t i = 0; i < slope.size(); ++i) {
      EXPECT_NEAR(slope[i], wanted.outputs[1].at(static_cast<int64_t>(i)),
                  1e-5 * std::max(1.0f, std::abs(slope[i])))
          << title(c) << " element " << i;
    }
  }
}

TEST(EveryLoss, StaysFiniteForLargeOutputs) {
  const std::set<std::string> unbounded{"poisson_nll", "gamma_deviance", "tweedie_deviance",
                                        "gaussian_nll"};  // exponentials of the outputs
  for (const Case& c : cases) {
    if (unbounded.count(loss_named(c.loss).name())) continue;
    Tensor p = c.prediction.cast(f32);
    for (float& x : p.data<float>()) x *= 1e3f;
    const Tensor t = is_float(c.target.type()) ? c.target.cast(f32) : c.target;
    const Tensor inputs[] = {p, t};
    for (const Tensor& result : interpret(graph_of(c, f32), inputs).outputs) {
      for (int64_t i = 0; i < result.elements(); ++i) {
        EXPECT_TRUE(std::isfinite(result.at(i))) << title(c) << " element " << i;
      }
    }
  }
}

}  // namespace soma::test
