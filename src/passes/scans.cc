// Passes over scans: unrolling, merging, hoisting what does not belong in the loop, dropping unused
// results.
#include <algorithm>
#include <map>
#include <numeric>

#include "src/ir/infer.h"
#include "src/passes/passes.h"
#include "src/passes/rows.h"

namespace soma::passes {

namespace {

/// A scan node taken apart, for rebuilding.
struct Scan {
  ScanAttr attr;
  std::vector<Value> in;

  size_t consts() const { return static_cast<size_t>(attr.consts); }
  size_t carries() const { return static_cast<size_t>(attr.carries); }
  size_t first_sequence() const { return consts() + carries(); }
};

/// Both bodies in one graph over the same inputs; the ids of the outputs of each.
struct Joined {
  Graph body;
  std::vector<std::vector<Id>> outputs;
};
Joined join_bodies(std::span<const Graph* const> bodies) {
  Joined joined;
  std::vector<Value> inputs;
  for (const Id id : bodies[0]->inputs()) {
    const auto& attr = (*bodies[0])[id].as<InputAttr>();
    inputs.push_back(joined.body.input(attr.name, attr.shape, attr.type));
  }
  for (const Graph* body : bodies) {
    auto& ids = joined.outputs.emplace_back();
    for (const Value v : joined.body.splice(*body, inputs)) ids.push_back(v.id());
  }
  return joined;
}

bool same_loop(const Node& a, const Node& b) {
  const auto &x = a.as<ScanAttr>(), &y = b.as<ScanAttr>();
  return a.in == b.in && x.consts == y.consts && x.carries == y.carries && x.length == y.length &&
         x.reverse == y.reverse;
}

/// For each scan of the graph, the scan it merges into and where its results are there.
struct Merge {
  Id into;
  std::vector<int64_t> result;
};

std::map<Id, Merge> find_merges(const Graph& graph, std::map<Id, Graph>& bodies) {
  std::map<Id, Merge> merges;
  std::vector<Id> leaders;
  for (Id id = 0; id < graph.size(); ++id) {
    if (graph[id].op != Op::scan) continue;
    const size_t carries = static_cast<size_t>(graph[id].as<ScanAttr>().carries);
    bool merged = false;
    for (const Id leader : leaders) {
      if (!same_loop(graph[leader], graph[id])) continue;
      const Graph* both[] = {&bodies.at(leader), graph[id].as<ScanAttr>().body.get()};
      Joined joined = join_bodies(both);
      auto &mine = joined.outputs[0], &other = joined.outputs[1];
      if (!std::equal(mine.begin(), mine.begin() + static_cast<long>(carries), other.begin())) {
        continue;
      }
      Merge merge{leader, {}};
      for (size_t i = 0; i < other.size(); ++i) {
        const auto from = mine.begin() + static_cast<long>(i < carries ? i : carries);
        const auto at = i < carries ? from : std::find(from, mine.end(), other[i]);
        merge.result.push_back(at - mine.begin());
        if (at == mine.end()) mine.push_back(other[i]);
      }
      for (size_t i = 0; i < mine.size(); ++i) {
        joined.body.output("y" + std::to_string(i), joined.body.value(mine[i]));
      }
      bodies[leader] = std::move(joined.body);
      merges[id] = std::move(merge);
      merged = true;
      break;
    }
    if (!merged) {
      leaders.push_back(id);
      bodies[id] = *graph[id].as<ScanAttr>().body;
    }
  }
  return merges;
}

}  // namespace

Graph unroll_scans(const Graph& graph) {
  return rewrite(graph, [&](Graph& out, const Node& node, std::span<const Value> in) -> Value {
    if (node.op == Op::scan) {
      ScanAttr attr = node.as<ScanAttr>();
      attr.body = std::make_shared<const Graph>(unroll_scans(*attr.body));
      return out.add(Op::scan, in, attr);
    }
    if (node.op != Op::get || in[0].node().op != Op::scan) return {};
    const Node scan = in[0].node();
    const auto& attr = scan.as<ScanAttr>();
    if (attr.length != 1) return {};
    std::vector<Value> inputs;
    for (size_t i = 0; i < scan.in.size(); ++i) {
      const Value input = out.value(scan.in[i]);
      const Node& wanted = (*attr.body)[attr.body->inputs()[i]];
      inputs.push_back(input.shape() == wanted.shape ? input : reshape(input, wanted.shape));
    }
    // Equal nodes are built once, so each result may bring the whole body.
    const Value result =
        out.splice(*attr.body, inputs)[static_cast<size_t>(node.as<GetAttr>().index)];
    return result.shape() == node.shape ? result : reshape(result, node.shape);
  });
}

Graph merge_scans(const Graph& graph) {
  std::map<Id, Graph> bodies;
  const auto merges = find_merges(graph, bodies);
  std::map<Id, Value> built;  // leaders in the new graph
  return rewrite(graph, [&](Graph& out, const Node& node, std::span<const Value> in) -> Value {
    if (node.op == Op::scan) {
      const Id id = static_cast<Id>(&node - graph.nodes().data());
      const Id leader = merges.count(id) ? merges.at(id).into : id;
      if (const auto it = built.find(leader); it != built.end()) return it->second;
      ScanAttr attr = node.as<ScanAttr>();
      attr.body = std::make_shared<const Graph>(merge_scans(bodies.at(leader)));
      return built[leader] = out.add(Op::scan, in, attr);
    }
    if (node.op == Op::get && merges.count(node.in[0])) {
      const auto& result = merges.at(node.in[0]).result;
      const int64_t index = result[static_cast<size_t>(node.as<GetAttr>().index)];
      return out.add(Op::get, in, GetAttr{index});
    }
    return {};
  });
}

namespace {

/// Makes `inner`, where `replaced` stands for what it has already, the body.
void finish_body(Scan& scan, Graph&& inner, std::unordered_map<Id, Value>& replaced) {
  const Graph& body = *scan.attr.body;
  std::vector<Id> wanted;
  for (const auto& output : body.outputs()) wanted.push_back(output.id);
  const auto results = inner.splice(body, wanted, replaced);
  for (size_t i = 0; i < results.size(); ++i) inner.output(body.outputs()[i].name, results[i]);
  scan.attr.body = std::make_shared<const Graph>(std::move(inner));
}

/// Moves dot(slice of a sequence, constant) of the body in front of the loop, unless blocks of rows
/// go through it: those are quicker with the product than with writing and reading it all.
void hoist_products(Scan& scan) {
  const Graph& body = *scan.attr.body;
  std::map<Id, size_t> place;  // body input id → position
  for (size_t i = 0; i < body.inputs().size(); ++i) place[body.inputs()[i]] = i;
  const auto is_const = [&](Id id) { return place.count(id) && place[id] < scan.consts(); };
  const auto is_sequence = [&](Id id) {
    return place.count(id) && place[id] >= scan.first_sequence();
  };
  std::vector<Id> products;
  for (Id id = 0; id < body.size(); ++id) {
    const Node& node = body[id];
    if (node.op == Op::dot && node.shape.rank() == 2 && !node.as<DotAttr>().transpose_a &&
        is_sequence(node.in[0]) && is_const(node.in[1])) {
      products.push_back(id);
    }
  }
  if (products.empty() || scan.attr.length == 0) return;
  if (const int64_t rows = rows_worth_cutting(scan.attr); rows > 0 && body_of_rows(scan.attr, rows))
    return;

  Graph inner;
  std::unordered_map<Id, Value> replaced;
  for (const Id id : body.inputs()) inner.splice(body, std::span(&id, 1), replaced);
  for (const Id id : products) {
    const Node& node = body[id];
    const Value sequence = scan.in[place[node.in[0]]], weights = scan.in[place[node.in[1]]];
    const Value flat = reshape(sequence, {-1, sequence.extent(-1)});
    const Value product = dot(flat, weights, false, node.as<DotAttr>().transpose_b);
    scan.in.push_back(reshape(product, {scan.attr.length, node.shape[0], node.shape[1]}));
    replaced[id] = inner.input("hoisted" + std::to_string(id), node.shape, node.type);
  }
  finish_body(scan, std::move(inner), replaced);
}

/// Weights that products read transposed are transposed once, in front of the loop.
void turn_weights(Scan& scan) {
  const Graph& body = *scan.attr.body;
  std::vector<bool> weights(body.size());  // the same at every step
  std::unordered_map<Id, Value> outside, inside;
  for (size_t i = 0; i < scan.consts(); ++i) {
    weights[body.inputs()[i]] = true;
    outside[body.inputs()[i]] = scan.in[i];
  }
  std::vector<Id> products;
  for (Id id = 0; id < body.size(); ++id) {
    const Node& node = body[id];
    if (node.op == Op::input) continue;
    weights[id] = std::ranges::all_of(node.in, [&](Id in) -> bool { return weights[in]; });
    const bool product = node.op == Op::dot && node.shape.rank() == 2 && !weights[id];
    if (product && weights[node.in[1]] && node.as<DotAttr>().transpose_b) products.push_back(id);
  }
  if (products.empty() || scan.attr.length < 2) return;

  Graph inner;
  std::map<Id, Value> turned;  // weights → what stands for them
  for (const Id id : body.inputs().first(scan.consts())) {
    inner.splice(body, std::span(&id, 1), inside);
  }
  for (const Id id : products) {
    const Id weight = body[id].in[1];
    if (turned.count(weight)) continue;
    const Value w = transpose(scan.in[0].graph().splice(body, std::span(&weight, 1), outside)[0]);
    turned[weight] = inner.input("turned" + std::to_string(weight), w.shape(), w.type());
    scan.in.insert(scan.in.begin() + static_cast<long>(scan.consts()), w);
    ++scan.attr.consts;
  }
  for (const Id id : body.inputs()) inner.splice(body, std::span(&id, 1), inside);
  for (const Id id : products) {
    const Node& node = body[id];
    const Value x = inner.splice(body, std::span(&node.in[0], 1), inside)[0];
    inside[id] = dot(x, turned[node.in[1]], node.as<DotAttr>().transpose_a, false);
  }
  finish_body(scan, std::move(inner), inside);
}

/// Drops stacked results that nobody takes and inputs that the body does not read. `kept[i]` is the
/// new index of result i, -1 when it is gone.
std::vector<int64_t> drop_unused(Scan& scan, const std::vector<bool>& taken) {
  const Graph& body = *scan.attr.body;
  std::vector<int64_t> kept(body.outputs().size(), -1);
  Graph inner;
  std::unordered_map<Id, Value> replaced;
  std::vector<Id> wanted;
  std::vector<std::string> names;
  for (size_t i = 0; i < kept.size(); ++i) {
    if (i >= scan.carries() && !taken[i]) continue;
    kept[i] = static_cast<int64_t>(wanted.size());
    wanted.push_back(body.outputs()[i].id);
    names.push_back(body.outputs()[i].name);
  }
  // Which inputs do the wanted outputs read? Carries stay: dropping one needs a fixed point.
  std::vector<bool> read(body.size(), false);
  for (const Id id : wanted) read[id] = true;
  for (size_t i = body.size(); i-- > 0;) {
    if (!read[i]) continue;
    for (const Id in : body[static_cast<Id>(i)].in) read[in] = true;
  }
  std::vector<Value> in;
  int64_t consts = 0;
  for (size_t i = 0; i < scan.in.size(); ++i) {
    const Id id = body.inputs()[i];
    const bool carry = i >= scan.consts() && i < scan.first_sequence();
    if (!carry && !read[id]) continue;
    inner.splice(body, std::span(&id, 1), replaced);
    in.push_back(scan.in[i]);
    consts += i < scan.consts();
  }
  const auto results = inner.splice(body, wanted, replaced);
  for (size_t i = 0; i < results.size(); ++i) inner.output(names[i], results[i]);
  scan.in = std::move(in);
  scan.attr.consts = consts;
  scan.attr.body = std::make_shared<const Graph>(std::move(inner));
  return kept;
}

}  // namespace

Graph hoist_scan(const Graph& graph) {
  const std::vector<bool> live = live_nodes(graph);
  std::vector<std::vector<bool>> taken(graph.size());
  for (Id id = 0; id < graph.size(); ++id) {
    const Node& node = graph[id];
    if (node.op == Op::scan) taken[id].resize(static_cast<size_t>(result_count(node)));
    if (live[id] && node.op == Op::get && graph[node.in[0]].op == Op::scan) {
      taken[node.in[0]][static_cast<size_t>(node.as<GetAttr>().index)] = true;
    }
  }
  std::map<Id, std::vector<int64_t>> kept;
  return rewrite(graph, [&](Graph& out, const Node& node, std::span<const Value> in) -> Value {
    if (node.op == Op::scan) {
      const Id id = static_cast<Id>(&node - graph.nodes().data());
      Scan scan{node.as<ScanAttr>(), {in.begin(), in.end()}};
      scan.attr.body = std::make_shared<const Graph>(hoist_scan(*scan.attr.body));
      hoist_products(scan);
      turn_weights(scan);
      kept[id] = drop_unused(scan, taken[id]);
      return out.add(Op::scan, scan.in, scan.attr);
    }
    if (node.op == Op::get && kept.count(node.in[0])) {
      const int64_t index = kept[node.in[0]][static_cast<size_t>(node.as<GetAttr>().index)];
      return out.add(Op::get, in, GetAttr{index});
    }
    return {};
  });
}

}  // namespace soma::passes
