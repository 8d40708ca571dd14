// What the rows of losses.def are made of. p is the prediction, t the target, e = p - t.
#pragma once

#include <string_view>
#include <vector>

#include "soma/nn.h"

namespace soma {

// Errors and checks.
/// The target as numbers of the type and shape of the prediction; throws ShapeError.
Value like_prediction(Value p, Value t);
/// 1 where the target is positive, else -1.
Value sign_of(Value p, Value t);
Value error_of(Value p, Value t);
/// Throws ShapeError unless t is one label for each row of classes of p.
void check_labels(Value p, Value t);
/// t·(1 - s) + s / 2.
Value smoothed(Value t, double smoothing);
/// |x|^power; every derivative at 0 counts as 0 unless the power is whole.
Value power_of(Value x, double power);
/// ln of the sum of e^x over the last axis, of those that the mask holds; about -1e30 for none.
Value masked_log_sum_exp(Value x, Value mask);

// Numbers.
Value huber_of(Value e, double delta);
Value log_cosh_of(Value e);
Value relative_error_of(Value p, Value t, double eps, bool symmetric);
Value log_error_of(Value p, Value t);
Value tilted(Value e, double q, bool squared);
Value poisson_of(Value p, Value t, bool log_input, bool full, double eps);
Value gaussian_of(Value p, Value t, bool full);
Value gamma_of(Value p, Value t, bool log_input);
Value tweedie_of(Value p, Value t, double power, bool log_input);
Value cosine_of(Value a, Value b, double eps);

// Classes.
LossTerms cross_entropy_of(Value p, Value t, double smoothing, const std::vector<double>& weights);
LossTerms nll_of(Value p, Value t, const std::vector<double>& weights);
LossTerms cross_entropy_probabilities_of(Value p, Value t, double smoothing, double eps);
LossTerms categorical_focal_of(Value p, Value t, double gamma, double alpha, double smoothing);
LossTerms poly1_of(Value p, Value t, double epsilon, double smoothing);
LossTerms generalized_cross_entropy_of(Value p, Value t, double q);
LossTerms categorical_hinge_of(Value p, Value t);
LossTerms multi_margin_of(Value p, Value t, double margin, double power);
LossTerms sparsemax_loss_of(Value p, Value t);
LossTerms entmax15_loss_of(Value p, Value t);
LossTerms kl_of(Value p, Value t, bool log_target);
LossTerms jensen_shannon_of(Value p, Value t);
LossTerms earth_mover_of(Value p, Value t, double power);

// Yes and no.
Value binary_cross_entropy_of(Value p, Value t, double pos_weight);
Value bce_probabilities_of(Value p, Value t, double eps);
Value binary_focal_of(Value p, Value t, double gamma, double alpha);
LossTerms hinge_of(Value p, Value t, double margin, double power);
/// Targets of several labels for each row as 0 and 1 for each class: see multilabel_margin.
Value many_hot(Value p, Value t);
Value multilabel_margin_of(Value p, Value t);

struct Overlap {
  double alpha, beta, smooth;
};
/// The Tversky index: [batch] for targets of the shape of p, [batch, classes] for labels.
Value overlap_of(Value p, Value t, Overlap weights);

// Pairs and embeddings: functions of soma/nn.h over vectors packed into one array.
Value margin_ranking_of(Value p, Value t, double margin);
Value hinge_embedding_of(Value p, Value t, double margin);
Value cosine_embedding_of(Value p, Value t, double margin);
Value contrastive_of(Value p, Value t, double margin);
Value triplet_of(Value p, double margin, bool swap);
Value info_nce_of(Value p, double temperature);
LossTerms ntxent_of(Value p, Value t, double temperature);
LossTerms circle_of(Value p, Value t, double gamma, double margin);

// Sequences.
LossTerms ctc_terms(Value p, Value t, int64_t blank, bool per_label);

}  // namespace soma
