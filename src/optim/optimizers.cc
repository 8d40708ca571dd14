// The registry of optimizers, their text, and chains of them.
#include "soma/error.h"
#include "src/base/text.h"
#include "src/optim/transforms.h"

namespace soma {

namespace {

using namespace parts;

Registry<OptimizerRow> built_in_optimizers() {
  Registry<OptimizerRow> registry("optimizer");
#define SOMA_CHAIN(complete, name, formula, source, note, specification, arguments, ...) \
  {                                                                                      \
    const auto make = +[] arguments -> Chain { return __VA_ARGS__; };                    \
    using Rows = detail::Bind<Chain>;                                                    \
    registry.add({{#name, formula, source, note, Rows::parameters(make, specification)}, \
                  complete,                                                              \
                  Rows::call(make)});                                                    \
  }
#define SOMA_OPTIMIZER(...) SOMA_CHAIN(true, __VA_ARGS__)
#define SOMA_TRANSFORM(...) SOMA_CHAIN(false, __VA_ARGS__)
#include "soma/optimizers.def"
#undef SOMA_CHAIN
  return registry;
}

const std::string& name_of(Value parameter) { return parameter.node().as<InputAttr>().name; }

template <class T>
std::vector<T> those(std::span<const T> all, std::span<const size_t> at) {
  std::vector<T> result;
  for (const size_t i : at) result.push_back(all[i]);
  return result;
}

// The numbers of the parameters that the pattern fits.
std::vector<size_t> fitting(const Step& step, const std::string& pattern) {
  std::vector<size_t> at;
  for (size_t i = 0; i < step.params.size(); ++i) {
    if (matches(name_of(step.params[i]), pattern)) at.push_back(i);
  }
  if (!at.empty()) return at;
  std::vector<std::string> names;
  for (const Value p : step.params) names.push_back(name_of(p));
  throw ArgumentError(cat("no parameter fits \"", pattern, "\"; there are ", join(names, ", ")));
}

// The transform for the parameters whose names match; the others' gradients pass.
Transform restricted(const Transform& whole, const std::string& pattern) {
  return [whole, pattern](Step& step, std::span<const Value> gradients) {
    const std::vector<size_t> at = fitting(step, pattern);
    const std::vector<Value> params = those(step.params, at);
    Step part = step;
    part.restricted = at.size() < step.params.size();
    part.params = params;
    part.trained = those<Value>(step.trained, at);
    part.after.clear();
    if (step.gradients_at) {
      part.gradients_at = [&step, at](std::span<const Value> points) {
        std::vector<Value> all(step.params.begin(), step.params.end());
        for (size_t j = 0; j < at.size(); ++j) all[at[j]] = points[j];
        return those<Value>(step.gradients_at(all), at);
      };
    }
    const std::vector<Value> changed = whole(part, those(gradients, at));
    step.active = part.active;
    for (const Transform& next : part.after) step.after.push_back(restricted(next, pattern));
    std::vector<Value> result(gradients.begin(), gradients.end());
    for (size_t j = 0; j < at.size(); ++j) result[at[j]] = changed[j];
    return result;
  };
}

// What stands before and after " for " in the text of a part.
Optimizer::Part parse_part(std::string_view text) {
  const std::vector<std::string_view> words = detail::split_outside(text, ' ');
  if (words.size() < 3 || words[words.size() - 2] != "for") {
    return Optimizer::Part({optimizers(), text});
  }
  const std::string_view pattern = words.back(), before = words[words.size() - 2];
  const auto length = static_cast<size_t>(before.data() - text.data());
  return Optimizer::Part({optimizers(), text.substr(0, length)}, std::string(pattern));
}

bool fits_one(std::string_view name, std::string_view pattern) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] == '*') {
    for (size_t skip = 0; skip <= name.size(); ++skip) {
      if (fits_one(name.substr(skip), pattern.substr(1))) return true;
    }
    return false;
  }
  if (name.empty() || (pattern[0] != '?' && pattern[0] != name[0])) return false;
  return fits_one(name.substr(1), pattern.substr(1));
}

}  // namespace

Registry<OptimizerRow>& optimizers() {
  static Registry<OptimizerRow> registry = built_in_optimizers();
  return registry;
}

#define SOMA_TRANSFORM(name, ...)                                                        \
  Optimizer name(Argument a, Argument b, Argument c, Argument d, Argument e, Argument f, \
                 Argument g, Argument h, Argument i) {                                   \
    return Optimizer(#name, {a, b, c, d, e, f, g, h, i});                                \
  }
#include "soma/optimizers.def"

bool matches(std::string_view name, std::string_view pattern) {
  if (pattern.starts_with('!')) return !matches(name, pattern.substr(1));
  for (const std::string_view one : split(pattern, '|')) {
    if (fits_one(name, one)) return true;
  }
  return false;
}

std::string Optimizer::Part::text() const {
  return only.empty() ? Named::text() : cat(Named::text(), " for ", only);
}

Optimizer Optimizer::only(std::string_view pattern) const {
  if (pattern.find_first_of(" +()[]") != std::string_view::npos) {
    throw ArgumentError(cat("the pattern \"", pattern,
                            "\" has characters that names of parameters in a text cannot have; "
                            "write names with *, ? and |"));
  }
  Optimizer result = *this;
  for (Part& part : result.parts_) part.only = pattern;
  return result;
}

Chain Optimizer::chain() const {
  Chain chain;
  bool complete = false;
  for (const Part& part : parts_) {
    complete = complete || part.row().complete;
    for (const Transform& next : part.row().build(part.arguments())) {
      chain.push_back(part.only.empty() ? next : restricted(next, part.only));
    }
  }
  if (complete) return chain;
  std::vector<std::string> names;
  for (const OptimizerRow& row : optimizers()) {
    if (row.complete) names.push_back(row.name);
  }
  throw ArgumentError(cat("\"", text(), "\" does not say how far to step; the chain needs one of ",
                          join(names, ", "), ", as in \"clip_global_norm(1) + adam\""));
}

std::string Optimizer::text() const {
  std::vector<std::string> words;
  for (const Part& part : parts_) words.push_back(part.text());
  return join(words, " + ");
}

Optimizer optimizer_named(std::string_view text) {
  std::vector<Optimizer::Part> parts;
  for (const std::string_view part : detail::split_outside(text, '+')) {
    parts.push_back(parse_part(part));
  }
  Optimizer optimizer(std::move(parts));
  (void)optimizer.chain();
  return optimizer;
}

}  // namespace soma
