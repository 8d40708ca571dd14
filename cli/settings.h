// The options of a command by their names: read, compared and set one by one.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/command.h"

namespace soma::cli {

/// Names (flags without their dashes, positional arguments) and values, in the command's order; ""
/// where the default is to decide.
using Settings = std::vector<std::pair<std::string, std::string>>;
Settings settings_of(Command& command);

/// A value for readers: those of an option that was given several times have commas between them.
std::string shown(const std::string& value);

/// Sets one option from text, as settings_of() gives it. Throws UsageError, naming the nearest, for
/// an unknown name, and for a value that does not fit.
void set_option(Command& command, const std::string& name, const std::string& value);

/// The shell line that gives the command those settings which differ from `defaults`.
std::string shell_line(const std::string& command, const Settings& settings,
                       const Settings& defaults);

}  // namespace soma::cli
