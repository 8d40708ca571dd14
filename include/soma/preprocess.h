// The ends of a network that know the data: the first layer takes rows as they are, the last one
// answers in the units of the targets. Both are layers like others, part of the graph and of the
// model file.
//
//   Dataset houses = data::load_csv("houses.csv", {.target = "price"});
//   Network net{input(houses.input_shape()), encode_inputs(houses), dense(64, relu), dense(1),
//               decode_targets(houses)};
#pragma once

#include "soma/data.h"
#include "soma/layers.h"

namespace soma {

/// The layer `table` for rows of that data set: what it subtracts, divides by and marks as missing
/// is measured on these rows, so give the training rows alone. Categories become one number each
/// up to 32, a trained vector beyond. Without a schema all columns are numbers. Throws ShapeError
/// when rows are not [features], and ArgumentError when there are none.
Layer encode_inputs(const Dataset& train, Where where = Where::here());

/// The layer `rescaling` from numbers of mean 0 and deviation 1 to those of the targets. Throws
/// ArgumentError for classes.
Layer decode_targets(const Dataset& train, Where where = Where::here());

/// The mean of all numbers of the targets, and their deviation (1 if they are all the same): what
/// decode_targets() uses. 1 / deviation² as FitOptions::loss_weight makes the gradients of a
/// squared error as large as for targets of deviation 1.
struct MeanDeviation {
  double mean = 0, deviation = 1;
};
MeanDeviation measure_targets(const Dataset& train);

/// Weights that give each class the same part in the loss: rows / (classes · rows of the class), as
/// scikit-learn's "balanced"; for class_weights of cross_entropy.
std::vector<double> balanced_class_weights(const Dataset& train);

}  // namespace soma
