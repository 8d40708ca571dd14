// Rows out of a series: what was seen, and what came next.
#include <algorithm>

#include "soma/data.h"
#include "soma/error.h"
#include "src/base/text.h"

namespace soma::data {

Dataset windows(const Tensor& series, int64_t steps, int64_t horizon, int64_t column) {
  const Shape& shape = series.shape();
  if (shape.rank() != 1 && shape.rank() != 2) {
    throw ShapeError(cat("a series is [time] or [time, columns], found ", shape));
  }
  if (!is_float(series.type())) {
    throw TypeError(cat("a series has floating numbers, found ", series.type(), "; cast it first"));
  }
  const int64_t columns = shape.rank() == 2 ? shape[1] : 1, rows = shape[0] - steps - horizon + 1;
  if (steps < 1 || horizon < 1 || rows < 1) {
    throw ArgumentError(cat("windows of ", steps, " steps with ", horizon,
                            " to predict do not fit into a series of ", shape[0],
                            " steps; give at least one of each"));
  }
  if (column < 0 || column >= columns) {
    throw ArgumentError(
        cat("column ", column, " is to be predicted, of a series of ", columns, " columns"));
  }
  const Tensor numbers = series.cast(f32);
  const auto from = numbers.data<float>();
  Tensor inputs({rows, steps, columns}), targets({rows, horizon});
  auto in = inputs.data<float>(), out = targets.data<float>();
  for (int64_t row = 0; row < rows; ++row) {
    std::copy_n(from.begin() + row * columns, steps * columns, in.begin() + row * steps * columns);
    for (int64_t ahead = 0; ahead < horizon; ++ahead) {
      out[row * horizon + ahead] = from[(row + steps + ahead) * columns + column];
    }
  }
  return in_memory(std::move(inputs), std::move(targets));
}

}  // namespace soma::data
