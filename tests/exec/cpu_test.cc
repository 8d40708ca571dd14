// The CPU backend against the interpreter, on graphs like those that networks become.
#include "soma/gradient.h"
#include "tests/exec/compare.h"

namespace soma {
namespace {

Value softmax_rows(Value x) {
  const Value e = exp(x - max_over(x, {-1}, Keep::yes));
  return e / sum(e, {-1}, Keep::yes);
}

TEST(Cpu, MapsAndBroadcasts) {
  Graph g;
  const Value x = g.input("x", {37, 130}), b = g.input("b", {130}), c = g.input("c", {37, 1});
  const Value y = tanh((x + b) * c - 0.5);
  g.output("y", y);
  g.output("z", select(y > 0.0, exp(y), x * 2.0));
  g.output("scalar", sum(y * y));
  expect_cpu_agrees(g);
}

TEST(Cpu, RowReductionsFuseWithWhatFollows) {
  Graph g;
  const Value x = g.input("x", {50, 33});
  g.output("softmax", softmax_rows(x));
  const Value centred = x - mean(x, {-1}, Keep::yes);
  g.output("norm", centred / sqrt(mean(square(centred), {-1}, Keep::yes) + 1e-5));
  expect_cpu_agrees(g);
}

TEST(Cpu, ReductionsOverAnyAxes) {
  Graph g;
  const Value x = g.input("x", {5, 7, 6, 3});
  for (const Dims& axes : {Dims{0}, Dims{1}, Dims{3}, Dims{0, 2}, Dims{1, 3}, Dims{0, 1, 2, 3}}) {
    g.output(cat("sum", axes), sum(x * 2.0, axes));
    g.output(cat("max", axes), max_over(exp(x), axes));
  }
  expect_cpu_agrees(g);
}

TEST(Cpu, PoolingAndItsGradient) {
  for (const DType type : {f32, f64}) {
    Graph g;
    const Value x = g.input("x", {3, 5, 8, 28}, type);
    const Value windows = reshape(x, {3, 5, 4, 2, 14, 2});
    const Value largest = max_over(windows, {3, 5}), average = mean(windows, {3, 5});
    const Value overlapping =  // 3 x 3, every other place
        max_over(unfold(unfold(x, 2, 3, 2), 3, 3, 2), {4, 5});
    g.output("largest", largest);
    g.output("relu after", select(largest > 0.0, largest, 0.0));
    g.output("average", average);
    g.output("overlapping", overlapping);
    const Value loss = sum(largest * largest) + sum(tanh(average)) + sum(exp(overlapping));
    g.output("dx", gradients(loss, std::vector<Value>{x})[0]);
    expect_cpu_agrees(g);
  }
}

TEST(Cpu, ShortReductionsOverMiddleAxes) {
  for (const int64_t extent : {1, 2, 3, 7, 31, 32, 33}) {
    Graph g;
    const Value x = g.input("x", {4, extent, 6, 7}), y = g.input("y", {4, 6, 7});
    const Value like_x = broadcast(y, x.shape(), {0, 2, 3});
    const Value difference = select(x < like_x, x - like_x, 0.5);
    g.output("sum", sum(difference, {1}) * 2.0);
    g.output("max", max_over(x, {1}) + y);
    g.output("twice", sum(x * 3.0, {1, 2}));
    g.output("turned", sum(transpose(x, {0, 2, 3, 1}), {-1}));
    g.output("difference", difference);  // needed itself, and computed again
    const Value count = sum(cast(eq(cast(x * 2.0, i32), 1.0), f32), {1});
    g.output("count", exp(count) / (count + 1.0));
    expect_cpu_agrees(g);
  }
}

TEST(Cpu, BatchNormalizationAndItsGradient) {
  Graph g;
  const Value x = g.input("x", {6, 5, 9, 8}), scale = g.input("scale", {5, 1, 1});
  const Value centred = x * 2.0 - mean(x * 2.0, {0, 2, 3}, Keep::yes);
  const Value variance = mean(centred * centred, {0, 2, 3}, Keep::yes);
  const Value y = centred / sqrt(variance + 1e-5) * scale;
  g.output("y", y);
  g.output("largest", max_over(abs(y), {0, 2, 3}));
  const auto d = gradients(sum(tanh(y) * y), std::vector<Value>{x, scale});
  g.output("dx", d[0]);
  g.output("dscale", d[1]);
  expect_cpu_agrees(g);
}

TEST(Cpu, StridedAndRepeatingLoads) {
  Graph g;
  const Value x = g.input("x", {37, 90}), c = g.input("c", {37}), s = g.input("s", {37, 45});
  g.output("every other", exp(slice(x, {0, 1}, {37, 90}, {1, 2})));
  g.output("every third", exp(slice(x, {1, 0}, {36, 90}, {2, 3})));
  g.output("twice", x * reshape(broadcast(s, {37, 45, 2}, {0, 1}), {37, 90}));
  g.output("columns", x + broadcast(c, {37, 90}, {0}));
  const Value image = g.input("image", {5, 6, 10, 9}), bias = g.input("bias", {6, 1, 1});
  g.output("channels", tanh(image + bias) * sum(image, {0, 2, 3}, Keep::yes));
  g.output("wide", exp(transpose(g.input("t", {33, 70}))));
  g.output("bytes", cast(transpose(g.input("b", {20, 31}, boolean)), f32));
  expect_cpu_agrees(g);
}

TEST(Cpu, MovesAreViewsOrCopies) {
  Graph g;
  const Value x = g.input("x", {4, 6, 5}), y = g.input("y", {4, 6, 5});
  g.output("transposed", exp(transpose(x, {2, 0, 1})) + transpose(y, {2, 0, 1}));
  g.output("reshaped", reshape(transpose(x), {20, 6}) * 3.0);
  g.output("sliced", slice(x, {1, 0, 1}, {4, 6, 5}, {2, 3, 2}) - 1.0);
  g.output("padded", pad(x, {1, 0, 2}, {0, 1, 1}, {1, 0, 2}, -7));
  g.output("joined", concat({x, y, x * y}, 1));
  g.output("windows", max_over(unfold(x, 1, 3, 2), {-1}));
  g.output("folded", fold(unfold(x, 1, 3, 1) * 2.0, 1, 3, 1, 1, 6));
  g.output("plain", x);
  expect_cpu_agrees(g);
}

TEST(Cpu, ProductsInAllForms) {
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      Graph g;
      const Value a = g.input("a", ta ? Shape{3, 20, 33} : Shape{3, 33, 20});
      const Value b = g.input("b", tb ? Shape{3, 17, 20} : Shape{3, 20, 17});
      const Value bias = g.input("bias", {17});
      const Value y = dot(a, b, ta, tb);
      g.output("y", tanh(y + bias));
      g.output("softmax", softmax_rows(y));
      g.output("columns", sum(y * y, {0, 1}));
      expect_cpu_agrees(g);
    }
  }
}

