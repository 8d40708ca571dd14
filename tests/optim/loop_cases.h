// The plain loops of all rows.
#pragma once

#include "tests/optim/loop.h"

namespace soma::test {

/// Those of methods that look at whole arrays, at the loss, or act after the step.
void add_array_cases(std::map<std::string, std::vector<LoopCase>>& all);

}  // namespace soma::test
