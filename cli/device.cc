#include "cli/device.h"

#include "src/base/text.h"

namespace soma::cli {

void DeviceOptions::add_to(Options& o) {
  o.integer("--threads", threads, 0, 1024, "Threads to compute with (0: every core)");
  o.text("--precision", precision, "NAME",
         "fp32, or bf16: matrix products round what they multiply, for speed");
}

Device DeviceOptions::device() const {
  if (precision != "fp32" && precision != "bf16") {
    throw UsageError(cat("--precision is fp32 or bf16; found \"", precision, "\""));
  }
  return Device::cpu(static_cast<int>(threads),
                     precision == "bf16" ? Precision::bf16 : Precision::fp32);
}

}  // namespace soma::cli
