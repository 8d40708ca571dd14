#include "src/passes/fuse.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "src/passes/order.h"
#include "src/passes/passes.h"
#include "src/passes/recompute.h"

namespace soma::passes {

namespace {

constexpr size_t max_members = 96;  // keeps a block's working set in the first-level cache
constexpr int no_step = -1;

/// Elements repeated at the end by a broadcast that maps the source's axes to the first ones.
int64_t repeated_columns(const Node& node) {
  const auto& attr = node.as<BroadcastAttr>();
  for (int i = 0; i < attr.dims.size(); ++i) {
    if (attr.dims[i] != i) return 0;
  }
  int64_t columns = 1;
  for (int i = attr.dims.size(); i < attr.shape.rank(); ++i) columns *= attr.shape[i];
  return columns;
}

enum class ReduceForm { rows, columns, other };
struct Form {
  ReduceForm form;
  int64_t count;  ///< Elements of a row that is reduced, or of the result of a column reduction.
};
Form form_of(const Graph& graph, const Node& node) {
  const Shape& shape = graph[node.in[0]].shape;
  const Dims& axes = node.as<ReduceAttr>().axes;
  const int n = axes.size();
  if (axes[n - 1] == n - 1) return {ReduceForm::columns, node.shape.elements()};
  if (axes[0] == shape.rank() - n) {
    return {ReduceForm::rows, shape.elements() / std::max<int64_t>(node.shape.elements(), 1)};
  }
  return {ReduceForm::other, 0};
}

class Fuser {
 public:
  Fuser(const Graph& graph, bool enabled)
      : graph_(graph),
        enabled_(enabled),
        live_(live_nodes(graph)),
        uses_(count_uses(graph, live_)),
        hidden_(enabled ? only_spread(graph, live_) : std::vector<bool>(graph.size(), false)),
        step_of_(graph.size(), no_step) {}

  std::vector<Step> run() {
    for (Id id = 0; id < graph_.size(); ++id) {
      if (live_[id] && !hidden_[id]) place(id);
    }
    if (enabled_) recompute_maps();
    forget_merged();
    collect_reads();
    std::vector<Step> steps;
    for (Cluster& cluster : clusters_) {
      if (cluster.alive) steps.push_back(std::move(cluster.step));
    }
    return in_order(graph_, std::move(steps));
  }

 private:
  static std::vector<int> count_uses(const Graph& graph, const std::vector<bool>& live) {
    std::vector<int> uses(graph.size(), 0);
    for (Id id = 0; id < graph.size(); ++id) {
      if (!live[id]) continue;
      for (const Id operand : graph[id].in) ++uses[operand];
    }
    for (const auto& output : graph.outputs()) ++uses[output.id];
    for (const auto& update : graph.updates()) ++uses[update.value];
    return uses;
  }

  struct Cluster {
    Step step;
    bool open = true;   // may take members
    bool alive = true;  // not merged into another
    int64_t grain = 1;  // what blocks and chunks must be multiples of
    size_t operations = 0;
    Id first = 0, last = 0;
  };

  void place(Id id) {
    const Node& node = graph_[id];
    switch (info(node.op).kind) {
      case OpClass::leaf:
      case OpClass::move:
        if (node.op == Op::pad || node.op == Op::concat) alone(id);
        if (turns_product(graph_, id)) turn(id);
        return;  // other moves are views; leaves are recomputed where they are used
      case OpClass::map:
      case OpClass::reduce: join_or_start(id); return;
      case OpClass::contract:
      case OpClass::opaque: alone(id); return;
      case OpClass::control:
        if (node.op != Op::get) alone(id);
        return;
    }
  }

  int start(Id id) {
    Cluster cluster;
    cluster.first = cluster.last = id;
    cluster.step.elements = graph_[id].shape.elements();
    clusters_.push_back(std::move(cluster));
    return step_of_[id] = static_cast<int>(clusters_.size()) - 1;
  }

