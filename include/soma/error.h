// What the library throws. Every message is a full sentence: which layer or file, what was found,
// what was needed, what to do. The library never prints and never aborts.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace soma {

/// The base of everything Soma throws.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Shapes that do not fit together.
struct ShapeError : Error {
  using Error::Error;
};
/// Element types that do not fit together.
struct TypeError : Error {
  using Error::Error;
};
/// A graph that breaks the rules: unknown names, links inside a layer, cycles, missing gradients.
struct GraphError : Error {
  using Error::Error;
};
/// A value the caller passed that is out of range, or a name that does not exist.
struct ArgumentError : Error {
  using Error::Error;
};
/// A file that cannot be read or written, or whose content is malformed.
struct FileError : Error {
  using Error::Error;
};
/// Training that cannot go on: a loss or a tensor became NaN or infinite.
struct DivergenceError : Error {
  using Error::Error;
  int epoch = 0;              ///< From 1; 0 when it was so before training.
  int64_t step = 0;           ///< In the epoch, from 1.
  std::vector<int64_t> rows;  ///< Of the data set, in that batch.
  std::string checkpoint;     ///< The last good one; "" when there is none.
};

}  // namespace soma
