// The shape and type rules (every sentence can be provoked) and the rules of verify() (each refuses
// a graph that was broken on purpose).
#include "soma/graph.h"
#include "src/ir/raw.h"
#include "tests/expect_error.h"

namespace soma {
namespace {

// ---- shapes and types

struct Arrays {
  Graph g;
  Value s = g.input("s", {}), v = g.input("v", {3}), m = g.input("m", {2, 3}),
        t = g.input("t", {2, 3, 4}), empty = g.input("empty", {0, 3}), d = g.input("d", {3}, f64),
        i = g.input("i", {3}, i32), b = g.input("b", {3}, boolean), key = g.input("key", {2}, i64),
        image = g.input("image", {1, 2, 5}), weights = g.input("weights", {4, 2, 3});

  Value add(Op op, std::initializer_list<Value> in, Attr attr = NoAttr{}) {
    return g.add(op, in, std::move(attr));
  }
  Value convolve(ConvAttr attr) { return add(Op::conv, {image, weights}, attr); }
};

struct Refusal {
  const char* sentence;
  void (*build)(Arrays&);
};

template <class E>
void expect_refusals(std::initializer_list<Refusal> refusals) {
  for (const Refusal& refusal : refusals) {
    Arrays arrays;
    EXPECT_ERROR(E, refusal.build(arrays), refusal.sentence);
    EXPECT_NO_THROW(verify(arrays.g)) << refusal.sentence;  // the graph is as it was
  }
}

TEST(ShapeRules, LeavesMapsAndReductions) {
  expect_refusals<ShapeError>({
      {"input: the shape [2, -1] has a negative extent",
       [](Arrays& a) {
         a.g.input("n", {2, -1});
       }},
      {"the shape [1048576, 1048576, 1048576] has too many elements",
       [](Arrays& a) {
         a.g.input("n", {1 << 20, 1 << 20, 1 << 20});
       }},
      {"too many elements",
       [](Arrays& a) {
         a.g.input("n", {0, int64_t{1} << 50});
       }},
      {"iota: axis 1 does not exist in the shape [3]",
       [](Arrays& a) {
         a.add(Op::iota, {}, IotaAttr{{3}, 1, f32});
       }},
      {"rng: the key must be i64[2] {seed, step}, not f32[3]",
       [](Arrays& a) {
         a.add(Op::rng, {a.v}, RngAttr{{2}, 0, f32});
       }},
      {"add: the operands have different shapes, [3] and [2, 3]",
       [](Arrays& a) {
         a.add(Op::add, {a.v, a.m});
       }},
      {"select: the condition is [3] but the choices are [2, 3]",
       [](Arrays& a) {
         a.add(Op::select, {a.b, a.m, a.m});
       }},
      {"reduce: axis 2 does not exist in the shape [2, 3]",
       [](Arrays& a) {
         a.add(Op::reduce, {a.m}, ReduceAttr{Reduction::sum, {2}});
       }},
      {"reduce: the axes [1, 0] must increase",
       [](Arrays& a) {
         a.add(Op::reduce, {a.m}, ReduceAttr{Reduction::sum, {1, 0}});
       }},
      {"argmax: no largest element along an empty axis of [0, 3]",
       [](Arrays& a) { a.add(Op::argmax, {a.empty}, ArgmaxAttr{0}); }},
  });
}

TEST(ShapeRules, Moves) {
  expect_refusals<ShapeError>({
      {"broadcast: the list [] needs one entry for each axis of [3]",
       [](Arrays& a) {
         a.add(Op::broadcast, {a.v}, BroadcastAttr{{2, 3}, {}});
       }},
      {"broadcast: axis 2 does not exist in the shape [2, 3]",
       [](Arrays& a) {
         a.add(Op::broadcast, {a.v}, BroadcastAttr{{2, 3}, {2}});
       }},
      {"broadcast: the axes [1, 0] must increase",
       [](Arrays& a) {
         a.add(Op::broadcast, {a.m}, BroadcastAttr{{3, 2}, {1, 0}});
       }},
      {"broadcast: cannot broadcast [3] to [2, 3] along axes [0]",
       [](Arrays& a) {
         a.add(Op::broadcast, {a.v}, BroadcastAttr{{2, 3}, {0}});
       }},
      {"reshape: cannot reshape [2, 3] (6 elements) to [4] (4 elements)",
       [](Arrays& a) { a.add(Op::reshape, {a.m}, ReshapeAttr{{4}}); }},
      {"transpose: the axes [0, 0] are not a permutation",
       [](Arrays& a) {
         a.add(Op::transpose, {a.m}, TransposeAttr{{0, 0}});
       }},
      {"slice: the box [0, 0] to [2, 4] by [1, 1] does not lie in the shape [2, 3]",
       [](Arrays& a) {
         a.add(Op::slice, {a.m}, SliceAttr{{0, 0}, {2, 4}, {1, 1}});
       }},
      {"does not lie in",
       [](Arrays& a) {
         a.add(Op::slice, {a.v}, SliceAttr{{2}, {1}, {1}});
       }},
      {"does not lie in",
       [](Arrays& a) {
         a.add(Op::slice, {a.v}, SliceAttr{{0}, {3}, {0}});
       }},
      {"slice: the list [0] needs one entry for each axis of [2, 3]",
       [](Arrays& a) {
         a.add(Op::slice, {a.m}, SliceAttr{{0}, {2}, {1}});
       }},
      {"pad: padding cannot be negative: [-1], [0], [0]; use slice",
       [](Arrays& a) {
         a.add(Op::pad, {a.v}, PadAttr{{-1}, {0}, {0}, 0});
       }},
      {"pad: the shape [",
       [](Arrays& a) {
         a.add(Op::pad, {a.v}, PadAttr{{0}, {0}, {INT64_MAX}, 0});
       }},
      {"concat: needs at least one part", [](Arrays& a) { a.add(Op::concat, {}, ConcatAttr{0}); }},
      {"concat: parts of shapes [2, 3] and [0, 3] cannot be joined along axis 1",
       [](Arrays& a) {
         a.add(Op::concat, {a.m, a.empty}, ConcatAttr{1});
       }},
      {"concat: parts of shapes [3] and [2, 3]",
       [](Arrays& a) {
         a.add(Op::concat, {a.v, a.m}, ConcatAttr{0});
       }},
      {"unfold: window size 2, step 0 and dilation 1 must be at least 1",
       [](Arrays& a) {
         a.add(Op::unfold, {a.v}, UnfoldAttr{0, 2, 0, 1});
       }},
      {"fold: needs windows in the last axis, but the shape is [3]",
       [](Arrays& a) {
         a.add(Op::fold, {a.v}, FoldAttr{0, 3, 1, 1, 3});
       }},
      {"fold: windows of shape [2, 3] do not fold onto an axis of extent 5",
       [](Arrays& a) {
         a.add(Op::fold, {a.m}, FoldAttr{0, 3, 1, 1, 5});
       }},
  });
}

TEST(ShapeRules, IndicesAndContractions) {
  expect_refusals<ShapeError>({
      {"gather: rows are taken from an array of at least one axis",
       [](Arrays& a) {
         a.add(Op::gather, {a.s, a.i});
       }},
      {"scatter_add: updates of shape [2, 3] do not begin with the index shape [3]",
       [](Arrays& a) {
         a.add(Op::scatter_add, {a.i, a.m}, ScatterAttr{2});
       }},
      {"scatter_add: the shape [-2] has a negative extent",
       [](Arrays& a) {
         a.add(Op::scatter_add, {a.i, a.v}, ScatterAttr{-2});
       }},
      {"dot: the operands are [2, 3] and [3]; both need the same batch axes and two more",
       [](Arrays& a) {
         a.add(Op::dot, {a.m, a.v}, DotAttr{});
       }},
      {"dot: inner sizes differ: the input is [2, 3], the weights are [2, 3]; expected an input of "
       "2",
       [](Arrays& a) {
         a.add(Op::dot, {a.m, a.m}, DotAttr{});
       }},
      {"dot: the shape [1073741824, 1073741824] has too many elements",
       [](Arrays& a) {
         const Value tall = a.g.input("p", {1 << 30, 0}), flat = a.g.input("q", {0, 1 << 30});
         a.add(Op::dot, {tall, flat}, DotAttr{});
       }},
      {"conv: the operands are [2, 3] and [2, 3]; both need two axes and at least one spatial axis",
       [](Arrays& a) {
         a.add(Op::conv, {a.m, a.m}, ConvAttr{});
       }},
      {"conv: the list [1, 1] needs one entry for each of 1 spatial axes",
       [](Arrays& a) {
         a.convolve({ConvRole::y, {1, 1}, {0}, {0}, {1}, 1, {}});
       }},
      {"conv: the number of groups must be at least 1, not 0",
       [](Arrays& a) {
         a.convolve({ConvRole::y, {1}, {0}, {0}, {1}, 0, {}});
       }},
      {"conv: the result's spatial size is missing",
       [](Arrays& a) {
         a.convolve({ConvRole::dx, {1}, {0}, {0}, {1}, 1, {}});
       }},
      {"conv: padding cannot be negative or huge: [-1], [0]",
       [](Arrays& a) {
         a.convolve({ConvRole::y, {1}, {-1}, {0}, {1}, 1, {}});
       }},
      {"conv: window size 3, step 0 and dilation 1 must be at least 1",
       [](Arrays& a) {
         a.convolve({ConvRole::y, {0}, {0}, {0}, {1}, 1, {}});
       }},
      {"conv: spatial sizes do not fit: x [1, 2, 9], w [4, 2, 3], y [1, 2, 5]",
       [](Arrays& a) {
         a.convolve({ConvRole::dx, {1}, {0}, {0}, {1}, 1, {9}});
       }},
      {"conv: channels do not fit: x [1, 2, 5] needs weights [outputs, 1, …] with outputs a "
       "multiple "
       "of 2, found w [4, 2, 3]",
       [](Arrays& a) {
         a.convolve({ConvRole::y, {1}, {0}, {0}, {1}, 2, {}});
       }},
      {"a shape has at most eight axes",
       [](Arrays& a) {
         a.add(Op::unfold, {a.g.input("n", {1, 1, 1, 1, 1, 1, 1, 1})}, UnfoldAttr{0, 1, 1, 1});
       }},
  });
}

TEST(TypeRules, EverySentence) {
  expect_refusals<TypeError>({
      {"iota: counting needs a number type, not bool",
       [](Arrays& a) {
         a.add(Op::iota, {}, IotaAttr{{3}, 0, boolean});
       }},
      {"rng: random numbers are f32 or f64, not i32",
       [](Arrays& a) {
         a.add(Op::rng, {a.key}, RngAttr{{2}, 0, i32});
       }},
      {"add: the operands have different types, f32 and f64; cast one of them",
       [](Arrays& a) {
         a.add(Op::add, {a.v, a.d});
       }},
      {"neg: needs numbers, not bool; cast or use a logical function",
       [](Arrays& a) { a.add(Op::neg, {a.b}); }},
      {"exp: needs f32 or f64, not i32; cast it first", [](Arrays& a) { a.add(Op::exp, {a.i}); }},
      {"select: the condition must be bool, not f32",
       [](Arrays& a) {
         a.add(Op::select, {a.v, a.v, a.v});
       }},
      {"select: the operands have different types, f32 and f64",
       [](Arrays& a) {
         a.add(Op::select, {a.b, a.v, a.d});
       }},
      {"reduce: needs numbers, not bool; cast it first",
       [](Arrays& a) {
         a.add(Op::reduce, {a.b}, ReduceAttr{Reduction::max, {0}});
       }},
      {"concat: the parts have different types, f32 and f64",
       [](Arrays& a) {
         a.add(Op::concat, {a.v, a.d}, ConcatAttr{0});
       }},
      {"fold: needs f32 or f64, not i32",
       [](Arrays& a) {
         a.add(Op::fold, {a.g.input("n", {1, 3}, i32)}, FoldAttr{0, 3, 1, 1, 3});
       }},
      {"gather: the index must be i32 or i64, not f32",
       [](Arrays& a) {
         a.add(Op::gather, {a.m, a.v});
       }},
      {"scatter_add: the index must be i32 or i64, not bool",
       [](Arrays& a) {
         a.add(Op::scatter_add, {a.b, a.v}, ScatterAttr{2});
       }},
      {"scatter_add: needs numbers, not bool",
       [](Arrays& a) {
         a.add(Op::scatter_add, {a.i, a.b}, ScatterAttr{2});
       }},
      {"dot: the operands have different types, f32 and f64",
       [](Arrays& a) {
         a.add(Op::dot, {a.m, a.g.input("n", {3, 2}, f64)}, DotAttr{});
       }},
      {"dot: needs f32 or f64, not u8",
       [](Arrays& a) {
         const Value n = a.g.input("n", {2, 2}, u8);
         a.add(Op::dot, {n, n}, DotAttr{});
       }},
      {"conv: the operands are f32 and f64; both must be f32 or both f64",
       [](Arrays& a) {
         a.add(Op::conv, {a.image, a.g.input("n", {4, 2, 3}, f64)}, ConvAttr{});
       }},
  });
}

// ---- calls, scans and what else is a matter of structure

std::shared_ptr<const Graph> doubling() {
  Graph body;
  body.output("y", body.input("x", {3}) * 2.0);
  return std::make_shared<const Graph>(std::move(body));
}

TEST(GraphRules, CallsAndScans) {
  expect_refusals<GraphError>({
      {"add: takes 2 inputs, not 1", [](Arrays& a) { a.add(Op::add, {a.v}); }},
      {"neg: takes 1 inputs, not 2",
       [](Arrays& a) {
         a.add(Op::neg, {a.v, a.v});
       }},
      {"neg: carries the attribute of another op",
       [](Arrays& a) { a.add(Op::neg, {a.v}, CastAttr{}); }},
      {"neg: an operand is an empty value; build all operands in the graph",
       [](Arrays& a) { a.add(Op::neg, {Value()}); }},
      {"neg: an operand belongs to another graph",
       [](Arrays& a) {
         Graph other;
         a.add(Op::neg, {other.input("x", {})});
       }},
      {"neg: uses a call or scan directly; take one of its results",
       [](Arrays& a) {
         a.add(Op::neg, {a.add(Op::call, {a.v}, CallAttr{"f", doubling()})});
       }},
      {"get: takes a result of a call or a scan",
       [](Arrays& a) { a.add(Op::get, {a.v}, GetAttr{0}); }},
      {"get: there is no result 1",
       [](Arrays& a) {
         a.add(Op::get, {a.add(Op::call, {a.v}, CallAttr{"f", doubling()})}, GetAttr{1});
       }},
      {"call: has no body",
       [](Arrays& a) {
         a.add(Op::call, {a.v}, CallAttr{"f", nullptr});
       }},
      {"call: the body has 1 inputs but was given 2",
       [](Arrays& a) {
         a.add(Op::call, {a.v, a.v}, CallAttr{"f", doubling()});
       }},
      {"call: a body cannot update states",
       [](Arrays& a) {
         Graph body;
         const Value n = body.state("n", {3});
         body.update(n, n + 1.0);
         a.add(Op::call, {a.v}, CallAttr{"f", std::make_shared<const Graph>(body)});
       }},
  });
  expect_refusals<ShapeError>({
      {"call: body input 0 is f32[3] but was given f32[2, 3]",
       [](Arrays& a) {
         a.add(Op::call, {a.m}, CallAttr{"f", doubling()});
       }},
      {"call: body input 0 is f32[3] but was given f64[3]",
       [](Arrays& a) {
         a.add(Op::call, {a.d}, CallAttr{"f", doubling()});
       }},
      {"scan: the counts of consts, carries and sequences do not fit the body",
       [](Arrays& a) {
         a.add(Op::scan, {a.v}, ScanAttr{doubling(), 1, 1, 2, false});
       }},
      {"scan: the counts of consts",
       [](Arrays& a) {
         a.add(Op::scan, {a.v}, ScanAttr{doubling(), INT64_MAX, 1, 2, false});
       }},
      {"scan: the counts of consts",
       [](Arrays& a) {
         a.add(Op::scan, {a.v}, ScanAttr{doubling(), 0, 1, -1, false});
       }},
      {"scan: sequence 0 is [2, 3]; its first axis must be the length 5",
       [](Arrays& a) {
         a.add(Op::scan, {a.m}, ScanAttr{doubling(), 0, 0, 5, false});
       }},
      {"scan: body input 0 is f32[3] but was given f32[3, 4]",
       [](Arrays& a) {
         a.add(Op::scan, {a.t}, ScanAttr{doubling(), 0, 0, 2, false});
       }},
      {"scan: carry 0 is f32[3] but the body returns f32[]",
       [](Arrays& a) {
         Graph body;
         body.output("y", sum(body.input("x", {3})));
         a.add(Op::scan, {a.v}, ScanAttr{std::make_shared<const Graph>(body), 0, 1, 2, false});
       }},
  });
}

TEST(GraphRules, NamesAndUpdates) {
  expect_refusals<GraphError>({
      {"an input named \"v\" already", [](Arrays& a) { a.g.input("v", {}); }},
      {"an output named \"y\" already",
       [](Arrays& a) {
         a.g.output("y", a.v);
         a.g.output("y", a.m);
       }},
      {"only a parameter or a state can be updated", [](Arrays& a) { a.g.update(a.v, a.v); }},
      {"\"w\" is updated twice; a state has one update",
       [](Arrays& a) {
         const Value w = a.g.parameter("w", {3});
         a.g.update(w, a.v);
         a.g.update(w, w);
       }},
      {"the graph has no input named \"keys\"; did you mean \"key\"?",
       [](Arrays& a) { a.g.find_input("keys"); }},
      {"the graph has no output named \"y\"", [](Arrays& a) { (void)a.g.output_id("y"); }},
  });
  expect_refusals<ShapeError>({
      {"\"n\" is i64[], but its update is f32[3]; an update has the type and shape of its state",
       [](Arrays& a) { a.g.update(a.g.state("n", {}, "0", i64), a.v); }},
  });
}

// ---- verify

/// %0 x, %1 w (a parameter), %2 x * w, %3 call, %4 its result.
Graph sound() {
  Graph g;
  const Graph::Scope scope(g, "hidden");
  const Value x = g.input("x", {3}), w = g.parameter("w", {3});
  const Value y = x * w;
  g.output("y", y);
  g.output("z", call(g, "f", std::vector<Value>{y}, *doubling())[0]);
  g.update(w, y);
  return g;
}

void expect_broken(const std::string& sentence, void (*damage)(const RawGraph&)) {
  Graph g = sound();
  EXPECT_NO_THROW(verify(g));
  damage({g});
  EXPECT_ERROR(GraphError, verify(g), sentence);
}

TEST(Verify, NodesHaveKnownOpsAndScopes) {
  expect_broken("unknown op 200",
                [](const RawGraph& r) { r.nodes()[2].op = static_cast<Op>(200); });
  expect_broken("mul belongs to the unknown scope 9",
                [](const RawGraph& r) { r.nodes()[2].scope = 9; });
}
TEST(Verify, OperandsComeFirst) {
  expect_broken("layer \"hidden\": mul: node %2 uses %2; operands have smaller numbers",
                [](const RawGraph& r) { r.nodes()[2].in[1] = 2; });
  expect_broken("uses %77", [](const RawGraph& r) { r.nodes()[2].in[0] = 77; });
}
TEST(Verify, ShapesTypesAndAttributesFollow) {
  expect_broken("mul: says f32[4] but works out to f32[3]",
                [](const RawGraph& r) { r.nodes()[2].shape = {4}; });
  expect_broken("mul: says f64[3]", [](const RawGraph& r) { r.nodes()[2].type = f64; });
  expect_broken("mul: takes 2 inputs, not 3",
                [](const RawGraph& r) { r.nodes()[2].in.push_back(0); });
  expect_broken("mul: carries the attribute of another op",
                [](const RawGraph& r) { r.nodes()[2].attr = ReshapeAttr{{3}}; });
  expect_broken("get: there is no result 1",
                [](const RawGraph& r) { r.nodes()[4].attr = GetAttr{1}; });
}
TEST(Verify, InputsAreListed) {
  expect_broken("not the list of input nodes", [](const RawGraph& r) { r.inputs().pop_back(); });
  expect_broken("not the list of input nodes", [](const RawGraph& r) { r.inputs().push_back(2); });
  expect_broken("not the list of input nodes",
                [](const RawGraph& r) { std::swap(r.inputs()[0], r.inputs()[1]); });
}
TEST(Verify, NamesDiffer) {
  expect_broken("two inputs are named \"x\"",
                [](const RawGraph& r) { std::get<InputAttr>(r.nodes()[1].attr).name = "x"; });
  expect_broken("two outputs are named \"y\"",
                [](const RawGraph& r) { r.outputs()[1].name = "y"; });
}
TEST(Verify, OutputsAreValues) {
  expect_broken("the output \"y\" is %99", [](const RawGraph& r) { r.outputs()[0].id = 99; });
  expect_broken("the output \"y\" is %3, which is not a value",
                [](const RawGraph& r) { r.outputs()[0].id = 3; });
}
TEST(Verify, UpdatesFitTheirStates) {
  expect_broken("the update of %1 by %99", [](const RawGraph& r) { r.updates()[0].value = 99; });
  expect_broken("does not name values", [](const RawGraph& r) { r.updates()[0].state = 99; });
  expect_broken("%0 is updated but is neither",
                [](const RawGraph& r) { r.updates()[0].state = 0; });
  expect_broken("\"hidden/w\" is updated twice",
                [](const RawGraph& r) { r.updates().push_back(r.updates()[0]); });
  expect_broken("\"hidden/w\" is f32[3] but its update is f32[]", [](const RawGraph& r) {
    r.nodes().push_back({Op::constant, f32, {}, {}, ConstantAttr{}});
    r.updates()[0].value = 5;
  });
}
TEST(Verify, BodiesAreGraphs) {
  expect_broken("call: has no body",
                [](const RawGraph& r) { std::get<CallAttr>(r.nodes()[3].attr).body = nullptr; });
  expect_broken("call: in its body: broadcast: says f32[4]", [](const RawGraph& r) {
    Graph body = *doubling();
    RawGraph{body}.nodes()[2].shape = {4};
    std::get<CallAttr>(r.nodes()[3].attr).body = std::make_shared<const Graph>(body);
  });
}

}  // namespace
}  // namespace soma
