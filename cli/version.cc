// soma version: the version, the compiler and the processor features in use.
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "soma/plan.h"
#include "soma/version.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

class Version : public Command {
 public:
  std::string_view name() const override { return "version"; }
  std::string_view summary() const override { return "Show the version and how it was built"; }
  std::string_view examples() const override { return "  soma version\n  soma version --json\n"; }
  void options(Options&) override {}

  int run(Console& console) override {
    const int threads = Device::cpu().threads();
    if (console.json()) {
      console.event({{"event", "version"},
                     {"version", version_text},
                     {"compiler", compiler},
                     {"threads", threads}});
    } else {
      console.line(cat("soma ", version_text));
      console.note(cat("compiled by ", compiler, "; runs on ", threads, " threads by default"));
    }
    return exit_ok;
  }

 private:
#if defined(__clang__)
  static constexpr auto compiler = "clang " __clang_version__;
#else
  static constexpr auto compiler = "gcc " __VERSION__;
#endif
};

}  // namespace

std::unique_ptr<Command> make_version() { return std::make_unique<Version>(); }

}  // namespace soma::cli
