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
  const Value rows = reshape(transpose(x, {1, 0, 2}), {24, 5}), w = g.input("w", {5, 3});
  g.output("copied for a product", dot(rows, w));
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

TEST(Cpu, ProductsWithBiasAndRelu) {
  const auto relu = [](Value x) { return select(x > 0.0, x, 0.0); };
  for (const int64_t rows : {1, 2, 7, 130}) {
    for (const int64_t columns : {1, 10, 40, 130}) {
      Graph g;
      const Value x = g.input("x", {rows, 77}), w = g.input("w", {77, columns});
      const Value bias = g.parameter("bias", {columns}), all = g.input("all", {3 * columns});
      const Value other = g.input("other", {rows, columns}), h = g.input("h", {rows, 3});
      const Value u = g.input("u", {3, columns});
      g.output("bias", dot(x, w * 1.5) + bias);
      g.output("relu", relu(dot(x, w * 2.5) + bias));
      g.output("bias first, part", relu(slice_axis(all, 0, columns, 2 * columns) + dot(x, w)));
      g.output("relu alone", relu(dot(x * 2.0, w)));
      g.output("number", relu(dot(x * 3.0, w) + 0.5));
      g.output("other", dot(x * 4.0, w) + other);
      g.output("two products", tanh(dot(x * 5.0, w) + dot(h, u) + bias));
      const Value z = dot(x * 6.0, w) + bias, y = dot(x * 7.0, w), v = dot(x * 8.0, w);
      g.output("kept sum", z);
      g.output("of it", relu(z));
      g.output("gate", select(y > 0.0, other, 0.0) + select(other > 0.0, y, 0.0));
      g.output("twice", v + v);
      g.output("softmax", softmax_rows(relu(dot(x * 9.0, w) + bias)));
      g.update(bias, bias + sum(dot(x * 0.5, w) + bias, {0}));
      expect_cpu_agrees(g, 1, 2e-4);
    }
  }
}

TEST(Cpu, DescentStraightFromTheProduct) {
  for (const DType type : {f32, f64}) {
    for (const int64_t rows : {1, 5, 300}) {
      for (const int64_t columns : {1, 10, 40, 130}) {
        Graph g;
        const Value x = g.input("x", {20, rows}, type), d = g.input("d", {20, columns}, type);
        const Value rate = g.input("rate", {}, type);
        const Shape shape{rows, columns};
        const Value a = g.parameter("a", shape, "0", type), b = g.parameter("b", shape, "0", type);
        const Value c = g.parameter("c", shape, "0", type), e = g.parameter("e", shape, "0", type);
        const Value change = dot(x, d, true);
        g.update(a, a - change * 0.25);
        g.update(b, b - rate * dot(x * 2.0, d, true));
        g.update(c, c - (dot(x * 3.0, d, true) + e) * 0.5);
        g.output("old", b * 2.0);
        g.output("change", dot(x * 4.0, d, true) * 0.125 - e);
        g.output("kept", dot(x * 5.0, d, true));
        g.output("by it", e - dot(x * 5.0, d, true) * 0.5);
        expect_cpu_agrees(g, 1, 1e-4);
      }
    }
  }
}

TEST(Cpu, ReluAndItsGradient) {
  Graph g;
  const Value x = g.input("x", {33, 20}), w = g.parameter("w", {20, 70}),
              b = g.parameter("b", {70});
  const Value z = dot(x, w) + b, h = select(z > 0.0, z, 0.0);
  const Value loss = sum(square(dot(h, g.parameter("v", {70, 3}))));
  g.output("loss", loss);
  const auto d = gradients(loss, std::vector<Value>{w, b, x});
  for (size_t i = 0; i < 3; ++i) g.output(cat("d", i), d[i]);
  expect_cpu_agrees(g, 1, 1e-3);
  // What relu gave is enough for its gradient: neither the sum nor the comparison is kept.
  const Plan plan = compile(g, Device::cpu(1));
  EXPECT_NE(plan.explain().find("dot [33, 70] over 20 + bias + relu\n"), std::string::npos)
      << plan.explain();
}