  void alone(Id id) {
    Cluster& cluster = clusters_[static_cast<size_t>(start(id))];
    cluster.step.anchor = id;
    cluster.open = enabled_ && graph_[id].op == Op::dot;
  }

  /// A product that is only used transposed is written so.
  void turn(Id id) {
    const Id product = graph_[id].in[0];
    Cluster& cluster = clusters_[static_cast<size_t>(step_of_[product])];
    if (!enabled_ || uses_[product] > 1 || !cluster.step.members.empty()) return copy(id);
    cluster.step.turned = id;
    cluster.open = false;
    step_of_[id] = step_of_[product];
  }
  void copy(Id id) {
    const int c = start(id);
    clusters_[static_cast<size_t>(c)].open = false;
    add(c, id, Level::full);
  }

  void add(int c, Id id, Level level) {
    Cluster& cluster = clusters_[static_cast<size_t>(c)];
    cluster.step.members.push_back(id);
    cluster.step.levels.push_back(level);
    const auto spread = cluster.step.spreads.find(id);
    cluster.operations += spread == cluster.step.spreads.end() ? 1 : spread->second.operations();
    cluster.last = std::max(cluster.last, id);
    step_of_[id] = c;
    level_[id] = level;
  }

  Level level_of(Id id) const {
    const auto it = level_.find(id);
    return it == level_.end() ? Level::full : it->second;  // anchors are at level full
  }

  void join_or_start(Id id) {
    std::vector<int> candidates;
    std::optional<Step::Apart> apart;
    const bool spread = enabled_ && spread_of(graph_, id);
    if (enabled_) {
      for (const Id operand : graph_[id].in) {
        Id producer = without_reshapes(graph_, operand);
        if (graph_[producer].op == Op::broadcast) {
          producer = without_reshapes(graph_, graph_[producer].in[0]);
        }
        const int c = step_of_[producer];
        if (c == no_step) continue;
        if (spread) {
          apart = {producer, "it reads scattered elements"};
        } else if (std::ranges::find(candidates, c) == candidates.end()) {
          candidates.push_back(c);
        }
      }
      std::ranges::sort(candidates, std::greater{});
    }
    int home = no_step;
    for (const int c : candidates) {
      if (home == no_step) {
        const char* const refusal = try_join(c, id);
        if (refusal == nullptr) {
          home = c;
        } else if (!apart) {
          apart = {clusters_[static_cast<size_t>(c)].last, refusal};
        }
      } else {
        try_merge(home, c);
      }
    }
    if (home != no_step) return;
    start_fused(id);
    clusters_.back().step.apart = apart;
  }

  void start_fused(Id id) {
    const Node& node = graph_[id];
    const int c = start(id);
    Cluster& cluster = clusters_[static_cast<size_t>(c)];
    cluster.open = enabled_;
    Level level = Level::full;
    if (const auto spread = enabled_ ? spread_of(graph_, id) : std::nullopt) {
      cluster.step.spreads[id] = *spread;
    } else if (node.op == Op::reduce) {
      const Form form = form_of(graph_, node);
      cluster.step.elements = graph_[node.in[0]].shape.elements();
      if (form.form == ReduceForm::columns) {
        level = Level::end;
        cluster.grain = std::max<int64_t>(form.count, 1);
      } else {  // other axes are read through a transposed view, so that they come last
        const int64_t rows = node.shape.elements();
        cluster.step.columns = rows ? cluster.step.elements / rows : 0;
        cluster.grain = std::max<int64_t>(cluster.step.columns, 1);
        level = Level::row;
        cluster.open = cluster.open && form.form == ReduceForm::rows && cluster.step.columns > 1 &&
                       cluster.step.columns <= max_row;
      }
    }
    add(c, id, level);
  }

