// Options on top of CLI11. The only file that compiles it: its headers cost seconds. Values are
// taken as text and converted here, so that every refusal is one sentence of ours.
#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <functional>

#include "cli/options.h"
#include "src/base/text.h"

namespace soma::cli {

int64_t to_integer(std::string_view flag, std::string_view text, int64_t least, int64_t most) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most) {
    const std::string limit =
        most == no_limit ? cat("of at least ", least) : cat("from ", least, " to ", most);
    throw UsageError(cat(flag, " takes a whole number ", limit, "; found \"", text, "\""));
  }
  return value;
}

double to_real(std::string_view flag, std::string_view text, double least, double most) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value) ||
      value < least || value > most) {
    const std::string limit = most == std::numeric_limits<double>::max()
                                  ? cat("of at least ", number(least))
                                  : cat("from ", number(least), " to ", number(most));
    throw UsageError(cat(flag, " takes a number ", limit, "; found \"", text, "\""));
  }
  return value;
}

namespace {

class Parser : public Options {
 public:
  Parser(std::string_view command, std::string_view summary, std::string_view examples)
      : app_(std::string(summary), cat("soma ", command)) {
    app_.set_help_flag("-h,--help", "Show this help and exit");
    app_.footer(cat("Examples:\n", examples));
    app_.allow_extras();
  }

  void positional(const std::string& name, std::string& into, const std::string& help,
                  Need need) override {
    app_.add_option(name, into, help)->type_name("TEXT");
    if (need == Need::required) required_.push_back({name, help, &into});
  }
  void positionals(const std::string& name, std::vector<std::string>& into,
                   const std::string& help) override {
    app_.add_option(name, into, help)->type_name("TEXT");
  }
  void text(const std::string& flag, std::string& into, const std::string& value,
            const std::string& help) override {
    value_option(flag, value, help, into)->each([&into](const std::string& text) { into = text; });
  }
  void list(const std::string& flag, std::vector<std::string>& into, const std::string& value,
            const std::string& help) override {
    app_.add_option(flag, into, help)
        ->type_name(value)
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
  void flag(const std::string& flag, bool& into, const std::string& help) override {
    app_.add_flag(flag, into, help);
  }
  void integer(const std::string& flag, int64_t& into, int64_t least, int64_t most,
               const std::string& help) override {
    value_option(flag, "N", help, into < least ? "" : std::to_string(into))
        ->each([&into, flag, least, most](const std::string& text) {
          into = to_integer(flag, text, least, most);
        });
  }
  void real(const std::string& flag, double& into, double least, double most,
            const std::string& help) override {
    value_option(flag, "X", help, std::isnan(into) ? "" : number(into))
        ->each([&into, flag, least, most](const std::string& text) {
          into = to_real(flag, text, least, most);
        });
  }

  /// False when help was asked for.
  bool parse(int count, char** arguments, std::string_view command, bool (*configure)(void*),
             void* target, std::string& help) {
    if (!read(count, arguments, command, help)) return false;
    if (configure(target)) read(count, arguments, command, help);
    for (const auto& [name, meaning, value] : required_) {
      if (value->empty()) {
        throw UsageError(cat("soma ", command, " needs ", name, ": ", meaning, "; soma ", command,
                             " --help shows examples"));
      }
    }
    return true;
  }

 private:
  bool read(int count, char** arguments, std::string_view command, std::string& help) {
    std::vector<std::string> reversed(arguments, arguments + count);
    std::reverse(reversed.begin(), reversed.end());
    try {
      app_.parse(reversed);
    } catch (const CLI::CallForHelp&) {
      help = app_.help();
      return false;
    } catch (const CLI::ArgumentMismatch&) {
      throw UsageError(cat("an option of soma ", command, " lacks its value or has two: \"",
                           join(std::vector<std::string>(arguments, arguments + count), " "),
                           "\"; soma ", command, " --help lists the options"));
    } catch (const CLI::ParseError& error) {
      throw UsageError(cat(error.what(), "; soma ", command, " --help lists the options"));
    }
    refuse_unknown(command);
    return true;
  }
  CLI::Option* value_option(const std::string& flag, const std::string& value,
                            const std::string& help, const std::string& standard) {
    auto* option = app_.add_option(flag, help)->type_name(value)->expected(1);
    option->multi_option_policy(CLI::MultiOptionPolicy::Throw);
    if (!standard.empty()) option->default_str(standard);
    return option;
  }
  void refuse_unknown(std::string_view command) {
    const std::vector<std::string> extras = app_.remaining();
    if (extras.empty()) return;
    const std::string& first = extras.front();
    if (first.size() < 2 || first[0] != '-') {
      throw UsageError(cat("soma ", command, " does not take the argument \"", first, "\"; soma ",
                           command, " --help lists what it takes"));
    }
    std::vector<std::string> known;
    for (const auto* option : app_.get_options()) {
      for (const auto& name : option->get_lnames()) known.push_back("--" + name);
    }
    const std::string name = first.substr(0, first.find('='));
    const std::string guess = did_you_mean(name, known);
    throw UsageError(
        cat("soma ", command, " has no option \"", name, "\"",
            guess.empty() ? cat("; soma ", command, " --help lists the options") : guess));
  }

  CLI::App app_;
  struct Required {
    std::string name, meaning;
    const std::string* value;
  };
  std::vector<Required> required_;
};

}  // namespace

bool parse_options(int count, char** arguments, std::string_view command, std::string_view summary,
                   std::string_view examples, void (*describe)(Options&, void*),
                   bool (*configure)(void*), void* target, std::string& help) {
  Parser parser(command, summary, examples);
  describe(parser, target);
  return parser.parse(count, arguments, command, configure, target, help);
}

}  // namespace soma::cli
