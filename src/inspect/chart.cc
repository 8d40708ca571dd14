// Drawing of charts.
#include "soma/chart.h"

#include <algorithm>
#include <cmath>

#include "src/base/text.h"
#include "src/inspect/svg.h"

namespace soma {
namespace {

constexpr size_t colours = 8;  // classes c0 … c7 of the style sheet

/// As much of a text as fits into that many pixels at 11 pixels a letter's height.
std::string fitting(const std::string& text, double room) {
  return excerpt(text, static_cast<size_t>(std::max(4.0, room / 5.8)));
}

std::string hundredths(double value) { return number(std::round(value * 100) / 100); }

/// A number at a mark of an axis whose marks are `step` apart.
std::string mark_text(double value, double step) {
  if (std::abs(value) < step * 1e-6) return "0";
  const bool plain = step >= 1e-4 && std::abs(value) < 1e6;
  return plain ? fixed(value, std::max(0, -static_cast<int>(std::floor(std::log10(step)))))
               : scientific(value, value == step ? 0 : 1);
}

/// The range of one axis and the marks on it.
class Axis {
 public:
  explicit Axis(bool log) : log_(log) {}
  void add(double value) {
    if (log_ && !(value > 0)) return;
    const double place = at(value);
    if (!std::isfinite(place)) return;
    lo_ = std::min(lo_, place);
    hi_ = std::max(hi_, place);
  }
  /// The numbers are whole: so are the marks.
  void only_whole() { least_step_ = 1; }
  void cut(double least, double most) {
    lo_ = std::max(lo_, at(least));
    hi_ = std::min(hi_, at(most));
  }
  void widen(double share) {
    if (!std::isfinite(lo_) || !std::isfinite(hi_)) lo_ = 0, hi_ = 1;
    if (!(lo_ < hi_)) {  // one number: in the middle of its neighbourhood
      const double around = log_ || lo_ == 0 ? 1 : std::abs(lo_) / 2;
      lo_ -= around, hi_ += around;
    }
    const double margin = (hi_ - lo_) * share;
    lo_ -= margin;
    hi_ += margin;
  }
  bool holds(double value) const {
    return std::isfinite(value) && (!log_ || value > 0) && at(value) >= lo_ && at(value) <= hi_;
  }
  /// From 0 at the beginning of the axis to 1 at its end.
  double share(double value) const { return (at(value) - lo_) / (hi_ - lo_); }

  struct Mark {
    double value;
    std::string text;
  };
  std::vector<Mark> marks() const {
    std::vector<Mark> marks;
    if (log_) {
      const double every = std::max(1.0, std::ceil((hi_ - lo_) / 5));
      for (double power = std::ceil(lo_ / every) * every; power <= hi_; power += every) {
        const double value = std::pow(10, power);
        marks.push_back({value, mark_text(value, value)});
      }
      if (marks.size() > 2) return marks;
      marks.clear();  // few powers of ten: with 2 and 5 of each
      for (double power = std::floor(lo_); power <= hi_; ++power) {
        for (const double factor : {1, 2, 5}) {
          const double unit = std::pow(10, power), value = factor * unit;
          if (holds(value)) marks.push_back({value, mark_text(value, unit)});
        }
      }
      if (marks.size() > 1) return marks;
      marks.clear();  // or the numbers between those
    }
    const double lo = log_ ? std::pow(10, lo_) : lo_, hi = log_ ? std::pow(10, hi_) : hi_;
    const double step = std::max(least_step_, mark_step(hi - lo));
    for (double k = std::ceil(lo / step); k * step <= hi; ++k) {
      marks.push_back({k * step, mark_text(k * step, step)});
    }
    return marks;
  }

 private:
  double at(double value) const { return log_ ? std::log10(value) : value; }
  /// A round step that gives three to six marks: 1, 2 or 5 times a power of ten.
  static double mark_step(double span) {
    const double power = std::pow(10, std::floor(std::log10(span / 3)));
    for (const double factor : {5.0, 2.0}) {
      if (factor * power <= span / 3) return factor * power;
    }
    return power;
  }

