// The program `soma`: finds the command, runs it, and turns what it throws into one sentence on
// standard error and an exit code.
#include <csignal>
#include <cstring>
#include <exception>
#include <new>

#include "cli/command.h"
#include "cli/config.h"
#include "soma/error.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

constexpr std::string_view tail = R"(
soma COMMAND --help shows the options of a command, with examples.
Every command takes --json (one JSON object a line) and --quiet. NO_COLOR is respected.

Exit codes: 0 done; 1 the work failed (a bad data set, model or file); 2 the command line was not
understood; 130 interrupted (what was trained is saved).
)";

std::vector<std::unique_ptr<Command>> all_commands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(make_train());
  commands.push_back(make_init());
  commands.push_back(make_report());
  commands.push_back(make_compare());
  commands.push_back(make_sweep());
  commands.push_back(make_evaluate());
  commands.push_back(make_predict());
  commands.push_back(make_generate());
  commands.push_back(make_inspect());
  commands.push_back(make_list());
  commands.push_back(make_activations());
  commands.push_back(make_gradcheck());
  commands.push_back(make_bench());
  commands.push_back(make_data());
  commands.push_back(make_version());
  return commands;
}

std::string overview(const std::vector<std::unique_ptr<Command>>& commands) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& command : commands) {
    rows.push_back({cat("  ", command->name()), std::string(command->summary())});
  }
  return cat("Soma trains, runs and inspects neural networks.\n\nUsage: soma COMMAND [OPTIONS]\n\n",
             "Commands:\n", table(rows), "\n", tail, "\nFirst steps:\n",
             "  soma train iris --net \"8 tanh, 3\" --epochs 60 --out run/\n",
             "  soma inspect run/model.soma\n");
}

Command& find_command(const std::vector<std::unique_ptr<Command>>& commands,
                      std::string_view name) {
  std::vector<std::string> names;
  for (const auto& command : commands) {
    if (command->name() == name) return *command;
    names.emplace_back(command->name());
  }
  const std::string guess = did_you_mean(name, names);
  throw UsageError(cat("there is no command \"", name, "\"",
                       guess.empty() ? "; soma --help lists the commands" : guess));
}

struct Shared {
  Command& command;
  bool json = false;
  bool quiet = false;
};

void describe(Options& options, void* target) {
  auto& shared = *static_cast<Shared*>(target);
  shared.command.options(options);
  options.flag("--json", shared.json, "One JSON object per line on standard output");
  options.flag("--quiet", shared.quiet, "Only results and errors");
}

bool configure(void* target) {
  Command& command = static_cast<Shared*>(target)->command;
  const std::string file = command.configuration();
  if (file.empty()) return false;
  read_config(command, file);
  return true;
}

int run(int count, char** arguments) {
  const auto commands = all_commands();
  const std::string_view name = count > 1 ? arguments[1] : "--help";
  if (name == "--help" || name == "-h" || (name == "help" && count < 3)) {
    Console(false, false).line(overview(commands));
    if (count > 1) return exit_ok;
    throw UsageError("a command is missing");
  }
  const bool about = name == "help";
  Shared shared{find_command(commands, name == "--version" ? "version"
                                       : about             ? arguments[2]
                                                           : name)};
  char help_flag[] = "--help";
  char* help_arguments[] = {help_flag};
  std::string help;
  const bool parsed = parse_options(about ? 1 : count - 2, about ? help_arguments : arguments + 2,
                                    shared.command.name(), shared.command.summary(),
                                    shared.command.examples(), describe, configure, &shared, help);
  Console console(shared.json, shared.quiet);
  if (!parsed) {
    console.line(trim(help));
    return exit_ok;
  }
  return shared.command.run(console);
}

bool wants_json(int count, char** arguments) {
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(arguments[i], "--json") == 0) return true;
  }
  return false;
}

int guarded(int count, char** arguments) {
  const auto fail = [&](std::string_view message, Exit code) {
    report_error(message, wants_json(count, arguments));
    return static_cast<int>(code);
  };
  try {
    return run(count, arguments);
  } catch (const UsageError& error) {
    return fail(error.what(), exit_usage);
  } catch (const Error& error) {
    return fail(error.what(), exit_failed);
  } catch (const std::bad_alloc&) {
    return fail("there is not enough memory for this; use a smaller network or batch", exit_failed);
  } catch (const std::exception& error) {
    return fail(cat("something unexpected went wrong: ", error.what()), exit_failed);
  }
}

}  // namespace
}  // namespace soma::cli

int main(int count, char** arguments) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that went away shows as a failed write
  std::signal(SIGXFSZ, SIG_IGN);  // as does a file that grows too large
  return soma::cli::guarded(count, arguments);
}
