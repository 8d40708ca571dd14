// A command of the program: its name, its options, its examples and its work. One file each.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "cli/console.h"
#include "cli/options.h"

namespace soma::cli {

/// Exit codes of the program.
enum Exit : int {
  exit_ok = 0,
  exit_failed = 1,  ///< the work failed: a bad data set, model or file
  exit_usage = 2,   ///< the command line was not understood
  exit_interrupted = 130
};

class Command {
 public:
  virtual ~Command() = default;
  virtual std::string_view name() const = 0;
  /// One line for the list of commands.
  virtual std::string_view summary() const = 0;
  /// Shell lines for the end of --help.
  virtual std::string_view examples() const = 0;
  /// Binds the options to members; --json and --quiet are there for all.
  virtual void options(Options& options) = 0;
  /// The TOML file whose settings come before those of the command line; "": none.
  virtual std::string configuration() const { return ""; }
  virtual int run(Console& console) = 0;
};

std::unique_ptr<Command> make_train();
std::unique_ptr<Command> make_init();
std::unique_ptr<Command> make_report();
std::unique_ptr<Command> make_compare();
std::unique_ptr<Command> make_sweep();
std::unique_ptr<Command> make_evaluate();
std::unique_ptr<Command> make_predict();
std::unique_ptr<Command> make_generate();
std::unique_ptr<Command> make_inspect();
std::unique_ptr<Command> make_list();
std::unique_ptr<Command> make_activations();
std::unique_ptr<Command> make_gradcheck();
std::unique_ptr<Command> make_bench();
std::unique_ptr<Command> make_data();
std::unique_ptr<Command> make_version();

}  // namespace soma::cli