TEST(Cpu, IndexOps) {
  Graph g;
  const Value x = g.input("x", {5, 3}), index = g.input("i", {4, 2}, i32);
  const Value rows = gather(x, index);
  g.output("rows", rows);
  g.output("back", scatter_add(index, rows * 2.0, 5));
  g.output("largest", argmax(x, 1));
  g.output("largest column", argmax(x, 0));
  expect_cpu_agrees(g);
}

TEST(Cpu, LeavesAreMadeWhereTheyAreUsed) {
  Graph g;
  const Value key = g.input("key", {2}, i64), x = g.input("x", {40, 50});
  const Value keep = rng(key, {40, 50}, 3) < 0.7;
  g.output("dropped", select(keep, x / 0.7, 0.0));
  g.output("random", rng(key, {7}, 4, f64));
  g.output("causal", select(iota(g, {40, 50}, 0) < iota(g, {40, 50}, 1), -1e9, x));
  g.output("count", broadcast_to(iota(g, {50}, 0), {40, 50}) + transpose(iota(g, {50, 40}, 0)));
  expect_cpu_agrees(g);
}

TEST(Cpu, Convolutions) {
  Graph g;
  const Value x = g.input("x", {2, 4, 9, 8}), w = g.input("w", {6, 2, 3, 2});
  const Value y = conv(x, w, {ConvRole::y, {2, 1}, {1, 0}, {0, 1}, {1, 2}, 2, {}});
  const Value loss = sum(y * y);
  g.output("y", y);
  const auto d = gradients(loss, std::vector<Value>{x, w});
  g.output("dx", d[0]);
  g.output("dw", d[1]);
  expect_cpu_agrees(g);
}

/// Cross-entropy of labels, by hand.
Value cross_entropy_of(Value logits, Value labels) {
  const Value z = logits - stop(max_over(logits, {-1}, Keep::yes));
  const Value picked = iota(z.graph(), z.shape(), 1, i32);
  const Value chosen = eq(picked, broadcast(labels, z.shape(), {0}));
  return mean(log(sum(exp(z), {-1})) - sum(select(chosen, z, 0.0), {-1}));
}

