// Options one by one.
#include "cli/settings.h"

#include <cmath>

#include "src/base/text.h"

namespace soma::cli {
namespace {

/// Between the values of an option that may be given several times.
constexpr char separator = '\x1f';

std::string key_of(const std::string& flag) {
  return flag.starts_with("--") ? flag.substr(2) : flag;
}

class Lister : public Options {
 public:
  void positional(const std::string& name, std::string& into, const std::string&, Need) override {
    result.emplace_back(name, into);
  }
  void positionals(const std::string& name, std::vector<std::string>& into,
                   const std::string&) override {
    list(name, into, "", "");
  }
  void list(const std::string& flag, std::vector<std::string>& into, const std::string&,
            const std::string&) override {
    result.emplace_back(key_of(flag), join(into, std::string(1, separator)));
  }
  void text(const std::string& flag, std::string& into, const std::string&,
            const std::string&) override {
    result.emplace_back(key_of(flag), into);
  }
  void flag(const std::string& flag, bool& into, const std::string&) override {
    result.emplace_back(key_of(flag), into ? "true" : "false");
  }
  void integer(const std::string& flag, int64_t& into, int64_t, int64_t,
               const std::string&) override {
    result.emplace_back(key_of(flag), std::to_string(into));
  }
  void real(const std::string& flag, double& into, double, double, const std::string&) override {
    result.emplace_back(key_of(flag), std::isnan(into) ? "" : number(into));
  }

  Settings result;
};

class Setter : public Options {
 public:
  Setter(const std::string& name, const std::string& value) : name_(name), value_(value) {}

  void positional(const std::string& name, std::string& into, const std::string&, Need) override {
    if (is(name)) into = value_;
  }
  void positionals(const std::string& name, std::vector<std::string>& into,
                   const std::string&) override {
    list(name, into, "", "");
  }
  void list(const std::string& flag, std::vector<std::string>& into, const std::string&,
            const std::string&) override {
    if (!is(flag)) return;
    into.clear();
    for (const auto value : split(value_, separator)) into.emplace_back(value);
  }
  void text(const std::string& flag, std::string& into, const std::string&,
            const std::string&) override {
    if (is(flag)) into = value_;
  }
  void flag(const std::string& flag, bool& into, const std::string&) override {
    if (!is(flag)) return;
    if (value_ != "true" && value_ != "false") {
      throw UsageError(cat(flag, " is true or false; found \"", value_, "\""));
    }
    into = value_ == "true";
  }
  void integer(const std::string& flag, int64_t& into, int64_t least, int64_t most,
               const std::string&) override {
    if (is(flag)) into = to_integer(flag, value_, least, most);
  }
  void real(const std::string& flag, double& into, double least, double most,
            const std::string&) override {
    if (is(flag)) into = to_real(flag, value_, least, most);
  }

  void check() const {
    if (found_) return;
    throw UsageError(
        cat("there is no setting \"", excerpt(name_), "\"", did_you_mean(name_, known_)));
  }

 private:
  bool is(const std::string& flag) {
    known_.push_back(key_of(flag));
    found_ |= known_.back() == name_;
    return known_.back() == name_;
  }

  const std::string &name_, &value_;
  std::vector<std::string> known_;
  bool found_ = false;
};

/// As a shell reads it: in quotes where needed.
std::string quoted(const std::string& text) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("-_./,:=+@%").find(c) != std::string_view::npos;
  };
  bool all = !text.empty();
  for (const char c : text) all = all && plain(c);
  if (all) return text;
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? "'\\''" : std::string(1, c);
  return result + "'";
}

}  // namespace

Settings settings_of(Command& command) {
  Lister lister;
  command.options(lister);
  return std::move(lister.result);
}

void set_option(Command& command, const std::string& name, const std::string& value) {
  Setter setter(name, value);
  command.options(setter);
  setter.check();
}

std::string shown(const std::string& value) {
  std::string text;
  for (const char c : value) text += c == separator ? ", " : std::string(1, c);
  return text;
}

std::string shell_line(const std::string& command, const Settings& settings,
                       const Settings& defaults) {
  std::string line = cat("soma ", command);
  for (size_t i = 0; i < settings.size(); ++i) {
    const auto& [name, value] = settings[i];
    if (value == defaults.at(i).second) continue;
    if (name == "data" && i == 0) {  // the positional argument
      line += cat(" ", quoted(value));
    } else {
      for (const auto part : split(value, separator)) {
        line += cat(" --", name, part == "true" ? "" : " " + quoted(std::string(part)));
      }
    }
  }
  return line;
}

}  // namespace soma::cli
