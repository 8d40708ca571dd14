// NumPy's npy format (NEP 1): a magic word, a Python dictionary as text, then the elements.
#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <set>

#include "soma/error.h"
#include "soma/io.h"
#include "src/base/checked.h"
#include "src/base/file.h"
#include "src/base/half.h"
#include "src/base/text.h"

namespace soma {

namespace {

constexpr std::string_view magic = "\x93NUMPY";
constexpr uint32_t max_header = 1 << 20;

struct Half {
  uint16_t bits;
};

template <class Stored, class Held>
void decode(const std::byte* from, Tensor& to) {
  for (Held& value : to.data<Held>()) {
    Stored stored;
    std::memcpy(&stored, from, sizeof stored);
    from += sizeof stored;
    if constexpr (std::is_same_v<Stored, Half>) {
      value = from_f16(stored.bits);
    } else {
      value = static_cast<Held>(stored);
    }
  }
}

/// What we read; the first row of a held type is also how it is written.
struct TypeRow {
  std::string_view name;
  int64_t bytes;
  DType held;
  void (*decode)(const std::byte*, Tensor&);
};
constexpr TypeRow type_rows[] = {
    {"f4", 4, f32, decode<float, float>},     {"f8", 8, f64, decode<double, double>},
    {"i4", 4, i32, decode<int32_t, int32_t>}, {"i8", 8, i64, decode<int64_t, int64_t>},
    {"u1", 1, u8, decode<uint8_t, uint8_t>},  {"b1", 1, boolean, decode<uint8_t, uint8_t>},
    {"f2", 2, f32, decode<Half, float>},      {"i1", 1, i32, decode<int8_t, int32_t>},
    {"i2", 2, i32, decode<int16_t, int32_t>}, {"u2", 2, i32, decode<uint16_t, int32_t>},
    {"u4", 4, i64, decode<uint32_t, int64_t>}};

struct NpyHeader {
  std::string descr;
  bool fortran_order = false;
  std::vector<int64_t> shape;
};

[[noreturn]] void fail(const std::string& path, const std::string& reason) {
  throw FileError(cat("\"", path, "\" is not a valid npy file: ", reason));
}

/// Reads the one dictionary the format allows: {'descr': '<f4', 'fortran_order': False, 'shape':
/// (3,)}.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  NpyHeader parse() {
    NpyHeader header;
    std::set<std::string> seen;
    expect('{');
    while (!take('}')) {
      const std::string key = text();
      if (!seen.insert(key).second) fail(path_, cat("its header has two '", key, "'"));
      expect(':');
      value(key, header);
      if (!take(',') && peek() != '}') expect(',');
    }
    if (peek() != '\0') fail(path_, "something follows the dictionary in its header");
    for (const char* key : {"descr", "fortran_order", "shape"}) {
      if (!seen.contains(key)) fail(path_, cat("its header lacks '", key, "'"));
    }
    return header;
  }

 private:
  char peek() {
    at_ = std::min(text_.find_first_not_of(" \n\t\r", at_), text_.size());
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(path_, cat("its header needs a ", c, " at place ", at_));
  }

  void value(const std::string& key, NpyHeader& header) {
    if (key == "descr") {
      if (peek() == '[') fail(path_, "it holds records of several fields; save one field alone");
      header.descr = text();
    } else if (key == "fortran_order") {
      header.fortran_order = truth();
    } else if (key == "shape") {
      header.shape = tuple();
    } else {
      fail(path_, cat("its header has the unknown key '", key, "'"));
    }
  }

  std::string text() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail(path_, cat("its header needs text at place ", at_));
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail(path_, "a text in its header never ends");
    const std::string result(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return result;
  }

  bool truth() {
    peek();
    for (const std::string_view word : {"True", "False"}) {
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return word == "True";
    }
    fail(path_, cat("its header needs True or False at place ", at_));
  }

  std::vector<int64_t> tuple() {
    std::vector<int64_t> result;
    expect('(');
    while (!take(')')) {
      peek();
      int64_t extent = 0;
      const char* end = text_.data() + text_.size();
      const auto [stop, code] = std::from_chars(text_.data() + at_, end, extent);
      if (code != std::errc() || extent < 0) {
        fail(path_, cat("its shape needs a whole number of 0 or more at place ", at_));
      }
      at_ = static_cast<size_t>(stop - text_.data());
      result.push_back(extent);
      if (!take(',') && peek() != ')') expect(',');
    }
    if (result.size() > Shape::max_size) {
      fail(path_, cat("it has ", result.size(), " axes; Soma reads up to ", Shape::max_size));
    }
    return result;
  }

  std::string_view text_;
  size_t at_ = 0;
  const std::string& path_;
};

const TypeRow& row_named(const std::string& descr, const std::string& path) {
  std::vector<std::string_view> names;
  for (const TypeRow& row : type_rows) {
    const bool order =
        descr.size() == 3 && std::string_view("<>|=").find(descr[0]) != std::string_view::npos;
    if (order && row.name == std::string_view(descr).substr(1)) return row;
    names.push_back(row.name);
  }
  throw FileError(cat("\"", path, "\" holds elements of type '", descr, "'; Soma reads ",
                      join(names, ", "), ": convert it to one of them with astype()"));
}

