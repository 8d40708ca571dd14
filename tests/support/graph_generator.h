// The generator behind random_graph(): grows a graph op by op from values it knows something about.
//
// Values stay small and well conditioned, so that rounding does not grow: domains are kept (log of
// positive numbers), large results pass through tanh, and what is discontinuous (comparisons, casts
// to integers, argmax) sees only values that every backend computes exactly.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "soma/graph.h"
#include "src/base/philox.h"
#include "src/base/text.h"

namespace soma::test {

struct RandomGraphOptions {
  /// How many ops are tried in the outermost graph.
  int steps = 25;
  /// How deep bodies of calls and scans may nest.
  int depth = 2;
  /// Only ops with a gradient everywhere, on floats of `type`, and a scalar output "loss".
  bool smooth = false;
  DType type = f32;
};

namespace detail {

class Generator {
 public:
  Generator(Graph& graph, Random& random, const RandomGraphOptions& options, bool outermost)
      : g_(graph), random_(random), options_(options), outermost_(outermost) {}

  // What is known about a value: |x| <= bound, and whether every backend finds exactly its bits.
  struct Known {
    Value value;
    double bound = 1;
    bool exact = true;
  };

  Known input(Shape shape, DType type) {
    const std::string name = cat("in", g_.inputs().size());
    const bool trained = outermost_ && is_float(type) && chance(3);
    const Value value =
        trained ? g_.parameter(name, shape, "0", type) : g_.input(name, shape, type);
    return keep({value, type == boolean ? 1.0 : is_float(type) ? 2.0 : 5.0, !options_.smooth});
  }

  Known keep(Known known) {
    if (!known.value || known.value.shape().elements() > max_elements) return {};
    const bool is_real = is_float(known.value.type());
    if (is_real && !(known.bound <= max_bound)) known = {tanh(known.value), 1, false};
    if (!is_real) known.exact = true;
    for (const Known& old : pool_) {
      if (old.value == known.value) return old;
    }
    pool_.push_back(known);
    return known;
  }

  void start() {
    const int count = 2 + below(3);
    for (int i = 0; i < count; ++i) input(random_shape(), random_type());
  }
  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      if (outermost_ && chance(4)) {
        const Graph::Scope scope(g_, cat("layer", below(3)));
        step();
      } else {
        step();
      }
    }
  }
  const std::vector<Known>& pool() const { return pool_; }
  const Known& any() { return pool_[below(pool_.size())]; }

  /// A value of this shape (a copy: building moves the nodes) and type: one that exists, a new
  /// input or something constant.
  Known like(Shape shape, DType type) {
    std::vector<Known> fitting;
    for (const Known& known : pool_) {
      if (known.value.shape() == shape && known.value.type() == type) fitting.push_back(known);
    }
    if (!fitting.empty() && !chance(6)) return fitting[below(fitting.size())];
    if (outermost_ && !(options_.smooth && !is_float(type)) && !chance(4)) {
      return input(shape, type);
    }
    if (shape.rank() > 0 && type != boolean && chance(2)) {
      const int axis = below(shape.rank());
      return keep({soma::iota(g_, shape, axis, type), static_cast<double>(shape[axis])});
    }
    const double value = type == boolean ? below(2) : is_float(type) ? eighths() : below(4);
    return keep({g_.constant(value, shape, type), 2});
  }

  int below(auto count) { return static_cast<int>(random_.below(static_cast<uint64_t>(count))); }
  /// True once in n.
  bool chance(int n) { return below(n) == 0; }

 private:
  static constexpr int64_t max_elements = 300;
  static constexpr double max_bound = 8;

  double eighths() { return (below(33) - 16) / 8.0; }

  DType random_type() {
    if (options_.smooth) return options_.type;
    const DType types[] = {f32, f32, f32, f32, f64, i32, i64, u8, boolean};
    return types[below(std::size(types))];
  }
  Shape random_shape() {
    Shape shape;
    const int rank = below(5);
    const int64_t extents[] = {1, 2, 3, 4, 5, 7};
    for (int i = 0; i < rank; ++i) {
      shape.push_back(chance(30) ? 0 : extents[below(std::size(extents))]);
    }
    return shape.elements() <= 100 ? shape : Shape{3, 4};
  }

