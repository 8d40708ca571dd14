// The gradient check with other rules than the library's: how tests show that it catches faults.
#pragma once

#include "soma/gradcheck.h"
#include "src/ad/rules.h"

namespace soma::ad {

GradCheckResult gradcheck(const std::function<Value(Graph&, std::span<const Value>)>& build,
                          std::span<const Tensor> points, const GradCheckOptions& options,
                          const Options& how);

}  // namespace soma::ad
