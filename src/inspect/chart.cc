// Drawing of line charts.
#include "soma/chart.h"

#include <algorithm>
#include <cmath>

#include "src/base/text.h"
#include "src/inspect/svg.h"

namespace soma {
namespace {

constexpr double width = 240, height = 200;                    // of one chart
constexpr double left = 34, right = 8, top = 40, bottom = 22;  // room around its axes
constexpr const char* colours[] = {"#2563eb", "#ea580c", "#059669", "#9333ea"};

/// As much of a note as fits above a chart.
std::string shortened(const std::string& text) {
  constexpr size_t most = 42;
  return text.size() <= most ? text : text.substr(0, most - 2) + " …";
}

struct Range {
  double lo = HUGE_VAL, hi = -HUGE_VAL;
  void add(double value) {
    if (!std::isfinite(value)) return;
    lo = std::min(lo, value);
    hi = std::max(hi, value);
  }
  void widen() {
    if (!(lo < hi)) lo = std::isfinite(lo) ? lo - 1 : 0, hi = lo + 2;
  }
};

/// A round step that gives three to six marks: 1, 2 or 5 times a power of ten.
double mark_step(double span) {
  const double power = std::pow(10, std::floor(std::log10(span / 3)));
  for (const double factor : {5.0, 2.0}) {
    if (factor * power <= span / 3) return factor * power;
  }
  return power;
}

class ChartWriter {
 public:
  explicit ChartWriter(const Chart& chart) : chart_(chart) {
    for (const Curve& curve : chart.curves) {
      for (const double x : curve.x) x_.add(x);
      for (const double y : curve.y) y_.add(y);
    }
    if (chart.y_min < chart.y_max) {
      y_.lo = std::max(y_.lo, chart.y_min);
      y_.hi = std::min(y_.hi, chart.y_max);
    }
    x_.widen();
    y_.widen();
    const double margin = (y_.hi - y_.lo) * 0.05;
    y_.lo -= margin;
    y_.hi += margin;
  }

  std::string text() {
    out_ = cat("<text class=\"title\" x=\"", left, "\" y=\"16\">", escape_xml(chart_.title),
               "</text>\n<text class=\"note\" x=\"", left, "\" y=\"31\">",
               escape_xml(shortened(chart_.note)), "</text>\n");
    marks();
    for (size_t i = 0; i < chart_.curves.size(); ++i) {
      lines(chart_.curves[i], colours[i % std::size(colours)]);
    }
    return out_;
  }

 private:
  double at_x(double x) const {
    return left + (x - x_.lo) / (x_.hi - x_.lo) * (width - left - right);
  }
  double at_y(double y) const {
    return height - bottom - (y - y_.lo) / (y_.hi - y_.lo) * (height - top - bottom);
  }

  void marks() {
    const double step_x = mark_step(x_.hi - x_.lo), step_y = mark_step(y_.hi - y_.lo);
    for (double k = std::ceil(x_.lo / step_x); k * step_x <= x_.hi; ++k) {
      const double x = k * step_x;
      out_ += cat("<line class=\"", x == 0 ? "axis" : "grid", "\" x1=\"", coordinate(at_x(x)),
                  "\" x2=\"", coordinate(at_x(x)), "\" y1=\"", top, "\" y2=\"", height - bottom,
                  "\"/><text class=\"mark\" text-anchor=\"middle\" x=\"", coordinate(at_x(x)),
                  "\" y=\"", height - 8, "\">", label(x, step_x), "</text>\n");
    }
    for (double k = std::ceil(y_.lo / step_y); k * step_y <= y_.hi; ++k) {
      const double y = k * step_y;
      out_ += cat("<line class=\"", y == 0 ? "axis" : "grid", "\" x1=\"", left, "\" x2=\"",
                  width - right, "\" y1=\"", coordinate(at_y(y)), "\" y2=\"", coordinate(at_y(y)),
                  "\"/><text class=\"mark\" text-anchor=\"end\" x=\"", left - 4, "\" y=\"",
                  coordinate(at_y(y) + 3), "\">", label(y, step_y), "</text>\n");
    }
  }
  static std::string label(double value, double step) {
    return number(std::round(value / step) == 0 ? 0 : std::round(value * 1e6) / 1e6);
  }

  /// One path; leaving the chart or a value that is not finite lifts the pen.
  void lines(const Curve& curve, const char* colour) {
    std::string path;
    bool down = false;
    for (size_t i = 0; i < std::min(curve.x.size(), curve.y.size()); ++i) {
      const bool inside = std::isfinite(curve.y[i]) && curve.y[i] >= y_.lo && curve.y[i] <= y_.hi;
      if (inside) {
        path +=
            cat(down ? 'L' : 'M', coordinate(at_x(curve.x[i])), ' ', coordinate(at_y(curve.y[i])));
      }
      down = inside;
    }
    out_ += cat("<path fill=\"none\" stroke=\"", colour, "\" stroke-width=\"1.8\"",
                curve.dashed ? " stroke-dasharray=\"4 3\"" : "", " d=\"", path, "\"><title>",
                escape_xml(curve.name), "</title></path>\n");
  }

  const Chart& chart_;
  Range x_, y_;
  std::string out_;
};

}  // namespace

std::string draw_charts(std::span<const Chart> charts, int columns) {
  const int count = static_cast<int>(charts.size());
  columns = std::max(1, std::min(columns, count));
  const int rows = (count + columns - 1) / columns;
  std::string svg =
      cat("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", columns * width, ' ',
          rows * height,
          "\" font-family=\"sans-serif\">\n<style>.title{font-size:13px;font-weight:bold;fill:#111}"
          ".note,.mark{font-size:9px;fill:#666}.grid{stroke:#8883}.axis{stroke:#888}svg{background:"
          "#fff}"
          "@media(prefers-color-scheme:dark){svg{background:#111}.title{fill:#eee}"
          ".note,.mark{fill:#aaa}}</style>\n");
  for (int i = 0; i < count; ++i) {
    svg += cat("<g transform=\"translate(", i % columns * width, ' ', i / columns * height,
               ")\">\n", ChartWriter(charts[static_cast<size_t>(i)]).text(), "</g>\n");
  }
  return svg + "</svg>\n";
}

}  // namespace soma
