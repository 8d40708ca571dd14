// How the layer `table` makes numbers of the columns of a table: one row for each way.
#pragma once

#include <functional>
#include <vector>

#include "soma/layers.h"

namespace soma {

/// `formula` says what it does.
struct EncodingRow : Row {
  /// One column of the table, [batch, 1], with NaN for missing values, to [batch, any] numbers.
  std::function<Value(LayerBuild&, Value, int64_t, std::span<const std::string>)> build;
};
const Registry<EncodingRow>& encodings();

/// One for each column: "[number(43.9 5.5) one_hot(3 missing=true)]".
struct Encodings {
  std::vector<Named<EncodingRow>> list;
};
template <>
struct Reader<Encodings> {
  static Encodings read(std::string_view text);
  static std::string write(const Encodings& encodings);
};

}  // namespace soma
