// Types of arguments that only rows of soma/layers.def use.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "soma/convolution.h"
#include "soma/layers.h"

namespace soma {

/// The stride of pooling: numbers, or "size" for windows side by side.
struct PoolStride {
  Extents numbers;  ///< Empty: the size.
};
template <>
struct Reader<PoolStride> {
  static PoolStride read(std::string_view text);
};

/// Scales for all axes, "2", or for each, "1.5x2".
struct Scales {
  std::vector<double> list;
};
template <>
struct Reader<Scales> {
  static Scales read(std::string_view text);
};

}  // namespace soma
