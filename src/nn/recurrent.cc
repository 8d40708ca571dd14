// The driver of recurrent cells: builds the body of a scan from a cell and runs it along a
// sequence.
#include "soma/recurrent.h"

#include <unordered_map>
#include <utility>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma {

namespace {

using Values = std::vector<Value>;

/// [batch, time, …] as [time, batch, …], and back.
Value time_first(Value x) {
  Dims order;
  for (int i = 0; i < x.rank(); ++i) order.push_back(i);
  std::swap(order[0], order[1]);
  return transpose(x, order);
}

Shape with_front(int64_t first, const Shape& rest) {
  Shape shape{first};
  for (const int64_t extent : rest) shape.push_back(extent);
  return shape;
}
Shape without_front(const Shape& shape) {
  return Shape(std::span<const int64_t>(shape.begin() + 1, shape.end()));
}

/// [batch] or [batch, time] with axes of extent 1 behind, for values of that rank.
Value stretched(Value mask, int rank) {
  Shape shape = mask.shape();
  while (shape.rank() < rank) shape.push_back(1);
  return reshape(mask, shape);
}

/// bool [time]: where a piece of truncated backpropagation begins, but for the first.
Value piece_starts(Graph& graph, int64_t time, const RecurrentOptions& options) {
  Value step = iota(graph, {time}, 0, i32);
  if (options.reverse) step = static_cast<double>(time - 1) - step;
  const auto piece = static_cast<double>(options.truncate);
  return logical_and(eq(step - step / piece * piece, 0.0), step > 0.0);
}

/// One run of a cell: the operands of the scan, then its body.
class Run {
 public:
  Run(const Cell& cell, Value x, std::span<const Value> weights, const RecurrentOptions& options)
      : cell_(cell), x_(x), options_(options), graph_(x.graph()) {
    check(weights);
    consts_.assign(weights.begin(), weights.end());
    if (options.keep) consts_.push_back(options.keep);
    initial_states();
    sequences_ = {time_first(x)};
    if (options.mask) sequences_.push_back(time_first(options.mask));
    if (truncated()) sequences_.push_back(piece_starts(graph_, x.extent(1), options));
  }

  Recurrence run() {
    Graph body = with_learned(step());
    const Values results =
        scan(graph_, std::move(body), consts_, states_, sequences_, x_.extent(1), options_.reverse);
    const auto count = static_cast<long>(states_.size());
    Recurrence done{time_first(results.back()), {results.begin(), results.begin() + count}};
    if (options_.mask && options_.padded == Padded::zero) {
      done.outputs = select(stretched(options_.mask, done.outputs.rank()), done.outputs, 0.0);
    }
    return done;
  }

 private:
  bool truncated() const { return options_.truncate > 0 && options_.truncate < x_.extent(1); }

  void check(std::span<const Value> weights) const;
  void initial_states();
  Graph step() const;
  Graph with_learned(const Graph& raw);

  const Cell& cell_;
  const Value x_;
  const RecurrentOptions& options_;
  Graph& graph_;
  Values consts_, states_, sequences_;
};

void Run::check(std::span<const Value> weights) const {
  if (x_.rank() < 3) {
    throw ShapeError(
        cat("a recurrent cell runs along [batch, time, …features], found ", x_.shape()));
  }
  if (weights.size() != cell_.weights.size()) {
    throw ArgumentError(cat("a cell of kind ", cell_.name, " has ", cell_.weights.size(),
                            " arrays, found ", weights.size()));
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i].shape() == cell_.weights[i].shape) continue;
    throw ShapeError(cat("the array \"", cell_.weights[i].name, "\" of a cell of kind ", cell_.name,
                         " is ", cell_.weights[i].shape, ", found ", weights[i].shape()));
  }
  const Value mask = options_.mask;
  if (mask && mask.type() != boolean) {
    throw TypeError(cat("the mask of a sequence is bool, found ", mask.type()));
  }
  if (mask && mask.shape() != Shape{x_.extent(0), x_.extent(1)}) {
    throw ShapeError(cat("the mask of a sequence is [batch, time] = [", x_.extent(0), ", ",
                         x_.extent(1), "], found ", mask.shape()));
  }
  if (options_.truncate < 0) {
    throw ArgumentError(cat("backpropagation through time is cut into pieces of 1 step or more, ",
                            "or not (0); found ", options_.truncate));
  }
}

