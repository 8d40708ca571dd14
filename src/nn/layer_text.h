// Layers as text: the tokens of the grammar, and one argument from and to text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "soma/layers.h"

namespace soma {

/// Cuts at any of the `separators` that is not inside brackets; parts are trimmed, empty ones are
/// left out. Throws ArgumentError for brackets that do not match.
std::vector<std::string_view> split_outside(std::string_view text, std::string_view separators);

/// Throws ArgumentError saying what the field expects.
LayerArg parse_arg(const LayerField& field, std::string_view text);
std::string print_arg(const LayerArg& arg);

/// The value of a field that was left out; throws when the field is required.
LayerArg fallback_of(const LayerKind& kind, const LayerField& field);

/// "28x28" and back.
Shape parse_shape(std::string_view text);
std::string print_shape(const Shape& shape);

}  // namespace soma
