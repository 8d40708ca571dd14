// Attention, positions and embeddings, as functions over values.
//
//   Value y = attention(q, k, v, {.causal = true});            // [batch, heads, time, depth]
//   Value y = multi_head_attention(x, memory, weights, {.heads = 8, .kv_heads = 2});
//   Value x = embedding(table, tokens) + sinusoidal_positions(graph, time, width);
//
// Sequences are [batch, time, width], heads [batch, heads, time, depth]. Everything is built from
// the primitives of soma/graph.h, so gradients of any order follow. Attention is one call named
// "attention" that a backend may run with a kernel of its own.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "soma/graph.h"

namespace soma {

// ---------------------------------------------------------------- attention

/// What a query may look at, and how scores become weights. Frameworks differ in all of it:
///   causal    query i sees keys j <= i. With other numbers of queries and keys PyTorch and ONNX
///             align the first query with the first key (offset = 0), flash-attention the last
///             query with the last key (offset = keys - queries).
///   window    query i sees keys with |i - j| < window: `window` keys with its own, as Mistral;
///             flash-attention's window_size = (left, right) does not count its own.
///   mask      true means "may look", as PyTorch's scaled_dot_product_attention, Keras and ONNX;
///             PyTorch's MultiheadAttention and its key_padding_mask mean the opposite.
///   cap       scores become cap tanh(score / cap), before masks and biases are applied (Gemma 2,
///             arXiv:2408.00118).
/// A query that may look at nothing gives zeros (PyTorch and ONNX give NaN), with zero gradients.
struct AttentionOptions {
  double scale = 0;  ///< Of the scores; 0 stands for 1/sqrt(depth).
  bool causal = false;
  int64_t window = 0;  ///< 0: no limit.
  int64_t offset = 0;  ///< The position of the first query, counted from the first key's.
  double cap = 0;      ///< 0: none.
  /// Adds -slope |i - j| to the scores, with alibi_slopes() (Press+ 2021, arXiv:2108.12409; beyond
  /// the causal form of the paper, keys ahead count like keys behind).
  bool alibi = false;
  Value mask = {};  ///< bool, broadcast to [batch, heads, queries, keys].
  /// Added to the scores, same broadcasting. -inf, and everything below -1e30, hides the key.
  Value bias = {};
  /// Integer [] or [batch]: what to add to `offset`, known only when the program runs.
  Value position = {};
  /// Integers [keys] or [batch, keys]; below 0: an empty place. Without: 0, 1, 2, …
  Value key_positions = {};
  /// The share of weights set to 0, the others growing by 1/(1 - dropout), where `noise`, uniform
  /// numbers in [0, 1) of shape [batch, heads, queries, keys], is below it. Without noise: none.
  double dropout = 0;
  Value noise = {};
};

/// Scaled dot-product attention (Vaswani+ 2017, arXiv:1706.03762): softmax(scale q·k)·v.
/// query [batch, heads, queries, depth], key [batch, kv_heads, keys, depth], value [batch,
/// kv_heads, keys, width] → [batch, heads, queries, width]. kv_heads divides heads: query head h
/// reads key head h / (heads / kv_heads). As many of them is multi-head attention, one multi-query
/// (Shazeer 2019, arXiv:1911.02150), between them grouped-query (Ainslie+ 2023, arXiv:2305.13245).
/// Throws ShapeError, TypeError or ArgumentError.
Value attention(Value query, Value key, Value value, const AttentionOptions& options = {});
/// The weights it gives the keys, [batch, heads, queries, keys], before dropout; for looking at.
Value attention_weights(Value query, Value key, const AttentionOptions& options = {});

/// Additive attention (Bahdanau+ 2014, arXiv:1409.0473): the score of a key is
/// v·tanh(query·query_weights + key·key_weights). query [batch, queries, a], key [batch, keys, b],
/// value [batch, keys, width], query_weights [a, hidden], key_weights [b, hidden], v [hidden] →
/// [batch, queries, width]. Luong's "concat" score is the same function. Scores are not scaled
/// (scale = 0 stands for 1); masks as for one head.
Value additive_attention(Value query, Value key, Value value, Value query_weights,
                         Value key_weights, Value v, const AttentionOptions& options = {});
/// Multiplicative attention (Luong+ 2015, arXiv:1508.04025): the score is query·weights·key
/// ("general"), or query·key ("dot") without weights. query [batch, queries, a], key [batch, keys,
/// b], weights [a, b]. Scores are not scaled (scale = 0 stands for 1).
Value luong_attention(Value query, Value key, Value value, Value weights = {},
                      const AttentionOptions& options = {});

/// Linear attention (Katharopoulos+ 2020, arXiv:2006.16236): softmax replaced by the feature map
/// elu(x) + 1, so that cost grows with time instead of its square. Shapes as attention() with
/// kv_heads = heads. Causal runs as a scan over time with a [depth, width] memory for each head.
Value linear_attention(Value query, Value key, Value value, bool causal = false);

/// [batch, time, heads * depth] → [batch, heads, time, depth], and back.
Value split_heads(Value x, int64_t heads);
Value merge_heads(Value x);

// ---------------------------------------------------------------- positions

/// Which numbers belong together in rotary and sinusoidal positions: neighbours (2i, 2i + 1), as
/// RoFormer, GPT-J and Meta's Llama; or those half a head apart (i, i + depth/2), as GPT-NeoX and
/// the Llama of Hugging Face. Weights trained with one do not work with the other. ONNX
/// RotaryEmbedding: interleaved = 1 and 0 (its default).
enum class Pairing : uint8_t { halves, interleaved };

struct RotaryOptions {
  double base = 10000;
  Pairing pairing = Pairing::halves;
  int64_t depth = 0;  ///< How many of the leading numbers turn; even; 0: all (GPT-NeoX: a quarter).
  int64_t offset = 0;
  /// Integer [] or, for x [batch, …], [batch]: what to add to `offset`, known only when the program
  /// runs.
  Value position = {};
};
/// Rotary positions (Su+ 2021, arXiv:2104.09864): pair i of x [..., time, depth] at position
/// p = offset + t turns by the angle p base^(-2i / depth). Scores of two turned vectors depend on
/// the difference of their positions only. Angles are computed in f64.
Value rotary(Value x, const RotaryOptions& options = {});

/// Sinusoidal positions (Vaswani+ 2017): [time, width] with sin and cos of p base^(-2i / width).
/// interleaved is the paper's order (sin, cos, sin, cos, …), halves has all sines, then all cosines
/// (tensor2tensor does so, but spaces its rates by width/2 - 1). An odd width ends with a sine,
/// with halves in the middle. `position`, an integer scalar, is added to 0, 1, 2, …; with
/// one for each sequence, [batch], the result is [batch, time, width].
Value sinusoidal_positions(Graph& graph, int64_t time, int64_t width, DType type = f32,
                           Value position = {}, Pairing pairing = Pairing::interleaved,
                           double base = 10000);
/// Learned positions: rows of table [max time, width] → [time, width], from `position` on (or
/// [batch, time, width], as above). Rows beyond the table are zeros; throws ShapeError when `time`
/// alone exceeds it.
Value learned_positions(Value table, int64_t time, Value position = {});

/// The slopes of ALiBi: 2^(-8 h / heads), h = 1 … heads, for powers of two; for other numbers
/// those of the power below, then every other one of the power above, as its authors' code.
std::vector<double> alibi_slopes(int64_t heads);
/// The bias itself, [heads, queries, keys]: -slope |offset + i - j|.
Value alibi_bias(Graph& graph, int64_t heads, int64_t queries, int64_t keys, int64_t offset = 0,
                 DType type = f32);

// ---------------------------------------------------------------- decoding step by step

/// Keys and values of the steps so far, for decoding with the work of one step.
struct KeyValueCache {
  Value keys, values;  ///< [batch, kv_heads, capacity, depth or width].
  Value position;      ///< Integer [] or [batch]: how many steps came before.
};
/// cache [batch, heads, capacity, depth] with rows [batch, heads, steps, depth] written to the
/// places position, position + 1, … modulo the capacity: a ring that keeps the latest steps.
Value cache_append(Value cache, Value rows, Value position);
/// Which step each place of such a ring holds after `steps` were appended at `position`, [capacity]
/// or [batch, capacity] of the type of `position`; below 0: none yet.
Value cache_positions(int64_t capacity, int64_t steps, Value position);

// ---------------------------------------------------------------- multi-head attention

/// Weights are [in, out]. PyTorch's in_proj_weight is query, key and value one under another,
/// transposed. Biases may be left out.
struct MultiHeadWeights {
  Value query;   ///< [width, heads * depth]
  Value key;     ///< [memory width, kv_heads * depth]
  Value value;   ///< [memory width, kv_heads * value depth]
  Value output;  ///< [heads * value depth, width out]
  Value query_bias = {}, key_bias = {}, value_bias = {}, output_bias = {};
};
struct MultiHeadOptions {
  int64_t heads = 1;
  int64_t kv_heads = 0;  ///< Divides heads; 0: as many.
  AttentionOptions attention = {};
  bool turn = false;  ///< Rotary positions on queries and keys.
  RotaryOptions rotary = {};
};
/// Multi-head attention: x [batch, queries, width] looks at memory [batch, keys, memory width]
/// (itself: self-attention) → [batch, queries, width out]. With a cache the new keys and values are
/// appended and attention runs over the whole cache, which then holds them: one step at a time
/// gives the bits of one causal run over `capacity` steps.
Value multi_head_attention(Value x, Value memory, const MultiHeadWeights& weights,
                           const MultiHeadOptions& options, KeyValueCache* cache = nullptr);

// ---------------------------------------------------------------- embeddings

/// Rows of table [rows, width] by index (i32 or i64 […]) → [..., width]. The row `pad` is read like
/// any other but gets no gradient (as PyTorch's padding_idx; -1: none). An index outside the table
/// gives zeros (PyTorch refuses it, JAX takes the nearest row).
Value embedding(Value table, Value index, int64_t pad = -1);

enum class Bag : uint8_t { sum, mean, max };
/// Embeddings of a bag of indices, index [batch, count] → [batch, width], without the intermediate
/// meaning: sum, mean or largest of the rows. Indices outside the table, and `pad`, are left out:
/// bags of different sizes are filled up with -1. `weights` [batch, count] multiply the rows of a
/// sum; a mean divides by their sum (as TensorFlow; PyTorch allows weights for sums only); max
/// takes none. An empty bag gives zeros. Throws ShapeError, TypeError or ArgumentError.
Value embedding_bag(Value table, Value index, Bag mode = Bag::sum, Value weights = {},
                    int64_t pad = -1);

}  // namespace soma
