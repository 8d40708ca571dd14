// Element types, shapes and host arrays.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace soma {

/// Element types. `boolean` is stored as one byte, 0 or 1.
enum class DType : uint8_t { f32, f64, i32, i64, u8, boolean };
inline constexpr DType f32 = DType::f32, f64 = DType::f64, i32 = DType::i32, i64 = DType::i64,
                       u8 = DType::u8, boolean = DType::boolean;

/// Bytes of one element.
size_t size_of(DType type);
/// "f32", "f64", "i32", "i64", "u8" or "bool".
std::string_view name_of(DType type);
/// The type with that name; throws ArgumentError for any other text.
DType dtype_named(std::string_view name);
inline bool is_float(DType type) { return type == f32 || type == f64; }
inline bool is_integer(DType type) { return type == i32 || type == i64 || type == u8; }

template <class T>
struct dtype_of;
template <>
struct dtype_of<float> {
  static constexpr DType value = f32;
};
template <>
struct dtype_of<double> {
  static constexpr DType value = f64;
};
template <>
struct dtype_of<int32_t> {
  static constexpr DType value = i32;
};
template <>
struct dtype_of<int64_t> {
  static constexpr DType value = i64;
};
template <>
struct dtype_of<uint8_t> {
  static constexpr DType value = u8;
};
template <>
struct dtype_of<bool> {
  static constexpr DType value = boolean;
};

/// A short list of integers: the extents of a shape, axes, strides, offsets. At most eight.
class Dims {
 public:
  static constexpr int max_size = 8;

  Dims() = default;
  Dims(std::initializer_list<int64_t> values);
  explicit Dims(std::span<const int64_t> values);
  /// `count` times `value`.
  static Dims filled(int count, int64_t value);

  int size() const { return size_; }
  bool empty() const { return size_ == 0; }
  int64_t operator[](int i) const { return values_[static_cast<size_t>(i)]; }
  int64_t& operator[](int i) { return values_[static_cast<size_t>(i)]; }
  int64_t back() const { return values_[static_cast<size_t>(size_ - 1)]; }
  const int64_t* begin() const { return values_.data(); }
  const int64_t* end() const { return values_.data() + size_; }
  int64_t* begin() { return values_.data(); }
  int64_t* end() { return values_.data() + size_; }
  void push_back(int64_t value);
  bool contains(int64_t value) const;

  // Read as a shape:
  int rank() const { return size_; }
  /// The product of the extents; 1 for a scalar.
  int64_t elements() const;
  /// Row-major strides in elements.
  Dims strides() const;

  /// "[32, 784]"; "[]" for a scalar.
  std::string text() const;
  friend bool operator==(const Dims& a, const Dims& b);

 private:
  std::array<int64_t, max_size> values_{};
  int8_t size_ = 0;
};
using Shape = Dims;
std::ostream& operator<<(std::ostream& out, const Dims& dims);
std::ostream& operator<<(std::ostream& out, DType type);

/// An array in host memory: row-major, 64-byte aligned, zero when made. A value: copies are deep.
class Tensor {
 public:
  Tensor() : Tensor(Shape{}, f32) {}
  explicit Tensor(Shape shape, DType type = f32);
  /// From numbers in row-major order; throws ShapeError when their count does not fit the shape.
  template <class T>
  static Tensor of(Shape shape, const std::vector<T>& values);
  static Tensor of(Shape shape, std::initializer_list<float> values) {
    return of(shape, std::vector<float>(values));
  }
  static Tensor scalar(double value, DType type = f32);
  /// Zeros in a temporary file of the folder for such files (TMPDIR) that goes away with the
  /// tensor: the system keeps in memory what is used and room allows. Copies are in memory. Throws
  /// FileError.
  static Tensor on_disk(Shape shape, DType type = f32);

  Tensor(const Tensor& other);
  Tensor(Tensor&& other) noexcept = default;
  Tensor& operator=(const Tensor& other);
  Tensor& operator=(Tensor&& other) noexcept = default;

  const Shape& shape() const { return shape_; }
  DType type() const { return type_; }
  int64_t elements() const { return shape_.elements(); }
  size_t bytes() const { return static_cast<size_t>(elements()) * size_of(type_); }

  /// The elements as `T`; throws TypeError when the tensor holds another type. Booleans are read
  /// as uint8_t or bool.
  template <class T>
  std::span<T> data();
  template <class T>
  std::span<const T> data() const;
  std::byte* raw() { return buffer_.get(); }
  const std::byte* raw() const { return buffer_.get(); }

  /// One element, in row-major order, as a double, whatever the type.
  double at(int64_t index) const;
  void set(int64_t index, double value);
  /// The same numbers as another type.
  Tensor cast(DType type) const;
  /// The same numbers under another shape of as many elements.
  Tensor reshaped(Shape shape) const;
  /// Type, shape and bytes equal. NaN equals the same NaN.
  friend bool operator==(const Tensor& a, const Tensor& b);

 private:
  struct Free {
    void operator()(std::byte* pointer) const;
    size_t mapped;  // bytes of a file; 0: none
  };
  Tensor(Shape shape, DType type, std::unique_ptr<std::byte[], Free> buffer);
  void check(DType wanted) const;

  Shape shape_;
  DType type_;
  std::unique_ptr<std::byte[], Free> buffer_;
};

template <class T>
std::span<T> Tensor::data() {
  check(dtype_of<T>::value);
  return {reinterpret_cast<T*>(buffer_.get()), static_cast<size_t>(elements())};
}
template <class T>
std::span<const T> Tensor::data() const {
  check(dtype_of<T>::value);
  return {reinterpret_cast<const T*>(buffer_.get()), static_cast<size_t>(elements())};
}

namespace detail {
void check_count(const Shape& shape, size_t count);
}
template <class T>
Tensor Tensor::of(Shape shape, const std::vector<T>& values) {
  detail::check_count(shape, values.size());
  Tensor result(shape, dtype_of<T>::value);
  for (size_t i = 0; i < values.size(); ++i) result.data<T>()[i] = values[i];
  return result;
}

}  // namespace soma
