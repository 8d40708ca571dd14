// Charts as SVG: activation functions, losses over epochs, bars, tables of shares. A file needs
// nothing else to be seen and follows the reader's light or dark theme.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace soma {

/// Points, joined by lines or not; one that is not finite leaves a gap.
struct Curve {
  enum class Kind { line, points, bars };
  std::string name;
  std::vector<double> x, y;
  bool dashed = false;
  Kind kind = Kind::line;
  bool faint = false;  ///< Stands behind the others.
};

/// One pair of axes. Values beyond [y_min, y_max] are cut off; an empty range takes all.
struct Chart {
  std::string title, note;
  std::vector<Curve> curves;
  double y_min = 0, y_max = 0;
  std::string x_label = "", y_label = "";
  std::vector<std::string> x_names = {};  ///< Of the places 1, 2, …: words instead of numbers.
  /// Powers of ten have equal distances; what is not positive is left out.
  bool log_x = false, log_y = false;
  bool legend = false;  ///< Names the curves, in place of the note.
  double width = 240, height = 200;
};

/// All charts, of one size, in rows of `columns`.
std::string draw_charts(std::span<const Chart> charts, int columns = 4);

/// Bars side by side for each name: a group of `series.size()` bars, each of a share in [0, 1].
struct BarChart {
  std::string title;
  std::vector<std::string> names;
  struct Series {
    std::string name;
    std::vector<double> shares;
  };
  std::vector<Series> series;
  double width = 440;
};
std::string draw_bars(const BarChart& chart);

/// A square table of counts, one row for each label and one column for each answer: shaded by the
/// share of its row, what is right in one colour and what is wrong in another.
struct ConfusionChart {
  std::string title;
  std::vector<std::string> names;
  std::vector<double> counts;  ///< [names, names]
  double width = 440;
};
std::string draw_confusion(const ConfusionChart& chart);

}  // namespace soma
