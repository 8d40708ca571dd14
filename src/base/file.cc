#include "src/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma {

namespace {

constexpr std::string_view temporary_suffix = ".soma-tmp";

/// What the user can do about a system error, or "".
std::string_view advice(int code) {
  switch (code) {
    case ENOENT: return "; check the spelling, and that the folder exists";
    case EACCES:
    case EPERM: return "; check the permissions of the file and its folder";
    case EROFS: return "; the file system is read-only: choose another folder";
    case ENOSPC:
    case EDQUOT: return "; the disk is full: free some space or choose another folder";
    case EFBIG:
      return "; the file is larger than the system allows here: raise the limit (ulimit -f)";
    case ENOTDIR: return "; a part of the path is a file, not a folder";
    case EISDIR: return "; the path is a folder: name a file in it";
    case EMFILE:
    case ENFILE: return "; too many files are open: close some or raise the limit (ulimit -n)";
    case ENAMETOOLONG: return "; choose a shorter name";
    default: return "";
  }
}

[[noreturn]] void fail(std::string_view action, const std::string& path, int code) {
  throw FileError(cat("cannot ", action, " \"", path, "\": ", std::generic_category().message(code),
                      advice(code)));
}

void write_fully(int descriptor, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("write", path, errno);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

/// A rename is only safe on the disk once the folder is. Some file systems cannot flush folders and
/// answer EINVAL: they offer nothing better.
void flush_folder(const std::string& path) {
  const int folder = ::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;  // a folder we may write to but not read
  const int code = ::fsync(folder) == 0 ? 0 : errno;
  ::close(folder);
  if (code != 0 && code != EINVAL) fail("flush the folder of", path, code);
}

template <class Buffer>
Buffer read_whole(const std::string& path, uint64_t max_bytes) {
  const InputFile file(path);
  if (file.size() > max_bytes) {
    throw FileError(cat("\"", path, "\" holds ", file.size(), " bytes, more than the limit of ",
                        max_bytes, "; raise the limit if the file is really meant"));
  }
  Buffer content(file.size(), typename Buffer::value_type{});
  file.read_at(0, std::as_writable_bytes(std::span(content.data(), content.size())));
  return content;
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

InputFile::InputFile(std::string path) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) fail("open", path_, errno);
  struct stat status {};
  const int code = ::fstat(descriptor_, &status) == 0 ? 0 : errno;
  if (code == 0 && S_ISREG(status.st_mode)) {
    size_ = static_cast<uint64_t>(status.st_size);
    return;
  }
  ::close(descriptor_);
  if (code != 0) fail("open", path_, code);
  if (S_ISDIR(status.st_mode)) fail("read", path_, EISDIR);
  throw FileError(cat("cannot read \"", path_, "\": it is not a regular file; copy it to one"));
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read_at(uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t count = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("read", path_, errno);
    if (count == 0) {
      throw FileError(cat("\"", path_, "\" ends at byte ", offset, ", ", out.size(),
                          " bytes too early; it is cut off: get a complete copy"));
    }
    out = out.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
}

std::vector<std::byte> read_file(const std::string& path, uint64_t max_bytes) {
  return read_whole<std::vector<std::byte>>(path, max_bytes);
}

std::string read_text(const std::string& path, uint64_t max_bytes) {
  return read_whole<std::string>(path, max_bytes);
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  if (path_.empty()) throw FileError("cannot write a file without a name; give a path");
  struct stat old {};
  const bool exists = ::stat(path_.c_str(), &old) == 0;
  if (exists && S_ISDIR(old.st_mode)) fail("write", path_, EISDIR);
  static std::atomic<unsigned> counter{0};
  do {
    temporary_ = cat(path_, ".", ::getpid(), "-", counter++, temporary_suffix);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && errno == EEXIST);
  if (descriptor_ < 0) fail("write", path_, errno);
  // The new file keeps the permissions of the one it replaces, where the system lets us.
  if (exists) static_cast<void>(::fchmod(descriptor_, old.st_mode & 07777) == 0);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) { write_fully(descriptor_, bytes, path_); }

void AtomicFile::write(std::string_view text) { write(bytes_of(text)); }

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail("write", path_, errno);
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) fail("write", path_, errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("write", path_, errno);
  temporary_.clear();
  flush_folder(path_);
}

void remove_temporaries(const std::string& folder) {
  std::error_code ignored;  // in a folder that is read-only, writing will say so
  for (const auto& file : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = file.path().filename().string();
    if (name.ends_with(temporary_suffix)) std::filesystem::remove(file.path(), ignored);
  }
}

LogFile::LogFile(std::string path) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("write", path_, errno);
}

LogFile::~LogFile() { ::close(descriptor_); }

void LogFile::append(std::string_view text) { write_fully(descriptor_, bytes_of(text), path_); }

void LogFile::flush() {
  if (::fsync(descriptor_) != 0) fail("write", path_, errno);
}

void write_file_atomic(const std::string& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void write_file_atomic(const std::string& path, std::string_view text) {
  write_file_atomic(path, bytes_of(text));
}

std::byte* map_temporary_file(size_t bytes) {
  std::error_code ignored;
  std::string path = (std::filesystem::temp_directory_path(ignored) / "soma-XXXXXX").string();
  const int descriptor = ::mkstemp(path.data());
  if (descriptor < 0) fail("make a temporary file", path, errno);
  ::unlink(path.c_str());
  // All blocks now: a full disk would otherwise end the program when it writes to the memory.
  const int code = ::posix_fallocate(descriptor, 0, static_cast<off_t>(bytes));
  void* const pointer =
      code == 0 ? ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
                : MAP_FAILED;
  const int error = code != 0 ? code : errno;
  ::close(descriptor);
  if (pointer == MAP_FAILED) fail(cat("make room for ", bytes, " bytes in"), path, error);
  return static_cast<std::byte*>(pointer);
}

void unmap_file(std::byte* pointer, size_t bytes) { ::munmap(pointer, bytes); }

void make_folder(const std::string& path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  if (!code && !std::filesystem::is_directory(path, code) && !code) {
    code = std::make_error_code(std::errc::not_a_directory);
  }
  if (code) fail("make the folder", path, code.value());
}

}  // namespace soma
