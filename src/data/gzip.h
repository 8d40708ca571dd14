// Files that may be compressed: gzip is recognised by its first two bytes, never by the name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace soma::data {

/// Bytes that come one after the other.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills the front of `out`, which is not empty; 0 bytes are the end.
  virtual size_t read(std::span<char> out) = 0;
};

/// A file from its beginning, uncompressed if need be; "-" is the standard input. Opening and
/// reading throw FileError when the file cannot be read, when the compressed data is damaged, or
/// when Soma was built without zlib and needs it.
std::unique_ptr<ByteSource> open_maybe_gzip(const std::string& path);
/// `text` must outlive it.
std::unique_ptr<ByteSource> bytes_of(std::string_view text);

/// The whole file. Throws FileError also when it is more than `max_bytes`, uncompressed.
std::vector<std::byte> read_maybe_gzip(const std::string& path, uint64_t max_bytes);

}  // namespace soma::data
