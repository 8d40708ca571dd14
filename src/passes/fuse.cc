#include "src/passes/fuse.h"

#include <algorithm>
#include <map>
#include <queue>
#include <set>

#include "src/passes/passes.h"

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

Id without_reshapes(const Graph& graph, Id id) {
  while (graph[id].op == Op::reshape) id = graph[id].in[0];
  return id;
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
        hidden_(enabled ? only_spread(graph, live_) : std::vector<bool>(graph.size(), false)),
        step_of_(graph.size(), no_step) {}

  std::vector<Step> run() {
    for (Id id = 0; id < graph_.size(); ++id) {
      if (live_[id] && !hidden_[id]) place(id);
    }
    forget_merged();
    collect_reads();
    return in_order();
  }

 private:
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

  /// Steps that came together after all are not apart.
  void forget_merged() {
    for (size_t c = 0; c < clusters_.size(); ++c) {
      auto& apart = clusters_[c].step.apart;
      if (apart && step_of_[apart->from] == static_cast<int>(c)) apart.reset();
    }
  }

  // ---- reads and writes

  /// Makes sure that an array holds the node, and that the step reads it.
  void read(size_t c, Id base) {
    auto& reads = clusters_[c].step.reads;
    if (std::ranges::find(reads, base) == reads.end()) reads.push_back(base);
    need(base);
  }
  void need(Id base) {
    const Op op = graph_[base].op;
    if (op == Op::input || op == Op::get || step_of_[base] != no_step) {
      needed_.insert(base);
      return;
    }
    if (needed_.insert(base).second) {  // a leaf or a move that must lie in memory: a copying step
      const int c = start(base);
      clusters_[static_cast<size_t>(c)].open = false;
      add(c, base, Level::full);
      pending_.push_back(static_cast<size_t>(c));
    }
  }

  void collect_step(size_t c) {
    const Step step = clusters_[c].step;
    if (step.anchor) {
      for (const Id operand : graph_[*step.anchor].in) {
        const View view = array_view(graph_, operand, graph_[*step.anchor].op == Op::dot);
        clusters_[c].step.operands.push_back(view);
        read(c, view.base);
      }
    }
    for (size_t i = 0; i < step.members.size(); ++i) {
      const Node& node = graph_[step.members[i]];
      const OpClass kind = info(node.op).kind;
      const bool copy = kind == OpClass::move || kind == OpClass::leaf;
      if (copy) {
        read_view(c, step.members[i]);
        continue;
      }
      for (const Id operand : operands_of(step, step.members[i])) {
        if (step.spreads.contains(step.members[i])) {
          read_base(c, view_of(graph_, operand).base);
          continue;
        }
        const Link link = link_of(graph_, operand, step.columns);
        const int self = static_cast<int>(c);
        const bool inside = step_of_[link.producer] == self &&
                            level_of(link.producer) != Level::end &&
                            std::ranges::find(step.members, link.producer) != step.members.end();
        const bool anchor = step.anchor == link.producer;
        if (inside || anchor) continue;
        if (node.op == Op::reduce) {
          read_base(c, reduced_view(graph_, node).base);
        } else {
          read_view(c, operand);
        }
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
    for (size_t c = 0; c < clusters_.size(); ++c) {
      if (clusters_[c].alive) pending_.push_back(c);
    }
    std::set<size_t> done;
    while (!pending_.empty()) {
      const size_t c = pending_.back();
      pending_.pop_back();
      if (done.insert(c).second) collect_step(c);
    }
    for (auto& cluster : clusters_) {
      if (!cluster.alive) continue;
      auto nodes = cluster.step.members;
      if (cluster.step.anchor) nodes.push_back(*cluster.step.anchor);
      for (const Id id : nodes) {
        if (needed_.contains(id)) cluster.step.writes.push_back(id);
      }
    }
    // The results of a scan are arrays too: its gets.
    for (const Id id : needed_) {
      if (graph_[id].op != Op::get) continue;
      const int c = step_of_[graph_[id].in[0]];
      clusters_[static_cast<size_t>(c)].step.writes.push_back(id);
      step_of_[id] = c;
    }
  }

  std::vector<Step> in_order() {
    std::map<Id, size_t> writer;
    for (size_t c = 0; c < clusters_.size(); ++c) {
      for (const Id id : clusters_[c].step.writes) writer[id] = c;
    }
    std::vector<std::vector<size_t>> users(clusters_.size());
    std::vector<int> waits(clusters_.size(), 0);
    for (size_t c = 0; c < clusters_.size(); ++c) {
      for (const Id id : clusters_[c].step.reads) {
        if (graph_[id].op == Op::input) continue;
        users[writer.at(id)].push_back(c);
        ++waits[c];
      }
    }
    using Entry = std::pair<Id, size_t>;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
    for (size_t c = 0; c < clusters_.size(); ++c) {
      if (clusters_[c].alive && waits[c] == 0) ready.emplace(clusters_[c].last, c);
    }
    std::vector<Step> steps;
    while (!ready.empty()) {
      const size_t c = ready.top().second;
      ready.pop();
      steps.push_back(std::move(clusters_[c].step));
      for (const size_t user : users[c]) {
        if (--waits[user] == 0) ready.emplace(clusters_[user].last, user);
      }
    }
    return steps;
  }

  const Graph& graph_;
  bool enabled_;
  std::vector<bool> live_;
  std::vector<bool> hidden_;  ///< Maps that no step has as a member: see spread.h.
  std::vector<int> step_of_;
  std::map<Id, Level> level_;
  std::vector<Cluster> clusters_;
  std::set<Id> needed_;
  std::vector<size_t> pending_;
};

}  // namespace

bool Step::fused(const Graph& graph) const { return !anchor || graph[*anchor].op == Op::dot; }

Link link_of(const Graph& graph, Id operand, int64_t columns) {
  const Id id = without_reshapes(graph, operand);
  const Node& node = graph[id];
  if (columns > 1 && node.op == Op::broadcast && repeated_columns(node) == columns) {
    return {without_reshapes(graph, node.in[0]), true};
  }
  return {id, false};
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
