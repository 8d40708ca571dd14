// Regions: steps one after the other that can be cut into the same parts, so that a part of one
// needs no more than the same part of those before. A thread then takes a part through all of them
// and finds in its cache what it has just written: a batch, some samples at a time.
#pragma once

#include <set>
#include <vector>

#include "src/backends/cpu/dot.h"
#include "src/backends/cpu/fused.h"

namespace soma::cpu {

/// How a step can be cut into parts: equal shares of the chunks of its instructions.
struct StepParts {
  int64_t most = 0;                 ///< Into how many equal ones, or any divisor; 0: not at all.
  std::vector<passes::View> views;  ///< What it reads of arrays, in the order of its elements.
  struct Whole {
    Id id;
    size_t bytes;
  };
  std::vector<Whole> whole;  ///< Arrays that each part reads in any other way.
  std::vector<Id> writes;    ///< Arrays that are complete, part by part.
  std::vector<Id> ends;      ///< Arrays that are complete when all parts are done.
};

/// Of a fused step; `dot` and `made` are what it was planned to be, or null.
StepParts parts_of(const Graph& graph, const passes::Step& step, const DotPlan* dot,
                   const FusedStep* made);

struct Region {
  size_t first = 0, last = 0;  ///< Steps.
  int64_t parts = 1;
  std::set<Id> whole;  ///< Arrays that some part reads beyond itself.
};

/// All steps in order; those that stay alone are a region each.
std::vector<Region> find_regions(const Graph& graph, const std::vector<StepParts>& steps);

}  // namespace soma::cpu
