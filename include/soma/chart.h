// Line charts as SVG: activation functions, losses over epochs. A file needs nothing else to be
// seen and follows the reader's light or dark theme.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace soma {

/// Points joined by lines; a point that is not finite leaves a gap.
struct Curve {
  std::string name;
  std::vector<double> x, y;
  bool dashed = false;
};

/// One pair of axes. Values beyond [y_min, y_max] are cut off; an empty range takes all.
struct Chart {
  std::string title, note;
  std::vector<Curve> curves;
  double y_min = 0, y_max = 0;
};

/// All charts in rows of `columns`.
std::string draw_charts(std::span<const Chart> charts, int columns = 4);

}  // namespace soma
