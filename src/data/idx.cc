// The IDX format: two zero bytes, an element type, the number of axes, big-endian extents,
// elements.
#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "soma/data.h"
#include "soma/error.h"
#include "src/base/checked.h"
#include "src/base/text.h"
#include "src/data/gzip.h"

namespace soma::data {

namespace {

template <class T>
T big_endian(const std::byte* bytes) {
  std::byte copy[sizeof(T)];
  std::memcpy(copy, bytes, sizeof(T));
  if constexpr (std::endian::native == std::endian::little) std::reverse(copy, copy + sizeof(T));
  T value;
  std::memcpy(&value, copy, sizeof(T));
  return value;
}

template <class Stored, class Held>
void decode(const std::byte* from, Tensor& to) {
  for (Held& value : to.data<Held>()) {
    value = static_cast<Held>(big_endian<Stored>(from));
    from += sizeof(Stored);
  }
}

struct Element {
  int code;
  int64_t bytes;
  DType held;
  void (*decode)(const std::byte*, Tensor&);
};
constexpr Element elements[] = {
    {0x08, 1, u8, decode<uint8_t, uint8_t>},  {0x09, 1, i32, decode<int8_t, int32_t>},
    {0x0B, 2, i32, decode<int16_t, int32_t>}, {0x0C, 4, i32, decode<int32_t, int32_t>},
    {0x0D, 4, f32, decode<float, float>},     {0x0E, 8, f64, decode<double, double>}};

[[noreturn]] void fail(const std::string& path, const std::string& reason) {
  throw FileError(cat("\"", path, "\" is not a valid IDX file: ", reason));
}

}  // namespace

Tensor load_idx(const std::string& path, uint64_t max_bytes) {
  const std::vector<std::byte> content = read_maybe_gzip(path, max_bytes);
  if (content.size() < 4) {
    fail(path, cat("it holds ", content.size(), " bytes, less than a header of 4"));
  }
  const auto byte = [&](size_t i) { return std::to_integer<int>(content[i]); };
  if (byte(0) != 0 || byte(1) != 0) {
    fail(path, cat("it starts with the bytes ", byte(0), " ", byte(1), " instead of 0 0"));
  }
  const auto* element = std::find_if(std::begin(elements), std::end(elements),
                                     [&](const Element& row) { return row.code == byte(2); });
  if (element == std::end(elements)) {
    fail(path, cat("its element type is ", byte(2), "; the format knows 8, 9, 11, 12, 13 and 14"));
  }
  const int rank = byte(3);
  if (rank < 1 || rank > Shape::max_size) {
    fail(path, cat("it has ", rank, " axes; Soma reads 1 to ", Shape::max_size));
  }
  const size_t header = 4 + 4 * static_cast<size_t>(rank);
  if (content.size() < header) {
    fail(path, cat("it ends after ", content.size(), " bytes, inside the header of ", header));
  }
  Shape shape;
  for (size_t at = 4; at < header; at += 4) {
    shape.push_back(big_endian<uint32_t>(content.data() + at));
  }
  const std::optional<int64_t> needed = checked_product(shape, element->bytes);
  const auto found = static_cast<int64_t>(content.size() - header);
  if (needed != found) {
    fail(path, cat("the shape ", shape, " of ", element->bytes, "-byte elements needs ",
                   needed ? std::to_string(*needed) : "more bytes than can be counted",
                   needed ? " bytes" : "", ", but ", found, " follow the header; the file is ",
                   needed && *needed < found ? "too long" : "cut off"));
  }
  Tensor result(shape, element->held);
  element->decode(content.data() + header, result);
  return result;
}

}  // namespace soma::data