  template <class F>
  Known any_where(F&& accept) {
    std::vector<Known> fitting;
    for (const Known& known : pool_) {
      if (accept(known)) fitting.push_back(known);
    }
    return fitting.empty() ? Known{} : fitting[below(fitting.size())];
  }
  Known any_float() {
    return any_where([](const Known& k) { return is_float(k.value.type()); });
  }
  Known any_number() {
    return any_where([](const Known& k) { return k.value.type() != boolean; });
  }
  Known any_exact() {
    return any_where([](const Known& k) { return k.exact; });
  }
  Known any_with_axis() {
    return any_where([](const Known& k) { return k.value.rank() > 0; });
  }

  void step() {
    constexpr size_t first = static_cast<size_t>(Op::constant);
    const Op op = static_cast<Op>(first + random_.below(op_table().size() - first));
    if (options_.smooth && !info(op).is(OpInfo::smooth)) return;
    keep(make(op));
  }

  // One case per op; a missing one is a compiler warning. An empty result: nothing fitted.
  Known make(Op op) {
    switch (op) {
      case Op::input: return {};
      case Op::constant: return like({}, random_type());
      case Op::iota: return iota();
      case Op::rng: return rng();
      case Op::neg:
      case Op::abs: return sign_map(op);
      case Op::exp:
      case Op::expm1: return float_map(op, [](double bound) { return std::exp(bound); });
      case Op::tanh:
      case Op::sigmoid:
      case Op::erf:
      case Op::sin:
      case Op::cos: return float_map(op, [](double) { return 1.0; });
      case Op::log:
      case Op::log1p:
      case Op::sqrt: return positive_map(op);
      case Op::add:
      case Op::sub: return pair(op, [](double a, double b) { return a + b; });
      case Op::mul: return pair(op, [](double a, double b) { return a * b; });
      case Op::max:
      case Op::min: return pair(op, [](double a, double b) { return std::max(a, b); });
      case Op::div: return div();
      case Op::pow: return pow();
      case Op::lt:
      case Op::eq: return comparison(op);
      case Op::select: return select();
      case Op::cast: return cast();
      case Op::stop: return stop();
      case Op::reduce: return reduce();
      case Op::argmax: return argmax();
      case Op::broadcast: return broadcast();
      case Op::reshape: return reshape();
      case Op::transpose: return transpose();
      case Op::slice: return slice();
      case Op::pad: return pad();
      case Op::concat: return concat();
      case Op::unfold: return unfold();
      case Op::fold: return fold();
      case Op::gather: return gather();
      case Op::scatter_add: return scatter_add();
      case Op::dot: return dot();
      case Op::conv: return conv();
      case Op::call: return call();
      case Op::scan: return scan();
      case Op::get: return {};
    }
    return {};
  }

  // ---- leaves and maps

  Known iota() {
    const Shape shape = random_shape();
    const DType type = random_type();
    if (shape.rank() == 0 || type == boolean) return {};
    return {soma::iota(g_, shape, below(shape.rank()), type), 8};
  }
  Known rng() {
    const DType type = chance(3) ? f64 : f32;
    const Known key = like({2}, i64);
    if (!key.value) return {};
    return {soma::rng(key.value, random_shape(), below(5), type), 1, type == f32};
  }
  Known sign_map(Op op) {
    const Known x = any_number();
    if (!x.value) return {};
    return {g_.add(op, {x.value}), x.bound, x.exact};
  }
  template <class F>
  Known float_map(Op op, F&& bound) {
    const Known x = any_float();
    if (!x.value) return {};
    return {g_.add(op, {x.value}), bound(x.bound), false};
  }
  // x² + 1/2: where log, sqrt, division and powers are smooth.
  Known positive(const Known& x) {
    return {x.value * x.value + 0.5, x.bound * x.bound + 0.5, false};
  }
  Known positive_map(Op op) {
    const Known x = any_float();
    if (!x.value) return {};
    const Known p = positive(x);
    return {g_.add(op, {p.value}), p.bound, false};
  }
  template <class F>
  Known pair(Op op, F&& bound) {
    const Known a = any_number();
    if (!a.value) return {};
    const Known b = like(a.value.shape(), a.value.type());
    if (!b.value) return {};
    const bool chooses = op == Op::max || op == Op::min;
    return {g_.add(op, {a.value, b.value}), bound(a.bound, b.bound), chooses && a.exact && b.exact};
  }
  Known div() {
    const Known a = any_number();
    if (!a.value) return {};
    const Known b = like(a.value.shape(), a.value.type());
    if (!b.value) return {};
    const Value by = is_float(a.value.type()) ? positive(b).value : b.value;
    return {a.value / by, 2 * a.bound, false};
  }
  Known pow() {
    const Known a = any_number();
    if (!a.value) return {};
    const Known b = like(a.value.shape(), a.value.type());
    if (!b.value) return {};
    if (!is_float(a.value.type())) return {soma::pow(a.value, b.value)};
    const Known base = positive(a);
    return {soma::pow(base.value, b.value), std::pow(std::max(2.0, base.bound), b.bound), false};
  }
  Known comparison(Op op) {
    const Known a = any_exact();
    if (!a.value) return {};
    const Known b = like(a.value.shape(), a.value.type());
    if (!b.value || !b.exact) return {};
    return {g_.add(op, {a.value, b.value})};
  }
  Known select() {
    const Known a = any();
    const Known b = like(a.value.shape(), a.value.type());
    const Known condition = like(a.value.shape(), boolean);
    if (!b.value || !condition.value) return {};
    return {soma::select(condition.value, a.value, b.value), std::max(a.bound, b.bound),
            a.exact && b.exact};
  }
  Known cast() {
    if (options_.smooth) return {};
    const DType to = random_type();
    const Known x = is_float(to) ? any() : any_exact();
    if (!x.value) return {};
    const bool is_whole = is_integer(x.value.type());
    const double bound = is_whole ? std::numeric_limits<double>::infinity() : x.bound;
    return {soma::cast(x.value, to), is_float(to) ? bound : 0, x.exact && !is_whole};
  }
  Known stop() {
    const Known x = any();
    return {soma::stop(x.value), x.bound, x.exact};
  }

