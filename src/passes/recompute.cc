#include "src/passes/recompute.h"

#include <algorithm>
#include <map>
#include <set>

namespace soma::passes {

namespace {

constexpr int nowhere = -1;
constexpr size_t most_members = 96;
// Costs an element, in reads of an array from memory; a write reads it, too. From an array that is
// small enough to stay in a cache, reading is worth less than any transcendental function.
constexpr double stored = 2, cheap = 0.1, transcendental = 1.5, transcendental_near = 16;
constexpr double near = 256e3;  // bytes
// To gather an operand from where it does not lie in order, as a number for each channel.
constexpr double gathered = 2;

class Recomputation {
 public:
  Recomputation(const Graph& graph, std::span<Step* const> steps)
      : graph_(graph), steps_(steps), owner_(graph.size(), nowhere), kept_(graph.size(), false) {
    for (const auto& update : graph.updates()) updated_.insert(update.state);
  }

  void run() {
    for (size_t s = 0; s < steps_.size(); ++s) {
      for (const Id id : steps_[s]->members) owner_[id] = static_cast<int>(s);
      if (steps_[s]->anchor) owner_[*steps_[s]->anchor] = static_cast<int>(s);
    }
    for (const auto& output : graph_.outputs()) keep(output.id);
    for (const auto& update : graph_.updates()) keep(update.value);
    for (const Step* step : steps_) keep_operands(*step);
    std::vector<Step*> order;
    for (Step* step : steps_) {
      if (!step->members.empty()) order.push_back(step);
    }
    std::ranges::sort(order, {}, [](const Step* step) { return step->members.back(); });
    for (Step* step : order) decide(*step);
  }

 private:
  void keep(Id id) { kept_[id] = true; }
  double bytes(Id id) const {
    return static_cast<double>(graph_[id].shape.elements()) *
           static_cast<double>(size_of(graph_[id].type));
  }

  double cost(Id map) const {
    if (info(graph_[map].op).is(OpInfo::cheap)) return cheap;
    return bytes(map) < near ? transcendental_near : transcendental;
  }

  /// The map behind an operand that step may compute again: read element by element, not stored.
  std::optional<Id> candidate(const Step& step, Id operand) const {
    operand = without_reshapes(graph_, operand);
    const Node& node = graph_[operand];
    if (info(node.op).kind != OpClass::map || kept_[operand]) return {};
    if (owner_[operand] == nowhere || node.shape.elements() != step.elements) return {};
    return operand;
  }

  /// Arrays that must exist whatever is decided: what is not read element by element, and what is
  /// no map.
  void keep_operands(const Step& step) {
    if (step.anchor) {
      for (const Id operand : graph_[*step.anchor].in) {
        const Id base = array_view(graph_, operand, graph_[*step.anchor].op == Op::dot).base;
        keep(base);
        if (info(graph_[base].op).kind == OpClass::move) keep(source_of(graph_, base).base);
      }
    }
    for (const Id member : step.members) {
      const Node& node = graph_[member];
      const auto spread = step.spreads.find(member);
      const bool spreads = spread != step.spreads.end();
      for (const Id operand : spreads ? std::span<const Id>(spread->second.sources) : node.in) {
        if (spreads) {
          keep(view_of(graph_, operand).base);
        } else if (step.computes(link_of(graph_, operand, step.columns).producer)) {
          continue;
        } else if (node.op == Op::reduce) {
          keep(reduced_view(graph_, node).base);
        } else if (!candidate(step, operand)) {
          keep(load_view(graph_, operand).base);
        }
      }
    }
  }

  /// What it takes to compute maps again.
  struct Plan {
    std::set<Id> maps, arrays, gathers;
    bool possible = true;
  };
  void include(const Step& step, Id map, Plan& plan) const {
    if (step.computes(map) || !plan.maps.insert(map).second) return;
    for (const Id operand : graph_[map].in) {
      if (const auto inner = candidate(step, operand)) {
        include(step, *inner, plan);
        continue;
      }
      const Id base = load_view(graph_, operand).base;
      const Op op = graph_[base].op;
      if (op == Op::constant || op == Op::iota || step.computes(base)) continue;
      // An array that is updated in place must not be needed longer than before.
      const bool changes =
          updated_.contains(base) && graph_[base].shape.elements() >= step.elements;
      if (op == Op::rng || changes) plan.possible = false;
      plan.arrays.insert(base);
      if (is_gathered(step, operand)) plan.gathers.insert(operand);
    }
  }
  /// Neither in order, nor the same for every so many elements or for each row of the step.
  bool is_gathered(const Step& step, Id operand) const {
    if (link_of(graph_, operand, step.columns).repeats_rows) return false;
    const View view = load_view(graph_, operand).collapsed();
    View part{view.base, 0, {}, {}};
    for (int d = 0; d < view.shape.rank(); ++d) {
      if (part.shape.rank() == 0 && view.strides[d] == 0) continue;
      part.shape.push_back(view.shape[d]);
      part.strides.push_back(view.strides[d]);
    }
    return !part.contiguous();
  }

  void decide(Step& step) {
    std::map<int, std::set<Id>> wanted;  // by the step that computes them
    std::set<Id> read, operands;
    for (const Id member : step.members) {
      if (graph_[member].op == Op::reduce) continue;
      for (const Id operand : graph_[member].in) {
        operands.insert(operand);
        const auto map = candidate(step, operand);
        if (map && !step.computes(*map)) {
          wanted[owner_[*map]].insert(*map);
        } else {
          read.insert(load_view(graph_, operand).base);
        }
      }
    }
    for (const auto& [owner, maps] : wanted) {
      Plan plan;
      double reading = 0;
      for (const Id map : maps) {
        include(step, map, plan);
        reading += (1 + stored) * bytes(map);
      }
      double computing = 0;
      for (const Id map : plan.maps) {
        computing += cost(map) * bytes(map);
      }
      for (const Id base : plan.arrays) {
        if (!read.contains(base)) computing += bytes(base);
        if (!kept_[base] && owner_[base] != nowhere) computing += stored * bytes(base);
      }
      for (const Id operand : plan.gathers) {
        if (!operands.contains(operand)) computing += gathered * bytes(operand);
      }
      const bool fits = step.members.size() + plan.maps.size() <= most_members;
      if (plan.possible && fits && computing < reading) {
        for (const Id base : plan.arrays) keep(base), read.insert(base);
        add(step, plan.maps);
      } else {
        for (const Id map : maps) keep(map), read.insert(map);
      }
    }
  }

  static void add(Step& step, const std::set<Id>& maps) {
    for (const Id map : maps) {
      const auto at = std::ranges::lower_bound(step.members, map);
      step.levels.insert(step.levels.begin() + (at - step.members.begin()), Level::full);
      step.members.insert(at, map);
    }
  }

  const Graph& graph_;
  std::span<Step* const> steps_;
  std::vector<int> owner_;  ///< The step that a node was put into.
  std::vector<bool> kept_;  ///< Arrays that exist in any case.
  std::set<Id> updated_;
};

}  // namespace

void recompute(const Graph& graph, std::span<Step* const> steps) {
  Recomputation(graph, steps).run();
}

}  // namespace soma::passes
