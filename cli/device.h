// The device that --threads and --precision ask for.
#pragma once

#include <cstdint>
#include <string>

#include "cli/options.h"
#include "soma/plan.h"

namespace soma::cli {

struct DeviceOptions {
  int64_t threads = 0;
  std::string precision = "fp32";

  void add_to(Options& options);
  /// Throws UsageError for an unknown precision.
  Device device() const;
};

}  // namespace soma::cli
