// The options of a command as a TOML file: keys are the flags without their dashes.
#pragma once

#include <string>

#include "cli/command.h"

namespace soma::cli {

/// Sets the options that the file names. Throws UsageError, naming file and line, for text that is
/// not TOML, unknown keys (with the nearest) and values that do not fit, and FileError for a file
/// that cannot be read.
void read_config(Command& command, const std::string& path);

enum class Explain : bool { no, yes };
/// Every option with its present value; explained: each under its help, without a value where the
/// default is to decide.
std::string config_text(Command& command, Explain explain = Explain::no);

}  // namespace soma::cli
