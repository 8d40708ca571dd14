#include "soma/tensor.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <ostream>

#include "soma/error.h"
#include "src/base/file.h"
#include "src/base/text.h"
#include "src/base/visit.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace soma {

namespace {
struct TypeRow {
  std::string_view name;
  size_t bytes;
};
constexpr TypeRow type_rows[] = {{"f32", 4}, {"f64", 8}, {"i32", 4},
                                 {"i64", 8}, {"u8", 1},  {"bool", 1}};
}  // namespace

size_t size_of(DType type) { return type_rows[static_cast<size_t>(type)].bytes; }
std::string_view name_of(DType type) { return type_rows[static_cast<size_t>(type)].name; }

DType dtype_named(std::string_view name) {
  for (size_t i = 0; i < std::size(type_rows); ++i) {
    if (type_rows[i].name == name) return static_cast<DType>(i);
  }
  throw ArgumentError(
      cat("unknown element type \"", name, "\"; the types are f32, f64, i32, i64, u8 and bool"));
}

Dims::Dims(std::initializer_list<int64_t> values)
    : Dims(std::span<const int64_t>(values.begin(), values.size())) {}

Dims::Dims(std::span<const int64_t> values) {
  for (const int64_t value : values) push_back(value);
}

Dims Dims::filled(int count, int64_t value) {
  Dims result;
  for (int i = 0; i < count; ++i) result.push_back(value);
  return result;
}

void Dims::push_back(int64_t value) {
  if (size_ == max_size) throw ShapeError("a shape has at most eight axes");
  values_[static_cast<size_t>(size_++)] = value;
}

bool Dims::contains(int64_t value) const { return std::find(begin(), end(), value) != end(); }

int64_t Dims::elements() const {
  int64_t product = 1;
  for (const int64_t extent : *this) product *= extent;
  return product;
}

Dims Dims::strides() const {
  Dims result = filled(size_, 1);
  for (int i = size_ - 2; i >= 0; --i) result[i] = result[i + 1] * (*this)[i + 1];
  return result;
}

std::string Dims::text() const { return cat("[", join(*this, ", "), "]"); }

bool operator==(const Dims& a, const Dims& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}
std::ostream& operator<<(std::ostream& out, const Dims& dims) { return out << dims.text(); }
std::ostream& operator<<(std::ostream& out, DType type) { return out << name_of(type); }

void Tensor::Free::operator()(std::byte* pointer) const {
  if (mapped > 0) {
    unmap_file(pointer, mapped);
  } else {
    ::operator delete[](pointer, std::align_val_t{64});
  }
}

Tensor::Tensor(Shape shape, DType type, std::unique_ptr<std::byte[], Free> buffer)
    : shape_(shape), type_(type), buffer_(std::move(buffer)) {}

Tensor Tensor::on_disk(Shape shape, DType type) {
  const size_t size = std::max<size_t>(static_cast<size_t>(shape.elements()) * size_of(type), 1);
  return Tensor(shape, type,
                std::unique_ptr<std::byte[], Free>(map_temporary_file(size), Free{size}));
}

/// Large arrays are faster in large pages: fewer addresses to translate.
static void prefer_large_pages([[maybe_unused]] std::byte* begin, [[maybe_unused]] size_t bytes) {
#if defined(MADV_HUGEPAGE)
  constexpr uintptr_t page = uintptr_t{2} << 20;
  const auto address = reinterpret_cast<uintptr_t>(begin);
  const size_t skip = (page - address % page) % page;
  // A wish: where it cannot be granted, nothing is lost.
  if (bytes > skip + page) madvise(begin + skip, (bytes - skip) / page * page, MADV_HUGEPAGE);
#endif
}

Tensor::Tensor(Shape shape, DType type) : shape_(shape), type_(type) {
  for (const int64_t extent : shape) {
    if (extent < 0) throw ShapeError(cat("a tensor cannot have the shape ", shape));
  }
  buffer_.reset(new (std::align_val_t{64}) std::byte[std::max<size_t>(bytes(), 1)]);
  prefer_large_pages(buffer_.get(), bytes());
  std::memset(buffer_.get(), 0, bytes());
}

Tensor::Tensor(const Tensor& other) : Tensor(other.shape_, other.type_) {
  std::memcpy(raw(), other.raw(), bytes());
}

Tensor& Tensor::operator=(const Tensor& other) {
  if (this != &other) *this = Tensor(other);
  return *this;
}

Tensor Tensor::scalar(double value, DType type) {
  Tensor result(Shape{}, type);
  result.set(0, value);
  return result;
}

void Tensor::check(DType wanted) const {
  const bool bytes_alike = wanted == u8 && type_ == boolean;
  if (wanted != type_ && !bytes_alike) {
    throw TypeError(cat("a tensor of ", type_, " was read as ", wanted, "; read it as ", type_,
                        " or cast() it first"));
  }
}

double Tensor::at(int64_t index) const {
  return visit_type(type_, [&]<class T>(T) {
    return static_cast<double>(reinterpret_cast<const T*>(raw())[index]);
  });
}

void Tensor::set(int64_t index, double value) {
  visit_type(type_,
             [&]<class T>(T) { reinterpret_cast<T*>(raw())[index] = static_cast<T>(value); });
}

Tensor Tensor::cast(DType type) const {
  if (type == type_) return *this;
  Tensor result(shape_, type);
  visit_type(type_, [&]<class From>(From) {
    visit_type(type, [&]<class To>(To) {
      const auto* from = reinterpret_cast<const From*>(raw());
      auto* to = reinterpret_cast<To*>(result.raw());
      for (int64_t i = 0; i < elements(); ++i) to[i] = static_cast<To>(from[i]);
    });
  });
  return result;
}

Tensor Tensor::reshaped(Shape shape) const {
  detail::check_count(shape, static_cast<size_t>(elements()));
  Tensor result = *this;
  result.shape_ = shape;
  return result;
}

bool operator==(const Tensor& a, const Tensor& b) {
  return a.type_ == b.type_ && a.shape_ == b.shape_ && !std::memcmp(a.raw(), b.raw(), a.bytes());
}

void detail::check_count(const Shape& shape, size_t count) {
  if (shape.elements() != static_cast<int64_t>(count)) {
    throw ShapeError(cat("the shape ", shape, " needs ", shape.elements(), " numbers, but ", count,
                         " were given"));
  }
}

}  // namespace soma
