// A thin layer over the vector extensions of GCC and Clang, for the sources that are compiled once
// per instruction set. Everything here has internal linkage: a function that was compiled for one
// instruction set must never be merged by the linker with its twin for another. For the same
// reason these sources use nothing of the standard library but its types.
#pragma once

#include <cstdint>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

// "No iteration depends on an earlier one": true of every kernel here, as operands are either
// exactly the destination or apart from it.
#if defined(__clang__)
#define SOMA_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#define SOMA_UNROLL _Pragma("clang loop unroll(full)")
#define SOMA_UNROLL_4 _Pragma("clang loop unroll_count(4)")
#else
#define SOMA_INDEPENDENT _Pragma("GCC ivdep")
#define SOMA_UNROLL _Pragma("GCC unroll 32")
#define SOMA_UNROLL_4 _Pragma("GCC unroll 4")
#endif
#define SOMA_INLINE inline __attribute__((always_inline))

namespace soma::cpu {
namespace {

/// Bytes of a native vector register.
#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

/// `lanes` elements of T.
template <class T, int lanes>
struct VectorOf {
  typedef T type __attribute__((vector_size(lanes * sizeof(T))));
};
template <class T, int lanes>
using Vector = typename VectorOf<T, lanes>::type;
/// As many elements of T as a register holds.
template <class T>
constexpr int native_lanes = vector_bytes / static_cast<int>(sizeof(T));
template <class T>
using Native = Vector<T, native_lanes<T>>;

template <class V>
SOMA_INLINE V load(const void* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}
template <class V>
SOMA_INLINE void store(void* to, V v) {
  __builtin_memcpy(to, &v, sizeof v);
}

/// The first `count` elements, the others zero; `count` may exceed the vector. Reads no others.
template <class V, class T>
SOMA_INLINE V load_first(const T* from, int64_t count) {
  constexpr int64_t lanes = sizeof(V) / sizeof(T);
  if (count >= lanes) return load<V>(from);
#if defined(__AVX512F__)
  const auto mask = (1u << (count < 0 ? 0 : count)) - 1;
  if constexpr (sizeof(T) == 4)
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), from);
  else
    return _mm512_maskz_loadu_pd(static_cast<__mmask8>(mask), from);
#elif defined(__AVX2__)
  if constexpr (sizeof(V) == 32 && sizeof(T) == 4)
    return _mm256_maskload_ps(from, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                                                       _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)));
  else if constexpr (sizeof(V) == 32)
    return _mm256_maskload_pd(
        from, _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3)));
  else
    return _mm_maskload_ps(
        from, _mm_cmpgt_epi32(_mm_set1_epi32(static_cast<int>(count)), _mm_setr_epi32(0, 1, 2, 3)));
#else
  T elements[lanes] = {};
  for (int64_t i = 0; i < lanes; ++i)
    if (i < count) elements[i] = from[i];
  return load<V>(elements);
#endif
}
/// Writes the first `count` elements and no others.
template <class V, class T>
SOMA_INLINE void store_first(T* to, V v, int64_t count) {
  constexpr int64_t lanes = sizeof(V) / sizeof(T);
  if (count >= lanes) return store(to, v);
#if defined(__AVX512F__)
  const auto mask = (1u << (count < 0 ? 0 : count)) - 1;
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>(mask), v);
  else
    _mm512_mask_storeu_pd(to, static_cast<__mmask8>(mask), v);
#else
  T elements[lanes];
  store(elements, v);
  for (int64_t i = 0; i < lanes; ++i)
    if (i < count) to[i] = elements[i];
#endif
}