  bool log_;
  double lo_ = HUGE_VAL, hi_ = -HUGE_VAL, least_step_ = 0;
};

class ChartWriter {
 public:
  ChartWriter(const Chart& chart, Svg& svg)
      : chart_(chart),
        svg_(svg),
        small_(chart.width < 400),
        left_(small_ ? 34 : 50),
        right_(small_ ? 8 : 10),
        top_(small_ ? 40 : 46),
        bottom_(chart.x_label.empty() ? 22 : 40),
        x_(chart.log_x),
        y_(chart.log_y) {
    for (const Curve& curve : chart.curves) {
      for (const double x : curve.x) x_.add(x);
      for (const double y : curve.y) y_.add(y);
      if (curve.kind != Curve::Kind::bars || curve.x.empty()) continue;
      x_.add(curve.x.front() - apart(curve) / 2);
      x_.add(curve.x.back() + apart(curve) / 2);
      y_.add(0);
    }
    const auto whole = [](const Curve& curve) {
      return std::ranges::all_of(curve.x, [](double x) { return x == std::round(x); });
    };
    if (std::ranges::all_of(chart.curves, whole)) x_.only_whole();
    if (chart.y_min < chart.y_max) y_.cut(chart.y_min, chart.y_max);
    for (size_t i = 0; i < chart.x_names.size(); ++i) {
      for (const double side : {0.5, 1.5}) x_.add(static_cast<double>(i) + side);
    }
    x_.widen(small_ ? 0 : 0.02);
    y_.widen(0.05);
  }

  void draw() {
    svg_.text({heading(), small_ ? 16.0 : 14.0}, chart_.title, "title", Svg::Anchor::start);
    if (chart_.legend) {
      legend();
    } else {
      svg_.text({heading(), small_ ? 31.0 : 34.0},
                fitting(chart_.note, (chart_.width - heading()) * (small_ ? 1.2 : 1)),
                small_ ? "little" : "note", Svg::Anchor::start);
    }
    marks();
    for (const bool behind : {true, false}) {
      for (size_t i = 0; i < chart_.curves.size(); ++i) {
        if (chart_.curves[i].faint == behind) curve(chart_.curves[i], colour_of(i));
      }
    }
  }

 private:
  /// From one bar to the next.
  static double apart(const Curve& bars) {
    return bars.x.size() > 1 ? std::abs(bars.x[1] - bars.x[0]) : 1;
  }
  double wide() const { return chart_.width - left_ - right_; }
  double high() const { return chart_.height - top_ - bottom_; }
  double at_x(double x) const { return left_ + x_.share(x) * wide(); }
  double at_y(double y) const { return top_ + (1 - y_.share(y)) * high(); }

  /// Where title and legend begin: with the chart's axis, or with the text around a large one.
  double heading() const { return small_ ? left_ : 0; }

  /// Faint curves are grey.
  size_t colour_of(size_t curve) const {
    return chart_.curves[curve].faint ? colours - 1 : curve % (colours - 1);
  }

  void legend() {
    double x = heading();
    for (size_t i = 0; i < chart_.curves.size(); ++i) {
      const Curve& curve = chart_.curves[i];
      if (curve.name.empty()) continue;
      const double wide = 36 + 6.2 * static_cast<double>(curve.name.size());
      if (x + wide > chart_.width + 10) {  // the others have their names as tips
        svg_.text({x, 34}, "…", "note", Svg::Anchor::start);
        break;
      }
      const std::string filled = cat("filled c", colour_of(i));
      switch (curve.kind) {
        case Curve::Kind::points: svg_.circle({x + 8, 30}, 3, filled); break;
        case Curve::Kind::bars: svg_.rect({x + 5, 25}, 10, 10, 2, filled); break;
        case Curve::Kind::line:
          svg_.line({x, 30}, {x + 16, 30}, cat("curve c", colour_of(i)), style_of(curve));
      }
      svg_.text({x + 20, 34}, curve.name, "note", Svg::Anchor::start);
      x += wide;
    }
  }

  std::vector<Axis::Mark> x_marks() const {
    if (chart_.x_names.empty()) return x_.marks();
    std::vector<Axis::Mark> marks;
    const double room = wide() / static_cast<double>(chart_.x_names.size());
    for (const std::string& name : chart_.x_names) {
      marks.push_back({static_cast<double>(marks.size() + 1), fitting(name, room - 6)});
    }
    return marks;
  }