  /// What joining would make of the cluster, or why the node does not fit.
  struct Fit {
    Level level = Level::full;
    int64_t columns = 0, grain = 0;
    const char* refusal = nullptr;
  };
  static Fit refused(const char* why) { return {Level::full, 0, 0, why}; }
  Fit fit(const Cluster& cluster, int c, const Node& node) const {
    const Step& step = cluster.step;
    if (node.op != Op::reduce) {
      const int64_t n = node.shape.elements();
      // A map may go through a row's repetition only if rows are known already.
      if (n == step.elements) return Fit{Level::full, step.columns, cluster.grain};
      const bool row = step.columns > 1 && n == step.elements / step.columns;
      if (!row) return refused("it walks over other elements");
      return Fit{Level::row, step.columns, cluster.grain};
    }
    const Id producer = without_reshapes(graph_, node.in[0]);
    if (step_of_[producer] != c) return refused("it reads the elements in another order");
    if (level_of(producer) == Level::end) return refused("that sum is known only at the end");
    const bool of_rows = level_of(producer) == Level::row;
    const Form form = form_of(graph_, node);
    if (form.form == ReduceForm::columns && form.count >= 1) {
      const int64_t grain = form.count * (of_rows ? step.columns : 1);
      const int64_t larger = std::max(grain, cluster.grain);
      if (larger % std::min(grain, cluster.grain) || !rows_complete(step, grain)) {
        return refused("its sums would cut the rows there");
      }
      if (larger > 4 * max_row) return refused("its rows are too long for a block");
      return Fit{Level::end, step.columns, larger};
    }
    if (form.form == ReduceForm::rows && !of_rows) {
      if (form.count <= 1) return refused("its rows have one element");
      if (form.count > max_row) return refused("its rows are too long for a block");
      const bool cuts = std::max(cluster.grain, form.count) % std::min(cluster.grain, form.count);
      if (cuts || !rows_complete(step, form.count) ||
          (step.columns != 0 && step.columns != form.count)) {
        return refused("its rows are not the rows there");
      }
      return Fit{Level::row, form.count, std::max(cluster.grain, form.count)};
    }
    return refused("it does not add up whole rows or columns");
  }

  /// The rows of a product arrive whole: a reduction may cut it only between them.
  bool rows_complete(const Step& step, int64_t grain) const {
    if (!step.anchor) return true;
    const int64_t n = graph_[*step.anchor].shape.back();
    return n % grain == 0 || grain == n;
  }

  bool linked(Id operand, int c, Level level, int64_t columns) const {
    const Link link = link_of(graph_, operand, columns);
    if (step_of_[link.producer] != c || level_of(link.producer) == Level::end) return false;
    const Level produced = level_of(link.producer);
    if (link.repeats_rows) return level == Level::full && produced == Level::row;
    return produced == level;
  }

  /// Null when the node has joined the cluster, else why it has not.
  const char* try_join(int c, Id id) {
    const Cluster& cluster = clusters_[static_cast<size_t>(c)];
    const Node& node = graph_[id];
    if (!cluster.open) return "that kernel takes no other ops in";
    if (cluster.operations >= max_members) return "that step is full";
    const Fit f = fit(cluster, c, node);
    if (f.refusal) return f.refusal;
    bool any = node.op == Op::reduce;
    for (const Id operand : node.in) {
      const Level wanted =
          node.op == Op::reduce ? level_of(without_reshapes(graph_, operand)) : f.level;
      if (linked(operand, c, wanted, f.columns)) {
        any = true;
      } else if (depends(operand, c)) {
        return "it also needs what other steps make of all of that";
      }
    }
    if (!any) return "it takes none of the elements there one by one";
    clusters_[static_cast<size_t>(c)].step.columns = f.columns;
    clusters_[static_cast<size_t>(c)].grain = f.grain;
    add(c, id, f.level);
    return nullptr;
  }

