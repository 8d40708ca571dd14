// safetensors: the length of a JSON header (u64, little endian), the header, then the tensors'
// bytes with nothing between them.
#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "soma/error.h"
#include "soma/io.h"
#include "src/base/checked.h"
#include "src/base/file.h"
#include "src/base/half.h"
#include "src/base/text.h"
#include "src/io/safetensors_header.h"

static_assert(std::endian::native == std::endian::little, "files are copied as little endian");

namespace soma {

namespace {

constexpr uint64_t max_header = 100'000'000;  // as in the reference implementation

template <float (*widen)(uint16_t)>
void widen_all(std::span<const std::byte> from, Tensor& to) {
  auto out = to.data<float>();
  for (size_t i = 0; i < out.size(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, from.data() + 2 * i, 2);
    out[i] = widen(bits);
  }
}

/// The element types we read; those that are not stored as they are held have a conversion.
struct TypeRow {
  std::string_view name;
  int64_t bytes;
  DType held;
  void (*convert)(std::span<const std::byte>, Tensor&) = nullptr;
};
constexpr TypeRow type_rows[] = {{"F32", 4, f32},
                                 {"F64", 8, f64},
                                 {"I32", 4, i32},
                                 {"I64", 8, i64},
                                 {"U8", 1, u8},
                                 {"BOOL", 1, boolean},
                                 {"F16", 2, f32, widen_all<from_f16>},
                                 {"BF16", 2, f32, widen_all<from_bf16>}};

const TypeRow* row_named(std::string_view name) {
  const auto* row = std::find_if(std::begin(type_rows), std::end(type_rows),
                                 [&](const TypeRow& r) { return r.name == name; });
  return row == std::end(type_rows) ? nullptr : row;
}

const TypeRow& row_of(DType type) {
  return *std::find_if(std::begin(type_rows), std::end(type_rows), [&](const TypeRow& row) {
    return row.held == type && row.convert == nullptr;
  });
}

class SafetensorsReader {
 public:
  explicit SafetensorsReader(const std::string& path) : file_(path) {}

  Container read() {
    io::SafetensorsHeader header = read_header();
    check_tiling(header.entries);
    Container container;
    container.metadata = std::move(header.metadata);
    for (const io::SafetensorsEntry& entry : header.entries) {
      container.tensors.emplace(entry.name, read_tensor(entry));
    }
    return container;
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    throw FileError(cat("\"", file_.path(), "\" is not a valid safetensors file: ", reason));
  }

  io::SafetensorsHeader read_header() {
    uint64_t length = 0;
    if (file_.size() < sizeof length) {
      fail(cat("it holds ", file_.size(), " bytes, less than the 8 of the header's length"));
    }
    file_.read_at(0, std::as_writable_bytes(std::span(&length, 1)));
    if (length > max_header) {
      fail(cat("its header claims ", length, " bytes; the format allows ", max_header));
    }
    if (length > file_.size() - sizeof length) {
      fail(cat("its header claims ", length, " bytes, but only ", file_.size() - sizeof length,
               " follow; the file is cut off"));
    }
    std::string json(length, '\0');
    file_.read_at(sizeof length, std::as_writable_bytes(std::span(json)));
    if (!json.starts_with('{')) fail("its header does not begin with {");
    if (json.find('\0') != std::string::npos) fail("its header holds a zero byte");
    data_begin_ = sizeof length + length;
    return io::parse_safetensors_header(json, file_.path());
  }

  /// In the order of their offsets the tensors must cover the data exactly.
  void check_tiling(std::vector<io::SafetensorsEntry>& entries) const {
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
      return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    int64_t end = 0;
    for (const auto& entry : entries) {
      check_size(entry);
      if (entry.begin != end) {
        fail(cat("tensor \"", entry.name, "\" begins at byte ", entry.begin, " of the data, ",
                 entry.begin < end ? "inside the one before, which ends at "
                                   : "leaving a hole after byte ",
                 end));
      }
      end = entry.end;
    }
    const auto found = static_cast<int64_t>(file_.size() - data_begin_);
    if (end != found) {
      fail(cat("its tensors need ", end, " bytes of data, but ", found, " follow the header; ",
               end < found ? "something was appended" : "the file is cut off"));
    }
  }

