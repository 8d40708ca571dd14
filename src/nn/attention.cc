// Attention in all its forms: scores, masks, softmax over the keys, weighted sum of the values.
#include "soma/attention.h"

#include <cmath>
#include <span>

#include "soma/error.h"
#include "soma/nn.h"
#include "src/base/text.h"
#include "src/nn/pieces.h"

namespace soma {

namespace {

// A score no key reaches, finite so that differences and derivatives are.
constexpr double hidden_score = -1e30;

void check_options(const AttentionOptions& o) {
  if (o.window < 0) throw ArgumentError(cat("attention: the window ", o.window, " is below 0"));
  if (!(o.cap >= 0)) throw ArgumentError(cat("attention: the cap ", o.cap, " is below 0"));
  if (!(o.dropout >= 0 && o.dropout < 1)) {
    throw ArgumentError(cat("attention: dropout must be in [0, 1), found ", o.dropout));
  }
  if (o.mask && o.mask.type() != boolean) {
    throw TypeError(cat("attention: a mask is bool (true: may look), found ", o.mask.type(),
                        "; numbers to add to the scores are a bias"));
  }
  if (o.bias && !is_float(o.bias.type())) {
    throw TypeError(cat("attention: a bias is added to the scores and must be f32 or f64, found ",
                        o.bias.type()));
  }
  for (const Value position : {o.position, o.key_positions}) {
    if (position && position.type() != i32 && position.type() != i64) {
      throw TypeError(cat("attention: positions are i32 or i64, found ", position.type()));
    }
  }
  if (o.position && o.position.rank() > 1) {
    throw ShapeError(cat("attention: the position is one number, or one for each sequence; found ",
                         o.position.shape()));
  }
}

// [] as it is, [batch] so that it goes beside [batch, heads, queries, keys].
Value beside_scores(Value position) {
  return position.rank() == 0 ? position : reshape(position, {-1, 1, 1, 1});
}
// [keys] or [batch, keys], the same.
Value beside_scores_by_key(Value x) {
  return x.rank() == 1 ? expand_dims(x, 0) : reshape(x, {x.extent(0), 1, 1, x.extent(1)});
}

// The position of each query less that of each key, [queries, keys] or [batch, 1, queries, keys].
Value distances(Graph& graph, int64_t queries, int64_t keys, const AttentionOptions& o) {
  const DType type = o.position ? o.position.type() : i32;
  Value query = iota(graph, {queries, 1}, 0, type) + static_cast<double>(o.offset);
  if (o.position) query = query + beside_scores(o.position);
  const Value key = o.key_positions ? beside_scores_by_key(cast(o.key_positions, type))
                                    : iota(graph, {1, keys}, 1, type);
  return query - key;
}

void narrow(Value& visible, Value also) { visible = visible ? logical_and(visible, also) : also; }

// Scores [batch, heads, queries, keys] to weights that add up to 1 over the keys.
Value weights_of(Value scores, const AttentionOptions& o) {
  Graph& graph = scores.graph();
  const Shape shape = scores.shape();
  const int64_t heads = shape[1], queries = shape[2], keys = shape[3];
  if (o.cap > 0) scores = o.cap * tanh(scores / o.cap);
  Value visible, distance;
  if (o.causal || o.window > 0 || o.alibi) distance = distances(graph, queries, keys, o);
  if (o.causal) narrow(visible, distance >= 0.0);
  if (o.window > 0) narrow(visible, distance < static_cast<double>(o.window));
  if (o.window > 0 && !o.causal) narrow(visible, distance > -static_cast<double>(o.window));
  if (o.key_positions) narrow(visible, beside_scores_by_key(o.key_positions) >= 0.0);
  if (o.mask) narrow(visible, o.mask);
  if (o.bias) {
    const Value shown = o.bias > hidden_score;
    scores = scores + cast(select(shown, o.bias, 0.0), scores.type());
    narrow(visible, shown);
  }
  if (o.alibi) {
    std::vector<Value> slopes;
    for (const double slope : alibi_slopes(heads)) {
      slopes.push_back(graph.constant(slope, {1, 1, 1}, scores.type()));
    }
    scores = scores - concat(slopes, 0) * cast(magnitude(distance), scores.type());
  }
  if (!visible) return softmax_of(scores);
  visible = broadcast_to(visible, shape);
  const Value shown = select(visible, scores, hidden_score);
  const Value e = select(visible, exp(shown - stop(max_over(shown, {-1}, Keep::yes))), 0.0);
  const Value total = sum(e, {-1}, Keep::yes);
  return e / select(total > 0.0, total, 1.0);
}

Value drop(Value weights, const AttentionOptions& o) {
  if (o.dropout == 0 || !o.noise) return weights;
  return select(cast(o.noise, weights.type()) < o.dropout, 0.0, weights / (1 - o.dropout));
}

// q·k for every pair, [batch, heads, queries, keys]; the query heads of a group are more rows of
// the product with their one key head.
Value scores_of(Value query, Value key, double scale) {
  const Shape q = query.shape();
  const int64_t kv_heads = key.extent(1);
  if (scale == 0) scale = 1 / std::sqrt(static_cast<double>(q[3]));
  const Value rows = reshape(query, {q[0], kv_heads, q[1] / kv_heads * q[2], q[3]});
  return reshape(dot(rows, key, false, true), {q[0], q[1], q[2], key.extent(2)}) * scale;
}

Value mix(Value weights, Value value) {
  const Shape w = weights.shape();
  const int64_t kv_heads = value.extent(1);
  const Value rows = reshape(weights, {w[0], kv_heads, w[1] / kv_heads * w[2], w[3]});
  return reshape(dot(rows, value), {w[0], w[1], w[2], value.extent(3)});
}

void check_shapes(Value query, Value key, Value value) {
  const auto complain = [&](std::string_view what) {
    throw ShapeError(cat("attention: ", what, "; found query ", query.shape(), ", key ",
                         key.shape(), " and value ", value.shape()));
  };
  if (query.rank() != 4 || key.rank() != 4 || value.rank() != 4) {
    complain("query, key and value are [batch, heads, time, depth]");
  }
  if (!is_float(query.type()) || query.type() != key.type() || key.type() != value.type()) {
    throw TypeError(cat("attention: query, key and value must all be f32 or all be f64; found ",
                        query.type(), ", ", key.type(), " and ", value.type()));
  }
  if (query.extent(0) != key.extent(0) || key.extent(0) != value.extent(0)) {
    complain("the batches differ");
  }
  if (query.extent(3) != key.extent(3)) complain("query and key need the same depth");
  if (key.extent(1) != value.extent(1) || key.extent(2) != value.extent(2)) {
    complain("every key needs a value");
  }
  if (key.extent(1) == 0 || query.extent(1) % key.extent(1)) {
    complain("the number of key heads must divide the number of query heads");
  }
}

// Builds a body over the inputs and over those options that are values, and calls it: one name for
// backends to claim, whatever the options.
template <class F>
Value attention_call(std::string name, std::vector<Value> in, const AttentionOptions& options,
                     F&& build) {
  check_options(options);
  static constexpr Value AttentionOptions::*const optional[] = {
      &AttentionOptions::mask, &AttentionOptions::bias, &AttentionOptions::position,
      &AttentionOptions::key_positions, &AttentionOptions::noise};
  const size_t fixed = in.size();
  for (const auto member : optional) {
    if (options.*member) in.push_back(options.*member);
  }
  return call(std::move(name), in, [&](const std::vector<Value>& args) {
    AttentionOptions inside = options;
    size_t next = fixed;
    for (const auto member : optional) {
      if (options.*member) inside.*member = args[next++];
    }
    return build(std::span(args).first(fixed), inside);
  });
}

// The same for scores that are not q·k: [batch, queries, keys], and values [batch, keys, width].
Value attend(Value scores, Value value, const AttentionOptions& o) {
  if (o.scale != 0) scores = scores * o.scale;
  const Value weights = drop(weights_of(expand_dims(scores, 1), o), o);
  const Shape shape = scores.shape();
  return dot(reshape(weights, shape), value);
}

void check_rank_3(std::string_view what, Value query, Value key, Value value) {
  const bool ranks = query.rank() == 3 && key.rank() == 3 && value.rank() == 3;
  if (!ranks || query.extent(0) != key.extent(0) || key.extent(0) != value.extent(0) ||
      key.extent(1) != value.extent(1)) {
    throw ShapeError(cat(what,
                         ": query is [batch, queries, a], key [batch, keys, b] and value [batch, "
                         "keys, width]; found ",
                         query.shape(), ", ", key.shape(), " and ", value.shape()));
  }
}

}  // namespace

Value attention(Value query, Value key, Value value, const AttentionOptions& options) {
  check_shapes(query, key, value);
  return attention_call(
      "attention", {query, key, value}, options, [](auto in, const AttentionOptions& o) {
        return mix(drop(weights_of(scores_of(in[0], in[1], o.scale), o), o), in[2]);
      });
}

Value attention_weights(Value query, Value key, const AttentionOptions& options) {
  check_shapes(query, key, key);
  return attention_call("attention_weights", {query, key}, options,
                        [](auto in, const AttentionOptions& o) {
                          return weights_of(scores_of(in[0], in[1], o.scale), o);
                        });
}

Value additive_attention(Value query, Value key, Value value, Value query_weights,
                         Value key_weights, Value v, const AttentionOptions& options) {
  check_rank_3("additive_attention", query, key, value);
  return attention_call("additive_attention", {query, key, value, query_weights, key_weights, v},
                        options, [](auto in, const AttentionOptions& o) {
                          const Value q = expand_dims(matmul(in[0], in[3]), 2);
                          const Value k = expand_dims(matmul(in[1], in[4]), 1);
                          return attend(matmul(tanh(q + k), in[5]), in[2], o);
                        });
}

Value luong_attention(Value query, Value key, Value value, Value weights,
                      const AttentionOptions& options) {
  check_rank_3("luong_attention", query, key, value);
  if (weights) query = matmul(query, weights);
  return attention_call("luong_attention", {query, key, value}, options,
                        [](auto in, const AttentionOptions& o) {
                          return attend(dot(in[0], in[1], false, true), in[2], o);
                        });
}

// ---------------------------------------------------------------- linear attention

// elu(x) + 1, above zero everywhere.
static Value feature_map(Value x) { return select(x > 0.0, x + 1.0, exp(below_zero(x))); }

// One step at a time: memory [batch, heads, depth, width] += k⊗v, norm [batch, heads, depth] += k.
static Value causal_linear_attention(Value query, Value key, Value value) {
  Graph& graph = query.graph();
  const Shape k = key.shape(), v = value.shape();
  const Shape memory_shape{k[0], k[1], k[3], v[3]}, norm_shape{k[0], k[1], k[3], 1};
  const DType type = query.type();
  Graph body;
  const Value memory = body.input("memory", memory_shape, type);
  const Value norm = body.input("norm", norm_shape, type);
  const Value q_t = body.input("q", {k[0], k[1], k[3]}, type);
  const Value k_t = body.input("k", {k[0], k[1], k[3]}, type);
  const Value v_t = body.input("v", {v[0], v[1], v[3]}, type);
  const Value column = expand_dims(k_t, 3), row = expand_dims(q_t, 2);
  const Value memory_next = memory + column * expand_dims(v_t, 2), norm_next = norm + column;
  body.output("memory", memory_next);
  body.output("norm", norm_next);
  body.output("y", reshape(dot(row, memory_next) / dot(row, norm_next), {v[0], v[1], v[3]}));
  const auto time_first = [](Value x) { return transpose(x, {2, 0, 1, 3}); };
  const Value start[] = {graph.constant(0, memory_shape, type),
                         graph.constant(0, norm_shape, type)};
  const Value sequences[] = {time_first(query), time_first(key), time_first(value)};
  const auto results = scan(graph, std::move(body), {}, start, sequences, k[2]);
  return transpose(results[2], {1, 2, 0, 3});
}

Value linear_attention(Value query, Value key, Value value, bool causal) {
  check_shapes(query, key, value);
  if (query.extent(1) != key.extent(1) || (causal && query.extent(2) != key.extent(2))) {
    throw ShapeError(cat("linear_attention: query and key need the same heads",
                         causal ? " and, causal, the same time" : "", "; found ", query.shape(),
                         " and ", key.shape()));
  }
  const Value q = feature_map(query), k = feature_map(key);
  if (causal) return causal_linear_attention(q, k, value);
  const Value norm = dot(q, sum(k, {2}, Keep::yes), false, true);
  return dot(q, dot(k, value, true)) / norm;
}

// ---------------------------------------------------------------- heads

Value split_heads(Value x, int64_t heads) {
  if (x.rank() != 3 || heads < 1 || x.extent(2) % heads) {
    throw ShapeError(cat("split_heads: ", x.shape(), " is not [batch, time, ", heads,
                         " heads times their depth]"));
  }
  const Shape s = x.shape();
  return transpose(reshape(x, {s[0], s[1], heads, s[2] / heads}), {0, 2, 1, 3});
}

Value merge_heads(Value x) {
  if (x.rank() != 4) {
    throw ShapeError(cat("merge_heads: ", x.shape(), " is not [batch, heads, time, depth]"));
  }
  const Shape s = x.shape();
  return reshape(transpose(x, {0, 2, 1, 3}), {s[0], s[2], s[1] * s[3]});
}

static Value project(Value x, Value weights, Value bias) {
  const Value y = matmul(x, weights);
  return bias ? y + bias : y;
}

Value multi_head_attention(Value x, Value memory, const MultiHeadWeights& weights,
                           const MultiHeadOptions& options, KeyValueCache* cache) {
  const int64_t heads = options.heads, kv_heads = options.kv_heads ? options.kv_heads : heads;
  Value query = split_heads(project(x, weights.query, weights.query_bias), heads);
  Value key = split_heads(project(memory, weights.key, weights.key_bias), kv_heads);
  Value value = split_heads(project(memory, weights.value, weights.value_bias), kv_heads);
  AttentionOptions how = options.attention;
  RotaryOptions turning = options.rotary;
  if (cache) turning.position = how.position = cache->position;
  if (options.turn) {
    query = rotary(query, turning);
    key = rotary(key, turning);
  }
  if (cache) {
    const int64_t steps = key.extent(2), capacity = cache->keys.extent(2);
    how.key_positions = cache_positions(capacity, steps, cache->position);
    how.causal = true;
    cache->keys = key = cache_append(cache->keys, key, cache->position);
    cache->values = value = cache_append(cache->values, value, cache->position);
    cache->position = cache->position + static_cast<double>(steps);
  }
  return project(merge_heads(attention(query, key, value, how)), weights.output,
                 weights.output_bias);
}

// ---------------------------------------------------------------- the cache

static void check_cache(int64_t capacity, int64_t steps, Value position) {
  if (steps > capacity) {
    throw ShapeError(cat("a cache of ", capacity, " steps cannot take ", steps, " at once"));
  }
  if (position.rank() > 1 || !is_integer(position.type())) {
    throw TypeError(cat("the position in a cache is an integer, or one for each sequence; found ",
                        position.type(), " ", position.shape()));
  }
}

// [] as it is, [batch] as [batch, 1]: beside [batch, capacity].
static Value beside_places(Value position) {
  return position.rank() == 0 ? position : expand_dims(position, 1);
}

Value cache_positions(int64_t capacity, int64_t steps, Value position) {
  check_cache(capacity, steps, position);
  const auto size = static_cast<double>(capacity);
  const Value last = beside_places(position) + static_cast<double>(steps - 1);
  // How far the last step is ahead of the latest step in each place: (last - place) mod capacity.
  const Value ahead = last + size - iota(position.graph(), {capacity}, 0, position.type());
  return last - (ahead - ahead / size * size);
}

Value cache_append(Value cache, Value rows, Value position) {
  const Shape c = cache.shape(), r = rows.shape();
  if (c.rank() != 4 || r.rank() != 4 || c[0] != r[0] || c[1] != r[1] || c[3] != r[3]) {
    throw ShapeError(cat("cache_append: ", r, " does not go into a cache ", c,
                         "; both are [batch, heads, steps, depth]"));
  }
  // Which of the rows belongs in each place, [batch, capacity]; negative: an older step.
  const Value row =
      broadcast_to(cache_positions(c[2], r[2], position) - beside_places(position), {c[0], c[2]});
  const Value fresh = row >= 0.0;
  Value taken = rows;  // with one step, every fresh place takes it
  if (r[2] > 1) {
    const auto steps = static_cast<double>(r[2]);
    const Value first = iota(rows.graph(), {c[0], 1}, 0, row.type()) * steps;
    const Value all = reshape(transpose(rows, {0, 2, 1, 3}), {r[0] * r[2], r[1], r[3]});
    taken = transpose(gather(all, select(fresh, first + row, -1.0)), {0, 2, 1, 3});
  }
  return select(reshape(fresh, {c[0], 1, c[2], 1}), taken, cache);
}

}  // namespace soma
