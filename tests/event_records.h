// A reader of event files, written from the format's description and not from the writer: records
// with their checks, messages field by field.
#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace soma {

struct EventRecord {
  double wall_time = 0;
  int64_t step = 0;
  std::string version, tag;
  float value = 0;
};

class EventReader {
 public:
  explicit EventReader(std::string_view file) : rest_(file) {}

  /// Throws when a record is cut off or its checks are wrong.
  std::vector<EventRecord> all() {
    std::vector<EventRecord> records;
    while (!rest_.empty()) {
      const std::string_view size_bytes = take(8);
      check(size_bytes);
      uint64_t size = 0;
      std::memcpy(&size, size_bytes.data(), 8);
      const std::string_view data = take(size);
      check(data);
      records.push_back(event(data));
    }
    return records;
  }

 private:
  std::string_view take(uint64_t count) {
    if (rest_.size() < count) throw std::runtime_error("cut off");
    const std::string_view part = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return part;
  }
  /// Bit by bit, as Castagnoli's polynomial says.
  void check(std::string_view bytes) {
    uint32_t crc = 0xffffffff;
    for (const char c : bytes) {
      crc ^= static_cast<uint8_t>(c);
      for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
    crc = ~crc;
    uint32_t stored = 0;
    std::memcpy(&stored, take(4).data(), 4);
    if (stored != ((crc >> 15 | crc << 17) + 0xa282ead8)) throw std::runtime_error("wrong check");
  }

  struct Field {
    uint64_t number = 0, value = 0;
    std::string_view bytes;
  };
  static uint64_t varint(std::string_view& message) {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<uint8_t>(message.at(0));
      message.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 127) << shift;
      if (byte < 128) return value;
    }
  }
  static std::vector<Field> fields(std::string_view message) {
    std::vector<Field> all;
    while (!message.empty()) {
      const uint64_t key = varint(message);
      Field field{key >> 3, 0, {}};
      if ((key & 7) == 0) {
        field.value = varint(message);
      } else {
        const uint64_t size = (key & 7) == 1 ? 8 : (key & 7) == 5 ? 4 : varint(message);
        if (message.size() < size) throw std::runtime_error("a field is cut off");
        field.bytes = message.substr(0, size);
        message.remove_prefix(size);
      }
      all.push_back(field);
    }
    return all;
  }
  static EventRecord event(std::string_view message) {
    EventRecord record;
    for (const Field& field : fields(message)) {
      if (field.number == 1) std::memcpy(&record.wall_time, field.bytes.data(), 8);
      if (field.number == 2) record.step = static_cast<int64_t>(field.value);
      if (field.number == 3) record.version = field.bytes;
      if (field.number != 5) continue;
      for (const Field& value : fields(field.bytes)) {
        for (const Field& part : fields(value.bytes)) {
          if (part.number == 1) record.tag = part.bytes;
          if (part.number == 2) std::memcpy(&record.value, part.bytes.data(), 4);
        }
      }
    }
    return record;
  }

  std::string_view rest_;
};

}  // namespace soma