  void check_size(const io::SafetensorsEntry& entry) const {
    const TypeRow* row = row_named(entry.type);
    if (!row) {
      std::vector<std::string_view> names;
      for (const TypeRow& known : type_rows) names.push_back(known.name);
      throw FileError(cat("\"", file_.path(), "\": tensor \"", entry.name,
                          "\" has the element type \"", entry.type, "\"; Soma reads ",
                          join(names, ", "), ": convert it to one of them"));
    }
    const std::optional<int64_t> needed = checked_product(entry.shape, row->bytes);
    if (entry.end < entry.begin || needed != entry.end - entry.begin) {
      fail(cat("tensor \"", entry.name, "\" of type ", row->name, " and shape [",
               join(entry.shape, ", "), "] needs ",
               needed ? std::to_string(*needed) : "more than 2^63", " bytes, but its offsets ",
               entry.begin, " and ", entry.end, " enclose ", entry.end - entry.begin));
    }
  }

  Tensor read_tensor(const io::SafetensorsEntry& entry) const {
    const TypeRow& row = *row_named(entry.type);
    const uint64_t begin = data_begin_ + static_cast<uint64_t>(entry.begin);
    Tensor tensor(Shape(std::span(entry.shape)), row.held);
    if (row.convert) {
      std::vector<std::byte> stored(static_cast<size_t>(entry.end - entry.begin));
      file_.read_at(begin, stored);
      row.convert(stored, tensor);
      return tensor;
    }
    file_.read_at(begin, {tensor.raw(), tensor.bytes()});
    if (row.held == boolean &&
        std::ranges::any_of(tensor.data<uint8_t>(), [](uint8_t value) { return value > 1; })) {
      fail(cat("tensor \"", entry.name, "\" of type BOOL holds bytes other than 0 and 1"));
    }
    return tensor;
  }

  InputFile file_;
  uint64_t data_begin_ = 0;
};

/// Text as JSON, quotes and all.
std::string quoted(const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    throw ArgumentError(
        cat("a safetensors file holds UTF-8 only; the name or metadata \"",
            nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace),
            "\" is something else"));
  }
}

using Named = std::pair<const std::string, Tensor>;

/// The largest alignment first, so that every tensor lies on a multiple of its element size.
std::vector<const Named*> writing_order(const Container& container) {
  std::vector<const Named*> order;
  for (const Named& named : container.tensors) order.push_back(&named);
  std::stable_sort(order.begin(), order.end(), [](const Named* a, const Named* b) {
    return size_of(a->second.type()) > size_of(b->second.type());
  });
  return order;
}

std::string header_text(const Container& container, const std::vector<const Named*>& order) {
  std::vector<std::string> entries;
  if (!container.metadata.empty()) {
    std::vector<std::string> pairs;
    for (const auto& [key, value] : container.metadata) {
      pairs.push_back(cat(quoted(key), ":", quoted(value)));
    }
    entries.push_back(cat("\"__metadata__\":{", join(pairs, ","), "}"));
  }
  size_t offset = 0;
  for (const Named* named : order) {
    const auto& [name, tensor] = *named;
    if (name == "__metadata__") {
      throw ArgumentError(
          "no tensor of a safetensors file can be called \"__metadata__\"; rename it");
    }
    entries.push_back(cat(quoted(name), ":{\"dtype\":\"", row_of(tensor.type()).name,
                          "\",\"shape\":[", join(tensor.shape(), ","), "],\"data_offsets\":[",
                          offset, ",", offset + tensor.bytes(), "]}"));
    offset += tensor.bytes();
  }
  std::string text = cat("{", join(entries, ","), "}");
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

Container read_safetensors(const std::string& path) { return SafetensorsReader(path).read(); }

void write_safetensors(const std::string& path, const Container& container) {
  const auto order = writing_order(container);
  const std::string header = header_text(container, order);
  if (header.size() > max_header) {
    throw ArgumentError(cat("the header of \"", path, "\" would take ", header.size(),
                            " bytes; the format allows ", max_header,
                            ": shorten the metadata or split the file"));
  }
  AtomicFile file(path);
  const uint64_t length = header.size();
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  for (const Named* named : order) file.write({named->second.raw(), named->second.bytes()});
  file.commit();
}

}  // namespace soma