  // ---- reductions and moves

  Known reduce() {
    const Known x = any_number();
    if (!x.value) return {};
    Dims axes;
    int64_t count = 1;
    for (int i = 0; i < x.value.rank(); ++i) {
      if (chance(2)) {
        axes.push_back(i);
        count *= x.value.extent(i);
      }
    }
    if (options_.smooth || chance(2)) {
      return {soma::sum(x.value, axes), x.bound * static_cast<double>(count), false};
    }
    const double bound = count ? x.bound : std::numeric_limits<double>::infinity();
    return {soma::max_over(x.value, axes), bound, x.exact};
  }
  Known argmax() {
    const Known x = any_where([](const Known& k) { return k.exact && k.value.rank() > 0; });
    if (!x.value) return {};
    const int axis = below(x.value.rank());
    if (x.value.extent(axis) == 0) return {};
    return {soma::argmax(x.value, axis)};
  }
  Known broadcast() {
    const Known x = any();
    Shape shape;
    Dims dims;
    for (int i = 0; i < x.value.rank(); ++i) {
      if (chance(3) && shape.rank() < 3) shape.push_back(1 + below(3));
      dims.push_back(shape.rank());
      shape.push_back(x.value.extent(i));
      if (shape.rank() == Dims::max_size) return {};
    }
    if (chance(2)) shape.push_back(1 + below(3));
    return {soma::broadcast(x.value, shape, dims), x.bound, x.exact};
  }
  Known reshape() {
    const Known x = any();
    const int64_t count = x.value.shape().elements();
    Shape shape{count};
    for (const int64_t d : {2, 3, 4}) {
      if (count && count % d == 0 && chance(2)) shape = Shape{d, count / d};
    }
    if (chance(3)) shape.push_back(1);
    return {soma::reshape(x.value, shape), x.bound, x.exact};
  }
  Known transpose() {
    const Known x = any_with_axis();
    if (!x.value) return {};
    Dims perm;
    for (int i = 0; i < x.value.rank(); ++i) perm.push_back(i);
    random_.shuffle(std::span<int64_t>(perm.begin(), perm.end()));
    return {soma::transpose(x.value, perm), x.bound, x.exact};
  }
  Known slice() {
    const Known x = any_with_axis();
    if (!x.value) return {};
    Dims lo, hi, step;
    for (const int64_t extent : x.value.shape()) {
      lo.push_back(chance(2) ? 0 : below(extent + 1));
      hi.push_back(lo.back() + below(extent - lo.back() + 1));
      if (chance(2)) hi[hi.size() - 1] = extent;
      step.push_back(1 + below(3));
    }
    return {soma::slice(x.value, lo, hi, step), x.bound, x.exact};
  }
  Known pad() {
    const Known x = any_with_axis();
    if (!x.value) return {};
    Dims lo, hi, interior;
    for (int i = 0; i < x.value.rank(); ++i) {
      lo.push_back(below(3));
      hi.push_back(below(3));
      interior.push_back(chance(3) ? below(3) : 0);
    }
    const double value = x.value.type() == boolean ? below(2) : below(3);
    return {soma::pad(x.value, lo, hi, interior, value), std::max(2.0, x.bound), x.exact};
  }
  Known concat() {
    Known known = any_with_axis();
    if (!known.value) return {};
    const int axis = below(known.value.rank());
    std::vector<Value> parts{known.value};
    for (int more = 1 + below(2); more > 0; --more) {
      Shape shape = known.value.shape();
      if (chance(3)) shape[axis] = 1 + below(2);
      const Known part = like(shape, known.value.type());
      if (!part.value) return {};
      parts.push_back(part.value);
      known.bound = std::max(known.bound, part.bound);
      known.exact = known.exact && part.exact;
    }
    known.value = soma::concat(parts, axis);
    return known;
  }
  Known unfold() {
    const Known x = any_with_axis();
    if (!x.value || x.value.rank() == Dims::max_size) return {};
    const int axis = below(x.value.rank());
    return {soma::unfold(x.value, axis, 1 + below(3), 1 + below(2), 1 + below(2)), x.bound,
            x.exact};
  }
  Known fold() {  // of something shaped like the windows of another value
    const Known x =
        any_where([](const Known& k) { return k.value.rank() > 0 && is_float(k.value.type()); });
    if (!x.value || x.value.rank() == Dims::max_size) return {};
    const int axis = below(x.value.rank());
    const int64_t size = 1 + below(3), step = 1 + below(2), dilation = 1 + below(2);
    const Value windows = soma::unfold(x.value, axis, size, step, dilation);
    const Known dy = like(windows.shape(), x.value.type());
    if (!dy.value) return {};
    return {soma::fold(dy.value, axis, size, step, dilation, x.value.extent(axis)),
            dy.bound * static_cast<double>(size), false};
  }

