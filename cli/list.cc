// soma list: what there is to build and train with, straight from the registries.
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "soma/error.h"
#include "soma/layers.h"
#include "soma/nn.h"
#include "soma/optim.h"
#include "soma/regularizers.h"
#include "soma/text.h"
#include "soma/train.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

using Json = nlohmann::ordered_json;

/// One registry, as rows.
struct Kind {
  std::string_view name;
  std::vector<Row> rows;
};

template <class R>
std::vector<Row> rows_of(const Registry<R>& registry) {
  return {registry.begin(), registry.end()};
}

std::vector<Row> metric_rows() {
  std::vector<Row> rows;
  for (const MetricInfo& metric : metric_table()) {
    rows.push_back({std::string(metric.name),
                    std::string(metric.meaning),
                    "",
                    metric.higher_is_better ? "higher is better" : "lower is better",
                    {}});
  }
  return rows;
}

std::vector<Kind> kinds() {
  return {{"layers", rows_of(layer_kinds())},
          {"activations", rows_of(activations())},
          {"losses", rows_of(losses())},
          {"optimizers", rows_of(optimizers())},
          {"schedules", rows_of(schedules())},
          {"initializers", rows_of(initializers())},
          {"regularizers", rows_of(regularizers())},
          {"augmentations", rows_of(augmentations())},
          {"tokenizers", rows_of(tokenizers())},
          {"metrics", metric_rows()}};
}

/// "units in [1,inf)", "bias=true"
std::string text_of(const Parameter& parameter) {
  return cat(parameter.name, parameter.initial.empty() ? "" : "=", parameter.initial,
             parameter.range.empty() ? "" : " in ", parameter.range);
}

Json as_json(const Row& row) {
  Json parameters = Json::array();
  for (const Parameter& parameter : row.parameters) {
    parameters.push_back(
        {{"name", parameter.name}, {"default", parameter.initial}, {"range", parameter.range}});
  }
  return {{"name", row.name},
          {"meaning", row.formula},
          {"parameters", parameters},
          {"source", row.source},
          {"note", row.note}};
}

class List : public Command {
 public:
  std::string_view name() const override { return "list"; }
  std::string_view summary() const override {
    return "List layers, losses, optimizers and the like, or explain one";
  }
  std::string_view examples() const override {
    return "  soma list\n"
           "  soma list layers\n"
           "  soma list layers lstm\n"
           "  soma list optimizers --json\n";
  }
  void options(Options& o) override {
    o.positional("kind", kind_,
                 "layers, activations, losses, optimizers, schedules, initializers, regularizers, "
                 "augmentations, tokenizers or metrics",
                 Need::optional);
    o.positional("name", name_, "One of them", Need::optional);
  }

  int run(Console& console) override {
    const std::vector<Kind> all = kinds();
    if (kind_.empty()) return overview(console, all);
    const Kind& kind = find(all);
    if (!name_.empty()) return explain(console, find(kind));
    if (console.json()) {
      Json rows = Json::array();
      for (const Row& row : kind.rows) rows.push_back(as_json(row));
      console.event({{"event", "list"}, {"kind", kind.name}, {"rows", rows}});
      return exit_ok;
    }
    std::vector<std::vector<std::string>> lines{{"name", "what it is"}};
    for (const Row& row : kind.rows) lines.push_back({row.name, excerpt(row.formula, 96)});
    console.line(table(lines));
    console.note(cat("soma list ", kind.name, " NAME explains one"));
    return exit_ok;
  }

 private:
  static int overview(Console& console, const std::vector<Kind>& all) {
    Json counts = Json::object();
    std::vector<std::vector<std::string>> lines{{"kind", "how many"}};
    for (const Kind& kind : all) {
      counts[std::string(kind.name)] = kind.rows.size();
      lines.push_back({std::string(kind.name), std::to_string(kind.rows.size())});
    }
    if (console.json()) {
      console.event({{"event", "kinds"}, {"kinds", counts}});
    } else {
      console.line(table(lines));
      console.note("soma list KIND shows them");
    }
    return exit_ok;
  }

  const Kind& find(const std::vector<Kind>& all) const {
    std::vector<std::string> names;
    for (const Kind& kind : all) {
      if (kind.name == kind_ || cat(kind_, "s") == kind.name) return kind;
      names.emplace_back(kind.name);
    }
    throw UsageError(cat("there is no kind \"", kind_, "\"", did_you_mean(kind_, names),
                         "; the kinds are ", join(names, ", ")));
  }

  const Row& find(const Kind& kind) const {
    std::vector<std::string> names;
    for (const Row& row : kind.rows) {
      if (row.name == name_) return row;
      names.push_back(row.name);
    }
    throw UsageError(cat("there is no \"", name_, "\" among the ", kind.name,
                         did_you_mean(name_, names), "; soma list ", kind.name, " shows them all"));
  }

  static int explain(Console& console, const Row& row) {
    if (console.json()) {
      Json object = as_json(row);
      object["event"] = "row";
      console.event(object);
      return exit_ok;
    }
    console.line(console.bold(row.name));
    console.line(row.formula);
    std::vector<std::string> parameters;
    for (const Parameter& parameter : row.parameters) parameters.push_back(text_of(parameter));
    if (!parameters.empty()) console.line(cat("parameters: ", join(parameters, ", ")));
    if (!row.source.empty()) console.line(cat("source: ", row.source));
    if (!row.note.empty()) console.line(cat("note: ", row.note));
    return exit_ok;
  }

  std::string kind_, name_;
};

}  // namespace

std::unique_ptr<Command> make_list() { return std::make_unique<List>(); }

}  // namespace soma::cli
