// Calls a template with the C++ type behind a DType: visit_type(type, [&]<class T>(T) { … }).
#pragma once

#include <cstdint>
#include <utility>

#include "soma/tensor.h"

namespace soma {

template <class F>
decltype(auto) visit_type(DType type, F&& f) {
  switch (type) {
    case DType::f32: return f(float{});
    case DType::f64: return f(double{});
    case DType::i32: return f(int32_t{});
    case DType::i64: return f(int64_t{});
    case DType::u8: return f(uint8_t{});
    case DType::boolean: return f(bool{});
  }
  __builtin_unreachable();
}

}  // namespace soma
