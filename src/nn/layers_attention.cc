// Layers of transformers: attention, the blocks around it, experts.
#include "src/nn/layers_attention.h"

#include <cmath>

#include "soma/dropout.h"
#include "soma/error.h"
#include "soma/normalization.h"
#include "src/base/text.h"
#include "src/nn/layer_kinds.h"

namespace soma {

namespace {

// The word of `names` that the text is, by its number.
template <class E>
E word(std::string_view text, std::initializer_list<std::string_view> names) {
  int number = 0;
  for (const std::string_view name : names) {
    if (text == name) return static_cast<E>(number);
    ++number;
  }
  throw ArgumentError(join(std::vector<std::string>(names.begin(), names.end()), " or "));
}

// What a layer asks of attention.
struct Asked {
  int64_t heads = 1, kv_heads = 0, depth = 0;
  bool causal = false;
  int64_t window = 0;
  PositionScheme positions = PositionScheme::none;
  double base = 10000;
  Pairing pairing = Pairing::halves;
  bool bias = true;
  double dropout = 0, cap = 0;
  int64_t context = 0;
};

Value drop(LayerBuild& at, Value x, double rate) {
  return at.training() && rate > 0 ? dropout(x, at.random(x.shape(), x.type()), rate) : x;
}

void check_sequence(const LayerBuild& at, Value x, std::string_view what) {
  if (x.rank() == 3) return;
  at.fail(cat(what, " is a sequence of vectors, [time, features]; found samples that make a batch ",
              x.shape()));
}

MultiHeadWeights make_weights(LayerBuild& at, const std::string& prefix, Value x, Value memory,
                              const Asked& ask) {
  const int64_t width = x.extent(2), memory_width = memory.extent(2);
  const int64_t kv_heads = ask.kv_heads ? ask.kv_heads : ask.heads;
  if (ask.heads % kv_heads) {
    at.fail(cat("has ", ask.heads, " heads and ", kv_heads,
                " key and value heads; their number must divide that of the heads"));
  }
  if (ask.depth == 0 && width % ask.heads) {
    at.fail(cat("has ", ask.heads, " heads, which do not divide the width ", width,
                "; give their depth"));
  }
  const int64_t depth = ask.depth ? ask.depth : width / ask.heads;
  if (ask.positions == PositionScheme::rotary && depth % 2) {
    at.fail(cat("turns pairs of numbers of a head, so that its depth must be even; found ", depth));
  }
  const int64_t q = ask.heads * depth, kv = kv_heads * depth;
  const auto weights = [&](const char* name, int64_t in, int64_t out) {
    return at.parameter(prefix + name, {in, out}, "glorot_uniform");
  };
  const auto bias = [&](const char* name, int64_t out) {
    return ask.bias ? at.parameter(prefix + name, {out}, "0") : Value{};
  };
  return {.query = weights("query", width, q),
          .key = weights("key", memory_width, kv),
          .value = weights("value", memory_width, kv),
          .output = weights("output", q, width),
          .query_bias = bias("query_bias", q),
          .key_bias = bias("key_bias", kv),
          .value_bias = bias("value_bias", kv),
          .output_bias = bias("output_bias", width)};
}

// Attention over what came in this call and, from the cache, in those before.
Value attend_streaming(LayerBuild& at, const std::string& prefix, Value x, Value mask,
                       const MultiHeadWeights& weights, MultiHeadOptions options, int64_t context) {
  const int64_t steps = x.extent(1);
  if (!options.attention.causal) {
    at.fail("looks at later steps and cannot stream; use causal=true");
  }
  if (context == 0 && options.attention.window > 0) context = options.attention.window + steps - 1;
  if (context < steps) {
    at.fail(
        cat("needs context=…, at least ", steps, ", to stream: the number of steps it remembers"));
  }
  const int64_t kv_heads = options.kv_heads;
  const Shape shape{at.batch(), kv_heads, context, weights.key.extent(1) / kv_heads};
  KeyValueCache cache{at.state(prefix + "keys", shape), at.state(prefix + "values", shape),
                      at.state(prefix + "position", {at.batch()}, "0", i32)};
  const KeyValueCache before = cache;
  if (mask) {  // which of the remembered steps are real
    const Value known = at.state(prefix + "real", {at.batch(), 1, context, 1});
    const Value now = cast(reshape(mask, {at.batch(), 1, steps, 1}), f32);
    const Value real = cache_append(known, now, cache.position);
    at.update(known, real);
    options.attention.mask = reshape(real > 0.5, {at.batch(), 1, 1, context});
  }
  const Value y = multi_head_attention(x, x, weights, options, &cache);
  at.update(before.keys, cache.keys);
  at.update(before.values, cache.values);
  at.update(before.position, cache.position);
  return y;
}

// `mask`: which steps of the memory are real.
Value attend(LayerBuild& at, const std::string& prefix, Value x, Value memory, Value mask,
             const Asked& ask) {
  check_sequence(at, x, "what attention works on");
  check_sequence(at, memory, "what attention looks at");
  const MultiHeadWeights weights = make_weights(at, prefix, x, memory, ask);
  MultiHeadOptions options{.heads = ask.heads, .kv_heads = ask.kv_heads ? ask.kv_heads : ask.heads};
  options.attention = {.causal = ask.causal,
                       .window = ask.window,
                       .cap = ask.cap,
                       .alibi = ask.positions == PositionScheme::alibi};
  options.turn = ask.positions == PositionScheme::rotary;
  options.rotary = {.base = ask.base, .pairing = ask.pairing};
  if (at.streaming()) {
    if (!(memory == x)) at.fail("looks at another sequence as a whole and cannot stream");
    return attend_streaming(at, prefix, x, mask, weights, options, ask.context);
  }
  const int64_t queries = x.extent(1), keys = memory.extent(1);
  if (mask) options.attention.mask = reshape(mask, {at.batch(), 1, 1, keys});
  if (at.training() && ask.dropout > 0) {
    options.attention.dropout = ask.dropout;
    options.attention.noise = at.random({at.batch(), ask.heads, queries, keys}, x.type());
  }
  return multi_head_attention(x, memory, weights, options);
}

// Two dense layers along the last axis; gated activations get twice as many numbers.
Value feed(LayerBuild& at, const std::string& prefix, Value x, int64_t hidden,
           const Activations& activation, double dropout, bool bias) {
  const Activation& f = activation.list[0];
  const int64_t width = x.extent(-1);
  const bool gated = hidden > 0 && f.row().vector && f.outputs(2 * hidden) == hidden;
  const int64_t inner = gated ? 2 * hidden : hidden;
  const auto layer = [&](Value in, const std::string& name, int64_t out, const std::string& start) {
    const Value weights = at.parameter(name, {in.extent(-1), out}, start);
    const Value y = matmul(in, weights);
    return bias ? y + at.parameter(name + "_bias", {out}, "0") : y;
  };
  const Value up = layer(x, prefix + "up", inner, start_of_weights({"auto"}, f));
  return layer(drop(at, at.activate(up, activation), dropout), prefix + "down", width,
               "glorot_uniform");
}

Value normalize(LayerBuild& at, const std::string& prefix, Value x, NormKind kind) {
  const Value scale = at.parameter(prefix + "scale", {x.extent(-1)}, "1");
  if (kind == NormKind::rms_norm) return rms_norm(x, scale);
  return layer_norm(x, scale, at.parameter(prefix + "shift", {x.extent(-1)}, "0"));
}

struct Block {
  Asked attention;
  int64_t hidden;
  Activations activation;
  NormPlace place;
  NormKind norm;
  double dropout;
};

// Self-attention, attention to `memory` when there is one, and a feed-forward network, each with a
// link past it.
Value build_block(LayerBuild& at, const Block& b, Value memory) {
  Value x = at.sources()[0];
  check_sequence(at, x, "what a block works on");
  const Value mask = at.mask(x);
  const auto step = [&](const std::string& name, auto&& branch) {
    if (b.place == NormPlace::pre) {
      x = x + drop(at, branch(normalize(at, name + "norm_", x, b.norm)), b.dropout);
    } else {
      x = normalize(at, name + "norm_", x + drop(at, branch(x), b.dropout), b.norm);
    }
  };
  step("self_", [&](Value in) { return attend(at, "self_", in, in, mask, b.attention); });
  if (memory) {
    Asked cross = b.attention;
    cross.causal = false;
    cross.window = 0;
    cross.positions = PositionScheme::none;
    step("cross_",
         [&](Value in) { return attend(at, "cross_", in, memory, at.mask(memory), cross); });
  }
  const int64_t hidden = b.hidden ? b.hidden : 4 * x.extent(2);
  step("feed_", [&](Value in) {
    return feed(at, "feed_", in, hidden, b.activation, b.dropout, b.attention.bias);
  });
  return x;
}

}  // namespace

PositionScheme Reader<PositionScheme>::read(std::string_view text) {
  return word<PositionScheme>(text, {"none", "rotary", "alibi"});
}
PositionTable Reader<PositionTable>::read(std::string_view text) {
  return word<PositionTable>(text, {"sinusoidal", "learned"});
}
NormPlace Reader<NormPlace>::read(std::string_view text) {
  return word<NormPlace>(text, {"pre", "post"});
}
NormKind Reader<NormKind>::read(std::string_view text) {
  return word<NormKind>(text, {"layer_norm", "rms_norm"});
}
StepPool Reader<StepPool>::read(std::string_view text) {
  return word<StepPool>(text, {"mean", "max", "first", "last"});
}
Pairing Reader<Pairing>::read(std::string_view text) {
  return word<Pairing>(text, {"halves", "interleaved"});
}
Bag Reader<Bag>::read(std::string_view text) { return word<Bag>(text, {"sum", "mean", "max"}); }

Value build_attention(LayerBuild& at, int64_t heads, int64_t kv_heads, int64_t depth, bool causal,
                      PositionScheme positions, int64_t window, bool bias, double dropout,
                      double cap, double base, Pairing pairing, int64_t context) {
  const auto& sources = at.sources();
  if (sources.size() > 2) {
    at.fail(cat("takes a sequence, or a sequence and the memory it looks at; found ",
                sources.size(), " sources"));
  }
  const Value x = sources[0], memory = sources.back();
  const Value y = attend(at, "", x, memory, at.mask(memory),
                         {.heads = heads,
                          .kv_heads = kv_heads,
                          .depth = depth,
                          .causal = causal,
                          .window = window,
                          .positions = positions,
                          .base = base,
                          .pairing = pairing,
                          .bias = bias,
                          .dropout = dropout,
                          .cap = cap,
                          .context = context});
  at.set_mask(y, at.mask(x));  // not that of the memory
  return y;
}

Value build_feed_forward(LayerBuild& at, int64_t hidden, Activations activation, double dropout,
                         bool bias) {
  if (activation.per_neuron()) at.fail("takes one activation function for all neurons");
  return feed(at, "", at.in(), hidden ? hidden : 4 * at.in().extent(-1), activation, dropout, bias);
}

Value build_encoder(LayerBuild& at, int64_t heads, int64_t hidden, Activations activation,
                    double dropout, NormPlace norm, NormKind norm_kind, PositionScheme positions,
                    int64_t kv_heads, bool bias, int64_t window) {
  if (at.sources().size() != 1) at.fail("takes one sequence");
  const Asked ask{.heads = heads,
                  .kv_heads = kv_heads,
                  .window = window,
                  .positions = positions,
                  .bias = bias,
                  .dropout = dropout};
  return build_block(at, {ask, hidden, std::move(activation), norm, norm_kind, dropout}, {});
}

Value build_decoder(LayerBuild& at, int64_t heads, int64_t hidden, Activations activation,
                    double dropout, NormPlace norm, NormKind norm_kind, PositionScheme positions,
                    int64_t kv_heads, bool bias, int64_t window, int64_t context) {
  const auto& sources = at.sources();
  if (sources.size() > 2) at.fail("takes a sequence and, if it has one, the memory it looks at");
  const Asked ask{.heads = heads,
                  .kv_heads = kv_heads,
                  .causal = true,
                  .window = window,
                  .positions = positions,
                  .bias = bias,
                  .dropout = dropout,
                  .context = context};
  const Value memory = sources.size() == 2 ? sources[1] : Value{};
  const Value y =
      build_block(at, {ask, hidden, std::move(activation), norm, norm_kind, dropout}, memory);
  at.set_mask(y, at.mask(sources[0]));  // not that of the memory
  return y;
}

// ---------------------------------------------------------------- relatives of dense

Value build_low_rank(LayerBuild& at, int64_t units, int64_t rank, double alpha) {
  const Value x = at.in();
  const Value down = at.parameter("down", {x.extent(-1), rank}, "he_uniform");
  const Value up = at.parameter("up", {rank, units}, "0");
  return matmul(matmul(x, down), up) * (alpha / static_cast<double>(rank));
}

// 1 for the `top` largest numbers along the last axis, of equals the first, else 0.
static Value is_among(Value x, int64_t top) {
  const int64_t n = x.extent(-1);
  const Value mine = expand_dims(x, -1), other = expand_dims(x, -2);
  const Value earlier = lt(iota(x.graph(), {1, n}, 1, i32), iota(x.graph(), {n, 1}, 0, i32));
  const Value beats =
      logical_or(gt(other, mine),
                 logical_and(eq(other, mine), broadcast_to(earlier, Shape{x.extent(0), n, n})));
  return lt(sum(cast(beats, x.type()), {-1}), static_cast<double>(top));
}

Value build_experts(LayerBuild& at, int64_t experts, int64_t hidden, int64_t top,
                    Activations activation, double balance) {
  const Value in = at.in();
  const Activation& f = activation.list[0];
  const int64_t width = in.extent(-1);
  if (activation.per_neuron() || f.outputs(hidden) != hidden) {
    at.fail("takes one activation function, which gives as many numbers as it takes");
  }
  if (top > experts) at.fail(cat("chooses ", top, " of ", experts, " experts"));
  const Value x = reshape(in, {-1, width});
  const int64_t rows = x.extent(0);
  const Value logits = dot(x, at.parameter("gate", {width, experts}, "glorot_uniform"));
  const Value chosen = is_among(logits, top);  // [rows, experts]
  const Value chances = softmax(logits);
  const Value share = select(chosen, chances, 0.0);
  const Value weight = share / sum(share, {-1}, Keep::yes);
  if (balance > 0) {  // Fedus+ 2021: experts · Σ (share of rows) · (mean chance)
    const Value used = mean(cast(chosen, x.type()), {0}) / static_cast<double>(top);
    at.penalize(sum(stop(used) * mean(chances, {0})) * (balance * static_cast<double>(experts)));
  }
  const auto each = [&](const char* name, Value v, int64_t out, const std::string& start) {
    const int64_t inputs = v.extent(2);
    const Value w = at.parameter(name, {experts, inputs, out}, start);
    const Value b = at.parameter(cat(name, "_bias"), {experts, 1, out}, "0");
    return dot(v, w) + b;
  };
  const double spread = 1 / std::sqrt(static_cast<double>(width));
  const double spread_down = 1 / std::sqrt(static_cast<double>(hidden));
  const Value all = broadcast_to(x, {experts, rows, width});
  const Value up =
      at.activate(each("up", all, hidden, cat("normal(std=", spread, ")")), activation);
  const Value down = each("down", up, width, cat("normal(std=", spread_down, ")"));
  const Value y = sum(down * expand_dims(transpose(weight), -1), {0});
  const Shape shape = in.shape();
  return reshape(y, shape);
}

}  // namespace soma