  // ---- index, contractions

  DType index_type() { return chance(2) ? i32 : i64; }

  Known gather() {
    const Known x = any_with_axis();
    if (!x.value) return {};
    const Known index = like(chance(2) ? Shape{3} : Shape{2, 2}, index_type());
    if (!index.value || x.value.rank() + 1 > Dims::max_size) return {};
    return {soma::gather(x.value, index.value), x.bound, x.exact};
  }
  Known scatter_add() {
    const Known x =
        any_where([](const Known& k) { return k.value.rank() > 0 && k.value.type() != boolean; });
    if (!x.value) return {};
    const Known index = like(Shape{x.value.extent(0)}, index_type());
    if (!index.value) return {};
    return {soma::scatter_add(index.value, x.value, below(5)),
            x.bound * static_cast<double>(x.value.extent(0)), false};
  }
  Known dot() {
    const Known a =
        any_where([](const Known& k) { return k.value.rank() >= 2 && is_float(k.value.type()); });
    if (!a.value) return {};
    const bool transpose_a = chance(2), transpose_b = chance(2);
    const int r = a.value.rank();
    const int64_t inner = a.value.extent(transpose_a ? r - 2 : r - 1), columns = 1 + below(4);
    Shape shape = a.value.shape();
    shape[r - 2] = transpose_b ? columns : inner;
    shape[r - 1] = transpose_b ? inner : columns;
    const Known b = like(shape, a.value.type());
    if (!b.value) return {};
    return {soma::dot(a.value, b.value, transpose_a, transpose_b),
            a.bound * b.bound * static_cast<double>(inner), false};
  }
  Known conv() {
    const int spatial = 1 + below(2);
    const int64_t groups = 1 + below(2);
    const DType type = options_.smooth ? options_.type : chance(4) ? f64 : f32;
    ConvAttr attr{static_cast<ConvRole>(below(3)), {}, {}, {}, {}, groups, {}};
    Shape x{1 + below(2), groups * (1 + below(2))}, w{groups * (1 + below(2)), x[1] / groups};
    Shape y{x[0], w[0]};
    for (int i = 0; i < spatial; ++i) {
      w.push_back(1 + below(3));
      attr.stride.push_back(1 + below(2));
      attr.dilation.push_back(1 + below(2));
      attr.lo.push_back(below(2));
      attr.hi.push_back(below(2));
      const int64_t reach = attr.dilation[i] * (w[i + 2] - 1) + 1;
      x.push_back(std::max<int64_t>(0, reach - attr.lo[i] - attr.hi[i]) + below(4));
      y.push_back((x[i + 2] + attr.lo[i] + attr.hi[i] - reach) / attr.stride[i] + 1);
      if (attr.role == ConvRole::dx) attr.size.push_back(x[i + 2]);
      if (attr.role == ConvRole::dw) attr.size.push_back(w[i + 2]);
    }
    const Known a = like(attr.role == ConvRole::dx ? y : x, type);
    const Known b = like(attr.role == ConvRole::dw ? y : w, type);
    if (!a.value || !b.value) return {};
    return {soma::conv(a.value, b.value, attr), 1e9, false};
  }

