// Gradients through loops: recurrent cells in both directions, to second order, loops in loops; and
// that sums of weight gradients leave the loop without changing the result.
#include <cmath>

#include "soma/gradient.h"
#include "src/ad/gradcheck.h"
#include "tests/ad/points.h"

namespace soma::test {

namespace {

using Values = std::vector<Value>;
// A step: constants, carries, the slice of the sequence -> new carries, then the output.
using Cell = Values (*)(Graph&, std::span<const Value>);

Values lstm(Graph&, std::span<const Value> in) {
  const Value w = in[0], bias = in[1], h = in[2], c = in[3], x = in[4];
  const auto z = split(dot(concat({x, h}, 1), w) + bias, 4, 1);
  const Value next_c = sigmoid(z[1]) * c + sigmoid(z[0]) * tanh(z[3]);
  const Value next_h = sigmoid(z[2]) * tanh(next_c);
  return {next_h, next_c, next_h};
}

Values gru(Graph&, std::span<const Value> in) {
  const Value w = in[0], u = in[1], bias = in[2], h = in[3], x = in[4];
  const auto z = split(dot(x, w) + bias, 3, 1), r = split(dot(h, u), 3, 1);
  const Value keep = sigmoid(z[1] + r[1]);
  const Value fresh = tanh(z[2] + sigmoid(z[0] + r[0]) * r[2]);
  const Value next = fresh + keep * (h - fresh);
  return {next, next};
}

// Runs a cell over the sequence in.back() with the first `consts` of `in` as constants.
Values run(Graph& graph, Cell cell, std::span<const Value> in, size_t consts,
           bool reverse = false) {
  const Value sequence = in.back();
  Graph body;
  Values inside;
  for (size_t i = 0; i < in.size(); ++i) {
    Shape shape = in[i].shape();
    if (i + 1 == in.size()) shape = Shape(std::span(shape.begin() + 1, shape.end()));
    inside.push_back(body.input("in" + std::to_string(i), shape, in[i].type()));
  }
  const Values results = cell(body, inside);
  for (size_t i = 0; i < results.size(); ++i) body.output("out" + std::to_string(i), results[i]);
  return scan(graph, std::move(body), in.first(consts), in.subspan(consts, in.size() - consts - 1),
              in.last(1), sequence.extent(0), reverse);
}

constexpr int64_t T = 4, B = 2, I = 3, H = 2;

std::vector<Tensor> lstm_points(int64_t length = T) {
  return {spread({I + H, 4 * H}, -0.8, 0.8), spread({4 * H}, -0.5, 0.5, 1), around_zero({B, H}, 2),
          around_zero({B, H}), around_zero({length, B, I}, 1)};
}
std::vector<Tensor> gru_points(int64_t length = T) {
  return {spread({I, 3 * H}, -0.8, 0.8), spread({H, 3 * H}, -0.8, 0.8, 1),
          spread({3 * H}, -0.5, 0.5, 2), around_zero({B, H}), around_zero({length, B, I}, 1)};
}

// A graph with the gradients of sum(curved(build)) with respect to every input as its outputs.
struct Differentiated {
  Graph graph;
  std::vector<const ScanAttr*> scans;
  Differentiated(const Build& build, std::span<const Tensor> points, bool hoist) {
    Values in;
    for (const Tensor& point : points) {
      in.push_back(graph.input("x" + std::to_string(in.size()), point.shape(), point.type()));
    }
    const Value loss = sum(curved(build(graph, in))), seed = graph.constant(1);
    ad::Options options;
    options.hoist = hoist;
    const auto found = ad::gradients(std::span(&loss, 1), std::span(&seed, 1), in, options);
    for (size_t i = 0; i < in.size(); ++i) graph.output("d" + std::to_string(i), found[i]);
    verify(graph);
    for (const Node& node : graph.nodes()) {
      if (node.op == Op::scan) scans.push_back(&node.as<ScanAttr>());
    }
  }
};

std::vector<Tensor> evaluated_gradients(const Build& build, std::span<const Tensor> points,
                                        bool hoist) {
  return interpret(Differentiated(build, points, hoist).graph, points, true).outputs;
}

// Checks to first order with and without hoisting, and that both say the same.
void expect_loop_gradients(const Build& build, std::span<const Tensor> points) {
  GradCheckOptions options;
  options.order = 1;
  options.directions = 2;
  ad::Options plain;
  plain.hoist = false;
  const auto hoisted = gradcheck(build, points, options);
  EXPECT_TRUE(hoisted) << hoisted.message;
  const auto unhoisted = ad::gradcheck(build, points, options, plain);
  EXPECT_TRUE(unhoisted) << "without hoisting: " << unhoisted.message;
  const auto a = evaluated_gradients(build, points, true);
  const auto b = evaluated_gradients(build, points, false);
  for (size_t i = 0; i < a.size(); ++i) {
    for (int64_t k = 0; k < a[i].elements(); ++k) EXPECT_NEAR(a[i].at(k), b[i].at(k), 1e-12);
  }
}

// Products over the rows of a batch: weight gradients.
int weight_gradients(const Graph& body) {
  return static_cast<int>(
      std::count_if(body.nodes().begin(), body.nodes().end(), [](const Node& n) {
        return n.op == Op::dot && n.as<DotAttr>().transpose_a && !n.as<DotAttr>().transpose_b;
      }));
}

const Build lstm_sequence = [](Graph& g, auto x) { return run(g, lstm, x, 2)[2]; };
const Build gru_sequence = [](Graph& g, auto x) { return run(g, gru, x, 3)[1]; };

}  // namespace

TEST(ScanGradient, Lstm) { expect_loop_gradients(lstm_sequence, lstm_points()); }
TEST(ScanGradient, LstmReversed) {
  expect_loop_gradients([](Graph& g, auto x) { return run(g, lstm, x, 2, true)[2]; },
                        lstm_points());
}
TEST(ScanGradient, LstmOfEveryResult) {
  expect_loop_gradients(
      [](Graph& g, auto x) {
        const auto r = run(g, lstm, x, 2);
        return concat({r[0] * r[1], r[1], reshape(r[2], {T * B, H})}, 0);
      },
      lstm_points());
}
TEST(ScanGradient, GruFinalStateOnly) {
  expect_loop_gradients([](Graph& g, auto x) { return run(g, gru, x, 3)[0]; }, gru_points());
}
TEST(ScanGradient, TwoLayersBothDirections) {
  auto points = gru_points();
  points.push_back(spread({2 * H, 3 * H}, -0.8, 0.8));
  expect_loop_gradients(
      [](Graph& g, auto x) {
        const auto first = x.subspan(0, 5);
        const Value both = concat({run(g, gru, first, 3)[1], run(g, gru, first, 3, true)[1]}, 2);
        const Value second[] = {x[5], x[1], x[2], x[3], both};
        return run(g, gru, second, 3)[1];
      },
      points);
}

TEST(ScanGradient, SecondOrder) {
  expect_gradients(lstm_sequence, lstm_points(3), 2);
  expect_gradients(gru_sequence, gru_points(3), 2);
}
TEST(ScanGradient, ThirdOrder) { expect_gradients(gru_sequence, gru_points(2), 3); }

TEST(ScanGradient, LoopInALoop) {
  const Cell outer = [](Graph& g, std::span<const Value> in) -> Values {
    const Value last = run(g, gru, in, 3)[0];
    return {last, last};
  };
  const Build build = [outer](Graph& g, auto x) { return run(g, outer, x, 3)[1]; };
  auto points = gru_points();
  points[4] = around_zero({3, 2, B, I}, 1);
  expect_loop_gradients(build, points);
  points[4] = around_zero({2, 2, B, I}, 1);
  expect_gradients(build, points, 2);
}

TEST(ScanGradient, ZeroSteps) {
  const Build build = [](Graph& g, auto x) { return run(g, lstm, x, 2)[0]; };
  const auto points = lstm_points(0);
  const auto gradients = evaluated_gradients(build, points, true);
  for (const size_t weights : {0, 1}) {
    for (int64_t k = 0; k < gradients[weights].elements(); ++k) {
      EXPECT_EQ(gradients[weights].at(k), 0);
    }
  }
  for (int64_t k = 0; k < gradients[2].elements();
       ++k) {  // d(tanh(h)·h)/dh passes straight through
    const double h = points[2].at(k), t = std::tanh(h);
    EXPECT_NEAR(gradients[2].at(k), (1 - t * t) * h + t, 1e-12);
  }
}

TEST(ScanGradient, WeightGradientsLeaveTheLoop) {
  for (const auto& [build, points] :
       {std::pair{lstm_sequence, lstm_points()}, std::pair{gru_sequence, gru_points()}}) {
    const Differentiated loops(build, points, true);
    ASSERT_EQ(loops.scans.size(), 3);  // forward, forward with residuals, backward
    const ScanAttr &forward = *loops.scans[1], &backward = *loops.scans[2];
    EXPECT_NE(backward.reverse, forward.reverse);
    EXPECT_EQ(weight_gradients(*backward.body), 0);
    EXPECT_EQ(backward.carries, forward.carries) << "no accumulator is left";
    EXPECT_GT(weight_gradients(loops.graph), 0);

    const Differentiated plain(build, points, false);
    EXPECT_GT(weight_gradients(*plain.scans[2]->body), 0);
    EXPECT_GT(plain.scans[2]->carries, forward.carries);
  }
}

// Everything a weight may go through on its way into the loop's products, and the other products.
TEST(ScanGradient, HoistsThroughLinearFunctionsOfTheWeights) {
  const Cell cell = [](Graph&, std::span<const Value> in) -> Values {
    const Value w = in[0], mask = in[1], table = in[2], kernel = in[3], h = in[4], x = in[5];
    const Value left = dot(transpose(w * mask), h, false, true);  // the weights stand left
    const Value mixed = dot(h, slice_axis(concat({w, -w}, 1), 1, 1, 1 + H));
    const Value rows = gather(table, cast(x * 3.0 + 3.0, i32));  // an embedding
    const ConvAttr attr{ConvRole::y, {1}, {1}, {1}, {1}, 1, {}};
    const Value filtered = reshape(conv(reshape(h, {B, 1, H}), kernel, attr), {B, H});
    const Value next = tanh(transpose(left) + mixed + rows + filtered + sum(w, {0}));
    return {next, next};
  };
  const Build build = [cell](Graph& g, auto x) { return run(g, cell, x, 4)[1]; };
  const std::vector<Tensor> points = {spread({H, H}, -0.5, 0.5), spread({H, H}, 0.3, 1, 1),
                                      around_zero({6, H}, 2),    spread({1, 1, 3}, -0.5, 0.5),
                                      around_zero({B, H}, 1),    Tensor({T, B})};
  std::vector<Tensor> exact = points;
  for (int64_t i = 0; i < T * B; ++i) exact[5].set(i, 0.21 * static_cast<double>(i % 5) - 0.4);
  expect_loop_gradients(build, exact);
  // The only carry is the cotangent of h: nothing accumulates in the loop.
  EXPECT_EQ(Differentiated(build, exact, true).scans[2]->carries, 1);
}

TEST(ScanGradient, AccumulatesWhatCannotLeave) {
  const Cell cell = [](Graph&, std::span<const Value> in) -> Values {
    const Value next = tanh(in[0] * in[1] + in[2]);
    return {next, next};
  };
  const Build build = [cell](Graph& g, auto x) { return run(g, cell, x, 1)[1]; };
  const std::vector<Tensor> points = {around_zero({3}), around_zero({3}, 1),
                                      around_zero({T, 3}, 2)};
  expect_loop_gradients(build, points);
  EXPECT_EQ(Differentiated(build, points, true).scans[2]->carries, 2);
}

TEST(ScanGradient, HoistsBatchedProducts) {
  const Cell cell = [](Graph&, std::span<const Value> in) -> Values {
    const Value next = tanh(dot(in[1], in[0], false, true) + in[2]);
    return {next, next};
  };
  const Build build = [cell](Graph& g, auto x) { return run(g, cell, x, 1)[1]; };
  const std::vector<Tensor> points = {spread({2, 3, 3}, -0.6, 0.6), around_zero({2, 4, 3}, 1),
                                      around_zero({T, 2, 4, 3}, 2)};
  expect_loop_gradients(build, points);
  EXPECT_EQ(Differentiated(build, points, true).scans[2]->carries, 1);
}

TEST(ScanGradient, LoopsWithoutCarriesOrSequences) {
  const std::vector<Tensor> points = {around_zero({3}), around_zero({T, 3}, 1)};
  expect_loop_gradients(
      [](Graph& g, auto x) {  // a map over the sequence
        Graph body;
        const Value w = body.input("w", {3}), v = body.input("v", {3});
        body.output("y", tanh(w) * v);
        return scan(g, std::move(body), x.first(1), {}, x.subspan(1), T)[0];
      },
      points);
  expect_loop_gradients(
      [](Graph& g, auto x) {  // an iteration
        Graph body;
        const Value w = body.input("w", {T, 3}), h = body.input("h", {3});
        body.output("h", tanh(sum(w, {0}) * h));
        return scan(g, std::move(body), x.subspan(1), x.first(1), {}, 5)[0];
      },
      points);
}

// Results that are inputs, inputs that nothing reads, and one value in three roles.
TEST(ScanGradient, PassesThrough) {
  const std::vector<Tensor> points = {around_zero({3, 3}), around_zero({3, 3}, 1)};
  expect_loop_gradients(
      [](Graph& g, auto x) {
        Graph body;
        const Value w = body.input("w", {3, 3}), unread = body.input("unread", {3, 3});
        const Value h = body.input("h", {3, 3}), kept = body.input("kept", {3, 3});
        const Value lost = body.input("lost", {3, 3}), v = body.input("v", {3});
        (void)unread;
        body.output("h", tanh(dot(h, w)));
        body.output("kept", kept);
        body.output("lost", w + v);
        body.output("y0", v);
        body.output("y1", w);
        body.output("y2", lost);
        const Value consts[] = {x[0], x[1]}, carries[] = {x[0], x[1], x[1]};
        const auto r = scan(g, std::move(body), consts, carries, x.first(1), 3);
        return r[0] + r[1] * r[2] + curved(r[3]) + sum(curved(r[4]), {0}) + sum(r[5], {0}) * r[0];
      },
      points);
}

TEST(ScanGradient, NothingFlowsThroughStop) {
  const Cell cell = [](Graph&, std::span<const Value> in) -> Values {
    return {in[1] * 0.5, stop(in[0]) + stop(in[2])};
  };
  const std::vector<Tensor> points = {around_zero({3}), around_zero({3}, 1),
                                      around_zero({T, 3}, 2)};
  const Build build = [cell](Graph& g, auto x) { return run(g, cell, x, 1)[1]; };
  for (const Tensor& gradient : evaluated_gradients(build, points, true)) {
    EXPECT_EQ(gradient, Tensor(gradient.shape(), gradient.type()));
  }
}

// Only what is wanted is computed: no cotangent of the sequence, none of a counter.
TEST(ScanGradient, LeavesOutWhatIsNotWanted) {
  const Cell cell = [](Graph&, std::span<const Value> in) -> Values {
    const Value w = in[0], h = in[1], count = in[2], x = in[3];
    return {tanh(dot(x, w) + h / (count + 1.0)), count + 1.0, h};
  };
  Graph graph;
  const Value w = graph.input("w", {I, H}), h = graph.input("h", {B, H});
  const Value x = graph.input("x", {T, B, I});
  const Value in[] = {w, h, graph.constant(0, Shape{B, H}, f32), x};
  const Value loss = sum(run(graph, cell, in, 1)[0]);
  gradients(loss, std::span(&w, 1));
  const Node* last = nullptr;
  for (const Node& node : graph.nodes()) last = node.op == Op::scan ? &node : last;
  ASSERT_NE(last, nullptr);
  EXPECT_EQ(last->as<ScanAttr>().carries, 1);  // of h alone
  // The new state's tanh and the counter; the sequence itself is only read by the product outside.
  EXPECT_EQ(last->in.size() - 1 - static_cast<size_t>(last->as<ScanAttr>().consts), 2);
}

TEST(ScanGradient, IntegerCarriesAndSequences) {
  const Cell cell = [](Graph&, std::span<const Value> in) -> Values {
    const Value next = tanh(in[0] * in[1] + cast(in[2] + in[3], f32));
    return {next, in[2] + 1, next};
  };
  const std::vector<Tensor> points = {around_zero({3}), around_zero({3}, 1),
                                      Tensor::of<int32_t>({3}, {0, 1, -1}),
                                      Tensor::of<int32_t>({2, 3}, {0, 1, 0, -1, 0, -2})};
  expect_gradients([cell](Graph& g, auto x) { return run(g, cell, x, 1)[2]; }, points, 2);
}

}  // namespace soma::test
