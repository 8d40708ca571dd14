#include "src/data/gzip.h"

#include <algorithm>

#include "soma/error.h"
#include "src/base/file.h"
#include "src/base/text.h"

#ifdef SOMA_ZLIB
#include <zlib.h>
#endif

namespace soma::data {

namespace {

constexpr std::byte gzip_magic[] = {std::byte{0x1f}, std::byte{0x8b}};

#ifdef SOMA_ZLIB

/// Inflates every member of a gzip file in turn. The output grows as it comes, so that a small file
/// cannot claim memory it does not fill, and stops at the limit.
class Inflater {
 public:
  Inflater(const std::string& path, std::vector<std::byte>& packed) : path_(path) {
    stream_.next_in = reinterpret_cast<Bytef*>(packed.data());
    left_ = packed.size();
    constexpr int gzip_only = 16 + MAX_WBITS;
    if (inflateInit2(&stream_, gzip_only) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  std::vector<std::byte> run(uint64_t max_bytes) {
    std::vector<std::byte> out;
    size_t filled = 0;
    max_bytes = std::min<uint64_t>(max_bytes, out.max_size() - 1);
    for (;;) {
      if (filled == out.size()) {
        if (filled > max_bytes) fail_limit(max_bytes);
        // One byte beyond the limit shows that there is more.
        out.resize(std::min<uint64_t>(std::max<uint64_t>(2 * filled, 1 << 16), max_bytes + 1));
      }
      const bool member_ended = step(out, filled);
      if (member_ended && left_ + stream_.avail_in == 0) break;
      if (member_ended) inflateReset(&stream_);
    }
    if (filled > max_bytes) fail_limit(max_bytes);
    out.resize(filled);
    return out;
  }

 private:
  /// Inflates some bytes; true at the end of a member. zlib counts in 32 bits, hence the portions.
  bool step(std::vector<std::byte>& out, size_t& filled) {
    constexpr size_t portion = 1 << 30;
    const auto more = static_cast<uInt>(std::min(left_, portion - stream_.avail_in));
    stream_.avail_in += more;
    left_ -= more;
    const auto room = static_cast<uInt>(std::min(out.size() - filled, portion));
    stream_.next_out = reinterpret_cast<Bytef*>(out.data() + filled);
    stream_.avail_out = room;
    const int code = inflate(&stream_, Z_NO_FLUSH);
    filled += room - stream_.avail_out;
    if (code == Z_STREAM_END) return true;
    const bool starved = left_ + stream_.avail_in == 0 && stream_.avail_out != 0;
    if (code != Z_OK || starved) {
      throw FileError(cat("\"", path_, "\" is a damaged gzip file (",
                          starved       ? "it is cut off"
                          : stream_.msg ? stream_.msg
                                        : "bad data",
                          "); get a fresh copy"));
    }
    return false;
  }

  [[noreturn]] void fail_limit(uint64_t max_bytes) const {
    throw FileError(cat("\"", path_, "\" unpacks to more than the limit of ", max_bytes,
                        " bytes; raise the limit if the file is really meant"));
  }

  const std::string& path_;
  z_stream stream_{};
  size_t left_ = 0;  // bytes of input zlib has not been shown yet
};

std::vector<std::byte> unpack(const std::string& path, std::vector<std::byte> packed,
                              uint64_t max_bytes) {
  return Inflater(path, packed).run(max_bytes);
}

#else

std::vector<std::byte> unpack(const std::string& path, std::vector<std::byte>, uint64_t) {
  throw FileError(cat("\"", path,
                      "\" is compressed with gzip, which this build of Soma cannot read; "
                      "unpack it (gunzip) or build Soma with SOMA_ZLIB=ON"));
}

#endif

}  // namespace

std::vector<std::byte> read_maybe_gzip(const std::string& path, uint64_t max_bytes) {
  std::vector<std::byte> content = read_file(path, max_bytes);
  const bool packed =
      content.size() >= 2 && content[0] == gzip_magic[0] && content[1] == gzip_magic[1];
  return packed ? unpack(path, std::move(content), max_bytes) : content;
}

}  // namespace soma::data