  void marks() {
    const double low = chart_.height - bottom_;
    const std::string_view kind = small_ ? "little" : "mark";
    for (const auto& [value, text] : x_marks()) {
      const double x = at_x(value);
      svg_.line({x, top_}, {x, low}, value == 0 ? "axis" : "grid");
      svg_.text({x, low + (small_ ? 14 : 16)}, text, kind);
    }
    for (const auto& [value, text] : y_.marks()) {
      const double y = at_y(value);
      svg_.line({left_, y}, {chart_.width - right_, y}, value == 0 ? "axis" : "grid");
      svg_.text({left_ - (small_ ? 4 : 8), y + (small_ ? 3 : 4)}, text, kind, Svg::Anchor::end);
    }
    if (!chart_.x_label.empty()) {
      svg_.text({left_ + wide() / 2, chart_.height - 6}, chart_.x_label, kind);
    }
    if (!chart_.y_label.empty()) {
      svg_.text({chart_.width - right_, 14}, chart_.y_label, kind, Svg::Anchor::end);
    }
  }

  static std::string style_of(const Curve& curve) {
    return cat("stroke-linecap=\"round\"", curve.dashed ? " stroke-dasharray=\"5 4\"" : "",
               curve.faint ? " opacity=\"0.5\"" : "");
  }

  void curve(const Curve& curve, size_t colour) {
    const size_t count = std::min(curve.x.size(), curve.y.size());
    if (curve.kind == Curve::Kind::points) {
      const std::string style = cat("opacity=\"", count > 300 ? "0.35" : "0.7", "\"");
      for (size_t i = 0; i < count; ++i) {
        if (!inside(curve, i)) continue;
        svg_.circle({at_x(curve.x[i]), at_y(curve.y[i])}, count > 300 ? 2 : 3,
                    cat("filled c", colour), style);
      }
    } else if (curve.kind == Curve::Kind::bars) {
      const double each = (at_x(apart(curve)) - at_x(0)) * 0.8;
      for (size_t i = 0; i < count; ++i) {
        if (!inside(curve, i)) continue;
        const double y = at_y(curve.y[i]);
        const double zero = chart_.log_y ? chart_.height - bottom_ : at_y(0);
        svg_.rect({at_x(curve.x[i]) - each / 2, std::min(y, zero)}, each, std::abs(zero - y), 1,
                  cat("filled c", colour), curve.faint ? "opacity=\"0.35\"" : "",
                  cat(number(curve.x[i]), ": ", number(curve.y[i])));
      }
    } else {
      line(curve, colour);
    }
  }

  bool inside(const Curve& curve, size_t i) const {
    return x_.holds(curve.x[i]) && y_.holds(curve.y[i]);
  }

  /// One path; leaving the chart or a value that is not finite lifts the pen.
  void line(const Curve& curve, size_t colour) {
    std::string path;
    bool down = false;
    const size_t count = std::min(curve.x.size(), curve.y.size());
    for (size_t i = 0; i < count; ++i) {
      if (inside(curve, i)) {
        path +=
            cat(down ? 'L' : 'M', coordinate(at_x(curve.x[i])), ' ', coordinate(at_y(curve.y[i])));
        const bool alone = !down && (i + 1 == count || !inside(curve, i + 1));
        if (alone) path += "h0.1";
      }
      down = inside(curve, i);
    }
    svg_.path(path, cat("curve c", colour), style_of(curve), curve.name);
  }

