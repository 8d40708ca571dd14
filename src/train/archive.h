// Fields as bytes, in both directions: a class lists its fields once, `archive(a, b)`, and an
// archive gathers them or fills them in.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "soma/error.h"

namespace soma::train {

class Archive {
 public:
  Archive() = default;
  explicit Archive(std::span<const uint8_t> from) : from_(from), reading_(true) {}

  template <class... Fields>
  void operator()(Fields&... fields) {
    (field(fields), ...);
  }
  /// What was gathered.
  const std::vector<uint8_t>& bytes() const { return bytes_; }
  bool at_end() const { return from_.empty(); }

 private:
  template <class T>
  void field(T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    transfer(&value, sizeof value);
  }
  template <class T>
  void field(std::vector<T>& values) {
    auto count = static_cast<uint64_t>(values.size());
    field(count);
    if (reading_ && count > from_.size() / sizeof(T)) short_of_bytes();
    values.resize(count);
    transfer(values.data(), count * sizeof(T));
  }
  void transfer(void* data, size_t count) {
    if (count == 0) return;
    if (!reading_) {
      const auto* first = static_cast<const uint8_t*>(data);
      bytes_.insert(bytes_.end(), first, first + count);
      return;
    }
    if (count > from_.size()) short_of_bytes();
    std::memcpy(data, from_.data(), count);
    from_ = from_.subspan(count);
  }
  [[noreturn]] static void short_of_bytes() {
    throw FileError("the sums of the metrics end too early; the file was made by another version");
  }

  std::vector<uint8_t> bytes_;
  std::span<const uint8_t> from_;
  bool reading_ = false;
};

}  // namespace soma::train