Graph mlp_step(int64_t batch) {
  Graph g;
  const Value x = g.input("x", {batch, 30}), labels = g.input("labels", {batch}, i32);
  std::vector<Value> params{g.parameter("w1", {30, 20}), g.parameter("b1", {20}),
                            g.parameter("w2", {20, 5}), g.parameter("b2", {5})};
  const Value h = dot(x, params[0]) + params[1];
  const Value relu = select(h > 0.0, h, 0.0);
  const Value loss = cross_entropy_of(dot(relu, params[2]) + params[3], labels);
  const auto d = gradients(loss, params);
  const Value step = g.state("step", {}, "0", i64), t = step + 1.0;
  g.update(step, t);
  for (size_t i = 0; i < params.size(); ++i) {
    const std::string name = params[i].node().as<InputAttr>().name;
    const Value m = g.state(name + "/m", params[i].shape());
    const Value v = g.state(name + "/v", params[i].shape());
    const Value m2 = m * 0.9 + d[i] * 0.1, v2 = v * v + square(d[i]) * 0.001;
    const Value corrected = m2 / (1.0 - pow(0.9, cast(t, f32)));
    g.update(m, m2);
    g.update(v, v2);
    g.update(params[i], params[i] - corrected * 0.01 / (sqrt(v2) + 1e-3));
  }
  g.output("loss", loss);
  return g;
}

TEST(Cpu, TrainingStep) {
  for (const int64_t batch : {1, 7, 64}) expect_cpu_agrees(mlp_step(batch));
}

TEST(Cpu, UpdatesSeeTheOldValues) {
  Graph g;
  const Value a = g.state("a", {3}), b = g.state("b", {3}), c = g.state("c", {3});
  g.output("before", a + b);
  g.output("old c", c);
  g.update(a, b);
  g.update(b, a);
  g.update(c, c * 2.0 + a);
  expect_cpu_agrees(g);
}

/// An LSTM over [T, B, I] as the graph that layers build.
Value lstm(Graph& g, Value x, Value w, Value bias, int64_t hidden) {
  const int64_t steps = x.extent(0), batch = x.extent(1);
  Graph body;
  const Value bw = body.input("w", w.shape()), bb = body.input("b", bias.shape());
  const Value h = body.input("h", {batch, hidden}), c = body.input("c", {batch, hidden});
  const Value xt = body.input("x", {batch, x.extent(2)});
  const auto p = split(dot(concat({xt, h}, 1), bw) + bb, 4, 1);
  const Value c2 = sigmoid(p[1]) * c + sigmoid(p[0]) * tanh(p[3]);
  const Value h2 = sigmoid(p[2]) * tanh(c2);
  body.output("h", h2);
  body.output("c", c2);
  body.output("y", h2);
  const Value zero = g.constant(0, {batch, hidden}, f32);
  return scan(g, std::move(body), std::vector<Value>{w, bias}, std::vector<Value>{zero, zero},
              std::vector<Value>{x}, steps)[2];
}

TEST(Cpu, ScanAndItsGradient) {
  Graph g;
  const Value x = g.input("x", {6, 4, 3}), w = g.parameter("w", {8, 20});
  const Value bias = g.parameter("b", {20});
  const Value loss = sum(square(lstm(g, x, w, bias, 5)));
  g.output("loss", loss);
  const auto d = gradients(loss, std::vector<Value>{w, bias, x});
  g.output("dw", d[0]);
  g.output("db", d[1]);
  g.output("dx", d[2]);
  expect_cpu_agrees(g, 1, 1e-4);
}

TEST(Cpu, ScansByBlocksOfRows) {
  for (const int64_t batch : {32, 37, 64}) {  // whole blocks, and rows that fill none
    Graph g;
    const Value x = g.input("x", {5, batch, 3}), w = g.parameter("w", {8, 20});
    const Value bias = g.parameter("b", {20});
    const Value y = lstm(g, x, w, bias, 5);
    const auto d = gradients(sum(square(y)), std::vector<Value>{w, bias, x});
    g.output("y", y);
    for (const Value gradient : d) g.output(cat("d", gradient.id()), gradient);
    expect_cpu_agrees(g, 1, 1e-4);
    EXPECT_NE(compile(g, Device::cpu(2)).explain().find("by blocks of 16 rows"), std::string::npos);
    const auto inputs = random_inputs(g, 1);
    const RunResult one = run_plan(g, inputs, Device::cpu(1));
    EXPECT_TRUE(run_plan(g, inputs, Device::cpu(7)).outputs == one.outputs);
  }
}

TEST(Cpu, EmptyAndSingle) {
  Graph g;
  const Value none = g.input("none", {0, 4}), one = g.input("one", {1, 1});
  g.output("sum", sum(none, {0}));
  g.output("max", max_over(none, {0}));
  g.output("still none", exp(none));
  g.output("product", dot(none, g.input("w", {4, 3})));
  g.output("outer", dot(transpose(none), g.input("v", {0, 3})) + 1.0);
  g.output("one", softmax_rows(one) + sum(one));
  expect_cpu_agrees(g);
}

}  // namespace
}  // namespace soma
