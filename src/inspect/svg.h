// A small writer of SVG: shapes in order, escaped text, one style sheet for light and dark, and for
// drawings and charts alike.
#pragma once

#include <string>
#include <string_view>

namespace soma {

/// Text for XML content and attributes; characters that XML 1.0 forbids become '?'.
std::string escape_xml(std::string_view text);
/// A coordinate: at most one decimal, the same on every machine.
std::string coordinate(double value);

/// The rules of all drawings; what finish() puts into each.
std::string_view svg_style_sheet();

class Svg {
 public:
  struct Point {
    double x = 0, y = 0;
  };
  enum class Anchor { start, middle, end };

  /// `kind` is a class of the style sheet; `style` more attributes, for example `opacity="0.5"`.
  void rect(Point corner, double width, double height, double radius, std::string_view kind,
            std::string_view style = {}, std::string_view tip = {});
  void circle(Point center, double radius, std::string_view kind, std::string_view style = {},
              std::string_view tip = {});
  void line(Point from, Point to, std::string_view kind, std::string_view style = {},
            std::string_view tip = {});
  /// A smooth line that leaves and arrives in the direction from `from` to `lead`, `tail` to `to`.
  void curve(Point from, Point lead, Point tail, Point to, std::string_view kind,
             std::string_view style = {}, std::string_view tip = {});
  /// Any path, in the language of the attribute "d".
  void path(std::string_view data, std::string_view kind, std::string_view style = {},
            std::string_view tip = {});
  void text(Point at, std::string_view content, std::string_view kind,
            Anchor anchor = Anchor::middle);
  /// What follows, up to close_group(), is moved there.
  void open_group(Point at);
  void close_group();
  /// The whole file. Its style sheet concerns nothing but drawings, so that it may stand in a page.
  std::string finish(double width, double height, std::string_view title) const;

 private:
  void element(std::string_view name, std::string_view geometry, std::string_view kind,
               std::string_view style, std::string_view tip);
  std::string body_;
};

}  // namespace soma
