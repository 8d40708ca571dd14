// Things with a name and parameters: activations, losses, initializers, schedules, optimizers.
//
// Each kind is a registry of rows: name, formula, source, parameters with defaults and ranges, and
// what it builds. From the row follow the C++ function of that name, the text form
// "leaky_relu(a=0.2)" that model files and the command line read and write, tables and tests.
// Registries may be extended (add) before they are used from several threads.
#pragma once

#include <array>
#include <deque>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace soma {

/// One argument as text; made from numbers, lists, words ("learned") and other named things.
/// Without a value it stands for the default.
class Argument {
 public:
  Argument() = default;
  Argument(double value);
  Argument(int value) : Argument(static_cast<double>(value)) {}
  Argument(bool value) : text_(value ? "true" : "false") {}
  Argument(std::string text) : text_(std::move(text)) {}
  Argument(const char* text) : text_(text) {}
  Argument(const std::vector<double>& list);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// Reads an argument as T; throws ArgumentError saying what the text should have been ("a number").
/// write(), where there is one, gives the one spelling that equal arguments share.
template <class T>
struct Reader;
template <>
struct Reader<double> {
  static double read(std::string_view text);
  static std::string write(double value);
};
template <>
struct Reader<int64_t> {
  static int64_t read(std::string_view text);
};
template <>
struct Reader<bool> {
  static bool read(std::string_view text);
};
/// "[1 2 3]"
template <>
struct Reader<std::vector<double>> {
  static std::vector<double> read(std::string_view text);
  static std::string write(const std::vector<double>& list);
};

/// A parameter of a row. The specification reads "lr=0.001 in [0,inf)": name, default (without one
/// the argument must be given), range.
struct Parameter {
  std::string name;
  std::string initial;  ///< The default as text; empty: must be given.
  std::string range;    ///< "[0,1)"; empty: any value.
  /// Checks the type of an argument and returns its canonical text.
  std::string (*canonical)(std::string_view text) = nullptr;
};

/// What every row of a registry has.
struct Row {
  std::string name;
  std::string formula;
  std::string source;  ///< Paper or standard.
  std::string note;    ///< Where other libraries differ.
  std::vector<Parameter> parameters;
};

/// The text of the row with its defaults, and 1 for each argument that must be given:
/// "leaky_relu", "threshold(theta=1 value=1)".
std::string example_text(const Row& row);

namespace detail {

/// "name(x y=z)" taken apart; the values may hold brackets of their own.
struct CallText {
  struct Item {
    std::string key, value;
  };
  std::string name;
  std::vector<Item> items;
};
/// `kind` begins the messages: "activation".
CallText parse_call(std::string_view kind, std::string_view text);
/// Splits at `separator` outside brackets.
std::vector<std::string_view> split_outside(std::string_view text, char separator);

std::vector<Parameter> parse_parameters(std::string_view specification,
                                        std::span<std::string (*const)(std::string_view)> types);
/// One checked text for each parameter of the row, from named and positional items.
std::vector<std::string> resolve(std::string_view kind, const Row& row, const CallText& call);
std::vector<std::string> resolve(std::string_view kind, const Row& row,
                                 std::span<const Argument> arguments);
/// "name(a=1 b=2)": the arguments that are not the default.
std::string call_text(const Row& row, std::span<const std::string> arguments);
[[noreturn]] void no_such_row(std::string_view kind, std::string_view name,
                              const std::vector<std::string>& names);

template <class T>
std::string canonical(std::string_view text) {
  [[maybe_unused]] const T value = Reader<T>::read(text);
  if constexpr (requires { Reader<T>::write(value); }) {
    return Reader<T>::write(value);
  } else {
    return std::string(text);
  }
}

/// Hands the argument texts of a row to a function whose parameters after the first
/// sizeof...(Fixed) are read from them.
template <class R, class... Fixed>
struct Bind {
  template <class... All>
  static auto call(R (*function)(All...)) {
    using Types = std::tuple<std::decay_t<All>...>;
    return [function](Fixed... fixed, std::span<const std::string> arguments) -> R {
      return [&]<size_t... I>(std::index_sequence<I...>) {
        return function(
            std::forward<Fixed>(fixed)...,
            Reader<std::tuple_element_t<sizeof...(Fixed) + I, Types>>::read(arguments[I])...);
      }
      (std::make_index_sequence<sizeof...(All) - sizeof...(Fixed)>{});
    };
  }
  /// The parameters of such a function, named and given defaults by the specification.
  template <class... All>
  static std::vector<Parameter> parameters(R (*)(All...), std::string_view specification) {
    using Types = std::tuple<std::decay_t<All>...>;
    constexpr size_t count = sizeof...(All) - sizeof...(Fixed);
    return [&]<size_t... I>(std::index_sequence<I...>) {
      const std::array<std::string (*)(std::string_view), count> types{
          canonical<std::tuple_element_t<sizeof...(Fixed) + I, Types>>...};
      return parse_parameters(specification, types);
    }
    (std::make_index_sequence<count>{});
  }
};

}  // namespace detail

/// The rows of one kind, in the order of their definition. Addresses stay valid.
template <class R>
class Registry {
 public:
  explicit Registry(std::string kind) : kind_(std::move(kind)) {}
  const std::string& kind() const { return kind_; }
  /// Appends a row; a row of the same name is found no more.
  const R& add(R row) {
    rows_.push_back(std::move(row));
    return rows_.back();
  }
  /// The row of that name; throws ArgumentError naming the nearest when there is none.
  const R& find(std::string_view name) const {
    for (auto row = rows_.rbegin(); row != rows_.rend(); ++row) {
      if (row->name == name) return *row;
    }
    std::vector<std::string> names;
    for (const R& row : rows_) names.push_back(row.name);
    detail::no_such_row(kind_, name, names);
  }
  auto begin() const { return rows_.begin(); }
  auto end() const { return rows_.end(); }
  size_t size() const { return rows_.size(); }

 private:
  std::string kind_;
  std::deque<R> rows_;
};

/// A row with its arguments.
template <class R>
class Named {
 public:
  Named(const Registry<R>& registry, std::string_view name,
        std::initializer_list<Argument> arguments)
      : row_(&registry.find(name)),
        arguments_(
            detail::resolve(registry.kind(), *row_,
                            std::span<const Argument>(arguments.begin(), arguments.size()))) {}
  /// From the text form.
  Named(const Registry<R>& registry, std::string_view text) {
    const detail::CallText call = detail::parse_call(registry.kind(), text);
    row_ = &registry.find(call.name);
    arguments_ = detail::resolve(registry.kind(), *row_, call);
  }
  const R& row() const { return *row_; }
  const std::string& name() const { return row_->name; }
  std::span<const std::string> arguments() const { return arguments_; }
  /// "leaky_relu(a=0.2)"; reads back as an equal thing.
  std::string text() const { return detail::call_text(*row_, arguments_); }
  friend bool operator==(const Named& a, const Named& b) {
    return a.row_ == b.row_ && a.arguments_ == b.arguments_;
  }

 private:
  const R* row_;
  std::vector<std::string> arguments_;
};

}  // namespace soma