TEST(Cpu, SumsOntoAnArray) {
  Graph g;
  const Value x = g.input("x", {33, 20}), h = g.input("h", {33, 9});
  const Value w = g.parameter("w", {20, 70}), u = g.parameter("u", {9, 70});
  const Value sum = dot(x, w) + dot(h, u);
  g.output("z", sum + g.parameter("b", {70}));
  const Value both = g.input("both", {33, 33});  // what is added is an operand as well
  g.output("twice", dot(both, both) + both);
  g.output("read again", exp(dot(both, x) + x) * x);
  expect_cpu_agrees(g, 1, 1e-4);
  const std::string text = compile(g, Device::cpu(1)).explain();
  EXPECT_NE(text.find("+ array + bias -> z"), std::string::npos) << text;
}

TEST(Cpu, GatesOfNumbersThatAnotherStepCompares) {
  for (const bool others_look : {false, true}) {
    Graph g;
    const Value source = g.input("source", {20, 6}), index = g.input("i", {9}, i32);
    const Value x = gather(source, index), positive = x > 0.0;
    const Value u = g.input("u", {9, 5}), w = g.input("w", {5, 6});
    for (int i = 1; i <= 3; ++i) {
      const Value v = dot(u * static_cast<double>(i), w);
      g.output(cat("gate", i), exp(select(positive, v, 0.0)));
      g.output(cat("sum", i), sum(v, {0}));
    }
    const Value wide = cast(dot(u * 4.0, w), f64);
    if (others_look) g.output("wide", select(positive, wide, g.constant(0, wide.shape(), f64)));
    if (others_look) g.output("both", select(positive, dot(u * 5.0, w), x));
    if (others_look) g.output("comparison", positive);
    expect_cpu_agrees(g, 1, 1e-4);
  }
}

TEST(Cpu, ConvolutionsWithBiasAndRelu) {
  const auto relu = [](Value x) { return select(x > 0.0, x, 0.0); };
  for (const int64_t samples : {1, 3}) {
    Graph g;
    const Value x = g.input("x", {samples, 2, 9, 9}), bias = g.input("bias", {21, 1, 1});
    const Value w = g.input("w", {21, 2, 3, 3}), plane = g.input("plane", {7, 7});
    const auto convolved = [&](double scale) {
      return conv(x, w * scale, {ConvRole::y, {1, 1}, {0, 0}, {0, 0}, {1, 1}, 1, {}});
    };
    g.output("bias", convolved(1.5) + bias);
    g.output("relu", relu(bias + convolved(2.5)));
    g.output("relu alone", relu(convolved(3.5)));
    g.output("plane", relu(convolved(4.5) + plane));
    const Value both = relu(convolved(5.5) + bias);
    g.output("pool", max_over(unfold(unfold(both, 2, 2, 2), 3, 2, 2), {4, 5}));
    g.output("sums", sum(both, {0, 2, 3}));
    const Value z = convolved(6.5) + bias, y = convolved(7.5);
    g.output("kept sum", z);
    g.output("of it", relu(z));
    g.output("twice", relu(y) + y);
    g.output("late bias", convolved(8.5) + reshape(sum(exp(y), {0, 2, 3}), {21, 1, 1}));
    expect_cpu_agrees(g, 1, 2e-4);
  }
}

TEST(Cpu, ProductsWrittenTransposed) {
  for (const Dims& perm : {Dims{0, 2, 1, 3}, Dims{1, 0, 2, 3}, Dims{2, 0, 1, 3}, Dims{2, 1, 0, 3},
                           Dims{0, 1, 2, 3}, Dims{0, 3, 1, 2}}) {
    Graph g;
    const Value a = g.input("a", {3, 4, 37, 20}), b = g.input("b", {3, 4, 20, 33});
    const Value plain = transpose(dot(a, b), perm), shared = dot(b, a, true, true);
    g.output("plain", plain);
    g.output("mapped", exp(reshape(transpose(dot(a * 2.0, b), perm), {3 * 4 * 37, 33})));
    g.output("twice", transpose(shared, perm) * 2.0);
    g.output("as it is", shared + 1.0);
    g.output("columns", sum(reshape(plain, {-1, 33}), {0}));
    expect_cpu_agrees(g, 1, 1e-4);
  }
}