void swap_bytes(std::vector<std::byte>& data, size_t element) {
  for (auto it = data.begin(); it != data.end(); it += static_cast<ptrdiff_t>(element)) {
    std::reverse(it, it + static_cast<ptrdiff_t>(element));
  }
}

/// From the first axis fastest to the last axis fastest.
std::vector<std::byte> to_row_major(const std::vector<std::byte>& data, const Shape& shape,
                                    size_t element) {
  std::vector<std::byte> result(data.size());
  Dims index = Dims::filled(shape.rank(), 0);
  for (size_t to = 0; to < data.size(); to += element) {
    int64_t from = 0;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) from = from * shape[axis] + index[axis];
    std::memcpy(&result[to], &data[static_cast<size_t>(from) * element], element);
    for (int axis = shape.rank() - 1; axis >= 0 && ++index[axis] == shape[axis]; --axis) {
      index[axis] = 0;
    }
  }
  return result;
}

/// The dictionary's text, and where the data begins.
std::pair<std::string, uint64_t> read_header(const InputFile& file) {
  unsigned char start[12] = {};
  if (file.size() < 10)
    fail(file.path(), cat("it holds ", file.size(), " bytes, less than a header"));
  file.read_at(0, std::as_writable_bytes(std::span(start, std::min<uint64_t>(file.size(), 12))));
  if (std::memcmp(start, magic.data(), magic.size()) != 0) {
    fail(file.path(), "it does not begin with \\x93NUMPY");
  }
  const int version = start[6];
  if (version < 1 || version > 3) {
    fail(file.path(), cat("it is of version ", version, "; Soma reads 1 to 3"));
  }
  const uint64_t begin = version == 1 ? 10 : 12;
  uint32_t length = start[8] | uint32_t{start[9]} << 8;
  if (version > 1) length |= uint32_t{start[10]} << 16 | uint32_t{start[11]} << 24;
  if (length > max_header || begin + length > file.size()) {
    fail(file.path(), cat("its header claims ", length, " bytes in a file of ", file.size()));
  }
  std::string text(length, '\0');
  file.read_at(begin, std::as_writable_bytes(std::span(text)));
  return {text, begin + length};
}

}  // namespace

Tensor read_npy(const std::string& path) {
  const InputFile file(path);
  const auto [text, begin] = read_header(file);
  const NpyHeader header = HeaderParser(text, path).parse();
  const TypeRow& row = row_named(header.descr, path);
  const std::optional<int64_t> needed = checked_product(header.shape, row.bytes);
  const uint64_t found = file.size() - begin;
  if (!needed || static_cast<uint64_t>(*needed) != found) {
    fail(path, cat("the shape (", join(header.shape, ", "), ") of '", header.descr, "' needs ",
                   needed ? std::to_string(*needed) : "more than 2^63", " bytes, but ", found,
                   " follow the header"));
  }
  const Shape shape{std::span(header.shape)};
  const auto element = static_cast<size_t>(row.bytes);
  std::vector<std::byte> data(found);
  file.read_at(begin, data);
  const bool foreign = header.descr[0] == (std::endian::native == std::endian::little ? '>' : '<');
  if (foreign) swap_bytes(data, element);
  if (header.fortran_order && shape.rank() > 1) data = to_row_major(data, shape, element);
  if (row.held == boolean &&
      std::ranges::any_of(data, [](std::byte b) { return b > std::byte{1}; })) {
    fail(path, "its truth values hold bytes other than 0 and 1");
  }
  Tensor tensor(shape, row.held);
  row.decode(data.data(), tensor);
  return tensor;
}

void write_npy(const std::string& path, const Tensor& tensor) {
  const auto* row = std::find_if(std::begin(type_rows), std::end(type_rows),
                                 [&](const TypeRow& r) { return r.held == tensor.type(); });
  const char order = row->bytes == 1 ? '|' : std::endian::native == std::endian::little ? '<' : '>';
  std::string text = cat("{'descr': '", order, row->name, "', 'fortran_order': False, 'shape': (",
                         join(tensor.shape(), ", "), tensor.shape().rank() == 1 ? ",), }" : "), }");
  const size_t begin = magic.size() + 4;
  text.resize((begin + text.size() + 1 + 63) / 64 * 64 - begin - 1,
              ' ');  // data on a multiple of 64
  text += '\n';
  AtomicFile file(path);
  file.write(magic);
  const unsigned char start[] = {1, 0, static_cast<unsigned char>(text.size() & 255),
                                 static_cast<unsigned char>(text.size() >> 8)};
  file.write(std::as_bytes(std::span(start)));
  file.write(text);
  file.write({tensor.raw(), tensor.bytes()});
  file.commit();
}

}  // namespace soma
