// soma init: a file with every option of soma train, to be filled in.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/config.h"
#include "soma/error.h"
#include "src/base/file.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

class Init : public Command {
 public:
  std::string_view name() const override { return "init"; }
  std::string_view summary() const override {
    return "Write a commented file of options for soma train";
  }
  std::string_view examples() const override {
    return "  soma init\n"
           "  soma init mine.toml && soma train --config mine.toml\n";
  }
  void options(Options& o) override {
    o.positional("file", file_, "Where to write it (default: soma.toml)", Need::optional);
  }
  int run(Console& console) override {
    if (file_.empty()) file_ = "soma.toml";
    if (std::filesystem::exists(file_)) {
      throw FileError(cat("\"", file_, "\" is there already; remove it or name another file"));
    }
    const auto train = make_train();
    write_file_atomic(file_, cat("# Options of soma train: soma train --config ", file_,
                                 "\n# Those with a # in front are chosen by the data and the ",
                                 "network; the others show their defaults.\n",
                                 config_text(*train, Explain::yes)));
    if (console.json()) {
      console.event({{"event", "init"}, {"file", file_}});
    } else {
      console.line(cat("wrote ", file_, "; train with: soma train --config ", file_));
    }
    return exit_ok;
  }

 private:
  std::string file_;
};

}  // namespace

std::unique_ptr<Command> make_init() { return std::make_unique<Init>(); }

}  // namespace soma::cli
