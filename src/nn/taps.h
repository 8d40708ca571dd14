// The neighbours that interpolation reads: what resize() and grid_sample() share.
#pragma once

#include <vector>

#include "soma/convolution.h"

namespace soma {

struct Tap {
  int offset;    ///< From the element before the place.
  Value weight;  ///< For each place.
};

/// For places that lie `t` in [0, 1) behind an element; linear or cubic with Keys' parameter a.
inline std::vector<Tap> interpolation_taps(Value t, Interpolation mode, double a) {
  if (mode == Interpolation::linear) return {{0, 1.0 - t}, {1, t}};
  // Keys' cubic at a distance in [0, 1], and in [1, 2].
  const auto near = [a](Value d) { return ((a + 2) * d - (a + 3)) * d * d + 1.0; };
  const auto far = [a](Value d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  return {{-1, far(t + 1.0)}, {0, near(t)}, {1, near(1.0 - t)}, {2, far(2.0 - t)}};
}

}  // namespace soma
