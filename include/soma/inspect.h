// Looking at networks, graphs and plans: summaries and drawings.
//
// Drawings are returned as text: SVG files that need nothing else and follow the reader's light or
// dark theme, or the DOT language of Graphviz.
#pragma once

#include <string>

#include "soma/graph.h"
#include "soma/network.h"
#include "soma/plan_report.h"

namespace soma {

enum class SummaryFormat { text, json };
/// Layers, neurons, links, parameters, shapes, floating-point operations and memory. The JSON has
/// the fields of NetworkInfo under the same names.
std::string summary(const Network& network, SummaryFormat format = SummaryFormat::text);

enum class DrawFormat { svg, dot };
struct DrawOptions {
  DrawFormat format = DrawFormat::svg;
  /// Layers with more neurons show the first and the last and an ellipsis in between.
  int max_neurons = 12;
};
/// The layers with their neurons and links. Links are shaded by weight: the stronger the darker,
/// positive and negative ones in different colours.
std::string draw_network(const Network& network, const DrawOptions& options = {});

/// The nodes of a computational graph that lead to its results, coloured by the layer they belong
/// to. Constants are written into the nodes that use them.
std::string draw_graph(const Graph& graph, DrawFormat format = DrawFormat::svg);

/// The report of a plan (soma/plan_report.h) with the fields of PlanReport under the same names,
/// its totals, and for each instruction the least time it could take.
std::string to_json(const PlanReport& report);
/// The memory map as SVG: a box for each buffer of the arena, as wide as the instructions that use
/// it, at its addresses from top to bottom.
std::string draw_memory(const PlanReport& report);

}  // namespace soma
