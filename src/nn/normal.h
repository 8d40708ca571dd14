// What the normalizations share: checks, and arrays of one axis laid along it.
#pragma once

#include <string_view>

#include "soma/graph.h"

namespace soma::detail {

void check_floats(std::string_view function, Value x);
/// The axis counted from the front; throws ShapeError when x does not have it.
int axis_of(std::string_view function, Value x, int axis);
/// Throws ShapeError unless the array is empty or has that shape.
void check_shape(std::string_view function, std::string_view what, Value array,
                 const Shape& wanted);
/// [extent] as [1, …, extent, …, 1], which broadcasts over x along that axis.
Value along(Value array, Value x, int axis);
Dims other_axes(Value x, int axis);

}  // namespace soma::detail
