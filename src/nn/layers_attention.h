// The words that the rows of attention layers take.
#pragma once

#include "soma/attention.h"
#include "soma/layers.h"

namespace soma {

/// How attention knows where a step stands.
enum class PositionScheme : uint8_t { none, rotary, alibi };
/// What is added to a sequence.
enum class PositionTable : uint8_t { sinusoidal, learned };
/// Where a block normalizes: in front of each branch, or behind each sum.
enum class NormPlace : uint8_t { pre, post };
enum class NormKind : uint8_t { layer_norm, rms_norm };
/// What remains of a sequence.
enum class StepPool : uint8_t { mean, max, first, last };

#define SOMA_WORDS(type)                     \
  template <>                                \
  struct Reader<type> {                      \
    static type read(std::string_view text); \
  }
SOMA_WORDS(PositionScheme);
SOMA_WORDS(PositionTable);
SOMA_WORDS(NormPlace);
SOMA_WORDS(NormKind);
SOMA_WORDS(StepPool);
SOMA_WORDS(Pairing);
SOMA_WORDS(Bag);
#undef SOMA_WORDS

}  // namespace soma
