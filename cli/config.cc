// Options from TOML and to TOML. The only file that compiles toml++: its headers cost seconds.
#include "cli/config.h"

#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <cmath>
#include <functional>
#include <map>

#include "soma/error.h"
#include "src/base/file.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

constexpr uint64_t max_config_bytes = uint64_t{1} << 20;

/// What says where settings come from is no setting itself.
bool is_setting(const std::string& flag) { return flag != "--resume" && flag != "--config"; }

std::string key_of(const std::string& flag) {
  return flag.starts_with("--") ? flag.substr(2) : flag;
}

/// A TOML value as it would stand on the command line.
std::string text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* whole = node.as_integer()) return std::to_string(whole->get());
  if (const auto* real = node.as_floating_point()) return number(real->get());
  if (const auto* yes = node.as_boolean()) return yes->get() ? "true" : "false";
  throw UsageError("a text, a number, true or false is needed");
}

/// Not inlined: gcc 12 would take the value for a table and warn of that.
[[gnu::noinline]] std::string written(const toml::node& node) {
  std::ostringstream out;
  out << toml::toml_formatter{node};
  return out.str();
}

class Reader : public Options {
 public:
  void positional(const std::string& name, std::string& into, const std::string&, Need) override {
    set_[name] = [&into](const toml::node& node) { into = text_of(node); };
  }
  void positionals(const std::string& name, std::vector<std::string>& into,
                   const std::string&) override {
    list(name, into, "", "");
  }
  void list(const std::string& flag, std::vector<std::string>& into, const std::string&,
            const std::string&) override {
    set_[key_of(flag)] = [&into](const toml::node& node) {
      const auto* array = node.as_array();
      if (!array) throw UsageError("a list is needed: [\"…\", \"…\"]");
      into.clear();
      for (const auto& element : *array) into.push_back(text_of(element));
    };
  }
  void text(const std::string& flag, std::string& into, const std::string&,
            const std::string&) override {
    if (is_setting(flag)) positional(key_of(flag), into, "", Need::optional);
  }
  void flag(const std::string& flag, bool& into, const std::string&) override {
    set_[key_of(flag)] = [&into](const toml::node& node) {
      if (!node.is_boolean()) throw UsageError("true or false is needed");
      into = node.as_boolean()->get();
    };
  }
  void integer(const std::string& flag, int64_t& into, int64_t least, int64_t most,
               const std::string&) override {
    set_[key_of(flag)] = [&into, flag, least, most](const toml::node& node) {
      into = to_integer(key_of(flag), text_of(node), least, most);
    };
  }
  void real(const std::string& flag, double& into, double least, double most,
            const std::string&) override {
    set_[key_of(flag)] = [&into, flag, least, most](const toml::node& node) {
      into = to_real(key_of(flag), text_of(node), least, most);
    };
  }

  void apply(const std::string& path) const {
    const std::string content = read_text(path, max_config_bytes);
    toml::table table;
    try {
      table = toml::parse(content, path);
    } catch (const toml::parse_error& error) {
      throw UsageError(cat(place(path, error.source()), ": ", error.description()));
    }
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      const std::string where = place(path, key.source());
      const auto found = set_.find(name);
      if (found == set_.end()) {
        std::vector<std::string> known;
        for (const auto& [other, set] : set_) known.push_back(other);
        throw UsageError(
            cat(where, ": there is no setting \"", excerpt(name), "\"", did_you_mean(name, known)));
      }
      try {
        found->second(node);
      } catch (const UsageError& error) {
        throw UsageError(cat(where, ": ", name, ": ", error.what()));
      }
    }
  }

 private:
  static std::string place(const std::string& path, const toml::source_region& at) {
    return cat("\"", path, "\", line ", at.begin.line, ", column ", at.begin.column);
  }

  std::map<std::string, std::function<void(const toml::node&)>> set_;
};

class Writer : public Options {
 public:
  explicit Writer(Explain explain) : explain_(explain) {}
  const std::string& result() const { return text_; }

  void positional(const std::string& name, std::string& into, const std::string& help,
                  Need need) override {
    add(name, written(toml::value<std::string>(into)), help,
        into.empty() && need == Need::optional);
  }
  void positionals(const std::string& name, std::vector<std::string>& into,
                   const std::string& help) override {
    list(name, into, "", help);
  }
  void list(const std::string& flag, std::vector<std::string>& into, const std::string&,
            const std::string& help) override {
    toml::array elements;
    for (const std::string& element : into) elements.push_back(element);
    add(key_of(flag), into.empty() ? "[]" : written(elements), help, into.empty());
  }
  void text(const std::string& flag, std::string& into, const std::string&,
            const std::string& help) override {
    if (is_setting(flag))
      add(key_of(flag), written(toml::value<std::string>(into)), help, into.empty());
  }
  void flag(const std::string& flag, bool& into, const std::string& help) override {
    add(key_of(flag), into ? "true" : "false", help, false);
  }
  void integer(const std::string& flag, int64_t& into, int64_t least, int64_t,
               const std::string& help) override {
    const bool open = into < least;
    add(key_of(flag), open ? "" : std::to_string(into), help, open);
  }
  void real(const std::string& flag, double& into, double, double,
            const std::string& help) override {
    const bool open = std::isnan(into);
    add(key_of(flag), open ? "" : number(into), help, open);
  }

 private:
  void add(const std::string& key, const std::string& value, const std::string& help, bool open) {
    if (explain_ == Explain::yes) text_ += cat("\n# ", help, "\n");
    if (open && explain_ == Explain::no) return;
    text_ += cat(open ? "# " : "", key, " = ", value, "\n");
  }

  Explain explain_;
  std::string text_;
};

}  // namespace

void read_config(Command& command, const std::string& path) {
  Reader reader;
  command.options(reader);
  reader.apply(path);
}

std::string config_text(Command& command, Explain explain) {
  Writer writer(explain);
  command.options(writer);
  return writer.result();
}

}  // namespace soma::cli