  const Chart& chart_;
  Svg& svg_;
  bool small_;
  double left_, right_, top_, bottom_;
  Axis x_, y_;
};

}  // namespace

std::string draw_charts(std::span<const Chart> charts, int columns) {
  const int count = static_cast<int>(charts.size());
  columns = std::max(1, std::min(columns, count));
  const int rows = (count + columns - 1) / columns;
  double width = 1, height = 1;
  for (const Chart& chart : charts) {
    width = std::max(width, chart.width);
    height = std::max(height, chart.height);
  }
  const double gap = count > 1 && width > 300 ? 16 : 0;  // one alone stands in something else
  width += 2 * gap;
  height += 2 * gap;
  Svg svg;
  for (int i = 0; i < count; ++i) {
    svg.open_group({i % columns * width + gap, i / columns * height + gap});
    ChartWriter(charts[static_cast<size_t>(i)], svg).draw();
    svg.close_group();
  }
  return svg.finish(columns * width, rows * height, count == 1 ? charts[0].title : "Charts");
}

std::string draw_bars(const BarChart& chart) {
  constexpr double left = 104, top = 50, thick = 9, gap = 9;
  const double room = chart.width - left - 10;
  const double group = thick * static_cast<double>(chart.series.size()) + gap;
  Svg svg;
  svg.text({0, 14}, chart.title, "title", Svg::Anchor::start);
  double x = 0;
  for (size_t s = 0; s < chart.series.size(); ++s) {
    svg.rect({x, 25}, 10, 10, 2, cat("filled c", s % colours));
    svg.text({x + 15, 34}, chart.series[s].name, "note", Svg::Anchor::start);
    x += 32 + 6.2 * static_cast<double>(chart.series[s].name.size());
  }
  const double low = top + group * static_cast<double>(chart.names.size());
  for (const double share : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    svg.line({left + share * room, top - 4}, {left + share * room, low},
             share > 0 ? "grid" : "axis");
    svg.text({left + share * room, low + 14}, number(share), "mark");
  }
  for (size_t i = 0; i < chart.names.size(); ++i) {
    const double y = top + group * static_cast<double>(i);
    svg.text({left - 8, y + (group - gap) / 2 + 4}, fitting(chart.names[i], left - 20), "note",
             Svg::Anchor::end);
    for (size_t s = 0; s < chart.series.size(); ++s) {
      const double share = chart.series[s].shares[i], at = y + thick * static_cast<double>(s);
      if (!std::isfinite(share)) continue;
      const double wide = room * std::clamp(share, 0.0, 1.0);
      svg.rect({left, at}, std::max(wide, 1.0), thick - 1, 1, cat("filled c", s % colours), "",
               cat(chart.names[i], ", ", chart.series[s].name, ": ",
                   number(std::round(share * 1e4) / 1e4)));
    }
  }
  return svg.finish(chart.width, low + 24, chart.title);
}

std::string draw_confusion(const ConfusionChart& chart) {
  const size_t count = chart.names.size();
  constexpr double left = 104, top = 58;
  const double cell = std::clamp((chart.width - left) / static_cast<double>(count), 6.0, 56.0);
  const bool worded = cell >= 20;
  Svg svg;
  svg.text({0, 14}, chart.title, "title", Svg::Anchor::start);
  svg.text({left, 34}, "answer →", "note", Svg::Anchor::start);
  svg.text({left - 8, top - 8}, "label ↓", "note", Svg::Anchor::end);
  for (size_t i = 0; i < count; ++i) {
    const double middle = cell * (static_cast<double>(i) + 0.5);
    if (cell >= 11) {
      svg.text({left - 8, top + middle + 4}, fitting(chart.names[i], left - 20), "note",
               Svg::Anchor::end);
    }
    if (worded) {
      svg.text({left + middle, top - 8}, fitting(chart.names[i], cell * 1.2), "little");
    }
    double sum = 0;
    for (size_t j = 0; j < count; ++j) sum += chart.counts[i * count + j];
    for (size_t j = 0; j < count; ++j) {
      const double n = chart.counts[i * count + j], share = sum > 0 ? n / sum : 0;
      const Svg::Point corner{left + cell * static_cast<double>(j),
                              top + cell * static_cast<double>(i)};
      const double gap = cell > 12 ? 1 : 0;
      svg.rect({corner.x, corner.y}, cell - gap, cell - gap, gap, "data",
               "style=\"stroke:none\" opacity=\"0.7\"");
      if (n > 0) {  // small shares of mistakes must still be seen
        svg.rect(
            {corner.x, corner.y}, cell - gap, cell - gap, gap, i == j ? "right" : "wrong",
            cat("opacity=\"", hundredths(0.1 + 0.8 * (i == j ? share : std::sqrt(share))), "\""),
            cat(chart.names[i], " → ", chart.names[j], ": ", number(n)));
      }
      const bool strong = (i == j ? share : std::sqrt(share)) > 0.55;
      if (worded && n > 0) {
        svg.text({corner.x + cell / 2, corner.y + cell / 2 + 4}, number(n),
                 strong ? "mark inverse" : "mark ink");
      }
    }
  }
  const double side = cell * static_cast<double>(count);
  return svg.finish(std::max(chart.width, left + side), top + side + 12, chart.title);
}

}  // namespace soma
