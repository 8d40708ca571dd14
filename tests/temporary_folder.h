// A folder of its own for each test, removed afterwards.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace soma {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "soma-test-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("cannot make " + name);
    path_ = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  /// The path of a file in the folder.
  std::string operator/(std::string_view name) const { return (path_ / name).string(); }
  /// Writes a file and gives its path.
  std::string write(std::string_view name, std::string_view content) const {
    std::filesystem::remove(path_ / name);  // truncating makes some file systems wait for the disk
    std::ofstream(path_ / name, std::ios::binary) << content;
    return *this / name;
  }
  std::string path() const { return path_.string(); }
  size_t entries() const {
    size_t count = 0;
    for (auto it = std::filesystem::directory_iterator(path_); it != std::filesystem::end(it); ++it)
      ++count;
    return count;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace soma
