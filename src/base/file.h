// Files, whole or at an offset, and writes that either happen completely or not at all. Every
// failure is a FileError that names the path, says what the system answered and what to do about
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace soma {

/// A regular file open for reading.
class InputFile {
 public:
  explicit InputFile(std::string path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }
  /// Fills `out` from the bytes at `offset`; throws FileError when the file ends before that.
  void read_at(uint64_t offset, std::span<std::byte> out) const;

 private:
  std::string path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

inline constexpr uint64_t default_max_file_bytes = uint64_t{1} << 30;

/// The whole file; throws FileError when it is larger than `max_bytes`.
std::vector<std::byte> read_file(const std::string& path,
                                 uint64_t max_bytes = default_max_file_bytes);
/// The same as text.
std::string read_text(const std::string& path, uint64_t max_bytes = default_max_file_bytes);

/// A file under construction: written beside its final place under a temporary name, put there by
/// commit(). Without commit() the temporary goes away and an older file stays as it was.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Flushes to the disk, renames over `path` and flushes the folder.
  void commit();

 private:
  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
};

/// A file that grows: each append() is one write at its end.
class LogFile {
 public:
  explicit LogFile(std::string path);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  void append(std::string_view text);
  /// Onto the disk.
  void flush();

 private:
  std::string path_;
  int descriptor_ = -1;
};

/// Removes what is left in a folder of atomic files whose programs were killed. Nobody may be
/// writing there.
void remove_temporaries(const std::string& folder);

/// Writes the whole file at once, atomically.
void write_file_atomic(const std::string& path, std::span<const std::byte> bytes);
void write_file_atomic(const std::string& path, std::string_view text);

/// Zeros in the memory of a file without a name, which the system takes back when it is unmapped.
std::byte* map_temporary_file(size_t bytes);
void unmap_file(std::byte* pointer, size_t bytes);

/// Makes the folder and those above it; an existing folder is fine.
void make_folder(const std::string& path);

}  // namespace soma
