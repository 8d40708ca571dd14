// Layers at the ends of sequence models: embeddings, positions, patches, and what makes one vector
// of many.
#include <algorithm>

#include "soma/attention.h"
#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/layer_kinds.h"
#include "src/nn/layers_attention.h"

namespace soma {

// Samples are numbers; tokens are whole ones, exact below 2^24 in f32.
static Value tokens(const LayerBuild& at, Value x) {
  if (x.rank() == 2) return cast(x, i32);
  at.fail(cat("takes samples [time] of token numbers; found a batch ", x.shape()));
}

Value build_embedding(LayerBuild& at, int64_t rows, int64_t width, int64_t pad, bool mask,
                      double scale, Start start) {
  const Value index = tokens(at, at.in());
  if (mask && pad < 0) at.fail("masks the steps whose token is `pad`, so that it needs pad=…");
  const Value table = at.parameter("table", {rows, width}, start.text);
  const Value found = embedding(table, index, pad);
  const Value y = scale == 1 ? found : found * scale;
  if (mask) at.set_mask(y, ne(index, static_cast<double>(pad)));
  return y;
}

Value build_embedding_bag(LayerBuild& at, int64_t rows, int64_t width, Bag mode, int64_t pad,
                          Start start) {
  const auto& sources = at.sources();
  if (sources.size() > 2) at.fail("takes token numbers and, if there are any, their weights");
  if (at.streaming()) at.fail("looks at all steps of the sequence at once and cannot stream");
  const Value table = at.parameter("table", {rows, width}, start.text);
  return embedding_bag(table, tokens(at, sources[0]), mode,
                       sources.size() == 2 ? sources[1] : Value{}, pad);
}

Value build_one_hot(LayerBuild& at, int64_t classes) {
  return one_hot(cast(at.in(), i32), classes, at.in().type());
}

Value build_unembedding(LayerBuild& at, int64_t rows, bool bias, Start start) {
  const Value x = at.in();
  const Value table = at.parameter("table", {rows, x.extent(-1)}, start.text);
  Shape shape = x.shape();
  shape[shape.rank() - 1] = rows;
  const Value y = reshape(dot(reshape(x, {-1, table.extent(1)}), table, false, true), shape);
  return bias ? y + at.parameter("bias", {rows}, "0") : y;
}

Value build_positions(LayerBuild& at, PositionTable kind, int64_t most, double base,
                      Pairing pairing, Start start) {
  const Value x = at.in();
  if (x.rank() != 3) {
    at.fail(cat("adds to sequences of vectors, [time, features]; found a batch ", x.shape()));
  }
  const int64_t time = x.extent(1), width = x.extent(2);
  Value position;
  if (at.streaming()) {
    position = at.state("position", {at.batch()}, "0", i32);
    at.update(position, position + static_cast<double>(time));
  }
  if (kind == PositionTable::sinusoidal) {
    return x + sinusoidal_positions(at.graph(), time, width, x.type(), position, pairing, base);
  }
  const int64_t rows = most ? most : time;
  if (most == 0 && at.streaming()) at.fail("has no length of its own; give it, most=…, to stream");
  if (rows < time) at.fail(cat("has ", rows, " positions, but the sequence has ", time, " steps"));
  return x + learned_positions(at.parameter("table", {rows, width}, start.text), time, position);
}

Value build_patches(LayerBuild& at, Extents size) {
  const Value x = at.in();
  if (x.rank() != 4) {
    at.fail(cat("cuts images, [channels, height, width]; found a batch ", x.shape()));
  }
  const Dims patch = size.over(2);
  const Shape s = x.shape();
  if (patch[0] < 1 || patch[1] < 1 || s[2] % patch[0] || s[3] % patch[1]) {
    at.fail(cat("cuts images of ", s[2], " by ", s[3], " into patches of ", patch[0], " by ",
                patch[1], ", which do not fill them"));
  }
  const int64_t down = s[2] / patch[0], across = s[3] / patch[1];
  const Value cut = reshape(x, {s[0], s[1], down, patch[0], across, patch[1]});
  return reshape(transpose(cut, {0, 2, 4, 1, 3, 5}),
                 {s[0], down * across, s[1] * patch[0] * patch[1]});
}

Value build_class_token(LayerBuild& at, Start start) {
  const Value x = at.in();
  if (x.rank() != 3) {
    at.fail(
        cat("goes in front of sequences of vectors, [time, features]; found a batch ", x.shape()));
  }
  if (at.streaming()) at.fail("stands in front of the whole sequence and cannot stream");
  const int64_t width = x.extent(2);
  const Value token = at.parameter("token", {width}, start.text);
  const Value y = concat({broadcast_to(token, {at.batch(), 1, width}), x}, 1);
  if (const Value mask = at.mask()) {
    const Value real = at.graph().constant(1, {at.batch(), 1}, boolean);
    at.set_mask(y, concat({real, mask}, 1));
  }
  return y;
}

Value build_pool_steps(LayerBuild& at, StepPool kind) {
  const Value x = at.in();
  if (x.rank() < 3) {
    at.fail(cat("makes one vector of a sequence [time, features]; found a batch ", x.shape()));
  }
  if (at.streaming()) at.fail("looks at all steps of the sequence at once and cannot stream");
  const int64_t time = x.extent(1);
  const Value mask = at.mask();
  Shape beside = Shape::filled(x.rank(), 1);  // the mask, to broadcast over the features
  beside[0] = at.batch();
  beside[1] = time;
  const Value real = mask ? reshape(mask, beside) : Value{};
  if (kind == StepPool::max) {
    if (!mask) return max_over(x, {1});
    const Value largest = max_over(select(real, x, -3e38), {1});
    return select(gt(largest, -3e38), largest, 0.0);
  }
  if (kind == StepPool::mean) {
    if (!mask) return mean(x, {1});
    const Value count = sum(cast(real, x.type()), {1});
    return sum(select(real, x, 0.0), {1}) / max(count, 1.0);
  }
  // The first or last real step is the one with the smallest or largest number.
  const Value step = cast(iota(at.graph(), {at.batch(), time}, 1, i32), x.type());
  const Value sign = kind == StepPool::first ? -step : step;
  const Value shown = mask ? select(mask, sign, -3e38) : sign;
  const Value best = eq(shown, max_over(shown, {1}, Keep::yes));
  return sum(select(reshape(mask ? logical_and(best, mask) : best, beside), x, 0.0), {1});
}

}  // namespace soma
