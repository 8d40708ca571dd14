#pragma once
#include "src/backends/cpu/isa.h"
namespace soma::cpu {
namespace {
constexpr void set_gemm(Isa&) {}
}  // namespace
}  // namespace soma::cpu