void Run::initial_states() {
  const auto& given = options_.initial;
  if (!given.empty() && given.size() != cell_.states.size()) {
    throw ArgumentError(cat("a cell of kind ", cell_.name, " has ", cell_.states.size(),
                            " states, found ", given.size(), " initial ones"));
  }
  for (size_t i = 0; i < cell_.states.size(); ++i) {
    const Shape shape = with_front(x_.extent(0), cell_.states[i].shape);
    states_.push_back(given.empty() ? graph_.constant(0, shape, x_.type()) : given[i]);
    if (states_[i].shape() == shape) continue;
    throw ShapeError(cat("the initial state \"", cell_.states[i].name, "\" is ", shape, ", found ",
                         states_[i].shape()));
  }
}

/// The body: inputs are the constants, the states and the slices of the sequences, then the
/// parameters that activations made for themselves.
Graph Run::step() const {
  Graph body;
  const auto enter = [&body](const Values& from, std::string_view name, bool sequence) {
    Values inside;
    for (size_t i = 0; i < from.size(); ++i) {
      const Shape& shape = from[i].shape();
      inside.push_back(
          body.input(cat(name, i), sequence ? without_front(shape) : shape, from[i].type()));
    }
    return inside;
  };
  Values weights = enter(consts_, "w", false);
  Values states = enter(states_, "s", false);
  const Values slices = enter(sequences_, "x", true);
  Value keep;
  if (options_.keep) {
    keep = weights.back();
    weights.pop_back();
  }
  if (truncated()) {
    for (Value& state : states) state = select(slices.back(), stop(state), state);
  }
  Values next = cell_.step({cell_, slices[0], states, weights, keep});
  for (size_t i = 0; i < next.size(); ++i) {
    if (options_.mask) next[i] = select(stretched(slices[1], next[i].rank()), next[i], states[i]);
    body.output(cat("s", i), next[i]);
  }
  body.output("y", next[0]);
  if (keep) {
    bool used = false;
    for (const Node& node : body.nodes()) {
      for (const Id in : node.in) used = used || in == keep.id();
    }
    if (!used) {
      throw ArgumentError(cat("a cell of kind ", cell_.name, " has no recurrent product, so that ",
                              "recurrent dropout would do nothing; leave it out"));
    }
  }
  return body;
}

/// Parameters of activations (prelu) become constants of the scan, trained outside.
Graph Run::with_learned(const Graph& raw) {
  const size_t own = consts_.size() + states_.size() + sequences_.size();
  if (raw.inputs().size() == own) return raw;
  std::vector<Id> order(raw.inputs().begin(), raw.inputs().end());
  const auto learned = order.begin() + static_cast<long>(own);
  const std::vector<Id> made(learned, order.end());
  order.erase(learned, order.end());
  order.insert(order.begin() + static_cast<long>(consts_.size()), made.begin(), made.end());
  for (const Id id : made) {
    const auto& attr = raw[id].as<InputAttr>();
    consts_.push_back(graph_.parameter(attr.name, attr.shape, attr.init, attr.type));
  }
  Graph body;
  std::unordered_map<Id, Value> replaced;
  for (const Id id : order) {
    const auto& attr = raw[id].as<InputAttr>();
    replaced[id] = body.input(attr.name, attr.shape, attr.type);
  }
  std::vector<Id> wanted;
  for (const auto& output : raw.outputs()) wanted.push_back(output.id);
  const Values results = body.splice(raw, wanted, replaced);
  for (size_t i = 0; i < results.size(); ++i) body.output(raw.outputs()[i].name, results[i]);
  return body;
}

}  // namespace

std::vector<Value> parameters(Graph& graph, const Cell& cell) {
  Values made;
  for (const CellArray& array : cell.weights) {
    made.push_back(graph.parameter(array.name, array.shape, array.start));
  }
  return made;
}

Recurrence recurrent(const Cell& cell, Value x, std::span<const Value> weights,
                     const RecurrentOptions& options) {
  return Run(cell, x, weights, options).run();
}

Value mask_from_lengths(Value lengths, int64_t time) {
  if (lengths.rank() != 1 || !is_integer(lengths.type())) {
    throw ShapeError(
        cat("lengths of sequences are integers [batch], found ", lengths.type(), lengths.shape()));
  }
  const Value step = iota(lengths.graph(), {lengths.extent(0), time}, 1, lengths.type());
  return step < expand_dims(lengths, 1);
}

Value join_directions(Value forward, Value backward, Join join) {
  switch (join) {
    case Join::concat: return concat({forward, backward}, forward.rank() - 1);
    case Join::add: return forward + backward;
    case Join::mul: return forward * backward;
    case Join::average: return (forward + backward) * 0.5;
  }
  throw ArgumentError("that way to join two directions does not exist");
}

}  // namespace soma
