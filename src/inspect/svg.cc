// A small writer of SVG.
#include "src/inspect/svg.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "src/base/text.h"

namespace soma {

namespace {

// Colours of the light theme, then what the dark one changes on a screen: paper is white.
constexpr std::string_view style_sheet = R"(
.drawing text{font-family:system-ui,'Segoe UI','Helvetica Neue',Arial,sans-serif;fill:#1f2937}
.drawing .paper{fill:#ffffff}
.drawing .name{font-size:14px;font-weight:600}
.drawing .title{font-size:13px;font-weight:600}
.drawing .note,.drawing .mark{font-size:11px;fill:#6b7280}
.drawing .little{font-size:9px;fill:#6b7280}
.drawing .small{font-size:9px;fill:#374151}
.drawing .op{font-size:12px;font-weight:600}
.drawing .neuron{fill:#dbeafe;stroke:#2563eb;stroke-width:1.5}
.drawing .frozen{fill:#e0f2fe;stroke:#0891b2;stroke-width:2.5;stroke-dasharray:3 2}
.drawing .data{fill:#f3f4f6;stroke:#6b7280;stroke-width:1.5}
.drawing .step{fill:#fef9c3;stroke:#ca8a04;stroke-width:1.2}
.drawing .dot{fill:#6b7280}
.drawing .box{stroke-width:1.2}
.drawing .positive{stroke:#2563eb;fill:none}
.drawing .negative{stroke:#dc2626;fill:none}
.drawing .link{stroke:#6b7280;fill:none}
.drawing .band{stroke:none;fill:#9ca3af}
.drawing .grid{stroke:#e5e7eb}
.drawing .axis{stroke:#9ca3af}
.drawing .right{fill:#2563eb}
.drawing .wrong{fill:#dc2626}
.drawing .ink{fill:#1f2937}
.drawing .inverse{fill:#ffffff}
.drawing .curve{fill:none;stroke-width:1.8;stroke-linejoin:round}
.drawing .c0{stroke:#2563eb;color:#2563eb}
.drawing .c1{stroke:#ea580c;color:#ea580c}
.drawing .c2{stroke:#059669;color:#059669}
.drawing .c3{stroke:#9333ea;color:#9333ea}
.drawing .c4{stroke:#0891b2;color:#0891b2}
.drawing .c5{stroke:#be123c;color:#be123c}
.drawing .c6{stroke:#a16207;color:#a16207}
.drawing .c7{stroke:#64748b;color:#64748b}
.drawing .filled{fill:currentColor;stroke:none}
@media screen and (prefers-color-scheme:dark){
.drawing text{fill:#e5e7eb}
.drawing .paper{fill:#111827}
.drawing .note,.drawing .mark,.drawing .little{fill:#9ca3af}
.drawing .small{fill:#d1d5db}
.drawing .neuron{fill:#1e3a8a;stroke:#60a5fa}
.drawing .frozen{fill:#164e63;stroke:#22d3ee}
.drawing .data{fill:#374151;stroke:#9ca3af}
.drawing .step{fill:#422006;stroke:#facc15}
.drawing .dot{fill:#9ca3af}
.drawing .positive{stroke:#60a5fa}
.drawing .negative{stroke:#f87171}
.drawing .link{stroke:#9ca3af}
.drawing .band{fill:#6b7280}
.drawing .grid{stroke:#293548}
.drawing .axis{stroke:#6b7280}
.drawing .right{fill:#60a5fa}
.drawing .wrong{fill:#f87171}
.drawing .ink{fill:#e5e7eb}
.drawing .inverse{fill:#0b1120}
.drawing .c0{stroke:#60a5fa;color:#60a5fa}
.drawing .c1{stroke:#fb923c;color:#fb923c}
.drawing .c2{stroke:#34d399;color:#34d399}
.drawing .c3{stroke:#c084fc;color:#c084fc}
.drawing .c4{stroke:#22d3ee;color:#22d3ee}
.drawing .c5{stroke:#fb7185;color:#fb7185}
.drawing .c6{stroke:#facc15;color:#facc15}
.drawing .c7{stroke:#94a3b8;color:#94a3b8}
}
)";

std::string point(Svg::Point p) { return cat(coordinate(p.x), " ", coordinate(p.y)); }

}  // namespace

std::string_view svg_style_sheet() { return style_sheet; }

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

void Svg::path(std::string_view data, std::string_view kind, std::string_view style,
               std::string_view tip) {
  element("path", cat("d=\"", data, "\""), kind, style, tip);
}

void Svg::open_group(Point at) {
  body_ += cat("<g transform=\"translate(", coordinate(at.x), " ", coordinate(at.y), ")\">\n");
}
void Svg::close_group() { body_ += "</g>\n"; }

void Svg::text(Point at, std::string_view content, std::string_view kind, Anchor anchor) {
  const char* const anchors[] = {"start", "middle", "end"};
  body_ += cat("<text class=\"", kind, "\" x=\"", coordinate(at.x), "\" y=\"", coordinate(at.y),
               "\" text-anchor=\"", anchors[static_cast<int>(anchor)], "\">", escape_xml(content),
               "</text>\n");
}

std::string Svg::finish(double width, double height, std::string_view title) const {
  const std::string w = coordinate(width), h = coordinate(height);
  return cat("<svg class=\"drawing\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", w, " ",
             h, "\" width=\"", w, "\" height=\"", h, "\" role=\"img\">\n<title>", escape_xml(title),
             "</title>\n<style>", style_sheet, "</style>\n<rect class=\"paper\" width=\"", w,
             "\" height=\"", h, "\"/>\n", body_, "</svg>\n");
}

}  // namespace soma