  // ---- bodies

  // A body over inputs like `in`; the caller adds outputs from the pool.
  void fill_body(Generator& body, std::span<const Known> in) {
    for (size_t i = 0; i < in.size(); ++i) {
      const Value x = body.g_.input(cat("x", i), in[i].value.shape(), in[i].value.type());
      body.pool_.push_back({x, in[i].bound, in[i].exact});
    }
    body.run(3 + below(4));
  }

  Known call() {
    if (options_.depth == 0) return {};
    RandomGraphOptions inner = options_;
    --inner.depth;
    Graph graph;
    Generator body(graph, random_, inner, false);
    std::vector<Known> in;
    std::vector<Value> values;
    for (int n = 1 + below(3); n > 0; --n) {
      in.push_back(any());
      values.push_back(in.back().value);
    }
    fill_body(body, in);
    std::vector<Known> results;
    for (int n = 1 + below(2); n > 0; --n) {
      results.push_back(body.any());
      graph.output(cat("y", n), results.back().value);
    }
    const std::vector<Value> out = soma::call(g_, "body", values, std::move(graph));
    for (size_t i = 0; i < out.size(); ++i) {
      keep({out[i], results[i].bound, results[i].exact});
    }
    return {};
  }

  Known scan() {
    if (options_.depth == 0) return {};
    RandomGraphOptions inner = options_;
    --inner.depth;
    Graph graph;
    Generator body(graph, random_, inner, false);
    std::vector<Known> in;  // as the body sees them
    std::vector<Value> consts, carries, sequences;
    for (int n = below(2); n > 0; --n) {
      in.push_back(any());
      consts.push_back(in.back().value);
    }
    for (int n = 1 + below(2); n > 0; --n) {
      const Known start = any();
      carries.push_back(start.value);
      const bool is_real = is_float(start.value.type());
      in.push_back({start.value, std::max(1.0, start.bound), !is_real && start.exact});
    }
    const int64_t length = chance(10) ? 0 : 1 + below(4);
    Graph shapes;  // holds what stands for the slices, which have no nodes in this graph
    for (int n = below(3); n > 0; --n) {
      Shape shape{length};
      const Shape rest = chance(2) ? Shape{3} : Shape{};
      for (const int64_t extent : rest) shape.push_back(extent);
      const DType type = random_type();
      const Known sequence = like(shape, type);
      if (!sequence.value) return {};
      sequences.push_back(sequence.value);
      in.push_back({shapes.input(cat("s", n), rest, type), sequence.bound, sequence.exact});
    }
    fill_body(body, in);
    std::vector<Known> results;
    for (size_t i = 0; i < carries.size(); ++i) {
      Known next = body.like(carries[i].shape(), carries[i].type());
      if (!next.value) return {};
      if (is_float(next.value.type())) next = {tanh(next.value), 1, false};
      graph.output(cat("c", i), next.value);
      results.push_back(in[consts.size() + i]);
    }
    for (int n = below(3); n > 0; --n) {
      results.push_back(body.any());
      if (results.back().value.rank() == Dims::max_size) return {};
      graph.output(cat("y", n), results.back().value);
    }
    const std::vector<Value> out =
        soma::scan(g_, std::move(graph), consts, carries, sequences, length, chance(2));
    for (size_t i = 0; i < out.size(); ++i) {
      keep({out[i], results[i].bound, results[i].exact});
    }
    return {};
  }

  Graph& g_;
  Random& random_;
  const RandomGraphOptions options_;
  bool outermost_;
  std::vector<Known> pool_;
};

}  // namespace detail

}  // namespace soma::test
