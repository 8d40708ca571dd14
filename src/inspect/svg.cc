// A small writer of SVG.
#include "src/inspect/svg.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "src/base/text.h"

namespace soma {

namespace {

// Colours of the light theme, then what the dark one changes.
constexpr std::string_view style_sheet = R"(
text{font-family:system-ui,'Segoe UI','Helvetica Neue',Arial,sans-serif;fill:#1f2937}
.paper{fill:#ffffff}
.name{font-size:14px;font-weight:600}
.note{font-size:11px;fill:#6b7280}
.small{font-size:9px;fill:#374151}
.op{font-size:12px;font-weight:600}
.neuron{fill:#dbeafe;stroke:#2563eb;stroke-width:1.5}
.frozen{fill:#e0f2fe;stroke:#0891b2;stroke-width:2.5;stroke-dasharray:3 2}
.data{fill:#f3f4f6;stroke:#6b7280;stroke-width:1.5}
.step{fill:#fef9c3;stroke:#ca8a04;stroke-width:1.2}
.dot{fill:#6b7280}
.box{stroke-width:1.2}
.positive{stroke:#2563eb;fill:none}
.negative{stroke:#dc2626;fill:none}
.link{stroke:#6b7280;fill:none}
.band{stroke:none;fill:#9ca3af}
@media (prefers-color-scheme:dark){
text{fill:#e5e7eb}
.paper{fill:#111827}
.note{fill:#9ca3af}
.small{fill:#d1d5db}
.neuron{fill:#1e3a8a;stroke:#60a5fa}
.frozen{fill:#164e63;stroke:#22d3ee}
.data{fill:#374151;stroke:#9ca3af}
.step{fill:#422006;stroke:#facc15}
.dot{fill:#9ca3af}
.positive{stroke:#60a5fa}
.negative{stroke:#f87171}
.link{stroke:#9ca3af}
.band{fill:#6b7280}
}
)";

std::string point(Svg::Point p) { return cat(coordinate(p.x), " ", coordinate(p.y)); }

}  // namespace

std::string escape_xml(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&': result += "&amp;"; break;
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '"': result += "&quot;"; break;
      case '\'': result += "&#39;"; break;
      case '\n': result += "&#10;"; break;
      default: result += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    }
  }
  return result;
}

std::string coordinate(double value) {
  const auto tenths = static_cast<int64_t>(std::llround(value * 10));
  std::string text = cat(tenths < 0 ? "-" : "", std::llabs(tenths) / 10);
  if (tenths % 10) text += cat(".", std::llabs(tenths) % 10);
  return text;
}

void Svg::element(std::string_view name, std::string_view geometry, std::string_view kind,
                  std::string_view style, std::string_view tip) {
  body_ += cat("<", name, " class=\"", kind, "\" ", geometry, style.empty() ? "" : " ", style);
  body_ += tip.empty() ? "/>\n" : cat("><title>", escape_xml(tip), "</title></", name, ">\n");
}

void Svg::rect(Point corner, double width, double height, double radius, std::string_view kind,
               std::string_view style, std::string_view tip) {
  element("rect",
          cat("x=\"", coordinate(corner.x), "\" y=\"", coordinate(corner.y), "\" width=\"",
              coordinate(width), "\" height=\"", coordinate(height), "\" rx=\"", coordinate(radius),
              "\""),
          kind, style, tip);
}

void Svg::circle(Point center, double radius, std::string_view kind, std::string_view style,
                 std::string_view tip) {
  element("circle",
          cat("cx=\"", coordinate(center.x), "\" cy=\"", coordinate(center.y), "\" r=\"",
              coordinate(radius), "\""),
          kind, style, tip);
}

void Svg::line(Point from, Point to, std::string_view kind, std::string_view style,
               std::string_view tip) {
  element("path", cat("d=\"M", point(from), " L", point(to), "\""), kind, style, tip);
}

void Svg::curve(Point from, Point lead, Point tail, Point to, std::string_view kind,
                std::string_view style, std::string_view tip) {
  element("path",
          cat("d=\"M", point(from), " C", point(lead), " ", point(tail), " ", point(to), "\""),
          kind, style, tip);
}

void Svg::text(Point at, std::string_view content, std::string_view kind, Anchor anchor) {
  const char* const anchors[] = {"start", "middle", "end"};
  body_ += cat("<text class=\"", kind, "\" x=\"", coordinate(at.x), "\" y=\"", coordinate(at.y),
               "\" text-anchor=\"", anchors[static_cast<int>(anchor)], "\">", escape_xml(content),
               "</text>\n");
}

std::string Svg::finish(double width, double height, std::string_view title) const {
  const std::string w = coordinate(width), h = coordinate(height);
  return cat("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", w, " ", h, "\" width=\"",
             w, "\" height=\"", h, "\" role=\"img\">\n<title>", escape_xml(title),
             "</title>\n<style>", style_sheet, "</style>\n<rect class=\"paper\" width=\"", w,
             "\" height=\"", h, "\"/>\n", body_, "</svg>\n");
}

}  // namespace soma