  /// Puts the members of cluster `from` into `into` when both walk the same elements.
  void try_merge(int into, int from) {
    Cluster &a = clusters_[static_cast<size_t>(into)], &b = clusters_[static_cast<size_t>(from)];
    if (into == from || !b.open || !b.alive || a.step.elements != b.step.elements) return;
    if (a.step.anchor && b.step.anchor) return;
    if (a.step.columns && b.step.columns && a.step.columns != b.step.columns) return;
    if (std::max(a.grain, b.grain) % std::min(a.grain, b.grain)) return;
    const Step& product = a.step.anchor ? a.step : b.step;
    if (!rows_complete(product, std::max(a.grain, b.grain))) return;
    if (a.operations + b.operations > max_members) return;
    const int64_t columns = std::max(a.step.columns, b.step.columns);
    if (!independent(a, into, b, from, columns)) return;
    for (size_t i = 0; i < b.step.members.size(); ++i) step_of_[b.step.members[i]] = into;
    if (b.step.anchor) {
      a.step.anchor = b.step.anchor;
      step_of_[*b.step.anchor] = into;
    }
    std::vector<std::pair<Id, Level>> all;
    for (const Step* step : {&a.step, &b.step}) {
      for (size_t i = 0; i < step->members.size(); ++i) {
        all.emplace_back(step->members[i], step->levels[i]);
      }
    }
    std::ranges::sort(all);
    a.step.members.clear();
    a.step.levels.clear();
    for (const auto& [id, level] : all) {
      a.step.members.push_back(id);
      a.step.levels.push_back(level);
    }
    a.step.spreads.merge(b.step.spreads);
    a.operations += b.operations;
    a.step.columns = columns;
    a.grain = std::max(a.grain, b.grain);
    a.first = std::min(a.first, b.first);
    a.last = std::max(a.last, b.last);
    b.alive = b.open = false;
    b.step = {};
  }

  /// True when nothing outside lies between the two clusters: every value that one takes from the
  /// other is taken element by element.
  bool independent(const Cluster& a, int ia, const Cluster& b, int ib, int64_t columns) const {
    const auto clean = [&](const Cluster& x, int other) {
      for (size_t i = 0; i < x.step.members.size(); ++i) {
        const Node& node = graph_[x.step.members[i]];
        const bool spread = x.step.spreads.contains(x.step.members[i]);
        for (const Id operand : operands_of(x.step, x.step.members[i])) {
          if (spread && (depends(operand, ia) || depends(operand, ib))) return false;
          if (spread) continue;
          const Level wanted = node.op == Op::reduce ? level_of(without_reshapes(graph_, operand))
                                                     : x.step.levels[i];
          if (linked(operand, ia, wanted, columns) || linked(operand, ib, wanted, columns))
            continue;
          if (depends(operand, other)) return false;
        }
      }
      if (!x.step.anchor) return true;
      return std::ranges::none_of(graph_[*x.step.anchor].in,
                                  [&](Id operand) { return depends(operand, other); });
    };
    return clean(a, ib) && clean(b, ia);
  }

  /// What a member takes from elsewhere.
  std::span<const Id> operands_of(const Step& step, Id member) const {
    const auto spread = step.spreads.find(member);
    if (spread != step.spreads.end()) return spread->second.sources;
    return graph_[member].in;
  }

  /// Must cluster c have run before the value `from` is known?
  bool depends(Id from, int c) const {
    const Cluster& cluster = clusters_[static_cast<size_t>(c)];
    std::vector<Id> stack{from};
    std::set<Id> seen;
    std::set<int> seen_clusters;
    while (!stack.empty()) {
      const Id id = stack.back();
      stack.pop_back();
      const int other = step_of_[id];
      if (other == c) return true;
      if (other == no_step) {
        if (id < cluster.first || !seen.insert(id).second) continue;
        stack.insert(stack.end(), graph_[id].in.begin(), graph_[id].in.end());
        continue;
      }
      const Cluster& between = clusters_[static_cast<size_t>(other)];
      if (between.last < cluster.first || !seen_clusters.insert(other).second) continue;
      for (const Id member : between.step.members) {
        const auto in = operands_of(between.step, member);
        stack.insert(stack.end(), in.begin(), in.end());
      }
      if (between.step.anchor) {
        const auto& in = graph_[*between.step.anchor].in;
        stack.insert(stack.end(), in.begin(), in.end());
      }
    }
    return false;
  }

