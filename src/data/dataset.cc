// Rows of data sets: cutting, shuffling, and gathering into a batch (which runs every training
// step).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "soma/data.h"
#include "soma/error.h"
#include "src/base/text.h"
#include "src/base/visit.h"

namespace soma {

namespace {

Shape row_shape(const Tensor& tensor) {
  Shape shape;
  for (int axis = 1; axis < tensor.shape().rank(); ++axis) shape.push_back(tensor.shape()[axis]);
  return shape;
}

Shape with_rows(int64_t rows, const Shape& row) {
  Shape shape{rows};
  for (const int64_t extent : row) shape.push_back(extent);
  return shape;
}

void check_row(const Dataset& dataset, int64_t row) {
  if (row < 0 || row >= dataset.size()) {
    throw ArgumentError(cat("data set \"", dataset.name, "\" has ", dataset.size(),
                            " rows; there is no row ", row));
  }
}

struct Affine {
  double scale = 1, shift = 0;
};

template <class From, class To>
void convert(const From* __restrict from, int64_t count, To* __restrict to, Affine affine) {
  if (affine.scale == 1 && affine.shift == 0) {
    for (int64_t i = 0; i < count; ++i) to[i] = static_cast<To>(from[i]);
    return;
  }
  using Work = std::conditional_t<std::is_same_v<To, float>, float, double>;
  const auto scale = static_cast<Work>(affine.scale), shift = static_cast<Work>(affine.shift);
  for (int64_t i = 0; i < count; ++i) {
    to[i] = static_cast<To>(static_cast<Work>(from[i]) * scale + shift);
  }
}

template <class To>
void gather(const Dataset& dataset, const Tensor& tensor, std::span<const int64_t> rows,
            std::span<To> out, Affine affine) {
  const int64_t stride = dataset.size() == 0 ? 0 : tensor.elements() / dataset.size();
  const bool whole = is_integer(tensor.type()) && affine.scale == 1 && affine.shift == 0;
  if (std::is_integral_v<To> && !whole) {
    throw TypeError(cat("data set \"", dataset.name, "\": ", tensor.type(),
                        " numbers that may have fractions cannot be gathered as i32; use f32"));
  }
  if (out.size() < rows.size() * static_cast<size_t>(stride)) {
    throw ArgumentError(cat("data set \"", dataset.name, "\": a batch of ", rows.size(),
                            " rows of ", stride, " numbers does not fit a buffer of ", out.size()));
  }
  visit_type(tensor.type(), [&]<class From>(From) {
    const auto* from = reinterpret_cast<const From*>(tensor.raw());
    To* to = out.data();
    for (const int64_t row : rows) {
      check_row(dataset, row);
      convert(from + row * stride, stride, to, affine);
      to += stride;
    }
  });
}

/// Calls f with the batch tensor's elements as a span.
template <class F>
void as_batch(Tensor& batch, F&& f) {
  switch (batch.type()) {
    case f32: return f(batch.data<float>());
    case f64: return f(batch.data<double>());
    case i32: return f(batch.data<int32_t>());
    default:
      throw TypeError(cat("a batch cannot be gathered into a tensor of ", batch.type(),
                          "; use f32, f64 or i32"));
  }
}

Tensor take(const Dataset& dataset, const Tensor& tensor, std::span<const int64_t> indices) {
  Tensor result(with_rows(static_cast<int64_t>(indices.size()), row_shape(tensor)), tensor.type());
  const size_t stride =
      dataset.size() == 0 ? 0 : tensor.bytes() / static_cast<size_t>(dataset.size());
  std::byte* to = result.raw();
  for (const int64_t row : indices) {
    check_row(dataset, row);
    std::memcpy(to, tensor.raw() + static_cast<size_t>(row) * stride, stride);
    to += stride;
  }
  return result;
}

}  // namespace

Shape Dataset::input_shape() const { return row_shape(inputs); }
Shape Dataset::target_shape() const { return row_shape(targets); }

int64_t Dataset::classes() const {
  if (!is_classification()) return 0;
  if (!class_names.empty()) return static_cast<int64_t>(class_names.size());
  const auto labels = targets.data<int32_t>();
  return labels.empty() ? 0 : int64_t{*std::max_element(labels.begin(), labels.end())} + 1;
}

static const Tensor& named(const std::vector<NamedTensor>& list, std::string_view name,
                           std::string_view dataset, std::string_view what) {
  std::vector<std::string> names;
  for (const NamedTensor& tensor : list) {
    if (tensor.name == name) return tensor.values;
    names.push_back(tensor.name);
  }
  throw ArgumentError(cat("data set \"", dataset, "\" has no further ", what, " \"", name, "\"",
                          did_you_mean(name, names), "; add it to more_", what, "s"));
}
const Tensor& Dataset::more_input(std::string_view input) const {
  return named(more_inputs, input, name, "input");
}
const Tensor& Dataset::more_target(std::string_view target) const {
  return named(more_targets, target, name, "target");
}

Dataset Dataset::rows(std::span<const int64_t> indices) const {
  Dataset part{name,
               take(*this, inputs, indices),
               take(*this, targets, indices),
               class_names,
               schema,
               weights.elements() > 0 ? take(*this, weights, indices) : weights,
               input_scale,
               input_shift,
               origin};
  for (const auto& [key, values] : more_inputs) {
    part.more_inputs.push_back({key, take(*this, values, indices)});
  }
  for (const auto& [key, values] : more_targets) {
    part.more_targets.push_back({key, take(*this, values, indices)});
  }
  part.notes = notes;
  return part;
}

Dataset Dataset::subset(int64_t begin, int64_t end) const {
  if (begin < 0 || end < begin || end > size()) {
    throw ArgumentError(cat("data set \"", name, "\" has ", size(), " rows; it has no subset from ",
                            begin, " to ", end));
  }
  std::vector<int64_t> indices(static_cast<size_t>(end - begin));
  for (size_t i = 0; i < indices.size(); ++i) indices[i] = begin + static_cast<int64_t>(i);
  return rows(indices);
}

std::pair<Dataset, Dataset> Dataset::split(double fraction, uint64_t seed) const {
  if (!(fraction >= 0 && fraction <= 1)) {
    throw ArgumentError(cat("data set \"", name, "\" cannot be split at the fraction ",
                            number(fraction), "; give one from 0 to 1"));
  }
  const auto order = data::permutation(size(), seed);
  const auto first = static_cast<size_t>(std::llround(fraction * static_cast<double>(size())));
  return {rows(std::span(order).first(first)), rows(std::span(order).subspan(first))};
}

void Dataset::gather_inputs(std::span<const int64_t> indices, std::span<float> out) const {
  gather(*this, inputs, indices, out, {input_scale, input_shift});
}
void Dataset::gather_inputs(std::span<const int64_t> indices, std::span<double> out) const {
  gather(*this, inputs, indices, out, {input_scale, input_shift});
}
void Dataset::gather_inputs(std::span<const int64_t> indices, std::span<int32_t> out) const {
  gather(*this, inputs, indices, out, {input_scale, input_shift});
}
void Dataset::gather_targets(std::span<const int64_t> indices, std::span<float> out) const {
  gather(*this, targets, indices, out, {});
}
void Dataset::gather_targets(std::span<const int64_t> indices, std::span<double> out) const {
  gather(*this, targets, indices, out, {});
}
void Dataset::gather_targets(std::span<const int64_t> indices, std::span<int32_t> out) const {
  gather(*this, targets, indices, out, {});
}

void Dataset::gather_batch(std::span<const int64_t> indices, Tensor& batch_inputs,
                           Tensor& batch_targets) const {
  as_batch(batch_inputs, [&](auto out) { gather_inputs(indices, out); });
  as_batch(batch_targets, [&](auto out) { gather_targets(indices, out); });
}

namespace data {

namespace {

void check_finite(const Tensor& tensor, std::string_view what) {
  if (!is_float(tensor.type())) return;
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    if (!std::isfinite(tensor.at(i))) {
      const int64_t stride = tensor.elements() / tensor.shape()[0];
      throw ArgumentError(cat("row ", i / stride, " of the ", what, " holds ", number(tensor.at(i)),
                              " at place ", i % stride,
                              "; remove the row or replace the number by a finite one"));
    }
  }
}

Tensor checked_labels(const Tensor& targets, size_t names) {
  const int64_t limit =
      names == 0 ? std::numeric_limits<int32_t>::max() : static_cast<int64_t>(names) - 1;
  for (int64_t i = 0; i < targets.elements(); ++i) {
    const double label = targets.at(i);
    const bool ignored = label < 0 && targets.shape().rank() > 1;  // a step without a label
    if (!ignored && (label < 0 || label > static_cast<double>(limit))) {
      throw ArgumentError(cat("target ", i, " is the label ", number(label),
                              "; labels count from 0 to at most ", limit));
    }
  }
  return targets.cast(i32);
}

}  // namespace

Dataset in_memory(Tensor inputs, Tensor targets, std::vector<std::string> class_names) {
  if (inputs.shape().rank() == 0 || inputs.shape()[0] == 0) {
    throw ShapeError(cat("a data set needs at least one row; the inputs have the shape ",
                         inputs.shape(), ", rows come first"));
  }
  if (targets.shape().rank() == 0 || targets.shape()[0] != inputs.shape()[0]) {
    throw ShapeError(cat("inputs of shape ", inputs.shape(), " and targets of shape ",
                         targets.shape(), " differ in the number of rows (the first axis)"));
  }
  check_finite(inputs, "inputs");
  check_finite(targets, "targets");
  Dataset dataset;
  if (is_float(targets.type())) {
    if (!class_names.empty()) {
      throw TypeError(cat("targets of type ", targets.type(),
                          " cannot have class names; give the labels as i32"));
    }
    if (targets.shape().rank() == 1) targets = targets.reshaped({targets.shape()[0], 1});
    dataset.targets = targets.cast(f32);
  } else {
    dataset.targets = checked_labels(targets, class_names.size());
  }
  dataset.inputs = std::move(inputs);
  dataset.class_names = std::move(class_names);
  return dataset;
}

}  // namespace data
}  // namespace soma
