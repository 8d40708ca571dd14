// Losses of pairs and embeddings.
#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/losses.h"
#include "src/nn/pieces.h"

namespace soma {

namespace {

/// The `parts` vectors that a prediction [batch, parts, d] holds, each [batch, d].
std::vector<Value> unpacked(std::string_view loss, Value p, int64_t parts) {
  if (p.rank() != 3 || p.extent(1) != parts) {
    throw ShapeError(cat(loss, ": the prediction must be [batch, ", parts, ", d], ", parts,
                         " vectors for each sample; found ", p.shape()));
  }
  std::vector<Value> vectors;
  for (int64_t i = 0; i < parts; ++i) {
    vectors.push_back(reshape(slice_axis(p, 1, i, i + 1), {p.extent(0), p.extent(2)}));
  }
  return vectors;
}

/// One target for each of those rows; an axis of extent 1 at the end does no harm.
Value one_each(Value t, Shape rows) {
  Shape long_form = rows;
  long_form.push_back(1);
  if (t.shape() != rows && t.shape() != long_form) {
    throw ShapeError(cat("this loss wants one target for each row, ", rows, "; found ", t.shape()));
  }
  return reshape(t, rows);
}

Value yes(Value t, Value like_this) { return one_each(t, like_this.shape()) > 0.0; }

Value unit(Value x, double eps) {
  const Value size = sum(square(x), {-1}, Keep::yes);
  return x * rsqrt(select(size > eps * eps, size, eps * eps));
}

constexpr double least_norm = 1e-8;

/// The cosines of every two rows of [batch, d], and which rows belong together.
struct AllPairs {
  Value cosines, self, partners, others;
};
AllPairs all_pairs(std::string_view loss, Value p, Value t) {
  if (p.rank() != 2 || is_float(t.type())) {
    throw ShapeError(cat(loss, ": the prediction must be [batch, d], and the targets integers ",
                         "[batch] that say which vectors belong together; found ", p.type(),
                         p.shape(), " and ", t.type(), t.shape()));
  }
  const int64_t n = p.extent(0);
  const Value label = one_each(t, {n}), u = unit(p, least_norm);
  const Value self = eq(iota(p.graph(), {n, n}, 0, i32), iota(p.graph(), {n, n}, 1, i32));
  const Value real = label >= 0.0;
  const Value both = logical_and(expand_dims(real, 1), expand_dims(real, 0));
  const Value same = eq(expand_dims(label, 1), expand_dims(label, 0));
  return {dot(u, u, false, true), self, logical_and(both, logical_and(same, logical_not(self))),
          logical_and(both, logical_not(same))};
}

}  // namespace

Value cosine_of(Value a, Value b, double eps) { return sum(unit(a, eps) * unit(b, eps), {-1}); }

Value cosine_similarity(Value a, Value b, double eps) { return cosine_of(a, b, eps); }

Value euclidean_distance(Value a, Value b) {
  const Value size = sum(square(a - b), {-1});
  return select(size > 0.0, sqrt(select(size > 0.0, size, 1.0)), 0.0);
}

Value margin_ranking_loss(Value a, Value b, Value first, double margin) {
  const Value gap = a - b;
  return relu(margin - select(yes(first, gap), gap, -gap));
}

Value cosine_embedding_loss(Value a, Value b, Value together, double margin) {
  const Value c = cosine_similarity(a, b);
  return select(yes(together, c), 1.0 - c, relu(c - margin));
}

Value contrastive_loss(Value a, Value b, Value together, double margin) {
  const Value far = euclidean_distance(a, b);
  return 0.5 * select(yes(together, far), sum(square(a - b), {-1}), square(relu(margin - far)));
}

Value triplet_loss(Value anchor, Value like_it, Value unlike_it, double margin, bool swap) {
  Value away = euclidean_distance(anchor, unlike_it);
  if (swap) away = min(away, euclidean_distance(like_it, unlike_it));
  return relu(euclidean_distance(anchor, like_it) - away + margin);
}

Value info_nce_loss(Value a, Value b, double temperature) {
  if (a.rank() != 2 || a.shape() != b.shape()) {
    throw ShapeError(cat("info_nce compares vectors [batch, d] with as many others; found ",
                         a.shape(), " and ", b.shape()));
  }
  const int64_t n = a.extent(0);
  const Value cosines = dot(unit(a, least_norm), unit(b, least_norm), false, true);
  const Value own = one_hot(iota(a.graph(), {n}, 0, i32), n, a.type());
  return -sum(own * log_softmax_of(cosines / temperature), {-1});
}

Value kl_to_unit_normal(Value mean_, Value log_variance) {
  Dims rest;
  for (int i = 1; i < mean_.rank(); ++i) rest.push_back(i);
  return 0.5 * sum(exp(log_variance) + square(mean_) - 1.0 - log_variance, rest);
}

// ---------------------------------------------------------------- rows

Value margin_ranking_of(Value p, Value t, double margin) {
  if (p.rank() < 2 || p.extent(-1) != 2) {
    throw ShapeError(cat("margin_ranking: the prediction must be [batch, 2], two scores for each ",
                         "sample; found ", p.shape()));
  }
  const Shape rows(std::span(p.shape().begin(), p.shape().end() - 1));
  const std::vector<Value> scores = split(p, 2, -1);
  return margin_ranking_loss(reshape(scores[0], rows), reshape(scores[1], rows), t, margin);
}

Value hinge_embedding_of(Value p, Value t, double margin) {
  return select(like_prediction(p, t) > 0.0, p, relu(margin - p));
}

Value cosine_embedding_of(Value p, Value t, double margin) {
  const auto x = unpacked("cosine_embedding", p, 2);
  return cosine_embedding_loss(x[0], x[1], t, margin);
}

Value contrastive_of(Value p, Value t, double margin) {
  const auto x = unpacked("contrastive", p, 2);
  return contrastive_loss(x[0], x[1], t, margin);
}

Value triplet_of(Value p, double margin, bool swap) {
  const auto x = unpacked("triplet", p, 3);
  return triplet_loss(x[0], x[1], x[2], margin, swap);
}

Value info_nce_of(Value p, double temperature) {
  const auto x = unpacked("info_nce", p, 2);
  return info_nce_loss(x[0], x[1], temperature);
}

LossTerms ntxent_of(Value p, Value t, double temperature) {
  const AllPairs pairs = all_pairs("ntxent", p, t);
  const Value log_p = log_softmax_of(select(pairs.self, -1e30, pairs.cosines / temperature));
  const Value count = sum(cast(pairs.partners, p.type()), {-1});
  const Value total = sum(select(pairs.partners, log_p, 0.0), {-1});
  return {-total / select(count > 0.0, count, 1.0), cast(count > 0.0, p.type())};
}

LossTerms circle_of(Value p, Value t, double gamma, double margin) {
  const AllPairs pairs = all_pairs("circle", p, t);
  const Value s = pairs.cosines;
  const Value pull = -gamma * stop(relu(1 + margin - s)) * (s - (1 - margin));
  const Value push = gamma * stop(relu(s + margin)) * (s - margin);
  const auto any = [](Value mask) { return max_over(cast(mask, i32), {-1}) > 0.0; };
  const Value counts = cast(logical_and(any(pairs.partners), any(pairs.others)), p.type());
  const Value both =
      masked_log_sum_exp(pull, pairs.partners) + masked_log_sum_exp(push, pairs.others);
  return {log_one_plus_exp(both) * counts, counts};
}

}  // namespace soma
