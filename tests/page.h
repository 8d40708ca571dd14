// Pages of documentation that are made from a registry: SOMA_UPDATE_DOCS=1 writes them; without, a
// test checks that they are what the registry says.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace soma {

/// Text inside a Markdown table.
inline std::string cell(std::string_view text) {
  std::string result;
  for (const char c : text) result += c == '|' ? std::string("\\|") : std::string(1, c);
  return result;
}

/// Compares with, or writes, docs/reference/`name`.
inline void expect_page(const std::string& name, const std::string& text) {
  const std::filesystem::path path = SOMA_SOURCE_DIR "/docs/reference/" + name;
  if (std::getenv("SOMA_UPDATE_DOCS")) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::ifstream file(path);
  const std::string found{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(found, text) << "run the test with SOMA_UPDATE_DOCS=1 to write " << path;
}

}  // namespace soma