  void recompute_maps() {
    std::vector<Step*> steps;
    for (Cluster& cluster : clusters_) {
      if (cluster.alive) steps.push_back(&cluster.step);
    }
    recompute(graph_, steps);
  }
  /// Steps that came together after all are not apart, nor those that compute again what they need.
  void forget_merged() {
    for (Cluster& cluster : clusters_) {
      Step& step = cluster.step;
      if (step.apart && step.computes(step.apart->from)) step.apart.reset();
    }
  }

  // ---- reads and writes: from what is wanted back to where it comes from

  /// Makes sure that an array holds the node, and that the step reads it.
  void read(size_t c, Id base) {
    auto& reads = clusters_[c].step.reads;
    if (std::ranges::find(reads, base) == reads.end()) reads.push_back(base);
    need(base);
  }
  void need(Id base) {
    if (!needed_.insert(base).second || graph_[base].op == Op::input) return;
    const Id computed = graph_[base].op == Op::get ? graph_[base].in[0] : base;
    if (step_of_[computed] == no_step) copy(base);  // a leaf or a move that must lie in memory
    use(static_cast<size_t>(step_of_[computed]), computed);
  }
  /// The step must compute this member, or its anchor.
  void use(size_t c, Id id) {
    if (used_.emplace(c, id).second) pending_.emplace_back(c, id);
  }

  void collect_anchor(size_t c) {
    const Id anchor = *clusters_[c].step.anchor;
    for (const Id operand : graph_[anchor].in) {
      const View view = array_view(graph_, operand, graph_[anchor].op == Op::dot);
      clusters_[c].step.operands.push_back(view);
      read(c, view.base);
    }
  }
  void collect_member(size_t c, Id id) {
    const Step& step = clusters_[c].step;
    const Node& node = graph_[id];
    const OpClass kind = info(node.op).kind;
    if (step.turned == id) return use(c, *step.anchor);
    if (kind == OpClass::move || kind == OpClass::leaf)
      return read_base(c, source_of(graph_, id).base);
    for (const Id operand : operands_of(step, id)) {
      if (step.spreads.contains(id)) {
        read_base(c, view_of(graph_, operand).base);
        continue;
      }
      const Id producer = link_of(graph_, operand, step.columns).producer;
      const bool inside = level_of(producer) != Level::end &&
                          std::ranges::find(step.members, producer) != step.members.end();
      if (inside || step.anchor == producer) {
        use(c, producer);
      } else if (node.op == Op::reduce) {
        read_base(c, reduced_view(graph_, node).base);
      } else {
        read_view(c, operand);
      }
    }
  }
  void read_view(size_t c, Id operand) { read_base(c, load_view(graph_, operand).base); }
  void read_base(size_t c, Id base) {
    const Node& node = graph_[base];
    if (node.op == Op::rng) {
      read(c, array_view(graph_, node.in[0]).base);
    } else if (node.op != Op::constant && node.op != Op::iota) {
      read(c, base);
    }
  }
  void collect_reads() {
    for (const auto& output : graph_.outputs()) need(output.id);
    for (const auto& update : graph_.updates()) need(update.value);
    while (!pending_.empty()) {
      const auto [c, id] = pending_.back();
      pending_.pop_back();
      if (clusters_[c].step.anchor == id) {
        collect_anchor(c);
      } else {
        collect_member(c, id);
      }
    }
    for (size_t c = 0; c < clusters_.size(); ++c) drop_unused(c);
    // The results of a scan are arrays too: its gets.
    for (const Id id : needed_) {
      if (graph_[id].op != Op::get) continue;
      clusters_[static_cast<size_t>(step_of_[graph_[id].in[0]])].step.writes.push_back(id);
    }
  }
  /// Recomputation leaves members that nobody asks for any more.
  void drop_unused(size_t c) {
    Step& step = clusters_[c].step;
    const auto kept = [&](Id id) { return used_.contains({c, id}); };
    const auto write = [&](Id id) {
      if (needed_.contains(id) && step_of_[id] == static_cast<int>(c)) step.writes.push_back(id);
    };
    if (step.anchor && !kept(*step.anchor)) step.anchor = {};
    size_t n = 0;
    for (size_t i = 0; i < step.members.size(); ++i) {
      if (!kept(step.members[i])) continue;
      write(step.members[i]);
      step.levels[n] = step.levels[i];
      step.members[n++] = step.members[i];
    }
    step.members.resize(n);
    step.levels.resize(n);
    if (step.anchor) write(step.result());
    if (!step.anchor && n == 0) clusters_[c].alive = false;
  }

