// The meaning of the element-wise ops.
#include <cmath>
#include <limits>

#include "src/ir/interpret.h"

namespace soma {

namespace {

template <class F>
void each_float(const Frame& f, F&& function) {
  visit_float(f.out().type(), [&]<class T>(T) {
    const auto x = f.in(0).data<T>();
    const auto out = f.out().data<T>();
    for (size_t i = 0; i < out.size(); ++i) out[i] = function(x[i]);
  });
}
template <class F>
void each_number(const Frame& f, F&& function) {
  visit_number(f.out().type(), [&]<class T>(T) {
    const auto x = f.in(0).data<T>();
    const auto out = f.out().data<T>();
    for (size_t i = 0; i < out.size(); ++i) out[i] = function(x[i]);
  });
}
template <class F>
void each_pair(const Frame& f, F&& function) {
  visit_number(f.out().type(), [&]<class T>(T) {
    const auto x = f.in(0).data<T>(), y = f.in(1).data<T>();
    const auto out = f.out().data<T>();
    for (size_t i = 0; i < out.size(); ++i) out[i] = function(x[i], y[i]);
  });
}
template <class F>
void each_comparison(const Frame& f, F&& function) {
  visit_type(f.in(0).type(), [&]<class T>(T) {
    const auto x = f.in(0).data<T>(), y = f.in(1).data<T>();
    const auto out = f.out().data<bool>();
    for (size_t i = 0; i < out.size(); ++i) out[i] = function(x[i], y[i]);
  });
}

// Integers are computed modulo 2^64 and cut to their width: that is wrapping, without undefined
// overflow.
uint64_t bits(auto x) { return static_cast<uint64_t>(x); }

template <class T>
T quotient(T a, T b) {
  if constexpr (std::floating_point<T>) {
    return a / b;
  } else {
    if (b == 0) return 0;
    if constexpr (std::signed_integral<T>) {
      if (b == -1) return static_cast<T>(0 - bits(a));  // the smallest has no positive counterpart
    }
    return static_cast<T>(a / b);
  }
}

/// x to the power n for integers by squaring, wrapping; a negative n gives 1 / x^-n in integers.
template <std::integral T>
T power(T x, T n) {
  bool negative = false;
  if constexpr (std::signed_integral<T>) negative = n < 0;
  uint64_t result = 1, factor = bits(x);
  for (uint64_t left = negative ? 0 - bits(n) : bits(n); left; left >>= 1) {
    if (left & 1) result *= factor;
    factor *= factor;
  }
  const T whole = static_cast<T>(result);
  return negative ? quotient(T{1}, whole) : whole;
}

template <class From, class To>
To convert(From x) {
  if constexpr (std::same_as<To, bool>) {
    return x != From{};
  } else if constexpr (std::floating_point<From> && std::integral<To>) {
    using Limits = std::numeric_limits<To>;
    if (std::isnan(x)) return 0;
    // The largest To may round up as a float, so it is "not below" that saturates.
    if (x <= static_cast<From>(Limits::min())) return Limits::min();
    if (x >= static_cast<From>(Limits::max())) return Limits::max();
    return static_cast<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

}  // namespace

Tensor converted(const Tensor& from, DType type) {
  if (from.type() == type) return from;
  Tensor result(from.shape(), type);
  visit_type(from.type(), [&]<class From>(From) {
    visit_type(type, [&]<class To>(To) {
      const auto x = from.data<From>();
      const auto out = result.data<To>();
      for (size_t i = 0; i < out.size(); ++i) out[i] = convert<From, To>(x[i]);
    });
  });
  return result;
}

namespace meaning {

// ---- one input

void neg(const Frame& f) {
  each_number(f, []<class T>(T x) {
    if constexpr (std::floating_point<T>) return -x;
    return static_cast<T>(0 - bits(x));
  });
}
void abs(const Frame& f) {
  each_number(f, []<class T>(T x) {
    if constexpr (std::floating_point<T>) return std::abs(x);
    return x < T{} ? static_cast<T>(0 - bits(x)) : x;
  });
}
void exp(const Frame& f) {
  each_float(f, [](auto x) { return std::exp(x); });
}
void log(const Frame& f) {
  each_float(f, [](auto x) { return std::log(x); });
}
void expm1(const Frame& f) {
  each_float(f, [](auto x) { return std::expm1(x); });
}
void log1p(const Frame& f) {
  each_float(f, [](auto x) { return std::log1p(x); });
}
void sqrt(const Frame& f) {
  each_float(f, [](auto x) { return std::sqrt(x); });
}
void tanh(const Frame& f) {
  each_float(f, [](auto x) { return std::tanh(x); });
}
void sigmoid(const Frame& f) {
  each_float(f, []<class T>(T x) {
    const T e = std::exp(-std::abs(x));  // never overflows
    return x < 0 ? e / (1 + e) : 1 / (1 + e);
  });
}
void erf(const Frame& f) {
  each_float(f, [](auto x) { return std::erf(x); });
}
void sin(const Frame& f) {
  each_float(f, [](auto x) { return std::sin(x); });
}
void cos(const Frame& f) {
  each_float(f, [](auto x) { return std::cos(x); });
}
void cast(const Frame& f) { f.out() = converted(f.in(0), f.out().type()); }
void stop(const Frame& f) { f.out() = f.in(0); }

// ---- two inputs

void add(const Frame& f) {
  each_pair(f, []<class T>(T x, T y) {
    if constexpr (std::floating_point<T>) return x + y;
    return static_cast<T>(bits(x) + bits(y));
  });
}
void sub(const Frame& f) {
  each_pair(f, []<class T>(T x, T y) {
    if constexpr (std::floating_point<T>) return x - y;
    return static_cast<T>(bits(x) - bits(y));
  });
}
void mul(const Frame& f) {
  each_pair(f, []<class T>(T x, T y) {
    if constexpr (std::floating_point<T>) return x * y;
    return static_cast<T>(bits(x) * bits(y));
  });
}
void div(const Frame& f) {
  each_pair(f, []<class T>(T x, T y) { return quotient(x, y); });
}
void max(const Frame& f) {  // NaN wins: x > NaN is false, and x != x keeps a NaN on the left
  each_pair(f, []<class T>(T x, T y) { return x > y || x != x ? x : y; });
}
void min(const Frame& f) {
  each_pair(f, []<class T>(T x, T y) { return x < y || x != x ? x : y; });
}
void pow(const Frame& f) {
  each_pair(f, []<class T>(T x, T y) {
    if constexpr (std::floating_point<T>) {
      return std::pow(x, y);
    } else {
      return power(x, y);
    }
  });
}
void lt(const Frame& f) {
  each_comparison(f, [](auto x, auto y) { return x < y; });
}
void eq(const Frame& f) {
  each_comparison(f, [](auto x, auto y) { return x == y; });
}

// ---- three

void select(const Frame& f) {
  const auto condition = f.in(0).data<bool>();
  visit_type(f.out().type(), [&]<class T>(T) {
    const auto x = f.in(1).data<T>(), y = f.in(2).data<T>();
    const auto out = f.out().data<T>();
    for (size_t i = 0; i < out.size(); ++i) out[i] = condition[i] ? x[i] : y[i];
  });
}

}  // namespace meaning

}  // namespace soma
