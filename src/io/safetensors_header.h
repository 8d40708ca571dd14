// The JSON header of a safetensors file, read strictly.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "soma/tensor.h"

namespace soma::io {

/// One tensor as the header describes it. `begin` and `end` count bytes from the end of the header.
struct SafetensorsEntry {
  std::string name;
  std::string type;  // as spelt in the file
  std::vector<int64_t> shape;
  int64_t begin = 0, end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;
  std::map<std::string, std::string> metadata;
};

/// Throws FileError, naming `path`, for anything but the exact structure: duplicates, missing or
/// unknown keys, other types than the format wants, text that is not UTF-8.
SafetensorsHeader parse_safetensors_header(std::string_view json, const std::string& path);

}  // namespace soma::io