  const Graph& graph_;
  bool enabled_;
  std::vector<bool> live_;
  std::vector<int> uses_;     ///< Of each node, by live ones, outputs and updates.
  std::vector<bool> hidden_;  ///< Maps that no step has as a member: see spread.h.
  std::vector<int> step_of_;
  std::map<Id, Level> level_;
  std::deque<Cluster> clusters_;                // references stay when one is added
  std::set<Id> needed_;                         ///< Arrays.
  std::set<std::pair<size_t, Id>> used_;        ///< Members and anchors, by cluster.
  std::vector<std::pair<size_t, Id>> pending_;  ///< Used, to be looked at.
};

}  // namespace

bool Step::computes(Id id) const { return anchor == id || std::ranges::binary_search(members, id); }

bool Step::fused(const Graph& graph) const { return !anchor || graph[*anchor].op == Op::dot; }

Link link_of(const Graph& graph, Id operand, int64_t columns) {
  const Id id = without_reshapes(graph, operand);
  const Node& node = graph[id];
  if (columns > 1 && node.op == Op::broadcast && repeated_columns(node) == columns) {
    return {without_reshapes(graph, node.in[0]), true};
  }
  return {id, false};
}

std::optional<Gate> gate_of(const Graph& graph, const Node& select) {
  const auto is_zero = [&](Id id) {
    const Node& base = graph[load_view(graph, id).base];
    return base.op == Op::constant && base.as<ConstantAttr>().value == 0;
  };
  if (select.op != Op::select || !is_zero(select.in[2])) return {};
  const Id comparison = without_reshapes(graph, select.in[0]);
  const Node& above = graph[comparison];
  if (above.op != Op::lt || !is_zero(above.in[0])) return {};
  const Id x = without_reshapes(graph, above.in[1]);
  if (!is_float(select.type) || graph[x].type != select.type) return {};
  return Gate{comparison, x};
}

View load_view(const Graph& graph, Id operand) {
  return view_of(graph, without_reshapes(graph, operand));
}

View array_view(const Graph& graph, Id operand, bool matrix) {
  const View view = view_of(graph, operand);
  const bool made =
      info(graph[view.base].op).kind == OpClass::leaf && graph[view.base].op != Op::input;
  bool fits = view.contiguous();
  if (matrix && !fits && view.shape.rank() >= 2) {
    const int r = view.shape.rank();
    const int64_t row = view.strides[r - 2], column = view.strides[r - 1];
    fits = (column == 1 && row >= view.shape[r - 1]) || (row == 1 && column >= view.shape[r - 2]);
  }
  return fits && !made ? view : whole(graph, operand);
}

View reduced_view(const Graph& graph, const Node& reduce) {
  const Form form = form_of(graph, reduce);
  if (form.form != ReduceForm::other) return load_view(graph, reduce.in[0]);
  const View view = view_of(graph, reduce.in[0]);
  View turned{view.base, view.offset, {}, {}};
  for (const bool reduced : {false, true}) {
    for (int i = 0; i < view.shape.rank(); ++i) {
      if (reduce.as<ReduceAttr>().axes.contains(i) != reduced) continue;
      turned.shape.push_back(view.shape[i]);
      turned.strides.push_back(view.strides[i]);
    }
  }
  return turned;
}

std::vector<Step> fuse(const Graph& graph, bool enabled) { return Fuser(graph, enabled).run(); }

}  // namespace soma::passes
