// Files that may be compressed: gzip is recognised by its first two bytes, never by the name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace soma::data {

/// The whole file, uncompressed if need be. Throws FileError when that is more than `max_bytes`,
/// when the compressed data is damaged, or when Soma was built without zlib and needs it.
std::vector<std::byte> read_maybe_gzip(const std::string& path, uint64_t max_bytes);

}  // namespace soma::data
