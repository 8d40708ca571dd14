// Training on tables: what is taken where the command line leaves it open, the ends of the network
// that know the rows, and what the result is compared with.
#pragma once

#include <string>
#include <vector>

#include "cli/console.h"
#include "cli/source.h"
#include "soma/train.h"

namespace soma::cli {

/// Rows that came from columns, each an example by itself.
bool is_table(const Dataset& dataset);

/// What the command line may leave open.
struct Recipe {
  std::string net;
  int64_t epochs, batch;
  int64_t patience;  ///< 0: no early stopping.
};
/// For tables a net of two hidden layers that is trained until the validation loss stays; else the
/// plain beginning.
Recipe recipe_for(const Dataset& train, bool has_validation);

/// The layers with the one in front that takes raw columns, and, where numbers are predicted by
/// neurons without an activation function, the one behind that answers in their units.
std::vector<Layer> with_ends(std::vector<Layer> layers, const Dataset& train, const Loss& loss);
/// What makes the gradients of such a network as large as for targets of deviation 1.
double loss_weight(const Network& net, const Dataset& train, const Loss& loss);

/// A simple answer, and how good it is.
struct Baseline {
  std::string name;  ///< "always setosa", "a linear model"
  Evaluation result;
};
/// The most frequent class or the mean, and a linear model on at most 100,000 rows, trained by the
/// same engine.
std::vector<Baseline> baselines(const Parts& parts, const FitOptions& options);

/// One line on the columns of a table: kinds, what is left out and why, and the target.
std::string columns_text(const Schema& schema);

}  // namespace soma::cli
