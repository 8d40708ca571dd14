#include "src/data/gzip.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "soma/error.h"
#include "src/base/file.h"
#include "src/base/text.h"

#ifdef SOMA_ZLIB
#include <zlib.h>
#endif

namespace soma::data {

namespace {

constexpr std::string_view gzip_magic = "\x1f\x8b";

class TextBytes : public ByteSource {
 public:
  explicit TextBytes(std::string_view text) : text_(text) {}
  size_t read(std::span<char> out) override {
    const size_t count = text_.copy(out.data(), out.size());
    text_.remove_prefix(count);
    return count;
  }

 private:
  std::string_view text_;
};

class FileBytes : public ByteSource {
 public:
  explicit FileBytes(const std::string& path) : file_(path) {}
  size_t read(std::span<char> out) override {
    const size_t count = std::min<uint64_t>(out.size(), file_.size() - at_);
    file_.read_at(at_, std::as_writable_bytes(out.first(count)));
    at_ += count;
    return count;
  }
  bool packed() const {
    char first[2] = {};
    if (file_.size() < 2) return false;
    file_.read_at(0, std::as_writable_bytes(std::span(first)));
    return std::string_view(first, 2) == gzip_magic;
  }

 private:
  InputFile file_;
  uint64_t at_ = 0;
};

class StandardInput : public ByteSource {
 public:
  size_t read(std::span<char> out) override {
    for (;;) {
      const ssize_t count = ::read(STDIN_FILENO, out.data(), out.size());
      if (count >= 0) return static_cast<size_t>(count);
      if (errno == EINTR) continue;
      throw FileError(cat("cannot read the standard input: ", std::strerror(errno)));
    }
  }
};

#ifdef SOMA_ZLIB

/// Inflates every member of a gzip file in turn, as it is asked for: a small file cannot claim
/// memory that it does not fill.
class GzipBytes : public ByteSource {
 public:
  GzipBytes(std::string path, std::unique_ptr<ByteSource> packed)
      : path_(std::move(path)), packed_(std::move(packed)), chunk_(1 << 16) {
    constexpr int gzip_only = 16 + MAX_WBITS;
    if (inflateInit2(&stream_, gzip_only) != Z_OK) throw std::bad_alloc();
  }
  ~GzipBytes() override { inflateEnd(&stream_); }
  GzipBytes(const GzipBytes&) = delete;
  GzipBytes& operator=(const GzipBytes&) = delete;

  size_t read(std::span<char> out) override {
    const auto room = static_cast<uInt>(std::min<size_t>(out.size(), 1 << 30));
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = room;
    while (stream_.avail_out == room) {
      if (stream_.avail_in == 0 && !refill()) {
        if (!in_member_) return 0;
        fail("it is cut off");
      }
      in_member_ = true;
      const int code = inflate(&stream_, Z_NO_FLUSH);
      if (code == Z_STREAM_END) {
        in_member_ = false;
        inflateReset(&stream_);
      } else if (code != Z_OK) {
        fail(stream_.msg ? stream_.msg : "bad data");
      }
    }
    return room - stream_.avail_out;
  }

 private:
  bool refill() {
    stream_.next_in = reinterpret_cast<Bytef*>(chunk_.data());
    stream_.avail_in = static_cast<uInt>(packed_->read(chunk_));
    return stream_.avail_in > 0;
  }
  [[noreturn]] void fail(std::string_view reason) const {
    throw FileError(cat("\"", path_, "\" is a damaged gzip file (", reason, "); get a fresh copy"));
  }

  std::string path_;
  std::unique_ptr<ByteSource> packed_;
  std::vector<char> chunk_;
  z_stream stream_{};
  bool in_member_ = false;
};

std::unique_ptr<ByteSource> unpacked(const std::string& path, std::unique_ptr<ByteSource> packed) {
  return std::make_unique<GzipBytes>(path, std::move(packed));
}

#else

std::unique_ptr<ByteSource> unpacked(const std::string& path, std::unique_ptr<ByteSource>) {
  throw FileError(cat("\"", path,
                      "\" is compressed with gzip, which this build of Soma cannot read; "
                      "unpack it (gunzip) or build Soma with SOMA_ZLIB=ON"));
}

#endif

}  // namespace

std::unique_ptr<ByteSource> bytes_of(std::string_view text) {
  return std::make_unique<TextBytes>(text);
}

std::unique_ptr<ByteSource> open_maybe_gzip(const std::string& path) {
  if (path == "-") return std::make_unique<StandardInput>();
  auto file = std::make_unique<FileBytes>(path);
  if (file->packed()) return unpacked(path, std::move(file));
  return file;
}

std::vector<std::byte> read_maybe_gzip(const std::string& path, uint64_t max_bytes) {
  std::vector<std::byte> content = read_file(path, max_bytes);
  const std::string_view text(reinterpret_cast<const char*>(content.data()), content.size());
  if (!text.starts_with(gzip_magic)) return content;
  const auto source = unpacked(path, bytes_of(text));
  std::vector<std::byte> out;
  size_t filled = 0;
  max_bytes = std::min<uint64_t>(max_bytes, out.max_size() - 1);
  for (;;) {
    if (filled == out.size()) {  // one byte beyond the limit shows that there is more
      out.resize(std::min<uint64_t>(std::max<uint64_t>(2 * filled, 1 << 16), max_bytes + 1));
    }
    const size_t count =
        source->read({reinterpret_cast<char*>(out.data()) + filled, out.size() - filled});
    if (count == 0) break;
    filled += count;
    if (filled > max_bytes) {
      throw FileError(cat("\"", path, "\" unpacks to more than the limit of ", max_bytes,
                          " bytes; raise the limit if the file is really meant"));
    }
  }
  out.resize(filled);
  return out;
}

}  // namespace soma::data
