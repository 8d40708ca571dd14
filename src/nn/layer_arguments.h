// Arguments of layer kinds that a word may stand for.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "soma/error.h"
#include "soma/layers.h"
#include "src/base/text.h"

namespace soma {

/// "auto", or what T reads: the kind decides what fits.
template <class T>
struct Auto {
  std::optional<T> value;
};
/// "none", or what T reads.
template <class T>
struct Maybe {
  std::optional<T> value;
};

/// One number for all, or a list with one for each.
struct Numbers {
  std::vector<double> list;
};

/// Which library's meaning a batch normalization has.
enum class BatchNormRule : uint8_t { pytorch, keras, onnx };

namespace detail {
template <class T>
std::optional<T> read_unless(std::string_view word, std::string_view text) {
  if (text == word) return {};
  try {
    return Reader<T>::read(text);
  } catch (const ArgumentError& error) {
    throw ArgumentError(cat("\"", word, "\" or ", error.what()));
  }
}
}  // namespace detail

template <class T>
struct Reader<Auto<T>> {
  static Auto<T> read(std::string_view text) { return {detail::read_unless<T>("auto", text)}; }
  static std::string write(const Auto<T>& argument) {
    return argument.value ? Reader<T>::write(*argument.value) : "auto";
  }
};
template <class T>
struct Reader<Maybe<T>> {
  static Maybe<T> read(std::string_view text) { return {detail::read_unless<T>("none", text)}; }
  static std::string write(const Maybe<T>& argument) {
    return argument.value ? Reader<T>::write(*argument.value) : "none";
  }
};

template <>
struct Reader<Numbers> {
  static Numbers read(std::string_view text) {
    using List = Reader<std::vector<double>>;
    return {text.starts_with('[') ? List::read(text) : std::vector{Reader<double>::read(text)}};
  }
  static std::string write(const Numbers& numbers) {
    return numbers.list.size() == 1 ? number(numbers.list[0])
                                    : Reader<std::vector<double>>::write(numbers.list);
  }
};

template <>
struct Reader<BatchNormRule> {
  static BatchNormRule read(std::string_view text);
  static std::string write(BatchNormRule rule);
};

/// The axis of in() that an argument names, from the front; refuses the batch's.
int axis_argument(LayerBuild& at, Value x, int64_t axis);
/// Fails when streaming if x is a sequence and `axis` its steps: a call sees only some of them.
void refuse_streaming_along(LayerBuild& at, Value x, int axis);

}  // namespace soma
