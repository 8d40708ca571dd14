// Event files: protocol buffers by hand, for the few fields that scalars need.
#include "soma/event_file.h"

#include <bit>
#include <chrono>
#include <filesystem>

#include "src/base/crc.h"
#include "src/base/file.h"
#include "src/base/text.h"

namespace soma {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

template <class Word>
std::string little_endian(Word word) {
  std::string bytes;
  for (size_t i = 0; i < sizeof word; ++i) bytes += static_cast<char>(word >> (8 * i) & 0xff);
  return bytes;
}

// Fields of messages (https://protobuf.dev/programming-guides/encoding): a varint that holds the
// number and the wire type, then the content.
enum Wire { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

std::string varint_of(uint64_t value) {
  std::string text;
  for (; value > 127; value >>= 7) text += static_cast<char>((value & 127) | 128);
  return text + static_cast<char>(value);
}
std::string field(unsigned number, Wire wire, const std::string& content) {
  return varint_of(number << 3 | static_cast<unsigned>(wire)) +
         (wire == bytes ? varint_of(content.size()) : "") + content;
}

std::string event(double wall_time, int64_t step, unsigned what, const std::string& content) {
  return field(1, fixed64, little_endian(std::bit_cast<uint64_t>(wall_time))) +
         field(2, varint, varint_of(static_cast<uint64_t>(step))) + field(what, bytes, content);
}

/// The check of a record, changed so that checks of data that hold checks stay meaningful.
std::string masked_crc(const std::string& data) {
  const uint32_t crc = crc_of<Crc::crc32c>(data);
  return little_endian(std::rotr(crc, 15) + 0xa282ead8u);
}
std::string record(const std::string& data) {
  const std::string size = little_endian(static_cast<uint64_t>(data.size()));
  return size + masked_crc(size) + data + masked_crc(data);
}

}  // namespace

struct EventFile::Impl {
  explicit Impl(std::string file) : path(std::move(file)), log(path) {}
  std::string path;
  LogFile log;
};

EventFile::EventFile(const std::string& folder, double wall_time) {
  make_folder(folder);
  if (wall_time < 0) wall_time = now();
  const std::string name = cat("events.out.tfevents.", static_cast<int64_t>(wall_time), ".soma");
  impl_ = std::make_unique<Impl>((std::filesystem::path(folder) / name).string());
  impl_->log.append(record(event(wall_time, 0, 3, "brain.Event:2")));
}
EventFile::EventFile(EventFile&&) noexcept = default;
EventFile& EventFile::operator=(EventFile&&) noexcept = default;
EventFile::~EventFile() = default;

const std::string& EventFile::path() const { return impl_->path; }

void EventFile::add(std::string_view tag, int64_t step, double value, double wall_time) {
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(value));
  const std::string scalar =
      field(1, bytes, std::string(tag)) + field(2, fixed32, little_endian(bits));
  const std::string summary = field(1, bytes, scalar);
  impl_->log.append(record(event(wall_time < 0 ? now() : wall_time, step, 5, summary)));
}

}  // namespace soma
