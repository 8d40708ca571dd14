// The page of a training.
#include "soma/report.h"

#include "soma/inspect.h"
#include "src/base/text.h"
#include "src/inspect/html.h"
#include "src/inspect/judgement.h"
#include "src/inspect/report_parts.h"
#include "src/inspect/svg.h"

namespace soma {
namespace {

std::string key(std::string_view value, std::string_view name) {
  return cat("<div><dt>", escape_xml(name), "</dt><dd>", escape_xml(value), "</dd></div>\n");
}

std::string key_figures(const Report& report, const Network& net, const Judgement* judgement) {
  std::string keys;
  if (judgement) {
    for (const Score& score : judgement->scores.metrics) {
      const bool share = score.name == "accuracy";
      keys += key(share ? percent_of(score.value) : figure_of(score.value),
                  cat(score.name, ", ", report.rows_name));
    }
    keys += key(figure_of(judgement->scores.loss), cat("loss, ", report.rows_name));
    keys += key(grouped(judgement->scores.rows), report.rows_name);
  }
  const int64_t parameters = net.info().parameters;
  keys += key(grouped(parameters), parameters == 1 ? "parameter" : "parameters");
  if (!report.epochs.empty()) {
    keys += key(grouped(static_cast<int64_t>(report.epochs.size())),
                report.epochs.size() == 1 ? "epoch" : "epochs");
  }
  if (report.seconds > 0) keys += key(time_of(report.seconds), "training");
  return cat("<dl class=\"keys\">\n", keys, "</dl>\n");
}

std::string network_section(const Network& net) {
  HtmlTable table{{"layer", "kind", "output", "neurons", "links", "parameters"}, {}};
  for (const LayerInfo& layer : net.info().layers) {
    table.rows.push_back({layer.name, layer.text, layer.output.text(), grouped(layer.neurons),
                          grouped(layer.links), grouped(layer.parameters)});
  }
  return html_section(
      "Network",
      cat("<div class=\"figures\">\n",
          html_figure(draw_network(net),
                      "Links are shaded by weight: the stronger the darker, blue ones positive, "
                      "red ones negative. Large layers show their first and last neurons.",
                      table, Width::whole),
          "</div>\n"));
}

/// An option and its value stay on one line.
std::string shell_html(const std::string& command) {
  std::string text;
  size_t begin = 0;
  while (begin < command.size()) {
    const size_t end = std::min(command.find(" --", begin + 1), command.size());
    const bool first = begin == 0;
    text += cat(first ? "" : " ", "<span>",
                escape_xml(std::string_view(command).substr(begin + !first, end - begin - !first)),
                "</span>");
    begin = end;
  }
  return text;
}

std::string reproduction_section(const Report& report) {
  if (report.command.empty() && report.settings.empty()) return "";
  std::string content;
  if (!report.command.empty()) {
    content += cat("<p>The same command on the same data gives the same weights.</p>\n<pre>",
                   shell_html(report.command), "</pre>\n");
  }
  const size_t half = (report.settings.size() + 1) / 2;
  HtmlTable columns[2];
  for (size_t i = 0; i < report.settings.size(); ++i) {
    const auto& [name, value] = report.settings[i];
    columns[i < half ? 0 : 1].rows.push_back({name, value});
  }
  if (half > 0) {
    content += cat("<div class=\"columns\">\n", html_of(columns[0], Rows::all),
                   html_of(columns[1], Rows::all), "</div>\n");
  }
  return html_section("To reproduce it", content);
}

}  // namespace

std::string report_html(const Report& report, const Network& net, const ModelInfo& info,
                        const Dataset& rows, const Device& device) {
  std::optional<Judgement> judgement;
  if (rows.size() > 0) judgement = judge(net, info, rows, device);
  std::string body =
      cat("<header>\n<p class=\"kicker\">Training report</p>\n<h1>", escape_xml(report.title),
          "</h1>\n",
          report.introduction.empty()
              ? ""
              : cat("<p class=\"deck\">", escape_xml(report.introduction), "</p>\n"),
          key_figures(report, net, judgement ? &*judgement : nullptr), "</header>\n<main>\n");
  if (judgement) {
    body += results_section(*judgement, info, report.rows_name);
    body += mistakes_section(*judgement, info, rows, report.rows_name);
  }
  body += learning_section(report);
  body += layers_section(report);
  body += network_section(net);
  body += reproduction_section(report);
  body +=
      "</main>\n<footer>Written by soma report. Figures are drawings, with their numbers below "
      "them; nothing was fetched to show this page.</footer>\n";
  return html_page(cat(report.title, ": training report"), body);
}

}  // namespace soma
