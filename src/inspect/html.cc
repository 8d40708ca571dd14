// Pages.
#include "src/inspect/html.h"

#include <charconv>
#include <cmath>

#include "src/base/text.h"
#include "src/inspect/svg.h"

namespace soma {
namespace {

// One column of text, two of figures; colours of the light theme in variables, which the dark one
// changes on screens. On paper tables are unfolded and nothing is cut by a page's end.
constexpr std::string_view style_sheet = R"(
:root{color-scheme:light dark;--paper:#ffffff;--ink:#1f2937;--soft:#4b5563;--faint:#6b7280;
--rule:#e5e7eb;--wash:#f8fafc;--accent:#1d4ed8}
@media screen and (prefers-color-scheme:dark){:root{--paper:#111827;--ink:#e5e7eb;--soft:#cbd5e1;
--faint:#9ca3af;--rule:#293548;--wash:#172033;--accent:#93c5fd}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;padding:3.5rem 1.5rem 5rem;max-width:70rem;background:var(--paper);
color:var(--ink);font:1rem/1.6 system-ui,'Segoe UI','Helvetica Neue',Arial,sans-serif}
h1,h2{font-family:Charter,'Bitstream Charter','Sitka Text',Cambria,Georgia,serif;line-height:1.2}
h1{font-size:2.6rem;font-weight:700;letter-spacing:-.01em;margin:.2rem 0 .6rem;
overflow-wrap:anywhere}
h2{font-size:1.5rem;font-weight:600;margin:3.5rem 0 1.2rem;padding-top:1rem;
border-top:1px solid var(--rule)}
h3{font-size:1rem;font-weight:600;margin:2rem 0 .6rem}
p{margin:0 0 1rem;max-width:46rem}
.kicker{margin:0;font-size:.8rem;font-weight:600;letter-spacing:.09em;text-transform:uppercase;
color:var(--accent)}
.deck{font-size:1.1rem;color:var(--soft)}
.keys{display:grid;grid-template-columns:repeat(auto-fit,minmax(7rem,1fr));gap:1.5rem 2rem;
margin:2.2rem 0 0;padding:1.4rem 0 1.2rem;border-top:2px solid var(--ink);
border-bottom:1px solid var(--rule)}
.keys div{display:flex;flex-direction:column-reverse;justify-content:flex-end}
.keys dt{font-size:.85rem;color:var(--faint)}
.keys dd{margin:0;font-size:1.75rem;line-height:1.25;font-weight:600;letter-spacing:-.01em;
font-variant-numeric:tabular-nums}
.figures{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:2.2rem 2.5rem;
align-items:start}
.packed{columns:2;column-gap:2.5rem}
.packed figure{break-inside:avoid;padding-bottom:2.2rem}
figure{margin:0;min-width:0}
figure.whole{grid-column:1/-1}
figure>.drawing{display:block;width:100%;height:auto}
figure .wide{overflow-x:auto}
figure .wide>.drawing{display:block;margin:0 auto}
figcaption{margin:.5rem 0 .3rem;font-size:.875rem;line-height:1.5;color:var(--soft)}
details{font-size:.85rem}
summary{cursor:pointer;color:var(--accent);width:max-content}
summary:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.table{overflow-x:auto;max-height:24rem;overflow-y:auto;margin:.4rem 0 0}
details .table{border:1px solid var(--rule);border-radius:4px;padding:0 .4rem}
table{border-collapse:collapse;font-size:.85rem;line-height:1.4;font-variant-numeric:tabular-nums}
th,td{padding:.32rem .7rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}
tr:last-child>td{border-bottom:0}
th{font-weight:600;color:var(--faint);white-space:nowrap}
.table thead th{position:sticky;top:0;background:var(--paper)}
.n{text-align:right;white-space:nowrap}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(6.4rem,1fr));gap:1.2rem .9rem;
margin:0 0 1rem;padding:0;list-style:none}
.pictures img{display:block;width:100%;aspect-ratio:1;object-fit:contain;image-rendering:pixelated;
background:#000;border-radius:3px}
.pictures p{margin:.35rem 0 0;font-size:.78rem;line-height:1.35;color:var(--soft)}
.pictures b{color:var(--ink);font-weight:600}
pre{margin:0 0 1.5rem;padding:.9rem 1.1rem;background:var(--wash);border:1px solid var(--rule);
border-radius:4px;font:.85rem/1.5 ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;
white-space:pre-wrap;overflow-wrap:anywhere}
pre span{white-space:nowrap}
.columns{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:0 2.5rem;align-items:start}
.columns h3{margin-top:0}
.columns .table,.open .table{max-height:none}
.columns td{overflow-wrap:anywhere}.columns td:first-child{color:var(--faint);white-space:nowrap}
footer{margin-top:4rem;padding-top:.8rem;border-top:1px solid var(--rule);font-size:.8rem;
color:var(--faint)}
@media screen and (max-width:52rem){body{padding:2rem 1rem 3rem}h1{font-size:2rem}
.figures,.columns{grid-template-columns:minmax(0,1fr)}.packed{columns:1}}
@media print{@page{margin:16mm 14mm}
:root{color-scheme:light}
html{font-size:9.5pt}
body{padding:0;max-width:none}
h2{margin:2.2rem 0 1rem;break-after:avoid}
.keys{margin-top:1.2rem;padding:1rem 0 .8rem;gap:.8rem 1.2rem;
grid-template-columns:repeat(auto-fit,minmax(5.5rem,1fr))}
.figures{gap:1.6rem 2rem}
.packed{columns:auto;display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:1.6rem 2rem}
.packed figure{padding:0}.packed figure:first-child{grid-column:1/-1}
.packed figure:first-child>.drawing{width:50%}
section>p{break-after:avoid}
figure>.drawing{break-inside:avoid;break-after:avoid}
figcaption{break-inside:avoid;break-after:avoid}
.pictures li,tr{break-inside:avoid}
figure .wide>.drawing{width:auto;max-width:100%;height:auto;max-height:10cm}
summary{display:none}
details::details-content{content-visibility:visible;display:block;height:auto}
.table,details .table{max-height:none;overflow:visible;border:0;padding:0}
table{font-size:7.5pt}th,td{padding:.12rem .6rem .12rem 0}
.pictures{grid-template-columns:repeat(8,1fr);gap:.8rem .7rem}
.pictures img,.drawing *{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
)";

bool is_number(std::string_view cell) {
  if (cell.ends_with("\u00a0%")) cell.remove_suffix(3);
  if (cell == "–" || cell.empty()) return true;
  std::string digits;
  for (const char c : cell) {
    if (c != ',') digits += c;
  }
  double value = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc{} && stop == digits.data() + digits.size();
}

}  // namespace

std::string html_of(const HtmlTable& table, Rows which) {
  constexpr size_t most = 24;
  const size_t count = table.rows.size(),
               shown = which == Rows::all ? count : std::min(count, most);
  std::vector<const std::vector<std::string>*> rows;
  for (size_t i = 0; i < shown; ++i) {
    rows.push_back(&table.rows[shown < 2 ? i : i * (count - 1) / (shown - 1)]);
  }
  std::vector<bool> numbers(table.heading.size(), !rows.empty());
  for (const auto* row : rows) {
    for (size_t c = 0; c < row->size() && c < numbers.size(); ++c) {
      numbers[c] = numbers[c] && is_number((*row)[c]);
    }
  }
  const auto cell = [&](std::string_view name, size_t column, std::string_view text) {
    const bool right = column < numbers.size() && numbers[column];
    return cat("<", name, right ? " class=\"n\">" : ">", escape_xml(text), "</", name, ">");
  };
  std::string text = "<div class=\"table\"><table>";
  if (!table.heading.empty()) {
    text += "<thead><tr>";
    for (size_t c = 0; c < table.heading.size(); ++c) text += cell("th", c, table.heading[c]);
    text += "</tr></thead>";
  }
  text += "<tbody>\n";
  for (const auto* row : rows) {
    text += "<tr>";
    for (size_t c = 0; c < row->size(); ++c) text += cell("td", c, (*row)[c]);
    text += "</tr>\n";
  }
  text += "</tbody></table></div>\n";
  if (shown < count) {
    text += cat("<p>", shown, " of ", grouped(static_cast<int64_t>(count)), " rows.</p>\n");
  }
  return text;
}

std::string html_figure(std::string_view svg, std::string_view caption, const HtmlTable& numbers,
                        Width width) {
  std::string drawing(svg);
  const size_t begin = drawing.find("<style>"), end = drawing.find("</style>");
  if (end != drawing.npos) drawing.erase(begin, end + 9 - begin);  // the page has it once
  const bool whole = width == Width::whole;
  return cat(whole ? "<figure class=\"whole\">\n<div class=\"wide\">" : "<figure>\n", drawing,
             whole ? "</div>\n" : "", "<figcaption>", escape_xml(caption), "</figcaption>\n",
             numbers.rows.empty() ? ""
                                  : cat("<details><summary>The numbers</summary>\n",
                                        html_of(numbers), "</details>\n"),
             "</figure>\n");
}

std::string html_section(std::string_view heading, const std::string& content) {
  if (content.empty()) return "";
  return cat("<section>\n<h2>", escape_xml(heading), "</h2>\n", content, "</section>\n");
}

std::string html_page(std::string_view title, const std::string& body) {
  return cat("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n",
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n",
             "<link rel=\"icon\" href=\"data:,\"/>\n<title>", escape_xml(title),
             "</title>\n<style>", style_sheet, svg_style_sheet(), "</style>\n</head>\n<body>\n",
             body, "</body>\n</html>\n");
}

std::string figure_of(double value) {
  if (std::isnan(value)) return "–";
  if (std::isinf(value) || (value == std::round(value) && std::abs(value) < 1e6)) {
    return number(value);
  }
  const double size = std::abs(value);
  if (size < 1e-3 || size >= 1e6) return scientific(value, 2);
  return fixed(value, size < 10 ? 4 : size < 1000 ? 2 : 0);
}

std::string brief_of(double value) {
  return std::isfinite(value) ? general(value, 5) : figure_of(value);
}

std::string time_of(double seconds) {
  if (seconds < 60) {
    return cat(fixed(seconds, seconds < 0.01 ? 4 : seconds < 10 ? 2 : 0), "\u00a0s");
  }
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  const auto two = [](int64_t n) { return cat(n < 10 ? "0" : "", n); };
  return whole < 3600 ? cat(whole / 60, ":", two(whole % 60))
                      : cat(whole / 3600, ":", two(whole / 60 % 60), ":", two(whole % 60));
}

std::string percent_of(double share) {
  return std::isfinite(share) ? cat(fixed(share * 100, 1), "\u00a0%") : "–";
}

}  // namespace soma