/// The same for many vectors: the mask is made once.
template <class T>
class FirstLanes {
 public:
  using V = Native<T>;
#if defined(__AVX512F__)
  explicit FirstLanes(int64_t count)
      : mask_(count <= 0                 ? 0u
              : count >= native_lanes<T> ? (1u << native_lanes<T>)-1
                                         : (1u << count) - 1) {}
  SOMA_INLINE V load(const T* from) const {
    if constexpr (sizeof(T) == 4)
      return _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask_), from);
    else
      return _mm512_maskz_loadu_pd(static_cast<__mmask8>(mask_), from);
  }
  SOMA_INLINE void store(T* to, V v) const {
    if constexpr (sizeof(T) == 4)
      _mm512_mask_storeu_ps(to, static_cast<__mmask16>(mask_), v);
    else
      _mm512_mask_storeu_pd(to, static_cast<__mmask8>(mask_), v);
  }

 private:
  unsigned mask_;
#else
  explicit FirstLanes(int64_t count) : count_(count) {}
  SOMA_INLINE V load(const T* from) const { return load_first<V>(from, count_); }
  SOMA_INLINE void store(T* to, V v) const { store_first(to, v, count_); }

 private:
  int64_t count_;
#endif
};

/// The sum of all lanes, in halves.
template <class T, class V>
SOMA_INLINE T sum_of_lanes(V v) {
  constexpr int lanes = sizeof(V) / sizeof(T);
  if constexpr (lanes == 2) {
    return v[0] + v[1];
  } else {
    using Half = Vector<T, lanes / 2>;
    Half low, high;
    __builtin_memcpy(&low, &v, sizeof low);
    __builtin_memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof low, sizeof high);
    return sum_of_lanes<T>(low + high);
  }
}

/// a * b + c, rounded once where the instruction set has it.
template <class V>
SOMA_INLINE V multiply_add(V a, V b, V c) {
  return a * b + c;
}
#if defined(__AVX512F__)
SOMA_INLINE Vector<float, 16> multiply_add(Vector<float, 16> a, Vector<float, 16> b,
                                           Vector<float, 16> c) {
  return _mm512_fmadd_ps(a, b, c);
}
SOMA_INLINE Vector<double, 8> multiply_add(Vector<double, 8> a, Vector<double, 8> b,
                                           Vector<double, 8> c) {
  return _mm512_fmadd_pd(a, b, c);
}
#elif defined(__FMA__)
SOMA_INLINE Vector<float, 8> multiply_add(Vector<float, 8> a, Vector<float, 8> b,
                                          Vector<float, 8> c) {
  return _mm256_fmadd_ps(a, b, c);
}
SOMA_INLINE Vector<double, 4> multiply_add(Vector<double, 4> a, Vector<double, 4> b,
                                           Vector<double, 4> c) {
  return _mm256_fmadd_pd(a, b, c);
}
#elif defined(__aarch64__)
SOMA_INLINE Vector<float, 4> multiply_add(Vector<float, 4> a, Vector<float, 4> b,
                                          Vector<float, 4> c) {
  return (Vector<float, 4>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
SOMA_INLINE Vector<double, 2> multiply_add(Vector<double, 2> a, Vector<double, 2> b,
                                           Vector<double, 2> c) {
  return (Vector<double, 2>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
#endif

/// Swaps the blocks of `step` lanes of two rows that a transposition exchanges.
template <int step, class V, int... lane>
SOMA_INLINE void exchange(V& low, V& high, std::integer_sequence<int, lane...>) {
  constexpr int lanes = sizeof...(lane);
  const V a = low, b = high;
  low = __builtin_shufflevector(a, b, ((lane & step) != 0 ? lanes + lane - step : lane)...);
  high = __builtin_shufflevector(a, b, ((lane & step) != 0 ? lanes + lane : lane + step)...);
}
template <class T, int step = native_lanes<T> / 2>
SOMA_INLINE void transpose(Native<T> (&rows)[native_lanes<T>]) {
  constexpr int lanes = native_lanes<T>;
  SOMA_UNROLL
  for (int i = 0; i < lanes; ++i)
    if ((i & step) == 0)
      exchange<step>(rows[i], rows[i + step], std::make_integer_sequence<int, lanes>{});
  if constexpr (step > 1) transpose<T, step / 2>(rows);
}

}  // namespace
}  // namespace soma::cpu