/// [batch, time, width] and the four projections of an attention layer, causal.
Value attention_of(Value x, std::span<const Value> w, int64_t heads) {
  const int64_t batch = x.extent(0), time = x.extent(1), width = x.extent(2);
  const auto project = [&](Value in, Value by) {
    return reshape(dot(reshape(in, {batch * time, width}), by), {batch, time, width});
  };
  const auto split = [&](Value in) {
    return transpose(reshape(in, {batch, time, heads, width / heads}), {0, 2, 1, 3});
  };
  const Value q = split(project(x, w[0])), k = split(project(x, w[1])), v = split(project(x, w[2]));
  const Value scores = dot(q, k, false, true) * 0.3;
  Graph& g = x.graph();
  const Value later = iota(g, {time, time}, 0) < iota(g, {time, time}, 1);
  const Value weights = softmax_rows(select(broadcast_to(later, scores.shape()), -1e9, scores));
  return project(reshape(transpose(dot(weights, v), {0, 2, 1, 3}), x.shape()), w[3]);
}

Value normalized(Value x) {
  const Value centred = x - mean(x, {-1}, Keep::yes);
  return centred / sqrt(mean(square(centred), {-1}, Keep::yes) + 1e-5);
}

TEST(Cpu, TransformerBlockAndItsUpdate) {
  for (const int64_t time : {7, 33}) {
    constexpr int64_t width = 24, hidden = 96;
    Graph g;
    const Value x = g.input("x", {16, time, width});
    std::vector<Value> w;
    for (int i = 0; i < 4; ++i) w.push_back(g.parameter(cat("w", i), {width, width}));
    w.push_back(g.parameter("up", {width, hidden}));
    w.push_back(g.parameter("down", {hidden, width}));
    w.push_back(g.parameter("bias", {hidden}));
    const Value y = x + attention_of(normalized(x), w, 4);
    const Value up = dot(reshape(normalized(y), {-1, width}), w[4]) + w[6];
    const Value gelu = 0.5 * up * (1.0 + tanh(0.8 * up * (1.0 + 0.04 * square(up))));
    const Value z = y + reshape(dot(gelu, w[5]), y.shape());
    const auto d = gradients(mean(square(normalized(z) - 0.5)), w);
    for (size_t i = 0; i < w.size(); ++i) g.update(w[i], w[i] - d[i] * 0.1);
    g.output("z", z);
    expect_cpu_agrees(g, 1, 1e-4);
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

TEST(Cpu, ScanOfOneStep) {
  Graph g;
  const Value x = g.input("x", {1, 4, 3}), w = g.parameter("w", {8, 20});
  const Value loss = sum(square(lstm(g, x, w, g.parameter("b", {20}), 5)));
  g.output("loss", loss);
  g.output("dw", gradients(loss, std::vector<Value>{w})[0]);
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

TEST(Cpu, ScansByBlocksOfRowsWithWideWeights) {  // whose gates fill vectors
  Graph g;
  const Value x = g.input("x", {3, 32, 3}), w = g.parameter("w", {35, 128});
  const Value y = lstm(g, x, w, g.parameter("b", {128}), 32);
  g.output("y", y);
  g.output("dw", gradients(sum(square(y)), std::vector<Value>{w})[0]);
  expect_cpu_agrees(g, 1, 1e-4);
}

TEST(Cpu, ProductsOfPartsOfTheDepth) {
  Graph g;
  const Value x = g.input("x", {4096, 28}), y = g.input("y", {4096, 96});
  g.output("gradient", dot(x, y, true, false) * 0.01);
  expect_cpu_agrees(g, 1, 1e-4);
  const auto inputs = random_inputs(g, 1);
  const RunResult one = run_plan(g, inputs, Device::cpu(1));
  EXPECT_TRUE(run_plan(g, inputs, Device::cpu(3)).outputs == one.outputs);
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
