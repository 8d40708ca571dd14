// Training of a small problem through the graph, and the plain loops it is compared with.
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "soma/optim.h"
#include "tests/nn/evaluate.h"

namespace soma::test {

using Vec = std::vector<double>;
/// The parameters: weights [2, 3] of a layer, row by row, and its biases [3].
using Arrays = std::vector<Vec>;

/// L = sum over the nine numbers of (0.5 c (p - a)^2 + 0.3 sin(2 p)) + 0.1 (sum of p)^2 with
/// c = 1 + 0.3 k, a = sin(k).
inline double problem_loss(const Arrays& p) {
  double total = 0, all = 0;
  int k = 0;
  for (const Vec& array : p) {
    for (const double x : array) {
      const double c = 1 + 0.3 * k, a = std::sin(k);
      total += 0.5 * c * (x - a) * (x - a) + 0.3 * std::sin(2 * x);
      all += x;
      ++k;
    }
  }
  return total + 0.1 * all * all;
}
inline Arrays problem_slope(const Arrays& p) {
  Arrays g = p;
  double all = 0;
  for (const Vec& array : p) {
    for (const double x : array) all += x;
  }
  int k = 0;
  for (Vec& array : g) {
    for (double& x : array) {
      x = (1 + 0.3 * k) * (x - std::sin(k)) + 0.6 * std::cos(2 * x) + 0.2 * all;
      ++k;
    }
  }
  return g;
}
inline const Arrays problem_start{{0.3, -0.8, 1.2, 0.5, -0.4, 0.9}, {0.2, -0.6, 0.7}};

/// The same as a graph.
struct Problem {
  Problem() {
    w = graph.parameter("layer/weights", {2, 3}, "values([0.3 -0.8 1.2 0.5 -0.4 0.9])", f64);
    b = graph.parameter("layer/bias", {3}, "values([0.2 -0.6 0.7])", f64);
    const Value p = concat({reshape(w, {6}), b}, 0);
    const Value k = iota(graph, {9}, 0, f64);
    const Value squares = 0.5 * (1.0 + 0.3 * k) * square(p - sin(k));
    loss = sum(squares + 0.3 * sin(2.0 * p)) + 0.1 * square(sum(p));
  }
  Graph graph;
  Value w, b, loss;
};

/// Runs a program with updates through the interpreter, again and again.
class Runner {
 public:
  explicit Runner(const Graph& graph) : graph_(graph), tensors(initialize(graph, 1)) {}
  void run() {
    std::vector<Tensor> inputs;
    for (const Id id : graph_.inputs()) {
      inputs.push_back(tensors.at(graph_[id].as<InputAttr>().name));
    }
    const Interpretation result = interpret(graph_, inputs);
    outputs = result.outputs;
    for (size_t i = 0; i < result.updates.size(); ++i) {
      tensors[graph_[graph_.updates()[i].state].as<InputAttr>().name] = result.updates[i];
    }
  }

 private:
  const Graph& graph_;

 public:
  Tensors tensors;
  std::vector<Tensor> outputs;
};

/// What a plain loop works on: the numbers after t - 1 steps, their slopes, and what it keeps.
struct Loop {
  int t = 0;
  Arrays p = problem_start, g;
  double loss = 0;
  std::map<std::string, Arrays> memory;
  std::map<std::string, double> numbers;

  Arrays& kept(const std::string& name, double start = 0) {
    const auto found = memory.find(name);
    if (found != memory.end()) return found->second;
    Arrays fresh = p;
    for (Vec& array : fresh) array.assign(array.size(), start);
    return memory.emplace(name, fresh).first->second;
  }
  Arrays& copied(const std::string& name) { return memory.emplace(name, p).first->second; }
  double& number(const std::string& name, double start = 0) {
    return numbers.emplace(name, start).first->second;
  }
};
/// One step of an optimizer, written without it.
using Rule = std::function<void(Loop&)>;

/// The parameters after each step, one after another.
inline std::vector<Vec> loop_path(Rule rule, int steps) {
  Loop loop;
  std::vector<Vec> path;
  for (loop.t = 1; loop.t <= steps; ++loop.t) {
    loop.g = problem_slope(loop.p);
    loop.loss = problem_loss(loop.p);
    rule(loop);
    Vec all = loop.p[0];
    all.insert(all.end(), loop.p[1].begin(), loop.p[1].end());
    path.push_back(all);
  }
  return path;
}
inline std::vector<Vec> graph_path(const Optimizer& optimizer, int steps,
                                   Tensors* states = nullptr) {
  Problem problem;
  const Value params[] = {problem.w, problem.b};
  apply(optimizer, problem.loss, params);
  Runner runner(problem.graph);
  std::vector<Vec> path;
  for (int step = 0; step < steps; ++step) {
    runner.run();
    Vec all = numbers(runner.tensors.at("layer/weights"));
    for (const double x : numbers(runner.tensors.at("layer/bias"))) all.push_back(x);
    path.push_back(all);
  }
  if (states) *states = runner.tensors;
  return path;
}

// ---------------------------------------------------------------- for writing rules

/// What one number keeps.
struct Kept {
  double a = 0, b = 0, c = 0, d = 0;
};
/// `change(g, p, t, kept)` is subtracted from each number.
template <class F>
Rule numberwise(F change) {
  return [change, kept = std::vector<Kept>(9)](Loop& loop) mutable {
    size_t k = 0;
    for (size_t i = 0; i < 2; ++i) {
      for (size_t j = 0; j < loop.p[i].size(); ++j, ++k) {
        loop.p[i][j] -= change(loop.g[i][j], loop.p[i][j], loop.t, kept[k]);
      }
    }
  };
}
inline double norm(const Vec& x) {
  double total = 0;
  for (const double value : x) total += value * value;
  return std::sqrt(total);
}
inline double norm(const Arrays& x) { return std::hypot(norm(x[0]), norm(x[1])); }
inline double rms(const Vec& x) { return norm(x) / std::sqrt(static_cast<double>(x.size())); }
inline double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }
inline double clamp(double x, double low, double high) { return std::min(std::max(x, low), high); }
/// Plain descent by 0.1 after something was done to the gradients.
template <class F>
Rule descent_after(F change) {
  return [change](Loop& loop) mutable {
    change(loop);
    for (size_t i = 0; i < 2; ++i) {
      for (size_t j = 0; j < loop.p[i].size(); ++j) loop.p[i][j] -= 0.1 * loop.g[i][j];
    }
  };
}

/// Every row of the registry by name: texts that use it, and what they must do. An empty rule
/// stands for a row with a test of its own.
struct LoopCase {
  std::string text;
  Rule rule;
};
const std::map<std::string, std::vector<LoopCase>>& loop_cases();

}  // namespace soma::test
