// Pieces of a page: tables, figures with their numbers, and the page around them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace soma {

struct HtmlTable {
  std::vector<std::string> heading;
  std::vector<std::vector<std::string>> rows;
};
/// Of many rows, `some` shows 24: the first, the last and some evenly picked between them.
enum class Rows { some, all };
/// Cells that are numbers align to the right. Text is escaped.
std::string html_of(const HtmlTable& table, Rows rows = Rows::some);

enum class Width { half, whole };
/// A drawing (a whole SVG file), what it shows in a sentence, and its numbers to unfold.
std::string html_figure(std::string_view svg, std::string_view caption, const HtmlTable& numbers,
                        Width width = Width::half);

/// A heading and what stands below it; nothing at all when that is empty.
std::string html_section(std::string_view heading, const std::string& content);

/// The whole page.
std::string html_page(std::string_view title, const std::string& body);

/// "0.9667", "1.2e-07", "60": as many digits as a reader needs.
std::string figure_of(double value);
/// "8.7", "125.1", "1.2346e+07": five digits at most, for numbers of the data.
std::string brief_of(double value);
/// "0.89 s", "12 s", "2:05", "1:30:00"
std::string time_of(double seconds);
/// "96.7 %", held together
std::string percent_of(double share);

}  // namespace soma
